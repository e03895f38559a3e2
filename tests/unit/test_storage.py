# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage classes: what an inventory says, and what docker_volume_layout gets for it."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.drydock.volumes.plugins.filter.storage_class import FilterModule, storage_class
from ansible_collections.drydock.volumes.plugins.module_utils._engine import kinds, storage
from ansible_collections.drydock.volumes.plugins.module_utils._engine.desired import Desired, require_consistent
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError

CLASSES = {
    "fast": {"kind": "ssd", "path": "/mnt/ssd/"},
    "shared": {"kind": "nfs", "server": "nas", "export": "/export/"},
    "ssd": {"kind": "ssd", "path": "/mnt/nvme"},
    "office": {"kind": "cifs", "path": "/mnt/office"},
    "cloud": {"kind": "plugin", "driver": "rclone", "driver_options": {"remote": "s3"}},
}

CASES: dict[str, tuple[dict[str, t.Any], dict[str, t.Any]]] = {
    "none": ({"driver": "local", "mode": "0700"}, {"driver": "local", "mode": "0700"}),
    "plain": ({"storage_class": "plain", "owner": "1"}, {"owner": "1"}),
    "ssd": ({"storage_class": "fast"}, {"device_path": "/mnt/ssd/v1", "require_mounted": "/mnt/ssd"}),
    "a class with a kind's name": (
        {"storage_class": "ssd", "subpath": "a/b"},
        {"device_path": "/mnt/nvme/a/b", "require_mounted": "/mnt/nvme"},
    ),
    "nfs": (
        {"storage_class": "shared", "labels": {"a": "b"}},
        {
            "labels": {"a": "b"},
            "driver_options": {"type": "nfs", "device": ":/export", "o": "addr=nas,rw,nfsvers=4.2,hard,noatime"},
        },
    ),
    "nfs, of its own": (
        {"storage_class": "nfs", "server": "nas", "export": "/", "subpath": "media", "options": "ro,nfsvers=3"},
        {"driver_options": {"type": "nfs", "device": ":/media", "o": "addr=nas,ro,nfsvers=3"}},
    ),
    "the volume comes first": (
        {"storage_class": "shared", "server": "nas2"},
        {"driver_options": {"type": "nfs", "device": ":/export", "o": "addr=nas2,rw,nfsvers=4.2,hard,noatime"}},
    ),
    "tmpfs": (
        {"storage_class": "tmpfs", "size": "16m", "mode": "0700", "owner": "5", "group": "6"},
        {
            "driver_options": {
                "type": "tmpfs",
                "device": "tmpfs",
                "o": "nosuid,nodev,size=16m,mode=0700,uid=5,gid=6",
            }
        },
    ),
    "cifs": (
        {"storage_class": "office", "subpath": "scans"},
        {"device_path": "/mnt/office/scans", "require_mounted": "/mnt/office"},
    ),
    "block": (
        {"storage_class": "block", "device": "/dev/disk/by-uuid/1", "fstype": "xfs"},
        {"driver_options": {"type": "xfs", "device": "/dev/disk/by-uuid/1"}},
    ),
    "plugin": ({"storage_class": "cloud"}, {"driver": "rclone", "driver_options": {"remote": "s3"}}),
    "absent": ({"storage_class": "nfs", "state": "absent"}, {"state": "absent"}),
}


@pytest.mark.parametrize(("volume", "expected"), CASES.values(), ids=CASES)
def test_what_a_class_means(volume: dict[str, t.Any], expected: dict[str, t.Any]) -> None:
    made = storage.expand({"name": "v1", **volume}, CLASSES)
    assert made == {"name": "v1", **expected}
    assert require_consistent([Desired.parse(made)]) == []


WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "unknown": ({"storage_class": "fats"}, "there is no such class; there are block, cifs, cloud, fast"),
    "missing": ({"storage_class": "nfs"}, "server, export is missing; give it to the class, or to the volume"),
    "too much": ({"storage_class": "plain", "size": "1m"}, "size isn't for the kind plain, which takes nothing more"),
    "driver_options": ({"storage_class": "fast", "driver_options": {}}, "driver_options isn't for the kind ssd"),
    "out of the disk": ({"storage_class": "fast", "subpath": "../etc"}, "give a relative path without '..'"),
    "absolute": ({"storage_class": "fast", "subpath": "/etc"}, "give a relative path"),
    "more options": ({"storage_class": "shared", "subpath": "a,b"}, "give a relative path"),
}


@pytest.mark.parametrize(("volume", "text"), WRONG.values(), ids=WRONG)
def test_what_is_refused(volume: dict[str, t.Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        storage.expand({"name": "v1", **volume}, CLASSES)
    assert str(caught.value).startswith(f"volume v1, storage class {volume['storage_class']}: ")
    assert text in str(caught.value)


def test_a_mode_that_yaml_has_read_as_a_number() -> None:
    with pytest.raises(UsageError, match="volume v1: mode is 504; write octal digits in quotes"):
        storage.expand({"name": "v1", "storage_class": "tmpfs", "size": "1m", "mode": 0o770})


def test_a_subpath_that_yaml_has_read_as_a_number() -> None:
    made = storage.expand({"name": "v1", "storage_class": "fast", "subpath": 2024}, CLASSES)
    assert made["device_path"].endswith("/2024")


def test_an_unknown_kind() -> None:
    with pytest.raises(UsageError, match="its kind is 'disk'; kinds are plain, ssd"):
        storage.expand({"name": "v1", "storage_class": "x"}, {"x": {"kind": "disk"}})


def test_every_kind_has_its_rules() -> None:
    assert storage._TAKES.keys() == storage._MADE.keys() == set(storage.KINDS)
    assert {kinds.PLAIN, kinds.NFS, kinds.TMPFS, kinds.CIFS, kinds.BLOCK, kinds.PLUGIN} <= set(storage.KINDS)


def test_the_filter() -> None:
    assert FilterModule().filters() == {"storage_class": storage_class}
    one = {"name": "v1", "storage_class": "plain"}
    assert storage_class(one) == {"name": "v1"}
    assert storage_class([one, {"name": "v2"}], CLASSES) == [{"name": "v1"}, {"name": "v2"}]
    for wrong in ("plain", ["plain"]):
        with pytest.raises(AnsibleFilterError, match="a volume or a list of volumes"):
            storage_class(wrong)
    with pytest.raises(AnsibleFilterError, match="volume v1, storage class fats: there is no such class"):
        storage_class({"name": "v1", "storage_class": "fats"})
