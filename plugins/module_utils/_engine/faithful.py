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
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from . import members
from .errors import IntegrityError, VolumeError, reason
from .expected import AGAIN, Tree
from .window import Stopped, Tap, Window, now
from .wording import named

# Bytes that tar must have done with before a large file is looked at.
_LARGE = 4 << 20
# How long, in ns, tar may take for what is in the pipe when nothing more comes. A large file is compared while tar
# still writes it: one that was changed later than that may have been changed behind our back.
_LATE = 20_000_000
# The kernel's clock ticks every 10 ms at most. How often to look whether it has, and how long each time.
_TICKS, _TICK = 20, 0.001


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
        self._tree = Tree(directory, limit)
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
        return Comparison(tree.entries, tree.bytes, tuple(tree.kept), tree.more, tree.like.coarse)

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
            changed = AGAIN
            with contextlib.suppress(OSError):
                opened = tree.open(member.path)
                try:
                    large, late = member.stored > _LARGE, False
                    facts = os.fstat(opened) if large else self._settled(opened)
                    found = tree.like.file(opened, facts, member, window, tap.await_read if large else None)
                    if large:  # it was still being written
                        window.skip(begun + member.stored - window.at)  # with a full window tar gets no more
                        ended = tap.await_read(begun + member.stored)
                        facts = self._settled(opened)
                        found += tree.like.own(opened, facts, member)
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
                    tree.note(member.path, tree.like.file(opened, os.fstat(opened), member, self._window, None))
                finally:
                    os.close(opened)
            except OSError as error:
                raise _unreadable(error, member.path) from error
            pending.discard(member.path)
            if not pending:
                return
        raise IntegrityError("the archive can't be compared: it was changed while it was read")


def _unreadable(error: OSError, path: bytes | None = None) -> VolumeError:
    where = named(path) if path is not None else f"{error.filename!r}"
    return VolumeError(f"what was restored can't be read back: {where}: {reason(error)}")
