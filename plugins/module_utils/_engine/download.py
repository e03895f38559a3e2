# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive on an rclone remote, read from there: downloaded once where there is room for it, else as often as it is
read."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from typing import IO

from . import encryption, pipeline
from .errors import IntegrityError, RepositoryError, reason
from .rclone import Rclone
from .stored import Local

# The share of the free space that a download may take.
_SHARE = 0.9


class Downloaded:
    """What is at ``path``; it must have the SHA-256 (hex) and the size in bytes that are given. A context manager.

    A download lies in a file that has no name, below TMPDIR or /var/tmp, and is gone when the process is.
    """

    def __init__(self, rclone: Rclone, path: str, sha256: str, size: int) -> None:
        self._rclone = rclone
        self._path = path
        self._expected = (sha256, size)
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Downloaded:
        return self

    def __exit__(self, *_exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def head(self) -> bytes:
        """As stored.Stored says."""
        if self._file is not None:
            return Local(self._file.fileno(), self._path).head()
        with self._explained():
            return self._rclone.run("cat", f"--head={encryption.HEAD}", self._path)

    def digest(self) -> tuple[str, int]:
        """As stored.Stored says. From then on the archive is here, if there is room."""
        found, size = hashlib.sha256(), 0
        buffer = bytearray(pipeline.CHUNK)
        self._file = None
        with self._explained(), contextlib.ExitStack() as stack:
            process = stack.enter_context(self._rclone.start("cat", self._path, stdout=subprocess.PIPE))
            file = _room(self._expected[1])
            if file is not None:
                stack.callback(file.close)
            while count := os.readv(_end(process.stdout), [buffer]):
                data = memoryview(buffer)[:count]
                found.update(data)
                size += count
                file = _keep(file, data)
            process.require_success()
            if file is not None:
                self._file = os.fdopen(os.dup(file.fileno()), "rb")
        return found.hexdigest(), size

    @contextlib.contextmanager
    def reading(self) -> Iterator[int]:
        """As stored.Stored says. What comes from the remote is compared with what it must be, at the end."""
        if self._file is not None:
            with Local(self._file.fileno(), self._path).reading() as descriptor:
                yield descriptor
            return
        with self._rclone.start("cat", self._path, stdout=subprocess.PIPE) as process:
            flow = _Flow(_end(process.stdout))
            try:
                yield flow.descriptor
                with self._explained():
                    found = flow.finish()
                    process.require_success()
            finally:
                process.kill()
                flow.end()
        if found != self._expected:
            raise IntegrityError(f"archive {self._path} is not what its manifest says: it changed while it was read")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            where = _directory()
            raise RepositoryError(
                f"archive {self._path} can't be downloaded to {where}: {reason(error)}; see to its disk"
            ) from error
        except RepositoryError as error:
            raise RepositoryError(f"archive {self._path} can't be read: {error}") from error


class _Flow:
    """Bytes on their way from one pipe into another, counted."""

    def __init__(self, source: int) -> None:
        self._source = source
        self._found, self._size = hashlib.sha256(), 0
        self.descriptor, self._sink = os.pipe()
        self._thread = threading.Thread(target=self._move, name="download", daemon=True)
        self._thread.start()

    def _move(self) -> None:
        buffer = bytearray(pipeline.CHUNK)
        with contextlib.suppress(OSError):
            try:
                while count := os.readv(self._source, [buffer]):
                    data = memoryview(buffer)[:count]
                    self._found.update(data)
                    self._size += count
                    while data:
                        data = data[os.write(self._sink, data) :]
            finally:
                os.close(self._sink)

    def finish(self) -> tuple[str, int]:
        """Take what nobody has read, and return the checksum and the size of all."""
        while os.read(self.descriptor, pipeline.CHUNK):
            pass
        self._thread.join()
        return self._found.hexdigest(), self._size

    def end(self) -> None:
        """Leave nothing behind. The source must have an end, and stay open until here."""
        os.close(self.descriptor)
        self._thread.join()


def _end(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        raise RepositoryError("rclone has no output")
    return pipe.fileno()


def _room(size: int) -> IO[bytes] | None:
    """A file without a name that can take so many bytes, if there is room for it."""
    directory = _directory()
    try:
        if size > _SHARE * shutil.disk_usage(directory).free:
            return None
        return tempfile.TemporaryFile(dir=directory, buffering=0)
    except OSError:
        return None


def _directory() -> str:
    return os.environ.get("TMPDIR", "/var/tmp")  # noqa: S108 a file that nobody else can open


def _keep(file: IO[bytes] | None, data: memoryview) -> IO[bytes] | None:
    """Write to the file, if there is one and as long as there is room."""
    if file is None:
        return None
    try:
        while data:
            data = data[os.write(file.fileno(), data) :]
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        file.close()
        return None
    return file
