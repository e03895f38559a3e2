# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore into PostgreSQL: each dump into a new database, in one transaction; then all take their names in one."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from . import points
from .dumps import Dump
from .errors import ContainerError, DaemonError, DatabaseError, DrydockError, IntegrityError
from .execution import SECRET, Command
from .postgresql import OURS, PostgreSQL, conninfo, identifier, literal
from .restoring import EMPTY, REPLACED, Choice, Pair
from .server import Check, Server, Through

# Of pg_restore's list of contents, what belongs to the database itself: "2; 1262 16384 DATABASE - shop app".
_OWN = re.compile(r"\d+; \d+ \d+ (?:DATABASE(?: PROPERTIES)? - |(?:ACL|COMMENT|SECURITY LABEL) - DATABASE )")
# psql's own commands, in what pg_restore prints.
_META = re.compile(r"^\\(?:connect|encoding|restrict|unrestrict)\b.*\n", re.MULTILINE)
# A message of psql's with nothing but its SQLSTATE: the word before that is in the server's language.
_STATE = re.compile(r":  ([0-9A-Z]{5})$")
# A role that isn't there: the SQLSTATE undefined_object of psql's, or pg_restore's words, which have none.
_ROLE = re.compile(r" 42704: |ERROR: +role .* does not exist", re.DOTALL)
# SQLSTATE of what is there already: duplicate_object.
_DUPLICATE = "42710"
# Thousands of them must not push a real error out of what is kept.
_THERE = re.compile(rb"^.*:  42710\n", re.MULTILINE)
# SQLSTATE of a database that somebody uses: object_in_use.
_IN_USE = " 55006: "
# What users make has higher numbers than what initdb makes (FirstNormalObjectId).
_CONTENTS = """\
SELECT (SELECT count(*) FROM pg_catalog.pg_class WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_proc WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_type WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_namespace WHERE oid >= 16384 AND nspname !~ '^pg_(toast_)?temp_')
     + (SELECT count(*) FROM pg_catalog.pg_extension WHERE oid >= 16384)
     + (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata);
"""
_SESSIONS = """\
SELECT datname, datallowconn,
       (SELECT count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.datname = d.datname AND a.backend_type = 'client backend' AND a.pid <> pg_backend_pid())
FROM pg_catalog.pg_database d;
"""
_DISCONNECT = """\
SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE datname = {0} AND pid <> pg_backend_pid();
"""
# How often somebody who was disconnected may have come back before we had the database for us.
_ATTEMPTS = 5


