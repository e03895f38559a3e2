# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a tree with the copy that an archive gave of it, entry by entry, also while the original is in use.

What no archive holds is left out: sockets, what is mounted inside, and xattrs that a file system makes up. Several
names of one device node aren't told apart from several nodes: tar makes those of it, and they are the same device.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from dataclasses import dataclass

from .errors import VolumeError, reason
from .survey import open_below
from .wording import KINDS, named, number, shown
from .xattrs import xattrs_of

_CHUNK = 1 << 20
_GONE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ESTALE}


@dataclass(frozen=True)
class Comparison:
    """What a comparison found: how many ``entries`` were compared (the root counts), and how many ``bytes`` of files
    (each inode once); the first ``differences``, a line each ("./a/b: mode is 0644, was 0600"), and how many ``more``
    there are; how many entries were left out because they were ``changed`` since the copy was made."""

    entries: int
    bytes: int
    differences: tuple[str, ...]
    more: int
    changed: int


def differences(
    original: str, copy: str, *, changed_since: int | None = None, staged: str | None = None, limit: int = 20
) -> Comparison:
    """Compare the directories ``original`` and ``copy`` and all below them, each without leaving its file system.

    Type, mode, owner, group, mtime, xattrs (ACLs and capabilities among them), contents, targets, device numbers and
    hard links must be the same; where holes are doesn't matter. A directory that only one of them has is one
    difference. Raise VolumeError, naming the path, where something can't be read.

    With ``changed_since`` (nanoseconds since the epoch) the original may be in use: whatever was changed in it since
    then, by its ctime, is left out. Of what is missing there the ctime of the directory tells. ``staged`` names a
    directory in the original's root that is left out, and with it the root itself, whose time it has changed.
    """
    with contextlib.ExitStack() as stack:
        roots = []
        for tree in (original, copy):
            try:
                roots.append(os.open(tree, os.O_RDONLY | os.O_DIRECTORY))
            except OSError as error:
                raise VolumeError(f"{tree} can't be read: {reason(error)}") from error
            stack.callback(os.close, roots[-1])
        walk = _Walk(roots[0], roots[1], changed_since, None if staged is None else os.fsencode(staged), limit)
        try:
            walk.run()
        except OSError as error:
            raise VolumeError(
                f"{original} can't be compared with its copy {copy}: {walk.at()}: {reason(error)}"
            ) from error
    return Comparison(walk.entries, walk.bytes, tuple(walk.kept), walk.more, walk.changed)


