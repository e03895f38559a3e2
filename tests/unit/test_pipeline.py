# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real processes joined by pipes. Each test also proves that no process and no descriptor is left."""

from __future__ import annotations

import collections.abc as c
import gc
import os
import pathlib
import signal
import tempfile
import threading
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import pipeline
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import PipelineError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.pipeline import Outcome, Stage

CAT = ("/bin/cat",)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> c.Iterator[None]:
    gc.collect()  # what others left behind is closed now, and not in the middle
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) <= before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def sh(script: str, name: str = "sh") -> Stage:
    return Stage(name, ("/bin/sh", "-c", script))


def _output(*stages: Stage, data: bytes | None = None) -> tuple[list[Outcome], bytes]:
    out = bytearray()
    if data is None:
        return pipeline.run(stages, sink=out.extend), bytes(out)
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        return pipeline.run(stages, source=file.fileno(), sink=out.extend), bytes(out)


def test_bytes_go_through_all_stages() -> None:
    outcomes, out = _output(sh("cat"), sh("tr a-z A-Z"), sh("rev"), data=b"abc")
    assert out == b"CBA"
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    assert pipeline.failed(outcomes) is None


def test_every_exit_status_is_read_in_the_stages_order() -> None:
    outcomes, _out = _output(sh("exit 3", "a"), sh("cat; exit 4", "b"), sh("cat; exit 5", "c"))
    assert [(outcome.stage, outcome.status) for outcome in outcomes] == [("a", 3), ("b", 4), ("c", 5)]


def test_a_source_larger_than_all_pipes() -> None:
    data = os.urandom(21 << 20)
    outcomes, out = _output(Stage("cat", CAT), sh("cat"), data=data)
    assert out == data
    assert pipeline.failed(outcomes) is None


@pytest.mark.parametrize("data", [None, b""], ids=["no source", "an empty source"])
def test_without_input_the_first_stage_reads_an_end(data: bytes | None) -> None:
    assert _output(Stage("cat", CAT), data=data)[1] == b""


def test_without_a_sink_the_output_goes_nowhere() -> None:
    outcomes = pipeline.run([sh("yes | head -c 5000000")])
    assert pipeline.failed(outcomes) is None


def test_the_same_stage_may_stand_twice() -> None:
    signal.alarm(1)
    stage = Stage("cat", CAT)
    assert _output(stage, stage, data=b"x")[1] == b"x"


def test_f02_the_cause_is_who_fell_and_not_who_lost_its_reader() -> None:
    outcomes, _out = _output(Stage("yes", ("/usr/bin/yes",)), sh("head -c 10; exit 9", "head"))
    assert [outcome.status for outcome in outcomes] == [-signal.SIGPIPE, 9]
    bad = pipeline.failed(outcomes)
    assert bad is not None
    assert bad.stage == "head"


def test_a_line_without_an_end_is_shown_by_its_ends() -> None:
    told = str(pipeline.Outcome("tar", 2, ("tar: " + "x" * 100_000 + ": Malformed",) * 9))
    assert told.startswith("tar exited 2: tar: xxx")
    assert told.endswith("xxx: Malformed")
    assert len(told) < 4000


def test_f01_of_several_that_fell_the_first_one_upstream_is_the_cause() -> None:
    outcomes, _out = _output(sh("echo lost >&2; exit 2", "tar"), sh("cat; exit 1", "zstd"))
    assert str(pipeline.failed(outcomes)) == "tar exited 2: lost"


def test_a_reader_that_stops_early_without_an_error_is_a_failure_all_the_same() -> None:
    outcomes, out = _output(Stage("yes", ("/usr/bin/yes",)), Stage("head", ("/usr/bin/head", "-c", "4")))
    assert out == b"y\ny\n"
    assert str(pipeline.failed(outcomes)) == "yes was killed by SIGPIPE"


@pytest.mark.parametrize("name", ["first", "middle", "last"])
def test_f02_a_stage_that_is_killed(name: str) -> None:
    names = ("first", "middle", "last")
    stages = [sh("kill -KILL $$", this) if this == name else Stage(this, CAT) for this in names]
    outcomes, _out = _output(*stages, data=bytes(8 << 20))
    assert str(pipeline.failed(outcomes)) == f"{name} was killed by SIGKILL"


