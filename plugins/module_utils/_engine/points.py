# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Named points in the engine's work, at which the fault tests have it killed."""

from __future__ import annotations

import os
import signal

_DEADLY = os.environ.get("DRYDOCK_TEST_KILL_AT")


def reached(name: str) -> None:
    """Die of SIGKILL if a test asked for that at the point ``name``."""
    if name == _DEADLY:
        os.kill(os.getpid(), signal.SIGKILL)
