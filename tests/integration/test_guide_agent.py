# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_agent.md, followed from its beginning to its end on the real engine."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess

from tests.support import records
from tests.support.agent import Agent
from tests.support.engine import Engine
from tests.support.guide import Guide
from tests.support.modules import Modules

GUIDE = Guide("guide_agent.md")
METRICS = "/var/lib/prometheus/node-exporter/drydock.prom"


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == {
        "Install it": ["yaml"],
        "The commands": ["shell", "shell"],
        "Jobs": ["json", "shell"],
        "Drills": ["shell"],
        "Is this host safe?": ["shell"],
        "Metrics": ["shell"],
    }


def test_the_commands_one_after_the_other(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    agent, repository = Agent(work, modules), work / "backups"
    database, uploads, inspected = engine.volume(), engine.volume(), engine.name()
    for volume in (database, uploads):
        (engine.path(volume) / "file").write_bytes(os.urandom(100_000))
    before = records.record(engine.path(database))
    container, metrics = engine.run(database), work / "drydock.prom"
    names = {
        "drydock-volumes": str(agent.path),
        "/var/backups/volumes": str(repository),
        "pgdata_inspect": inspected,
        "pgdata": database,
        "uploads": uploads,
        METRICS: str(metrics),
        # what is on the host
        "postgres:16": engine.IMAGE,
        "/var/lib/postgresql/data": "/data --command sleep,3600",
        "psql -U postgres -d shop -c 'SELECT 1 / sign(count(*)) FROM orders'": "test -s /data/file",
    }

    def follow(text: str) -> str:
        for theirs, ours in names.items():
            text = text.replace(theirs, ours)
        return _shell(agent, text)

    first, nested = GUIDE.blocks("The commands")
    assert database in follow(first)
    assert engine.state(container) == "running"
    assert records.differences(before, records.record(engine.path(inspected))) == []
    follow(nested)
    assert len(list(repository.glob(f"*/{uploads}/*.json"))) == 1  # keep_daily: one of today

    job, run = GUIDE.blocks("Jobs")
    folder = agent.configuration / "jobs.d"
    folder.mkdir(parents=True)
    given = {**json.loads(job), "repository": str(repository), "selector": None, "volumes": [database, uploads]}
    (folder / "nightly.json").write_text(json.dumps({name: value for name, value in given.items() if value}))
    engine.remove(inspected)
    follow(run)
    assert json.loads((agent.state / "runs" / "nightly.json").read_text())["success"]

    (drill,) = GUIDE.blocks("Drills")
    assert database in follow(drill)
    (status,) = GUIDE.blocks("Is this host safe?")
    assert database in follow(status)
    (written,) = GUIDE.blocks("Metrics")
    follow(written)
    assert f'volume="{database}"' in metrics.read_text()


def _shell(agent: Agent, text: str) -> str:
    """Run a block of the guide as its reader does, and return what it prints."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        env={**agent.environment, "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
