# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes that hang are noticed, and no others: real ones, stopped and ended."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import re
import signal
import subprocess
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import stall
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import PipelineError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.stall import Stall

Process = subprocess.Popen[bytes]

WRITES = "exec yes >/dev/null"
SLEEPS = "exec sleep 60"
# No byte, but a busy processor.
COMPUTES = "while :; do :; done"
NEVER = 0
TIMEOUT = 0.5


@contextlib.contextmanager
def _sh(script: str, stdin: int = subprocess.DEVNULL) -> c.Iterator[Process]:
    with subprocess.Popen(["/bin/sh", "-c", script], stdin=stdin) as process:
        try:
            yield process
        finally:
            process.kill()


def _look(stalled: Stall, seconds: float) -> None:
    """Look again and again, as a pipe does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stalled.look()
        time.sleep(0.01)


def _complaint(stalled: Stall, *, within: float = 5) -> str:
    with pytest.raises(PipelineError) as caught:
        _look(stalled, within)
    return str(caught.value)


def test_who_writes_does_not_hang() -> None:
    with _sh(WRITES) as process:
        _look(Stall({process.pid: "tar"}, TIMEOUT), 3 * TIMEOUT)


def test_who_reads_does_not_hang() -> None:
    with _sh("while read x; do :; done", stdin=subprocess.PIPE) as process:
        assert process.stdin is not None
        stalled = Stall({process.pid: "zstd"}, 1)
        for _hundredth in range(180):
            process.stdin.write(b"x\n")
            process.stdin.flush()
            _look(stalled, 0.01)


def test_a_process_that_is_stopped_is_noticed_in_time() -> None:
    with _sh(WRITES) as process:
        stalled = Stall({process.pid: "tar"}, TIMEOUT)
        _look(stalled, TIMEOUT)
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        complaint = _complaint(stalled)
        took = time.monotonic() - began
    assert complaint.startswith("no byte has moved for 0.5 seconds (tar is T (stopped)): the file system that is")
    assert complaint.endswith("see to it, or give a longer stall_timeout")
    assert took > TIMEOUT * 0.9


def test_a_process_that_goes_on_in_time_is_not() -> None:
    with _sh(WRITES) as process:
        stalled = Stall({process.pid: "tar"}, 0.8)
        for _time in range(3):
            process.send_signal(signal.SIGSTOP)
            _look(stalled, 0.4)
            process.send_signal(signal.SIGCONT)
            _look(stalled, 0.2)


@pytest.mark.parametrize(("script", "state"), [(SLEEPS, "S (sleeping)"), (COMPUTES, "R (running)")])
def test_the_state_is_told(script: str, state: str) -> None:
    with _sh(script) as process:
        assert f"(tar is {state})" in _complaint(Stall({process.pid: "tar"}, TIMEOUT))


def test_one_that_moves_is_enough() -> None:
    with _sh(WRITES) as writer, _sh(SLEEPS) as other, _sh("exit 0") as ended:
        ended.wait()
        _look(Stall({other.pid: "tar", writer.pid: "zstd", ended.pid: "cat"}, TIMEOUT), 3 * TIMEOUT)


def test_all_of_them_are_told_in_their_order() -> None:
    with _sh(WRITES) as stopped, _sh(SLEEPS) as sleeping, _sh("exit 0") as zombie, _sh("exit 0") as ended:
        stopped.send_signal(signal.SIGSTOP)
        ended.wait()
        os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
        names = {zombie.pid: "age", stopped.pid: "tar", ended.pid: "cat", sleeping.pid: "zstd"}
        complaint = _complaint(Stall(names, TIMEOUT))
    assert "(age is Z (zombie), tar is T (stopped), cat is gone, zstd is S (sleeping))" in complaint


def test_processes_that_have_all_ended_move_nothing() -> None:
    with _sh("exit 0") as first, _sh("exit 0") as second:
        first.wait()
        second.wait()
        assert "(a is gone, b is gone)" in _complaint(Stall({first.pid: "a", second.pid: "b"}, TIMEOUT))


def test_the_end_of_a_process_counts_as_a_move() -> None:
    with _sh(SLEEPS) as hanging, _sh("exec sleep 0.8") as ending:
        stalled = Stall({hanging.pid: "a", ending.pid: "b"}, 1)
        _look(stalled, 0.4)
        ending.wait()
        _look(stalled, 0.7)
        assert "b is gone" in _complaint(stalled)


def test_without_a_timeout_nothing_is_noticed() -> None:
    with _sh(SLEEPS) as process:
        _look(Stall({process.pid: "tar"}, NEVER), 1)


@pytest.mark.parametrize("timeout", [0.05, 0.4])
def test_short_timeouts(timeout: float) -> None:
    with _sh(SLEEPS) as process:
        stalled = Stall({process.pid: "tar"}, timeout)
        began = time.monotonic()
        assert f"no byte has moved for {timeout:g} seconds" in _complaint(stalled)
        assert time.monotonic() - began >= timeout


class Clock:
    """A clock that tests set, in place of the real one."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.looks, self.moved = 1000.0, 0, 0
        monkeypatch.setattr(stall.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(stall, "_bytes_moved", self._bytes_moved)
        monkeypatch.setattr(stall, "_state", lambda _pid: "D (disk sleep)")

    def _bytes_moved(self, _pid: int) -> int:
        self.looks += 1
        return self.moved


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> c.Iterator[Clock]:
    with monkeypatch.context() as patch:
        yield Clock(patch)


def test_a_look_costs_nothing_most_of_the_time(clock: Clock) -> None:
    stalled = Stall({1: "tar"}, 600)
    for _time in range(10_000):
        clock.now += 0.001
        clock.moved += 1
        stalled.look()
    assert clock.looks <= 20


def test_it_is_the_time_since_the_last_byte_that_counts(clock: Clock) -> None:
    stalled = Stall({1: "tar"}, 600)
    for _time in range(10):
        clock.now += 599
        clock.moved += 1
        stalled.look()
    clock.now += 599
    stalled.look()
    clock.now += 1
    with pytest.raises(PipelineError, match=re.escape("for 600 seconds (tar is D (disk sleep))")):
        stalled.look()


def test_nobody_looked_for_a_long_time(clock: Clock) -> None:
    """What looks may itself have waited: for a slow sink, for instance."""
    stalled = Stall({1: "tar"}, 600)
    clock.now += 10_000
    stalled.look()
    clock.now += 599
    stalled.look()
    clock.moved += 1
    clock.now += 10_000
    stalled.look()
