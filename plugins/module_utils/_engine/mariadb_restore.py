# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore into MariaDB: into databases that aren't there or are empty, so that a failure leaves nothing behind.

A database can't be renamed there, and what defines tables can't be rolled back. So what holds something is never
replaced; and as long as a database holds a part of a dump, it has a table that says so.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence

from . import points
from .dumps import Dump
from .errors import ContainerError, DaemonError, DatabaseError, DrydockError, UsageError
from .mariadb import MARK, MariaDB, identifier, literal
from .restoring import ABSENT, EMPTY, PART, Choice, Pair
from .server import Check, Server, Through

_CONTENTS = """\
SELECT (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {0})
     + (SELECT COUNT(*) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = {0})
     + (SELECT COUNT(*) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = {0});
SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = {0} AND TABLE_NAME = {1};
SELECT HEX(DEFAULT_CHARACTER_SET_NAME), HEX(DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA
WHERE SCHEMA_NAME = {0};
"""
_REMEDY = "restore into a server of its own (source_container), or drop the old one first"
_SYSTEM = {"information_schema", "mysql", "performance_schema", "sys"}


class MariaDBRestorer:
    """The server, for a restore."""

    def __init__(self, server: Server, choice: Choice) -> None:
        self._server = server
        self._choice = choice
        self._mariadb = MariaDB(server)
        self._begun: list[Pair] = []
        self._before: dict[str, tuple[str, ...]] = {}

    def look(self, pairs: Sequence[Pair]) -> None:
        """See what is in the way of each, and note its state. Raise DatabaseError for what isn't allowed."""
        if self._choice.when_not_empty == "replace":
            raise UsageError(
                "when_not_empty: replace isn't for MariaDB, where no database can take another one's place at one "
                f"instant; {_REMEDY}"
            )
        for pair in pairs:
            if pair.target != pair.database:
                raise UsageError(
                    "target isn't for MariaDB, whose dumps may name the database that they are of in triggers, and "
                    f"would change that one; {_REMEDY}"
                )
            if pair.target.lower() in _SYSTEM:
                raise DatabaseError(f"database {pair.target} is the server's own; choose another target")
            rows = self._mariadb.query(_CONTENTS.format(literal(pair.target), literal(MARK)))
            (contents,), (marked,), *there = rows
            if not there:
                continue
            pair.was = PART if marked != "0" else EMPTY
            self._before[pair.target] = tuple(bytes.fromhex(value).decode() for value in there[0])
            if contents != "0" and marked == "0":
                raise DatabaseError(f"database {pair.target} holds something; {_REMEDY}")

    def examine(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """The last line tells."""
        return self._mariadb.check(dump.file, dump.database)

    def share(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """Accounts that aren't there are made; all get the rights that they had."""
        return _Load(self._server, dump.file, self._mariadb.shell())

    def restore(
        self,
        pairs: Sequence[Pair],
        through: Callable[[Callable[[Dump], contextlib.AbstractContextManager[Check] | None]], None],
    ) -> list[str]:
        """Restore all of them or, with an error, none; return warnings."""
        self.look(pairs)  # the check of the dumps may have taken hours
        by_file = {pair.dump.file: pair for pair in pairs}
        try:
            through(lambda dump: self._load(by_file[dump.file]) if dump.file in by_file else None)
            points.reached("database-loaded")
            # all of them are whole by now; one that keeps its mark, because we are killed, is restored anew
            marks = ", ".join(f"{identifier(pair.target)}.{identifier(MARK)}" for pair in pairs)
            self._mariadb.query(f"DROP TABLE {marks};")
        except BaseException as error:
            left = self._undo()
            if left and isinstance(error, DrydockError):
                raise type(error)(f"{error}; {'; '.join(left)}") from error
            raise
        return []

    def _load(self, pair: Pair) -> contextlib.AbstractContextManager[Check]:
        """Make the database, or take the empty one, mark it, and load it."""
        name, how = identifier(pair.target), _how(pair.extra)
        made = {
            ABSENT: f"CREATE DATABASE {name}{how};",
            PART: f"DROP DATABASE {name}; CREATE DATABASE {name}{how};",
            EMPTY: f"ALTER DATABASE {name}{how};" if how else "",
        }
        self._mariadb.query(f"{made[pair.was]} CREATE TABLE {name}.{identifier(MARK)} (n integer);")
        self._begun.append(pair)
        return _Load(self._server, pair.dump.file, self._mariadb.shell(f"--database={pair.target}"))

    def _undo(self) -> list[str]:
        """Leave the databases as they were, absent or empty, and return what went wrong."""
        problems = []
        for pair in self._begun:
            name = identifier(pair.target)
            before = self._before.get(pair.target)
            again = f" CREATE DATABASE {name}{_how(before)};" if before is not None else ""
            try:
                self._mariadb.query(f"DROP DATABASE IF EXISTS {name};{again}")
            except (DatabaseError, ContainerError, DaemonError) as error:
                problems.append(
                    f"database {pair.target} holds a part of the backup and couldn't be dropped: {error}; the next "
                    "restore does it"
                )
        return problems


class _Load(Through):
    """A dump on its way into a database."""

    def finish(self) -> None:
        """Raise DatabaseError unless all of it is in."""
        ended = self._execution.wait()
        if ended.status != 0:
            raise DatabaseError(f"{self._file} can't be restored: {ended}")


def _how(facts: Sequence[str]) -> str:
    """The part of a statement that says a database's character set and collation; both are words."""
    if len(facts) != 2 or not all(fact.replace("_", "").isalnum() for fact in facts):
        return ""
    return f" CHARACTER SET {facts[0]} COLLATE {facts[1]}"
