# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a backup gets onto an rclone remote: uploaded, looked at there, and then named.

Where the storage can rename, each file has a temporary name until it is complete. Where it can't (S3, and others for
which a rename is a copy), an archive has its own name at once. Either way the manifest comes last and is the commit
point. A run that dies leaves nothing that counts as a backup, and the next one removes what it left.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import select
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import IO, Any

from . import encryption, pipeline, points, termination
from . import manifest as manifests
from .download import Downloaded
from .errors import RepositoryError, reason
from .publication import MANIFEST, unfinished
from .rclone import Process, Rclone

# What a remote may tell about a file that is there, the first one preferred. It is asked what arrived, and need not
# withstand an attack: the manifest has the SHA-256. Of 2 GB coreutils' sha1sum takes 3.0 s, sha256sum 5.7 s, and here,
# beside the upload, SHA-1 takes 1 s, and MD5 3 s.
_HASHES = ("sha1", "md5", "sha256")
_F_SETPIPE_SZ = 1031  # fcntl.F_SETPIPE_SZ exists from Python 3.10
_TICK = 0.5
_NICEST = 19


class Upload:
    """The backup ``backup_id`` on its way into ``folder`` of a remote. A context manager: what isn't published by its
    end is removed.

    ``lock`` is the descriptor of the folder's lock, which rclone holds too while it writes, and ``held`` what ends with
    this; ``renames`` tells whether the remote can rename, ``hashes`` which checksums it has.
    """

    def __init__(
        self,
        rclone: Rclone,
        folder: str,
        backup_id: str,
        extension: str,
        *,
        lock: int,
        held: contextlib.ExitStack,
        renames: bool,
        hashes: Sequence[str],
        proceed: Callable[[], object] | None,
    ) -> None:
        self.id = backup_id
        self.file = backup_id + extension
        self.size = 0
        self._rclone = rclone
        self._folder = folder
        self._lock = lock
        self._held = held
        self._renames = renames
        self._proceed = proceed or _nothing
        self._kind = next((kind for kind in _HASHES if kind in hashes), None)
        self._digest = hashlib.sha256()
        self._theirs = self._digest if self._kind in (None, "sha256") else hashlib.new(self._kind)
        self._head = b""
        self._process: Process | None = None
        self._reader: _Reader | None = None
        self._arrived = False
        self._present: list[str] = []

    def __enter__(self) -> Upload:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._held:
            if self._reader is not None:
                self._reader.stop()
            if self._process is not None:
                self._process.end()
            left = []
            # a manifest goes before its archive: from then on it is no backup
            for name in reversed(self._present):
                try:
                    self._rclone.run("deletefile", self._path(name), missing=b"")
                except RepositoryError as second:
                    left.append(f"{self._path(name)} can't be removed ({second})")
            if not left:
                return
            told = f"{'; '.join(left)}: the next run of this volume removes it, and it doesn't count as a backup"
            if error is None or isinstance(error, Exception):
                raise RepositoryError(f"{error or 'repository: nothing was added'}; {told}") from error
            termination.but(error, told)

    @property
    def blocking(self) -> None:
        """As publication.Publication says: no file, and rclone gives up by itself."""

    @property
    def sha256(self) -> str:
        """The checksum of all that was written (hex)."""
        return self._digest.hexdigest()

    def write(self, data: memoryview) -> None:
        """Add to the archive. Raise RepositoryError if the remote doesn't take it."""
        if self._process is None:
            # by itself rcat would have all of it read there once more, for the checksum that we ask for later
            self._process = self._start("rcat", "--ignore-checksum", self._temporary(self.file), stdin=subprocess.PIPE)
        if len(self._head) < encryption.HEAD:
            self._head += bytes(data[: encryption.HEAD - len(self._head)])
        self._add(data)
        while data:
            data = data[self._send(data) :]

    def take(self, path: str, proceed: Callable[[], object]) -> None:
        """Upload a file. Raise RepositoryError if the remote doesn't take it. ``arrived`` raises it, too, if it can't
        be read."""
        self._proceed = proceed
        self._reader = _Reader(path, self._add)
        with self._explained():
            process = self._start("copyto", "--ignore-checksum", "--no-check-dest", path, self._temporary(self.file))
            with process:
                process.wait(self._proceed)
                process.require_success()

    @contextlib.contextmanager
    def reading(self) -> Iterator[Downloaded]:
        """What was written, to be read back from the remote once all of it is."""
        self.arrived()
        with Downloaded(self._rclone, self._path(self._present[0]), self.sha256, self.size) as downloaded:
            yield downloaded

    def arrived(self) -> str | None:
        """Wait until all is there, and have the remote tell. Return by what: the name of a checksum, or "size" where it
        has none. Raise RepositoryError if it isn't all there, or isn't what was sent."""
        if self._arrived:
            return self._kind or "size"
        with self._explained():
            if self._process is not None:
                if self._process.stdin is not None:
                    with contextlib.suppress(BrokenPipeError):
                        self._process.stdin.close()
                self._process.wait(self._proceed)
                self._process.require_success()
            asked = ["--hash", f"--hash-type={self._kind}"] if self._kind else []
            where = self._path(self._present[0])
            found = json.loads(self._rclone.run("lsjson", "--stat", "--no-mimetype", *asked, where))
        if self._reader is not None:
            self._reader.finish(self._proceed)
        if found["Size"] != self.size:
            raise RepositoryError(f"{where} has {found['Size']} bytes, {self.size} were uploaded; it is removed again")
        theirs = (found.get("Hashes") or {}).get(self._kind) if self._kind else None
        if not theirs:
            self._kind = None  # some storage has one of some files only
        elif theirs != self._theirs.hexdigest():
            raise RepositoryError(
                f"{where} has the {self._kind} {theirs}, {self._theirs.hexdigest()} was uploaded; it is removed again"
            )
        self._arrived = True
        return self._kind or "size"

    def publish(self, manifest: dict[str, Any], stored: bytes | None = None) -> str:
        """Make the archive and then its manifest appear under their names. Return where the archive is.

        ``stored`` is the manifest as it is to be stored, byte for byte, if that is given. Raise RepositoryError if the
        remote doesn't take them; neither stays then.
        """
        self.arrived()
        with self._explained(), tempfile.TemporaryFile() as data:
            data.write(stored or manifests.dump(manifest))
            data.seek(0)
            with self._start("rcat", self._temporary(self.id + MANIFEST), stdin=data) as written:
                self._name(self.file)
                points.reached("archive-renamed")
                written.wait(self._proceed)
                written.require_success()
            points.reached("manifest-written")
            self._name(self.id + MANIFEST)
        self._present.clear()
        return self._path(self.file)

    def _start(self, *arguments: str, stdin: int | IO[bytes] = subprocess.DEVNULL) -> Process:
        process = self._rclone.start(*arguments, stdin=stdin, keep=[self._lock])
        if process.stdin is not None:
            os.set_blocking(process.stdin.fileno(), False)
            with contextlib.suppress(OSError):
                fcntl.fcntl(process.stdin, _F_SETPIPE_SZ, pipeline.CHUNK)
        return process

    def _send(self, data: memoryview) -> int:
        """Give rclone some of it; return how much."""
        if self._process is None or self._process.stdin is None:
            return 0
        while True:
            self._proceed()
            try:
                return os.write(self._process.stdin.fileno(), data)
            except BlockingIOError:
                select.select([], [self._process.stdin], [], _TICK)
            except BrokenPipeError:
                with self._explained():
                    self._process.require_success()
                    raise RepositoryError("rclone ended before all was written") from None

    def _add(self, data: memoryview) -> None:
        self.size += len(data)
        self._digest.update(data)
        if self._theirs is not self._digest:
            self._theirs.update(data)

    def _temporary(self, name: str) -> str:
        """Where a file is until it is complete."""
        self._present.append(unfinished(name) if self._renames else name)
        return self._path(self._present[-1])

    def _name(self, name: str) -> None:
        """Give a file that is complete its name."""
        if self._renames:
            self._present.append(name)  # whether it is there already isn't known when the connection breaks now
            self._rclone.run("moveto", "--no-check-dest", self._path(unfinished(name)), self._path(name))
            self._present.remove(unfinished(name))

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except RepositoryError as error:
            raise RepositoryError(
                f"repository: {self._path(self.file)} can't be written after {self.size} bytes: {error}; nothing was "
                "added to the repository, earlier backups are untouched"
            ) from error


class _Reader:
    """Gives all of a file to ``take``, beside what else is done, when a processor has nothing better to do: what is
    made of it is asked for once the remote has told its own checksum, and that takes it as long."""

    def __init__(self, path: str, take: Callable[[memoryview], object]) -> None:
        self._path = path
        self._take = take
        self._error: OSError | None = None
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="checksum", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Read no more of it."""
        self._stopped = True

    def finish(self, proceed: Callable[[], object]) -> None:
        """Wait for the end of the file. Raise RepositoryError if it can't be read."""
        while self._thread.is_alive():
            self._thread.join(_TICK)
            proceed()
        if self._error is not None:
            raise RepositoryError(
                f"archive {self._path} can't be read: {reason(self._error)}; nothing was copied"
            ) from self._error

    def _run(self) -> None:
        buffer = bytearray(pipeline.CHUNK)
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICEST)
        try:
            with open(self._path, "rb", buffering=0) as file:
                while not self._stopped and (count := file.readinto(buffer)):
                    self._take(memoryview(buffer)[:count])
        except OSError as error:
            self._error = error


def _nothing() -> None:
    """Have no reason to stop."""
