# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back databases up: dump each one through its own client, check every dump, and publish them if all are whole."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import codecs, encryption, expiry, names, pipeline, points, server, tools, verification, volumes
from .client import Client
from .codecs import Codec
from .copies import Copy, bring, require_apart
from .dumps import Dump, Writer
from .encryption import Decryption, Encryption
from .errors import (
    ContainerError,
    DaemonError,
    DatabaseError,
    IntegrityError,
    PipelineError,
    RepositoryError,
    UsageError,
)
from .manifest import DATABASE, FORMAT
from .mariadb import MariaDB
from .postgresql import PostgreSQL
from .publication import free_id
from .repositories import Publishing, Repository
from .retention import Policy
from .server import Dialect, Login, Server
from .version import VERSION

#: The databases that can be backed up, by the names of their engines.
DIALECTS: dict[str, Callable[[Server], Dialect]] = {"postgresql": PostgreSQL, "mariadb": MariaDB}
#: How an archive can be proven besides: not, or by reading it back from the disk.
METHODS = ("none", "archive")


@dataclass(frozen=True)
class Settings:
    """How to back up: see backup.Settings for what isn't said here.

    ``engine`` is one of DIALECTS (None: as the container's image tells), ``databases`` the names of those to dump
    (None: all), ``shared`` whether what belongs to none of them (roles, accounts) is dumped too.
    """

    login: Login = field(default_factory=Login)
    engine: str | None = None
    databases: Sequence[str] | None = None
    shared: bool = True
    compression: str = "zstd"
    compression_level: int | None = None
    encryption: Encryption | None = None
    decryption: Decryption | None = None
    retention: Policy = field(default_factory=Policy)
    copies: Sequence[Copy] = ()
    verify: str = "none"
    lock_timeout: float = 0
    stall_timeout: float = 600
    require_mounted: bool = False


@dataclass
class Result:
    """What was done: the ``manifest``, with ``path`` (None in check mode) and ``seconds`` added; the identifiers of the
    backups that were there before; what the policy let go (expiry.expire); and what went wrong once the backup was
    there. The rest says the same of the copies: see job.Result, with the backups' folder in place of a volume."""

    manifest: dict[str, Any]
    earlier: list[str]
    warnings: list[str]
    expired: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    copies: list[dict[str, Any]] = field(default_factory=list)
    copies_expired: list[dict[str, Any]] = field(default_factory=list)
    copied_before: dict[str, dict[str, list[str]]] = field(default_factory=dict)


