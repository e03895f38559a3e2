# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A walk over a tree: how much there is, and a fingerprint that tells whether anything changed since."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .archive import LONGEST_MEMBER
from .errors import VolumeError, reason
from .mate import Mate

# A path of PATH_MAX bytes or more can't be opened at once.
_LONGEST = 4000
_FINGERPRINT_BYTES = 16
# mode, size, owner, group, mtime and ctime in nanoseconds, inode
_RECORD = struct.Struct(">IQIIQQQ").pack
_MASK = (1 << 64) - 1
# A member's name is the path with "./" in front.
_LONGEST_PATH = LONGEST_MEMBER - 2
_SECOND = 1_000_000_000
# What os.fsencode does with a name, without a call for each.
_ENCODING, _ENCODE_ERRORS = sys.getfilesystemencoding(), sys.getfilesystemencodeerrors()
# The kernel stamps files with the time of its last tick, 10 ms ago at most; some file systems keep whole seconds.
_TICK, _COARSE = 20_000_000, 2 * _SECOND
# Entries after which it pays to have a second process, and for how long the two work before they share what is left.
_MANY, _WHILE = 5000, 0.02


@dataclass(frozen=True)
class Survey:
    """What a walk found: ``entries`` (the root counts; sockets don't, no archive holds them), the ``bytes`` that its
    regular files have by their size (each inode once), those ``allocated`` on disk, how many paths are ``too_long`` for
    tar to restore, the ``fingerprint`` (hex; None if not all could be looked at), and the ``latest`` time at which any
    of it was changed (ctime, in nanoseconds). ``files`` are the regular ones, each name of one counted."""

    entries: int
    bytes: int
    allocated: int
    too_long: int
    fingerprint: str | None
    latest: int
    files: int = 0

    def steady_since(self, moment: int) -> bool:
        """Whether nothing that is there was changed after ``moment`` (nanoseconds since the epoch, by this host)."""
        return self.latest + (_TICK if self.latest % _SECOND else _COARSE) < moment


class Beside:
    """A survey in a thread of its own, ``tolerant`` or not, ``hasty`` or not. A context manager, at whose end it ends
    too."""

    def __init__(self, tree: str, *, tolerant: bool = False, hasty: bool = False) -> None:
        self._walk = _Walk(tolerant=tolerant)
        self._hasty = hasty
        self._began, self._clock = time.time_ns(), _clock()
        self._ended: Survey | BaseException | None = None
        # a daemon: where the file system hangs, the end of the process must not wait for it
        self._thread = threading.Thread(target=self._run, args=(tree,), name="survey", daemon=True)

    def __enter__(self) -> Beside:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._walk.stopped = True
        self._thread.join(1)

    def result(self, stall_timeout: float, proceed: Callable[[], object]) -> tuple[Survey, bool]:
        """Wait for the end. Return the survey, and whether its fingerprint is also that of what somebody else has read
        since this began: nothing was changed since then, as far as the clock can be trusted to tell.

        ``proceed`` is called now and then. Raise VolumeError if no entry is found for ``stall_timeout`` seconds.
        """
        seen, since = -1, time.monotonic()
        while self._thread.is_alive():
            self._thread.join(0.5)
            proceed()
            now = self._walk.entries + self._walk.signs
            if now != seen:
                seen, since = now, time.monotonic()
            elif stall_timeout and time.monotonic() - since > stall_timeout:
                raise VolumeError(f"the file system hangs: no entry was found for {stall_timeout:g} seconds")
        if not isinstance(self._ended, Survey):
            raise self._ended or AssertionError
        stepped = abs(_clock() - self._clock) > _TICK
        return self._ended, not stepped and self._ended.steady_since(self._began)

    @property
    def known(self) -> int | None:
        """How many bytes there are to read, once all is counted."""
        return min(self._ended.bytes, self._ended.allocated) if isinstance(self._ended, Survey) else None

    def _run(self, tree: str) -> None:
        try:
            self._ended = survey(tree, self._walk, hasty=self._hasty)
        except BaseException as error:  # noqa: BLE001 result raises it where it is waited for
            self._ended = error


def _clock() -> int:
    """How far the clock on the wall is ahead of the one that nobody sets, in nanoseconds."""
    return time.time_ns() - time.monotonic_ns()


def survey(tree: str, walk: _Walk | None = None, *, hasty: bool = False) -> Survey:
    """Walk ``tree`` without leaving its file system. Raise VolumeError, naming the path, where it can't be read; a
    tolerant ``walk`` leaves out what is below the tree's root and can't be. A ``hasty`` one takes two processors, where
    somebody waits for it and nothing else.

    The fingerprint is a digest over (path, mode with type, size, owner, group, mtime, ctime, inode) of every entry. It
    doesn't depend on the order in which the file system lists them: it is the sum of the entries' own digests.
    """
    walk = walk or _Walk()
    try:
        root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise VolumeError(f"{tree} can't be read: {reason(error)}") from error
    try:
        facts = os.fstat(root)
        walk.add(b".", facts)
        pending = [b""]
        while pending and not walk.stopped:
            if hasty and walk.entries > _MANY and len(pending) > 1 and _processors() > 1:
                _in_two(root, pending, facts.st_dev, walk)
            else:
                _directory(root, pending.pop(), facts.st_dev, walk, pending)
    except OSError as error:
        where = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else "a directory"
        raise VolumeError(f"{tree}: {where!r} can't be read: {reason(error)}") from error
    finally:
        os.close(root)
    return Survey(walk.entries, walk.bytes, walk.allocated, walk.too_long, walk.fingerprint(), walk.latest, walk.files)