class PostgreSQLRestorer:
    """The server, for a restore."""

    def __init__(self, server: Server, choice: Choice) -> None:
        self._server = server
        self._choice = choice
        self._postgresql = PostgreSQL(server)
        self._database = "postgres"  # where our statements run: one whose name doesn't change meanwhile
        self._lists: dict[str, bytearray] = {}
        self._own: dict[str, bytearray] = {}

    def look(self, pairs: Sequence[Pair]) -> None:
        """See what is in the way of each, and note its state. Raise DatabaseError for what isn't allowed."""
        if any(pair.target == "postgres" for pair in pairs):
            self._database = "template1"
        rows = (row.rsplit("|", 2) for row in self._query(_SESSIONS))
        there = {name: (allowed == "t", int(count)) for name, allowed, count in rows}
        for pair in pairs:
            if pair.target.startswith(OURS) or pair.target in ("template0", "template1"):
                raise DatabaseError(f"database {pair.target} is no place for a restore; choose another target")
            if pair.target not in there:
                continue
            allowed, sessions = there[pair.target]
            held = not allowed or self._postgresql.query(_CONTENTS, pair.target) != ["0"]
            pair.was = REPLACED if held else EMPTY
            if held and self._choice.when_not_empty != "replace":
                raise DatabaseError(
                    f"database {pair.target} holds something; replace it with when_not_empty: replace, or restore "
                    "beside it with target"
                )
            if sessions and not self._choice.disconnect:
                raise DatabaseError(
                    f"{sessions} session(s) use database {pair.target}; stop what uses it, or end them with "
                    "disconnect: true"
                )

    def examine(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """The server's own reader reads all of a dump, and another one lists it; text must have its last line."""
        if dump.database is None:
            return self._postgresql.check(dump.file, None)
        listed = self._lists[dump.file] = bytearray()
        command = Command(("pg_restore",), ("--create", "--list"))
        return _Both(
            self._postgresql.check(dump.file, dump.database), Through(self._server, dump.file, command, listed.extend)
        )

    def share(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """Roles and tablespaces are made, and get the attributes and passwords of the backup if they are there."""
        quiet = ("--set=ON_ERROR_STOP=0", "--set=VERBOSITY=sqlstate", "--command=SET client_min_messages TO error")
        return _Globals(self._server, dump.file, replace(self._postgresql.psql(self._database, *quiet), dull=_THERE))

    def restore(
        self,
        pairs: Sequence[Pair],
        through: Callable[[Callable[[Dump], contextlib.AbstractContextManager[Check] | None]], None],
    ) -> list[str]:
        """Restore all of them or, with an error, none; return warnings."""
        warnings = self._sweep()
        by_file = {pair.dump.file: pair for pair in pairs}
        through(lambda dump: self._describe(dump) if dump.file in by_file else None)
        own = {file: self._owned(by_file[file], text) for file, text in self._own.items()}
        tag = secrets.token_hex(4)
        new = {file: f"{OURS}new_{tag}_{number}" for number, file in enumerate(by_file)}
        old = {file: f"{OURS}old_{tag}_{number}" for number, file in enumerate(by_file)}
        try:
            for file in by_file:
                self._query(f"CREATE DATABASE {identifier(new[file])} {own[file].how}")
            through(lambda dump: self._load(dump.file, new[dump.file]) if dump.file in by_file else None)
            points.reached("database-loaded")
            self.look(pairs)  # that may have taken hours
            self._exchange(pairs, new, old, own)
        except BaseException as error:
            notes = self._drop(new.values())
            if _ROLE.search(str(error)):
                notes.insert(0, "the backup's roles are made with globals: true")
            if notes and isinstance(error, DrydockError):
                raise type(error)("; ".join([str(error), *notes])) from error
            raise
        points.reached("database-exchanged")
        return warnings + self._drop(old[pair.dump.file] for pair in pairs if pair.was in (EMPTY, REPLACED))

    def _describe(self, dump: Dump) -> contextlib.AbstractContextManager[Check]:
        """What prints the statements that make the database itself."""
        lines = bytes(self._lists[dump.file]).decode("utf-8", "surrogateescape").splitlines()
        wanted = tuple(line for line in lines if _OWN.match(line))
        text = self._own[dump.file] = bytearray()
        command = Command(("pg_restore",), ("--create", f"--use-list={SECRET}", "--file=-"), secret=wanted or (";",))
        return Through(self._server, dump.file, command, text.extend)

    def _owned(self, pair: Pair, printed: bytearray) -> _Own:
        """Take apart what makes a database: how it is created, and what it gets under its name."""
        text = bytes(printed).decode("utf-8", "surrogateescape")
        name = f"(?:{re.escape(identifier(pair.database))}|{re.escape(pair.database)})"
        created = re.search(rf"^CREATE DATABASE {name} (WITH TEMPLATE = template0[^\n]*;)\n", text, re.MULTILINE)
        if created is None:
            raise IntegrityError(f"{pair.dump.file} doesn't say how its database is made; restore it by hand")
        after = _META.sub("", text[created.end() :])
        if pair.target != pair.database:
            # settings and rights name the database; its owner we can tell
            owner = re.search(rf"^ALTER DATABASE {name} OWNER TO (.*);$", after, re.MULTILINE)
            after = f"ALTER DATABASE {identifier(pair.target)} OWNER TO {owner[1]};\n" if owner else ""
        return _Own(created[1], after)

    def _load(self, file: str, database: str) -> contextlib.AbstractContextManager[Check]:
        options = ("--exit-on-error", "--single-transaction", f"--dbname={conninfo(database)}")
        return _Load(self._server, file, self._postgresql.client("pg_restore", *options))

    def _exchange(self, pairs: Sequence[Pair], new: dict[str, str], old: dict[str, str], own: dict[str, _Own]) -> None:
        """Give every database its name, at one instant: that of the server's commit."""
        replaced = [pair for pair in pairs if pair.was in (EMPTY, REPLACED)]
        statements = ["\\set VERBOSITY verbose", "BEGIN;"]  # for the SQLSTATE
        if self._choice.disconnect:
            statements += [_DISCONNECT.format(literal(pair.target)) for pair in replaced]
        statements += [_rename(pair.target, old[pair.dump.file]) for pair in replaced]
        for pair in pairs:
            file = pair.dump.file
            statements += [_rename(new[file], pair.target), own[file].after]
        statements.append("COMMIT;")
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                self._query("\n".join(statements))
            except DatabaseError as error:
                if attempt < _ATTEMPTS and self._choice.disconnect and _IN_USE in str(error):
                    continue
                raise
            return

    def _sweep(self) -> list[str]:
        """Drop what restores that died have left. The caller has the lock, so nobody else's is among it."""
        left = [name for name in self._query("SELECT datname FROM pg_catalog.pg_database;") if name.startswith(OURS)]
        problems = self._drop(left)
        return problems or ([f"{len(left)} database(s) that a restore had left were dropped"] if left else [])

    def _drop(self, names: Iterable[str]) -> list[str]:
        """Drop databases of ours, and return what went wrong."""
        problems = []
        for name in names:
            try:
                self._query(f"{_DISCONNECT.format(literal(name))} DROP DATABASE IF EXISTS {identifier(name)};")
            except (DatabaseError, ContainerError, DaemonError) as error:
                problems.append(f"database {name}, which nobody needs, couldn't be dropped: {error}")
        return problems

    def _query(self, sql: str) -> list[str]:
        return self._postgresql.query(sql, self._database)


def _rename(name: str, to: str) -> str:
    # what comes before may be in the encoding of another database
    return f"SET client_encoding = 'UTF8'; ALTER DATABASE {identifier(name)} RENAME TO {identifier(to)};"


class _Own:
    """How a database is created, and the statements that it gets under its final name."""

    def __init__(self, how: str, after: str) -> None:
        self.how = how
        self.after = after


class _Both(contextlib.AbstractContextManager["_Both"]):
    """Two checks of one dump."""

    def __init__(self, *contexts: contextlib.AbstractContextManager[Check]) -> None:
        with contextlib.ExitStack() as stack:
            self._checks = [stack.enter_context(context) for context in contexts]
            self._stack = stack.pop_all()

    def __exit__(self, *_error: object) -> None:
        self._stack.close()

    def write(self, data: memoryview) -> None:
        """Take more of it."""
        for check in self._checks:
            check.write(data)

    def finish(self) -> None:
        """Raise IntegrityError unless it was whole."""
        for check in self._checks:
            check.finish()


class _Load(Through):
    """A dump on its way into a database."""

    def finish(self) -> None:
        """Raise DatabaseError unless all of it is in."""
        ended = self._execution.wait()
        if ended.status != 0:
            raise DatabaseError(f"{self._file} can't be restored: {ended}")


class _Globals(Through):
    """Statements that make what all databases share. What is there already is no error; the server's words aren't
    passed on, as they may repeat a statement with a password."""

    def finish(self) -> None:
        """Raise DatabaseError unless all of them were run."""
        ended = self._execution.wait()
        codes = {match[1] for line in ended.said for match in _STATE.finditer(line)}
        if ended.status != 0 or codes - {_DUPLICATE}:
            raise DatabaseError(
                f"{self._file} can't be restored: psql exited {ended.status} after SQLSTATE "
                f"{', '.join(sorted(codes - {_DUPLICATE})) or 'unknown'}; see the server's log"
            )