def backup(client: Client, repository: Repository, container: str, *, host: str, settings: Settings) -> Result:
    """Back the databases in a running container up, under ``host``. Raise DrydockError, with nothing added, if a dump
    fails or isn't whole.

    With a read-only repository (check mode) the server is asked what it has, and nothing is dumped or written.
    """
    began = time.monotonic()
    volumes.require_local(client)
    names.path_component("host", host)
    folder = names.folder(names.DATABASE + container)
    require_apart(repository, settings.copies)
    codec = codecs.codec(settings.compression)
    filters = [
        *codec.compressor(settings.compression_level),
        *([settings.encryption.stage] if settings.encryption else []),
    ]
    if settings.require_mounted:
        repository.require_mounted()
    warnings = []
    if not repository.check():
        what = "would be" if repository.read_only else "is"
        warnings.append(f"repository {repository.root} doesn't exist yet and {what} created")
    gone = threading.Event()
    found = server.find(client, container, settings.login, settings.stall_timeout, _stop(gone))
    with _explained(container):
        engine, dialect = speak(found, settings.engine)
        version = dialect.version()
        databases = wanted(dialect, settings.databases)
        warnings += [f"container {container}: {warning}" for warning in dialect.warnings(databases)]
        details = dialect.details(databases)
    earlier, problems = repository.backups(host, folder)
    started = names.utc_now()
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "id": None,
        "host": host,
        "kind": DATABASE,
        "database": {
            "engine": engine,
            "version": version,
            "container": found.container,
            "image": found.image,
            "databases": databases,
            "dumps": [],
            **details,
        },
        "archive": {
            "file": None,
            "bytes": None,
            "sha256": None,
            "compression": codec.name,
            "encryption": settings.encryption.record() if settings.encryption else None,
        },
        "content": {"bytes": 0, "entries": 0, "fingerprint": None, "changed_while_read": []},
        "verification": {"method": settings.verify},
        "started_at": names.iso(started),
        "finished_at": names.iso(started),
        "engine": {"docker": client.version, "drydock": VERSION},
    }
    result = Result(manifest, [one["id"] for one in earlier], warnings + problems)
    path = None
    if not repository.read_only:
        extension = codec.extension + (settings.encryption.extension if settings.encryption else "")
        with repository.begin(host, folder, extension, started, settings.lock_timeout) as publication:
            with _explained(container):
                job = _Job(dialect, found, databases, settings, started, gone)
                job.store(publication, filters or [_plain()])
                _note(manifest, publication, job)
                manifest["verification"] = _verified(publication, manifest, codec, settings)
            points.reached("archived")
            path = publication.publish(manifest)
    result.manifest = {**manifest, "path": path, "seconds": round(time.monotonic() - began, 3)}
    planned = None if path else free_id(result.earlier, names.stamp(started))
    bring(
        repository,
        settings.copies,
        host,
        {folder: planned},
        result,
        lock_timeout=settings.lock_timeout,
        proceed=lambda: None,
    )
    try:
        result.expired = expiry.expire(
            repository,
            host,
            folder,
            settings.retention,
            names.utc_now(),
            planned=[planned] if planned else [],
            added=f"databases in container {container}: backup {manifest['id']}" if path else None,
            lock_timeout=settings.lock_timeout,
        )
    except RepositoryError as error:
        if path is None:
            raise
        result.failures.append({"volume": folder, "error": str(error)})
    return result


def speak(found: Server, engine: str | None) -> tuple[str, Dialect]:
    """The server's engine, and how to speak to it. Raise UsageError for an unknown one, or one that nothing tells."""
    engine = engine or server.engine(found.image, found.variables)
    if engine not in DIALECTS:
        raise UsageError(f"unknown engine {engine!r}; this version knows {', '.join(DIALECTS)}")
    return engine, DIALECTS[engine](found)


def wanted(dialect: Dialect, databases: Sequence[str] | None) -> list[str]:
    """The databases to dump. Raise DatabaseError if one isn't there, or there are none."""
    there = dialect.databases()
    missing = [name for name in databases or () if name not in there]
    if missing:
        raise DatabaseError(f"there is no database {missing[0]!r}; there are: {', '.join(there) or 'none'}")
    names_wanted = list(dict.fromkeys(databases)) if databases is not None else there
    if not names_wanted:
        raise DatabaseError("there is no database to dump")
    return names_wanted


