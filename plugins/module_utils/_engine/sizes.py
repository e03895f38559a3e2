# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How much is in volumes: several trees walked side by side, within a time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from .errors import VolumeError
from .survey import Beside, Survey

# They are often on one disk.
_DISKS_BEAR = 4


class _OverError(Exception):
    """The time is over, or the process is to end."""


def measure(trees: Mapping[str, str], seconds: float) -> tuple[dict[str, Survey], dict[str, str]]:
    """Walk the trees, by the names of their volumes, for so many ``seconds`` altogether (0: as long as it takes).

    Return what was found in each, and why nothing is known of the others. A file system that hangs costs the time, and
    its own volume only.
    """
    found: dict[str, Survey] = {}
    errors: dict[str, str] = {}
    deadline = time.monotonic() + (seconds or float("inf"))
    ended = threading.Event()

    def proceed() -> None:
        if ended.is_set() or time.monotonic() > deadline:
            raise _OverError

    def one(name: str) -> None:
        try:
            proceed()
            with Beside(trees[name]) as beside:
                found[name] = beside.result(0, proceed)[0]
        except _OverError:
            errors[name] = f"not all of its files could be looked at within {seconds:g} seconds"
        except VolumeError as error:
            errors[name] = str(error)

    with ThreadPoolExecutor(min(len(os.sched_getaffinity(0)), _DISKS_BEAR)) as pool:
        try:
            list(pool.map(one, trees))
        except BaseException:
            ended.set()
            raise
    return found, errors
