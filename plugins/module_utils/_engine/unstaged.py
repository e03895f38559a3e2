# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill a volume that can't hold two trees: what it holds is removed, and then the new tree is made in its place.

There is no way back once the first file is removed, and a half-made tree must not be taken for a whole one. So the
journal's entry that says which containers are to come back says, from then on, that they must not; and a marker in the
volume's root has it refused by backups. A restore that succeeds takes both away. The steps, each of them on disk before
the next one:

1. The journal's entry is of this kind. Without a marker the volume is whole, and its containers may come back.
2. The marker is there. The volume isn't whole.
3. The entry has the root's times: the new tree is whole, and only the marker, and the time that its removal takes from
   the root, are left to put right.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from . import journal, mounts, points, quiesce, roots, survey, volumes, writeback
from .attributes import Attributes
from .client import Client
from .errors import DrydockError, VolumeError, reason
from .quiesce import Limits
from .removal import remove, remove_leftovers

KIND = "unstaged"

# How many paths are removed by one process.
_BATCH = 500
_LABEL = "security.selinux"  # every file has one, and none can be without
# What a tree says of its failure, which is true where it was made beside the old one.
_UNDONE = "; what was extracted is removed"
# What GNU tar says in place of the system's words where only a part of a block could be written.
_SHORT = "Wrote only "


@dataclass
class Window(quiesce.Window):
    """Containers that stay stopped from ``begin`` until ``complete``, whatever happens; then they are brought back."""

    _sealed: bool = False

    def begin(self, name: str) -> None:
        """From now on the containers don't come back. Raise StateError, with nothing changed, if it can't be noted."""
        if self._entry is None:
            self._entry = journal.write({"kind": KIND, "volume": name, "containers": [], "after": []})
        else:
            self._entry.replace({**self._entry.undo, "kind": KIND, "volume": name})
        self._sealed = True

    def keep(self, times: Sequence[int]) -> None:
        """Have the journal know that the tree is whole, and its root's times."""
        if self._entry is not None:
            self._entry.replace({**self._entry.undo, "times": list(times)})

    def complete(self) -> None:
        """From now on the containers come back."""
        self._sealed = False

    def seal(self, names: Sequence[str]) -> None:
        """Leave it to the next run to bring these containers back, when it has made the volume whole."""
        self._sealed = True
        if names:
            self.notes.append(f"{', '.join(names)} stay stopped until then")

    def close(self) -> None:
        """Bring the containers back, unless they mustn't be; then that is left to the restore that succeeds."""
        if not self._sealed:
            super().close()
        elif self._entry is not None:
            entry, self._entry = self._entry, None
            entry.leave()


def require_possible(root: str, name: str, needed: int, entries: int) -> None:
    """Raise VolumeError if the new tree won't fit when the old one is removed, as far as is known."""
    present, facts = survey.survey(root), os.statvfs(root)
    free = facts.f_bavail * facts.f_frsize + present.allocated
    inodes = facts.f_favail + present.entries
    lacking = ""
    if needed > free:
        lacking = f"the backup's files take {needed} bytes on disk, and its file system will have {free} bytes free"
    elif facts.f_files > 0 and entries > inodes:
        lacking = (
            f"the backup holds {entries} files and directories, and its file system will have {inodes} inodes free"
        )
    if lacking:
        raise VolumeError(
            f"volume {name}: {lacking} when the present contents are removed; make room, or restore into another "
            "volume; nothing was changed"
        )


def replace(
    root: str,
    name: str,
    window: Window,
    fill: Callable[[str], None],
    *,
    rooted: bool,
    ahead: Callable[[], str],
) -> None:
    """Remove what the directory ``root`` of the volume ``name`` holds, and ``fill`` it, with its containers stopped.

    ``ahead`` is called when they are, before anything is removed, and says where else the old tree is, if it is. The
    root gets the new tree's owner, mode, times and xattrs if that one is ``rooted``, and keeps its own otherwise. Raise
    DrydockError: with nothing changed, or with a text that says what was lost.
    """
    with _held(root, name) as descriptor:
        roots.require_exchanged(root, name)
        before = Attributes.of(root)
        window.open()
        try:
            elsewhere = ahead()
            points.reached("nothing-removed")
            _begin(root, name, window, before)
            try:
                _clear(root, bare=rooted)
                points.reached("all-removed")
                with writeback.meanwhile(descriptor):
                    fill(root)
                    remove_leftovers(root)
                if not rooted:
                    before.give(root)
                points.reached("filled")
                writeback.sync(descriptor)
                facts = os.stat(root)
                times = (facts.st_atime_ns, facts.st_mtime_ns)
                window.keep(times)
                points.reached("whole")
            except BaseException as error:
                raise VolumeError(_lost(root, name, window, error, elsewhere)) from error
            _conclude(root, name, descriptor, times)
            points.reached("unmarked")
            window.complete()
        finally:
            window.close()


