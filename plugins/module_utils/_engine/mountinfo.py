# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is mounted where, as the kernel tells it."""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\([0-7]{3})")


def parse(text: bytes) -> set[bytes]:
    """The mount points in the text of a ``mountinfo`` of proc(5), with what is escaped in them unescaped."""
    points = set()
    for line in text.splitlines():
        fields = line.split(b" ")
        if len(fields) > 4:
            points.add(_ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), fields[4]))
    return points


def mount_points() -> set[bytes]:
    """The mount points that this process sees now."""
    with open("/proc/self/mountinfo", "rb") as file:
        return parse(file.read())
