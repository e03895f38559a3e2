# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive says of a tree, and what of the tree that tar made of it isn't so.

Each file is kept as its name and its ctime; all else as the archive's member, to be compared when tar is done.
"""

from __future__ import annotations

import errno
import os
import stat
from array import array

from .errors import IntegrityError, reason
from .likeness import Likeness
from .members import HARD_LINK, Member
from .survey import open_below
from .wording import kind, named

#: In place of a file's ctime: it needs a second look.
AGAIN = -1
# In place of one, too: it isn't a file.
_OTHER = -2
_OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_LONGEST = 4000


class _Folder:
    """The entries of one directory, each name with a zero byte behind it, and the ctimes of those that are files."""

    __slots__ = ("member", "names", "times")

    def __init__(self) -> None:
        self.names = bytearray()
        self.times = array("q")
        self.member: Member | None = None

    def add(self, name: bytes, changed: int) -> None:
        self.names += name
        self.names.append(0)
        self.times.append(changed)


class Tree:
    """What the archive says of the tree in a directory, and what of it isn't so."""

    def __init__(self, directory: str, limit: int) -> None:
        self.entries = self.bytes = self.more = 0
        self.like = Likeness(directory)
        self.kept: list[str] = []
        self.again: set[bytes] = set()
        self._limit = limit
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._device = os.fstat(self._root).st_dev
        self._before = set(os.listdir(directory))
        self._folders: dict[bytes, _Folder] = {b"": _Folder()}
        self._others: dict[bytes, Member] = {}
        self._names_of: dict[bytes, int] = {}  # how many more names the archive has for a path
        self._opening = _OPENING | os.O_NOATIME

    def close(self) -> None:
        """Leave no descriptor behind."""
        os.close(self._root)

    # While it is being made.

    def add(self, member: Member) -> None:
        """Take a member that isn't a file."""
        self.entries += 1
        path = member.path
        if member.kind == stat.S_IFDIR:
            self._folder(path).member = member
            return
        if member.kind == HARD_LINK:
            first = member.link
            while (other := self._others.get(first)) is not None and other.kind == HARD_LINK:
                first = other.link
            member.link = first
            self._names_of[first] = self._names_of.get(first, 0) + 1
        self._others[path] = member
        parent, _slash, name = path.rpartition(b"/")
        self._folder(parent).add(name, _OTHER)

    def add_file(self, member: Member, changed: int) -> None:
        """Take a file that had this ctime when it was as it should be."""
        self.entries += 1
        self.bytes += member.size
        parent, _slash, name = member.path.rpartition(b"/")
        self._folder(parent).add(name, changed)

    def _folder(self, path: bytes) -> _Folder:
        found = self._folders.get(path)
        if found is None:
            parent, _slash, name = path.rpartition(b"/")
            self._folder(parent).add(name, _OTHER)
            found = self._folders[path] = _Folder()
        return found

    def open(self, path: bytes) -> int:
        """Open a file to read it. Raise OSError."""
        root = self._root
        if len(path) > _LONGEST:
            parent, _slash, path = path.rpartition(b"/")
            root = open_below(self._root, parent)
        try:
            try:
                return os.open(path, self._opening, dir_fd=root)
            except PermissionError:
                self._opening = _OPENING  # not every server lets us
                return os.open(path, _OPENING, dir_fd=root)
        finally:
            if root != self._root:
                os.close(root)

    # When it is made.

    def look(self) -> bool:
        """Look at all of the tree but what is in files. Return whether some of these need a second look."""
        lost: set[bytes] = set()
        for path, folder in self._folders.items():
            parent = path.rpartition(b"/")[0]
            if path and parent in lost:
                lost.add(path)
                continue
            try:
                opened = open_below(self._root, path)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise
                lost.add(path)
                if error.errno != errno.ENOENT:
                    self.note(path, [f"is no directory, the archive says it is one ({reason(error)})"])
                continue  # its own directory tells of one that is missing
            try:
                self._look_into(opened, path, folder)
            finally:
                os.close(opened)
        return bool(self.again)

    def _look_into(self, opened: int, path: bytes, folder: _Folder) -> None:
        facts = os.fstat(opened)
        if facts.st_dev != self._device:
            self.note(path, ["is on another file system"])
            return
        if folder.member is not None:
            self.note(path, self.like.own(opened, facts, folder.member))
        prefix = path + b"/" if path else b""
        names = os.fsdecode(bytes(folder.names)).split("\0")[:-1]
        present = set(os.listdir(opened))
        self._names(prefix, names, present)
        for name, changed in zip(names, folder.times):
            if name not in present:
                continue
            if changed == _OTHER:
                below = prefix + os.fsencode(name)
                if below not in self._folders:
                    self._other(opened, below, name, self._others[below])
                continue
            facts = os.stat(name, dir_fd=opened, follow_symlinks=False)
            if facts.st_ctime_ns != changed or facts.st_nlink != 1:
                self._suspect(prefix + os.fsencode(name), facts, changed)

    def _names(self, prefix: bytes, names: list[str], present: set[str]) -> None:
        """Compare the names in a directory. Raise IntegrityError if the archive has one of them twice."""
        expected = set(names)
        if len(expected) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise IntegrityError(
                f"the archive can't be compared: it has {named(prefix + os.fsencode(twice))} more than once; with "
                "verify: none it is restored all the same"
            )
        if expected == present:
            return
        for name in sorted(expected - present):
            self.note(prefix + os.fsencode(name), ["is missing"])
        for name in sorted(present - expected - (set() if prefix else self._before)):
            self.note(prefix + os.fsencode(name), ["is new, the archive doesn't have it"])

    def _suspect(self, path: bytes, facts: os.stat_result, changed: int) -> None:
        """Look at what should be a file that had this ctime and has another one, or several names."""
        self.note(path, _links(facts, self._names_of.get(path, 0)))
        if facts.st_ctime_ns == changed:
            return
        if stat.S_ISREG(facts.st_mode):
            self.again.add(path)
        else:
            self.note(path, [f"is a {kind(facts)}, the archive says a file"])

    def _other(self, directory: int, path: bytes, name: str, member: Member) -> None:
        """Compare what is neither a file nor a directory."""
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if member.kind == HARD_LINK:
            first = self._lstat(member.link)
            if first is not None and (first.st_dev, first.st_ino) != (facts.st_dev, facts.st_ino):
                self.note(path, [f"is an inode of its own, the archive says a hard link to {named(member.link)}"])
            return
        if member.kind == stat.S_IFLNK and stat.S_ISLNK(facts.st_mode):
            self.note(path, _links(facts, self._names_of.get(path, 0)))
        self.note(path, self.like.other(directory, name, facts, member))

    def _lstat(self, path: bytes) -> os.stat_result | None:
        parent, _slash, name = path.rpartition(b"/")
        try:
            opened = open_below(self._root, parent)
        except OSError:
            return None
        try:
            return os.stat(name, dir_fd=opened, follow_symlinks=False)
        except FileNotFoundError:
            return None
        finally:
            os.close(opened)

    def note(self, path: bytes, differences: list[str]) -> None:
        """Keep the differences of an entry."""
        for difference in differences:
            if len(self.kept) < self._limit:
                self.kept.append(f"{named(path)}: {difference}")
            else:
                self.more += 1


def _links(facts: os.stat_result, more: int) -> list[str]:
    """The difference in how many names a file has."""
    if facts.st_nlink == more + 1:
        return []
    return [f"has {facts.st_nlink} names, the archive says {more + 1}"]