class _Job:
    """The dumps of one server on their way into an archive, by a thread beside the one that stores it."""

    def __init__(
        self,
        dialect: Dialect,
        found: Server,
        databases: list[str],
        settings: Settings,
        started: datetime,
        gone: threading.Event,
    ) -> None:
        self.dumps: list[Dump] = []
        self.entries = 0
        self._dialect = dialect
        self._server = found
        self._sources = dialect.sources(databases, shared=settings.shared)
        self._stall_timeout = settings.stall_timeout
        self._started = started
        self._gone = gone
        self._error: BaseException | None = None

    def store(self, publication: Publishing, filters: Sequence[pipeline.Stage]) -> None:
        """Send the dumps through the pipe. Raise DrydockError unless all of them are whole and arrived."""
        read, write = os.pipe()
        thread = threading.Thread(target=self._feed, args=(write,), name="dump")
        thread.start()
        try:
            outcomes = pipeline.run(filters, source=read, sink=publication.write)
        finally:
            # Nobody reads any more: a writer that waits for that is let go, and one that waits for the server too.
            self._gone.set()
            os.close(read)
            thread.join()
        bad = pipeline.failed(outcomes)
        if self._error is not None and (bad is None or not isinstance(self._error, (_GoneError, BrokenPipeError))):
            raise self._error
        if bad is not None:
            raise PipelineError(str(bad))

    def _feed(self, write: int) -> None:
        """Dump one database after the other. Whatever happens, the pipe has an end."""
        try:
            with open(write, "wb", buffering=0) as file:
                writer = Writer(lambda data: _write_all(file.fileno(), data), self._started)
                for source in self._sources:
                    self._dump(source, writer)
                writer.close()
                self.entries = writer.entries
        except BaseException as error:  # noqa: BLE001 it is raised where the thread is waited for
            self._error = error

    def _dump(self, source: server.Source, writer: Writer) -> None:
        writer.begin(source.file)
        with self._dialect.check(source.file, source.database) as check:

            def sink(data: memoryview) -> None:
                check.write(data)
                writer.write(data)

            with self._server.start(source.command, sink) as execution:
                ended = execution.wait()
            if ended.status != 0:
                what = "what the databases share" if source.database is None else f"database {source.database}"
                raise DatabaseError(f"the dump of {what} failed: {ended}")
            check.finish()
        self.dumps.append(writer.end(source.database))


class _GoneError(ContainerError):
    """Nobody wants the dump any more."""


def _stop(gone: threading.Event) -> Callable[[], None]:
    def proceed() -> None:
        if gone.is_set():
            raise _GoneError("the dump was ended")

    return proceed


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def _plain() -> pipeline.Stage:
    """The stage that passes on what is neither compressed nor encrypted."""
    return pipeline.Stage("cat", (tools.need("cat", "coreutils"),))


def _note(manifest: dict[str, Any], publication: Publishing, job: _Job) -> None:
    """Add to the manifest what is known now."""
    manifest["id"] = publication.id
    manifest["archive"].update(file=publication.file, bytes=publication.size, sha256=publication.sha256)
    manifest["content"].update(bytes=sum(dump.bytes for dump in job.dumps), entries=job.entries)
    manifest["database"]["dumps"] = [dump.record() for dump in job.dumps]
    manifest["finished_at"] = names.iso(names.utc_now())


def _verified(publication: Publishing, manifest: dict[str, Any], codec: Codec, settings: Settings) -> dict[str, Any]:
    """Read the archive back if that is asked for, and return what the manifest says of it: that every dump was whole
    goes without saying."""
    how = publication.arrived()
    upload = {"upload": how} if how else {}
    if settings.verify == "none":
        return {"method": "none", **upload}
    began = time.monotonic()
    stored = manifest["archive"]
    with publication.reading() as read, contextlib.ExitStack() as stack:
        filters = None
        if settings.encryption is None or settings.decryption is not None:
            decryptor = encryption.decryptor(settings.decryption, stored["encryption"], read.head())
            filters = [*stack.enter_context(decryptor), *codec.decompressor()]
        verification.archive_readable(
            read,
            sha256=stored["sha256"],
            size=stored["bytes"],
            entries=manifest["content"]["entries"],
            filters=filters,
            tar=tools.gnu_tar()[0],
        )
    method = "checksum" if filters is None else "archive"
    return {"method": method, "seconds": round(time.monotonic() - began, 3), **upload}


@contextlib.contextmanager
def _explained(container: str) -> Iterator[None]:
    """Say in every error which server it is about, and what is left."""
    try:
        yield
    except (ContainerError, DaemonError, DatabaseError, IntegrityError, PipelineError) as error:
        raise type(error)(
            f"databases in container {container}: {error}; nothing was added to the repository"
        ) from error
