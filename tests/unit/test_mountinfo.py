# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kernel's list of mounts, from its own documentation and from here."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import mountinfo
from tests.unit.helpers import mounted, needs_root

ROOT = rb"21 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw,errors=remount-ro"
TEXTS: dict[str, tuple[bytes, dict[bytes, str]]] = {
    "nothing": (b"", {}),
    "as proc(5) has it": (
        rb"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue",
        {b"/mnt2": "ext3"},
    ),
    "two": (ROOT + b"\n" + ROOT.replace(b" / / ", b" / /a ").replace(b"ext4", b"xfs"), {b"/": "ext4", b"/a": "xfs"}),
    "without optional fields": (b"36 35 98:0 / /a rw - tmpfs tmpfs rw", {b"/a": "tmpfs"}),
    "with several": (b"36 35 98:0 / /a rw shared:1 master:2 unbindable - nfs4 h:/x rw", {b"/a": "nfs4"}),
    "a part of a type": (b"36 35 0:9 / /a rw - fuse.sshfs ops@h:/x rw", {b"/a": "fuse.sshfs"}),
    "what is escaped": (rb"36 35 98:0 /x\040- /a\040b\011c\012d\134e rw - ext4 none rw", {b"/a b\tc\nd\\e": "ext4"}),
    "what only looks so": (rb"36 35 98:0 / /a\134040 rw - ext4 none rw", {rb"/a\040": "ext4"}),
    "a separator in a name": (rb"36 35 98:0 / /a\040-\040b rw - ext4 none rw", {b"/a - b": "ext4"}),
    "a separator in a source": (b"36 35 98:0 / /a rw - ext4 none - rw", {b"/a": "ext4"}),
    "not UTF-8": (b"36 35 98:0 / /\xff\xfe rw - ext4 none rw", {b"/\xff\xfe": "ext4"}),
    "one over the other": (
        b"36 35 98:0 / /a rw - ext4 none rw\n37 35 0:9 / /a rw - tmpfs none rw",
        {b"/a": "tmpfs"},
    ),
    "no type": (b"36 35 98:0 / /a rw", {b"/a": ""}),
    "too short": (b"36 35 98:0 /", {}),
    "an empty line": (b"\n\n", {}),
}


@pytest.mark.parametrize(("text", "points"), TEXTS.values(), ids=TEXTS)
def test_the_kernels_text(text: bytes, points: dict[bytes, str]) -> None:
    assert mountinfo.parse(text) == points
    assert mountinfo.parse(text + b"\n") == points


def test_what_is_mounted_here() -> None:
    points = mountinfo.mount_points()
    assert points[b"/proc"] == "proc"
    assert points[b"/"]


@needs_root
@pytest.mark.parametrize("name", ["plain", "a b", "a\\040b", "a - b", "tab\t", "new\nline", "#", "é", "\udcff"])
def test_a_file_system_of_any_name(tmp_path: pathlib.Path, name: str) -> None:
    outside = mountinfo.file_system(str(tmp_path))
    with mounted("ramfs", tmp_path / name) as point:
        (point / "below" / "deep").mkdir(parents=True)
        (tmp_path / "link").symlink_to(point / "below")
        assert mountinfo.mount_points()[os.fsencode(point)] == "ramfs"
        for path in (point, point / "below" / "deep", point / "missing", tmp_path / "link"):
            assert mountinfo.file_system(str(path)) == "ramfs"
        assert mountinfo.file_system(f"{point}/") == "ramfs"
        assert mountinfo.file_system(f"{point}/..") == mountinfo.file_system(f"{point}-beside") == outside != "ramfs"
    assert mountinfo.file_system(str(tmp_path / name)) == outside
    assert mountinfo.file_system("/proc/self") == "proc"
