# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A role that schedules something gives private variables to the role that does it for all: extra variables win over
what has a public name."""

from __future__ import annotations

import pathlib
import re
import typing as t

import pytest
import yaml

ROLES = pathlib.Path(__file__).resolve().parents[2] / "roles"


def includes(tasks: list[dict[str, t.Any]]) -> t.Iterator[dict[str, t.Any]]:
    """The tasks that run another role."""
    for task in tasks:
        for block in ("block", "rescue", "always"):
            yield from includes(task.get(block, []))
        if any(name.endswith(("include_role", "import_role")) for name in task):
            yield task


@pytest.mark.parametrize("role", ["restore_drill", "volume_monitoring"])
def test_no_role_gives_another_one_public_variables(role: str) -> None:
    tasks = [task for path in (ROLES / role / "tasks").glob("*.yml") for task in yaml.safe_load(path.read_text())]
    found = list(includes(tasks))
    assert found
    for task in found:
        assert [name for name in task["vars"] if not name.startswith("__")] == [], task["name"]


def test_what_several_roles_run_reads_private_variables() -> None:
    role = ROLES / "scheduled_backups"
    public = set(yaml.safe_load((role / "defaults" / "main.yml").read_text()))
    given = yaml.safe_load((role / "vars" / "main.yml").read_text())
    assert {name for name in given if f"__{name}" in given} == set()
    for name in public:
        assert given[f"__{name}"] == f"{{{{ {name} }}}}"
        for path in [*(role / "tasks").iterdir(), *(role / "templates").iterdir()]:
            assert not re.search(rf"(?<!_){name}\b", path.read_text()), path