def test_a_stage_that_is_killed_from_outside_while_it_works() -> None:
    seen = bytearray()

    def sink(data: memoryview) -> None:
        if not seen:
            os.kill(int(bytes(data).split()[0]), signal.SIGKILL)
        seen.extend(data)

    outcomes = pipeline.run([sh("echo $$; exec yes", "yes")], sink=sink)
    assert str(pipeline.failed(outcomes)) == "yes was killed by SIGKILL"


def test_a_stage_that_is_killed_by_a_signal_without_a_name() -> None:
    outcomes, _out = _output(sh("kill -40 $$"))
    assert "40" in str(pipeline.failed(outcomes))


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_program_that_cannot_start_ends_the_others(position: int) -> None:
    stages = [Stage("sleep", ("/bin/sleep", "3600")) for _stage in range(2)]
    stages.insert(position, Stage("zstd", ("/no/such/program",)))
    with pytest.raises(PipelineError, match=r"zstd \(/no/such/program\) can't be started: No such file or directory"):
        pipeline.run(stages, sink=bytearray().extend)


def test_a_program_without_permission(tmp_path: pathlib.Path) -> None:
    (tmp_path / "tar").write_text("not a program")
    with pytest.raises(PipelineError, match="can't be started: Permission denied"):
        pipeline.run([Stage("tar", (str(tmp_path / "tar"),))])


class _Stop(BaseException):
    """Like the error that SIGTERM becomes: no Exception."""


def _raise(*_arguments: object) -> memoryview:
    raise _Stop


@pytest.mark.parametrize(
    "ends", [{"sink": _raise}, {"proceed": _raise}, {"listing": _raise}], ids=lambda ends: next(iter(ends))
)
def test_an_exception_ends_every_process(ends: dict[str, c.Callable[..., memoryview]]) -> None:
    stages = [sh(f"echo listed >/dev/fd/{pipeline.LISTING}; exec yes"), sh("trap '' TERM; cat")]
    with pytest.raises(_Stop):
        pipeline.run(stages, **{"sink": bytearray().extend, **ends})


def test_a_stage_that_talks_a_lot_does_not_block_and_is_cut() -> None:
    loud = sh("echo first >&2; head -c 10000000 /dev/zero | tr '\\0' '\\n' >&2; echo data; exit 1", "loud")
    (outcome,), out = _output(loud)
    assert (out, outcome.status, outcome.said[0]) == (b"data\n", 1, "first")
    assert sum(len(line) + 1 for line in outcome.said) <= (1 << 20) + 100
    assert outcome.said[-1] == "(and more, which is not kept)"
    assert len(str(outcome)) < 1000


def test_all_stages_talk_at_once() -> None:
    loud = 'yes "$0" | head -c 3000000 >&2; cat'
    stages = [Stage(name, ("/bin/sh", "-c", loud, name)) for name in ("a", "b", "c")]
    outcomes, out = _output(*stages, data=b"x" * (4 << 20))
    assert len(out) == 4 << 20
    assert [outcome.said[0] for outcome in outcomes] == ["a", "b", "c"]


def test_only_the_last_lines_are_in_the_message() -> None:
    outcomes, _out = _output(sh("seq 1 100 >&2; exit 2", "tar"))
    assert str(pipeline.failed(outcomes)) == "tar exited 2: 96; 97; 98; 99; 100"


def test_messages_that_are_not_utf_8() -> None:
    outcomes, _out = _output(sh(r"printf 'a\377b\n' >&2"))
    assert outcomes[0].said == (r"a\xffb",)


def test_the_listing_comes_on_a_descriptor_of_its_own() -> None:
    listed, out = bytearray(), bytearray()
    script = f"seq 1 200000 >/dev/fd/{pipeline.LISTING}; echo data; echo noise >&2"
    (outcome,) = pipeline.run([sh(script)], sink=out.extend, listing=listed.extend)
    assert (bytes(out), outcome.said) == (b"data\n", ("noise",))
    assert bytes(listed).split() == [b"%d" % number for number in range(1, 200001)]


def test_a_listing_that_nobody_wants_does_not_block() -> None:
    outcomes = pipeline.run([sh(f"head -c 9000000 /dev/zero >/dev/fd/{pipeline.LISTING}")])
    assert pipeline.failed(outcomes) is None


@pytest.mark.parametrize("script", ["exit 7", "exec <&-; echo done; exit 7", "head -c 1 >/dev/null; exit 7"])
def test_a_stage_that_does_not_read_its_input(script: str) -> None:
    outcomes, _out = _output(sh(script), data=bytes(8 << 20))
    assert outcomes[0].status == 7


