# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers that have a volume's files by another name: through another volume of the same directory, or by a path.

Docker tells of each mount what it is called, not what is in it. The kernel tells of which file system's directory each
mount is a view; whoever sees the same one, or one below it, has the same files.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import mountinfo
from .mountinfo import Mount
from .volumes import Volume, is_bind

# A look at a path on these may hang, so links in it aren't followed.
_FAR = ("nfs", "cifs", "smb", "fuse", "9p", "ceph", "glusterfs")


def revealed(
    containers: Sequence[Mapping[str, Any]],
    volumes: Sequence[Volume],
    mounts: Mapping[bytes, Mount] | None = None,
) -> list[dict[str, Any]]:
    """The containers, as the list endpoint shows them, where each mount that shows files of one of the volumes without
    saying so is followed by one that says so. ``mounts`` are those of the host now."""
    if mounts is None:
        mounts = mountinfo.present()
    homes = [(volume.name, _home(volume, mounts)) for volume in volumes]
    return [
        {
            **container,
            "Mounts": [each for mount in container.get("Mounts") or [] for each in _all(mount, homes, mounts)],
        }
        for container in containers
    ]


def _all(
    mount: Mapping[str, Any], homes: Sequence[tuple[str, tuple[bytes, bytes] | None]], mounts: Mapping[bytes, Mount]
) -> list[Mapping[str, Any]]:
    """A mount, and the same under the names of the other volumes that have their files there or above."""
    source = mount.get("Source") or ""
    if not source.startswith("/"):
        return [mount]
    device, path = _place(source, mounts)
    others = [
        name
        for name, home in homes
        if home is not None and home[0] == device and _within(path, home[1]) and name != mount.get("Name")
    ]
    return [mount, *({**mount, "Type": "volume", "Name": name} for name in others)]


def _home(volume: Volume, mounts: Mapping[bytes, Mount]) -> tuple[bytes, bytes] | None:
    """Where a volume has its files, as _place says it; None if nothing is known of that."""
    path = volume.options.get("device", "") if is_bind(volume.driver, volume.options) else volume.mountpoint
    return _place(path, mounts) if path.startswith("/") else None


def _place(path: str, mounts: Mapping[bytes, Mount]) -> tuple[bytes, bytes]:
    """The device that an absolute path is on, and where on that."""
    at = os.fsencode(os.path.normpath(f"///{path}"))  # normpath leaves two slashes at the start as they are
    if not mounts.get(mountinfo.point_of(at, mounts), _NOTHING).kind.startswith(_FAR):
        at = os.path.realpath(at)
    point = mountinfo.point_of(at, mounts)
    mount = mounts.get(point, _NOTHING)
    return mount.device, os.path.normpath(os.path.join(mount.root, os.path.relpath(at, point)))


_NOTHING = Mount(b"", b"/", "")


def _within(path: bytes, folder: bytes) -> bool:
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")
