# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Database servers in containers, in memory, with a password: to be dumped and restored."""

from __future__ import annotations

import contextlib
import dataclasses
import pathlib
import struct
import subprocess
import typing as t

from tests.support.engine import Engine
from tests.support.modules import CHECKOUT
from tests.support.processes import wait_for

_BUILD, _START, _ANSWER = 900, 120, 60
#: What every server has, and no quoting spares: for a shell, for libpq's and for MariaDB's files.
PASSWORD = "a:b\\c\"d'e #$f"


@dataclasses.dataclass(frozen=True)
class Kind:
    """How to make and to serve a database in the memory at /v, and to speak to it as its administrator."""

    user: str
    make: str
    serve: str
    client: tuple[str, ...]
    variable: str
    first: str


POSTGRESQL = Kind(
    user="postgres",
    make="initdb --pgdata=/v/data --auth=peer --encoding=UTF8 --no-locale --no-sync >/dev/null && "
    'printf "local all postgres peer\\nlocal all all scram-sha-256\\n" >/v/data/pg_hba.conf',
    serve="postgres -D /v/data -k /v -c listen_addresses= -c fsync=off",
    client=("psql", "--no-psqlrc", "-qAt", "--host=/v", "--set=ON_ERROR_STOP=1", "postgres"),
    variable="PG_MAJOR=15",
    first="CREATE ROLE admin SUPERUSER LOGIN PASSWORD '{}';".format(PASSWORD.replace("'", "''")),
)
MARIADB = Kind(
    user="mysql",
    make="mariadb-install-db --no-defaults --datadir=/v/data --innodb-log-file-size=8M "
    "--auth-root-authentication-method=normal >/dev/null",
    serve="mariadbd --no-defaults --datadir=/v/data --innodb-log-file-size=8M --socket=/v/db --skip-networking",
    client=("mariadb", "--no-defaults", "--batch", "--skip-column-names", "--socket=/v/db", "--user=admin"),
    variable="MARIADB_VERSION=10.11",
    # what is asked here needs no password; the modules log in as root
    first="CREATE USER admin@localhost; GRANT ALL ON *.* TO admin@localhost WITH GRANT OPTION;",
)

# The links are where clients look that aren't told.
_ENTRY = """\
set -e
mkdir -p /run/mysqld /run/postgresql
ln -sf /v/db /run/mysqld/mysqld.sock
ln -sf /v/.s.PGSQL.5432 /run/postgresql/
as="setpriv --reuid={user} --regid={user} --init-groups"
$as sh -c '{make}'
exec $as {serve}
"""


class Server:
    """A container in which a database server runs. PostgreSQL's asks nobody for a password if it is to ``trust``."""

    def __init__(self, engine: Engine, image: str, kind: Kind, *, trust: bool = False) -> None:
        self.kind, self.name, self._engine = kind, engine.name(), engine
        make = (
            kind.make.replace("scram-sha-256", "trust").replace("postgres peer", "postgres trust")
            if trust
            else kind.make
        )
        script = _ENTRY.format(user=kind.user, make=make.replace("'", "'\\''"), serve=kind.serve)
        container = engine.api.create_container(
            image,
            ["sh", "-c", script],
            name=self.name,
            environment={
                "LC_ALL": "C.UTF-8",
                "PATH": "/usr/lib/postgresql/15/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                **dict([kind.variable.split("=")]),
            },
            host_config=engine.api.create_host_config(
                network_mode="none", tmpfs={"/v": "mode=1777,size=600m"}, init=True
            ),
        )["Id"]
        self.container = str(container)
        engine._containers.append(self.container)
        engine.api.start(self.container)
        self._await_answers()

    def ask(self, sql: str, database: str | None = None) -> list[str]:
        """Run statements, in a ``database``, and return the lines of the answers."""
        done = self.run(*self.kind.client[: -1 if self.kind is POSTGRESQL else None], *self._in(database), input=sql)
        assert (done.returncode, done.stderr) == (0, ""), f"{sql}: {done}"
        return done.stdout.splitlines()

    def speak_german(self) -> None:
        """Have PostgreSQL say what is wrong in German: the image has no translations, so it gets two words of one."""
        file = "/usr/share/locale/de/LC_MESSAGES/postgres-15.mo"
        script = "localedef --no-archive -i de_DE -f UTF-8 de_DE.UTF-8 && mkdir -p ${1%/*} && cat >$1"
        command = ["docker", "exec", "-i", self.name, "sh", "-c", script, "sh", file]
        subprocess.run(command, input=_catalog({"ERROR": "FEHLER", "WARNING": "WARNUNG"}), check=True, timeout=_ANSWER)
        self.ask("ALTER SYSTEM SET lc_messages = 'de_DE.UTF-8'")
        self.ask("SELECT pg_reload_conf()")
        wait_for(lambda: "FEHLER" in self.run(*self.kind.client, input="x").stderr, "German")

    def run(self, *argv: str, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run a program in the container, as the server's user."""
        return subprocess.run(
            ["docker", "exec", "-iu", self.kind.user, self.name, *argv],
            capture_output=True,
            text=True,
            timeout=_ANSWER,
            check=False,
            **options,
        )

    def login(self, work: pathlib.Path) -> dict[str, t.Any]:
        """A module's options that log in with the password."""
        file = work / "password"
        file.write_text(PASSWORD + "\n")
        file.chmod(0o600)
        if self.kind is POSTGRESQL:
            return {"login_user": "admin", "login_unix_socket": "/v", "password_file": str(file)}
        return {"login_unix_socket": "/v/db", "password_file": str(file)}

    def _in(self, database: str | None) -> list[str]:
        if self.kind is POSTGRESQL:
            return [f"--dbname={database or 'postgres'}"]
        return [database] if database else []

    def _await_answers(self) -> None:
        def answers() -> bool:
            if self._engine.state(self.container) != "running":
                raise AssertionError(f"the server has ended:\n{self._engine.api.logs(self.container).decode()}")
            if self.kind is POSTGRESQL:
                with contextlib.suppress(AssertionError):
                    return self.ask("SELECT 1;") == ["1"]
                return False
            done = self.run("mariadb", "--no-defaults", "--socket=/v/db", "--user=root", "-e", "SELECT 1")
            return done.returncode == 0

        wait_for(answers, f"{self.name} to answer", _START)
        if self.kind is POSTGRESQL:
            self.ask(self.kind.first)
            return
        quoted = PASSWORD.replace("\\", "\\\\").replace("'", "''")
        sql = f"{self.kind.first} ALTER USER root@localhost IDENTIFIED BY '{quoted}';"
        done = self.run("mariadb", "--no-defaults", "--socket=/v/db", "--user=root", input=sql)
        assert done.returncode == 0, done


def _catalog(words: dict[str, str]) -> bytes:
    """A file of translations, as GNU gettext's manual has it in "The Format of GNU MO Files"."""
    pairs = sorted({"": "Content-Type: text/plain; charset=UTF-8\n", **words}.items())
    head, tables, texts = struct.Struct("<7I"), b"", b""
    start = head.size + 16 * len(pairs)
    for column in zip(*pairs, strict=True):
        for text in map(str.encode, column):
            tables += struct.pack("<2I", len(text), start + len(texts))
            texts += text + b"\0"
    size = 8 * len(pairs)
    return head.pack(0x950412DE, 0, len(pairs), head.size, head.size + size, 0, start) + tables + texts


def image() -> str:
    """An image with the databases in it."""
    script = CHECKOUT / "tests" / "support" / "databases" / "image.sh"
    done = subprocess.run([script], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD)
    return done.stdout.strip()
