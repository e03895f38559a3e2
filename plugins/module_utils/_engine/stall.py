# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notice that processes hang: a dead NFS server keeps a reader waiting for ever, without an error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from .errors import PipelineError

# proc(5): the processes' own count of the bytes that they have read and written, cached or not.
_COUNTERS = (b"rchar:", b"wchar:")


class Stall:
    """Watches processes, given as names by identifier, and complains after ``timeout`` seconds (0: never) without a
    byte read or written by any of them."""

    def __init__(self, processes: Mapping[int, str], timeout: float) -> None:
        self._processes = processes
        self._timeout = timeout
        self._moved = -1
        self._since = self._looked = time.monotonic()

    def look(self) -> None:
        """Raise PipelineError, saying in what state the processes are, once they have hung for too long."""
        now = time.monotonic()
        if not self._timeout or now - self._looked < min(0.5, self._timeout / 4):
            return
        self._looked = now
        moved = sum(map(_bytes_moved, self._processes))
        if moved != self._moved:
            self._moved, self._since = moved, now
        elif now - self._since >= self._timeout:
            states = ", ".join(f"{name} is {_state(pid)}" for pid, name in self._processes.items())
            raise PipelineError(
                f"no byte has moved for {self._timeout:g} seconds ({states}): the file system that is read or written "
                "may hang, as with an NFS server that is gone; see to it, or give a longer stall_timeout"
            )


class Meter:
    """Tells ``gauge`` twice a second how many bytes a process has read."""

    def __init__(self, pid: int, gauge: Callable[[int], object]) -> None:
        self._pid = pid
        self._gauge = gauge
        self._told = 0.0

    def look(self) -> None:
        """Tell, if it is time to."""
        now = time.monotonic()
        if now - self._told >= 0.5:
            self._told = now
            read = _counted(self._pid, _COUNTERS[:1])
            if read >= 0:
                self._gauge(read)


def _bytes_moved(pid: int) -> int:
    """What a process has read and written, in bytes; -1 once it has ended."""
    return _counted(pid, _COUNTERS)


def _counted(pid: int, counters: tuple[bytes, ...]) -> int:
    try:
        with open(f"/proc/{pid}/io", "rb") as file:
            return sum(int(line.split()[1]) for line in file if line.startswith(counters))
    except (OSError, ValueError):
        return -1


def _state(pid: int) -> str:
    """In what state the kernel has a process, in proc(5)'s words: "D (disk sleep)" waits for a device or a server."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return next(line.partition(":")[2].strip().replace("\t", " ") for line in file if line.startswith("State:"))
    except (OSError, StopIteration):
        return "gone"
