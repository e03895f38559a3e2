# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_schedule.md and docs/guide_monitoring.md: what is in them is what the roles and the command take.

The roles themselves run in molecule/scheduled_backups, on a host with systemd and with cron.
"""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import re
import subprocess
import sys
import typing as t

import pytest
import yaml

from tests.support.guide import Guide
from tests.support.modules import CHECKOUT, COLLECTIONS

GUIDES = {name: Guide(name) for name in ("guide_schedule.md", "guide_monitoring.md")}
ROLES = CHECKOUT / "roles"


def _blocks(kind: str) -> list[t.Any]:
    return [
        pytest.param(text, id=f"{name}-{title}-{number}")
        for name, guide in GUIDES.items()
        for title, kinds in guide.kinds().items()
        for number, (found, text) in enumerate(zip(kinds, guide.blocks(title), strict=True))
        if found == kind
    ]


def _given(value: object) -> c.Iterator[tuple[str, object]]:
    """All keys of dictionaries in a playbook, with their values."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key), item
            yield from _given(item)
    elif isinstance(value, list):
        for item in value:
            yield from _given(item)


def _spec(role: str) -> dict[str, t.Any]:
    specs = yaml.safe_load((ROLES / role / "meta" / "argument_specs.yml").read_text())["argument_specs"]
    return {name: option for spec in specs.values() for name, option in spec["options"].items()}


SPECS = {role: _spec(role) for role in ("scheduled_backups", "restore_drill", "volume_monitoring")}


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_the_playbooks_are_playbooks_and_their_variables_the_roles(text: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "playbook.yml").write_text(text)
    (tmp_path / "inventory.ini").write_text("[docker_hosts]\nlocalhost\n[monitoring]\nlocalhost\n")
    ran = subprocess.run(
        ["ansible-playbook", "--syntax-check", "-i", "inventory.ini", "playbook.yml"],
        cwd=tmp_path,
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    for key, _value in _given(yaml.safe_load(text)):
        role = next((role for role in SPECS if key.startswith(f"{role}_")), None)
        assert role is None or key in SPECS[role], key


@pytest.mark.parametrize("text", _blocks("yaml"))
def test_the_jobs_are_what_the_command_takes_and_systemd_understands(text: str, tmp_path: pathlib.Path) -> None:
    for key, jobs in _given(yaml.safe_load(text)):
        role = key.removesuffix("_jobs")
        if role not in SPECS or key == role:
            continue
        for job in t.cast("list[dict[str, t.Any]]", jobs):
            assert job.keys() <= SPECS[role][key]["options"].keys()
            action = "drill" if role == "restore_drill" else "backup"
            file = tmp_path / f"{job['name']}.json"
            age = {"max_age": job["max_age"]} if "max_age" in job else {}
            file.write_text(json.dumps({"action": action, **age, **job["options"]}))
            _drydock(action, "--job", str(file), "--check-config")
            if "schedule" in job:
                subprocess.run(["systemd-analyze", "calendar", job["schedule"]], check=True, capture_output=True)


@pytest.mark.parametrize("text", _blocks("shell"))
def test_the_commands_are_there(text: str, tmp_path: pathlib.Path) -> None:
    for line in text.splitlines():
        program, *words = line.split()
        assert program in {"ansible-playbook", "systemctl", "journalctl", "drydock-volumes"}
        if program == "drydock-volumes":
            said = _drydock(words[0], "--help")
            for word in words[1:]:
                assert not word.startswith("--") or word in said, word


def test_every_alert_is_explained() -> None:
    rules = yaml.safe_load((ROLES / "volume_monitoring" / "files" / "drydock.rules.yml").read_text())
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    told = {
        name
        for row in GUIDES["guide_monitoring.md"].rows("Metrics and alerts")
        for name in re.findall("`(D.+?)`", row[0])
    }
    assert alerts == told


def test_links_lead_somewhere() -> None:
    for guide in GUIDES.values():
        assert guide.links() <= guide.anchors()
        for target in re.findall(r"\]\((?!#|https:)([^)#]+)", guide.text):
            assert (CHECKOUT / "docs" / target).exists(), target


def _drydock(*words: str) -> str:
    code = "import sys; from _engine.agent.app import main; sys.exit(main())"
    ran = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins" / "module_utils"), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout
