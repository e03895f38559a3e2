# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a disk may be prepared: the one place that decides on a new file system."""

from __future__ import annotations

import dataclasses
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import fstab_line, preparation
from ansible_collections.drydock.volumes.plugins.module_utils._engine.disks import Device, Point
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import DiskError, UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.fstab_line import Entry
from ansible_collections.drydock.volumes.plugins.module_utils._engine.preparation import Wanted

NUMBER, OTHER = 0x810, 0x820
WANTED = Wanted("/dev/sdb", "/mnt/ssd", "xfs", "data", ("noatime", "nofail"))
BLANK = Device("/dev/sdb", NUMBER, 1 << 30, rotational=False)
OURS = dataclasses.replace(BLANK, signatures=("xfs",), kind="xfs", uuid="old", label="data")
ABSENT, EMPTY = Point("/mnt/ssd"), Point("/mnt/ssd", "directory", immutable=True)
MOUNTED = Point("/mnt/ssd", "directory", (), NUMBER, "xfs", immutable=True)
USED = ("is mounted at /mnt/ssd",)
LINE = "UUID=old /mnt/ssd xfs noatime,nofail 0 0\n"
EVERYTHING = ("make mount point", "protect mount point", "make file system", "write fstab", "mount")


def planned(
    device: Device = BLANK, point: Point = ABSENT, fstab: str = "", *, unfinished: bool = False, **wanted: t.Any
) -> preparation.Plan:
    return preparation.plan(dataclasses.replace(WANTED, **wanted), device, point, fstab, "new", unfinished)


def test_a_blank_disk_gets_everything() -> None:
    plan = planned()
    assert plan.steps == EVERYTHING
    assert plan.entry.line() == "UUID=new /mnt/ssd xfs noatime,nofail 0 0"
    assert planned(filesystem="ext4").entry.check == 2


@pytest.mark.parametrize(
    ("device", "point", "fstab", "steps"),
    [
        (dataclasses.replace(OURS, uses=USED), MOUNTED, LINE, ()),
        # as bind volumes of containers that run now
        (dataclasses.replace(OURS, uses=(*USED, "is mounted at /var/lib/docker/volumes/a/_data")), MOUNTED, LINE, ()),
        (OURS, EMPTY, LINE, ("mount",)),
        (OURS, EMPTY, "", ("write fstab", "mount")),
        (OURS, dataclasses.replace(EMPTY, immutable=False), LINE, ("protect mount point", "mount")),
        (OURS, ABSENT, LINE, ("make mount point", "protect mount point", "mount")),
        (dataclasses.replace(OURS, uses=USED), MOUNTED, LINE.replace("nofail", "x"), ("write fstab", "remount")),
        (
            dataclasses.replace(OURS, uses=USED),
            MOUNTED,
            LINE.replace("UUID=old", "/dev/sdb"),
            ("write fstab", "remount"),
        ),
        (
            dataclasses.replace(OURS, uses=USED),
            MOUNTED,
            LINE.replace("UUID=old", "LABEL=data"),
            ("write fstab", "remount"),
        ),
        (dataclasses.replace(OURS, label="renamed"), EMPTY, LINE, ("mount",)),
        (BLANK, dataclasses.replace(EMPTY, immutable=False), "", EVERYTHING[1:]),
    ],
)
def test_what_is_there_already_is_kept(device: Device, point: Point, fstab: str, steps: tuple[str, ...]) -> None:
    assert planned(device, point, fstab).steps == steps


def test_one_that_a_run_left_half_made_is_checked_and_never_made_anew() -> None:
    assert planned(OURS, EMPTY, LINE, unfinished=True).steps == ("check file system", "mount")
    assert planned(BLANK, EMPTY, unfinished=True).steps == ("make file system", "write fstab", "mount")
    half = dataclasses.replace(OURS, label="", uuid="")
    with pytest.raises(DiskError, match="holds something already"):
        planned(half, EMPTY, unfinished=True)


@pytest.mark.parametrize("signature", ["ext4", "xfs", "crypto_LUKS", "LVM2_member", "linux_raid_member", "gpt", "dos"])
def test_a_disk_that_holds_anything_is_never_formatted(signature: str) -> None:
    device = dataclasses.replace(BLANK, signatures=(signature,), kind=signature, label="theirs", uuid="theirs")
    with pytest.raises(
        DiskError, match=f"holds something already \\({signature} .*\\(wipefs --all /dev/sdb.*nothing was"
    ):
        planned(device)


