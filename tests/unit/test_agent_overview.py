# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of a host's backups, out of jobs, repositories and the records of runs."""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import names, records, runs
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import (
    exposition,
    jobs,
    overview,
    safety,
    views,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import Report
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.samples import UNMEANT, a_manifest, put

HOUR, DAY = dt.timedelta(hours=1), dt.timedelta(days=1)


class Host:
    """A host with a daemon, jobs, a repository, and what runs have left word of."""

    def __init__(self, folder: pathlib.Path, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        self.now = names.utc_now()
        self.jobs = folder / "jobs.d"
        self.jobs.mkdir()
        self.path = folder / "backups"
        self.path.mkdir()
        self.repository = Directory(str(self.path))

    def job(self, name: str = "nightly", **options: t.Any) -> None:
        """Write a job of db1's."""
        what = {} if {"volumes", "selector"} & options.keys() else {"volumes": ["pgdata"]}
        content = {"action": "backup", "repository": str(self.path), "host": "db1", **what, **options}
        (self.jobs / f"{name}.json").write_text(json.dumps(content))

    def put(self, age: dt.timedelta) -> str:
        """Publish a backup of pgdata."""
        return put(self.repository, when=self.now - age)

    def remove(self, backup_id: str) -> None:
        """Remove a backup of pgdata."""
        self.repository.remove(self.repository.backup("db1", "pgdata", backup_id))

    def at(self, age: dt.timedelta, number: int = 1) -> str:
        """The identifier of a backup that is as old as that."""
        return names.stamp(self.now - age) + ("" if number == 1 else f"-{number}")

    def record(self, job: str = "nightly", **values: t.Any) -> None:
        """Have a run of a job, an hour ago, left word of something."""
        done = names.iso(self.now - HOUR)
        ran = {"started_at": done, "finished_at": done, "last_success_at": done, "running_since": None, "error": None}
        records.write(records.RUNS, job, {**ran, "success": True, "exit_code": 0, "runs": 1, **values})

    def look(self, wanted: list[str] | None = None) -> views.Overview:
        """All that is known."""
        connection = Connection(docker_host=self.daemon.url)
        return overview.gather(lambda: Client(connection), wanted, views.MAX_AGE)

    def problems(self) -> list[str]:
        """What wants looking after."""
        return safety.problems(self.look())

    def samples(self) -> dict[str, float]:
        """The metrics."""
        lines = [line for line in exposition.text(self.look()).splitlines() if not line.startswith("#")]
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
def host(tmp_path: pathlib.Path, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(jobs, "CONFIGURATION", str(tmp_path))
    return Host(tmp_path, daemon)


def _report(**values: t.Any) -> Report:
    return Report(changed=True, values={"backups": [], "unchanged": [], "failures": [], **values})


def _copied(repository: str, *ids: str) -> Report:
    return _report(diff={"after": {"copies": {repository: {"pgdata": list(ids)}}}})


def test_a_backup_that_is_dated_in_the_future_does_not_hide_that_the_others_are_old(host: Host) -> None:
    host.job()
    old, future = host.put(3 * DAY), host.put(-300 * DAY)
    (view,) = host.look().volumes
    assert (view.newest, view.future, view.backups) == (old, [future], 2)
    first, second = host.problems()
    assert f"its backup {future} in {host.path} is dated in the future" in first
    assert "its newest backup is 3 d 0 h old" in second


def test_a_clock_that_is_a_little_ahead_is_none_that_is_wrong(host: Host) -> None:
    host.job()
    newest = host.put(-dt.timedelta(minutes=5))
    (view,) = host.look().volumes
    assert (view.newest, view.age, view.future) == (newest, 0, [])
    assert host.problems() == []


def test_a_remotes_backup_that_is_dated_in_the_future_is_none(host: Host) -> None:
    host.job(repository="s3:b")
    future = host.at(-DAY)
    known = {"id": future, "bytes": 1, "archive_bytes": 1, "seconds": 1.0, "downtime_seconds": 0}
    host.record(volumes={"pgdata": known})
    (view,) = host.look().volumes
    assert (view.newest, view.future) == (None, [future])


def test_a_copy_that_is_dated_in_the_future_is_not_the_newest() -> None:
    run = runs.Run("nightly", "backup")
    now = names.utc_now()
    good, future = names.stamp(now - HOUR), names.stamp(now + 30 * DAY)
    run.ended(0, _copied("s3:b", good, future, "20260230T101502Z", "(a new backup)"))
    record = records.read(records.RUNS, "nightly")
    assert record is not None
    assert record["copies"] == {"pgdata": {"s3:b": good}}


def test_a_drill_job_that_has_had_no_good_run_for_long_is_told(host: Host) -> None:
    host.job("monthly", action="drill")
    assert host.problems() == []  # its file is new
    file = host.jobs / "monthly.json"
    written = (host.now - 36 * DAY).timestamp()
    os.utime(file, (written, written))
    (problem,) = host.problems()
    assert "job monthly: it has had no good run in 36 d" in problem
    assert host.samples()['drydock_drill_overdue{action="drill",name="monthly"}'] == 1
    host.record("monthly")
    assert host.problems() == []
    assert host.samples()['drydock_drill_overdue{action="drill",name="monthly"}'] == 0
    host.job("monthly", action="drill", max_age="1h")
    host.record("monthly", last_success_at=names.iso(host.now - 2 * HOUR))
    (problem,) = host.problems()
    assert "its last good run was 2 h 0 min ago; 1 h 0 min is allowed" in problem


@pytest.mark.parametrize(("written", "root"), [("/mnt/nas//backups/", "/mnt/nas/backups"), ("s3:b/x/", "s3:b/x")])
def test_a_copy_is_found_however_its_repository_is_written(host: Host, written: str, root: str) -> None:
    host.job(copies=[{"repository": written}])
    copy = host.put(HOUR)
    run = runs.Run("nightly", "backup")
    run.ended(0, _copied(root, copy))
    (view,) = host.look().volumes
    assert view.copies == {root: copy}
    assert host.problems() == []


def test_an_hourly_job_does_not_put_the_nightly_ones_copies_behind(host: Host) -> None:
    host.job("hourly", max_age="3h")
    host.job("nightly", max_age="36h", copies=[{"repository": "s3:b"}])
    host.put(HOUR)
    host.record("nightly", copies={"pgdata": {"s3:b": host.at(20 * HOUR)}})
    assert host.problems() == []
    host.record("nightly", copies={"pgdata": {"s3:b": host.at(40 * HOUR)}})
    (problem,) = host.problems()
    assert "its newest copy in s3:b" in problem


def test_what_is_there_is_what_any_job_has_seen(host: Host) -> None:
    for name, age in (("a", 50 * HOUR), ("b", 2 * HOUR)):
        host.job(name, copies=[{"repository": "s3:b"}])
        host.record(name, copies={"pgdata": {"s3:b": host.at(age)}})
    host.put(2 * HOUR)
    assert host.problems() == []
    assert [view.copies for view in host.look(["a"]).volumes] == [{"s3:b": host.at(2 * HOUR)}]
    # but not what one of another host's backups has seen
    host.job("b", host="db2", copies=[{"repository": "s3:b"}])
    assert [view.copies for view in host.look(["a"]).volumes] == [{"s3:b": host.at(50 * HOUR)}]


def test_so_is_what_is_in_a_remote(host: Host) -> None:
    for name, age in (("a", 50 * HOUR), ("b", 2 * HOUR)):
        host.job(name, repository="s3:b" + "/" * (name == "b"))
        known = {"id": host.at(age), "bytes": 1, "archive_bytes": 1, "seconds": 1.0, "downtime_seconds": 0}
        host.record(name, volumes={"pgdata": known})
    assert host.problems() == []


def test_an_unchanged_volumes_backup_is_as_old_as_the_last_look_at_it(host: Host) -> None:
    host.job(skip_unchanged=True, copies=[{"repository": "s3:b"}])
    old = host.put(9 * DAY)
    assert len(host.problems()) == 2
    run = runs.Run("nightly", "backup")
    unchanged = [{"volume": "pgdata", "id": old, "seconds": 0.1}]
    run.ended(0, Report(changed=False, values={**_copied("s3:b", old).values, "unchanged": unchanged}))
    assert host.problems() == []
    (view,) = host.look().volumes
    assert view.newest == old
    labels = f'{{host="db1",repository="{host.path}",volume="pgdata"}}'
    samples = host.samples()
    assert samples[f"drydock_backup_age_seconds{labels}"] < 60
    assert samples[f"drydock_backup_last_success_timestamp_seconds{labels}"] >= host.now.timestamp()
    # without the backup, that it was as the volume is helps nobody
    older = host.put(12 * DAY)
    host.remove(old)
    (view,) = host.look().volumes
    assert (view.newest, view.confirmed) == (older, None)
    assert "its newest backup is 12 d 0 h old" in host.problems()[0]


def test_an_unchanged_volume_of_a_remote_has_a_backup_whoever_made_it(host: Host) -> None:
    host.job(repository="s3:b", skip_unchanged=True)
    old = host.at(9 * DAY)
    runs.Run("nightly", "backup").ended(0, _report(unchanged=[{"volume": "pgdata", "id": old, "seconds": 0.1}]))
    assert host.problems() == []
    assert [view.newest for view in host.look().volumes] == [old]


def test_a_new_backup_is_no_longer_one_that_was_found_unchanged() -> None:
    unchanged = [{"volume": "pgdata", "id": "20261120T020000Z", "seconds": 0.1}]
    runs.Run("nightly", "backup").ended(0, _report(unchanged=unchanged))
    made = {**a_manifest(), "seconds": 1.0}
    runs.Run("nightly", "backup").ended(0, _report(backups=[made]))
    record = records.read(records.RUNS, "nightly")
    assert record is not None
    assert record["confirmed"] == {}


@pytest.mark.parametrize(("action", "options", "problem"), UNMEANT)
def test_one_job_that_cannot_be_meant_is_told_beside_the_others(
    host: Host, action: str, options: dict[str, t.Any], problem: str
) -> None:
    host.job()
    host.put(HOUR)
    host.job("bad", **{"action": action, "volumes": ["a"], "repository": "/var/backups/volumes", **options})
    samples = host.samples()
    assert samples[f'drydock_job_valid{{action="{action}",name="bad"}}'] == 0
    assert samples['drydock_job_valid{action="backup",name="nightly"}'] == 1
    assert f'drydock_backups{{host="db1",repository="{host.path}",volume="pgdata"}}' in samples
    (said,) = host.problems()
    assert said.startswith("jobs.d/bad.json: ")
    assert problem in said


def test_a_label_that_decides_nothing_ends_its_own_job_only(host: Host) -> None:
    host.job()
    host.put(HOUR)
    host.job("all", selector={"all": True})
    host.daemon.volume("odd", "/nope", Labels={"drydock.backup": "perhaps"})
    (said,) = host.problems()
    assert said.startswith("job all: volume odd: the label drydock.backup of the volume is 'perhaps'")
    assert host.samples()['drydock_job_valid{action="backup",name="all"}'] == 0


@pytest.mark.parametrize("going", [True, False])
def test_a_run_that_begins_or_ends_meanwhile_is_none_that_died(
    host: Host, monkeypatch: pytest.MonkeyPatch, *, going: bool
) -> None:
    host.job()
    host.put(HOUR)
    looked: list[bool] = []

    def is_running(name: str) -> bool:
        """One begins right after we have looked; the next time it goes on, or has ended."""
        if not looked:
            host.record(name, running_since=names.iso(host.now))
        elif not going:
            host.record(name)
        looked.append(bool(looked) and going)
        return looked[-1]

    monkeypatch.setattr(jobs, "is_running", is_running)
    assert host.problems() == []


def test_a_run_that_died_is_told(host: Host) -> None:
    host.job()
    host.put(HOUR)
    host.record(running_since="2026-11-23T02:00:00Z")
    assert host.problems() == ["job nightly: its run of 2026-11-23T02:00:00Z was interrupted"]


def test_a_selector_means_what_there_is_where_docker_tells(host: Host) -> None:
    host.job(selector={"names": ["pg*"]})
    known = {"id": host.at(HOUR), "bytes": 1, "archive_bytes": 1, "seconds": 1.0, "downtime_seconds": 0}
    host.record(volumes={"pgdata": known})
    assert host.look().volumes == []  # Docker has no volumes any more
    host.daemon.answers["GET /volumes"] = (500, {"message": "no"})
    assert [view.volume for view in host.look().volumes] == ["pgdata"]


def _chosen(host: Host, *volumes: str) -> None:
    host.job(selector={"all": True}, max_age="26h")
    host.put(HOUR)
    for name in volumes:
        host.daemon.volume(name, "/nope")


def test_a_volume_that_is_new_has_until_the_next_run(host: Host) -> None:
    _chosen(host, "pgdata", "new")
    missing = f'drydock_backup_missing{{host="db1",repository="{host.path}",volume="new"}}'
    assert host.problems() == [f"volume new: there is no complete backup of it in {host.path}"]  # no run yet
    assert host.samples()[missing] == 1
    host.record()
    assert host.problems() == []
    assert host.samples()[missing] == 0
    late = names.iso(host.now - 27 * HOUR)
    host.record(started_at=late, finished_at=late)
    assert host.problems() == [f"volume new: there is no complete backup of it in {host.path}"]


@pytest.mark.parametrize(
    "record",
    [
        {"success": False, "error": "volume new: it can't be read"},
        {"volumes": {"new": {"id": "20261123T101502Z"}}},
        {"confirmed": {"new": {"id": "20261123T101502Z", "at": "2026-11-24T10:15:02Z"}}},
    ],
)
def test_one_that_the_last_run_has_seen_has_not(host: Host, record: dict[str, t.Any]) -> None:
    _chosen(host, "pgdata", "new")
    host.record(**record)
    assert f"volume new: there is no complete backup of it in {host.path}" in host.problems()


def test_nor_has_one_that_the_job_names(host: Host) -> None:
    host.job(volumes=["new"])
    host.record()
    assert host.problems() == [f"volume new: there is no complete backup of it in {host.path}"]


def test_nobody_misses_volumes_without_names_of_their_own(host: Host) -> None:
    nameless = "0123456789abcdef" * 4
    _chosen(host, "pgdata", nameless)
    assert [view.volume for view in host.look().volumes] == ["pgdata"]
    host.daemon.answers["GET /volumes"][1]["Volumes"][1]["Labels"] = {"app": "shop"}
    host.job(selector={"labels": ["app=shop"]})
    assert [view.volume for view in host.look().volumes] == [nameless]
