# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second process for a walk over a tree: a processor of its own for half of the directories.

Threads wouldn't do: what costs is the kernel's work for each file, and Python's own in between.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
from collections.abc import Callable
from typing import Any, Protocol

from . import termination

_TICK = 0.5


class Work(Protocol):
    """What the process does."""

    def __call__(self, paths: list[bytes]) -> list[bytes]:
        """Look at these directories, for a while, and return those that are left. Raise OSError."""


class Mate:
    """A copy of this process that does ``work`` on what it is given, and in the end gives what ``report`` returns. It
    keeps only the descriptor ``keep`` of ours: where a file system hangs it may outlive us, and then has no lock, and
    nobody waits for the end of our output. A context manager, at whose end it ends."""

    def __init__(self, work: Work, report: Callable[[], Any], keep: int) -> None:
        asking, given = os.pipe()
        answered, answering = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            _be_the_mate(work, report, asking, answering, keep)
        os.close(asking)
        os.close(answering)
        self._out, self._in = os.fdopen(given, "wb"), os.fdopen(answered, "rb")

    def __enter__(self) -> Mate:
        return self

    def __exit__(self, *_exception: object) -> None:
        for end in (self._out, self._in):
            with contextlib.suppress(OSError):
                end.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)

    def give(self, paths: list[bytes]) -> None:
        """Have it look at these directories. Raise OSError."""
        self._send(paths)

    def left(self, alive: Callable[[], object]) -> list[bytes]:
        """Wait until it has done for a while, and return what it left. Raise OSError, its own or if it has ended.

        Where that takes long, ``alive`` is called as long as the process does something.
        """
        before = b""
        while not select.select([self._in], [], [], _TICK)[0]:
            now = self._spent()
            if now != before:
                alive()
            before = now
        left: list[bytes] = self._receive()
        return left

    def _spent(self) -> bytes:
        """The time that processors have spent on it, see proc(5)."""
        try:
            with open(f"/proc/{self._pid}/schedstat", "rb") as file:
                return file.read()
        except OSError:
            return b""

    def report(self) -> Any:
        """What it found in all. Raise OSError."""
        self._send(None)
        return self._receive()

    def _send(self, what: Any) -> None:
        pickle.dump(what, self._out)
        self._out.flush()

    def _receive(self) -> Any:
        try:
            answer = pickle.load(self._in)  # noqa: S301 it is our own copy that says it
        except (EOFError, pickle.UnpicklingError):
            raise ChildProcessError("the process that looked at a part of it was killed") from None
        if isinstance(answer, OSError):
            raise answer
        return answer


def _be_the_mate(work: Work, report: Callable[[], Any], asking: int, answering: int, keep: int) -> None:
    """End with this process, whatever happens: it must not return into what its parent does."""
    try:
        for number in termination.SIGNALS:
            with contextlib.suppress(ValueError):
                signal.signal(number, signal.SIG_DFL)
        null = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(null, standard)
        _close_all_but({0, 1, 2, asking, answering, keep})
        with os.fdopen(asking, "rb") as questions, os.fdopen(answering, "wb") as answers:
            while True:
                paths = pickle.load(questions)  # noqa: S301 our parent says it
                try:
                    answer = report() if paths is None else work(paths)
                except OSError as error:
                    answer = error
                pickle.dump(answer, answers)
                answers.flush()
    except BaseException:  # noqa: BLE001, S110 its end tells, and the parent's end is its own
        pass
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    for name in os.listdir("/proc/self/fd"):
        if int(name) not in kept:
            with contextlib.suppress(OSError):
                os.close(int(name))
