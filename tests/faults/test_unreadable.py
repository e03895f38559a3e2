# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F06: a part of one file can't be read: the device says I/O error there. The backup fails and names that file. An
archive that can't be read is the failure of its own volume."""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import os
import pathlib
import shutil
import subprocess

import pytest

from tests.support import disks, records
from tests.support.engine import Engine
from tests.support.modules import Modules

BLOCK = 4096
SIZE = 4 << 20


# tar reads 10 KiB at a time, of files with holes 512 bytes. Where a piece can't be read to its end, tar 1.34 says that
# the file shrank, pads it with zeros, and exits 1; only where it can't be read at all it names the error, and exits 2.
# Of two neighbouring blocks at most one begins where a piece does.
PLACES = pytest.mark.parametrize(
    ("readable", "hole"), [(0, False), (512, False), (513, False), (512, True)], ids=["none", "512", "513", "sparse"]
)


class Disk:
    """A volume on a disk of its own with the files ``good``, ``folder/also good`` and ``folder/bad``."""

    NAMES = ("good", "folder/also good", "folder/bad")

    def __init__(self, engine: Engine, work: pathlib.Path, hole: bool) -> None:
        # without a journal nothing is written to the end of the disk later on
        self._image = disks.make(work / "device.img", 48, options=[*disks.EXT4, "-O", "^has_journal"])
        self._point = work / "disk"
        with contextlib.ExitStack() as stack:
            self._device = stack.enter_context(disks.device(self._image))
            self.volume = engine.volume(type="ext4", device=self._device)
            with disks.attached(self._device, self._point) as disk:
                (disk / "folder").mkdir()
                for name in self.NAMES:
                    (disk / name).write_bytes(os.urandom(SIZE))
                    subprocess.run(["sync", "--file-system", disk], check=True)
                self._good, self._also_good, self._bad = (disks.blocks(disk / name) for name in self.NAMES)
                if hole:
                    os.truncate(disk / "folder/bad", 2 * SIZE)
                self.record = records.record(disk)
            self._stack = stack.pop_all()

    def __enter__(self) -> Disk:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def damage(self, readable: int) -> None:
        """Have the device end in the bad file, after so many of its blocks, and the kernel forget what it has read."""
        cut = self._bad[readable]
        assert max(self._good + self._also_good + self._bad[:readable]) < cut
        os.truncate(self._image, cut * BLOCK)
        disk = self._stack.enter_context(disks.attached(self._device, self._point))
        disks.forget(disk / "folder/bad")
        with pytest.raises(OSError, match="Input/output error"):
            (disk / "folder/bad").read_bytes()


def files(repository: pathlib.Path) -> dict[pathlib.Path, bytes]:
    """The contents of every file in a repository."""
    return {path: path.read_bytes() for path in repository.rglob("*") if path.is_file()}


@PLACES
def test_f06_a_part_of_one_file_cannot_be_read(
    engine: Engine, modules: Modules, work: pathlib.Path, readable: int, hole: bool
) -> None:
    other, repository = engine.volume(), work / "repository"
    options = {"repository": str(repository), "compression": "none"}
    with Disk(engine, work, hole) as disk:
        volume = disk.volume
        first = modules.backup(volume, **options)["backups"][0]
        held = files(repository)
        disk.damage(readable)
        answer = modules.run("docker_volume_backup", volumes=[volume, other], **options)

    assert answer.get("failed"), (answer["warnings"], answer["backups"][0]["content"])
    assert [failure["volume"] for failure in answer["failures"]] == [volume]
    error = answer["failures"][0]["error"]
    assert f"volume {volume}" in error
    assert "./folder/bad" in error
    assert "good" not in error
    assert "Input/output error" in error
    assert "Traceback" not in answer["msg"] + answer.stderr
    # nothing of it is there, and nothing else is concerned
    assert [made["volume"]["name"] for made in answer["backups"]] == [other]
    assert {path: data for path, data in files(repository).items() if path.parent.name != other} == held

    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(repository), backup=first["id"])
    differences = records.differences(disk.record, records.record(engine.path(target)))
    assert [line for line in differences if "lost+found" not in line] == []


@PLACES
def test_f06_going_on_was_asked_for(
    engine: Engine, modules: Modules, work: pathlib.Path, readable: int, hole: bool
) -> None:
    target, repository = engine.volume(), str(work / "repository")
    with Disk(engine, work, hole) as disk:
        volume = disk.volume
        disk.damage(readable)
        answer = modules.backup(volume, repository=repository, on_read_error="warn", on_change="fail")
    assert "./folder/bad" in str(answer["warnings"])
    assert answer["backups"][0]["content"]["unreadable"] == 1
    content = json.loads(next(pathlib.Path(repository).rglob("*.json")).read_text())["content"]
    assert (content["unreadable"], content["changed_while_read"]) == (["./folder/bad"], [])
    modules.restore(target, source_volume=volume, repository=repository)
    differences = records.differences(disk.record, records.record(engine.path(target)))
    assert [line for line in differences if "lost+found" not in line and "folder/bad" not in line] == []


@contextlib.contextmanager
def moved_to_a_bad_disk(archive: pathlib.Path, work: pathlib.Path) -> c.Iterator[None]:
    """An archive is on a disk of its own, and can't be read there from its second block on."""
    image = disks.make(work / "bad.img", 8, options=[*disks.EXT4, "-O", "^has_journal"])
    with disks.device(image) as device:
        with disks.attached(device, work / "bad") as disk:
            shutil.move(archive, disk / "archive")
            archive.symlink_to(disk / "archive")
            subprocess.run(["sync", "--file-system", disk], check=True)
            blocks = disks.blocks(disk / "archive")
        os.truncate(image, blocks[1] * BLOCK)
        with disks.attached(device, work / "bad"):
            disks.forget(archive)
            yield


def test_an_archive_that_cannot_be_read_fails_its_own_volume(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    bad, good = engine.volume(), engine.volume()
    for volume in (bad, good):
        (engine.path(volume) / "noise").write_bytes(os.urandom(1 << 20))
    options = {"repository": str(work / "r")}
    made = {one["volume"]["name"]: one for one in modules.backup(bad, good, **options)["backups"]}
    archive = pathlib.Path(made[bad]["path"])
    with moved_to_a_bad_disk(archive, work):
        drilled = modules.run("docker_volume_drill", volumes=[bad, good], **options)
        refused = modules.refused("docker_volume_restore", volume=engine.volume(), source_volume=bad, **options)
        found = modules.run("docker_volume_backup_info", verify="archive", **options)
    words = f"archive {archive} can't be read: Input/output error; see to its disk or mount"
    (failure,) = drilled["failures"]
    assert failure["volume"] == bad
    assert words in failure["error"]
    assert [drill["volume"] for drill in drilled["drills"]] == [good]
    kept = [json.loads(file.read_text()) for file in (work / "state" / "drills").iterdir()]
    assert {record["volume"]: record["success"] for record in kept} == {bad: False, good: True}
    assert refused == f"{words}; nothing was changed"
    assert {one["volume"]["name"]: one["error"] for one in found["backups"]} == {bad: words, good: None}
