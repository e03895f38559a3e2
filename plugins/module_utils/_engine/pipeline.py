# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes joined by pipes, as a shell joins them, but with every exit status and every stderr read.

One thread and one selector serve all ends, so that a process that talks on stderr can't block one that moves data, and
a process that hangs is noticed and left behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from . import hanging, tools
from .errors import PipelineError, reason
from .stall import Meter, Stall

#: Bytes moved at a time, and the size asked for each pipe.
CHUNK = 1 << 20
#: In a stage's arguments: replaced by the descriptor that its listing goes to. No path can hold it.
LISTING = "\0listing\0"

_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ exists from Python 3.10
_STDERR_KEPT = 1 << 20
# Characters of one of its lines that a message shows.
_LINE_SHOWN = 600
# Seconds between two looks at whether anything moves, and those that a killed process gets to be gone.
_TICK = 0.5
_DYING = 10
# tar writes a line of its listing for each file, and each would wake us: they wait for so many seconds for others to
# join them, unless there is data to move. Measured on 47,000 files: a tenth of all the time that processors spent.
_NAP = 0.001


@dataclass(frozen=True)
class Stage:
    """One process: a ``name`` for messages, and its arguments, the program's absolute path first.

    ``listing`` takes what it writes to LISTING; None is for what run() is given, which is enough for one such stage.
    """

    name: str
    argv: tuple[str, ...]
    listing: Callable[[memoryview], object] | None = None


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: ``status`` as in subprocess (negative: the signal), and what it said, in whole lines."""

    stage: str
    status: int
    said: tuple[str, ...]

    def __str__(self) -> str:
        how = f"exited {self.status}"
        if self.status < 0:
            how = f"was killed by {_signal(-self.status)}"
        return f"{self.stage} {how}" + (f": {'; '.join(map(_shortened, self.said[-5:]))}" if self.said else "")


def _shortened(line: str) -> str:
    """A line as a message has it: tar repeats what is in a damaged archive, however long that is."""
    return line if len(line) <= _LINE_SHOWN else f"{line[: _LINE_SHOWN // 2]} … {line[-_LINE_SHOWN // 2 :]}"


def failed(outcomes: Sequence[Outcome]) -> Outcome | None:
    """The stage whose failure is the cause, or None when all went well.

    A stage that died of SIGPIPE, or of the error in its place, fell because one after it did; of the others, the first
    one upstream fell first.
    """
    bad = [outcome for outcome in outcomes if outcome.status != 0]
    return next((outcome for outcome in bad if not _broken_pipe(outcome)), bad[0] if bad else None)


def _broken_pipe(outcome: Outcome) -> bool:
    return outcome.status == -signal.SIGPIPE or (outcome.said[-1:] != () and outcome.said[-1].endswith("Broken pipe"))


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # the real-time ones have no names


def run(
    stages: Sequence[Stage],
    *,
    source: int | None = None,
    sink: Callable[[memoryview], object] | None = None,
    listing: Callable[[memoryview], object] | None = None,
    tap: Callable[[int, int], object] | None = None,
    gauge: Callable[[int], object] | None = None,
    stall_timeout: float = 0,
    proceed: Callable[[], object] | None = None,
    blocking: str | None = None,
) -> list[Outcome]:
    """Run the stages, each one's output the next one's input, and return how each ended.

    ``source`` is the descriptor that the first stage reads (None: nothing), ``sink`` is called with the last stage's
    output, ``listing`` with what the stage that has LISTING in its arguments writes there, ``gauge`` with the bytes
    that the first stage has read by then, and ``proceed`` now and then. With a ``tap`` there are two pipes before the
    last stage: it is called with the ends between them, which are its own from then on, and moves the bytes. An
    exception out of any of them ends every process and goes on to the caller. Raise PipelineError if a program can't be
    started, or if for ``stall_timeout`` seconds (0: for ever) no process reads or writes a byte. ``blocking`` is the
    file that the sink writes to, if that may hang: then it is called in another thread, and left behind after as long.
    """
    pump, proceed = _Pump(), proceed or _nothing
    watched = hanging.Sink(sink, blocking, stall_timeout) if sink and blocking and stall_timeout else None
    try:
        pump.start(stages, source, watched.take if watched else sink, listing, tap)
        look = _looks(pump, gauge, stall_timeout)
        if watched is None:
            return pump.run(look, proceed)
        wanted = watched.require_wanted
        return watched.watch(lambda: pump.run(look, wanted), pump.kill, proceed)
    finally:
        pump.end()


def _looks(pump: _Pump, gauge: Callable[[int], object] | None, stall_timeout: float) -> Callable[[], object]:
    """What looks at the processes now and then: whether they hang, and how far the first one has come."""
    processes = pump.processes()
    stall = Stall(processes, stall_timeout)
    if gauge is None:
        return stall.look
    meter = Meter(next(iter(processes)), gauge)

    def look() -> None:
        stall.look()
        meter.look()

    return look


def _lines(said: bytearray) -> tuple[str, ...]:
    lines = bytes(said).decode("utf-8", "backslashreplace").splitlines()
    if len(said) >= _STDERR_KEPT:
        lines[-1] = "(and more, which is not kept)"
    return tuple(lines)


def _ignore(_data: memoryview) -> None:
    """Take what nobody asked for."""


def _gone(process: subprocess.Popen[bytes], seconds: float) -> bool:
    """Wait for a process to end, so long at most; return whether it has."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def _nothing() -> None:
    """Have no reason to stop."""