class _Walk:
    def __init__(self, *, tolerant: bool = False) -> None:
        self.entries = self.bytes = self.allocated = self.too_long = self.digest = self.latest = self.files = 0
        # signs of life of another process that takes part
        self.signs = 0
        self.stopped = False
        self.tolerant = tolerant
        self.complete = True
        # the size and what is allocated of inodes that have several names
        self._linked: dict[int, tuple[int, int]] = {}

    def add(self, path: bytes, facts: os.stat_result) -> None:
        """Count one entry. This runs once a file: it is written for speed."""
        mode, inode, _device, links, owner, group, size = facts[:7]
        changed = facts.st_ctime_ns
        if changed > self.latest:  # noqa: PLR1730 max() would cost more than all else here but the digest
            self.latest = changed
        record = _RECORD(
            mode,
            0 if stat.S_ISDIR(mode) else size,
            owner,
            group,
            facts.st_mtime_ns & _MASK,
            changed & _MASK,
            inode,
        )
        digest = hashlib.blake2b(record + path, digest_size=_FINGERPRINT_BYTES).digest()
        self.digest += int.from_bytes(digest, "big")
        if stat.S_ISSOCK(mode):
            return
        self.entries += 1
        if len(path) > _LONGEST_PATH:
            self.too_long += 1
        if not stat.S_ISREG(mode):
            return
        self.files += 1
        if links > 1:
            if inode in self._linked:
                return
            self._linked[inode] = size, facts.st_blocks * 512
        self.bytes += size
        self.allocated += facts.st_blocks * 512

    def sign(self) -> None:
        """Have something be seen to happen."""
        self.signs += 1

    def join(self, other: _Walk) -> None:
        """Add what another walk has found in other directories of the same tree."""
        self.entries += other.entries
        self.bytes += other.bytes
        self.allocated += other.allocated
        self.too_long += other.too_long
        self.files += other.files
        self.digest += other.digest
        self.latest = max(self.latest, other.latest)
        self.complete &= other.complete
        for inode, (size, allocated) in other._linked.items():
            if inode in self._linked:
                self.bytes -= size
                self.allocated -= allocated
        self._linked.update(other._linked)

    def fingerprint(self) -> str | None:
        """That of all entries; None if there are others."""
        digest = self.digest % (1 << 8 * _FINGERPRINT_BYTES)
        return digest.to_bytes(_FINGERPRINT_BYTES, "big").hex() if self.complete else None

    def left_out(self) -> bool:
        """Whether what can't be read may be left out."""
        self.complete = False
        return self.tolerant


def _in_two(root: int, pending: list[bytes], device: int, walk: _Walk) -> None:
    """Walk the rest in two processes, which share what there is to do again and again."""
    mine = _Walk(tolerant=walk.tolerant)

    def some(paths: list[bytes], walk: _Walk = mine) -> list[bytes]:
        until = time.monotonic() + _WHILE
        while paths and not walk.stopped:
            _directory(root, paths.pop(), device, walk, paths)
            if time.monotonic() > until:
                break
        return paths

    with Mate(some, lambda: vars(mine), root) as mate:
        while pending and not walk.stopped:
            mate.give(pending[::2])
            del pending[::2]
            some(pending, walk)
            pending += mate.left(walk.sign)
        vars(mine).update(mate.report())
    walk.join(mine)


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))


def _directory(root: int, path: bytes, device: int, walk: _Walk, pending: list[bytes]) -> None:
    """Count what is in one directory, and add those below it to ``pending``. What vanishes meanwhile is left out."""
    try:
        opened = open_below(root, path)
    except FileNotFoundError:
        return
    except OSError:
        if walk.left_out():
            return
        raise
    prefix = path + b"/" if path else b""
    try:
        with os.scandir(opened) as entries:
            for entry in entries:
                below = prefix + entry.name.encode(_ENCODING, _ENCODE_ERRORS)
                try:
                    facts = entry.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                except OSError:
                    if walk.left_out():
                        continue
                    raise
                walk.add(below, facts)
                if stat.S_ISDIR(facts.st_mode) and facts.st_dev == device:
                    pending.append(below)
    except OSError:
        if not walk.left_out():
            raise
    finally:
        os.close(opened)


def open_below(root: int, path: bytes) -> int:
    """Open the directory ``path`` below ``root``, in several steps where it is too long for one."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    at = root
    try:
        while len(path) > _LONGEST:
            cut = path.rindex(b"/", 0, _LONGEST)
            step = os.open(path[:cut], flags, dir_fd=at)
            if at != root:
                os.close(at)
            at, path = step, path[cut + 1 :]
        return os.open(path or b".", flags, dir_fd=at)
    finally:
        if at != root:
            os.close(at)
