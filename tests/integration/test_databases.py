# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases that are written to while they are backed up with ``quiesce: stop``, and restored in place: they start as
after an ordinary shutdown, and hold every row whose commit was acknowledged before they were stopped."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import pathlib
import select
import subprocess
import threading
import time
import types
import typing as t

import pytest

from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, Modules
from tests.support.processes import wait_for

# How many rows are written at least before the backup, and between it and the restore.
ROWS = 100
# Seconds. Databases are made and started, and answer, in a few on a machine that does nothing else.
_BUILD, _START, _ANSWER = 900, 180, 60


@dataclasses.dataclass(frozen=True)
class Database:
    """How to make, to serve and to ask a database in the volume at /v, each as ``user``; and what it logs.

    ``insert`` with a number commits that row, also if it is already there, and answers with the number afterwards.
    """

    user: str
    make: str
    serve: str
    client: str
    hello: str
    create: str
    insert: str
    select: str
    has_stopped: str  # in good order
    has_started: str  # after that
    has_recovered: str  # after anything else, in lower case
    stop_signal: str = "SIGTERM"


DATABASES = {
    "postgresql": Database(
        user="postgres",
        make="initdb --pgdata=/v --auth=trust --encoding=UTF8 --data-checksums",
        serve="postgres -D /v -k /tmp -c listen_addresses=",
        client="psql --no-psqlrc -qAt --host=/tmp --set=ON_ERROR_STOP=1 postgres",
        hello="SELECT 1;",
        create="CREATE TABLE entries (n integer PRIMARY KEY);",
        # answered when it is committed: the client prints nothing before the command is complete
        insert="INSERT INTO entries VALUES ({0}) ON CONFLICT (n) DO UPDATE SET n = EXCLUDED.n RETURNING n;",
        select="SELECT n FROM entries ORDER BY n;",
        has_stopped="database system is shut down",
        has_started="database system was shut down at",
        has_recovered="recovery",
        stop_signal="SIGINT",  # as the official image: its "fast shutdown" doesn't wait for clients
    ),
    "mariadb": Database(
        user="mysql",
        make="mariadb-install-db --no-defaults --datadir=/v --innodb-log-file-size=8M "
        "--auth-root-authentication-method=normal",
        serve="mariadbd --no-defaults --datadir=/v --innodb-log-file-size=8M --socket=/tmp/db --skip-networking",
        client="mariadb --no-defaults --batch --skip-column-names --socket=/tmp/db --user=root",
        hello="SELECT 1;",
        create="CREATE DATABASE shop; CREATE TABLE shop.entries (n integer PRIMARY KEY) ENGINE=InnoDB;",
        # the client ends at the first error, so the second statement answers for the first one
        insert="INSERT INTO shop.entries VALUES ({0}) ON DUPLICATE KEY UPDATE n = n; SELECT {0};",
        select="SELECT n FROM shop.entries ORDER BY n;",
        has_stopped="mariadbd: Shutdown complete",
        has_started="ready for connections",
        has_recovered="recovery",
    ),
    "redis": Database(
        user="redis",
        make="true",
        serve="redis-server --dir /v --appendonly yes --appendfsync always --save '' --port 0 --unixsocket /tmp/db",
        client="redis-cli -s /tmp/db",
        hello="PING",
        create="TYPE entries",  # there is nothing to create
        insert="EVAL \"redis.call('ZADD', 'entries', ARGV[1], ARGV[1]) return ARGV[1]\" 0 {0}",
        select="ZRANGE entries 0 -1",
        has_stopped="ready to exit, bye bye",
        has_started="DB loaded from append only file",
        has_recovered="truncat",
    ),
}

# As official images do: root gives the volume to the database's user when it is new, and never again.
_ENTRY = """\
set -e
as="setpriv --reuid={user} --regid={user} --init-groups"
if [ -z "$(ls -A /v)" ]; then
    chown {user}: /v
    chmod 0700 /v
    $as {make}
fi
exec $as {serve}
"""


