# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal that asks the process to end becomes an exception, so that what ends every failure ends this one too."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

#: What ends a process in good order: kill and systemd, Ctrl-C, a terminal or connection that goes away.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Terminated(BaseException):
    """Somebody asked the process to end, by the signal ``number``."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}; what was under way is undone")
        self.number = number


class _Late:
    """How many contexts there are that a signal waits for, and the first that has come meanwhile."""

    contexts = 0
    number: int | None = None


@contextlib.contextmanager
def terminating() -> Iterator[None]:
    """Raise Terminated in the main thread at the first of the SIGNALS. Those that come after it are ignored: what is
    undone meanwhile is undone to its end. One that is ignored from the start (nohup) stays so."""
    numbers = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]

    def end(number: int, _frame: Any) -> None:
        for each in numbers:
            signal.signal(each, signal.SIG_IGN)
        if _Late.contexts:
            _Late.number = number
            return
        raise Terminated(number)

    before = {number: signal.signal(number, end) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Have a signal wait for the end of the context. It is for a request that makes something, and for what then
    promises to remove it: who doesn't wait for the answer doesn't know whether there is something to remove."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    _Late.contexts += 1
    try:
        yield
    finally:
        _Late.contexts -= 1
        if _Late.number is not None and not _Late.contexts:
            number, _Late.number = _Late.number, None
            raise Terminated(number)


def but(error: BaseException, left: str) -> None:
    """Have an error that isn't one of ours, and says that all is undone, tell what isn't."""
    error.args = (f"{error}; but {left}",)
