# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a volume's root holds, and what an earlier restore may have left in it.

A restore extracts into a staging directory in the root itself: NEW and OLD are in it, the new tree and the old one, and
once all of the old tree is there the file ALL_OUT. One without staging marks the root while it holds a part only.
"""

from __future__ import annotations

import fcntl
import os

from . import writeback
from .errors import VolumeError

#: What the names of staging directories begin with: nothing else in a volume's root may have such a name.
PREFIX = ".drydock-staging-"
#: What is in one, and what the name of one ends with that is only there to be removed.
NEW, OLD, ALL_OUT, DONE = "new", "old", "all-of-the-old-is-out", ".done"
#: Marks a volume's root while a restore without staging is under way, and after one that failed.
MARKER = ".drydock-restore-incomplete"
#: What a new file system has in its root.
LOST_FOUND = "lost+found"


def contents(root: str) -> list[str]:
    """What is in a volume's root, but for what a new file system or a dead restore left there."""
    return sorted(entry for entry in os.listdir(root) if not negligible(root, entry))


def require_empty(root: str, name: str) -> None:
    """Raise VolumeError unless the directory is empty, but for what is negligible."""
    found = contents(root)
    if found:
        some = ", ".join(map(repr, found[:3])) + (", …" if len(found) > 3 else "")
        raise VolumeError(
            f"volume {name} is not empty: {root} holds {len(found)} entries ({some}); restore into a new volume, empty "
            "this one first, or have its contents replaced with when_not_empty: replace; nothing was changed"
        )


def require_whole(root: str, name: str) -> None:
    """Raise VolumeError if what the volume holds isn't what somebody's containers have made of it, or a backup."""
    require_finished(root, name)
    require_exchanged(root, name)


def require_finished(root: str, name: str) -> None:
    """Raise VolumeError if a restore without staging has removed what the volume held, and didn't come to its end."""
    if unfinished(root):
        raise VolumeError(f"{half(root, name)}; nothing was changed")


def unfinished(root: str) -> bool:
    """Whether the volume is marked as one that holds a part of a backup."""
    return os.path.lexists(marker(root))


def marker(root: str) -> str:
    """The path of that mark."""
    return os.path.join(root, MARKER)


def mark(root: str) -> None:
    """Mark it, on disk. An empty file needs no block, which a full disk doesn't have. Raise OSError."""
    descriptor = os.open(marker(root), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        writeback.sync(descriptor)
    finally:
        os.close(descriptor)


def half(root: str, name: str) -> str:
    """What to say of a volume that is marked."""
    return (
        f"volume {name} holds a part of a backup at most, and {marker(root)} marks it as such: a restore without "
        "staging removed what it held, and failed or was interrupted; restore it again, with when_not_empty: replace"
    )


def require_exchanged(root: str, name: str) -> None:
    """Raise VolumeError if an exchange of the volume's contents has begun, and nobody has finished it."""
    for entry in os.listdir(root):
        folder = os.path.join(root, entry)
        if entry.startswith(PREFIX) and not entry.endswith(DONE) and _begun(folder):
            raise VolumeError(
                f"volume {name} holds a part of its old and a part of its new contents: a restore was interrupted, and "
                f"its entry in the journal is gone or can't be recovered; {os.path.join(folder, OLD)} has the old "
                f"part, {os.path.join(folder, NEW)} the new one; nothing was changed"
            )


def _begun(folder: str) -> bool:
    old = os.path.join(folder, OLD)
    return os.path.lexists(os.path.join(folder, ALL_OUT)) or (os.path.isdir(old) and bool(os.listdir(old)))


def require_room(root: str, name: str, needed: int, entries: int = 0, *, removable: bool = False) -> None:
    """Raise VolumeError unless there is room for ``needed`` bytes more in ``entries`` files, where these aren't 0.

    A file system without a fixed number of inodes (btrfs) has none to count. ``removable`` says that what is there
    could be removed first.
    """
    facts = os.statvfs(root)
    free = facts.f_bavail * facts.f_frsize
    lacking = ""
    if needed > free:
        lacking = f"the backup's files take {needed} bytes on disk, and its file system has {free} bytes free"
    elif facts.f_files > 0 and entries > facts.f_favail:
        lacking = (
            f"the backup holds {entries} files and directories, and its file system has {facts.f_favail} inodes free"
        )
    if lacking:
        hint = "make room, or restore into another volume"
        if removable:
            hint += (
                ", or, in a restore, have the present contents removed first with staging: false: where that fails, "
                "neither the old contents nor all of the new ones are left"
            )
        raise VolumeError(f"volume {name}: {lacking} beside the present contents; {hint}; nothing was changed")


def locked(root: str, name: str) -> int:
    """A descriptor of the root with a flock. Raise VolumeError if another restore has it, and OSError."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise VolumeError(f"volume {name}: another restore writes to it right now; nothing was changed") from None
    return descriptor


def negligible(root: str, entry: str) -> bool:
    """Whether an entry of a root is what a new file system or a dead restore left there."""
    return entry.startswith(PREFIX) or is_lost_found(root, entry)


def is_lost_found(root: str, entry: str) -> bool:
    """Whether that is what a new file system has in its root."""
    path = os.path.join(root, entry)
    return entry == LOST_FOUND and os.path.isdir(path) and not os.listdir(path)
