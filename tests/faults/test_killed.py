# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup is killed at any instant: the repository lists complete backups only, and the next run cleans up."""

from __future__ import annotations

import os
import pathlib
import random
import signal
import time

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for

ROUNDS = 20


def test_f21_f41_a_backup_is_killed_at_random(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "repository"
    (engine.path(volume) / "noise").write_bytes(os.urandom(4 << 20))
    whole = modules.seconds("docker_volume_backup", volumes=[volume], repository=str(repository))
    dice = random.Random(os.urandom(8))
    for _round in range(ROUNDS):
        process = modules.start("docker_volume_backup", volumes=[volume], repository=str(repository))
        time.sleep(dice.uniform(0.3, 1.0) * whole)
        started = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in started), "the end of its processes")  # noqa: B023
        target = engine.volume()
        modules.restore(target, source_volume=volume, repository=str(repository))
        assert (engine.path(target) / "noise").read_bytes() == (engine.path(volume) / "noise").read_bytes()
        engine.remove(target)

    modules.backup(volume, repository=str(repository))
    left = complete(repository)
    assert not any(name.startswith(".") for name in left)
    archives = {name.partition(".")[0] for name in left if name.endswith(".tar.zst")}
    manifests = {name.partition(".")[0] for name in left if name.endswith(".json")}
    # an archive whose manifest never came may be somebody's copy under way: it stays for a day, and never counts
    assert manifests <= archives
    assert len(archives - manifests) <= ROUNDS


@pytest.mark.parametrize("module", ["docker_volume_backup", "docker_volume_restore"])
def test_f21_sigterm_undoes_and_says_so(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, module: str
) -> None:
    repository, target = work / "repository", engine.volume()
    if module == "docker_volume_backup":
        process = modules.start(module, volumes=[slow_volume], repository=str(repository), **SLOW)
    else:
        modules.backup(slow_volume, repository=str(repository))
        process = modules.start(module, volume=target, source_volume=slow_volume, repository=str(repository))
    before = complete(repository) if repository.exists() else set()
    wait_for(lambda: "tar" in children(process.pid).values(), "tar")
    process.send_signal(signal.SIGTERM)
    answer = modules.finish(process)
    assert answer["failed"]
    assert "ended by SIGTERM" in answer["msg"]
    assert complete(repository) == before
    assert os.listdir(engine.path(target)) == []
