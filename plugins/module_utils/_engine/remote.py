# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository on an rclone remote: the same folders and files as in a directory, listed by few calls.

This is the side that reads; upload.py has the side that writes. Storage elsewhere has no locks: the lock of a folder is
on this host, so a host's folder must be written by that host only.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from typing import Any

from . import journal, names, publication
from . import manifest as manifests
from .download import Downloaded
from .errors import IntegrityError, RepositoryError, UsageError, reason
from .publication import MANIFEST
from .rclone import Rclone, split
from .repository import complete
from .upload import Upload

# No metadata of single files: on some storage that is a request each.
_LISTING = ("--fast-list", "--use-server-modtime")
_FETCHING = ("--fast-list", "--use-server-modtime", "--ignore-checksum", "--transfers=16", "--checkers=16")
_FEATURES = ("backend", "features")
_PREFIX = "drydock-manifests-"
_FRACTION = re.compile(r"\.\d+")


class Remote:
    """A repository at ``REMOTE:path``, REMOTE being one of rclone's configuration. With ``read_only`` it refuses to
    write (check mode). ``config`` is the path of that configuration, if it isn't where rclone looks by itself."""

    def __init__(self, root: str, *, read_only: bool = False, config: str | None = None) -> None:
        name, path = split(root)
        self.root = f"{name}:{path}"
        self.read_only = read_only
        self._rclone = Rclone(config)
        self._features: dict[str, Any] | None = None

    def folder(self, host: str, volume: str) -> str:
        """Where the backups of one volume, or of a container's databases, are. Raise UsageError for a name that can't
        be part of a path."""
        return self.path(names.path_component("host", host), names.folder(volume))

    def path(self, *parts: str) -> str:
        """Where something below the root is."""
        return "/".join(
            (self.root, *parts) if not self.root.endswith((":", "/")) else (self.root + parts[0], *parts[1:])
        )

    def check(self) -> bool:
        """Whether there is something yet. Raise RepositoryError if the remote can't be reached or read."""
        with self._explained():
            return self._rclone.run("lsf", "--max-depth=1", *_LISTING, self.root, missing=b"\0") != b"\0"

    def notes(self) -> list[str]:
        """What whoever backs up into it should know."""
        with self._explained():
            if self._facts()["Features"].get("PutStream"):
                return []
        where = os.environ.get("TMPDIR", "/tmp")  # noqa: S108 rclone's own choice
        return [f"repository {self.root} takes no stream: rclone keeps each archive in {where} until it is complete"]

    def require_there(self) -> None:
        """Raise RepositoryError unless there is something to read from."""
        if not self.check():
            raise RepositoryError(f"repository {self.root} doesn't exist; check the path; nothing was changed")

    def require_mounted(self) -> None:
        """Raise UsageError: nothing is mounted here."""
        raise UsageError(
            f"require_mounted is for a repository in a directory, and {self.root} is a remote; leave it out"
        )

    def backups(self, host: str, volume: str) -> tuple[list[dict[str, Any]], list[str]]:
        """As repository.Directory.backups."""
        with self.view(host, volume) as view:
            return view.backups(host, volume)

    def backup(self, host: str, volume: str, backup_id: str) -> dict[str, Any]:
        """As repository.Directory.backup."""
        names.backup_order(backup_id)
        with self.view(host, volume, backup_id) as view:
            return view.backup(host, volume, backup_id)

    @contextlib.contextmanager
    def view(self, host: str | None = None, volume: str | None = None, backup_id: str = "*") -> Iterator[View]:
        """What is there now, of all hosts and volumes or of these: two calls, however many backups there are."""
        parts = [part for part in (host, volume) if part is not None]
        _sweep()
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as taken:
            with self._explained():
                where = self.path(*parts) if parts else self.root
                listed = self._rclone.run("lsjson", "--recursive", "--no-mimetype", *_LISTING, where, missing=b"[]")
                entries = {"/".join([*parts, entry["Path"]]): entry for entry in json.loads(listed)}
                above = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)] if entries else []
                entries.update((path, {"IsDir": True}) for path in above)
                if any(path.endswith(MANIFEST) for path in entries):
                    wanted = "/".join(["", *["*"] * (2 - len(parts)), backup_id + MANIFEST])
                    target = os.path.join(taken, *parts)
                    self._rclone.run("copy", f"--include={wanted}", *_FETCHING, where, target, missing=b"")
            yield View(self, entries, taken)

    def archive(self, manifest: dict[str, Any]) -> str:
        """Where a backup's archive is."""
        return f"{self.folder(manifest['host'], manifests.subject(manifest))}/{manifest['archive']['file']}"

    @contextlib.contextmanager
    def stored(self, manifest: dict[str, Any]) -> Iterator[Downloaded]:
        """A backup's archive, to be read."""
        archive = manifest["archive"]
        with Downloaded(self._rclone, self.archive(manifest), archive["sha256"], archive["bytes"]) as downloaded:
            yield downloaded

    def begin(
        self,
        host: str,
        volume: str,
        extension: str,
        when: datetime,
        lock_timeout: float = 0,
        *,
        backup_id: str | None = None,
        proceed: Callable[[], object] | None = None,
    ) -> Upload:
        """As repository.Directory.begin. ``proceed`` is called now and then while an upload is waited for."""
        if self.read_only:
            raise RepositoryError(f"repository {self.root} is opened for reading only: this is check mode")
        folder = self.folder(host, volume)
        with self._explained(), contextlib.ExitStack() as stack:
            lock = stack.enter_context(self._locked(folder, lock_timeout))
            with self._asking():
                ages = self._ages(folder)
            for left in publication.abandoned(ages):
                self._rclone.run("deletefile", f"{folder}/{left}", missing=b"")
            claimed = backup_id or publication.free_id(ages, names.stamp(when))
            facts = self._facts()
            return Upload(
                self._rclone,
                folder,
                claimed,
                extension,
                lock=lock,
                held=stack.pop_all(),
                renames=bool(facts["Features"].get("Move")),
                hashes=facts["Hashes"] or [],
                proceed=proceed,
            )

    @contextlib.contextmanager
    def lock(self, host: str, volume: str, timeout: float = 0) -> Iterator[None]:
        """Hold this host's lock of a volume's backups. Raise RepositoryError if another run has it for longer."""
        with self._locked(self.folder(host, volume), timeout):
            yield

    def remove(self, manifest: dict[str, Any]) -> None:
        """As repository.Directory.remove."""
        if self.read_only:
            raise RepositoryError(f"repository {self.root} is opened for reading only: this is check mode")
        archive = self.archive(manifest)
        folder = self.folder(manifest["host"], manifests.subject(manifest))
        try:
            self._rclone.run("deletefile", f"{folder}/{manifest['id']}{MANIFEST}", missing=b"")
            self._rclone.run("deletefile", archive, missing=b"")
        except RepositoryError as error:
            raise RepositoryError(f"backup {archive} can't be removed: {error}") from error

    def _ages(self, folder: str) -> dict[str, float]:
        """The files in a folder, with their ages in seconds."""
        listed = json.loads(self._rclone.run("lsjson", "--no-mimetype", *_LISTING, folder, missing=b"[]"))
        now = datetime.now(timezone.utc)
        return {each["Name"]: (now - _time(each["ModTime"])).total_seconds() for each in listed if not each["IsDir"]}

    @contextlib.contextmanager
    def _asking(self) -> Iterator[None]:
        """Have rclone find out beside what is done in the context what _facts gives after it."""
        if self._features is not None:
            yield
            return
        with tempfile.TemporaryFile() as taken:
            with self._rclone.start(*_FEATURES, self.root, stdout=taken) as process:
                yield
                process.require_success()
            taken.seek(0)
            self._features = json.load(taken)

    def _facts(self) -> dict[str, Any]:
        """What the remote can do: rclone's own answer."""
        if self._features is None:
            self._features = json.loads(self._rclone.run(*_FEATURES, self.root))
        return self._features

    @contextlib.contextmanager
    def _locked(self, folder: str, timeout: float) -> Iterator[int]:
        """Hold our lock of a folder: its descriptor."""
        path = os.path.join(journal.STATE, "locks", hashlib.sha256(folder.encode()).hexdigest()[:32])
        try:
            os.makedirs(path, mode=0o700, exist_ok=True)
            descriptor = publication.lock(path, timeout, folder)
        except OSError as error:
            raise RepositoryError(f"{path} can't be locked: {reason(error)}; nothing was changed") from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (RepositoryError, ValueError) as error:
            if str(error).startswith("rclone ") or isinstance(error, ValueError):
                raise RepositoryError(
                    f"repository {self.root} can't be reached, or not read: {error}; see to the remote and to what "
                    "rclone's configuration says of it; nothing was changed"
                ) from error
            raise


