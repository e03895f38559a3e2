# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is safe, by a table; and the metrics of the same, which Prometheus' own program checks."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import datetime as dt
import io
import os
import subprocess
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import (
    exposition,
    progress_line,
    safety,
    show,
    status,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent.views import (
    JobView,
    Overview,
    RepositoryView,
    VolumeView,
)

NOW = dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)
RECORD: dict[str, t.Any] = {
    "started_at": "2026-11-23T02:00:00Z",
    "finished_at": "2026-11-23T02:01:30Z",
    "last_success_at": "2026-11-23T02:01:30Z",
    "success": True,
    "exit_code": 0,
    "error": None,
    "seconds": 90.0,
    "downtime_seconds": 2.5,
    "bytes": 4096,
    "failures": {},
    "runs": 12,
    "failed_runs": 1,
    "running_since": None,
}
DRILL = {
    "volume": "pgdata",
    "host": "db1",
    "success": True,
    "finished_at": "2026-11-22T05:00:00Z",
    "restore_seconds": 4.1,
    "seconds": 9.5,
    "bytes": 4096,
}


def _safe() -> Overview:
    """A host on which all is well."""
    return Overview(
        NOW,
        jobs=[
            JobView("nightly", "backup", 86400.0, {}, RECORD),
            JobView("monthly", "drill", 35 * 86400.0, {}, RECORD, idle=86400.0),
        ],
        volumes=[
            VolumeView(
                "pgdata",
                "nightly",
                "db1",
                "/r",
                86400.0,
                newest="20261123T020000Z",
                age=36000.0,
                bytes=4096,
                archive_bytes=1024,
                seconds=3.0,
                downtime=2.5,
                backups=7,
                copies={"s3:b": "20261123T020000Z"},
                copy_ages={"s3:b": 36000.0},
                drill=DRILL,
            )
        ],
        repositories=[RepositoryView("/r", "db1", 7, 7168, 10_000, 20_000)],
        drills=[DRILL],
        unprotected=[],
    )


def _volume(found: Overview, **changes: t.Any) -> None:
    found.volumes = [dataclasses.replace(found.volumes[0], **changes)]


def _job(found: Overview, **changes: t.Any) -> None:
    found.jobs[0] = dataclasses.replace(found.jobs[0], **changes)


def _drill_job(found: Overview, **changes: t.Any) -> None:
    found.jobs[1] = dataclasses.replace(found.jobs[1], **changes)


def _record(found: Overview, **changes: t.Any) -> None:
    _job(found, record={**RECORD, **changes})


def test_a_safe_host_is_safe() -> None:
    assert safety.problems(_safe()) == []
    assert status.lines(_safe(), [])[-1] == "This host is safe."


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda f: setattr(f, "interrupted", True),
            "an interrupted run has left something undone: drydock-volumes recover",
        ),
        (lambda f: setattr(f, "docker", "no Docker daemon answers"), "no Docker daemon answers"),
        (lambda f: setattr(f, "jobs", []), "there is no job"),
        (lambda f: setattr(f.repositories[0], "problem", "/r can't be read"), "/r can't be read"),
        (lambda f: _volume(f, newest=None), "volume pgdata: there is no complete backup of it in /r"),
        (lambda f: _volume(f, age=90000.0), "volume pgdata: its newest backup is 1 d 1 h old; 1 d 0 h is allowed"),
        (lambda f: _volume(f, copies={"s3:b": None}), "volume pgdata: there is no copy of its backups in s3:b"),
        (
            lambda f: _volume(f, copies={"s3:b": "20261122T020000Z"}, copy_ages={"s3:b": 122400.0}),
            "volume pgdata: its newest copy in s3:b (20261122T020000Z) is 1 d 10 h old; 1 d 0 h is allowed",
        ),
        (lambda f: _job(f, problem="jobs.d/nightly.json: it is no JSON"), "jobs.d/nightly.json: it is no JSON"),
        (
            lambda f: _record(f, success=False, error="disk full"),
            "job nightly: its last run (2026-11-23T02:01:30Z) failed: disk",
        ),
        (
            lambda f: _record(f, running_since="2026-11-23T11:00:00Z"),
            "job nightly: its run of 2026-11-23T11:00:00Z was int",
        ),
        (
            lambda f: _drill_job(f, record={**RECORD, "success": False, "error": "the image nope is not on this host"}),
            "job monthly: its last run (2026-11-23T02:01:30Z) failed: the image nope",
        ),
        (
            lambda f: _drill_job(f, idle=36 * 86400.0),
            "job monthly: its last good run was 36 d 0 h ago; 35 d 0 h is allowed",
        ),
        (
            lambda f: _drill_job(f, idle=36 * 86400.0, record={}),
            "job monthly: it has had no good run in 36 d 0 h; 35 d 0 h is allowed",
        ),
        (
            lambda f: setattr(f, "drills", [{**DRILL, "success": False, "error": "bad"}]),
            "its last drill (2026-11-22T05:00:00Z) failed: bad",
        ),
    ],
)
def test_what_makes_a_host_unsafe(change: c.Callable[[Overview], None], said: str) -> None:
    found = _safe()
    change(found)
    (problem,) = safety.problems(found)
    assert said in problem
    assert status.lines(found, [problem])[-2:] == [f"! {problem}", "This host is NOT safe."]


