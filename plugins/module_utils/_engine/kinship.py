# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether two volumes have their files in the same place, or one in the other. Pure."""

from __future__ import annotations

import os
from collections.abc import Mapping

from .errors import VolumeError
from .volumes import Volume, is_bind

#: File systems that are gone, with all that is in them, once nothing has them mounted.
FLEETING = ("tmpfs", "ramfs")


def is_fleeting(volume: Volume) -> bool:
    """Whether a volume holds its files only for as long as a container uses it."""
    return volume.driver == "local" and volume.options.get("type") in FLEETING


def require_apart(source: Volume, target: Volume) -> None:
    """Raise VolumeError if ``target``, which may not exist yet, has its files where ``source`` has them, or one's
    directory is in the other's. Nothing is known of plugins' volumes."""
    mine, theirs = _where(source), _where(target)
    if mine is None or theirs is None or mine[0] != theirs[0]:
        return
    if _within(mine[1], theirs[1]) or _within(theirs[1], mine[1]):
        how = "is" if mine[1] == theirs[1] else "overlaps"
        raise VolumeError(
            f"volume {target.name} can't be a clone of volume {source.name}: its device {theirs[1]} {how} that one's "
            f"{mine[1]}; give driver_options with a device of its own, or driver_options: {{}} for a plain volume; "
            "nothing was changed"
        )


def _where(volume: Volume) -> tuple[str, str] | None:
    """On what a volume has its files, and where on that; None if nothing can be said, or nobody else has them."""
    options = volume.options
    if volume.driver != "local" or is_fleeting(volume):
        return None
    if is_bind(volume.driver, options):
        return "", os.path.realpath(options.get("device", ""))
    kind, device = options.get("type", ""), options.get("device", "")
    if not kind and not device:
        return ("", os.path.realpath(volume.mountpoint)) if volume.mountpoint else None
    if kind.startswith("nfs"):
        return f"nfs {_address(options)}", os.path.normpath(device.partition(":")[2] or device)
    if device.startswith("/"):
        return ("", os.path.realpath(device)) if device[1:2] != "/" else (kind, os.path.normpath(device))
    return None


def _address(options: Mapping[str, str]) -> str:
    """The server among mount options; "" if they name none."""
    found = [option.partition("=")[2] for option in options.get("o", "").split(",") if option.startswith("addr=")]
    return found[0].lower() if found else ""


def _within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