@pytest.mark.parametrize(
    ("device", "point", "fstab", "said"),
    [
        (dataclasses.replace(OURS, signatures=("xfs", "ext4")), EMPTY, LINE, "holds something already"),
        (dataclasses.replace(OURS, kind="ext4", signatures=("ext4",)), EMPTY, "", "holds something already"),
        (dataclasses.replace(BLANK, rotational=True), ABSENT, "", "is a rotational disk"),
        (dataclasses.replace(BLANK, rotational=None), ABSENT, "", "doesn't say whether it is an SSD"),
        (dataclasses.replace(BLANK, uses=("has the partition sdb1",)), ABSENT, "", "has the partition sdb1"),
        (dataclasses.replace(BLANK, uses=("is mounted at /",)), ABSENT, "", "is mounted at /;"),
        (
            dataclasses.replace(BLANK, uses=("is swapped to", "is a part of dm-0")),
            ABSENT,
            "",
            "swapped to and is a part",
        ),
        (dataclasses.replace(OURS, uses=("is mounted at /mnt/other",)), EMPTY, LINE, "is mounted at /mnt/other"),
        (BLANK, dataclasses.replace(MOUNTED, device=OTHER), "", "something else than disk /dev/sdb is mounted"),
        (BLANK, Point("/mnt/ssd", "something else"), "", "is not a directory"),
        (BLANK, dataclasses.replace(EMPTY, entries=("a", "b", "c", "d")), "", r"holds 4 entries \(a, b, c, …\)"),
        (OURS, dataclasses.replace(EMPTY, entries=("a",)), LINE, r"holds 1 entries \(a\) that the disk would hide"),
        (OURS, EMPTY, LINE.replace("old", "another"), "mounts UUID=another at /mnt/ssd"),
        (BLANK, ABSENT, LINE.replace("UUID=old", "/dev/sdc"), "mounts /dev/sdc at /mnt/ssd"),
        (dataclasses.replace(OURS, names=("/dev/sdb",)), EMPTY, LINE.replace("UUID=old", "/dev/sdc"), "/dev/sdc at"),
    ],
)
def test_what_is_in_the_way_is_refused(device: Device, point: Point, fstab: str, said: str) -> None:
    with pytest.raises(DiskError, match=said) as refused:
        planned(device, point, fstab)
    assert str(refused.value).endswith("nothing was changed")


def test_a_disk_that_turns_may_be_asked_for() -> None:
    assert planned(dataclasses.replace(BLANK, rotational=True), require_ssd=False).steps == EVERYTHING


def test_where_nothing_can_be_made_immutable_it_is_said() -> None:
    plan = planned(BLANK, dataclasses.replace(EMPTY, immutable=None))
    assert plan.steps == ("make file system", "write fstab", "mount")
    assert "immutable" in plan.warnings[0]


@pytest.mark.parametrize(
    ("point", "turns", "said"),
    [
        (EMPTY, False, "isn't a mount point"),
        (dataclasses.replace(MOUNTED, on_root=True), False, "root file system again"),
        (MOUNTED, True, "rotational"),
        (MOUNTED, None, "doesn't say"),
    ],
)
def test_a_mount_point_that_wont_do(point: Point, turns: bool | None, said: str) -> None:
    with pytest.raises(DiskError, match=said):
        preparation.check(dataclasses.replace(WANTED, device=None), point, turns)
    preparation.check(dataclasses.replace(WANTED, device=None), MOUNTED, rotational=False)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"mount_point": "mnt"}, "absolute path"),
        ({"mount_point": "/mnt/../etc"}, "absolute path"),
        ({"mount_point": "/mnt/"}, "absolute path"),
        ({"mount_point": "/"}, "belongs to the system"),
        ({"mount_point": "/var"}, "belongs to the system"),
        ({"device": "sdb"}, "give its path"),
        ({"label": ""}, "label is ''"),
        ({"label": "thirteen-byte"}, "1 to 12 bytes"),
        ({"label": "a b"}, "without spaces"),
        ({"options": ("a,b",)}, "isn't one option"),
    ],
)
def test_what_cant_be_asked_for(options: dict[str, t.Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        preparation.validate(dataclasses.replace(WANTED, **options))
    preparation.validate(dataclasses.replace(WANTED, filesystem="ext4", label="sixteen-bytes-ok"))


def test_only_the_one_line_of_fstab_changes() -> None:
    text = "# a comment\nUUID=root / ext4 errors=remount-ro 0 1\nUUID=x /mnt/my\\040disk xfs rw 0 0\nproc /proc proc rw"
    entry = Entry("UUID=new", "/mnt/my disk", "xfs", "noatime", 0)
    assert fstab_line.find(text, "/mnt/my disk") == Entry("UUID=x", "/mnt/my disk", "xfs", "rw", 0)
    lines = text.splitlines()
    assert fstab_line.replaced(text, entry).splitlines() == [*lines[:2], entry.line(), lines[3]]
    assert fstab_line.find(entry.line(), "/mnt/my disk") == entry
    other = dataclasses.replace(entry, mount_point="/mnt/more")
    assert fstab_line.replaced(text, other).splitlines() == [*lines, other.line()]
    assert fstab_line.find(text, "/mnt/none") is None
    assert fstab_line.find("UUID=x /mnt xfs rw # text", "/mnt").check == 0  # type: ignore[union-attr]
