# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The workers: every group that is opened is closed once, after its last job, whatever happens (F20, F21)."""

from __future__ import annotations

import collections.abc as c
import contextlib
import random
import signal
import sys
import threading
import time
import types

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import workers as module
from ansible_collections.drydock.volumes.plugins.module_utils._engine.workers import Stopped, Workers


class Signalled(BaseException):
    """What a signal's handler raises."""


class JobError(Exception):
    """What a job raises."""


Step = c.Callable[[], object]


def _nothing() -> None:
    """Take no time."""


class Log:
    """What happened, in order: "open 1", "job 1.0", "close 1", "later 1.0"; an end has "end " in front."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, what: str) -> None:
        with self._lock:
            self.lines.append(what)

    @contextlib.contextmanager
    def around(self, what: str) -> c.Iterator[None]:
        self(what)
        try:
            yield
        finally:
            self(f"end {what}")


class Group:
    """A group that logs what is done with it; each step does what it is given."""

    def __init__(
        self,
        log: Log,
        name: object,
        jobs: c.Sequence[Step] = (),
        later: c.Sequence[Step] = (),
        opening: Step = _nothing,
        closing: Step = _nothing,
    ) -> None:
        self.log, self.name, self.jobs, self.later = log, name, jobs, later
        self.opening, self.closing = opening, closing

    def open(self) -> list[module.Job]:
        with self.log.around(f"open {self.name}"):
            self.opening()
            return self._logged("job", self.jobs)

    def close(self) -> list[module.Job]:
        with self.log.around(f"close {self.name}"):
            self.closing()
            return self._logged("later", self.later)

    def _logged(self, kind: str, steps: c.Sequence[Step]) -> list[module.Job]:
        def one(number: int, step: Step) -> None:
            with self.log.around(f"{kind} {self.name}.{number}"):
                step()

        return [lambda number=number, step=step: one(number, step) for number, step in enumerate(steps)]


def _raise(error: BaseException) -> Step:
    def step() -> None:
        raise error

    return step


def _check(log: Log) -> None:
    """What must be true of every run, however it ended."""
    lines = log.lines
    assert len(lines) == len(set(lines)), "something was done twice"
    for number, line in enumerate(lines):
        kind, _space, rest = line.removeprefix("end ").partition(" ")
        group = rest.partition(".")[0]
        assert not line.startswith("end ") or line.removeprefix("end ") in lines[:number]
        if kind in ("job", "close"):
            assert f"end open {group}" in lines[:number]
        if kind == "job":
            assert f"close {group}" not in lines[:number]
        if kind == "later":
            assert f"end close {group}" in lines[:number]
    assert len(lines) == 2 * len([line for line in lines if line.startswith("end ")]), "something goes on"


def _opened(log: Log) -> set[str]:
    return {line.removeprefix("open ") for line in log.lines if line.startswith("open ")}


def _closed(log: Log) -> set[str]:
    return {line.removeprefix("close ") for line in log.lines if line.startswith("close ")}


def _begun(log: Log) -> list[str]:
    return [line for line in log.lines if not line.startswith("end ")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> c.Iterator[None]:
    before = set(threading.enumerate())
    yield
    assert set(threading.enumerate()) <= before


@pytest.fixture
def log() -> c.Iterator[Log]:
    made = Log()
    yield made
    _check(made)


@contextlib.contextmanager
def _busy_switching() -> c.Iterator[None]:
    """Have Python switch between threads as often as it can."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


@pytest.mark.parametrize("number", [1, 2, 8])
def test_nothing_to_do(number: int) -> None:
    Workers(number).run([])


def test_one_worker_does_one_group_after_the_other(log: Log) -> None:
    Workers(1).run([Group(log, name, [_nothing] * 2, [_nothing] * 2) for name in (1, 2)])
    steps = ("open {}", "job {}.0", "job {}.1", "close {}", "later {}.0", "later {}.1")
    assert _begun(log) == [step.format(name) for name in (1, 2) for step in steps]


def test_a_group_without_jobs_is_not_closed(log: Log) -> None:
    Workers(1).run([Group(log, 1), Group(log, 2, [_nothing]), Group(log, 3)])
    assert _begun(log) == ["open 1", "open 2", "job 2.0", "close 2", "open 3"]


