# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, as the kernel tells it."""

from __future__ import annotations

import os
import re

_ESCAPE = re.compile(rb"\\([0-7]{3})")


def parse(text: bytes) -> dict[bytes, str]:
    """The types of the file systems in the text of a ``mountinfo`` of proc(5), by their mount points.

    What is escaped in those is unescaped. Of several on one mount point it is the last one, which covers the others.
    """
    points = {}
    for line in text.split(b"\n"):
        fields, _separator, rest = line.partition(b" - ")
        point = fields.split(b" ")[4:5]
        if point:
            points[_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), point[0])] = rest.partition(b" ")[0].decode(
                "ascii", "replace"
            )
    return points


def mount_points() -> dict[bytes, str]:
    """The mount points that this process sees now, with the types of their file systems."""
    with open("/proc/self/mountinfo", "rb") as file:
        return parse(file.read())


def file_system(path: str) -> str:
    """The type of the file system that ``path`` is on: "ext4", "nfs4"."""
    points = mount_points()
    at = os.fsencode(os.path.realpath(path))
    while at not in points and at != b"/":
        at = os.path.dirname(at)
    return points.get(at, "")
