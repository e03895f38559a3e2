# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Give data to a file that may hang: the file system of a dead NFS server takes none, and never says so.

Nobody can call a thread back that waits for the kernel. So another one does the work, and is left behind if need be.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from .errors import PipelineError

_T = TypeVar("_T")
# Seconds between two looks at the work, and those that it gets to end where it needn't be left behind.
_TICK = 0.5
_ENDING = 10


class _LeftError(Exception):
    """Nobody waits for this work any more."""


class _HangingError(PipelineError):
    """A write doesn't come back."""


class Sink:
    """Takes data for ``sink``, which writes to ``file``, and doesn't come back for up to ``seconds`` at most."""

    def __init__(self, sink: Callable[[memoryview], object], file: str, seconds: float) -> None:
        self._sink = sink
        self._file = file
        self._seconds = seconds
        self._since: float | None = None
        self._left = False

    def take(self, data: memoryview) -> None:
        """Pass on a piece."""
        self._since = time.monotonic()
        self._sink(data)
        self._since = None
        self.require_wanted()

    def require_wanted(self) -> None:
        """End the work if nobody waits for it any more."""
        if self._left:
            raise _LeftError

    def watch(self, work: Callable[[], _T], stop: Callable[[], object], proceed: Callable[[], object]) -> _T:
        """Do ``work``, which uses take, in a thread of its own; return what it returns or raise what it raises.

        ``proceed`` is called now and then. What it raises ends the work, and so does PipelineError if the sink doesn't
        come back in time: ``stop`` is called then, and whatever the work still does ends at its next require_wanted.
        """
        results: list[_T] = []
        errors: list[BaseException] = []
        over = threading.Event()

        def run() -> None:
            try:
                results.append(work())
            except BaseException as error:  # noqa: BLE001 it is raised where it is waited for
                errors.append(error)
            finally:
                over.set()

        # a daemon: the end of the process must not wait for it
        threading.Thread(target=run, name="pipeline", daemon=True).start()
        try:
            while not over.wait(_TICK):
                proceed()
                self._require_back()
        except BaseException as error:
            self._left = True
            stop()
            if not isinstance(error, _HangingError):
                over.wait(_ENDING)
            raise
        if errors:
            raise errors[0]
        return results[0]

    def _require_back(self) -> None:
        since = self._since
        if since is not None and time.monotonic() - since >= self._seconds:
            raise _HangingError(
                f"{self._file} takes no data: a write to it hasn't come back for {self._seconds:g} seconds, as with an "
                "NFS server that is gone; see to the repository's mount, or give a longer stall_timeout"
            )