def test_a_run_that_is_going_is_no_problem() -> None:
    found = _safe()
    _job(found, record={**RECORD, "running_since": "2026-11-23T11:00:00Z"}, running=True)
    assert safety.problems(found) == []
    assert "runs since 2026-11-23T11:00:00Z" in "\n".join(status.lines(found, []))


def test_a_copy_needs_its_time() -> None:
    found = _safe()
    _volume(found, copies={"s3:b": "20261122T130000Z"}, copy_ages={"s3:b": 82800.0})
    assert safety.problems(found) == []
    assert _samples(exposition.text(found))['drydock_copy_missing{host="db1",repository="s3:b",volume="pgdata"}'] == 0


def test_the_screen() -> None:
    found = _safe()
    found.unprotected = [f"v{number}" for number in range(12)]
    screen = "\n".join(status.lines(found, []))
    assert "pgdata  20261123T020000Z  10 h 0 min  4.0 KiB  1 of 1  good, 2026-11-22T05:00:00Z  nightly" in screen
    assert "nightly  backup  2026-11-23T02:01:30Z  good    1 min 30 s  2.5 s" in screen
    assert "repository /r: 7 backups of db1, 7.0 KiB; 9.8 KiB free of 19.5 KiB" in screen
    assert "12 volumes are in no job: v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, …" in screen


def _checked(text: str) -> str:
    ran = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    return text


