# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several workers for jobs that come in groups: what a group keeps open is open for as short a time as can be."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

Job = Callable[[], None]

# Seconds between two looks at whether a signal came. The kernel may give it to a thread that works, or at the instant
# before this one begins to wait: neither ends the wait.
_TICK = 0.1


class Stopped(BaseException):
    """Work under way is to end, because the process is to end."""


class Group(Protocol):
    """Jobs that need something open. Those that are left when all is to end may not be done: close puts that right."""

    def open(self) -> Sequence[Job]:
        """Get ready, and return the jobs; none if that failed."""

    def close(self) -> Sequence[Job]:
        """End what open began, after the last of the jobs, and return what is left to be done without it."""


class Workers:
    """Threads that open groups, do their jobs and close them again.

    A job of a group that is open comes before anything else, then what a closed group left to be done, then the next
    group.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self._changed = threading.Condition()
        self._groups: deque[Group] = deque()
        self._jobs: deque[tuple[Job, _Open]] = deque()
        self._later: deque[Job] = deque()
        self._busy = 0
        self._stopping = False
        self._error: BaseException | None = None

    def proceed(self) -> None:
        """Raise Stopped once the work under way is to end."""
        if self._stopping:
            raise Stopped

    def run(self, groups: Sequence[Group]) -> None:
        """Do it all. An exception in here, such as that of a signal, ends what is under way, and then goes on."""
        self._groups.extend(groups)
        threads = [threading.Thread(target=self._work, name=f"worker-{one}") for one in range(self.number)]
        try:
            for thread in threads:
                thread.start()
            self._wait()
        except BaseException:
            self._stop()
            self._wait()
            raise
        finally:
            for thread in threads:
                if thread.is_alive():
                    thread.join()
        if self._error is not None:
            raise self._error

    def _wait(self) -> None:
        # Not by Thread.join: where a signal's exception interrupts that, Python takes the thread for ended.
        with self._changed:
            while self._busy or self._jobs or self._later or (self._groups and not self._stopping):
                self._changed.wait(_TICK)

    def _work(self) -> None:
        while True:
            with self._changed:
                step = self._next()
                while step is None and self._busy:
                    self._changed.wait()
                    step = self._next()
                if step is None:
                    return
                self._busy += 1
            try:
                step()
            except Stopped:
                pass
            except BaseException as error:  # noqa: BLE001 run raises it where it is waited for
                self._error = self._error or error
                self._stop()
            finally:
                with self._changed:
                    self._busy -= 1
                    self._changed.notify_all()

    def _next(self) -> Job | None:
        """What to do next, if there is something now."""
        if self._jobs:
            job, group = self._jobs.popleft()
            return lambda: self._one(job, group)
        if self._later:
            return self._later.popleft()
        if self._groups and not self._stopping:
            group_to_open = self._groups.popleft()
            return lambda: self._open(group_to_open)
        return None

    def _open(self, group: Group) -> None:
        jobs = group.open()
        opened = _Open(group, len(jobs))
        with self._changed:
            self._jobs.extend((job, opened) for job in jobs)

    def _one(self, job: Job, opened: _Open) -> None:
        try:
            if not self._stopping:
                job()
        finally:
            with self._changed:
                opened.left -= 1
                last = opened.left == 0
            if last:
                later = opened.group.close()
                with self._changed:
                    self._later.extend(later)

    def _stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()


class _Open:
    """A group that is open, and how many of its jobs are left."""

    def __init__(self, group: Group, left: int) -> None:
        self.group = group
        self.left = left