def test_a_job_comes_before_what_a_closed_group_left_and_that_before_the_next_group(log: Log) -> None:
    both = threading.Barrier(2)
    release = threading.Event()
    # One worker is in the last job of the first group, the other one opens the second and waits in its first job.
    groups = [
        Group(log, 1, [both.wait], [_nothing]),
        Group(log, 2, [lambda: (both.wait(), release.wait(20)), _nothing, _nothing], opening=_nothing),
        Group(log, 3, [release.set]),
    ]
    Workers(2).run(groups)
    begun = _begun(log)
    assert begun.index("close 1") < begun.index("job 2.1") < begun.index("job 2.2") < begun.index("later 1.0")
    assert begun.index("later 1.0") < begun.index("open 3")


def test_workers_share_the_jobs_of_a_group(log: Log) -> None:
    together = threading.Barrier(4)
    Workers(4).run([Group(log, 1, [lambda: together.wait(20)] * 4)])
    assert not together.broken


def test_workers_share_what_is_left(log: Log) -> None:
    together = threading.Barrier(3)
    Workers(3).run([Group(log, 1, [_nothing], [lambda: together.wait(20)] * 3)])
    assert not together.broken


def test_workers_that_wait_are_woken_by_a_group_that_opens(log: Log) -> None:
    together = threading.Barrier(3)
    Workers(3).run([Group(log, 1, [lambda: together.wait(20)] * 3, opening=lambda: time.sleep(0.2))])
    assert not together.broken


def test_more_workers_than_work(log: Log) -> None:
    Workers(8).run([Group(log, 1, [_nothing], [_nothing])])
    assert _begun(log) == ["open 1", "job 1.0", "close 1", "later 1.0"]


def test_the_last_of_the_jobs_closes_however_close_together_they_end(log: Log) -> None:
    # Between the count of a job and the look at what is left, another thread may have its turn.
    groups = [Group(log, name, [_nothing] * 4) for name in range(500)]
    with _busy_switching():
        Workers(4).run(groups)
    assert len(_closed(log)) == 500


class Yielding(threading.Condition):
    """A lock after which somebody else has a turn."""

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        time.sleep(random.random() / 1000)


@pytest.fixture
def yielding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "threading", types.SimpleNamespace(Condition=Yielding, Thread=threading.Thread))


@pytest.mark.usefixtures("yielding")
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_last_of_the_jobs_closes_whoever_has_a_turn_in_between(log: Log, number: int) -> None:
    Workers(number).run([Group(log, name, [_nothing] * number, [_nothing]) for name in range(30)])
    assert len(_closed(log)) == 30


ROUNDS = [(number, seed) for number in range(1, 9) for seed in range(3)]


@pytest.mark.parametrize(("number", "seed"), ROUNDS)
def test_everything_is_done_once(log: Log, number: int, seed: int) -> None:
    chance = random.Random(100 * number + seed)

    def nap(most: float = 0.003) -> Step:
        seconds = chance.choice([0, 0, chance.random() * most])
        return lambda: time.sleep(seconds)

    groups = [
        Group(
            log,
            name,
            [nap() for _one in range(chance.randrange(5))],
            [nap() for _one in range(chance.randrange(4))],
            opening=nap(),
            closing=nap(),
        )
        for name in range(60)
    ]
    with _busy_switching():
        Workers(number).run(groups)
    with_jobs = [group for group in groups if group.jobs]
    wanted = [f"open {group.name}" for group in groups] + [f"close {group.name}" for group in with_jobs]
    wanted += [f"job {group.name}.{one}" for group in groups for one in range(len(group.jobs))]
    wanted += [f"later {group.name}.{one}" for group in with_jobs for one in range(len(group.later))]
    assert sorted(_begun(log)) == sorted(wanted)
    assert _opened_at_once(log) <= number


def _opened_at_once(log: Log) -> int:
    """How many groups with jobs were open at a time."""
    most, now = 0, set()
    for line in log.lines:
        kind, _space, rest = line.partition(" ")
        if kind == "job":
            now.add(rest.partition(".")[0])
        elif line.startswith("end close "):
            now.discard(line.removeprefix("end close "))
        most = max(most, len(now))
    return most


# Errors


@pytest.mark.parametrize("number", [1, 2, 5])
@pytest.mark.parametrize("error", [JobError("oops"), KeyboardInterrupt(), SystemExit(3)], ids=repr)
def test_an_error_of_a_job_ends_the_rest_and_closes_the_group(log: Log, number: int, error: BaseException) -> None:
    groups = [
        Group(log, name, [_nothing, _raise(error) if name == 2 else _nothing, _nothing], [_nothing])
        for name in range(50)
    ]
    with pytest.raises(type(error)) as caught:
        Workers(number).run(groups)
    assert caught.value is error
    assert _opened(log) == _closed(log)
    if number == 1:
        assert _begun(log)[-3:] == ["job 2.1", "close 2", "later 2.0"]


