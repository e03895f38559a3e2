# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line of drydock-volumes: every option of a module by its name, and what they become."""

from __future__ import annotations

import collections.abc as c
import pathlib
import subprocess
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions import backup, backup_info, restore
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import arguments, completion, manual, page
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent.command import Command
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent.commands import COMMANDS
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.validate import validated

BY_NAME = {command.name: command for command in COMMANDS}
HOOK = {"container": "c", "command": "sync"}


def _options(command: Command, above: str = "") -> c.Iterator[str]:
    for name, option in command.spec.arguments.items():
        yield name
        if option["type"] == "dict":
            yield from (f"{name}.{below}" for below in option.get("options", {}))


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("backup a b --repository /r", {"volumes": ["a", "b"], "repository": "/r"}),
        ("backup --volumes a,b --volumes c", {"volumes": ["a", "b", "c"]}),
        ('backup --volumes ["a,b"]', {"volumes": ["a,b"]}),
        ("backup --keep", None),
        (
            "backup --retention.keep-daily 7 --retention.keep_weekly=4",
            {"retention": {"keep_daily": "7", "keep_weekly": "4"}},
        ),
        (
            "backup --retention keep_daily=7 --retention.keep-last 1",
            {"retention": {"keep_daily": "7", "keep_last": "1"}},
        ),
        (
            'backup --retention {"keep_daily":7} --retention.keep-last 1',
            {"retention": {"keep_daily": 7, "keep_last": "1"}},
        ),
        ("backup --selector.all", {"selector": {"all": True}}),
        ("backup --selector.names a*,b* --selector.no-all", None),
        ("backup --no-selector.all", {"selector": {"all": False}}),
        ("backup --skip-unchanged --no-require-match", {"skip_unchanged": True, "require_match": False}),
        (
            "backup --encryption.method age --encryption.recipients a,b",
            {"encryption": {"method": "age", "recipients": ["a", "b"]}},
        ),
        ('backup --exec-before {"container":"c","command":"sync"}', {"exec_before": [HOOK]}),
        ("backup --exec-before container=c,command=sync", {"exec_before": ["container=c,command=sync"]}),
        ("restore a --driver-options type=none,o=bind", {"volume": "a", "driver_options": "type=none,o=bind"}),
        ("restore a b", None),
        ("restore a --volume b", None),
        ("backup a --volumes b", None),
        ("list --repository /r", {"repository": "/r"}),
        (
            "drill a --command sh,-c,true --check-command true",
            {"volumes": ["a"], "command": ["sh", "-c", "true"], "check_command": "true"},
        ),
        ("nonsense", None),
        ("", None),
        ("backup --retention.nonsense 1", None),
        ("backup --retention nonsense --retention.keep-last 1", None),
        ('backup --volumes ["a"', None),
        ("status a --max-age 1d", {"jobs": ["a"], "max_age": "1d"}),
    ],
)
def test_what_words_become(words: str, given: dict[str, t.Any] | None) -> None:
    if given is None:
        with pytest.raises(UsageError):
            arguments.parse(COMMANDS, words.split())
        return
    command, _own, found = arguments.parse(COMMANDS, words.split())
    assert command.name == words.split(maxsplit=1)[0]
    assert found == given


@pytest.mark.parametrize(
    ("words", "own"),
    [
        ("backup --job x --json --dry-run --diff", {"job": "x", "json": True, "dry_run": True, "diff": True}),
        ("backup --job x --check-config", {"job": "x", "check_config": True}),
        ("list --job x", {"job": "x"}),
        ("recover --json --dry_run", {"json": True, "dry_run": True}),
    ],
)
def test_what_is_about_the_command_itself(words: str, own: dict[str, t.Any]) -> None:
    found = arguments.parse(COMMANDS, words.split())[1]
    assert {name: value for name, value in found.items() if value} == own


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_explained(command: Command) -> None:
    for name in _options(command):
        assert manual.help_of(command.name, name)


@pytest.mark.parametrize(
    ("name", "spec", "left_out"),
    [
        ("backup", backup.SPEC, set()),
        ("restore", restore.SPEC, set()),
        ("list", backup_info.SPEC, {"verify", "decryption"}),
        ("verify", backup_info.SPEC, {"verify"}),
    ],
)
def test_the_options_are_the_modules(name: str, spec: t.Any, left_out: set[str]) -> None:
    assert dict(BY_NAME[name].spec.arguments) == {
        option: value for option, value in spec.arguments.items() if option not in left_out
    }


def test_lines_of_hooks_are_validated_as_objects() -> None:
    found = arguments.parse(COMMANDS, ["backup", "a", "--repository=/r", "--exec-before", "container=c,command=sync"])[
        2
    ]
    assert validated(backup.SPEC, found)["exec_before"] == [{**HOOK, "argv": None, "user": None}]


def test_help_is_printed_and_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        arguments.parse(COMMANDS, ["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert all(command.name in said for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_the_help_of_each_names_its_options(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        arguments.parse(COMMANDS, [command.name, "--help"])
    said = capsys.readouterr().out
    assert all(arguments.flag(name) in said for name in _options(command))


def test_the_manual_page_has_every_option_and_is_good_roff(tmp_path: pathlib.Path) -> None:
    text = page.page(COMMANDS, "0.0")
    (tmp_path / "page.1").write_text(text)
    ran = subprocess.run(
        ["groff", "-man", "-ww", "-z", "-Tutf8", tmp_path / "page.1"], capture_output=True, text=True, check=True
    )
    assert ran.stderr == ""
    shown = subprocess.run(
        ["groff", "-man", "-Tascii", "-P-cbou", "-rLL=200n", tmp_path / "page.1"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for command in COMMANDS:
        for name in _options(command):
            assert arguments.flag(name) in shown


COMPLETE = """
source "$1"; shift
COMP_WORDS=(drydock-volumes "$@"); COMP_CWORD=$#
_drydock_volumes
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("words", "some"),
    [
        (["ba"], {"backup"}),
        ([""], {"backup", "restore", "drill", "status"}),
        (["--v"], {"--version"}),
        (["backup", "--quies"], {"--quiesce"}),
        (["backup", "--retention.keep-d"], {"--retention.keep-daily"}),
        (["backup", "--quiesce", ""], {"none", "pause", "stop"}),
        (["restore", "--quiesce", ""], {"none", "stop"}),
        (["backup", "--encryption.method", "a"], {"age"}),
        (["backup", "--job", ""], {"nightly", "weekly"}),
        (["backup", "--dry"], {"--dry-run"}),
    ],
)
def test_bash_completes_words(words: list[str], some: set[str], tmp_path: pathlib.Path) -> None:
    (tmp_path / "script").write_text(completion.script(COMMANDS, "drydock-volumes"))
    (tmp_path / "jobs.d").mkdir()
    for name in ("nightly.json", "weekly.json", ".hidden.json", "README"):
        (tmp_path / "jobs.d" / name).touch()
    ran = subprocess.run(
        ["bash", "-c", COMPLETE, "bash", tmp_path / "script", *words],
        env={"PATH": "/usr/bin:/bin", "DRYDOCK_CONFIG_DIRECTORY": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    found = set(ran.stdout.split())
    assert ran.stderr == ""
    assert found == some if words != [""] else some <= found
