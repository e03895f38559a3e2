# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_layout.md: its playbook and tasks run and do what the text says, its variables are those of the roles, and
the messages in its table are the code's. Only names and paths are replaced. Disks are prepared, and NFS is mounted, in
molecule/."""

from __future__ import annotations

import collections.abc as c
import pathlib
import re
import stat

import pytest
import yaml

from tests.support import disks
from tests.support.engine import Engine
from tests.support.guide import Guide, Operator, unknown
from tests.support.modules import CHECKOUT

GUIDE = Guide("guide_layout.md")
blocks, rows = GUIDE.blocks, GUIDE.rows

KINDS = {
    "A fleet by its inventory": ["yaml", "shell"],
    "One task": ["yaml"],
    "When a volume is otherwise": ["yaml"],
    "Removing volumes": ["yaml"],
    "Data and log on disks of their own": ["yaml"],
    "Shared data on NFS": ["yaml"],
    "CIFS without a password in Docker": ["text", "yaml"],
}
VARIABLES = [
    "A fleet by its inventory",
    "Data and log on disks of their own",
    "Shared data on NFS",
    "CIFS without a password in Docker",
]


@pytest.fixture
def disk(work: pathlib.Path) -> c.Iterator[pathlib.Path]:
    """What the guide has at /mnt/ssd."""
    with disks.mounted(work, 16, options=disks.EXT4) as point:
        yield point


@pytest.fixture
def run(engine: Engine, work: pathlib.Path, disk: pathlib.Path) -> Operator:
    names = {name: engine.name() for name in ("shop_db", "shop_media", "shop_secrets", "shop_cache", "uploads")}
    return Operator(work, {**names, "/mnt/ssd": str(disk)})


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS


def test_the_links_within_lead_somewhere() -> None:
    assert GUIDE.links() <= GUIDE.anchors()


def test_a_fleet_by_its_inventory(run: Operator, engine: Engine, work: pathlib.Path, disk: pathlib.Path) -> None:
    variables, commands = blocks("A fleet by its inventory")
    (work / "group_vars").mkdir()
    run.playbook("group_vars/docker_hosts.yml", variables)
    look, first, second = commands.splitlines()
    assert "changed=1" in run.command(look)
    assert engine.names() == []
    assert "changed=1" in run.command(first)
    assert "changed=0" in run.command(second)
    database, media, secrets, cache = (engine.inspect(name) for name in engine.names())
    directory = disk / database["Name"]
    assert database["Options"] == {"type": "none", "o": "bind", "device": str(directory)}
    assert (directory.stat().st_uid, stat.S_IMODE(directory.stat().st_mode)) == (999, 0o700)
    assert media["Options"]["device"] == ":/export/media"
    assert secrets["Options"]["o"] == "nosuid,nodev,size=16m,mode=0700,uid=1000"
    assert not cache["Options"]


def test_one_task(run: Operator, engine: Engine, disk: pathlib.Path) -> None:
    (tasks,) = blocks("One task")
    said = run.tasks(tasks)
    assert "make directory, create" in said
    assert len(engine.names()) == 3
    assert said.count("create") == 3
    assert run.tasks(tasks).count(": nothing") == 3


def test_recreating_and_removing(run: Operator, engine: Engine, disk: pathlib.Path) -> None:
    name = run._names["uploads"]
    engine.api.create_volume(name)
    (engine.path(name) / "picture").write_text("picture")
    (tasks,) = blocks("When a volume is otherwise")
    assert "changed=2" in run.tasks(tasks)
    assert (disk / name / "picture").read_text() == "picture"
    assert "changed=0" in run.tasks(tasks)

    (task,) = blocks("Removing volumes")
    assert "changed=1" in run.tasks(task)
    assert engine.names() == []
    assert (disk / name / "picture").read_text() == "picture"
    assert "changed=0" in run.tasks(task)


@pytest.mark.parametrize("heading", VARIABLES)
def test_the_variables_are_those_of_the_roles(heading: str) -> None:
    known = {}
    for file in (CHECKOUT / "roles").glob("*/meta/argument_specs.yml"):
        known.update(yaml.safe_load(file.read_text())["argument_specs"]["main"]["options"])
    for name, value in yaml.safe_load(blocks(heading)[-1 if heading.startswith("CIFS") else 0]).items():
        assert name in known
        for entry in value if isinstance(value, list) else []:
            assert entry.keys() <= known[name]["options"].keys()


def test_the_kinds_in_the_table_are_those_that_there_are() -> None:
    documentation = (CHECKOUT / "plugins" / "filter" / "storage_class.py").read_text()
    kinds = {kind for row in rows("Which kind of volume") for kind in re.findall(r"`([a-z]+)`", row[1])} - {
        "ro",
        "size",
    }
    assert kinds == set(re.findall(r"^  - V\(([a-z]+)\) takes", documentation, re.MULTILINE))


@pytest.mark.parametrize("row", rows("When a task fails"), ids=lambda row: row[0][:40])
def test_the_messages_are_those_of_the_code(row: list[str]) -> None:
    messages = re.findall(r"`(.+?)`", row[0])
    assert messages
    assert unknown(messages) == []