@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_error_while_opening_ends_the_rest_and_does_not_close_that_group(log: Log, number: int) -> None:
    groups = [Group(log, name, [_nothing], opening=_raise(JobError()) if name == 2 else _nothing) for name in range(50)]
    with pytest.raises(JobError):
        Workers(number).run(groups)
    assert _closed(log) == _opened(log) - {"2"}
    if number == 1:
        assert _begun(log)[-1] == "open 2"


@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_error_while_closing_ends_the_rest(log: Log, number: int) -> None:
    groups = [
        Group(log, name, [_nothing], [_nothing], closing=_raise(JobError()) if name == 2 else _nothing)
        for name in range(50)
    ]
    with pytest.raises(JobError):
        Workers(number).run(groups)
    assert _closed(log) == _opened(log)
    assert "later 2.0" not in log.lines


@pytest.mark.parametrize("number", [1, 2, 5])
def test_an_error_of_what_was_left_ends_the_rest(log: Log, number: int) -> None:
    groups = [Group(log, name, [_nothing], [_raise(JobError()), _nothing]) for name in range(50)]
    with pytest.raises(JobError):
        Workers(number).run(groups)
    assert _closed(log) == _opened(log) != {str(name) for name in range(50)}
    # each of what is left is still called: it may have to remove what was begun
    assert {f"later {name}.{one}" for name in _closed(log) for one in (0, 1)} <= set(log.lines)


def test_the_first_error_is_the_one(log: Log) -> None:
    first, second = JobError("first"), JobError("second")
    with pytest.raises(JobError) as caught:
        Workers(1).run([Group(log, 1, [_raise(first), _nothing], [_raise(second)]), Group(log, 2, [_nothing])])
    assert caught.value is first


def test_an_error_while_closing_does_not_hide_that_of_the_job(log: Log) -> None:
    first, second = JobError("first"), JobError("second")
    with pytest.raises(JobError) as caught:
        Workers(1).run([Group(log, 1, [_raise(first)], closing=_raise(second))])
    assert first in (caught.value, caught.value.__context__)


def test_jobs_that_have_not_begun_are_left_out(log: Log) -> None:
    with pytest.raises(JobError):
        Workers(1).run([Group(log, 1, [_nothing, _raise(JobError()), _nothing, _nothing], [_nothing])])
    assert _begun(log) == ["open 1", "job 1.0", "job 1.1", "close 1", "later 1.0"]


def test_a_group_that_opens_meanwhile_is_closed_without_a_job(log: Log) -> None:
    opening = threading.Event()
    groups = [
        Group(log, 1, [lambda: (opening.wait(20), _raise(JobError())())]),
        Group(log, 2, [_nothing] * 3, opening=lambda: (opening.set(), time.sleep(0.3))),
        Group(log, 3, [_nothing]),
    ]
    with pytest.raises(JobError):
        Workers(2).run(groups)
    assert _begun(log) == ["open 1", "job 1.0", "open 2", "close 1", "close 2"]


def test_work_under_way_is_stopped_by_proceed(log: Log) -> None:
    workers = Workers(3)
    begun = threading.Barrier(3)
    proceeded = []

    def long() -> None:
        begun.wait(20)
        while True:
            workers.proceed()
            proceeded.append(1)
            time.sleep(0.01)

    def failing() -> None:
        begun.wait(20)
        time.sleep(0.1)
        raise JobError

    workers.proceed()
    with pytest.raises(JobError):
        workers.run([Group(log, 1, [long, failing, long], [workers.proceed]), Group(log, 2, [_nothing])])
    assert proceeded
    assert _begun(log)[-2:] == ["close 1", "later 1.0"]
    with pytest.raises(Stopped):
        workers.proceed()


def test_stopped_is_no_error_that_a_broad_except_takes() -> None:
    assert not issubclass(Stopped, Exception)


def test_a_run_without_an_error_leaves_proceed_silent(log: Log) -> None:
    workers = Workers(2)
    workers.run([Group(log, 1, [workers.proceed], [workers.proceed], workers.proceed, workers.proceed)])
    workers.proceed()


# Signals


@contextlib.contextmanager
def _signals(*after: float) -> c.Iterator[None]:
    """Have the main thread interrupted by signals, so many seconds after the beginning each."""

    def handler(_number: int, _frame: types.FrameType | None) -> None:
        raise Signalled

    def send() -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    timers = [threading.Timer(seconds, send) for seconds in after]
    try:
        for timer in timers:
            timer.start()
        yield
    finally:
        for timer in timers:
            if timer.ident is not None:
                timer.join()
        signal.signal(signal.SIGUSR1, before)


