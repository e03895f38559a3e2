# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notifications: what is in them, what isn't, and how they leave."""

from __future__ import annotations

import json
import pathlib
import sys
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import notices
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import notify
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import Report
from ansible_collections.drydock.volumes.plugins.module_utils._engine.validate import validated

UNIT = "drydock-backup-nightly.service"
FACTS = {"Description": "Backup, job nightly", "InvocationID": "1f", "Result": "exit-code", "ExecMainStatus": "1"}


def test_the_message() -> None:
    title, body = notices.message(UNIT, "db1", FACTS, ["volume a: tar exited 2"])
    assert title == f"{UNIT} failed on db1"
    assert body == (
        "Backup, job nightly failed on db1 (exit-code, exit status 1).\n\n"
        "The last that it said:\n\nvolume a: tar exited 2\n\n"
        f"All of it: journalctl -u {UNIT}\n"
        "How this host's backups are: drydock-volumes status\n"
    )


def test_a_message_without_systemd_and_without_a_log() -> None:
    _title, body = notices.message("nightly", "db1", {}, [])
    assert body.startswith("nightly failed on db1.\n\nAll of it")


@pytest.mark.parametrize(
    "line",
    [
        "mount: addr=h,password=hunter2: no such device",
        "sftp://ops:hunter2@h/x: refused",
        "https://hunter2@h/x",
        "Password: hunter2",
        'api_key = "hunter2"',
        "RCLONE_PASS=hunter2",
        "token=hunter2&x=y",
        "authorization: hunter2",
    ],
)
def test_f71_what_looks_like_a_secret_stays_out(line: str) -> None:
    assert "hunter2" not in notices.message(UNIT, "db1", FACTS, [line])[1]


def test_what_looks_like_none_stays_in() -> None:
    line = "volume tokens: compass=north, https://h/a@b, passed 3 of 4"
    assert line in notices.message(UNIT, "db1", FACTS, [line])[1]


def test_a_line_has_an_end() -> None:
    assert len(notices.message(UNIT, "db1", FACTS, ["x" * 100_000])[1]) < 1000


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[]", "it must be an object"),
        ('{"comand": []}', "it must be an object with command, apprise or lines"),
        ('{"command": "mail ops"}', "command must be a list of words"),
        ('{"apprise": []}', "apprise must be a file's name"),
        ('{"lines": -1}', "lines must be 0 or more"),
        ("{", "are wrong"),
        (None, "can't be read: No such file or directory"),
    ],
)
def test_wrong_settings(tmp_path: pathlib.Path, text: str | None, why: str) -> None:
    path = tmp_path / "notify.json"
    if text is not None:
        path.write_text(text)
    with pytest.raises(UsageError, match=why):
        notices.Settings.read(str(path))


def _notify(tmp_path: pathlib.Path, check: bool = False, log: str = "one\ntwo\n", **settings: t.Any) -> Report:
    path, said = tmp_path / "notify.json", tmp_path / "log"
    path.write_text(json.dumps(settings))
    said.write_text(log)
    given = {"unit": "no-such-unit", "settings": str(path), "log": str(said)}
    return notify.run(validated(notify.SPEC, given), check=check)


def test_a_command_gets_the_message_as_its_input(tmp_path: pathlib.Path) -> None:
    told = tmp_path / "told"
    report = _notify(tmp_path, command=["tee", str(told)], lines=1)
    assert report.failure is None
    text = told.read_text()
    assert text.splitlines()[0].startswith("no-such-unit failed on ")
    assert "two" in text
    assert "one" not in text.split("The last that it said:")[1].split("All of it")[0]


def test_nobody_is_told_in_check_mode(tmp_path: pathlib.Path) -> None:
    report = _notify(tmp_path, check=True, command=["tee", str(tmp_path / "told")])
    assert "two" in report.values["notes"]
    assert not (tmp_path / "told").exists()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({}, "no way to notify anybody is set"),
        ({"command": ["false"]}, "false exited 1"),
        ({"command": ["/no/such/program"]}, "/no/such/program: No such file or directory"),
        ({"command": ["no-such-program"]}, "the program 'no-such-program' is not on this host"),
        ({"command": [sys.executable, "-c", "raise SystemExit('password=hunter2')"]}, "exited 1: password="),
    ],
)
def test_what_goes_wrong_is_told(tmp_path: pathlib.Path, settings: dict[str, t.Any], why: str) -> None:
    failure = _notify(tmp_path, **settings).failure
    assert why in str(failure)
    assert "hunter2" not in str(failure)


def test_one_way_that_fails_does_not_stop_the_other(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "apprise"
    program.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/arguments\ncat >{tmp_path}/body\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    report = _notify(tmp_path, command=["/bin/false"], apprise="/etc/drydock/apprise.conf")
    assert report.values["problems"] == ["the command failed, so nobody was notified that way: /bin/false exited 1"]
    arguments = (tmp_path / "arguments").read_text()
    assert arguments.startswith("--config=/etc/drydock/apprise.conf --title=no-such-unit failed on ")
    assert "two" not in arguments
    assert "two" in (tmp_path / "body").read_text()
