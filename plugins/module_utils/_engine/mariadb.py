# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MariaDB: a dump of each database as SQL, and one of the accounts."""

from __future__ import annotations

import contextlib
from typing import Any

from .dumps import file_name
from .errors import DatabaseError
from .execution import SECRET, Command
from .server import Check, LastLine, Server, Source

#: The file of accounts and their rights.
SHARED = "globals.sql"
#: The table that a database has for as long as a restore fills it.
MARK = "__drydock_restoring"

_COMPLETE = "-- Dump completed"
_NAMES = """\
SELECT HEX(SCHEMA_NAME),
       HEX(CONCAT((SELECT COUNT(*) FROM information_schema.TABLES
                   WHERE TABLE_SCHEMA = SCHEMA_NAME AND TABLE_NAME = '__drydock_restoring')))
FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME NOT IN ('information_schema', 'mysql', 'performance_schema', 'sys')
ORDER BY SCHEMA_NAME;
"""
_CHARACTER_SETS = """\
SELECT HEX(SCHEMA_NAME), HEX(DEFAULT_CHARACTER_SET_NAME), HEX(DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA;
"""
_OTHER_ENGINES = """\
SELECT HEX(t.TABLE_SCHEMA), HEX(t.TABLE_NAME)
FROM information_schema.TABLES t JOIN information_schema.ENGINES e ON e.ENGINE = t.ENGINE
WHERE t.TABLE_TYPE = 'BASE TABLE' AND e.TRANSACTIONS <> 'YES'
ORDER BY t.TABLE_SCHEMA, t.TABLE_NAME;
"""
# All that is in a database; what must be told, since some servers are configured otherwise, comes first. Without
# comments there would be no last line.
_DUMP = (
    "--comments",
    "--quick",
    "--single-transaction",
    "--routines",
    "--events",
    "--triggers",
    "--hex-blob",
    "--default-character-set=utf8mb4",
)


class MariaDB:
    """The server, for a dump."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.name = server.login.name or "root"

    def version(self) -> str:
        """The server's version. Raise DatabaseError for MySQL, whose dumps and restores nobody has tried."""
        version = self.query("SELECT VERSION();")[0][0]
        if "mariadb" not in version.lower():
            raise DatabaseError(f"it is no MariaDB but {version}; back its volume up with quiesce: stop")
        return version

    def databases(self) -> list[str]:
        """The names of the databases that aren't the server's own. Raise DatabaseError for half a restored one."""
        rows = self.query(_NAMES, encoded=True)
        half = [name for name, marks in rows if marks != "0"]
        if half:
            raise DatabaseError(
                f"database {half[0]} holds a part of a restore that was interrupted; restore it again, or drop it"
            )
        return [name for name, _marks in rows]

    def sources(self, databases: list[str], *, shared: bool) -> list[Source]:
        """The dumps to make. They don't say which database they are of, so that they fit into any."""
        accounts = self.client(("mariadb-dump", "mysqldump"), "--comments", "--system=users", "--insert-ignore")
        return [
            *([Source(SHARED, None, accounts)] if shared else []),
            *(
                Source(
                    file_name(name, number, ".sql"),
                    name,
                    self.client(("mariadb-dump", "mysqldump"), *_DUMP, "--", name),
                )
                for number, name in enumerate(databases, start=1)
            ),
        ]

    def check(self, file: str, _database: str | None) -> contextlib.AbstractContextManager[Check]:
        """The last line tells."""
        return LastLine(file, _COMPLETE)

    def details(self, databases: list[str]) -> dict[str, Any]:
        """The databases' own character sets and collations, which the dumps don't say."""
        rows = self.query(_CHARACTER_SETS, encoded=True)
        return {
            "character_sets": {name: [charset, collation] for name, charset, collation in rows if name in databases}
        }

    def warnings(self, databases: list[str]) -> list[str]:
        """Tables whose engine has no transactions aren't of one instant; and a database may be half a restore's."""
        rows = self.query(_OTHER_ENGINES, encoded=True)
        found = [f"{name}.{table}" for name, table in rows if name in databases]
        if not found:
            return []
        some = f"{', '.join(found[:5])}{', …' if len(found) > 5 else ''}"
        told = f"{len(found)} table(s) ({some}) have an engine without transactions, and may hold what was written "
        return [told + "while they were read; InnoDB's are of one instant"]

    def client(self, programs: tuple[str, ...], *arguments: str) -> Command:
        """A command that logs in."""
        login = self.server.login
        secret: tuple[str, ...] = ()
        first: list[str] = []
        if login.password is not None:
            # the option must be the first one; in its file a backslash and a quote need a backslash
            escaped = login.password.replace("\\", "\\\\").replace('"', '\\"')
            secret, first = ("[client]", f'password="{escaped}"'), [f"--defaults-extra-file={SECRET}"]
        place = [f"--socket={login.socket}"] if login.socket else []
        return Command(programs, (*first, f"--user={self.name}", *place, *arguments), secret)

    def shell(self, *arguments: str) -> Command:
        """The command that runs the statements it reads, up to the first that fails."""
        return self.client(
            ("mariadb", "mysql"),
            "--batch",
            "--skip-column-names",
            "--skip-force",
            "--default-character-set=utf8mb4",
            *arguments,
        )

    def query(self, sql: str, *, encoded: bool = False) -> list[list[str]]:
        """Run statements, and return the columns of the answers' rows, in hexadecimal if they are ``encoded``."""
        rows = [line.split("\t") for line in self.server.answer(self.shell(), sql).splitlines()]
        return [[bytes.fromhex(value).decode() for value in row] for row in rows] if encoded else rows


def identifier(name: str) -> str:
    """A name in SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A string in SQL, in hexadecimal, so that nothing in it counts."""
    return f"CONVERT(0x{text.encode().hex()} USING utf8mb4)" if text else "''"
