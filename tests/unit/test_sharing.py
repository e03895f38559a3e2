# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has a volume's files by another name, from the kernel's list of mounts: F14, F20."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import mountinfo, sharing
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume

ROOT = "/var/lib/docker/volumes"
# a and b are bind volumes of /ssd/one, c is one of /ssd/one/below, and n and m are NFS volumes of one export
MOUNTS = mountinfo.mounts(
    b"21 1 254:0 / / rw - ext4 /dev/vda rw\n"
    b"22 21 8:1 / /ssd rw - xfs /dev/sda1 rw\n"
    b"23 21 8:1 /one /var/lib/docker/volumes/b/_data rw - xfs /dev/sda1 rw\n"
    b"24 21 8:1 /one/below /var/lib/docker/volumes/c/_data rw - xfs /dev/sda1 rw\n"
    b"25 21 8:1 /another /var/lib/docker/volumes/d/_data rw - xfs /dev/sda1 rw\n"
    b"26 21 0:50 /export /var/lib/docker/volumes/n/_data rw - nfs4 h:/export rw\n"
    b"27 21 0:50 /export /var/lib/docker/volumes/m/_data rw - nfs4 h:/export rw\n"
    b"28 21 9:1 /one /var/lib/docker/volumes/e/_data rw - xfs /dev/sdb1 rw\n"
)


def _bound(name: str, device: str) -> Volume:
    return Volume(name, "local", {"type": "none", "o": "bind", "device": device}, {}, "local", f"{ROOT}/{name}/_data")


def _plain(name: str) -> Volume:
    return Volume(name, "local", {}, {}, "local", f"{ROOT}/{name}/_data")


def _names(volume: Volume, mount: dict[str, object]) -> list[object]:
    container = {"Id": "1", "Names": ["/x"], "State": "running", "Mounts": [mount]}
    (found,) = sharing.revealed([container], [volume], MOUNTS)
    return [each.get("Name") for each in found["Mounts"]]


@pytest.mark.parametrize(
    ("volume", "mounted", "expected"),
    [
        pytest.param(_bound("a", "/ssd/one"), "b", ["b", "a"], id="another volume of the same directory"),
        pytest.param(_bound("a", "/ssd/one/"), "b", ["b", "a"], id="written otherwise"),
        pytest.param(_bound("a", "//ssd/./one"), "b", ["b", "a"], id="written worse"),
        pytest.param(_bound("a", "/ssd/one"), "c", ["c", "a"], id="a volume of a directory below"),
        pytest.param(_bound("c", "/ssd/one/below"), "b", ["b"], id="of one above"),
        pytest.param(_bound("a", "/ssd/one"), "d", ["d"], id="of another one"),
        pytest.param(_bound("a", "/ssd/on"), "b", ["b"], id="of one whose name begins alike"),
        pytest.param(_bound("a", "/ssd/one"), "e", ["e"], id="of another disk"),
        pytest.param(_bound("b", "/ssd/one"), "b", ["b"], id="the volume itself"),
        pytest.param(_plain("p"), "p", ["p"], id="a plain one"),
        pytest.param(_plain("p"), "b", ["b"], id="a plain one and a bind one"),
        pytest.param(_plain("n"), "m", ["m", "n"], id="two of one export"),
    ],
)
def test_through_another_volume(volume: Volume, mounted: str, expected: list[str]) -> None:
    mount = {"Type": "volume", "Name": mounted, "Source": f"{ROOT}/{mounted}/_data", "RW": True}
    assert _names(volume, mount) == expected


@pytest.mark.parametrize(
    ("volume", "source", "expected"),
    [
        (_bound("a", "/ssd/one"), "/ssd/one", [None, "a"]),
        (_bound("a", "/ssd/one"), "/ssd/one/deep/er", [None, "a"]),
        (_bound("a", "/ssd/one"), "/ssd", [None]),
        (_bound("a", "/ssd/one"), "/ssd/one-and-more", [None]),
        (_plain("p"), f"{ROOT}/p/_data/sub", [None, "p"]),
        (_plain("p"), f"{ROOT}/pp/_data", [None]),
        (_plain("p"), "", [None]),
        (Volume("q", "plugin", {}, {}, "local", ""), "/ssd/one", [None]),
        (_bound("a", ""), "/ssd/one", [None]),
        (_bound("a", "relative"), "/ssd/one", [None]),
    ],
)
def test_by_a_path(volume: Volume, source: str, expected: list[str | None]) -> None:
    assert _names(volume, {"Type": "bind", "Source": source, "RW": True}) == expected


def test_by_a_link(tmp_path: pathlib.Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    for device, source in (("link", "real"), ("real", "link")):
        mount = {"Type": "bind", "Source": str(tmp_path / source), "RW": False}
        (found,) = sharing.revealed([{"Mounts": [mount]}], [_bound("a", str(tmp_path / device))])
        assert found["Mounts"] == [mount, {**mount, "Type": "volume", "Name": "a"}]


def test_a_container_without_mounts_and_what_else_it_has_stay() -> None:
    container = {"Id": "1", "Mounts": None, "Labels": {"a": "b"}}
    assert sharing.revealed([container], [_plain("p")], MOUNTS) == [{**container, "Mounts": []}]
    mount = {"Type": "tmpfs", "Destination": "/x"}
    assert sharing.revealed([{"Mounts": [mount]}], [_plain("p")], MOUNTS) == [{"Mounts": [mount]}]
