# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: what a file may hold, what the command line adds to it, and the lock."""

from __future__ import annotations

import dataclasses
import json
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import journal, records, runs
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import app, jobs
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent.commands import COMMANDS
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import Report
from tests.unit.samples import UNMEANT

BACKUP = {"action": "backup", "volumes": ["a"], "repository": "/r"}
BY_NAME = {command.name: command for command in COMMANDS}


@pytest.fixture
def folder(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(jobs, "CONFIGURATION", str(tmp_path))
    monkeypatch.setattr(journal, "STATE", str(tmp_path / "state"))
    (tmp_path / "jobs.d").mkdir()
    return tmp_path / "jobs.d"


def _write(folder: pathlib.Path, content: t.Any, name: str = "nightly") -> None:
    (folder / f"{name}.json").write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "jobs.d/nightly.json: it is no JSON"),
        ([], "jobs.d/nightly.json: it is not an object"),
        ("[" * 100_000, "jobs.d/nightly.json: it is no JSON"),
        ({"volumes": ["a"]}, "jobs.d/nightly.json: action: this is required: backup or drill"),
        ({**BACKUP, "action": 1}, "jobs.d/nightly.json: action: this is required"),
        ({**BACKUP, "action": "drill"}, "its action is drill, so it is for: drill --job nightly"),
        (
            {**BACKUP, "retention": {"keep_daily": "x"}},
            "jobs.d/nightly.json: retention.keep_daily: 'x' is not an integer",
        ),
        ({**BACKUP, "parallel": "x", "quiesce": "y"}, "jobs.d/nightly.json: parallel: 'x' is not an integer"),
        ({**BACKUP, "max_age": "soon"}, "jobs.d/nightly.json: max_age: 'soon' is no age"),
        ({**BACKUP, "max_age": 3}, "jobs.d/nightly.json: max_age: 3 is no age"),
        (b"\xff".decode("latin1"), "it is no JSON"),
    ],
)
def test_a_file_that_is_wrong(
    folder: pathlib.Path, content: t.Any, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(folder, content)
    assert app.main(["backup", "--job", "nightly"]) == 2
    assert said in capsys.readouterr().err


def test_a_job_that_is_not_there_and_those_that_are(folder: pathlib.Path) -> None:
    _write(folder, BACKUP, "weekly")
    (folder / ".x.json").touch()
    (folder / "notes.txt").touch()
    assert jobs.names() == ["weekly"]
    with pytest.raises(UsageError, match=r"there is no job nightly: .*; there are: weekly"):
        jobs.read("nightly")
    for name in ("../x", ".x", "", "a b"):
        with pytest.raises(UsageError):
            jobs.read(name)


def test_a_job_by_its_path_is_only_checked_on_demand(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = folder / "elsewhere"
    path.write_text(json.dumps({**BACKUP, "max_age": "36h"}))
    assert app.main(["backup", "--job", str(path), "--check-config"]) == 0
    assert capsys.readouterr().out == "the options are good\n"
    assert jobs.read(str(path)).max_age == 36 * 3600
    path.write_text(json.dumps({**BACKUP, "quiesce": "freeze"}))
    assert app.main(["backup", "--job", str(path), "--check-config"]) == 2


@pytest.mark.parametrize(("action", "options", "problem"), UNMEANT)
def test_a_job_that_cannot_be_meant(
    folder: pathlib.Path, action: str, options: dict[str, t.Any], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    place = {"repository": "/var/backups/volumes", "volumes": ["a"]}
    _write(folder, {"action": action, **place, **options})
    assert app.main([action, "--job", "nightly", "--check-config"]) == 2
    said = capsys.readouterr().err
    assert problem in said.partition("jobs.d/nightly.json: ")[2]


@pytest.mark.parametrize(
    ("command", "given", "taken"),
    [
        ("backup", {}, {"volumes": ["a"], "repository": "/r", "retention": {"keep_last": 1}}),
        ("backup", {"volumes": ["b"]}, {"volumes": ["b"], "repository": "/r", "retention": {"keep_last": 1}}),
        (
            "backup",
            {"selector": {"all": True}},
            {"selector": {"all": True}, "repository": "/r", "retention": {"keep_last": 1}},
        ),
        (
            "backup",
            {"retention": {"keep_daily": 2}},
            {"volumes": ["a"], "repository": "/r", "retention": {"keep_last": 1, "keep_daily": 2}},
        ),
        ("restore", {"volume": "x"}, {"volume": "x", "repository": "/r"}),
        ("restore", {"volume": "x", "archive": "/a"}, {"volume": "x", "archive": "/a"}),
        ("list", {}, {"repository": "/r"}),
    ],
)
def test_what_is_taken_from_a_job(
    folder: pathlib.Path, command: str, given: dict[str, t.Any], taken: dict[str, t.Any]
) -> None:
    _write(folder, {**BACKUP, "retention": {"keep_last": 1}})
    assert jobs.taken(jobs.read("nightly"), BY_NAME[command], given) == taken


def test_a_run_that_is_going_is_never_doubled(folder: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(folder, BACKUP)
    job = jobs.read("nightly")
    assert not jobs.is_running("nightly")
    with jobs.running(job):
        assert jobs.is_running("nightly")
        assert app.main(["backup", "--job", "nightly"]) == 4
        assert "job nightly runs already; nothing was done" in capsys.readouterr().err
    assert not jobs.is_running("nightly")


def test_how_a_run_failed_is_noted_before_another_may_begin(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(_params: object, **_options: object) -> t.NoReturn:
        raise UsageError("the disk is full")

    seen: list[tuple[bool, str | None]] = []
    mine = dataclasses.replace(BY_NAME["backup"], run=failing)
    monkeypatch.setattr(app, "COMMANDS", [mine])
    monkeypatch.setattr(
        runs.Run, "ended", lambda _run, _code, _report, error=None: seen.append((jobs.is_running("nightly"), error))
    )
    _write(folder, BACKUP)
    assert app.main(["backup", "--job", "nightly"]) == 2
    assert seen == [(True, "the disk is full")]


def test_a_run_of_part_of_a_job_is_none_of_the_job(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def done(_params: object, *, check: bool = False, watch: object = None) -> Report:
        del check, watch
        return Report(changed=True, values={"backups": [], "failures": []})

    mine = dataclasses.replace(BY_NAME["backup"], run=done, show=lambda _report, _check: [])
    monkeypatch.setattr(app, "COMMANDS", [mine])
    _write(folder, BACKUP)
    failed = runs.Run("nightly", "backup")
    failed.ended(3, None, "disk full")
    elsewhere = folder.parent / "nightly.json"
    elsewhere.write_text(json.dumps(BACKUP))

    def success() -> bool:
        record = records.read(records.RUNS, "nightly")
        assert record is not None
        return bool(record["success"])

    for words in (["nightly", "a"], ["nightly", "--repository", "/s"], [str(elsewhere)]):
        assert app.main(["backup", "--job", *words]) == 0
        assert not success()
    assert app.main(["backup", "--job", str(folder / "nightly.json"), "--json"]) == 0
    assert success()
    runs.Run("nightly", "backup").ended(3, None, "disk full")
    assert app.main(["backup", "--job", "nightly"]) == 0
    assert success()


@pytest.mark.parametrize(("text", "seconds"), [("36h", 129600), ("2d", 172800), ("1w", 604800)])
def test_ages(text: str, seconds: float) -> None:
    assert jobs.seconds(text) == seconds


@pytest.mark.parametrize("text", ["", "h", "1", "1m", "-1h", "1.5d", "1h1d", None, 3, "9999999h"])
def test_what_is_no_age(text: t.Any) -> None:
    with pytest.raises(ValueError, match="is no age"):
        jobs.seconds(text)
