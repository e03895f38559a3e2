# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What several kinds of tests share: trees that are hard to keep, and records that say what was lost."""
