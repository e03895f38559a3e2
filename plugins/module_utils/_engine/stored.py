# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive that is to be read, from its start and as often as need be, wherever it is."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from . import encryption, pipeline
from .errors import RepositoryError, reason


class Stored(Protocol):
    """An archive. What is read of it may raise RepositoryError, which names it, or IntegrityError."""

    def head(self) -> bytes:
        """The first encryption.HEAD bytes, or all if it has fewer."""

    def digest(self) -> tuple[str, int]:
        """Read all of it; return the SHA-256 (hex) and the number of bytes."""

    def reading(self) -> AbstractContextManager[int]:
        """A descriptor that gives the archive from its start, once."""


class Local:
    """An archive in a file that is open, ``path`` in messages. With ``cold``, what is read of it comes from the disk,
    and doesn't stay in the kernel's cache."""

    def __init__(self, descriptor: int, path: str, *, cold: bool = False) -> None:
        self._descriptor = descriptor
        self._path = path
        self._cold = cold

    def head(self) -> bytes:
        """As Stored says."""
        with explained(self._path):
            return os.pread(self._descriptor, encryption.HEAD, 0)

    def digest(self) -> tuple[str, int]:
        """As Stored says."""
        with explained(self._path):
            if self._cold:
                os.fsync(self._descriptor)
                self._forget()
            os.lseek(self._descriptor, 0, os.SEEK_SET)
            return digest(self._descriptor)

    @contextlib.contextmanager
    def reading(self) -> Iterator[int]:
        """As Stored says."""
        with explained(self._path):
            os.lseek(self._descriptor, 0, os.SEEK_SET)
        try:
            yield self._descriptor
        finally:
            if self._cold:
                with contextlib.suppress(OSError):
                    self._forget()  # the host's services have more use for the cache

    def _forget(self) -> None:
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


@contextlib.contextmanager
def explained(path: str) -> Iterator[None]:
    """A context in which an OSError becomes a RepositoryError about the archive at ``path``."""
    try:
        yield
    except OSError as error:
        hint = "see to its disk or mount"
        if isinstance(error, FileNotFoundError):
            hint = "the retention of another run may have removed it just now; run this again"
        raise RepositoryError(f"archive {path} can't be read: {reason(error)}; {hint}") from error


def digest(descriptor: int) -> tuple[str, int]:
    """The SHA-256 (hex) and the number of the bytes that a descriptor gives from here on."""
    found, size = hashlib.sha256(), 0
    buffer = bytearray(pipeline.CHUNK)
    while True:
        count = os.readv(descriptor, [buffer])
        if not count:
            return found.hexdigest(), size
        found.update(memoryview(buffer)[:count])
        size += count
