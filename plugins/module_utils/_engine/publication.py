# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a backup gets into a directory: locked, claimed, written, synced, and then named.

Each file is written under a hidden temporary name, synced, renamed, and its directory synced. The manifest comes last
and is the commit point. A run that dies leaves nothing that counts as a backup, and the next one removes what it left.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from . import manifest as manifests
from . import names, points, termination
from .codecs import CODECS
from .encryption import EXTENSIONS
from .errors import RepositoryError, reason
from .stored import Local, Stored

#: What a manifest's file name ends in.
MANIFEST = ".json"
#: The parts of a backup in a folder, see split; and the name of the folder's lock.
ARCHIVE, DESCRIPTION, UNFINISHED = "archive", "manifest", "unfinished file"
LOCK = ".lock"

_PARTIAL = ".partial"
_ARCHIVES = {codec.extension + cipher for codec in CODECS.values() for cipher in ("", *EXTENSIONS.values())}
_EXCLUSIVE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# Written data is handed to the disk in steps of this many bytes, so that the sync at the end has little left to do.
_FLUSH = 8 << 20
# An archive without a manifest may be one that somebody copies here right now, its manifest following.
_ABANDONED_AFTER = 24 * 3600


class Publication:
    """A backup on its way into ``folder``. A context manager: what isn't published by its end is removed.

    It holds the folder's lock (flock: the kernel frees it when the process dies) for as long as it lives.
    """

    def __init__(
        self, folder: str, extension: str, when: datetime, lock_timeout: float, backup_id: str | None = None
    ) -> None:
        self.size = 0
        self._folder = folder
        self._writing = False
        self._digest = hashlib.sha256()
        self._flushed = 0
        with contextlib.ExitStack() as stack:
            stack.callback(os.close, lock(folder, lock_timeout))
            _sweep(folder)
            self.id = backup_id or free_id(os.listdir(folder), names.stamp(when))
            self.file = self.id + extension
            self._present = [_partial(folder, self.file)]
            self._descriptor = os.open(self._present[0], _EXCLUSIVE, 0o600)
            stack.callback(os.close, self._descriptor)
            self._stack = stack.pop_all()

    def __enter__(self) -> Publication:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if self._writing:
            # Another thread hangs in a write, and so would we: nothing is touched, not even closed. A later run sweeps.
            self._stack.pop_all()
            return
        with self._stack:
            left = []
            # a manifest goes before its archive: from then on it is no backup
            for path in reversed(self._present):
                try:
                    os.unlink(path)
                except OSError as second:
                    left.append(f"{path} can't be removed: {reason(second)}")
            if not left:
                return
            told = f"{'; '.join(left)}; see to the repository's disk"
            if error is not None and not isinstance(error, Exception):
                termination.but(error, told)
                raise error from None
            raise RepositoryError(f"{error or 'repository: nothing was added'}; {told}") from error

    @property
    def blocking(self) -> str:
        """The file that write may wait for without an end."""
        return os.path.join(self._folder, self.file)

    @property
    def sha256(self) -> str:
        """The checksum of all that was written (hex)."""
        return self._digest.hexdigest()

    def write(self, data: memoryview) -> None:
        """Add to the archive. Raise RepositoryError if the disk doesn't take it."""
        self._digest.update(data)
        self._writing = True
        try:
            with self._explained():
                while data:
                    written = os.write(self._descriptor, data)
                    self.size += written
                    data = data[written:]
                if self.size - self._flushed >= _FLUSH:
                    # The kernel starts to write out these pages, and needn't keep them: a backup that fills the cache
                    # would push out what the host's services have there.
                    step = self.size - self._flushed
                    os.posix_fadvise(self._descriptor, self._flushed, step, os.POSIX_FADV_DONTNEED)
                    self._flushed = self.size
        finally:
            self._writing = False

    def take(self, path: str, proceed: Callable[[], object]) -> None:
        """Write all that is in a file. Raise RepositoryError if it can't be read, or as write does."""
        buffer = bytearray(_FLUSH)
        try:
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    self.write(memoryview(buffer)[:count])
                    proceed()
        except OSError as error:
            raise RepositoryError(f"archive {path} can't be read: {reason(error)}; nothing was copied") from error

    @contextlib.contextmanager
    def reading(self) -> Iterator[Stored]:
        """What was written, to be read back once all of it is. Raise RepositoryError if it can't be read."""
        with self._explained():
            descriptor = os.open(self._present[0], os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield Local(descriptor, os.path.join(self._folder, self.file), cold=True)
        finally:
            os.close(descriptor)

    def arrived(self) -> str | None:
        """How it was made sure that all arrived: not by more than what write and publish do."""
        return None

    def publish(self, manifest: dict[str, Any], stored: bytes | None = None) -> str:
        """Make the archive and then its manifest appear under their names, each safe on disk before it does.

        ``stored`` is the manifest as it is to be stored, byte for byte, if that is given. Return the archive's path.
        Raise RepositoryError if the disk doesn't take them; neither stays then.
        """
        with self._explained():
            os.fsync(self._descriptor)
            archive = self._rename(self._present[0], self.file)
            points.reached("archive-renamed")
            partial = _partial(self._folder, self.id + MANIFEST)
            descriptor = os.open(partial, _EXCLUSIVE, 0o600)
            self._present.append(partial)
            with os.fdopen(descriptor, "wb") as file:
                file.write(stored or manifests.dump(manifest))
                file.flush()
                os.fsync(file.fileno())
            points.reached("manifest-written")
            self._rename(partial, self.id + MANIFEST)
        self._present.clear()
        return archive

    def _rename(self, old: str, name: str) -> str:
        new = os.path.join(self._folder, name)
        os.rename(old, new)
        self._present[self._present.index(old)] = new
        sync(self._folder)
        return new

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise RepositoryError(
                f"repository: {os.path.join(self._folder, self.file)} can't be written after {self.size} bytes: "
                f"{reason(error)}; nothing was added to the repository, earlier backups are untouched"
            ) from error


def make_directory(path: str) -> None:
    """Make a directory that only its owner can enter, and have its parent remember it. It may exist already."""
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        return
    sync(os.path.dirname(path))


def _partial(folder: str, name: str) -> str:
    return os.path.join(folder, unfinished(name))


def sync(folder: str) -> None:
    """Have a directory remember, over a power cut, what was made, renamed and removed in it.

    Some file systems (CIFS before Linux 5.10) don't know how to sync a directory: what there is to do, they do by
    themselves. Raise OSError for anything else.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def lock(folder: str, timeout: float, what: str | None = None) -> int:
    """Take the folder's lock, waiting up to ``timeout`` seconds for another run, and return its descriptor.

    ``what`` is what it stands for, in the RepositoryError, if that isn't the folder itself.
    """
    descriptor = os.open(os.path.join(folder, LOCK), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return descriptor
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise RepositoryError(
                        f"another run writes to {what or folder} right now; wait for it to end, or give a longer "
                        f"lock_timeout than {timeout:g} seconds; nothing was changed"
                    ) from None
                time.sleep(0.1)
    except BaseException:
        os.close(descriptor)
        raise


def free_id(present: Iterable[str], first: str) -> str:
    """The first of ``first``, ``first-2``, ``first-3`` … that no file name in a folder begins with, which is locked."""
    taken = {name.lstrip(".").partition(".")[0] for name in present}
    number, backup_id = 1, first
    while backup_id in taken:
        number += 1
        backup_id = f"{first}-{number}"
    return backup_id


def abandoned(present: Mapping[str, float]) -> list[str]:
    """Which of a folder's files, given with their age in seconds, dead runs left: partial files, and archives that
    never got their manifest. Whoever asks has the lock, so no live run of ours owns any of them. Others are not ours.
    """
    left = []
    for name, age in present.items():
        backup_id, part = split(name)
        lone = part is ARCHIVE and backup_id + MANIFEST not in present and age > _ABANDONED_AFTER
        if part is UNFINISHED or lone:
            left.append(name)
    return left


def _sweep(folder: str) -> None:
    """Remove what dead runs left. The caller has the lock."""
    facts = {name: os.lstat(os.path.join(folder, name)) for name in os.listdir(folder)}
    # since a file got its present name
    ages = {name: time.time() - one.st_ctime for name, one in facts.items()}
    for name in abandoned(ages):
        if stat.S_ISREG(facts[name].st_mode):
            os.unlink(os.path.join(folder, name))


def unfinished(name: str) -> str:
    """The name of a file that isn't complete yet."""
    return f".{name}{_PARTIAL}"


def split(name: str) -> tuple[str, str | None]:
    """The identifier of the backup that a file belongs to by its name, and which part of it that is: ARCHIVE,
    DESCRIPTION (the manifest) or UNFINISHED; None for a file that isn't ours."""
    hidden = name.startswith(".") and name.endswith(_PARTIAL)
    backup_id, _dot, extension = (name[1 : -len(_PARTIAL)] if hidden else name).partition(".")
    part = ARCHIVE if f".{extension}" in _ARCHIVES else DESCRIPTION if f".{extension}" == MANIFEST else None
    if part is None or not names.is_backup_id(backup_id):
        return "", None
    return backup_id, UNFINISHED if hidden else part
