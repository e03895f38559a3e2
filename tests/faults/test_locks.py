# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F30, F31, F32: two runs for one volume, a lock's holder that is killed, two runs in one second."""

from __future__ import annotations

import pathlib

from tests.faults.conftest import SLOW
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for


def test_f30_a_second_run_fails_at_once_or_waits(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    repository = str(work / "repository")
    first = modules.start("docker_volume_backup", volumes=[slow_volume], repository=repository, **SLOW)
    wait_for(lambda: "tar" in children(first.pid).values(), "tar")
    waiting = modules.start("docker_volume_backup", volumes=[slow_volume], repository=repository, lock_timeout=120)
    message = modules.refused("docker_volume_backup", volumes=[slow_volume], repository=repository)
    assert "another run writes to" in message
    assert "lock_timeout" in message

    ids = {modules.finish(process)["backups"][0]["id"] for process in (first, waiting)}
    assert len(ids) == 2
    for backup in ids:
        modules.restore(engine.name(), source_volume=slow_volume, repository=repository, backup=backup)


def test_f31_the_holder_of_a_lock_is_killed(modules: Modules, work: pathlib.Path, slow_volume: str) -> None:
    first = modules.start("docker_volume_backup", volumes=[slow_volume], repository=str(work / "r"), **SLOW)
    wait_for(lambda: "tar" in children(first.pid).values(), "tar")
    first.kill()
    first.communicate()
    assert modules.backup(slow_volume, repository=str(work / "r"))["changed"]


def test_f32_runs_in_the_same_second(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    modules.backup(volume, repository=repository)
    processes = [
        modules.start("docker_volume_backup", volumes=[volume], repository=repository, lock_timeout=60)
        for _run in range(6)
    ]
    ids = [modules.finish(process)["backups"][0]["id"] for process in processes]
    assert len(set(ids)) == 6
    assert any("-2" in backup for backup in ids)
