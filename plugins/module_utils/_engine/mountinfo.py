# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, as the kernel tells it."""

from __future__ import annotations

import os
import re
from collections.abc import Container
from dataclasses import dataclass

_ESCAPE = re.compile(rb"\\([0-7]{3})")


@dataclass(frozen=True)
class Mount:
    """What is mounted: the ``root`` (a path in it) of the file system on ``device`` (major:minor), and its ``kind``."""

    device: bytes
    root: bytes
    kind: str


def mounts(text: bytes) -> dict[bytes, Mount]:
    """The mounts in the text of a ``mountinfo`` of proc(5), by their mount points.

    What is escaped in those is unescaped. Of several on one mount point it is the last one, which covers the others.
    """
    found = {}
    for line in text.split(b"\n"):
        fields, _separator, rest = line.partition(b" - ")
        parts = [_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), part) for part in fields.split(b" ")[2:5]]
        if len(parts) == 3:
            device, root, point = parts
            found[point] = Mount(device, root, rest.partition(b" ")[0].decode("ascii", "replace"))
    return found


def parse(text: bytes) -> dict[bytes, str]:
    """The types of the file systems in such a text, by their mount points."""
    return {point: mount.kind for point, mount in mounts(text).items()}


def mount_points() -> dict[bytes, str]:
    """The mount points that this process sees now, with the types of their file systems."""
    return parse(_now())


def present() -> dict[bytes, Mount]:
    """The mounts that this process sees now."""
    return mounts(_now())


def _now() -> bytes:
    with open("/proc/self/mountinfo", "rb") as file:
        return file.read()


def file_system(path: str) -> str:
    """The type of the file system that ``path`` is on: "ext4", "nfs4"."""
    points = mount_points()
    return points.get(point_of(os.fsencode(os.path.realpath(path)), points), "")


def point_of(path: bytes, points: Container[bytes]) -> bytes:
    """The mount point that an absolute path is below. Pure."""
    while path not in points and path != b"/":
        path = os.path.dirname(path)
    return path