def _samples(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_every_metric_is_there_and_as_prometheus_wants_it() -> None:
    text = _checked(exposition.text(_safe(), {"count": 3}))
    assert {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE")} == set(exposition.METRICS)
    found = _samples(text)
    where = '{host="db1",repository="/r",volume="pgdata"}'
    assert found[f"drydock_backup_age_seconds{where}"] == 36000
    assert (
        found[f"drydock_backup_last_success_timestamp_seconds{where}"]
        == dt.datetime(2026, 11, 23, 2, tzinfo=dt.UTC).timestamp()
    )
    assert found['drydock_job_runs_total{action="backup",name="nightly"}'] == 12
    assert found['drydock_drill_restore_seconds{host="db1",volume="pgdata"}'] == 4.1
    assert found["drydock_orphan_volumes"] == 3
    assert found['drydock_drill_overdue{action="drill",name="monthly"}'] == 0
    assert found['drydock_repository_free_bytes{host="db1",repository="/r"}'] == 10_000
    assert found['drydock_copy_missing{host="db1",repository="s3:b",volume="pgdata"}'] == 0


def test_what_is_not_known_is_no_sample() -> None:
    found = _safe()
    _volume(found, newest=None, age=None)
    _job(found, record={"runs": 1, "running_since": "2026-11-23T11:00:00Z"})
    found.unprotected = None
    text = _checked(exposition.text(found))
    assert "drydock_backup_age_seconds{" not in text
    assert "drydock_orphan" not in text
    assert "unprotected" not in text
    samples = _samples(text)
    assert samples['drydock_backup_missing{host="db1",repository="/r",volume="pgdata"}'] == 1
    assert samples['drydock_job_interrupted{action="backup",name="nightly"}'] == 1
    assert 'drydock_job_success{action="backup",name="nightly"}' not in samples


def test_labels_are_escaped_and_samples_are_not_doubled() -> None:
    found = _safe()
    odd = '/a "b" \\ \n'
    _volume(found, repository=odd)
    found.volumes.append(dataclasses.replace(found.volumes[0], job="weekly"))
    assert 'repository="/a \\"b\\" \\\\ \\n"' in _checked(exposition.text(found))


@pytest.mark.parametrize("order", [1, -1])
def test_of_two_jobs_for_one_volume_the_stricter_one_counts(order: int) -> None:
    found = _safe()
    views = [found.volumes[0], dataclasses.replace(found.volumes[0], job="weekly", max_age=8 * 86400.0)]
    found.volumes = views[::order]
    samples = _samples(exposition.text(found))
    assert samples['drydock_backup_max_age_seconds{host="db1",repository="/r",volume="pgdata"}'] == 86400


def test_the_conventions_of_names() -> None:
    for name, (kind, told) in exposition.METRICS.items():
        assert name.startswith("drydock_")
        assert name.endswith("_total") == (kind == "counter")
        assert told.endswith(".")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (None, "?"),
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (150 * 1024, "150 KiB"),
        (3 << 40, "3.0 TiB"),
        (9 << 60, "9216 PiB"),
    ],
)
def test_sizes(count: int | None, text: str) -> None:
    assert show.size(count) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "?"), (0.04, "0.0 s"), (59.4, "59 s"), (61, "1 min 1 s"), (3600, "1 h 0 min"), (90000, "1 d 1 h")],
)
def test_spans(seconds: float | None, text: str) -> None:
    assert show.span(seconds) == text


@pytest.mark.parametrize(
    ("done", "total", "seconds", "text"),
    [
        (0, None, 0.0, "volume a: reading"),
        (10 << 20, None, 2.0, "volume a: reading 10.0 MiB, 5.0 MiB/s"),
        (10 << 20, 20 << 20, 2.0, "volume a: reading 10.0 MiB of 20.0 MiB, 5.0 MiB/s, 2.0 s left"),
        (20 << 20, 20 << 20, 2.0, "volume a: reading 20.0 MiB of 20.0 MiB, 10.0 MiB/s"),
    ],
)
def test_progress_in_words(done: int, total: int | None, seconds: float, text: str) -> None:
    assert progress_line.told("a", "read", done, total, seconds) == text


def test_a_journal_gets_a_line_a_step() -> None:
    stream = io.StringIO()
    with progress_line.watching(as_json=False, colours=False, stream=stream) as watch:
        assert watch is not None
        for step in ("read", "read", "read", "verify", "verify"):
            watch("a", step, 1, 2)
    assert stream.getvalue() == "volume a: reading\nvolume a: verifying\n"
    with progress_line.watching(as_json=True, colours=False, stream=stream) as watch:
        assert watch is None


def test_a_terminal_gets_a_line_where_there_is_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_line, "_rich", lambda _stream, _colours: None)
    ours, theirs = os.openpty()
    with open(theirs, "w") as stream:
        with progress_line.watching(as_json=True, colours=False, stream=stream) as watch:
            assert watch is not None
            watch("pgdata", "read", 1 << 20, 4 << 20)
            watch("pgdata", "verify", 0, None)
        stream.write("end\n")
        stream.flush()
        shown = ""
        while "end" not in shown:
            shown += os.read(ours, 65536).decode()
    os.close(ours)
    assert "pgdata: reading" in shown
    assert "pgdata: verifying" in shown
    assert "Traceback" not in shown
