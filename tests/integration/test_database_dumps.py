# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Databases are dumped out of running containers, and restored into them: all that was in them, and nothing half."""

from __future__ import annotations

import collections.abc as c
import contextlib
import fcntl
import json
import pathlib
import shutil
import subprocess
import typing as t

import pytest

from tests.support import remotes, servers
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.servers import MARIADB, PASSWORD, POSTGRESQL, Server

# A name that no quoting spares.
ODD = "o'd \"d\\b=|%/x"


@pytest.fixture(scope="module")
def image() -> str:
    return servers.image()


@pytest.fixture(scope="module")
def shared() -> c.Iterator[Engine]:
    with Engine() as engine:
        yield engine


@pytest.fixture(scope="module")
def postgresql(shared: Engine, image: str) -> Server:
    return Server(shared, image, POSTGRESQL)


@pytest.fixture(scope="module")
def mariadb(shared: Engine, image: str) -> Server:
    return Server(shared, image, MARIADB)


class Dumps:
    """The modules, with a server and a repository."""

    def __init__(self, modules: Modules, work: pathlib.Path, server: Server) -> None:
        self.repository = work / "repository"
        self._modules = modules
        self._options = {"container": server.name, "repository": str(self.repository), **server.login(work)}

    def backup(self, **options: t.Any) -> dict[str, t.Any]:
        return self._run("docker_database_backup", options)

    def restore(self, **options: t.Any) -> dict[str, t.Any]:
        return self._run("docker_database_restore", options)

    def refused(self, module: str, **options: t.Any) -> str:
        return self._modules.refused(module, **{**self._options, **options})

    def failed(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Run what fails after it has done something."""
        answer = self._modules.run(module, **{**self._options, **options})
        assert answer["failed"], answer
        return answer

    def _run(self, module: str, options: dict[str, t.Any]) -> dict[str, t.Any]:
        answer = self._modules.run(module, **{**self._options, **options})
        assert not answer.get("failed"), answer["msg"]
        assert PASSWORD not in json.dumps(answer)
        return answer


@pytest.fixture
def dumps(modules: Modules, work: pathlib.Path, postgresql: Server) -> Dumps:
    return Dumps(modules, work, postgresql)


@pytest.fixture
def maria_dumps(modules: Modules, work: pathlib.Path, mariadb: Server) -> Dumps:
    return Dumps(modules, work, mariadb)


@pytest.fixture
def shop(postgresql: Server) -> c.Iterator[str]:
    """A database with something of everything, owned by a role that has a password."""
    postgresql.ask("CREATE ROLE \"a'pp\" LOGIN PASSWORD 'secret';")
    quoted = ODD.replace('"', '""')
    postgresql.ask(f'CREATE DATABASE "{quoted}" OWNER "a\'pp" CONNECTION LIMIT 7;')
    postgresql.ask(
        f"ALTER DATABASE \"{quoted}\" SET search_path TO s, public; COMMENT ON DATABASE \"{quoted}\" IS 'it''s\n\\all';"
        f'REVOKE CONNECT ON DATABASE "{quoted}" FROM PUBLIC; GRANT CONNECT ON DATABASE "{quoted}" TO "a\'pp";'
    )
    postgresql.ask(FILL, ODD_PLACE)
    yield ODD
    for name in (quoted, "beside"):
        postgresql.ask(f'SET client_min_messages = warning; DROP DATABASE IF EXISTS "{name}" WITH (FORCE);')
    postgresql.ask('DROP ROLE IF EXISTS "a\'pp";')


# libpq's way to name a database that has a "=" in its name
ODD_PLACE = "dbname='" + ODD.replace("\\", "\\\\").replace("'", "\\'") + "'"
FILL = """
CREATE SCHEMA s;
CREATE TABLE s.goods (n integer PRIMARY KEY, what text, picture bytea);
INSERT INTO s.goods SELECT n, repeat(chr(n), 9), decode(md5(n::text), 'hex') FROM generate_series(200, 5000) n;
CREATE VIEW s.few AS SELECT * FROM s.goods WHERE n < 300;
CREATE FUNCTION s.twice(n integer) RETURNS integer LANGUAGE sql AS 'SELECT 2 * n';
CREATE TABLE s.orders (good integer REFERENCES s.goods);
INSERT INTO s.orders VALUES (200), (201);
SELECT lo_from_bytea(4711, 'large');
"""
FACTS = """
SELECT count(*), md5(string_agg(g::text, ',' ORDER BY n)) FROM s.goods g;
SELECT s.twice(count(*)::integer) FROM s.few; SELECT * FROM s.orders; SELECT lo_get(4711); SHOW search_path;
SELECT r.rolname, d.datconnlimit, shobj_description(d.oid, 'pg_database'),
       (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(d.datacl) a)
FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = current_database();
"""


def databases(server: Server) -> list[str]:
    return sorted(server.ask("SELECT datname FROM pg_database WHERE NOT datistemplate"))


def test_a_postgresql_database_comes_back_as_it_was(dumps: Dumps, postgresql: Server, shop: str) -> None:
    before = postgresql.ask(FACTS, ODD_PLACE)

    planned = dumps.backup(check=True, diff=True)
    assert planned["backup"]["id"] is None
    assert not dumps.repository.exists()
    made = dumps.backup(diff=True, verify="archive")["backup"]

    assert made["database"]["engine"] == "postgresql"
    assert made["database"]["databases"] == [shop, "postgres"] == planned["backup"]["database"]["databases"]
    assert made["verification"]["method"] == "archive"
    assert [dump["database"] for dump in made["database"]["dumps"]] == [None, shop, "postgres"]

    # into one that holds something: with a word only
    message = dumps.refused("docker_database_restore", databases=[shop])
    assert f"database {shop} holds something" in message
    postgresql.ask("TRUNCATE s.orders; CREATE TABLE s.later (n integer); DROP VIEW s.few;", ODD_PLACE)
    later = dumps.restore(databases=[shop], when_not_empty="replace", check=True)
    assert later["changed"]
    assert postgresql.ask("SELECT count(*) FROM s.orders", ODD_PLACE) == ["0"]
    done = dumps.restore(databases=[shop], when_not_empty="replace")
    assert [(one["target"], one["was"]) for one in done["databases"]] == [(shop, "replaced")]
    assert postgresql.ask(FACTS, ODD_PLACE) == before
    assert postgresql.ask("SELECT to_regclass('s.later') IS NULL", ODD_PLACE) == ["t"]
    assert databases(postgresql) == sorted([shop, "postgres"])


def test_a_postgresql_server_is_restored_from_nothing(
    dumps: Dumps, postgresql: Server, shop: str, shared: Engine, image: str
) -> None:
    before = postgresql.ask(FACTS, ODD_PLACE)
    postgresql.ask("CREATE DATABASE closed ALLOW_CONNECTIONS false")
    assert "database closed is left out, as it takes no connections" in str(dumps.backup()["warnings"])
    postgresql.ask("DROP DATABASE closed")
    other = Server(shared, image, POSTGRESQL)

    # without the roles nothing is left behind
    message = dumps.refused("docker_database_restore", container=other.name, source_container=postgresql.name)
    assert "the backup's roles are made with globals: true; the databases are as they were" in message
    assert databases(other) == ["postgres"]

    done = dumps.restore(container=other.name, source_container=postgresql.name, globals=True)
    assert [one["was"] for one in done["databases"]] == ["absent", "empty"]
    assert other.ask(FACTS, ODD_PLACE) == before
    assert databases(other) == databases(postgresql)
    password = "SELECT rolpassword FROM pg_authid WHERE rolname = 'a''pp'"
    assert other.ask(password) == postgresql.ask(password)


def test_a_server_that_speaks_another_language(
    dumps: Dumps, postgresql: Server, shop: str, shared: Engine, image: str
) -> None:
    before = postgresql.ask(FACTS, ODD_PLACE)
    postgresql.run("mkdir", "/v/space")
    postgresql.ask("CREATE TABLESPACE space LOCATION '/v/space'")
    dumps.backup(databases=[shop])
    postgresql.ask("DROP TABLESPACE space")
    other = Server(shared, image, POSTGRESQL)
    other.speak_german()
    options = {"container": other.name, "source_container": postgresql.name, "globals": True}

    # what fails isn't taken for what is there already, and nothing that may be secret is repeated
    message = dumps.refused("docker_database_restore", **options)
    assert "globals.sql can't be restored: psql exited 0 after SQLSTATE 58P01; see the server's log" in message

    other.run("mkdir", "/v/space")
    done = dumps.restore(**options)
    assert other.ask(FACTS, ODD_PLACE) == before
    assert [one["was"] for one in done["databases"]] == ["absent"]


def test_beside_the_old_one_and_while_somebody_uses_it(dumps: Dumps, postgresql: Server, shop: str) -> None:
    dumps.backup(databases=[shop], globals=False, compression="none", login_user="postgres", user="postgres")
    done = dumps.restore(target="beside", user="postgres", login_user="postgres", password_file=None)
    assert [(one["database"], one["target"]) for one in done["databases"]] == [(shop, "beside")]
    assert postgresql.ask("SELECT count(*) FROM s.goods", "beside") == ["4801"]
    owner = "SELECT datdba::regrole FROM pg_database WHERE datname = 'beside'"
    assert postgresql.ask(owner) == ['"a\'pp"']

    command = ["docker", "exec", "-iu", "postgres", postgresql.name, "psql", "-qAt", "--host=/v", ODD_PLACE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as user:
        assert user.stdin is not None
        assert user.stdout is not None
        print("SELECT 'here';", file=user.stdin, flush=True)
        assert user.stdout.readline() == "here\n"
        message = dumps.refused("docker_database_restore", when_not_empty="replace")
        assert "1 session(s) use database" in message
        postgresql.ask("TRUNCATE s.orders", ODD_PLACE)
        dumps.restore(when_not_empty="replace", disconnect=True)
        user.stdin.close()
        user.wait()
    assert postgresql.ask("SELECT count(*) FROM s.orders", ODD_PLACE) == ["2"]


def test_a_mariadb_server_comes_back_as_it_was(maria_dumps: Dumps, mariadb: Server, shared: Engine, image: str) -> None:
    mariadb.ask(
        "CREATE DATABASE `od d%=é` CHARACTER SET latin1; USE `od d%=é`;"
        "CREATE TABLE goods (n integer PRIMARY KEY, what blob) ENGINE=InnoDB;"
        "INSERT INTO goods VALUES (1, 0x00ff275c), (2, '\\n;--'); CREATE TABLE log (n integer) ENGINE=Aria;"
        "CREATE VIEW few AS SELECT * FROM goods WHERE n < 2; CREATE PROCEDURE twice(n integer) SELECT 2 * n;"
        "CREATE TRIGGER noted AFTER INSERT ON goods FOR EACH ROW INSERT INTO log VALUES (NEW.n);"
        "CREATE EVENT later ON SCHEDULE EVERY 1 YEAR DO DELETE FROM log;"
        "CREATE USER 'a\"pp'@'%' IDENTIFIED BY 'secret'; GRANT SELECT ON `od d%=é`.* TO 'a\"pp'@'%';"
    )
    asked = (
        "SELECT n, HEX(what) FROM goods; SELECT n FROM few; CALL twice(4); SHOW CREATE TABLE goods;"
        "SELECT SCHEMA_NAME, DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = DATABASE();"
        "SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE();"
        "SELECT TRIGGER_NAME FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE();"
        "SHOW GRANTS FOR 'a\"pp'@'%';"
    )
    name = "od d%=é"
    before = mariadb.ask(asked, name)
    made = maria_dumps.backup(databases=[name])
    assert "1 table(s) (od d%=é.log) have an engine without transactions" in str(made["warnings"])

    assert f"database {name} holds something" in maria_dumps.refused("docker_database_restore")
    assert "isn't for MariaDB" in maria_dumps.refused("docker_database_restore", when_not_empty="replace")
    assert "isn't for MariaDB" in maria_dumps.refused("docker_database_restore", target="other")
    assert mariadb.ask(asked, name) == before

    other = Server(shared, image, MARIADB)
    done = maria_dumps.restore(container=other.name, source_container=mariadb.name, globals=True)
    assert [(one["target"], one["was"]) for one in done["databases"]] == [(name, "absent")]
    assert other.ask(asked, name) == before
    again = "SHOW TABLES"
    assert other.ask(again, name) == mariadb.ask(again, name)


def test_it_is_a_backup_as_any_other(
    dumps: Dumps, modules: Modules, work: pathlib.Path, postgresql: Server, shop: str
) -> None:
    key = work / "key"
    subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
    key.chmod(0o600)
    public = subprocess.run(["age-keygen", "-y", key], check=True, capture_output=True, text=True).stdout.strip()
    encrypted = {"encryption": {"method": "age", "recipients": [public]}, "compression": "gzip", "compression_level": 1}
    first = dumps.backup(databases=[shop], **encrypted)["backup"]
    second = dumps.backup(databases=[shop], retention={"keep_last": 1}, diff=True, **encrypted)
    assert [gone["id"] for gone in second["expired"]] == [first["id"]]
    assert second["diff"]["before"] == {"backups": {postgresql.name: [first["id"]]}}
    assert second["diff"]["after"] == {"backups": {postgresql.name: [second["backup"]["id"]]}}

    found = modules.run(
        "docker_volume_backup_info",
        repository=str(dumps.repository),
        verify="archive",
        decryption={"identity_file": str(key)},
    )
    assert found["backups"] == found["incomplete"] == found["foreign"] == []
    assert [(one["id"], one["verified"]) for one in found["databases"]] == [(second["backup"]["id"], "archive")]
    folder = f"database@{postgresql.name}"
    assert pathlib.Path(second["backup"]["path"]).parent.name == folder
    assert {path.stat().st_mode & 0o777 for path in dumps.repository.rglob("*.*")} - {0o700} == {0o600}

    message = dumps.refused("docker_database_restore", target="beside")
    assert "decryption" in message
    dumps.restore(target="beside", decryption={"identity_file": str(key)})
    assert postgresql.ask("SELECT count(*) FROM s.goods", "beside") == ["4801"]

    message = modules.refused(
        "docker_volume_restore", volume=folder[9:], source_volume=folder, repository=str(dumps.repository)
    )
    assert "restore them with docker_database_restore" in message


def test_copies_are_kept_elsewhere(dumps: Dumps, postgresql: Server, work: pathlib.Path, shop: str) -> None:
    before = postgresql.ask(FACTS, ODD_PLACE)
    rclone = remotes.Rclone(work)
    rclone.add(remotes.alias(work / "elsewhere").section("off"))
    there = {"repository": "off:volumes", "rclone_config": str(rclone.config)}
    copying = {
        "databases": [shop],
        "retention": {"keep_last": 1},
        "copies": [{"repository": "off:volumes", "retention": {"keep_last": 2}}],
        "rclone_config": str(rclone.config),
    }
    kept: list[str] = []
    for _each in range(3):
        planned = dumps.backup(check=True, diff=True, **copying)
        done = dumps.backup(diff=True, **copying)
        new = done["backup"]["id"]
        assert [(one["repository"], one["id"]) for one in done["copies"]] == [("off:volumes", new)]
        assert done["copies"][0]["verified"] not in (None, "size")
        assert [one["id"] for one in planned["copies"]] == [None]
        assert planned["copies_expired"] == done["copies_expired"]
        assert [one["id"] for one in done["copies_expired"]] == kept[:-1]
        assert done["failures"] == planned["failures"] == []
        assert done["diff"]["before"] == planned["diff"]["before"]
        foretold = json.dumps(planned["diff"]["after"]).replace("(a new backup)", new)
        assert json.loads(foretold) == done["diff"]["after"]
        kept = [*kept[-1:], new]
        assert done["diff"]["after"]["copies"] == {"off:volumes": {postgresql.name: kept}}
    assert len(list(dumps.repository.rglob("2*.json"))) == 1
    assert len(list((work / "elsewhere").rglob("2*.json"))) == 2

    postgresql.ask("DROP VIEW s.few;", ODD_PLACE)
    shutil.rmtree(dumps.repository)
    dumps.restore(databases=[shop], when_not_empty="replace", backup=kept[0], **there)
    assert postgresql.ask(FACTS, ODD_PLACE) == before

    straight = dumps.backup(databases=[shop], **there)
    assert (straight["copies"], straight["failures"]) == ([], [])
    dumps.restore(databases=[shop], when_not_empty="replace", backup=straight["backup"]["id"], **there)
    assert postgresql.ask(FACTS, ODD_PLACE) == before


def test_f03_a_copy_that_fails_is_made_up_for(dumps: Dumps, postgresql: Server, work: pathlib.Path) -> None:
    blocked = work / "elsewhere"
    blocked.write_text("no directory")
    options = {"databases": ["postgres"], "copies": [{"repository": str(blocked / "volumes")}]}
    answer = dumps.failed("docker_database_backup", **options)
    made = answer["backup"]["id"]
    assert answer["changed"]
    assert answer["msg"].startswith(f"the databases in container {postgresql.name}: copy: ")
    assert [one["repository"] for one in answer["failures"]] == [str(blocked / "volumes")]
    assert answer["copies"] == []
    assert [path.stem for path in dumps.repository.rglob("2*.json")] == [made]
    blocked.unlink()
    blocked.mkdir()
    again = dumps.backup(**options)
    assert [one["id"] for one in again["copies"]] == [again["backup"]["id"], made]

    assert "copies are made of backups in a directory" in dumps.refused(
        "docker_database_backup", **options, repository="off:volumes"
    )
    assert "is named twice" in dumps.refused("docker_database_backup", copies=[{"repository": str(dumps.repository)}])


def test_what_is_asked_for_must_be_there(dumps: Dumps, postgresql: Server, engine: Engine, work: pathlib.Path) -> None:
    refused = "docker_database_backup"
    assert "there is no database 'nope'" in dumps.refused(refused, databases=["nope"])
    assert "doesn't exist on this host" in dumps.refused(refused, container=engine.name())
    identifier = engine.api.inspect_container(postgresql.name)["Id"]
    assert "doesn't exist on this host" in dumps.refused(refused, container=identifier[:12])
    assert f"give its name, {postgresql.name}, by which" in dumps.refused(refused, container=identifier)
    other = engine.run(engine.volume())
    message = dumps.refused(refused, container=engine.api.inspect_container(other)["Name"][1:])
    assert "doesn't tell which database is in it; give engine" in message
    assert "no program psql" in dumps.refused(
        refused, container=engine.api.inspect_container(other)["Name"][1:], engine="postgresql"
    )
    assert "password authentication failed" in dumps.refused(refused, password_file=str(wrong(work)))
    (work / "password").chmod(0o644)
    assert "can be reached by others" in dumps.refused(refused)
    (work / "password").chmod(0o600)
    assert not list(dumps.repository.rglob("*.json"))
    dumps.repository.mkdir(exist_ok=True)
    message = dumps.refused("docker_database_restore")
    assert f"no complete backup of the databases in container {postgresql.name}" in message


def wrong(work: pathlib.Path) -> pathlib.Path:
    file = work / "wrong"
    file.write_text("wrong\n")
    file.chmod(0o600)
    return file


def test_who_comes_second_waits_or_fails(dumps: Dumps, postgresql: Server, work: pathlib.Path) -> None:
    made = dumps.backup(databases=["postgres"], globals=False, host="db1", compression="none")["backup"]
    folder = pathlib.Path(made["path"]).parent
    assert (folder.name, folder.parent.name, made["host"]) == (f"database@{postgresql.name}", "db1", "db1")
    with held(folder / ".lock"):
        message = dumps.refused("docker_database_backup", host="db1", lock_timeout=0.2)
        assert "another run writes to" in message
    lock = work / "state" / "databases" / postgresql.name / ".lock"
    lock.parent.mkdir(parents=True)
    with held(lock):
        message = dumps.refused("docker_database_restore", host="db1", target="beside", lock_timeout=0.2)
        assert "another run restores into this server right now" in message
    message = dumps.refused("docker_database_restore", host="db1", before="2020-01-01")
    assert f"database@{postgresql.name}" not in message
    assert "from host db1 from before 2020-01-01T00:00:00Z" in message
    assert "is on the root file system" in dumps.refused(
        "docker_database_backup", repository="/r", require_mounted=True, databases=["postgres"]
    )
    assert databases(postgresql) == ["postgres"]


@contextlib.contextmanager
def held(lock: pathlib.Path) -> c.Iterator[None]:
    """Hold a lock as another run does."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