def test_an_endless_source_stops_with_its_reader_down_the_pipe() -> None:
    with open("/dev/zero", "rb") as zeros:
        out = bytearray()
        outcomes = pipeline.run([sh("cat"), sh("cat"), sh("head -c 3")], source=zeros.fileno(), sink=out.extend)
    assert out == bytes(3)
    assert pipeline.failed(outcomes) is not None


@pytest.mark.parametrize("script", ["kill -STOP $$", "exec sleep 3600", "exec >&- 2>&-; exec sleep 3600"])
def test_a_pipe_that_hangs_is_ended(script: str) -> None:
    began = time.monotonic()
    with pytest.raises(PipelineError, match=r"no byte has moved for 1 seconds \(.*first is \w \(\w+\)"):
        pipeline.run([sh(script, "first"), sh("cat", "second")], sink=bytearray().extend, stall_timeout=1)
    assert 1 <= time.monotonic() - began < 30


def test_a_pipe_that_is_slow_does_not_hang() -> None:
    stages = [sh("for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.3; done"), sh("cat >/dev/null; sleep 0.5")]
    assert pipeline.failed(pipeline.run(stages, stall_timeout=1.5)) is None


def _pipeline_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "pipeline"]


def test_a_sink_that_hangs_is_left_behind() -> None:
    back, began, taken = threading.Event(), time.monotonic(), []

    def sink(data: memoryview) -> None:
        taken.append(bytes(data[:2]))
        back.wait(60)

    with pytest.raises(PipelineError, match="/r/a takes no data: a write to it hasn't come back for 1 seconds"):
        pipeline.run([sh("exec yes")], sink=sink, stall_timeout=1, blocking="/r/a")
    assert time.monotonic() - began >= 1
    (thread,) = _pipeline_threads()
    back.set()  # it comes back, and finds that nobody waits
    thread.join(10)
    assert not thread.is_alive()
    assert taken == [b"y\n"]


def test_a_sink_that_may_hang_and_does_not() -> None:
    data, out = os.urandom(21 << 20), bytearray()
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        outcomes = pipeline.run(
            [Stage("cat", CAT)], source=file.fileno(), sink=out.extend, stall_timeout=5, blocking="/r/a"
        )
    assert pipeline.failed(outcomes) is None
    assert out == data


@pytest.mark.parametrize("ends", ["sink", "proceed"])
def test_an_exception_ends_what_may_hang(ends: str) -> None:
    with pytest.raises(_Stop):
        pipeline.run([sh("exec yes")], **{"sink": bytearray().extend, ends: _raise}, stall_timeout=60, blocking="/r/a")
    for thread in _pipeline_threads():  # it has said that it is over
        thread.join(10)
    assert _pipeline_threads() == []


def test_a_pipe_that_hangs_before_a_sink_that_may_is_ended() -> None:
    with pytest.raises(PipelineError, match="no byte has moved for 1 seconds"):
        pipeline.run([sh("exec sleep 60")], sink=bytearray().extend, stall_timeout=1, blocking="/r/a")


def test_the_environment_is_clean_and_the_output_english(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAR_OPTIONS", "ZSTD_CLEVEL", "GZIP", "LD_LIBRARY_PATH", "LANG"):
        monkeypatch.setenv(name, "x")
    _outcomes, out = _output(Stage("env", ("/usr/bin/env",)))
    names = {line.partition(b"=")[0] for line in out.splitlines()}
    assert names <= {b"HOME", b"TMPDIR", b"PATH", b"LC_ALL", b"TZ"}
    assert b"LC_ALL=C\n" in out


def test_processes_get_no_descriptor_of_ours() -> None:
    leak = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leak, True)
    try:
        _outcomes, out = _output(sh("cat >/dev/null"), sh("cat >/dev/null; ls /proc/self/fd"), data=b"x")
    finally:
        os.close(leak)
    assert out.split() == [b"0", b"1", b"2", b"3"]  # 3 is the directory that ls reads


def test_processes_die_of_sigpipe_as_programs_expect() -> None:
    _outcomes, out = _output(sh("grep SigIgn /proc/self/status"))
    assert int(out.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_a_hundred_runs_leave_no_descriptor() -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    for number in range(100):
        stages = [sh(f"cat; : {pipeline.LISTING}"), sh(f"exit {number % 2}")]
        pipeline.run(stages, sink=bytearray().extend)
    assert sorted(os.listdir("/proc/self/fd")) == before
