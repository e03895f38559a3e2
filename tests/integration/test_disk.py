# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks are prepared, and none that holds anything is touched. On loop devices, in a mount namespace of their own that
has an fstab of its own."""

from __future__ import annotations

import collections.abc as c
import contextlib
import hashlib
import os
import pathlib
import shutil
import struct
import subprocess
import typing as t

import pytest

from tests.support import disks
from tests.support.modules import Answer, Modules

LABEL = "drydock"
STEPS = ["make mount point", "protect mount point", "make file system", "write fstab", "mount"]
# A master boot record with one Linux partition: its start and its length are in sectors.
_PARTITIONS = bytes(446) + struct.pack("<4s4sII48x", bytes(4), bytes([0x83, 0, 0, 0]), 2048, 4096) + b"\x55\xaa"
_NAMESPACE = 'mount --bind "$1" /etc && echo ready && exec sleep 600'


class Bench:
    """A disk of 320 MiB, a mount point for it, and a namespace in which both are used."""

    def __init__(self, work: pathlib.Path, device: str, pid: int) -> None:
        self.device, self.point, self.image, self.fstab = device, work / "point", work / "disk.img", work / "etc/fstab"
        self._modules = Modules(work)
        self.state = work / "state"
        self._wrapper = ("nsenter", f"--mount=/proc/{pid}/ns/mnt", "--")

    def run(self, **options: t.Any) -> Answer:
        given = {"device": self.device, "label": LABEL, "require_ssd": False, **options}
        wanted = {key: value for key, value in given.items() if value is not None}
        return self._modules.run(
            "docker_volume_disk", wrapper=self._wrapper, **{"mount_point": str(self.point), **wanted}
        )

    def refused(self, **options: t.Any) -> str:
        before = self.digest()
        answer = self.run(**options)
        assert answer.get("failed"), answer
        assert "Traceback" not in answer["msg"] + answer.stderr
        assert self.digest() == before
        return str(answer["msg"])

    def sh(self, script: str) -> str:
        done = subprocess.run([*self._wrapper, "sh", "-euc", script], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done
        return done.stdout

    def digest(self) -> str:
        """What the disk holds, as far as its beginning and the number of its blocks tell, and what fstab says."""
        with open(self.image, "rb") as file:
            disk = hashlib.sha256(file.read(8 << 20)).hexdigest()
        return f"{disk} {self.image.stat().st_blocks} {self.fstab.read_text()} {self.point.exists()}"


@pytest.fixture
def bench(tmp_path: pathlib.Path) -> c.Iterator[Bench]:
    (tmp_path / "etc").mkdir()
    for file in ("passwd", "group", "ld.so.cache", "nsswitch.conf", "localtime"):
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(f"/etc/{file}", tmp_path / "etc")
    (tmp_path / "etc/fstab").write_text("# this host's\nproc /proc proc defaults 0 0\n")
    with open(tmp_path / "disk.img", "wb") as file:
        file.truncate(320 << 20)
    with disks.device(tmp_path / "disk.img") as device:
        holder = subprocess.Popen(
            ["unshare", "--mount", "--propagation", "private", "sh", "-c", _NAMESPACE, "sh", tmp_path / "etc"],
            stdout=subprocess.PIPE,
        )
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            yield Bench(tmp_path, device, holder.pid)
        finally:
            holder.kill()
            holder.wait()
            if (tmp_path / "point").is_dir():
                subprocess.run(["chattr", "-i", tmp_path / "point"], check=True)


@pytest.mark.parametrize("kind", ["xfs", "ext4"])
def test_a_blank_disk_is_prepared_once(bench: Bench, kind: str) -> None:
    before = bench.digest()
    predicted = bench.run(filesystem=kind, check=True, diff=True)
    assert (predicted["changed"], predicted["steps"], predicted["uuid"]) == (True, STEPS, "")
    assert bench.digest() == before

    made = bench.run(filesystem=kind, diff=True)
    assert (made["changed"], made["steps"], made["filesystem"]) == (True, STEPS, kind)
    assert bench.sh(f"findmnt -no UUID,LABEL,FSTYPE {bench.point}").split() == [made["uuid"], LABEL, kind]
    line = f"UUID={made['uuid']} {bench.point} {kind} noatime,nofail,x-systemd.before=docker.service,"
    assert line in bench.fstab.read_text()
    assert bench.fstab.read_text().startswith("# this host's\nproc /proc proc defaults 0 0\n")
    assert line in made["diff"]["after"][str(bench.point)]["fstab"]
    assert not list((bench.state / "disks").iterdir())

    # files survive everything that follows, and a bind of a directory, as Docker has, is nobody else's use
    bench.sh(f"echo kept >{bench.point}/file; mkdir {bench.point}/data {bench.point}.bound")
    bench.sh(f"mount --bind {bench.point}/data {bench.point}.bound")
    for check in (True, False):
        again = bench.run(filesystem=kind, check=check)
        assert (again["changed"], again["steps"], again["uuid"]) == (False, [], made["uuid"])

    bench.sh(f"umount {bench.point}.bound {bench.point}")
    # nothing is written below the mount (F18)
    assert (
        "Operation not permitted"
        in subprocess.run(["touch", bench.point / "lost"], check=False, capture_output=True, text=True).stderr
    )
    assert bench.run(filesystem=kind)["steps"] == ["mount"]
    changed = bench.run(filesystem=kind, mount_options=["noatime"])
    assert changed["steps"] == ["write fstab", "remount"]
    assert bench.sh(f"cat {bench.point}/file") == "kept\n"
    checked = bench.run(device=None, label=None)
    assert (checked["changed"], checked["filesystem"], checked["rotational"]) == (False, kind, True)


def test_an_unprotected_mount_point_is_protected_while_the_disk_is_mounted(bench: Bench) -> None:
    bench.run()
    bench.sh(f"umount {bench.point} && chattr -i {bench.point} && mount {bench.point}")
    assert bench.run()["steps"] == ["protect mount point"]
    assert bench.run()["steps"] == []


@pytest.mark.parametrize("kind", ["ext4", "xfs", "swap", "partitions"])
def test_a_disk_that_holds_something_is_refused(bench: Bench, kind: str) -> None:
    if kind == "partitions":
        with open(bench.device, "r+b") as disk:
            disk.write(_PARTITIONS)
    else:
        make = ["mkswap"] if kind == "swap" else [f"mkfs.{kind}", "-q"]
        subprocess.run([*make, bench.device], check=True, stdout=subprocess.DEVNULL)
    said = bench.refused()
    assert "holds something already" in said
    assert f"wipefs --all {bench.device}" in said
    assert "nothing was changed" in said
    assert not bench.point.exists()


def test_a_disk_that_cannot_be_read_is_no_blank_one(bench: Bench, tmp_path: pathlib.Path) -> None:
    """wipefs and blkid find nothing on it, and say so as if it were blank."""
    (tmp_path / "outer").mkdir()
    with disks.mounted(tmp_path / "outer", 64) as outer:
        with open(outer / "inner.img", "wb") as file:
            file.truncate(320 << 20)
        with disks.device(outer / "inner.img") as device:
            disks.unplug(outer)
            said = bench.refused(device=device)
    assert f"disk {device} can't be read: Input/output error" in said
    assert "nothing was changed" in said


def test_the_run_before_was_cut_off(bench: Bench) -> None:
    made = bench.run(filesystem="ext4")
    bench.sh(f"umount {bench.point}")
    notes = bench.state / "disks"
    note = notes / bench.device.replace("/", "%2F")
    note.touch()
    answer = bench.run(filesystem="ext4")
    assert (answer["steps"], answer["uuid"]) == (["check file system", "mount"], made["uuid"])
    assert not note.exists()

    bench.sh(f"umount {bench.point}")
    note.touch()
    with open(bench.device, "r+b") as disk:  # the block group's tables never got there
        disk.seek(4096)
        disk.write(bytes(1 << 20))
    said = bench.refused(filesystem="ext4")
    assert "cut off" in said
    assert "wipefs --all" in said


def test_what_is_in_the_way(bench: Bench, tmp_path: pathlib.Path) -> None:
    assert "/dev/none isn't there" in bench.refused(device="/dev/none")
    assert "not a block device" in bench.refused(device="/dev/null")
    assert "rotational disk" in bench.refused(require_ssd=True)
    assert "isn't a mount point" in bench.refused(device=None, label=None)
    assert "belongs to the system" in bench.refused(mount_point="/etc")
    (tmp_path / "link").symlink_to(tmp_path)
    assert f"leads through a symbolic link; give {bench.point}" in bench.refused(mount_point=f"{tmp_path}/link/point")
    assert "label is 'far too long for xfs'" in bench.refused(label="far too long for xfs")
    bench.point.mkdir()
    (bench.point / "file").touch()
    assert "holds 1 entries (file) that the disk would hide" in bench.refused()
    (bench.point / "file").unlink()

    with open(tmp_path / "other.img", "wb") as file:
        file.truncate(320 << 20)
    bench.run()
    with disks.device(tmp_path / "other.img") as other:
        assert "something else than disk" in bench.refused(device=other)
        bench.sh(f"umount {bench.point}")
        assert f"which isn't disk {other}" in bench.refused(device=other)
    bench.sh(f"mkdir -p {tmp_path}/else && mount {bench.device} {tmp_path}/else")
    assert f"is mounted at {tmp_path}/else" in bench.refused()


def test_an_ssd_is_what_the_kernel_says_it_is(bench: Bench) -> None:
    switch = pathlib.Path(f"/sys/block/{os.path.basename(bench.device)}/queue/rotational")
    switch.write_text("0")
    try:
        assert bench.run(require_ssd=True)["rotational"] is False
        assert bench.run(device=None, label=None, require_ssd=True)["rotational"] is False
    finally:
        switch.write_text("1")
