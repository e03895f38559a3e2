# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount points that the host's fstab names."""

from __future__ import annotations

import os
import re

from .errors import VolumeError, reason

PATH = "/etc/fstab"
#: What to do where one of them has nothing mounted on it.
HINT = "mount the disk, and look into the kernel's log if that fails"

_ESCAPE = re.compile(r"\\([0-7]{3})")


def parse(text: str) -> list[str]:
    """The mount points in the text of fstab(5), but for the root directory. Pure."""
    found = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 3 or fields[0].startswith("#") or not fields[1].startswith("/"):
            continue
        point = os.path.normpath(_ESCAPE.sub(lambda match: chr(int(match[1], 8)), fields[1]))
        if point.strip("/"):
            found.append(point)
    return found


def mount_points() -> list[str]:
    """Those of this host. Raise VolumeError if the file is there and can't be read."""
    try:
        with open(PATH, encoding="utf-8", errors="surrogateescape") as file:
            return parse(file.read())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise VolumeError(f"{PATH} can't be read: {reason(error)}; nothing was changed") from error
