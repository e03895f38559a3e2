# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare an entry of a tree with what the archive's member says of it, in words for people.

Files come with their bytes, which are read from the archive's window and from the disk side by side.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping

from . import acl, archive
from .members import Member
from .window import Window
from .wording import KINDS, kind, number, shown
from .xattrs import xattrs_of

# Bytes of a file that are compared at a time.
_CHUNK = 128 << 10
_ACL = "system.posix_acl_"
# What only tar or somebody on purpose gives a file; others (security.selinux, btrfs.compression) the system may.
_GIVEN = ("user.", "trusted.", "security.capability", _ACL)


class Likeness:
    """Compares entries on the file system of ``directory``.

    ``coarse`` tells whether one was met whose time that file system keeps less exactly than the archive.
    """

    def __init__(self, directory: str) -> None:
        self.coarse = False
        self._directory = directory
        self._buffer = bytearray(_CHUNK)

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
            return [f"is a {kind(facts)}, the archive says a file"]
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

    def other(self, directory: int, name: str, facts: os.stat_result, member: Member) -> list[str]:
        """Compare what is neither a file nor a directory, nor one more name of either. Return the differences."""
        if stat.S_IFMT(facts.st_mode) != member.kind:
            return [f"is a {kind(facts)}, the archive says a {KINDS[member.kind]}"]
        found = self._facts(facts, member)
        if member.kind == stat.S_IFLNK:
            target = os.fsencode(os.readlink(name, dir_fd=directory))
            if target != member.link:
                found.append(f"target is {shown(target)}, the archive says {shown(member.link)}")
        elif facts.st_rdev != member.device:
            found.append(f"device is {number(facts.st_rdev)}, the archive says {number(member.device)}")
        return found + _xattrs(member.xattrs, xattrs_of(directory, os.fsencode(name)))

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


def _xattrs(expected: Mapping[str, bytes], present: Mapping[str, bytes]) -> list[str]:
    """The differences between xattrs. Their values stay out of it: they aren't made to be read."""
    found = []
    for name in sorted({*expected, *present}):
        if not archive.holds(name):
            continue
        key = f"xattr {shown(os.fsencode(name))}"
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


def _first(left: bytes, right: bytes) -> int:
    """Where two strings of bytes begin to differ."""
    return next((number for number, pair in enumerate(zip(left, right)) if pair[0] != pair[1]), len(left))
