# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F01, F02, F06: a process of the pipe fails, or what it reads does. Nothing is published, and the stage is named."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support import disks
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import kill_child


@pytest.mark.parametrize("program", ["tar", "zstd"])
def test_f01_f02_a_stage_is_killed(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, program: str
) -> None:
    repository = work / "repository"
    modules.backup(slow_volume, repository=str(repository))
    before = complete(repository)

    process = modules.start("docker_volume_backup", volumes=[slow_volume], repository=str(repository), **SLOW)
    kill_child(process.pid, program)
    answer = modules.finish(process)

    assert answer["failed"]
    assert not answer["changed"]
    assert (
        f"volume {slow_volume}: {program} was killed by SIGKILL; nothing was added to the repository" in answer["msg"]
    )
    assert complete(repository) == before


@pytest.mark.parametrize("program", ["tar", "zstd"])
def test_f02_a_stage_of_a_restore_is_killed(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, program: str
) -> None:
    modules.backup(slow_volume, repository=str(work / "repository"))
    target, created = engine.volume(), engine.name()
    for volume in (target, created):
        process = modules.start(
            "docker_volume_restore", volume=volume, source_volume=slow_volume, repository=str(work / "repository")
        )
        kill_child(process.pid, program)
        answer = modules.finish(process)
        assert answer["failed"]
        assert f"{program} was killed by SIGKILL" in answer["msg"]
    assert os.listdir(engine.path(target)) == []
    assert created not in engine.names()


def test_f01_f06_the_disk_cannot_be_read(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    with disks.mounted(work, 64) as disk:
        for number in range(8):
            (disk / f"file-{number}").write_bytes(os.urandom(4 << 20))
        volume = engine.bind(disk)
        modules.backup(volume, repository=str(work / "repository"))
        before = complete(work / "repository")

        os.sync()
        os.truncate(work / "disk.img", 16 << 20)  # the rest of the disk is gone: an I/O error on a real device
        subprocess.run(["sh", "-c", "echo 3 > /proc/sys/vm/drop_caches"], check=True)
        message = modules.refused("docker_volume_backup", volumes=[volume], repository=str(work / "repository"))

        assert "tar exited 2" in message
        assert "Input/output error" in message
        assert complete(work / "repository") == before
        engine.remove(volume)
