# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the modules and the roles are what these take: people copy them."""

from __future__ import annotations

import collections.abc as c
import importlib
import pathlib
import typing as t

import pytest
import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]
PREFIX = "drydock.volumes."
Options = c.Mapping[str, dict[str, t.Any]]


def _modules() -> dict[str, Options]:
    """The documented options of each module."""
    found = {}
    for file in sorted((ROOT / "plugins/modules").glob("[a-z]*.py")):
        module = importlib.import_module(f"ansible_collections.drydock.volumes.plugins.modules.{file.stem}")
        documented = yaml.safe_load(module.DOCUMENTATION)
        options: dict[str, dict[str, t.Any]] = {}
        for fragment in documented.get("extends_documentation_fragment", ()):
            name = fragment.rpartition(".")[2]
            shared = importlib.import_module(f"ansible_collections.drydock.volumes.plugins.doc_fragments.{name}")
            options.update(yaml.safe_load(shared.ModuleDocFragment.DOCUMENTATION).get("options", {}))
        found[file.stem] = {**options, **documented["options"]}
    return found


def _roles() -> dict[str, dict[str, t.Any]]:
    """The argument spec of each role."""
    files = (ROOT / "roles").glob("*/meta/argument_specs.yml")
    return {file.parts[-3]: yaml.safe_load(file.read_text())["argument_specs"]["main"] for file in sorted(files)}


MODULES, ROLES = _modules(), _roles()


def _tasks(tasks: c.Iterable[dict[str, t.Any]]) -> c.Iterator[dict[str, t.Any]]:
    for task in tasks:
        yield task
        for part in ("block", "rescue", "always", "tasks", "pre_tasks", "post_tasks", "handlers"):
            yield from _tasks(task.get(part) or ())


def _templated(value: t.Any) -> bool:
    return isinstance(value, str) and "{{" in value


def _wrong(options: Options, given: t.Any, where: str) -> list[str]:
    """What isn't as the options say."""
    if not isinstance(given, dict):
        return [f"{where} is {given!r}"]
    found = [f"{where}.{key} isn't known" for key in given if key not in options]
    found += [
        f"{where}.{key} is missing" for key, option in options.items() if option.get("required") and key not in given
    ]
    for key, value in given.items():
        option = options.get(key)
        if option is None or _templated(value):
            continue
        below = option.get("suboptions") or option.get("options")
        values = value if option.get("type") == "list" and isinstance(value, list) else [value]
        if value is None:
            found.append(f"{where}.{key} has no value")
        elif "choices" in option:
            found += [f"{where}.{key} is {one!r}" for one in values if one not in option["choices"]]
        elif below:
            for number, one in enumerate(one for one in values if not _templated(one)):
                found += _wrong(below, one, f"{where}.{key}[{number}]")
    return found


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_modules(name: str) -> None:
    module = importlib.import_module(f"ansible_collections.drydock.volumes.plugins.modules.{name}")
    used, wrong = set(), []
    for task in _tasks(yaml.safe_load(module.EXAMPLES)):
        for key, given in task.items():
            if key.startswith(PREFIX):
                used.add(key[len(PREFIX) :])
                wrong += _wrong(MODULES[key[len(PREFIX) :]], given or {}, key)
    assert wrong == []
    assert name in used


@pytest.mark.parametrize("name", ROLES)
def test_the_examples_of_roles(name: str) -> None:
    used = set()
    for play in yaml.safe_load(ROLES[name]["examples"]):
        for role in play.get("roles", ()):
            role_name = role["role"][len(PREFIX) :]
            used.add(role_name)
            given = {**(play.get("vars") or {}), **role.get("vars", {})}
            assert _wrong(ROLES[role_name]["options"], given, role_name) == []
    assert name in used


def test_the_jobs_in_the_examples_of_two_roles_go_together() -> None:
    """All jobs of a host are in one directory."""
    named = []
    for name in ("scheduled_backups", "restore_drill"):
        for play in yaml.safe_load(ROLES[name]["examples"]):
            for role in play["roles"]:
                given = {**(play.get("vars") or {}), **role.get("vars", {})}
                named += [job["name"] for job in given[f"{role['role'][len(PREFIX) :]}_jobs"]]
    assert len(named) == len(set(named)) >= 2
