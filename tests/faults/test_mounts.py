# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F05, F18: volumes whose mount point is an empty directory most of the time. They are mounted, or refused."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import subprocess

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support import disks, records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for

# Blocks of 4 KiB: a small ext4 has smaller ones, and less room for xattrs.
MKFS = {"ext4": ["mkfs.ext4", "-q", "-F", "-b", "4096"], "xfs": ["mkfs.xfs", "-q", "-f"]}
HOLDER = "drydock.volumes.holder"


@pytest.fixture
def loop(work: pathlib.Path) -> c.Iterator[c.Callable[[str], str]]:
    """Make a block device with a file system of that kind."""
    devices: list[str] = []

    def make(kind: str) -> str:
        image = work / f"{kind}.img"
        with open(image, "wb") as file:
            file.truncate(320 << 20)
        subprocess.run([*MKFS[kind], image], check=True)
        done = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
        devices.append(done.stdout.strip())
        return devices[-1]

    yield make
    for device in devices:
        subprocess.run(["losetup", "--detach", device], check=True)


def holders(engine: Engine) -> list[str]:
    return [container["Id"] for container in engine.api.containers(all=True, filters={"label": HOLDER})]


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_f05_a_block_device(
    engine: Engine, modules: Modules, work: pathlib.Path, loop: c.Callable[[str], str], kind: str
) -> None:
    device, repository = loop(kind), str(work / "repository")
    volume = engine.volume(type=kind, device=device)
    with disks.attached(device, work / "mnt"):
        trees.make_nasty(work / "mnt")
        before = records.record(work / "mnt")
    assert os.listdir(engine.path(volume)) == []  # what a naive backup reads

    made = modules.backup(volume, repository=repository)["backups"][0]
    assert made["content"]["entries"] > 50
    assert holders(engine) == []
    assert not os.path.ismount(engine.path(volume))

    # a new disk, the volume made again as the manifest records it
    engine.remove(volume)
    subprocess.run([*MKFS[kind], device], check=True)
    restored = modules.restore(volume, repository=repository)
    assert restored["created"]
    assert os.listdir(engine.path(volume)) == []
    with disks.attached(device, work / "mnt"):
        differences = records.differences(before, records.record(work / "mnt"))
    # XFS allocates ahead of a file that tar writes, and gives it back later
    assert [line for line in differences if kind != "xfs" or "allocated" not in line] == []


def test_f05_a_tmpfs_in_use(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target = engine.volume(type="tmpfs", device="tmpfs"), engine.volume()
    container = engine.run(volume, command=("sh", "-c", "echo state > /v/state; sleep 3600"))
    wait_for((engine.path(volume) / "state").exists, "the container's file")
    modules.backup(volume, repository=str(work / "repository"))
    engine.api.remove_container(container, force=True)
    modules.restore(target, source_volume=volume, repository=str(work / "repository"))
    assert (engine.path(target) / "state").read_text() == "state\n"


def test_f05_f18_what_cannot_be_mounted(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    repository = work / "repository"
    plain = engine.volume()
    gone = engine.volume(type="ext4", device=str(work / "no-such-device"))
    nfs = engine.volume(type="nfs", device=":/export", o="addr=127.0.0.1,nfsvers=4.2")
    answer = modules.run("docker_volume_backup", volumes=[plain, gone, nfs], repository=str(repository))
    assert answer["failed"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [plain]
    assert f"volume {gone} can't be mounted" in answer["msg"]
    assert "no such file or directory" in answer["msg"]
    assert f"volume {nfs} can't be mounted" in answer["msg"]

    before = complete(repository)
    for volume in (gone, nfs):
        message = modules.refused(
            "docker_volume_restore", volume=volume, source_volume=plain, repository=str(repository)
        )
        assert f"volume {volume} can't be mounted" in message
        assert os.listdir(engine.path(volume)) == []
    assert complete(repository) == before
    assert holders(engine) == []


def test_f05_the_container_ends_in_the_middle(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume(type="tmpfs", device="tmpfs")
    container = engine.run(
        volume, command=("sh", "-c", "dd if=/dev/urandom of=/v/noise bs=1M count=16; echo > /v/done; sleep 3600")
    )
    wait_for((engine.path(volume) / "done").exists, "the container's files")
    before = records.record(engine.path(volume))
    process = modules.start("docker_volume_backup", volumes=[volume], repository=str(work / "repository"), **SLOW)
    wait_for(lambda: "zstd" in children(process.pid).values(), "the pipe")
    engine.api.remove_container(container, force=True)
    assert not modules.finish(process).get("failed")
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(work / "repository"))
    assert records.differences(before, records.record(engine.path(target))) == []


def test_f21_a_dead_runs_holder_is_swept(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume(type="tmpfs", device="tmpfs")
    container = engine.run(
        volume, command=("sh", "-c", "dd if=/dev/urandom of=/v/noise bs=1M count=96; echo > /v/done; sleep 3600")
    )
    wait_for((engine.path(volume) / "done").exists, "the container's files")
    process = modules.start("docker_volume_backup", volumes=[volume], repository=str(work / "repository"), **SLOW)
    wait_for(lambda: "zstd" in children(process.pid).values(), "the pipe")
    left = holders(engine)
    assert len(left) == 1
    # a live run's holder is left alone
    modules.backup(volume, repository=str(work / "another"))
    assert holders(engine) == left
    process.kill()
    process.communicate()
    assert holders(engine) == left
    modules.backup(volume, repository=str(work / "another"))
    assert holders(engine) == []
    engine.api.remove_container(container, force=True)


def test_a_helper_image(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume(type="tmpfs", device="tmpfs")
    engine.import_image()
    made = modules.backup(volume, repository=str(work / "repository"), helper_image=engine.IMAGE)["backups"]
    assert made[0]["content"]["entries"] == 1
    message = modules.refused(
        "docker_volume_backup", volumes=[volume], repository=str(work / "repository"), helper_image="no/such:image"
    )
    assert "No such image" in message