def _until_stopped(workers: Workers) -> None:
    for _hundredth in range(2000):
        workers.proceed()
        time.sleep(0.01)
    raise AssertionError


@pytest.mark.parametrize("number", [1, 2, 4])
def test_f21_a_signal_closes_everything_before_it_goes_on(log: Log, number: int) -> None:
    workers = Workers(number)
    groups = [
        Group(log, name, [lambda: _until_stopped(workers)] * 2, [_nothing], closing=lambda: time.sleep(0.5))
        for name in range(9)
    ]
    with pytest.raises(Signalled), _signals(0.3):
        workers.run(groups)
    _check(log)  # now, and not a moment later
    assert _closed(log) == _opened(log)
    assert 1 <= len(_opened(log)) <= number
    assert {f"end later {name}.0" for name in _opened(log)} <= set(log.lines)
    assert [thread for thread in threading.enumerate() if thread.name.startswith("worker-")] == []


def test_f21_a_signal_that_a_worker_gets_ends_it_too(log: Log) -> None:
    workers, stopped = Workers(1), []

    def signalled() -> None:
        time.sleep(0.2)  # the main thread waits by then
        signal.pthread_kill(threading.get_ident(), signal.SIGUSR1)
        try:
            _until_stopped(workers)
        except Stopped:
            stopped.append(True)
            raise

    with pytest.raises(Signalled), _signals():
        workers.run([Group(log, 1, [signalled])])
    assert stopped
    _check(log)
    assert _closed(log) == {"1"}


def test_f21_a_signal_while_a_group_opens(log: Log) -> None:
    with pytest.raises(Signalled), _signals(0.2):
        Workers(2).run([Group(log, 1, [_nothing] * 2, opening=lambda: time.sleep(0.6)), Group(log, 2)])
    _check(log)
    assert _closed(log) == {"1"}
    assert not [line for line in log.lines if line.startswith("job")]


def test_f21_a_second_signal_does_not_leave_anything_open(log: Log) -> None:
    workers = Workers(2)
    groups = [Group(log, name, [lambda: _until_stopped(workers)], closing=lambda: time.sleep(1)) for name in (1, 2, 3)]
    with pytest.raises(Signalled), _signals(0.2, 0.6):
        workers.run(groups)
    _check(log)
    assert _closed(log) == _opened(log) == {"1", "2"}


@pytest.mark.parametrize("which", [1, 2, 3])
def test_f21_a_signal_while_the_workers_are_started(log: Log, monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    workers = Workers(3)
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        start(self)
        started.append(self)
        if len(started) == which:
            time.sleep(0.2)  # it opens a group meanwhile
            raise Signalled

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    groups = [Group(log, name, [lambda: _until_stopped(workers)]) for name in range(9)]
    with pytest.raises(Signalled):
        workers.run(groups)
    _check(log)
    assert not any(thread.is_alive() for thread in started)
    assert len(started) == which
    assert _closed(log) == _opened(log) == {str(name) for name in range(which)}


@pytest.mark.parametrize("which", [1, 2])
def test_a_thread_that_cannot_be_started_ends_it_all(log: Log, monkeypatch: pytest.MonkeyPatch, which: int) -> None:
    workers = Workers(2)
    start = threading.Thread.start
    tried = []

    def failing(self: threading.Thread) -> None:
        tried.append(self)
        if len(tried) == which:
            raise RuntimeError("can't start new thread")
        start(self)
        time.sleep(0.2)

    monkeypatch.setattr(threading.Thread, "start", failing)
    with pytest.raises(RuntimeError, match="can't start new thread"):
        workers.run([Group(log, name, [lambda: _until_stopped(workers)]) for name in range(9)])
    assert _closed(log) == _opened(log) == {str(name) for name in range(which - 1)}


@pytest.mark.parametrize("seed", range(20))
def test_f21_a_signal_at_any_moment(log: Log, seed: int) -> None:
    chance = random.Random(seed)
    workers = Workers(chance.randrange(1, 5))

    def nap() -> None:
        time.sleep(0.001)
        with contextlib.suppress(Stopped):
            workers.proceed()

    groups = [Group(log, name, [nap] * chance.randrange(4), [nap], nap, nap) for name in range(400)]
    with pytest.raises(Signalled), _busy_switching(), _signals(0.001 + chance.random() * 0.15):
        workers.run(groups)
    _check(log)
    empty = {str(group.name) for group in groups if not group.jobs}
    assert _closed(log) == _opened(log) - empty
