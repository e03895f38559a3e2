# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extract beside, then exchange by renames: a volume holds its old tree or the new one, never a mix.

The staging directory lies in the volume's own root, so that the renames stay on its file system. No other user can
enter it. It has two directories, for the new tree and for the old one, one that is like the new root, and once all of
the old tree is in there, a mark. From the first rename until the old tree is gone, the journal says that there is
something to finish.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import compare, journal, points, rename, tools, writeback
from .errors import StateError, VolumeError, reason

#: What the names of staging directories begin with: nothing else in a volume's root may have such a name.
PREFIX = ".drydock-staging-"
_NEW, _OLD, _ROOT, _MARK = "new", "old", "root", "all-of-the-old-is-out"
_DONE = ".done"
_LOST_FOUND = "lost+found"
#: Marks a volume's root while a restore without staging is under way, and after one that failed.
MARKER = ".drydock-restore-incomplete"
_DEFAULT_ACL = "system.posix_acl_default"


def contents(root: str) -> list[str]:
    """What is in a volume's root, but for what a new file system or a dead restore left there."""
    return sorted(entry for entry in os.listdir(root) if not _negligible(root, entry))


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
        if entry.startswith(PREFIX) and not entry.endswith(_DONE) and _begun(folder):
            raise VolumeError(
                f"volume {name} holds a part of its old and a part of its new contents: a restore was interrupted, and "
                f"its entry in the journal is gone or can't be recovered; {os.path.join(folder, _OLD)} has the old "
                f"part, {os.path.join(folder, _NEW)} the new one; nothing was changed"
            )


def _begun(folder: str) -> bool:
    old = os.path.join(folder, _OLD)
    return os.path.lexists(os.path.join(folder, _MARK)) or (os.path.isdir(old) and bool(os.listdir(old)))


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


class Staging:
    """A directory to extract into. A context manager: what isn't committed by its end is removed."""

    def __init__(self, root: str, name: str, *, replace: bool = False) -> None:
        """Make it in the directory ``root`` of the volume ``name``, which must be empty unless it is to ``replace``
        what is there. Raise VolumeError if that can't be done.

        While it lives it has a flock on ``root``: no other restore takes it for what a dead one left behind.
        """
        self._root = root
        self._name = name
        self._replace = replace
        with contextlib.ExitStack() as stack:
            try:
                self._descriptor = locked(root, name)
                stack.callback(os.close, self._descriptor)
                self._require_empty()
                require_exchanged(root, name)
                self._before = Attributes.of(root)
                for entry in os.listdir(root):
                    if entry.startswith(PREFIX):
                        remove(os.path.join(root, entry))
                self._folder = tempfile.mkdtemp(prefix=PREFIX, dir=root)
                pass_nothing_on(self._folder)
                for part in (_NEW, _OLD):
                    os.mkdir(os.path.join(self._folder, part), 0o700)
            except OSError as error:
                why = reason(error)
                raise VolumeError(f"volume {name}: {root} can't be written: {why}; nothing was changed") from error
            self._stack = stack.pop_all()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:
            if not os.path.lexists(self._folder):
                return
            try:
                remove(self._folder)
                self._before.give(self._root)
            except OSError as second:
                if error is not None and not isinstance(error, Exception):
                    raise error from None
                raise VolumeError(
                    f"{error or f'volume {self._name}'}; and its file system doesn't let us clean up: {reason(second)}"
                    f"; a later restore removes what is left in {self._folder}"
                ) from error

    @property
    def path(self) -> str:
        """The directory to extract into."""
        return os.path.join(self._folder, _NEW)

    @property
    def folder(self) -> str:
        """The name of the staging directory in the volume's root."""
        return os.path.basename(self._folder)

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """The time in which files are written into it: they go to disk meanwhile. Raise VolumeError if they can't."""
        try:
            with writeback.meanwhile(self._descriptor):
                yield
        except OSError as error:
            raise VolumeError(
                f"volume {self._name}: what was extracted can't be written to disk: {reason(error)}; it is removed, "
                "the volume is as it was"
            ) from error

    def tidy(self) -> None:
        """Remove from the new tree what a dead restore had left in the volume that it was made of. Raise VolumeError if
        such a restore had left that one half done."""
        if os.path.lexists(os.path.join(self.path, MARKER)):
            raise VolumeError(
                f"volume {self._name}: what is to be restored was made of a volume that held a part of a restore only: "
                f"it has a {MARKER}; what was extracted is removed, the volume is as it was"
            )
        remove_leftovers(self.path)

    def keep_root(self) -> None:
        """Have the new tree's root be like the volume's: what was extracted doesn't say what it is like."""
        self._before.give(self.path)

    def same(self) -> bool:
        """Whether the new tree is just what the volume holds, so that there is no need to commit it."""
        own = Attributes.of(self.path)
        if (own.xattrs, own.own()) != (self._before.xattrs, self._before.own()):
            return False
        found = compare.differences(self._root, self.path, limit=1, staged=self.folder)
        return not found.differences

    def commit(self) -> None:
        """Make the new tree the volume's contents, with the root's own owner, mode, times and xattrs, safe on disk.

        Nothing that appeared in the root meanwhile is replaced unless that was asked for. Raise VolumeError or
        StateError, with the old tree in its place, if it can't be done; an interruption puts it back too.
        """
        self._require_empty()
        swap = _Swap(self._root, self._folder)
        try:
            swap.prepare()
            writeback.sync(self._descriptor)
        except OSError as error:
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {reason(error)}; it is removed, the "
                "volume is as it was"
            ) from error
        undo = {"kind": "swap", "volume": self._name, "folder": self.folder, "root_times": swap.times()}
        entry = journal.write(undo)
        points.reached("swap-written")
        try:
            swap.forward()
            writeback.sync(self._descriptor)
        except BaseException as error:
            try:
                self._before.give(self._root)
                swap.back()
                self._before.give(self._root)
                entry.remove()
            except (OSError, StateError) as second:
                entry.leave()
                raise VolumeError(
                    f"volume {self._name}: its old and its new contents can't be exchanged: {error}; and the old ones "
                    f"can't be put back: {second}; the next run finishes it"
                ) from error
            if not isinstance(error, OSError):
                raise
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {error}; it is removed, the "
                "volume is as it was"
            ) from error
        points.reached("swapped")
        try:
            swap.drop()
        except OSError as error:
            entry.leave()
            raise VolumeError(
                f"volume {self._name} holds the restored contents, but those it held before can't be removed: "
                f"{reason(error)}; see to that (lsattr shows what is immutable), the next run tries again"
            ) from error
        points.reached("old-dropped")
        entry.remove()

    def _require_empty(self) -> None:
        if not self._replace:
            require_empty(self._root, self._name)