class _Walk:
    """Goes through both trees at once. No list of names is kept, so a directory may hold any number of them."""

    def __init__(self, original: int, copy: int, since: int | None, staged: bytes | None, limit: int) -> None:
        self.entries = self.bytes = self.more = self.changed = 0
        self.kept: list[str] = []
        self._roots = original, copy
        self._devices = os.fstat(original).st_dev, os.fstat(copy).st_dev
        self._since = since
        self._staged = staged
        self._limit = limit
        self._path = b""
        # The inodes with several names, on each side, and those they are on the other.
        self._copies: dict[int, int] = {}
        self._originals: dict[int, int] = {}

    def at(self) -> str:
        """The path of the entry that is being looked at."""
        return named(self._path)

    def run(self) -> None:
        """Compare everything."""
        original, copy = self._roots
        if self._staged is None:
            self._entry(original, copy, b".")
        pending = [(b"", _identity(os.fstat(original)))]
        while pending:
            self._path, identity = pending.pop()
            with contextlib.ExitStack() as stack:
                there = self._enter(identity)
                if there is None:
                    self.changed += 1
                    continue
                stack.callback(os.close, there)
                copied = open_below(copy, self._path)
                stack.callback(os.close, copied)
                pending += self._directory(there, copied, self._path + b"/" if self._path else b"")

    def _enter(self, identity: tuple[int, int]) -> int | None:
        """Open the directory of the original that is to be looked at, or return None if it is another one by now.

        Not every file system keeps the numbers of inodes, and a directory in use changes: another one differs in both.
        """
        try:
            there = open_below(self._roots[0], self._path)
        except OSError as error:
            if error.errno in _GONE:
                return None
            raise
        facts = os.fstat(there)
        inode, changed = _identity(facts)
        if facts.st_dev != self._devices[0] or (inode != identity[0] and changed != identity[1]):
            os.close(there)
            return None
        return there

    def _directory(self, there: int, copied: int, prefix: bytes) -> list[tuple[bytes, tuple[int, int]]]:
        """Compare what is in one directory. Return the paths and identities of those in it to be compared too."""
        below = []
        with os.scandir(there) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                if not prefix and name == self._staged:
                    continue
                self._path = prefix + name
                was = self._entry(there, copied, name)
                if was is not None and not self._moved(there, was):
                    below.append((self._path, _identity(was)))
        with os.scandir(copied) as entries:
            for entry in entries:
                name = os.fsencode(entry.name)
                self._path = prefix + name
                was = _facts(there, name)
                if was is not None and not stat.S_ISSOCK(was.st_mode):
                    continue
                if self._recent(was or os.fstat(there)):
                    self.changed += 1
                else:
                    self._note(["is new"])
        return below

    def _entry(self, there: int, copied: int, name: bytes) -> os.stat_result | None:
        """Compare one entry of the original. If it is a directory to go into, on both sides, return what it is."""
        was, now = _facts(there, name), _facts(copied, name)
        if was is None or stat.S_ISSOCK(was.st_mode):
            return None  # what has vanished is found from the copy's side
        if self._recent(was):
            self.changed += 1
        else:
            self._compare(there, copied, name, was, now)
        if now is None or not stat.S_ISDIR(was.st_mode) or not stat.S_ISDIR(now.st_mode):
            return None
        return was if (was.st_dev, now.st_dev) == self._devices else None

    def _compare(self, there: int, copied: int, name: bytes, was: os.stat_result, now: os.stat_result | None) -> None:
        """Note what differs, unless the original was changed while it was looked at."""
        found, failure = ["is missing"], None
        if now is not None:
            try:
                found = self._found(there, copied, name, was, now)
            except OSError as error:
                failure = error
        if found or failure:
            again = _facts(there, name)
            if again is None:
                return
            if again.st_ctime_ns != was.st_ctime_ns:
                self.changed += 1
                return
        if failure is not None:
            raise failure
        self.entries += 1
        self._note(found)

    def _note(self, found: list[str]) -> None:
        for difference in found:
            if len(self.kept) < self._limit:
                self.kept.append(f"{self.at()}: {difference}")
            else:
                self.more += 1

    def _recent(self, was: os.stat_result) -> bool:
        return self._since is not None and was.st_ctime_ns >= self._since

    def _moved(self, there: int, was: os.stat_result) -> bool:
        """Whether a directory may have got its name only now, with all that was in it long before: it was changed, but
        not what it lists, and so was the directory that lists it."""
        recent = self._since is not None and self._recent(was) and was.st_mtime_ns < self._since
        return recent and self._recent(os.fstat(there))

    def _found(self, there: int, copied: int, name: bytes, was: os.stat_result, now: os.stat_result) -> list[str]:
        """The differences between an entry and its copy."""
        kind = stat.S_IFMT(was.st_mode)
        if kind != stat.S_IFMT(now.st_mode):
            return [f"is a {KINDS[stat.S_IFMT(now.st_mode)]}, was a {KINDS[kind]}"]
        if was.st_dev != self._devices[0]:
            return []
        if now.st_dev != self._devices[1]:
            return ["is on another file system"]
        found = []
        if kind in (stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO):
            if was.st_nlink > 1 and self._copies.get(was.st_ino) == now.st_ino:
                return []  # the same two inodes as before, under other names
            found += self._links(was, now)
        found += [
            f"{what} is {after}, was {before}"
            for what, before, after in zip(_WHAT, _own(was), _own(now))
            if before != after
        ]
        if kind == stat.S_IFREG:
            found += self._file(there, copied, name, was, now)
        elif kind == stat.S_IFLNK:
            before, after = (os.readlink(name, dir_fd=directory) for directory in (there, copied))
            if before != after:
                found.append(f"target is {shown(after)}, was {shown(before)}")
        elif kind in (stat.S_IFCHR, stat.S_IFBLK) and was.st_rdev != now.st_rdev:
            found.append(f"device is {number(now.st_rdev)}, was {number(was.st_rdev)}")
        return found + _attributes(xattrs_of(there, name), xattrs_of(copied, name))

    def _links(self, was: os.stat_result, now: os.stat_result) -> list[str]:
        """The differences between the names that the two inodes have."""
        found = []
        if was.st_nlink > 1 and self._copies.setdefault(was.st_ino, now.st_ino) != now.st_ino:
            found.append("is an inode of its own, was a hard link")
        if now.st_nlink > 1 and self._originals.setdefault(now.st_ino, was.st_ino) != was.st_ino:
            found.append("is a hard link, was an inode of its own")
        return found

    def _file(self, there: int, copied: int, name: bytes, was: os.stat_result, now: os.stat_result) -> list[str]:
        """The differences in size or contents."""
        if was.st_size != now.st_size:
            return [f"size is {now.st_size}, was {was.st_size}"]
        if was.st_size:
            with contextlib.ExitStack() as stack:
                opened = []
                for directory in (there, copied):
                    # not to wait where a fifo has taken the place of the file
                    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
                    opened.append(os.open(name, flags, dir_fd=directory))
                    stack.callback(os.close, opened[-1])
                differs = _differs(opened[0], opened[1], was.st_size)
            if differs is not None:
                return [f"contents differ at byte {differs}"]
            self.bytes += was.st_size
        return []


