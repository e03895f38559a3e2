# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an archive with what tar makes of it, while tar makes it: what it doesn't restore, it doesn't always say.

A Following reads the same stream as tar, some way behind it, reads each file back as soon as tar has done with it, and
keeps its ctime: a file whose ctime is still the same at the end is still as it was. A walk at the end looks at that, at
names that are missing or new, and at all that isn't a file: directories, symlinks, links and nodes, which tar finishes
last. A file that wasn't as it should be, or has changed since, gets a second look, in a second pass over the archive;
only that one has a say. Names of hard links come late and change the ctime, so files that have several get it too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import threading
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from . import acl, archive, members
from .errors import IntegrityError, VolumeError, reason
from .members import HARD_LINK, Member
from .survey import open_below
from .window import Stopped, Tap, Window, now

# Bytes of a file that are compared at a time, and those that tar must have done with before a large file is looked at.
_CHUNK = 128 << 10
_LARGE = 4 << 20
# In place of a file's ctime: it needs a second look; it isn't a file.
_AGAIN, _OTHER = -1, -2
# How long, in ns, tar may take for what is in the pipe when nothing more comes. A large file is compared while tar
# still writes it: one that was changed later than that may have been changed behind our back.
_LATE = 20_000_000
# The kernel's clock ticks every 10 ms at most. How often to look whether it has, and how long each time.
_TICKS, _TICK = 20, 0.001
_OPENING = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
_LONGEST = 4000
_ACL = "system.posix_acl_"
# What only tar or somebody on purpose gives a file; others (security.selinux, btrfs.compression) the system may.
_GIVEN = ("user.", "trusted.", "security.capability", _ACL)
_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


@dataclass(frozen=True)
class Comparison:
    """What was compared: how many ``entries`` and ``bytes`` of files; the first ``differences``, a line each, and how
    many ``more`` there are. ``coarse`` tells whether the file system keeps times less exactly than the archive."""

    entries: int
    bytes: int
    differences: tuple[str, ...]
    more: int
    coarse: bool

    def require_none(self) -> None:
        """Raise IntegrityError, with the first few differences, if there are any."""
        if self.differences:
            more = len(self.differences) - 5 + self.more
            raise IntegrityError(
                f"what tar restored isn't what the archive holds: {'; '.join(self.differences[:5])}"
                + (f"; and {more} more" if more > 0 else "")
            )