def finish(root: str, name: str, folder: str, times: Sequence[int] = ()) -> bool:
    """Finish the exchange of a restore that died after it had begun with it. Return whether there was something to do.

    ``times`` are those that the root is to have in the end: atime and mtime, in nanoseconds. Raise VolumeError if it
    can't be done now.
    """
    staged = os.path.join(root, folder)
    try:
        descriptor = locked(root, name)
        try:
            swap = _Swap(root, staged)
            begun = swap.unfinished()
            if begun:
                swap.forward()
                writeback.sync(descriptor)
                swap.drop()
            if times:  # the removal of the staging directory, the last thing to go, has changed them
                os.utime(root, ns=(times[0], times[1]))
        finally:
            os.close(descriptor)
    except OSError as error:
        raise VolumeError(f"volume {name}: a restore that was interrupted can't be finished: {error}") from error
    return begun


class _Swap:
    """The exchange of a root's contents for those in a staging directory, from whatever point it is at."""

    def __init__(self, root: str, folder: str) -> None:
        self._root = root
        self._new = os.path.join(folder, _NEW)
        self._old = os.path.join(folder, _OLD)
        self._like = os.path.join(folder, _ROOT)
        self._mark = os.path.join(folder, _MARK)
        self._folder = folder
        self._done = folder + _DONE
        self._moved: list[str] = []

    def prepare(self) -> None:
        """Keep what the new root is like: taking out of it changes its time. Raise OSError."""
        os.mkdir(self._like, 0o700)
        Attributes.of(self._new).give(self._like)

    def times(self) -> tuple[int, int]:
        """The new root's atime and mtime, in nanoseconds."""
        facts = os.stat(self._like)
        return facts.st_atime_ns, facts.st_mtime_ns

    def unfinished(self) -> bool:
        """Whether there is something to go forward with, or to drop."""
        return os.path.isdir(self._folder) or os.path.isdir(self._done)

    def forward(self) -> None:
        """Take the old tree out, and put the new one in. Raise OSError."""
        if not os.path.isdir(self._folder):
            return
        if not os.path.exists(self._mark):
            for entry in self._present():
                os.rename(os.path.join(self._root, entry), os.path.join(self._old, entry))
                points.reached("one-out")
            self._set_mark()
        points.reached("all-out")
        Attributes.of(self._like).give(self._root)  # nobody gets to a file whom only the old root would have let in
        for entry in os.listdir(self._new):
            target = os.path.join(self._root, entry)
            if entry == _LOST_FOUND and os.path.isdir(target) and not os.listdir(target):
                os.rmdir(target)
            self._moved.append(entry)
            rename.exclusively(os.path.join(self._new, entry), target)
            points.reached("one-in")
        Attributes.of(self._like).give(self._root)
        points.reached("all-in")

    def back(self) -> None:
        """Take out what forward has put in, and put back what was taken out. Raise OSError.

        What somebody else has put there meanwhile stays, and may be in the way.
        """
        for entry in self._moved:
            staged = os.path.join(self._new, entry)
            if not os.path.lexists(staged):
                os.rename(os.path.join(self._root, entry), staged)
        for entry in os.listdir(self._old):
            rename.exclusively(os.path.join(self._old, entry), os.path.join(self._root, entry))

    def drop(self) -> None:
        """Remove the old tree, and then all else but what was put in. Raise OSError.

        From the rename on there is no way back or forward: what is being removed mustn't be taken for something whole.
        """
        if os.path.isdir(self._folder):
            os.rename(self._folder, self._done)
            points.reached("old-disowned")
        said = remove(*(os.path.join(self._done, part) for part in (_OLD, _NEW, _MARK)))
        like = os.path.join(self._done, _ROOT)
        after = Attributes.of(like if os.path.isdir(like) else self._root)
        points.reached("old-removed")
        remove(self._done)
        points.reached("staging-removed")
        after.give(self._root)
        if os.path.lexists(self._done):
            raise OSError(errno.ENOTEMPTY, said or os.strerror(errno.ENOTEMPTY), self._done)

    def _present(self) -> list[str]:
        """What is in the root, but for the staging directory and an empty lost+found."""
        return [
            entry
            for entry in os.listdir(self._root)
            if entry != os.path.basename(self._folder) and not _negligible(self._root, entry)
        ]

    def _set_mark(self) -> None:
        """Have the disk know that the old tree is out before any of the new one is in."""
        descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            writeback.sync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(frozen=True)
