# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The database server in a running container, as its own clients there speak to it: the host needs none."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import keys
from .client import Client
from .dumps import Dump
from .errors import ContainerError, DatabaseError, IntegrityError, UsageError
from .execution import Command, Ended, Execution

# What the names of images, and the variables that the official images set, tell about what is in them.
_IMAGES = (
    ("postgresql", re.compile(r"postg(?:res|is)|timescale|pgvector"), {"PG_MAJOR", "PG_VERSION"}),
    ("mariadb", re.compile(r"mariadb"), {"MARIADB_VERSION"}),
)
# Bytes at the end of a dump in which its last line is.
_TAIL = 4096


@dataclass(frozen=True)
class Login:
    """How to log in: as ``user`` of the container (None: its own), as ``name`` in the database (None: its usual
    administrator), with ``password``, by the ``socket`` (None: the usual one)."""

    user: str | None = None
    name: str | None = None
    password: str | None = field(default=None, repr=False)
    socket: str | None = None

    @classmethod
    def parse(
        cls, *, user: str | None, login_user: str | None, password_file: str | None, login_unix_socket: str | None
    ) -> Login:
        """Read a module's options. Raise UsageError for a password file that is missing, or that others can read."""
        password = None
        if password_file is not None:
            first, _end, rest = keys.secret_file("password_file", password_file).partition(b"\n")
            try:
                password = first.rstrip(b"\r").decode()
            except UnicodeDecodeError as error:
                raise UsageError(f"password_file {password_file} is not UTF-8") from error
            if not password or rest.strip() or "\0" in password:
                raise UsageError(f"password_file {password_file} must hold the password in its only line")
        return cls(user, login_user, password, login_unix_socket)


class Check(Protocol):
    """What a dump goes through while it is written or read."""

    def write(self, data: memoryview) -> object:
        """Take more of it."""

    def finish(self) -> object:
        """Raise IntegrityError unless it was whole."""


class Server:
    """The server in the container with these ``facts``. Waits end as Execution says."""

    def __init__(
        self,
        client: Client,
        facts: Mapping[str, Any],
        login: Login,
        stall_timeout: float,
        proceed: Callable[[], object],
    ) -> None:
        self.login = login
        self.container = str(facts["Name"]).lstrip("/")
        self.identifier = str(facts["Id"])
        self.image = str(facts["Config"]["Image"])
        self.variables = _variables(facts)
        self._client = client
        self._stall_timeout = stall_timeout
        self._proceed = proceed

    def start(self, command: Command, sink: Callable[[memoryview], object] | None = None) -> Execution:
        """Start a command in the container."""
        return Execution(
            self._client,
            self.identifier,
            command,
            user=self.login.user,
            sink=sink,
            stall_timeout=self._stall_timeout,
            proceed=self._proceed,
        )

    def run(self, command: Command, data: str = "", sink: Callable[[memoryview], object] | None = None) -> Ended:
        """Run a command with ``data`` as its input, and return how it ended."""
        with self.start(command, sink) as execution:
            execution.write(memoryview(data.encode("utf-8", "surrogateescape")))
            return execution.wait()

    def answer(self, command: Command, data: str = "") -> str:
        """What a command prints, in UTF-8. Raise DatabaseError unless it exits 0."""
        printed = bytearray()
        ended = self.run(command, data, printed.extend)
        if ended.status != 0:
            raise DatabaseError(str(ended))
        try:
            return printed.decode()
        except UnicodeDecodeError as error:
            raise DatabaseError(f"{command.programs[0]} printed a name that is no UTF-8; rename what has it") from error


class LastLine(contextlib.AbstractContextManager["LastLine"]):
    """A dump of text is whole if near its end there is a line that begins with ``words``."""

    def __init__(self, file: str, words: str) -> None:
        self._file = file
        self._words = words
        self._tail = bytearray()

    def __exit__(self, *_error: object) -> None:
        pass

    def write(self, data: memoryview) -> None:
        """Take more of it."""
        self._tail += data[-_TAIL:]
        del self._tail[:-_TAIL]

    def finish(self) -> None:
        """Raise IntegrityError unless it was whole."""
        if f"\n{self._words}".encode() not in self._tail:
            raise IntegrityError(f"{self._file} is not whole: the line {self._words!r} is missing at its end")


