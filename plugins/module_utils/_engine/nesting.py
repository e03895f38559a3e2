# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies inside a directory although it has no business there: a repository, or another file system."""

from __future__ import annotations

import contextlib
import os

from . import mountinfo
from .errors import VolumeError


def holds(folder: str, path: str) -> bool:
    """Whether ``path``, which may not exist yet, is the directory ``folder`` or in it, by whatever way it is named.

    What isn't an absolute path isn't on this host.
    """
    if not os.path.isabs(path):
        return False
    root = os.stat(folder)
    at = os.path.realpath(path)
    while True:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            if os.path.samestat(os.stat(at), root):
                return True
        above = os.path.dirname(at)
        if above == at:
            return False
        at = above


def require_nothing_mounted(root: str, name: str) -> None:
    """Raise VolumeError if another file system is mounted inside the directory ``root`` of the volume ``name``: it can
    be neither moved nor removed with what is around it."""
    below = os.fsencode(os.path.join(os.path.realpath(root), ""))
    inside = sorted(point for point in mountinfo.mount_points() if point.startswith(below))
    if inside:
        raise VolumeError(
            f"volume {name} has something mounted inside, at {os.fsdecode(inside[0])}: unmount it first; nothing was "
            "changed"
        )