class Attributes:
    """What a directory has of its own: mode, owner, times and xattrs, ACLs among them."""

    facts: os.stat_result
    xattrs: Mapping[str, bytes]

    @classmethod
    def of(cls, path: str) -> Attributes:
        """Those of ``path``. Raise OSError."""
        return cls(os.stat(path), {name: os.getxattr(path, name) for name in os.listxattr(path)})

    def own(self) -> tuple[int, int, int, int]:
        """What makes it this directory's, but for its contents and xattrs."""
        return self.facts.st_mode, self.facts.st_uid, self.facts.st_gid, self.facts.st_mtime_ns

    def give(self, path: str) -> None:
        """Make ``path`` have these, and no others. The ACL comes after the mode, which would change its mask."""
        os.chown(path, self.facts.st_uid, self.facts.st_gid)
        os.chmod(path, stat.S_IMODE(self.facts.st_mode))
        for name in os.listxattr(path):
            if name not in self.xattrs:
                os.removexattr(path, name)
        for name, value in self.xattrs.items():
            os.setxattr(path, name, value)
        os.utime(path, ns=(self.facts.st_atime_ns, self.facts.st_mtime_ns))


def pass_nothing_on(folder: str) -> None:
    """Have a directory, ours alone, give nothing to what is made in it: no ACL, and not its group's bit, which tar
    leaves to a directory that its owner can't write to. The archive's own count. Raise OSError."""
    with contextlib.suppress(OSError):
        os.removexattr(folder, _DEFAULT_ACL)
    os.chmod(folder, 0o700)


def locked(root: str, name: str) -> int:
    """A descriptor of the root with a flock. Raise VolumeError if another restore has it, and OSError."""
    descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise VolumeError(f"volume {name}: another restore writes to it right now; nothing was changed") from None
    return descriptor


def _negligible(root: str, entry: str) -> bool:
    if entry.startswith(PREFIX):
        return True
    return is_lost_found(root, entry)


def is_lost_found(root: str, entry: str) -> bool:
    """Whether that is what a new file system has in its root."""
    path = os.path.join(root, entry)
    return entry == _LOST_FOUND and os.path.isdir(path) and not os.listdir(path)


def remove_leftovers(tree: str) -> None:
    """Remove from a tree's root what a dead restore had left in the volume that it is a copy of. Raise OSError.

    In another volume it would be taken for that one's own.
    """
    left = [entry for entry in os.listdir(tree) if entry.startswith(PREFIX)]
    if left:
        before = Attributes.of(tree)
        for entry in left:
            remove(os.path.join(tree, entry))
        before.give(tree)


def remove(*paths: str) -> str:
    """Remove trees however deep they are, and return what rm says of the first thing that it can't remove."""
    done = subprocess.run(
        [tools.need("rm", "coreutils"), "--recursive", "--force", "--one-file-system", "--", *paths],
        env=tools.environment(),
        stderr=subprocess.PIPE,
        check=False,
    )
    return done.stderr.partition(b"\n")[0].decode("utf-8", "backslashreplace")