def recover(
    client: Client, left: dict[str, Any], limits: Limits, helper_image: str | None, note: Callable[[str], object]
) -> bool:
    """Bring the containers back if the volume is whole, and say what to do if it isn't. Return whether all is done."""
    name = left["volume"]
    listed = client.volume(name)
    if listed is None:
        note(f"volume {name}, a restore of which was interrupted, was removed since")
        return quiesce.bring_back(client, left, limits, note)
    with mounts.reach(client, [volumes.Volume.from_api(listed)], helper_image) as places:
        root = places.path(name)
        if "times" in left:
            with _held(root, name) as descriptor:
                _conclude(root, name, descriptor, left["times"])
            note(f"volume {name} holds the restored contents: a restore that was interrupted was finished")
        whole = not roots.unfinished(root)
    if not whole:
        note(f"{roots.half(root, name)}{_still(left)}")
    return whole and quiesce.bring_back(client, left, limits, note)


def settle(client: Client, name: str, limits: Limits, note: Callable[[str], object]) -> list[str]:
    """The volume is whole again: start the containers that restores before left stopped, and ``note`` which.

    Return what went wrong.
    """
    failures: list[str] = []
    entries, _problems = journal.abandoned()
    for entry in entries:
        if (entry.undo.get("kind"), entry.undo.get("volume")) != (KIND, name):
            entry.leave()
            continue
        notes: list[str] = []
        try:
            undone = quiesce.bring_back(client, entry.undo, limits, notes.append)
        except (DrydockError, KeyError) as error:
            notes.append(f"what a run that was interrupted left stopped can't be brought back: {error!s}")
            undone = False
        if undone:
            for text in notes:
                note(text)
            entry.remove()
        else:
            failures += notes
            entry.leave()
    return failures


@contextlib.contextmanager
def _held(root: str, name: str) -> Iterator[int]:
    """A descriptor of the root, with a flock: no other restore touches it meanwhile."""
    try:
        descriptor = roots.locked(root, name)
    except OSError as error:
        raise VolumeError(f"volume {name}: {root} can't be opened: {reason(error)}; nothing was changed") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _begin(root: str, name: str, window: Window, before: Attributes) -> None:
    """Note that the volume isn't whole from now on. Raise DrydockError, with nothing changed, if that can't be done."""
    window.begin(name)
    points.reached("no-way-back")
    marked = roots.unfinished(root)
    try:
        roots.mark(root)
    except OSError as error:
        if not marked:
            with contextlib.suppress(OSError):
                os.unlink(roots.marker(root))
                before.give(root)
        if marked or not roots.unfinished(root):
            window.complete()
        raise VolumeError(
            f"volume {name}: it can't be marked as incomplete, which comes first: {reason(error)}; nothing was removed"
        ) from error
    points.reached("marked")


def _clear(root: str, *, bare: bool) -> None:
    """Remove what is in the root but the marker, and with ``bare`` what the root has of its own. Raise OSError.

    It is nobody's but root's until tar gives it its owner and mode, so that no process looks at a part of the tree.
    """
    present = [entry for entry in os.listdir(root) if entry != roots.MARKER and not roots.is_lost_found(root, entry)]
    for start in range(0, len(present), _BATCH):
        paths = [os.path.join(root, entry) for entry in present[start : start + _BATCH]]
        said = remove(*paths)
        for path in filter(os.path.lexists, paths):
            raise OSError(errno.ENOTEMPTY, f"it can't be removed ({said})", path)
        points.reached("some-removed")
    if bare:
        os.chown(root, 0, 0)
        os.chmod(root, 0o700)
        for key in os.listxattr(root):
            if key != _LABEL:
                os.removexattr(root, key)


def _conclude(root: str, name: str, descriptor: int, times: Sequence[int]) -> None:
    """The tree is whole: take the marker away, and give the root its ``times`` again. Raise VolumeError."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(roots.marker(root))
            points.reached("marker-removed")
        os.utime(root, ns=(times[0], times[1]))
        writeback.sync(descriptor)
    except OSError as error:
        raise VolumeError(
            f"volume {name} holds the restored contents, but the marker {roots.marker(root)} can't be removed: "
            f"{reason(error)}; its containers stay stopped, and the next run tries again"
        ) from error


def _lost(root: str, name: str, window: Window, error: BaseException, elsewhere: str) -> str:
    """What to say of an error after which there is no way back."""
    why = str(error).partition(_UNDONE)[0] if isinstance(error, Exception) else "the restore was ended from outside"
    if _SHORT in why:
        why += " (No space left on device, or a quota is used up)"
    left = {"containers": [{"name": member.name} for member in window.group.members]}
    return f"{why.replace(f'volume {name}: ', '', 1)}: {roots.half(root, name)}{_still(left)}{elsewhere}"


def _still(left: dict[str, Any]) -> str:
    names = ", ".join(sorted(container["name"] for container in left["containers"]))
    return f"; {names} stay stopped until then, and are started by that restore" if names else ""
