# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: a dump of each database in the custom format, and one of what they share."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Any

from .dumps import file_name
from .execution import SECRET, Command
from .server import Check, LastLine, Server, Source, Through

#: The file of roles and tablespaces; no database's file has this extension.
SHARED = "globals.sql"
#: What the names of databases begin with that a restore makes, and removes.
OURS = "__drydock_"

# 15.20 writes \unrestrict after it, so it isn't the last line.
_COMPLETE = "-- PostgreSQL database cluster dump complete"
_NAMES = """\
SELECT datname FROM pg_catalog.pg_database WHERE datallowconn AND NOT datistemplate ORDER BY datname;
"""
_CLOSED = """\
SELECT datname FROM pg_catalog.pg_database WHERE NOT datallowconn AND NOT datistemplate ORDER BY datname;
"""


class PostgreSQL:
    """The server, for a dump."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = server.login.name or server.variables.get("POSTGRES_USER") or "postgres"

    def version(self) -> str:
        """The server's version."""
        return self.query("SHOW server_version;")[0]

    def databases(self) -> list[str]:
        """The names of the databases that can be dumped: templates, and what restores have left, are none."""
        return self._named(_NAMES)

    def sources(self, databases: list[str], *, shared: bool) -> list[Source]:
        """The dumps to make. They aren't compressed: that is done once, for all of them."""
        globals_only = self.client("pg_dumpall", "--globals-only", "--database=postgres")
        return [
            *([Source(SHARED, None, globals_only)] if shared else []),
            *(
                Source(
                    file_name(name, number, ".dump"),
                    name,
                    self.client("pg_dump", "--format=custom", "--compress=0", f"--dbname={conninfo(name)}"),
                )
                for number, name in enumerate(databases, start=1)
            ),
        ]

    def check(self, file: str, database: str | None) -> contextlib.AbstractContextManager[Check]:
        """The server's own reader reads all of a dump; text must have its last line."""
        if database is None:
            return LastLine(file, _COMPLETE)
        return Through(self.server, file, Command(("pg_restore",), ("--file=/dev/null",)))

    def details(self, _databases: list[str]) -> dict[str, Any]:
        """The dumps say all."""
        return {}

    def warnings(self, databases: list[str]) -> list[str]:
        """What can't be dumped, where all was asked for. Each dump is of one instant."""
        if set(databases) != set(self.databases()):
            return []
        return [
            f"database {name} is left out, as it takes no connections; have it take some (ALTER DATABASE … WITH "
            "ALLOW_CONNECTIONS true), or drop it"
            for name in self._named(_CLOSED)
        ]

    def _named(self, sql: str) -> list[str]:
        return [name for name in self.query(sql) if not name.startswith(OURS)]

    def client(self, program: str, *arguments: str) -> Command:
        """A command that logs in."""
        login = self.server.login
        secret: tuple[str, ...] = ()
        exports = {"LC_ALL": "C"}  # its own words in English; those of the server are in the server's language
        if login.password is not None:
            escaped = login.password.replace("\\", "\\\\").replace(":", "\\:")
            secret, exports["PGPASSFILE"] = (f"*:*:*:*:{escaped}",), SECRET
        place = [f"--host={login.socket}"] if login.socket else []
        return Command((program,), ("--no-password", f"--username={self.name}", *place, *arguments), secret, exports)

    def query(self, sql: str, database: str = "postgres") -> list[str]:
        """Run statements, and return the rows of the answers. Raise DatabaseError with the server's words."""
        answer = self.server.answer(self.psql(database), sql)
        return answer.split("\0")[:-1]

    def psql(self, database: str, *arguments: str) -> Command:
        """The command that runs the statements it reads, up to the first that fails."""
        plain = (
            "--set=ON_ERROR_STOP=1",
            "--no-psqlrc",
            "--quiet",
            "--tuples-only",
            "--no-align",
            "--record-separator-zero",
        )
        command = self.client("psql", *plain, f"--dbname={conninfo(database)}", *arguments, "--file=-")
        return replace(command, exports={**command.exports, "PGCLIENTENCODING": "UTF8"})


def conninfo(database: str) -> str:
    """How libpq's programs are told the name of a database, whatever is in it."""
    escaped = database.replace("\\", "\\\\").replace("'", "\\'")
    return f"dbname='{escaped}'"


def identifier(name: str) -> str:
    """A name in SQL."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A string in SQL, with standard_conforming_strings."""
    return "'" + text.replace("'", "''") + "'"
