# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tests of the engine's parts and of the modules' edges, without a Docker Engine."""