class _Pump:
    """The ends of the pipes that are ours, and the processes on their other ends."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._buffer = bytearray(CHUNK)
        self._open: set[int] = set()
        self._data = -1
        self._processes: list[tuple[Stage, subprocess.Popen[bytes], bytearray]] = []

    def start(
        self,
        stages: Sequence[Stage],
        source: int | None,
        sink: Callable[[memoryview], object] | None,
        listing: Callable[[memoryview], object] | None,
        tap: Callable[[int, int], object] | None,
    ) -> None:
        """Start every stage. What is theirs is closed here, so that the end of one's output reaches the next."""
        null = self._own(os.open(os.devnull, os.O_RDWR))
        upstream = null if source is None else source
        for number, stage in enumerate(stages, start=1):
            last = number == len(stages)
            if last and tap is not None:
                upstream = self._tapped(upstream, tap)
            read, write = (null, null) if last and sink is None else self._pipe()
            self._spawn(stage, upstream, write, listing)
            for end in {upstream, write} - {null, source}:
                self._close(end)
            if last and sink is not None:
                self._receive(read, sink)
                self._data = read
            upstream = read

    def processes(self) -> dict[int, str]:
        """The stages' names, by the identifiers of their processes."""
        return {process.pid: stage.name for stage, process, _said in self._processes}

    def run(self, look: Callable[[], object], proceed: Callable[[], object]) -> list[Outcome]:
        """Move bytes until every end is closed, wait for the processes, and return how they ended, in their order."""
        while self._selector.get_map():
            ready = [key for key, _events in self._selector.select(_TICK)]
            for key in ready:
                key.data()
            look()
            proceed()
            if all(key.fd != self._data for key in ready):
                time.sleep(_NAP)
        for _stage, process, _said in self._processes:
            while not _gone(process, _TICK):
                look()
                proceed()
        return [Outcome(stage.name, process.returncode, _lines(said)) for stage, process, said in self._processes]

    def kill(self) -> None:
        """Have every process end."""
        for _stage, process, _said in self._processes:
            if process.poll() is None:
                process.kill()

    def end(self) -> None:
        """Leave no descriptor behind, and no process but one that the kernel doesn't let go."""
        self.kill()
        for _stage, process, _said in self._processes:
            _gone(process, _DYING)
        for end in list(self._open):
            self._close(end)
        self._selector.close()

    def _spawn(self, stage: Stage, stdin: int, stdout: int, listing: Callable[[memoryview], object] | None) -> None:
        stderr_read, stderr = self._pipe()
        argv, passed = list(stage.argv), []
        if any(LISTING in argument for argument in argv):
            listing_read, listed = self._pipe()
            self._receive(listing_read, stage.listing or listing or _ignore)
            argv = [argument.replace(LISTING, str(listed)) for argument in argv]
            passed = [listed]
        try:
            # the name without its path is what a program puts in front of its messages
            process = subprocess.Popen(
                [stage.name, *argv[1:]],
                executable=argv[0],
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                env=tools.environment(),
                pass_fds=passed,
            )
        except OSError as error:
            raise PipelineError(f"{stage.name} ({argv[0]}) can't be started: {reason(error)}") from error
        for end in [stderr, *passed]:
            self._close(end)
        said = bytearray()
        self._processes.append((stage, process, said))
        self._receive(stderr_read, lambda data: said.extend(data[: max(0, _STDERR_KEPT - len(said))]))

    def _receive(self, end: int, receiver: Callable[[memoryview], object]) -> None:
        os.set_blocking(end, False)
        self._selector.register(end, selectors.EVENT_READ, lambda: self._read(end, receiver))

    def _read(self, end: int, receiver: Callable[[memoryview], object]) -> None:
        count = os.readv(end, [self._buffer])
        if count:
            receiver(memoryview(self._buffer)[:count])
        else:
            self._done(end)

    def _tapped(self, read: int, tap: Callable[[int, int], object]) -> int:
        """Give away the end of a pipe, and one of another pipe. Return the other end of that."""
        ours, write = self._pipe()
        self._open -= {read, write}
        tap(read, write)
        return ours

    def _done(self, end: int) -> None:
        self._selector.unregister(end)
        self._close(end)

    def _pipe(self) -> tuple[int, int]:
        """A pipe as large as the system allows."""
        read, write = map(self._own, os.pipe())
        with contextlib.suppress(OSError):
            fcntl.fcntl(write, _F_SETPIPE_SZ, CHUNK)
        return read, write

    def _own(self, end: int) -> int:
        self._open.add(end)
        return end

    def _close(self, end: int) -> None:
        # Only what is still ours: a number that was closed may belong to somebody else by now.
        if end in self._open:
            self._open.remove(end)
            os.close(end)
