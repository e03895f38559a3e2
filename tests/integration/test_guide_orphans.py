# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_orphans.md: its playbooks, tasks and commands run and do what the text says; its messages are the code's.

The engine may hold others' volumes: wherever the guide selects, the test adds its own prefix.
"""

from __future__ import annotations

import json
import os
import pathlib
import re

import pytest

from tests.support import records
from tests.support.engine import LABEL, Engine
from tests.support.guide import Guide, Operator, unknown
from tests.support.modules import CHECKOUT
from tests.support.orphans import backdate

GUIDE = Guide("guide_orphans.md")
blocks, rows = GUIDE.blocks, GUIDE.rows

KINDS = {
    "Look first": ["yaml"],
    "Remove them": ["yaml", "shell"],
    "Undo": ["yaml"],
    "What is protected": ["yaml"],
    "A fleet": ["shell"],
}


def operator(engine: Engine, work: pathlib.Path, names: dict[str, str]) -> Operator:
    """Somebody who follows the guide, with a directory for backups, and enough volumes that are used."""
    (work / "backups").mkdir()
    for _number in range(6):
        engine.run(engine.volume(), start=False)
    ours = engine.name().rpartition("-")[0] + "-*"
    # how many volumes there are is for others to say, too
    given = {'exclude: ["*_pgdata"]': f'exclude: ["*_pgdata"], names: ["{ours}"]', "max_remove: 20": "max_remove: 4"}
    return Operator(work, {**given, **names})


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS


def test_the_links_lead_somewhere() -> None:
    assert GUIDE.links() <= GUIDE.anchors()
    assert "when-a-task-fails" in Guide("guide_backup.md").anchors()


def test_look_remove_and_undo(engine: Engine, work: pathlib.Path) -> None:
    device, database = work / "device", engine.name() + "_pgdata"
    device.mkdir()
    orphan = engine.bind(device)
    engine.api.create_volume(database, labels={LABEL: "yes"})
    (device / "file").write_bytes(os.urandom(5000))
    before = records.record(device)
    run = operator(engine, work, {"oldshop_uploads": orphan})
    (look,), (playbook, play), (undo,) = blocks("Look first"), blocks("Remove them"), blocks("Undo")
    said = run.tasks(look)
    assert f'"{orphan}": "nothing refers to it, and no earlier run has seen that"' in said
    run.playbook("prune.yml", playbook)
    first = run.command(play)
    assert "changed=0" in first
    assert "changed=1" not in first
    assert orphan in engine.names()

    backdate(work / "state" / "orphans.json", 8)
    said = run.command(play)
    assert said.count("changed=1") == 2
    assert f'-        "{orphan}": "nothing has referred to it since' in said
    assert orphan not in engine.names()
    assert database in engine.names()
    assert records.differences(before, records.record(device)) == []
    (made,) = run.made(orphan)
    assert made["purpose"] == "before_removal"
    (device / "file").unlink()
    run.tasks(undo)
    assert records.differences(before, records.record(device)) == []


def test_a_project_that_was_given_up(engine: Engine, work: pathlib.Path) -> None:
    project, left = engine.name(), engine.name()
    engine.api.create_volume(left, labels={LABEL: "yes", "com.docker.compose.project": project})
    run = operator(engine, work, {"oldshop": project})
    (task,) = blocks("What is protected")
    run.tasks(task)
    assert left in engine.names()
    run.tasks(f"{task.rstrip()}\n    grace: 0h\n    max_remove_percent: 100\n")
    assert left not in engine.names()
    assert len(run.made(left)) == 1


def test_a_fleet(engine: Engine, work: pathlib.Path) -> None:
    orphan = engine.volume()
    run = operator(engine, work, {})
    (play,) = blocks("A fleet")
    (work / "vars.json").write_text(
        json.dumps(
            {
                "prune_selector": {"names": [engine.name().rpartition("-")[0] + "-*"]},
                "prune_protect": {"names": ["nothing"], "labels": ["nothing"], "projects": ["nothing"]},
                "prune_gone_projects": ["nothing"],
                "prune_grace": "0h",
                "prune_max_remove": 1,
                "prune_max_remove_percent": 100,
                "prune_hosts": "db1",
                "prune_serial": 2,
                "prune_named": True,
                "prune_anonymous": False,
            }
        )
    )
    more = f" -e @{work}/vars.json"
    told = run.command(play.rstrip() + more + " --check")
    assert f'"{orphan}": "nothing has referred to it since' in told
    assert orphan in engine.names()
    assert "Refuse to remove volumes" in told
    refused = run.command("ansible-playbook -i inventory.ini drydock.volumes.prune" + more, fails=True)
    assert "Set prune_repository to a directory on each host" in refused
    report = run.command(play.rstrip() + more + " --tags report")
    assert "Back the orphans up" not in report
    assert orphan in engine.names()
    said = run.command(play.rstrip() + more)
    assert said.index("Show what will be removed") < said.index("Back the orphans up and remove them")
    assert "changed=2" in said or "changed=1" in said
    assert orphan not in engine.names()
    assert len(run.made(orphan)) == 1
    another = engine.volume()
    run.command(f"ansible-playbook -i inventory.ini drydock.volumes.prune{more} -e prune_without_backup=true")
    assert another not in engine.names()


def test_every_variable_of_the_playbook_is_in_the_table() -> None:
    text = (CHECKOUT / "playbooks" / "prune.yml").read_text()
    registered = set(re.findall(r"register: (\w+)", text))
    assert {row[0].strip("`") for row in rows("A fleet")} == set(re.findall(r"\bprune_\w+", text)) - registered


MESSAGES = [row[0] for row in rows("When a task fails") if "`" in row[0]]


@pytest.mark.parametrize("cell", MESSAGES, ids=lambda cell: cell[:40])
def test_the_messages_are_those_of_the_code(cell: str) -> None:
    messages = re.findall(r"`(.+?)`", cell)
    assert len(MESSAGES) >= 13
    assert unknown(messages) == []