class Following:
    """Follows one extraction into ``directory``; what is in that already is left out. A context manager, at whose end
    its threads end too.

    Without the first ``strip`` parts of the members' names, as tar's --strip-components.
    """

    def __init__(self, directory: str, *, strip: int = 0, limit: int = 20) -> None:
        self._strip = strip
        self._window = Window()
        self._tree = _Tree(directory, limit)
        self._tap: Tap | None = None
        self._trusting = True
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, args=(self._first,), name="following", daemon=True)

    def __enter__(self) -> Following:
        return self

    def __exit__(self, *_exception: object) -> None:
        self._window.stop()
        if self._tap is not None:
            self._thread.join(10)
            self._tap.join()
        if not self._thread.is_alive():
            self._tree.close()

    def tap(self, read: int, write: int) -> None:
        """Begin: move what comes out of the pipe ``read`` into the pipe ``write``, for tar. Both are closed here."""
        self._tap = Tap(self._window, read, write)
        self._thread.start()

    def finish(self, again: Callable[[Callable[[memoryview], object]], object]) -> Comparison:
        """Wait for the comparison's end, when tar has ended well. ``again`` is called, if need be, to have the stream
        once more: it gives all of it to the function that it gets.

        Raise IntegrityError, if the archive can't be compared, or VolumeError, if what was restored can't be read.
        """
        if self._tap is None:
            raise AssertionError
        self._tap.over()
        self._thread.join()
        self._raise()
        tree = self._tree
        try:
            suspicious = tree.look()
        except OSError as error:
            raise _unreadable(error) from error
        if suspicious:
            self._window.restart()
            self._thread = threading.Thread(target=self._run, args=(self._second,), name="second look", daemon=True)
            self._thread.start()
            with contextlib.suppress(Stopped):
                again(self._window.feed)
            self._window.close()
            self._thread.join()
            self._raise()
        return Comparison(tree.entries, tree.bytes, tuple(tree.kept), tree.more, tree.coarse)

    def _run(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 it is raised where somebody waits
            self._failure = error
        if what == self._first:
            self._window.ignore()  # tar gets the rest all the same
        else:
            self._window.stop()

    def _raise(self) -> None:
        failure = self._failure
        if isinstance(failure, OSError):
            raise _unreadable(failure) from failure
        if failure is not None:
            raise failure

    def _first(self) -> None:
        """Add each member, and compare it if it is a file."""
        window, tree, tap = self._window, self._tree, self._tap
        if tap is None:
            raise AssertionError
        for member in members.read(window, strip=self._strip):
            if member.kind != stat.S_IFREG:
                tree.add(member)
                continue
            begun = window.at
            tap.await_read(begun + min(member.stored, _LARGE))
            changed = _AGAIN
            with contextlib.suppress(OSError):
                opened = tree.open(member.path)
                try:
                    large, late = member.stored > _LARGE, False
                    facts = os.fstat(opened) if large else self._settled(opened)
                    found = tree.file(opened, facts, member, window, tap.await_read if large else None)
                    if large:  # it was still being written
                        window.skip(begun + member.stored - window.at)  # with a full window tar gets no more
                        ended = tap.await_read(begun + member.stored)
                        facts = self._settled(opened)
                        found += tree.own(opened, facts, member)
                        late = ended is not None and facts.st_ctime_ns > ended + _LATE
                    if not found and not late and self._trusting:
                        changed = facts.st_ctime_ns
                finally:
                    os.close(opened)
            tree.add_file(member, changed)

    def _settled(self, opened: int) -> os.stat_result:
        """What a file is, when whatever changes it from now on gives it a later ctime.

        A server's clock may be ahead of ours, and some file systems keep whole seconds: then ctimes prove nothing.
        """
        facts = os.fstat(opened)
        for _time in range(_TICKS):
            if facts.st_ctime_ns < now() or not self._trusting:
                break
            time.sleep(_TICK)
            facts = os.fstat(opened)
        else:
            self._trusting = False
        if facts.st_ctime_ns % 1_000_000_000 == 0:
            self._trusting = False
        return facts

    def _second(self) -> None:
        """Compare those files that need it."""
        tree, pending = self._tree, self._tree.again
        for member in members.read(self._window, strip=self._strip):
            if member.kind != stat.S_IFREG or member.path not in pending:
                continue
            try:
                opened = tree.open(member.path)
                try:
                    tree.note(member.path, tree.file(opened, os.fstat(opened), member, self._window, None))
                finally:
                    os.close(opened)
            except OSError as error:
                raise _unreadable(error, member.path) from error
            pending.discard(member.path)
            if not pending:
                return
        raise IntegrityError("the archive can't be compared: it was changed while it was read")


def _unreadable(error: OSError, path: bytes | None = None) -> VolumeError:
    where = _name(path) if path is not None else f"{error.filename!r}"
    return VolumeError(f"what was restored can't be read back: {where}: {reason(error)}")


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


class _Tree:
    """What the archive says of the tree in a directory, and what of it isn't so."""

    def __init__(self, directory: str, limit: int) -> None:
        self.entries = self.bytes = self.more = 0
        self.coarse = False
        self.kept: list[str] = []
        self.again: set[bytes] = set()
        self._limit = limit
        self._root = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        self._device = os.fstat(self._root).st_dev
        self._directory = directory
        self._before = set(os.listdir(directory))
        self._folders: dict[bytes, _Folder] = {b"": _Folder()}
        self._others: dict[bytes, Member] = {}
        self._names_of: dict[bytes, int] = {}  # how many more names the archive has for a path
        self._buffer = bytearray(_CHUNK)
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

    def file(
        self,
        opened: int,
        facts: os.stat_result,
        member: Member,
        window: Window,
        await_read: Callable[[int], object] | None,
    ) -> list[str]:
        """Compare a file with the member and its bytes in the window. ``await_read`` waits until it has so many of the
        stream's bytes, if that is needed; then what it is like is compared later. Return the differences."""
        if not stat.S_ISREG(facts.st_mode):
            return [f"is a {_kind(facts)}, the archive says a file"]
        found = [] if await_read is not None else self.own(opened, facts, member)
        if await_read is None and facts.st_size != member.size:
            return [f"size is {facts.st_size}, the archive says {member.size}", *found]
        differs = self._differs(opened, member, window, await_read)
        if differs is not None:
            found.append(f"contents differ at byte {differs}")
        return found

    def own(self, opened: int, facts: os.stat_result, member: Member) -> list[str]:
        """Compare what a file or a directory is like, but for its contents. Return the differences."""
        found = []
        if (
            facts.st_mode & 0o7777 != member.mode
            or facts.st_mtime_ns != member.mtime
            or facts.st_uid != member.uid
            or facts.st_gid != member.gid
        ):
            found = self._facts(facts, member)
        if stat.S_ISREG(facts.st_mode) and facts.st_size != member.size:
            found.append(f"size is {facts.st_size}, the archive says {member.size}")
        try:
            names = os.listxattr(opened)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            names = []
        if names or member.xattrs:
            found += _xattrs(member.xattrs, {name: os.getxattr(opened, name) for name in names})
        return found

    def _facts(self, facts: os.stat_result, member: Member) -> list[str]:
        """The differences in mode, owner and times."""
        found = []
        mode = stat.S_IMODE(facts.st_mode)
        if mode != member.mode and not stat.S_ISLNK(facts.st_mode):
            found.append(f"mode is {mode:04o}, the archive says {member.mode:04o}")
        if facts.st_uid != member.uid:
            found.append(f"owner is {facts.st_uid}, the archive says {member.uid}")
        if facts.st_gid != member.gid:
            found.append(f"group is {facts.st_gid}, the archive says {member.gid}")
        if facts.st_mtime_ns != member.mtime:
            if self._kept_time(member.mtime) == facts.st_mtime_ns:
                self.coarse = True
            else:
                found.append(f"mtime in ns is {facts.st_mtime_ns}, the archive says {member.mtime}")
        return found

    def _kept_time(self, wanted: int) -> int | None:
        """What this file system makes of a time: some keep whole seconds only, or none before 1970."""
        probe = -1
        try:
            probe = os.open(self._directory, os.O_TMPFILE | os.O_RDWR, 0o600)
            os.utime(probe, ns=(wanted, wanted))
            return os.fstat(probe).st_mtime_ns
        except OSError:
            return None
        finally:
            if probe >= 0:
                os.close(probe)

    def _differs(
        self, opened: int, member: Member, window: Window, await_read: Callable[[int], object] | None
    ) -> int | None:
        """The first byte in which a file isn't what the window says, or None."""
        end = 0
        for offset, length in member.pieces:
            if offset > end:
                differs = self._hole(opened, end, offset)
                if differs is not None:
                    return differs
            os.lseek(opened, offset, os.SEEK_SET)
            at, end = offset, offset + length
            while at < end:
                count = min(end - at, _CHUNK)
                if await_read is not None:
                    window.await_bytes(count)
                    await_read(window.at + count)
                view = window.peek(count)
                count = len(view)
                if count == _CHUNK:
                    got = os.readv(opened, [self._buffer])
                    same = got == count and self._buffer == view
                else:
                    same = os.read(opened, count) == bytes(view)
                if not same:
                    return at + _first(os.pread(opened, count, at), bytes(view))
                window.skip(count)
                at += count
        if await_read is not None and member.size > end:
            return self._hole(opened, end, os.fstat(opened).st_size)
        return self._hole(opened, end, member.size) if member.size > end else None

    def _hole(self, opened: int, start: int, end: int) -> int | None:
        """The first byte between two that isn't zero, or None. Where the file has a hole nothing is read."""
        while start < end:
            try:
                start = os.lseek(opened, start, os.SEEK_DATA)
            except OSError as error:
                if error.errno == errno.ENXIO:
                    return None
            data = os.pread(opened, min(_CHUNK, end - start), start) if start < end else b""
            if data.strip(b"\0"):
                return start + len(data) - len(data.lstrip(b"\0"))
            if not data:
                return None  # its size tells
            start += len(data)
        return None

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
            self.note(path, self.own(opened, facts, folder.member))
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
                f"the archive can't be compared: it has {_name(prefix + os.fsencode(twice))} more than once; with "
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
            self.note(path, [f"is a {_kind(facts)}, the archive says a file"])

    def _other(self, directory: int, path: bytes, name: str, member: Member) -> None:
        """Compare what is neither a file nor a directory."""
        facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if member.kind == HARD_LINK:
            first = self._lstat(member.link)
            if first is not None and (first.st_dev, first.st_ino) != (facts.st_dev, facts.st_ino):
                self.note(path, [f"is an inode of its own, the archive says a hard link to {_name(member.link)}"])
            return
        if stat.S_IFMT(facts.st_mode) != member.kind:
            self.note(path, [f"is a {_kind(facts)}, the archive says a {_KINDS[member.kind]}"])
            return
        found = self._facts(facts, member)
        if member.kind == stat.S_IFLNK:
            found += _links(facts, self._names_of.get(path, 0))
            target = os.fsencode(os.readlink(name, dir_fd=directory))
            if target != member.link:
                found.append(f"target is {_shown(target)}, the archive says {_shown(member.link)}")
        elif facts.st_rdev != member.device:
            found.append(f"device is {_number(facts.st_rdev)}, the archive says {_number(member.device)}")
        self.note(path, found + _xattrs(member.xattrs, _xattrs_of(directory, name)))

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
                self.kept.append(f"{_name(path)}: {difference}")
            else:
                self.more += 1


def _links(facts: os.stat_result, more: int) -> list[str]:
    """The difference in how many names a file has."""
    if facts.st_nlink == more + 1:
        return []
    return [f"has {facts.st_nlink} names, the archive says {more + 1}"]


def _xattrs(expected: Mapping[str, bytes], present: Mapping[str, bytes]) -> list[str]:
    """The differences between xattrs. Their values stay out of it: they aren't made to be read."""
    found = []
    for name in sorted({*expected, *present}):
        if not archive.holds(name):
            continue
        key = f"xattr {_shown(os.fsencode(name))}"
        if name not in present:
            found.append(f"{key} is missing")
        elif name not in expected:
            if name.startswith(_GIVEN):
                found.append(f"{key} is new, the archive doesn't have it")
        elif present[name] != expected[name] and not (
            name.startswith(_ACL) and acl.same(present[name], expected[name])
        ):
            found.append(f"{key} has another value")
    return found


def _xattrs_of(directory: int, name: str) -> dict[str, bytes]:
    """The xattrs of an entry that can't be opened."""
    path = b"/proc/self/fd/%d/%s" % (directory, os.fsencode(name))
    try:
        keys = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return {}
    return {key: os.getxattr(path, key, follow_symlinks=False) for key in keys}


def _first(left: bytes, right: bytes) -> int:
    """Where two strings of bytes begin to differ."""
    return next((number for number, pair in enumerate(zip(left, right)) if pair[0] != pair[1]), len(left))


def _kind(facts: os.stat_result) -> str:
    return _KINDS[stat.S_IFMT(facts.st_mode)]


def _number(device: int) -> str:
    return f"{os.major(device)}:{os.minor(device)}"


def _name(path: bytes) -> str:
    return _shown(b"./" + path) if path else "."


def _shown(name: bytes) -> str:
    """A name for a line of text: what isn't UTF-8 and what can't be printed is escaped."""
    text = name.decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
