# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do something as another user, and for so long at most: in a process that can be killed when a file system hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import time
from collections.abc import Callable, Iterator

from . import termination


class ChildError(Exception):
    """What went wrong: a sentence, or with a ``number`` (errno) what was being done."""

    def __init__(self, text: str, number: int | None = None) -> None:
        super().__init__(text)
        self.number = number


@contextlib.contextmanager
def doing(what: str) -> Iterator[None]:
    """Raise ChildError with ``what`` and the errno for an OSError."""
    try:
        yield
    except OSError as error:
        raise ChildError(what, error.errno) from error


def run(act: Callable[[], None], user: int, group: int, seconds: float) -> None:
    """Do ``act`` as this user and group, without other groups. Raise ChildError, its own or if it takes longer."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _be_the_child(act, user, group, writing)
    os.close(writing)
    try:
        answer = _answer(reading, seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _reap(pid)
    if answer is None:
        raise ChildError(
            f"the file system hangs: it gave no answer for {seconds:g} seconds, as with an NFS server that is gone; "
            "see to it"
        )
    text, number = answer
    if text:
        raise ChildError(text, number)


def _be_the_child(act: Callable[[], None], user: int, group: int, writing: int) -> None:
    """End with this process, whatever happens: it must not return into what its parent does."""
    answer: tuple[str, int | None] = ("it ended without an answer; look into the kernel's log", None)
    try:
        for number in termination.SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        if (user, group) != (os.geteuid(), os.getegid()):
            os.setgroups([])
            os.setgid(group)
            os.setuid(user)
        act()
        answer = ("", None)
    except ChildError as error:
        answer = (str(error), error.number)
    except BaseException as error:  # noqa: BLE001 the parent tells of it
        answer = (f"it failed: {error!r}", None)
    finally:
        os.write(writing, json.dumps(answer).encode())
        os._exit(0)


def _answer(reading: int, seconds: float) -> tuple[str, int | None] | None:
    """What the child says; None if it doesn't in time."""
    said = b""
    deadline = time.monotonic() + seconds
    while True:
        ready = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))[0]
        if not ready:
            return None
        piece = os.read(reading, 65536)
        if not piece:
            break
        said += piece
    text, number = json.loads(said or b'["it was killed", null]')
    return text, number


def _reap(pid: int) -> None:
    """Wait for a child that was killed, but not for one that the kernel doesn't let go of."""
    deadline = time.monotonic() + 2
    while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
