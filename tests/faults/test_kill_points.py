# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F21: SIGKILL at every named point and at any instant. The repository lists complete backups only, and every container
that ran before runs again after the next run."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
import random
import re
import signal
import time

import pytest

from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, Modules
from tests.support.processes import children, wait_for

BACKUP = "docker_volume_backup"
ENGINE = CHECKOUT / "plugins" / "module_utils" / "_engine"
# those of restores: test_replace.py and test_unstaged.py; of copies: test_offsite.py; of databases:
# test_database_dumps.py; of layouts: test_layout.py
ELSEWHERE = {
    *("staging.py", "exchange.py", "unstaged.py", "copies.py"),
    *("postgresql_restore.py", "mariadb_restore.py", "laying.py"),
}
POINTS = sorted(
    {
        point
        for file in ENGINE.glob("*.py")
        if file.name not in ELSEWHERE
        for point in re.findall(r'reached\("(.+?)"\)', file.read_text())
    }
)
ROUNDS = 50


def complete(repository: pathlib.Path) -> list[str]:
    """The identifiers of the backups that a repository lists, each of which must be whole."""
    found = []
    for file in repository.rglob("*.json"):
        if not file.name.startswith("."):
            stored = json.loads(file.read_text())["archive"]
            data = file.with_name(stored["file"]).read_bytes()
            assert (len(data), hashlib.sha256(data).hexdigest()) == (stored["bytes"], stored["sha256"]), file
            found.append(file.stem)
    return found


def dead(started: dict[int, str]) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in started)


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
@pytest.mark.parametrize("point", POINTS)
def test_f21_killed_at_a_named_point(
    engine: Engine, modules: Modules, work: pathlib.Path, point: str, quiesce: str
) -> None:
    volume, repository = engine.volume(), work / "r"
    labels = {"drydock.exec-before": "touch /v/frozen", "drydock.exec-after": "rm -f /v/frozen"}
    container = engine.run(volume, labels=labels)
    (engine.path(volume) / "noise").write_bytes(os.urandom(1 << 20))
    options = {"volumes": [volume], "repository": str(repository), "quiesce": quiesce}
    process = modules.start(BACKUP, environment={"DRYDOCK_TEST_KILL_AT": point}, **options)
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, f"nothing ever reaches the point {point}"
    before = complete(repository)
    assert before == []

    # the next run, of whatever, brings the container back
    modules.backup(engine.volume(), repository=str(work / "other"))
    assert engine.state(container) == "running"
    assert not (engine.path(volume) / "frozen").exists()
    assert list((work / "state").rglob("*.json")) == []

    (made,) = modules.backup(volume, repository=str(repository), quiesce=quiesce)["backups"]
    assert complete(repository) == [made["id"]]
    assert engine.state(container) == "running"
    assert not list(repository.rglob(".*.partial"))


def test_f21_f41_killed_at_any_instant(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "r"
    (engine.path(volume) / "noise").write_bytes(os.urandom(1 << 20))
    first, second = engine.run(volume), engine.run(volume)
    options = {"volumes": [volume], "repository": str(repository), "retention": {"keep_last": 3}}
    options["stop_timeout"] = 15  # recovery waits twice as long for who may have got a signal, or not
    whole = modules.seconds(BACKUP, quiesce="stop", **options)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    down = 0
    for number in range(ROUNDS):
        process = modules.start(BACKUP, quiesce=("stop", "pause")[number % 2], **options)
        time.sleep(dice.uniform(0.25, 1.0) * whole)
        started = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda started=started: dead(started), "the end of its processes")
        assert complete(repository)
        down += engine.state(first) != "running" or engine.state(second) != "running"
        if number % 5 == 4:
            answer = modules.run(BACKUP, **options)
            assert not answer.get("failed"), answer
            assert [engine.state(container) for container in (first, second)] == ["running"] * 2
    assert down, "no round hit the window in which containers are down"
    modules.run(BACKUP, **options)
    assert list((work / "state" / "journal").glob("*.json")) == []
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(repository))
    assert (engine.path(target) / "noise").read_bytes() == (engine.path(volume) / "noise").read_bytes()
