# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a disk may be prepared, and what that takes. Pure: this is the one place that decides on a new file system.

A disk gets one only if nothing at all is on it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

from . import fstab_line
from .disks import Device, Point
from .errors import DiskError, UsageError
from .fstab_line import Entry

#: What is done, in this order.
DIRECTORY, PROTECT, FORMAT, CHECK, FSTAB, MOUNT, REMOUNT = (
    "make mount point",
    "protect mount point",
    "make file system",
    "check file system",
    "write fstab",
    "mount",
    "remount",
)

#: The longest labels that fit, in bytes.
LABELS = {"ext4": 16, "xfs": 12}
# Which pass of fsck a file system takes part in: xfs replays its own log when it is mounted.
_CHECKS = {"ext4": 2, "xfs": 0}
_SYSTEM = {"bin", "boot", "dev", "etc", "home", "lib", "lib32", "lib64", "proc", "root", "run", "sbin", "sys", "tmp"}
_SYSTEM |= {"usr", "var", "var/lib", "var/log", "var/tmp"}
_UNTOUCHED = "nothing was changed"


@dataclass(frozen=True)
class Wanted:
    """What is asked for. ``device`` is None where a mount point is only to be looked at; ``options`` are fstab's."""

    device: str | None
    mount_point: str
    filesystem: str = "xfs"
    label: str = ""
    options: tuple[str, ...] = ()
    require_ssd: bool = True


@dataclass(frozen=True)
class Plan:
    """The steps to take, the file system's UUID and the line of fstab."""

    steps: tuple[str, ...]
    uuid: str
    entry: Entry
    warnings: tuple[str, ...] = ()


def validate(wanted: Wanted) -> None:
    """Raise UsageError for what can't be asked for."""
    point = wanted.mount_point
    if not os.path.isabs(point) or os.path.normpath(point) != point or point.startswith("//"):
        raise UsageError(f"mount_point is {point!r}; give an absolute path without '..' and without a slash at its end")
    if point == "/" or point.lstrip("/") in _SYSTEM:
        raise UsageError(f"mount_point is {point}, which belongs to the system; give a directory such as /mnt/ssd")
    if wanted.device is None:
        return
    if not os.path.isabs(wanted.device):
        raise UsageError(f"device is {wanted.device!r}; give its path, such as /dev/disk/by-id/…")
    longest = LABELS[wanted.filesystem]
    if not 0 < len(wanted.label.encode()) <= longest or any(letter in wanted.label for letter in ' "\\/\n'):
        raise UsageError(
            f"label is {wanted.label!r}; give 1 to {longest} bytes without spaces, quotes and slashes: by its label a "
            "disk is known as ours"
        )
    odd = [option for option in wanted.options if not option or "," in option or " " in option]
    if odd:
        raise UsageError(f"mount_options: {odd[0]!r} isn't one option; give a list of them")


def check(wanted: Wanted, point: Point, rotational: bool | None) -> None:
    """Decide on a mount point that somebody else has prepared. Raise DiskError if it won't do."""
    if point.device is None:
        raise DiskError(
            f"{wanted.mount_point} isn't a mount point, so that files would land on the disk below it; mount the disk "
            f"there, or give its device; {_UNTOUCHED}"
        )
    if point.on_root:
        raise DiskError(
            f"{wanted.mount_point} is mounted, but it is the root file system again; mount the disk there; {_UNTOUCHED}"
        )
    _require_ssd(wanted, f"the disk at {wanted.mount_point}", rotational)


