# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that a backup is good: read its archive back from the disk, or restore it aside and compare."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from . import archive, compare, pipeline
from .attributes import pass_nothing_on
from .errors import IntegrityError, PipelineError, VolumeError, reason
from .pipeline import Stage
from .removal import remove
from .stored import Stored

#: What can be asked for: nothing, ``archive_readable``, or that and ``restorable``.
METHODS = ("none", "archive", "restore")

_PREFIX = ".drydock-verify-"
# How much earlier than a backup began a change may be dated that it doesn't hold: some file systems keep times to two
# seconds only. In nanoseconds.
_COARSE = 2_000_000_000
# The space that a restore may need beyond the size of the files, for directories and the like: one part in so many.
_SPARE = 20


def archive_readable(
    stored: Stored, *, sha256: str, size: int, entries: int, filters: Sequence[Stage] | None, tar: str, **pipe: Any
) -> None:
    """Read an archive back, and raise IntegrityError unless all of it is there.

    It must have ``size`` bytes, the checksum ``sha256`` (hex), and, through the ``filters`` that decrypt and decompress
    it and through ``tar``, as many ``entries``. Without filters (None) it can't be decrypted here, and only size and
    checksum count. ``pipe`` goes to pipeline.run, which may raise PipelineError. Raise RepositoryError if it can't be
    read.
    """
    checksum, found = stored.digest()
    if found != size:
        raise IntegrityError(f"the archive has {found} bytes on disk, {size} were written")
    if checksum != sha256:
        raise IntegrityError(f"the archive is damaged: its SHA-256 is {checksum} on disk, {sha256} was written")
    if filters is None:
        return
    members = archive.Members()
    bad = _run([*filters, _listing(tar)], stored, members, pipe)
    if bad is not None:
        raise IntegrityError(f"the archive can't be read back: {bad}")
    if members.count != entries:
        raise IntegrityError(f"the archive holds {members.count} entries, {entries} were written")


def restorable(
    stored: Stored,
    *,
    tree: str,
    started: int,
    scratch: str,
    needed: int,
    filters: Sequence[Stage],
    tar: str,
    **pipe: Any,
) -> compare.Comparison:
    """Restore an archive aside, and compare the result with the ``tree`` that it was made of.

    What was changed in the tree after ``started`` (nanoseconds since the epoch), when the backup began, isn't compared.
    The directory ``scratch`` must have room for ``needed`` bytes and 5 % more; what is restored lies in a directory
    there that nobody else can enter, and is removed at the end. ``pipe`` goes to pipeline.run.

    Raise IntegrityError, listing them, if there are differences; PipelineError if the archive can't be extracted, and
    VolumeError if there is no room or a tree can't be read.
    """
    with aside(scratch) as target:
        _require_room(scratch, needed)
        bad = _run([*filters, archive.extract(tar, target)], stored, archive.Members(), pipe)
        if bad is not None:
            raise PipelineError(f"the archive can't be restored into {scratch}: {bad}; what was restored is removed")
        found = compare.differences(tree, target, changed_since=started - _COARSE)
    if found.differences:
        more = f" and {found.more} more" if found.more else ""
        raise IntegrityError(
            f"what the archive restores isn't what is in {tree} since before the backup: "
            f"{'; '.join(found.differences)}{more}"
        )
    return found


@contextlib.contextmanager
def aside(parent: str) -> Iterator[str]:
    """A directory to extract into, removed at the end; first those that dead runs left in ``parent`` are removed.

    It lies in another one, as it gets the mode that the volume's root had. That one has a flock while the run lives.
    Raise VolumeError if ``parent`` can't be used.
    """
    with contextlib.ExitStack() as stack:
        try:
            _sweep(parent)
            outer, lock = _locked(parent)
            stack.callback(os.close, lock)
            stack.callback(remove, outer)
            pass_nothing_on(outer)
            target = os.path.join(outer, "tree")
            os.mkdir(target)
        except OSError as error:
            raise VolumeError(f"{parent} can't be used to restore into: {reason(error)}") from error
        yield target


def _listing(tar: str) -> Stage:
    """The stage that reads a tar stream to its end and lists its members, in a line each whatever is in their names."""
    index = f"--index-file=/dev/fd/{pipeline.LISTING}"
    return Stage("tar", (tar, "--list", "--file=-", archive.BLOCKS, index, "--quoting-style=escape"))


def _run(
    stages: Sequence[Stage], stored: Stored, members: archive.Members, pipe: dict[str, Any]
) -> pipeline.Outcome | None:
    """Send the archive through the stages. Return the outcome of the one that failed or, being tar, said something."""
    with stored.reading() as descriptor:
        outcomes = pipeline.run(stages, source=descriptor, listing=members, **pipe)
    bad = pipeline.failed(outcomes) or outcomes[-1]
    return bad if bad.status != 0 or bad.said else None


def _require_room(path: str, needed: int) -> None:
    """Raise VolumeError unless the file system has room for a restore of that many bytes."""
    facts = os.statvfs(path)
    free, wanted = facts.f_bavail * facts.f_frsize, needed + needed // _SPARE
    if free < wanted:
        raise VolumeError(
            f"a restore to verify the backup needs {wanted} bytes in {path}, and {free} are free; make room, or have "
            "the archive verified only"
        )


def _locked(parent: str) -> tuple[str, int]:
    """Make a directory. Return its path, and a descriptor that has the lock on it."""
    while True:
        path = tempfile.mkdtemp(prefix=_PREFIX, dir=parent)
        lock = _open(path)
        if lock is not None:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if os.path.exists(path):
                return path, lock
            os.close(lock)  # another run came first, and took it for a dead one's


def _sweep(parent: str) -> None:
    """Remove the directories of which no run holds the lock any more."""
    for name in os.listdir(parent):
        if not name.startswith(_PREFIX):
            continue
        path = os.path.join(parent, name)
        lock = _open(path)
        if lock is not None:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                remove(path)
            except BlockingIOError:
                pass
            finally:
                os.close(lock)


def _open(path: str) -> int | None:
    """Open a directory, or return None if it is none, or none any more."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (FileNotFoundError, NotADirectoryError):
        return None
