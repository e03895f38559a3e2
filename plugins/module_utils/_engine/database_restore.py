# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore databases: every dump is checked before the server is touched, and what was there stays until all is in."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from . import codecs, encryption, journal, names, pipeline, publication, server, tools, verification, volumes
from .client import Client
from .dumps import Dump, Reader
from .encryption import Decryption
from .errors import (
    ContainerError,
    DaemonError,
    DatabaseError,
    IntegrityError,
    PipelineError,
    RepositoryError,
    UsageError,
    reason,
)
from .mariadb_restore import MariaDBRestorer
from .postgresql_restore import PostgreSQLRestorer
from .repositories import Repository
from .restore import LATEST, choose
from .restoring import Choice, Pair
from .server import Check, Login, Server
from .stored import Stored

#: Those that can be restored, by the names of their engines.
RESTORERS: dict[str, Callable[[Server, Choice], Restorer]] = {
    "postgresql": PostgreSQLRestorer,
    "mariadb": MariaDBRestorer,
}
UNTOUCHED = "the databases are as they were"

Take = Callable[[Dump], "contextlib.AbstractContextManager[Check] | None"]


class Restorer(Protocol):
    """What differs between databases when they are restored."""

    def look(self, pairs: Sequence[Pair]) -> None:
        """See what is in the way of each, and note its state. Raise DatabaseError for what isn't allowed."""

    def examine(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """What tells whether a dump is whole, and learns from it what the restore needs."""

    def restore(self, pairs: Sequence[Pair], through: Callable[[Take], None]) -> list[str]:
        """Restore all of them or, with an error, none; return warnings. ``through`` reads the archive."""

    def share(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """What takes the dump of what the databases share (roles, accounts)."""


@dataclass(frozen=True)
class Settings:
    """How to restore: ``databases`` of the backup (None: all of them), one of them under another name with ``target``;
    ``shared`` is whether what belongs to none of them is restored first. See Choice for what may be replaced."""

    login: Login = field(default_factory=Login)
    databases: Sequence[str] | None = None
    target: str | None = None
    shared: bool = False
    choice: Choice = field(default_factory=Choice)
    decryption: Decryption | None = None
    stall_timeout: float = 600
    lock_timeout: float = 0
    check: bool = False


@dataclass
class Result:
    """Which backup was restored, by its ``manifest``, and what became of each database."""

    manifest: dict[str, Any]
    pairs: list[Pair]
    warnings: list[str]
    seconds: float = 0


def restore(
    client: Client,
    repository: Repository,
    container: str,
    *,
    host: str,
    source: str | None = None,
    backup: str = LATEST,
    before: datetime | None = None,
    settings: Settings,
) -> Result:
    """Restore a backup of the databases in the container ``source`` (None: the same) into those of ``container``.

    Raise DrydockError, with the databases as they were, if anything is in the way, is damaged or fails.
    """
    began = time.monotonic()
    volumes.require_local(client)
    folder = names.folder(names.DATABASE + (source or container))
    names.path_component("host", host)
    repository.require_there()
    manifest, warnings = choose(repository, host, folder, backup, before)
    engine = manifest["database"]["engine"]
    if engine not in RESTORERS:
        raise UsageError(
            f"backup {manifest['id']} is one of {engine}; this version restores {' and '.join(RESTORERS)}; {UNTOUCHED}"
        )
    pairs, shared = _pairs(manifest, settings)
    path = repository.archive(manifest)
    with repository.stored(manifest) as stored, contextlib.ExitStack() as stack:
        stack.enter_context(_explained(container))
        found = server.find(client, container, settings.login, settings.stall_timeout, _nothing)
        if not settings.check:
            stack.enter_context(_lock(found, settings.lock_timeout))
        restorer = RESTORERS[engine](found, settings.choice)
        restorer.look(pairs)
        archive = _Archive(stored, path, manifest, settings, stack)
        archive.verify()
        archive.through(restorer.examine)
        if not settings.check:
            if shared:
                archive.through(lambda dump: restorer.share(dump) if dump.database is None else None)
            warnings = warnings + restorer.restore(pairs, archive.through)
    return Result(manifest, pairs, warnings, round(time.monotonic() - began, 3))


def _pairs(manifest: dict[str, Any], settings: Settings) -> tuple[list[Pair], bool]:
    """The dumps to restore and their targets, and whether there is what the databases share to restore."""
    dumps = {dump.database: dump for dump in map(server.dump, manifest["database"]["dumps"])}
    there = [name for name in dumps if name is not None]
    missing = [name for name in settings.databases or () if name not in there]
    if missing:
        raise UsageError(
            f"backup {manifest['id']} has no database {missing[0]!r}; it has {', '.join(there)}; {UNTOUCHED}"
        )
    wanted = there if settings.databases is None else list(dict.fromkeys(settings.databases))
    if settings.target is not None and len(wanted) != 1:
        raise UsageError(f"target is for one database, not for {len(wanted)}; say in databases which; {UNTOUCHED}")
    if settings.shared and None not in dumps:
        raise UsageError(f"backup {manifest['id']} has no dump of what its databases share; leave globals out")
    extra = manifest["database"].get("character_sets") or {}
    pairs = [Pair(dumps[name], name, settings.target or name, tuple(extra.get(name) or ())) for name in wanted]
    return pairs, settings.shared


class _Archive:
    """The archive of a backup, read as often as it takes."""

    def __init__(
        self,
        source: Stored,
        path: str,
        manifest: dict[str, Any],
        settings: Settings,
        stack: contextlib.ExitStack,
    ) -> None:
        """Find all that it takes to read it: programs and keys. Raise DrydockError if something isn't there."""
        self._source = source
        self._path = path
        self._stored = manifest["archive"]
        self._stall_timeout = settings.stall_timeout
        self._dumps = [server.dump(record) for record in manifest["database"]["dumps"]]
        cipher = self._stored.get("encryption")
        head = source.head() if cipher else b""
        decryptor = stack.enter_context(encryption.decryptor(settings.decryption, cipher, head))
        filters = [*decryptor, *codecs.codec(self._stored["compression"]).decompressor()]
        self._filters = filters or [pipeline.Stage("cat", (tools.need("cat", "coreutils"),))]

    def verify(self) -> None:
        """Raise IntegrityError unless the archive is byte for byte what was stored."""
        try:
            verification.archive_readable(
                self._source,
                sha256=self._stored["sha256"],
                size=self._stored["bytes"],
                entries=0,
                filters=None,
                tar="",
            )
        except IntegrityError as error:
            raise IntegrityError(f"{self._path}: {error}; restore another backup") from error

    def through(self, take: Take) -> None:
        """Read all of it, and give each dump to what ``take`` returns for it (None: to nobody)."""
        receiver = _Receiver(take)
        reader = Reader(self._dumps, receiver)
        with receiver:
            with self._source.reading() as source:
                outcomes = pipeline.run(
                    self._filters, source=source, sink=reader.write, stall_timeout=self._stall_timeout
                )
            bad = pipeline.failed(outcomes)
            if bad is not None:
                raise PipelineError(f"{self._path}: {bad}")
            reader.close()


class _Receiver(contextlib.AbstractContextManager["_Receiver"]):
    """Gives each dump to its taker."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._taker: Check | None = None
        self._stack = contextlib.ExitStack()

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def begin(self, dump: Dump) -> None:
        """A dump begins."""
        context = self._take(dump)
        self._taker = None if context is None else self._stack.enter_context(context)

    def write(self, data: memoryview) -> None:
        """More of it."""
        if self._taker is not None:
            self._taker.write(data)

    def end(self) -> None:
        """It was whole."""
        if self._taker is not None:
            self._taker.finish()
        self._stack.close()
        self._taker = None


@contextlib.contextmanager
def _lock(found: Server, timeout: float) -> Iterator[None]:
    """Keep other restores of this host out of the server: one removes what others that died have left."""
    parent = os.path.join(journal.STATE, "databases")
    folder = os.path.join(parent, found.container)
    try:
        os.makedirs(journal.STATE, mode=0o700, exist_ok=True)
        for path in (parent, folder):
            publication.make_directory(path)
        descriptor = publication.lock(folder, timeout)
    except OSError as error:
        raise DatabaseError(f"{folder} can't be locked: {reason(error)}") from error
    except RepositoryError as error:
        raise DatabaseError(
            "another run restores into this server right now; wait for it, or give a longer lock_timeout"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _explained(container: str) -> Iterator[None]:
    """Say in every error which server it is about, and what is left."""
    try:
        yield
    except (
        DatabaseError,
        ContainerError,
        IntegrityError,
        PipelineError,
        DaemonError,
        RepositoryError,
        UsageError,
    ) as error:
        raise type(error)(f"databases in container {container}: {error}; {UNTOUCHED}") from error


def _nothing() -> None:
    """Have no reason to stop."""