def plan(wanted: Wanted, device: Device, point: Point, fstab: str, uuid: str, unfinished: bool) -> Plan:
    """Decide what it takes to have the disk at its mount point.

    ``fstab`` is the text of that file, ``uuid`` is for a file system that is made now, ``unfinished`` says that a run
    began to make one on this device, and didn't come to the end. Raise DiskError with what is in the way and what to
    do.
    """
    _require_ssd(wanted, f"disk {device.path}", device.rotational)
    current = fstab_line.find(fstab, wanted.mount_point)
    ours = _is_ours(wanted, device, current)
    _require_unused(device, wanted.mount_point if ours else None)
    if not ours and device.signatures:
        raise DiskError(_not_blank(device))
    _require_free(device, point)
    known = device.uuid if ours else uuid
    entry = Entry(
        f"UUID={known}",
        wanted.mount_point,
        wanted.filesystem,
        ",".join(wanted.options) or "defaults",
        _CHECKS[wanted.filesystem],
    )
    line = _line(wanted, device, current, entry)
    mounted = point.device is not None
    steps = {
        DIRECTORY: point.state == "absent",
        PROTECT: point.immutable is False,
        FORMAT: not ours,
        CHECK: ours and unfinished and not mounted,
        FSTAB: line,
        MOUNT: not mounted,
        REMOUNT: line and mounted,
    }
    warnings = []
    if point.immutable is None:
        warnings.append(
            f"{wanted.mount_point}: its file system can't make a directory immutable; while the disk isn't mounted "
            "there, what is written there lands below it"
        )
    return Plan(tuple(step for step, due in steps.items() if due), known, entry, tuple(warnings))


def _is_ours(wanted: Wanted, device: Device, current: Entry | None) -> bool:
    """Whether what is on a device is what we, or somebody for us, made of it."""
    if device.kind != wanted.filesystem or set(device.signatures) - {device.kind}:
        return False
    return device.label == wanted.label or (current is not None and current.source == f"UUID={device.uuid}")


def _require_ssd(wanted: Wanted, what: str, rotational: bool | None) -> None:
    if wanted.require_ssd and rotational is not False:
        said = "is a rotational disk" if rotational else "doesn't say whether it is an SSD"
        raise DiskError(
            f"{what} {said} (the kernel's queue/rotational); name another one, or set require_ssd to false, as for "
            f"virtual disks that don't say what they are made of; {_UNTOUCHED}"
        )


def _require_unused(device: Device, own: str | None) -> None:
    """Nobody may use it. One that is ours and mounted where it belongs is mounted wherever Docker binds it, too."""
    uses = list(device.uses)
    if own is not None and f"is mounted at {own}" in uses:
        uses = [use for use in uses if not use.startswith("is mounted at ")]
    if uses:
        raise DiskError(
            f"disk {device.path} {' and '.join(uses)}; name a whole disk or a partition that nothing uses; {_UNTOUCHED}"
        )


def _not_blank(device: Device) -> str:
    what = ", ".join(device.signatures) + (f" with the label {device.label!r}" if device.label else "")
    return (
        f"disk {device.path} holds something already ({what}), and isn't formatted; to use it as it is, give its "
        "filesystem and its label; if nothing on it is needed any more, erase it yourself "
        f"(wipefs --all {device.path}); {_UNTOUCHED}"
    )


def _require_free(device: Device, point: Point) -> None:
    """The mount point is free, or has the disk."""
    if point.device is not None and point.device != device.number:
        raise DiskError(
            f"something else than disk {device.path} is mounted at {point.path}; unmount it, or name another mount "
            f"point; {_UNTOUCHED}"
        )
    if point.state == "something else":
        raise DiskError(f"{point.path} is not a directory; name another mount point; {_UNTOUCHED}")
    if point.entries:
        few = ", ".join(point.entries[:3]) + (", …" if len(point.entries) > 3 else "")
        raise DiskError(
            f"{point.path} holds {len(point.entries)} entries ({few}) that the disk would hide; see whether they were "
            f"written while it wasn't mounted, and move them away; {_UNTOUCHED}"
        )


def _line(wanted: Wanted, device: Device, current: Entry | None, entry: Entry) -> bool:
    """Whether the line of fstab must be written."""
    if current is None:
        return True
    if current.source.replace('"', "") not in (entry.source, f"LABEL={wanted.label}", device.path, *device.names):
        raise DiskError(
            f"/etc/fstab mounts {current.source} at {wanted.mount_point}, which isn't disk {device.path}; remove that "
            f"line, or name another mount point; {_UNTOUCHED}"
        )
    return current != entry