class Server:
    """A container in which a database serves what is in a volume."""

    def __init__(self, engine: Engine, image: str, database: Database) -> None:
        self.database = database
        self.volume, self.name = engine.volume(), engine.name()
        self._engine = engine
        self._container = engine.api.create_container(
            image,
            ["sh", "-c", _ENTRY.format(**dataclasses.asdict(database))],
            name=self.name,
            environment={
                "LC_ALL": "C.UTF-8",
                "PATH": "/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            },
            stop_signal=database.stop_signal,
            host_config=engine.api.create_host_config(binds=[f"{self.volume}:/v"], network_mode="none"),
        )["Id"]
        engine._containers.append(self._container)
        engine.api.start(self._container)
        self.await_answers()
        self.ask(database.create)

    def log(self) -> str:
        """All that the server has said so far."""
        return str(self._engine.api.logs(self._container).decode())

    def command(self) -> list[str]:
        """The command that runs a client in the container: statements come in and answers go out, line by line."""
        return ["docker", "exec", "-iu", self.database.user, self.name, "stdbuf", "-oL", *self.database.client.split()]

    def ask(self, statement: str) -> list[str]:
        """Run a statement, and return the lines of the answer."""
        done = subprocess.run(
            self.command(), input=f"{statement}\n", capture_output=True, text=True, timeout=_ANSWER, check=False
        )
        assert (done.returncode, done.stderr) == (0, ""), f"{statement}: {done}\n{self.log()}"
        return done.stdout.split()

    def rows(self) -> list[int]:
        """The numbers of the rows that are there."""
        return [int(line) for line in self.ask(self.database.select)]

    def await_answers(self) -> None:
        """Wait until the server answers."""

        def answers() -> bool:
            if self._engine.state(self._container) != "running":
                raise AssertionError(f"the server has ended:\n{self.log()}")
            with contextlib.suppress(AssertionError):
                self.ask(self.database.hello)
                return True
            return False

        wait_for(answers, f"{self.name} to answer", _START)


class Writer(contextlib.AbstractContextManager["Writer"]):
    """Commits rows 1, 2, 3 and so on, one at a time, while it is entered; whatever isn't acknowledged is tried again.

    ``acknowledged`` is the last row whose commit was; ``interrupted`` has what that was each time a server went away.
    """

    def __init__(self, server: Server) -> None:
        self.acknowledged = 0
        self.interrupted: list[int] = []
        self._server = server
        self._enough = threading.Event()
        self._error: Exception | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> t.Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: types.TracebackType | None
    ) -> None:
        self._enough.set()
        self._thread.join()

    def await_rows(self, number: int) -> None:
        """Wait until so many more rows are acknowledged."""
        target = self.acknowledged + number

        def written() -> bool:
            if not self._thread.is_alive():
                raise AssertionError(f"the writer has ended: {self._error!r}")
            return self.acknowledged >= target

        wait_for(written, f"row {target}", _START)

    def _run(self) -> None:
        try:
            while not self._enough.is_set():
                before = self.acknowledged
                self._session()
                if self.acknowledged > before and not self._enough.is_set():
                    self.interrupted.append(self.acknowledged)
                time.sleep(0.05)
        except Exception as error:
            self._error = error

    def _session(self) -> None:
        """Write with one client, until it has ended or it is enough."""
        with subprocess.Popen(
            self._server.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
        ) as client:
            try:
                while not self._enough.is_set() and self._commits(client, self.acknowledged + 1):
                    self.acknowledged += 1
            finally:
                client.kill()

    def _commits(self, client: subprocess.Popen[bytes], number: int) -> bool:
        """Whether a client commits a row and says so. It is called again for another one only if so."""
        assert client.stdin is not None
        assert client.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            client.stdin.write(f"{self._server.database.insert.format(number)}\n".encode())
        answer = b""
        while not answer.endswith(b"\n"):
            ready = select.select([client.stdout], [], [], _ANSWER)[0]
            assert ready, f"no answer in {_ANSWER} s"
            part = client.stdout.read(1000)
            if not part:
                return False
            answer += part
        return answer.decode().strip() == str(number)


@pytest.fixture(scope="module")
def image() -> str:
    """An image with the databases in it."""
    script = CHECKOUT / "tests" / "support" / "databases" / "image.sh"
    done = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD)
    return done.stdout.strip()


@pytest.mark.parametrize("database", DATABASES.values(), ids=list(DATABASES))
def test_backed_up_while_written_to_and_restored(
    engine: Engine, modules: Modules, work: pathlib.Path, image: str, database: Database
) -> None:
    server = Server(engine, image, database)
    repository = str(work / "r")

    with Writer(server) as writer:
        writer.await_rows(ROWS)
        before, said = writer.acknowledged, server.log()
        (backup,) = modules.backup(server.volume, repository=repository, quiesce="stop", verify="archive")["backups"]
        writer.await_rows(ROWS)
    _starts_in_order(server, said)
    # It wrote until the server was stopped, and went on when it was back. One commit may lack its acknowledgement.
    (at_stop,) = writer.interrupted
    assert at_stop >= before
    later = server.rows()
    assert later == list(range(1, len(later) + 1))
    assert len(later) >= writer.acknowledged >= at_stop + ROWS

    manifest = json.loads(pathlib.Path(backup["path"].replace(".tar.zst", ".json")).read_text())
    downtime = manifest["consistency"].pop("downtime_seconds")
    assert downtime > 0
    assert manifest["consistency"] == {"quiesce": "stop", "containers": [server.name]}
    assert manifest["content"]["changed_while_read"] == []

    said = server.log()
    done = modules.restore(server.volume, repository=repository, when_not_empty="replace", quiesce="stop")
    assert (done["changed"], done["backup"], done["containers"]) == (True, backup["id"], [server.name])
    assert done["downtime_seconds"] > 0
    server.await_answers()
    _starts_in_order(server, said)
    restored = server.rows()
    assert restored == list(range(1, len(restored) + 1))
    assert len(restored) in (at_stop, at_stop + 1)

    # and it takes new ones
    following = len(restored) + 1
    assert server.ask(database.insert.format(following)) == [str(following)]
    assert server.rows() == [*restored, following]


def _starts_in_order(server: Server, before: str) -> None:
    """Since it had said ``before``, the server was shut down in good order, started, and found nothing to repair."""
    words = server.database

    def said() -> str:
        return server.log()[len(before) :]

    wait_for(lambda: words.has_started in said() or words.has_recovered in said().lower(), "its start")
    assert words.has_recovered not in said().lower(), said()
    assert said().count(words.has_stopped) == 1, said()
    assert said().index(words.has_stopped) < said().index(words.has_started), said()