class Through(contextlib.AbstractContextManager["Through"]):
    """A dump is whole if a command that reads it exits 0. ``sink`` is called with what the command prints."""

    def __init__(
        self, server: Server, file: str, command: Command, sink: Callable[[memoryview], object] | None = None
    ) -> None:
        self._file = file
        self._execution = server.start(command, sink)

    def __exit__(self, *error: object) -> None:
        self._execution.__exit__(*error)

    def write(self, data: memoryview) -> None:
        """Take more of it."""
        self._execution.write(data)

    def finish(self) -> None:
        """Raise IntegrityError unless it was whole."""
        ended = self._execution.wait()
        if ended.status != 0:
            raise IntegrityError(f"{self._file} is not whole: {ended}")


@dataclass(frozen=True)
class Source:
    """A dump to be made: the ``file`` that it becomes, the ``database`` that it is of, and the command that writes
    it."""

    file: str
    database: str | None
    command: Command


class Dialect(Protocol):
    """What differs between databases when they are backed up."""

    def version(self) -> str:
        """The server's version."""

    def databases(self) -> list[str]:
        """The names of the databases that can be dumped."""

    def sources(self, databases: list[str], *, shared: bool) -> list[Source]:
        """The dumps to make, with that of what the databases share (roles, accounts) if it is wanted."""

    def check(self, file: str, database: str | None) -> contextlib.AbstractContextManager[Check]:
        """What tells whether a dump is whole."""

    def details(self, databases: list[str]) -> dict[str, Any]:
        """What the manifest says besides, for the restore."""

    def warnings(self, databases: list[str]) -> list[str]:
        """What somebody should know who relies on the dumps."""


def find(client: Client, container: str, login: Login, stall_timeout: float, proceed: Callable[[], object]) -> Server:
    """The server in the container of this name. Raise ContainerError unless that runs.

    An identifier is none: backups are found by the name of their container.
    """
    facts = client.container(container)
    if facts is None:
        raise ContainerError(
            f"container {container} doesn't exist on this host; give the name of one of those that docker ps shows"
        )
    name = str(facts["Name"]).lstrip("/")
    if name != container:
        raise ContainerError(f"this is a container's identifier; give its name, {name}, by which its backups are found")
    status = facts["State"]["Status"]
    if status != "running":
        raise ContainerError(f"container {container} is {status}; a database is dumped and restored while it runs")
    return Server(client, facts, login, stall_timeout, proceed)


def engine(image: str, variables: Mapping[str, str]) -> str:
    """Which database an image holds, by its name, or by the variables that its containers have. Raise UsageError if
    neither tells, or they tell of more than one."""
    name = image.rpartition("/")[2].partition(":")[0]
    for found in (
        {engine for engine, words, _variables in _IMAGES if words.search(name)},
        {engine for engine, _words, known in _IMAGES if known & variables.keys()},
    ):
        if len(found) == 1:
            return found.pop()
    known = " or ".join(engine for engine, _words, _variables in _IMAGES)
    raise UsageError(
        f"the image {image} doesn't tell which database is in it; give engine, {known}; other databases are backed up "
        "with their volumes, by docker_volume_backup with quiesce: stop"
    )


def dump(record: Mapping[str, Any]) -> Dump:
    """A dump, as a manifest has it."""
    return Dump(record["file"], record["database"], record["bytes"], record["sha256"])


def _variables(facts: Mapping[str, Any]) -> dict[str, str]:
    """The variables that a container is started with."""
    pairs = (variable.partition("=") for variable in facts["Config"].get("Env") or [])
    return {name: value for name, _equals, value in pairs}
