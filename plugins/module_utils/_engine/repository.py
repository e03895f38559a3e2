# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A repository in a directory: ``<root>/<host>/<volume>/<id>.tar.zst`` and ``<id>.json``, the manifest.

This is the side that reads; publication.py has the side that writes. An archive without a manifest isn't a backup, and
neither is a manifest whose archive is missing or of another size.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any

from . import manifest as manifests
from . import names, publication
from .errors import DrydockError, IntegrityError, RepositoryError, UsageError, reason
from .publication import MANIFEST, Publication
from .stored import Local, explained


class Directory:
    """A repository in a local directory, or in a mounted one. With ``read_only`` it refuses to write (check mode)."""

    def __init__(self, root: str, *, read_only: bool = False) -> None:
        if not os.path.isabs(root):
            raise UsageError(f"repository {root!r} is not an absolute path")
        self.root = os.path.normpath(root)
        self.read_only = read_only

    def folder(self, host: str, volume: str) -> str:
        """The directory of one volume's backups, or of a container's databases, see names.folder. Raise UsageError for
        a name that can't be part of a path."""
        return os.path.join(self.root, names.path_component("host", host), names.folder(volume))

    def check(self) -> bool:
        """Whether the repository exists yet. Raise RepositoryError if it can't be used, as far as that can be told
        without writing."""
        if os.path.isdir(self.root):
            if not os.access(self.root, os.W_OK | os.X_OK):
                raise RepositoryError(
                    f"repository {self.root} can't be written: it is on a read-only file system, or not yours; "
                    "nothing was changed"
                )
            return True
        if os.path.lexists(self.root):
            raise RepositoryError(f"repository {self.root} is not a directory; nothing was changed")
        parent = os.path.dirname(self.root)
        if not os.path.isdir(parent):
            raise RepositoryError(
                f"repository {self.root}: its parent directory doesn't exist; create {parent} or mount what "
                "belongs there; nothing was changed"
            )
        if not os.access(parent, os.W_OK | os.X_OK):
            raise RepositoryError(f"repository {self.root} can't be created: {parent} can't be written")
        return False

    def notes(self) -> list[str]:
        """What whoever backs up into it should know."""
        return []

    def require_there(self) -> None:
        """Raise RepositoryError unless there is a directory to read from."""
        if not os.path.isdir(self.root):
            raise RepositoryError(
                f"repository {self.root} is not a directory; check the path, and that it is mounted; nothing was "
                "changed"
            )

    def require_mounted(self) -> None:
        """Raise RepositoryError if the repository is on the root file system: its own is not mounted then."""
        present = self.root
        while not os.path.exists(present):
            present = os.path.dirname(present)
        if os.stat(present).st_dev == os.stat("/").st_dev:
            raise RepositoryError(
                f"repository {self.root} is on the root file system: what should be mounted there, or above, isn't; "
                "mount it, or leave require_mounted out; nothing was changed"
            )

    def backups(self, host: str, volume: str) -> tuple[list[dict[str, Any]], list[str]]:
        """The complete backups of a volume, as manifests, the newest first; and what is wrong with those that aren't.

        Raise RepositoryError if the directory can't be read. A volume without backups has none.
        """
        folder = self.folder(host, volume)
        return complete(_list(folder), lambda backup_id: self.backup(host, volume, backup_id))

    def backup(self, host: str, volume: str, backup_id: str) -> dict[str, Any]:
        """The manifest of one complete backup. Raise RepositoryError or IntegrityError if there is none."""
        names.backup_order(backup_id)
        path = os.path.join(self.folder(host, volume), backup_id + MANIFEST)
        try:
            with open(path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            raise RepositoryError(
                f"repository {self.root} has no backup {backup_id} of {names.described(volume)} from host {host}"
            ) from None
        except OSError as error:
            raise RepositoryError(f"manifest {path} can't be read: {reason(error)}") from error
        try:
            manifest = manifests.load(data, host=host, volume=volume, backup_id=backup_id)
        except IntegrityError as error:
            raise IntegrityError(f"manifest {path} can't be used: {error}") from error
        archive = self.archive(manifest)
        try:
            size = os.stat(archive).st_size
        except OSError as error:
            raise IntegrityError(f"archive {archive} can't be used: {reason(error)}") from error
        manifests.require_size(manifest, archive, size)
        return manifest

    @contextlib.contextmanager
    def view(self, _host: str | None = None) -> Iterator[Directory]:
        """What is there: the directory itself."""
        yield self

    def entries(self, *parts: str) -> dict[str, bool]:
        """The names of what is at a place below the root, and whether each is a folder. Raise RepositoryError if that
        can't be read."""
        path = self.path(*parts)
        try:
            with os.scandir(path) as entries:
                return {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
        except OSError as error:
            raise RepositoryError(f"{path} can't be read: {reason(error)}") from error

    def path(self, *parts: str) -> str:
        """Where something below the root is."""
        return os.path.join(self.root, *parts)

    def description(self, manifest: dict[str, Any]) -> bytes:
        """A backup's manifest as it is stored, byte for byte. Raise RepositoryError if it can't be read."""
        path = os.path.join(os.path.dirname(self.archive(manifest)), manifest["id"] + MANIFEST)
        try:
            with open(path, "rb") as file:
                return file.read()
        except OSError as error:
            raise RepositoryError(f"manifest {path} can't be read: {reason(error)}") from error

    @contextlib.contextmanager
    def stored(self, manifest: dict[str, Any]) -> Iterator[Local]:
        """A backup's archive, to be read. Raise RepositoryError if it can't be opened."""
        path = self.archive(manifest)
        with explained(path):
            file = open(path, "rb", buffering=0)  # noqa: SIM115 it is closed next
        with file:
            yield Local(file.fileno(), path)

    def archive(self, manifest: dict[str, Any]) -> str:
        """The path of a backup's archive."""
        return os.path.join(self.folder(manifest["host"], manifests.subject(manifest)), manifest["archive"]["file"])

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
    ) -> Publication:
        """Take the volume's lock, claim an identifier for a backup that starts at ``when`` (UTC), and open its archive.

        ``backup_id`` is the identifier, if the backup has one already, being copied. Another run's lock is waited for
        up to ``lock_timeout`` seconds. Raise RepositoryError if it can't be done.
        """
        del proceed  # nothing here is waited for that could be given up
        if self.read_only:
            raise RepositoryError(f"repository {self.root} is opened for reading only: this is check mode")
        folder = self.folder(host, volume)
        try:
            for path in (self.root, os.path.dirname(folder), folder):
                publication.make_directory(path)
            return Publication(folder, extension, when, lock_timeout, backup_id)
        except OSError as error:
            raise RepositoryError(
                f"repository {self.root} can't be written: {error.filename or folder}: {reason(error)}; "
                "nothing was changed"
            ) from error

    @contextlib.contextmanager
    def lock(self, host: str, volume: str, timeout: float = 0) -> Iterator[None]:
        """Hold the lock of a volume's backups. Raise RepositoryError if another run has it for longer than that."""
        folder = self.folder(host, volume)
        try:
            descriptor = publication.lock(folder, timeout)
        except OSError as error:
            raise RepositoryError(f"{folder} can't be locked: {reason(error)}; nothing was changed") from error
        try:
            yield
        finally:
            os.close(descriptor)

    def remove(self, manifest: dict[str, Any]) -> None:
        """Remove a backup; the caller has the lock. Raise RepositoryError if that fails.

        Its manifest goes first: from then on it is no backup, and what may be left of it is swept by a later run.
        """
        if self.read_only:
            raise RepositoryError(f"repository {self.root} is opened for reading only: this is check mode")
        archive = self.archive(manifest)
        folder = os.path.dirname(archive)
        try:
            os.unlink(os.path.join(folder, manifest["id"] + MANIFEST))
            publication.sync(folder)
            os.unlink(archive)
        except OSError as error:
            raise RepositoryError(f"backup {archive} can't be removed: {reason(error)}") from error


def complete(present: Iterable[str], load: Callable[[str], dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Those of the files in a volume's folder that are manifests of complete backups, as ``load`` gives them for an
    identifier, the newest first; and what is wrong with those that aren't."""
    found, problems = [], []
    for name in present:
        backup_id = name[: -len(MANIFEST)]
        if not (name.endswith(MANIFEST) and names.is_backup_id(backup_id)):
            continue
        try:
            found.append(load(backup_id))
        except DrydockError as error:
            problems.append(str(error))
    return sorted(found, key=manifests.order, reverse=True), problems


def _list(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise RepositoryError(f"{folder} can't be read: {reason(error)}") from error
