# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask a file system something, and don't wait for ever: a dead NFS server answers nothing, and never says so."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import UsageError, VolumeError

_T = TypeVar("_T")
# Seconds between two looks at whether we are to stop.
_TICK = 0.5


def require_seconds(**limits: float) -> None:
    """Raise UsageError, by its name, for a limit that is no number of seconds."""
    for name, seconds in limits.items():
        if not seconds >= 0:  # what isn't a number isn't that, either
            raise UsageError(f"{name} is {seconds:g}; give a number of seconds, 0 or more")


class HangingError(VolumeError):
    """The file system hangs."""


def within(seconds: float, act: Callable[[], _T], proceed: Callable[[], object] | None = None) -> _T:
    """Do ``act``, and return what it returns or raise what it raises.

    ``proceed`` is called now and then; what it raises ends the wait. So does HangingError after so many ``seconds``
    (0: never). Nobody can call a thread back that waits for the kernel: it is left behind, and dies with the process.
    """
    results: list[_T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(act())
        except BaseException as error:  # noqa: BLE001 it is raised where it is waited for
            errors.append(error)

    # a daemon: the end of the process must not wait for it
    thread = threading.Thread(target=run, name="patience", daemon=True)
    thread.start()
    deadline = time.monotonic() + (seconds or float("inf"))
    while thread.is_alive():
        thread.join(max(0.0, min(_TICK, deadline - time.monotonic())))
        if proceed is not None:
            proceed()
        if thread.is_alive() and time.monotonic() >= deadline:
            raise HangingError(
                f"the file system hangs: it gave no answer for {seconds:g} seconds, as with an NFS server that is "
                "gone; see to it"
            )
    for error in errors:
        raise error
    return results[0]