class View:
    """What a remote held at one time: ``entries`` by path, as rclone lists them, and the manifests in ``directory``."""

    def __init__(self, remote: Remote, entries: dict[str, dict[str, Any]], directory: str) -> None:
        self._remote = remote
        self._entries = entries
        self._directory = directory
        self._below: dict[str, dict[str, bool]] = {}
        for path, entry in entries.items():
            above, _slash, name = path.rpartition("/")
            self._below.setdefault(above, {})[name] = entry["IsDir"]

    def entries(self, *parts: str) -> dict[str, bool]:
        """The names of what is at a place, and whether each is a folder."""
        return self._below.get("/".join(parts), {})

    def backups(self, host: str, volume: str) -> tuple[list[dict[str, Any]], list[str]]:
        """As repository.Directory.backups."""
        return complete(self.entries(host, volume), lambda backup_id: self.backup(host, volume, backup_id))

    def backup(self, host: str, volume: str, backup_id: str) -> dict[str, Any]:
        """As repository.Directory.backup."""
        where = f"{self._remote.folder(host, volume)}/{backup_id}{MANIFEST}"
        try:
            with open(os.path.join(self._directory, host, volume, backup_id + MANIFEST), "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise RepositoryError(
                f"repository {self._remote.root} has no backup {backup_id} of {names.described(volume)} from host "
                f"{host}"
            ) from None
        try:
            manifest = manifests.load(data, host=host, volume=volume, backup_id=backup_id)
        except IntegrityError as error:
            raise IntegrityError(f"manifest {where} can't be used: {error}") from error
        archive = self._entries.get(f"{host}/{volume}/{manifest['archive']['file']}")
        manifests.require_size(manifest, self._remote.archive(manifest), None if archive is None else archive["Size"])
        return manifest


def _time(text: str) -> datetime:
    """A time as rclone prints it: RFC 3339, with as many digits as there are."""
    return datetime.fromisoformat(_FRACTION.sub("", text).replace("Z", "+00:00"))


def _sweep() -> None:
    """Remove the manifests that dead runs have fetched: a directory's name has the identifier of its process."""
    parent = tempfile.gettempdir()
    with contextlib.suppress(OSError):
        for name in os.listdir(parent):
            process = name[len(_PREFIX) :].partition("-")[0]
            path = os.path.join(parent, name)
            if (
                name.startswith(_PREFIX)
                and not os.path.exists(f"/proc/{process}")
                and os.lstat(path).st_uid == os.getuid()
            ):
                shutil.rmtree(path, ignore_errors=True)