def _identity(facts: os.stat_result) -> tuple[int, int]:
    """The inode, and when it was changed last."""
    return facts.st_ino, facts.st_ctime_ns


_WHAT = ("mode", "owner", "group", "mtime in ns")


def _own(facts: os.stat_result) -> tuple[str, int, int, int]:
    """What is named in _WHAT."""
    return f"{stat.S_IMODE(facts.st_mode):04o}", facts.st_uid, facts.st_gid, facts.st_mtime_ns


def _facts(directory: int, name: bytes) -> os.stat_result | None:
    """What the file system says of a name in a directory, or None."""
    try:
        return os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError as error:
        if error.errno in _GONE:
            return None
        raise


def _differs(original: int, copy: int, size: int) -> int | None:
    """The first byte in which two files of that size differ, or None. Where both have a hole nothing is read."""
    at = 0
    while at < size:
        at = min(_data(original, at, size), _data(copy, at, size))
        left, right = (os.pread(descriptor, min(_CHUNK, size - at), at) for descriptor in (original, copy))
        count = min(len(left), len(right))
        if left[:count] != right[:count]:
            return at + next(number for number, pair in enumerate(zip(left, right)) if pair[0] != pair[1])
        if count == 0 and at < size:
            return at  # one of them was cut meanwhile
        at += count
    return None


def _data(descriptor: int, at: int, size: int) -> int:
    """Where the next byte is that isn't in a hole, or ``size``."""
    try:
        return min(os.lseek(descriptor, at, os.SEEK_DATA), size)
    except OSError as error:
        return size if error.errno == errno.ENXIO else at  # a file system that doesn't tell


def _attributes(before: dict[str, bytes], after: dict[str, bytes]) -> list[str]:
    """The differences between xattrs. Their values stay out of it: they aren't made to be read."""
    found = []
    for key in sorted({*before, *after}):
        if before.get(key) != after.get(key):
            how = "is missing" if key not in after else "is new" if key not in before else "has another value"
            found.append(f"xattr {shown(os.fsencode(key))} {how}")
    return found
