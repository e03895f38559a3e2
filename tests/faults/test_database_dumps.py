# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F08: a truncated database dump is found before it is published, and again before a restore touches the server. What
fails, or is killed, leaves the databases as they were."""

from __future__ import annotations

import collections.abc as c
import contextlib
import hashlib
import io
import json
import os
import pathlib
import signal
import subprocess
import tarfile
import typing as t

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support import disks, servers
from tests.support.delays import Delayed
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import wait_for
from tests.support.servers import MARIADB, PASSWORD, POSTGRESQL, Kind, Server

BACKUP, RESTORE = "docker_database_backup", "docker_database_restore"
KINDS = pytest.mark.parametrize("kind", [POSTGRESQL, MARIADB], ids=["postgresql", "mariadb"])
CLIENT = {POSTGRESQL: "pg_dump", MARIADB: "mariadb-dump"}
FILE = {POSTGRESQL: "shop.dump", MARIADB: "shop.sql"}
# Some megabytes that no compressor makes much smaller, so that SLOW takes seconds over them.
NOISE = {
    POSTGRESQL: "CREATE TABLE noise AS SELECT md5(random()::text) a, md5(random()::text) b "
    "FROM generate_series(1, 400000);",
    MARIADB: "CREATE TABLE noise AS SELECT MD5(RAND()) a, MD5(RAND()) b FROM seq_1_to_400000;",
}


@pytest.fixture(scope="module")
def shared() -> c.Iterator[dict[Kind, Server]]:
    """A server of each kind, that nobody kills."""
    with Engine() as engine:
        image = servers.image()
        yield {kind: filled(Server(engine, image, kind)) for kind in (POSTGRESQL, MARIADB)}


def filled(server: Server) -> Server:
    server.ask("CREATE DATABASE shop")
    server.ask("CREATE TABLE goods (n integer PRIMARY KEY); INSERT INTO goods VALUES (1), (2), (3);", "shop")
    return server


def rows(server: Server) -> list[str]:
    return server.ask("SELECT n FROM goods ORDER BY n", "shop")


def options(server: Server, work: pathlib.Path, **others: t.Any) -> dict[str, t.Any]:
    return {"container": server.name, "repository": str(work / "repository"), **server.login(work), **others}


def names(server: Server) -> list[str]:
    if server.kind is POSTGRESQL:
        return sorted(server.ask("SELECT datname FROM pg_database WHERE NOT datistemplate"))
    return sorted(name for name in server.ask("SHOW DATABASES") if name in ("shop", "test") or "drydock" in name)


def clients(engine: Engine, server: Server) -> list[int]:
    """The processes of this host that dump."""
    processes = engine.api.top(server.container, ps_args="-eo pid,args")["Processes"]
    return [int(pid) for pid, args in processes if CLIENT[server.kind] in args.split(" ")[0] and "shop" in args]


def dumping(engine: Engine, server: Server) -> int:
    """The process of this host that dumps, once there is one."""
    wait_for(lambda: clients(engine, server), f"{CLIENT[server.kind]} in {server.name}")
    return clients(engine, server)[0]


@KINDS
@pytest.mark.parametrize("killed", ["the client", "the server"])
def test_f08_killed_in_the_middle_of_a_dump(
    engine: Engine, modules: Modules, work: pathlib.Path, shared: dict[Kind, Server], kind: Kind, killed: str
) -> None:
    server = shared[kind] if killed == "the client" else filled(Server(engine, servers.image(), kind))
    given = options(server, work, databases=["shop"])
    server.ask(NOISE[kind], "shop")

    process = modules.start(BACKUP, **given, **SLOW)
    client = dumping(engine, server)
    # F71: who looks at the processes, or asks Docker, doesn't see the password
    seen = pathlib.Path(f"/proc/{client}/cmdline").read_bytes() + pathlib.Path(f"/proc/{client}/environ").read_bytes()
    seen += json.dumps([engine.api.exec_inspect(one) for one in execs(engine, server)]).encode()
    assert seen.count(b"--user") >= 2
    assert PASSWORD.encode() not in seen
    assert json.dumps(PASSWORD).encode() not in seen
    if killed == "the server":
        engine.api.kill(server.container)
    else:
        os.kill(client, signal.SIGKILL)
    answer = modules.finish(process)

    assert answer["failed"]
    assert not answer.get("changed")
    said = f"databases in container {server.name}: the dump of database shop failed: {CLIENT[kind]} "
    assert said in answer["msg"]
    assert answer["msg"].endswith("nothing was added to the repository")
    assert killed == "the server" or f"{CLIENT[kind]} exited 137" in answer["msg"]
    assert complete(work / "repository") == set()
    if killed == "the client":
        server.ask("DROP TABLE noise", "shop")


def test_f08_the_server_is_killed_and_docker_does_not_say_so(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """As it happens with a busy engine: the stream of what a command prints has no end then."""
    server = filled(Server(engine, servers.image(), POSTGRESQL))
    server.ask(NOISE[POSTGRESQL], "shop")
    with Delayed(work) as delayed:
        given = options(server, work, databases=["shop"], docker_host=delayed.host)
        process = modules.start(BACKUP, **given, **SLOW)
        dumping(engine, server)
        delayed.hold()
        engine.api.kill(server.container)
        answer = modules.finish(process)
    assert "the dump of database shop failed: pg_dump " in answer["msg"]
    assert "went away with its container" in answer["msg"]
    assert complete(work / "repository") == set()


def execs(engine: Engine, server: Server) -> list[str]:
    return engine.api.inspect_container(server.container)["ExecIDs"] or []


@KINDS
def test_f08_a_dump_is_cut_and_its_client_says_nothing(
    modules: Modules, work: pathlib.Path, shared: dict[Kind, Server], kind: Kind
) -> None:
    server = shared[kind]
    given = options(server, work)
    assert modules.run(BACKUP, **given)["changed"]
    before = complete(work / "repository")
    with lying(server, CLIENT[kind]):
        message = modules.refused(BACKUP, **given, globals=False, databases=["shop"])
    assert f"{FILE[kind]} is not whole" in message
    with lying(server, "pg_dumpall" if kind is POSTGRESQL else CLIENT[kind]):
        message = modules.refused(BACKUP, **given)
    assert "globals.sql is not whole" in message
    assert complete(work / "repository") == before


@contextlib.contextmanager
def lying(server: Server, program: str) -> c.Iterator[None]:
    """Have a program of the container exit 0 although the last 40 bytes of what it writes are lost."""
    script = (
        'p=$(readlink -f "$(command -v $1)"); mv "$p" "$p.true"; '
        'printf \'#!/bin/sh\\n%s "$@" | head -c -40\\n\' "$p.true" >"$p"; chmod 755 "$p"'
    )
    subprocess.run(["docker", "exec", server.name, "sh", "-ec", script, "sh", program], check=True)
    try:
        yield
    finally:
        back = 'p=$(readlink -f "$(command -v $1)"); mv "$p.true" "$p"'
        subprocess.run(["docker", "exec", server.name, "sh", "-ec", back, "sh", program], check=True)


@KINDS
def test_f08_a_stored_dump_is_cut_and_the_databases_stay(
    modules: Modules, work: pathlib.Path, shared: dict[Kind, Server], kind: Kind
) -> None:
    server = shared[kind]
    given = options(server, work, databases=["shop"])
    made = modules.run(BACKUP, **given, compression="none", globals=False)["backup"]
    archive = pathlib.Path(made["path"])
    whole, described = archive.read_bytes(), archive.with_suffix(".json").read_text()
    asked = {**given, "backup": made["id"]}
    if kind is POSTGRESQL:
        asked["when_not_empty"] = "replace"
        server.ask("DELETE FROM goods WHERE n = 3", "shop")
    else:
        server.ask("DROP DATABASE shop")
    held = names(server)

    archive.write_bytes(whole[:-700])
    assert f"has {len(whole) - 700} bytes; its manifest says {len(whole)}" in modules.refused(RESTORE, **asked)
    archive.write_bytes(whole[:700] + bytes([whole[700] ^ 1]) + whole[701:])
    assert "the archive is damaged: its SHA-256 is" in modules.refused(RESTORE, **asked)
    # and where all checksums are right, because it was cut before they were taken
    for kept, check in ((-100, False), (-1000, True)):
        forge(archive, whole, described, lambda dump, kept=kept: dump[:kept])
        assert f"{FILE[kind]} is not whole" in modules.refused(RESTORE, **asked, check=check)
    archive.write_bytes(whole)
    assert names(server) == held

    archive.with_suffix(".json").write_text(described)
    assert modules.run(RESTORE, **asked)["changed"]
    assert rows(server) == ["1", "2", "3"]
    assert names(server) == sorted({*held, "shop"})


def forge(archive: pathlib.Path, whole: bytes, described: str, change: c.Callable[[bytes], bytes]) -> None:
    """Put an archive in place, and its manifest, in which the only dump is changed and all else is right."""
    with tarfile.open(fileobj=io.BytesIO(whole)) as tar:
        (member,) = tar.getmembers()
        reader = tar.extractfile(member)
        assert reader is not None
        dump = change(reader.read())
    member.size = len(dump)
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(member, io.BytesIO(dump))
    data = archive.read_bytes()
    manifest = json.loads(described)
    manifest["archive"].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest["database"]["dumps"][0].update(bytes=len(dump), sha256=hashlib.sha256(dump).hexdigest())
    archive.with_suffix(".json").write_text(json.dumps(manifest))


def test_f12_a_postgresql_restore_is_killed(modules: Modules, work: pathlib.Path, shared: dict[Kind, Server]) -> None:
    server = shared[POSTGRESQL]
    made = modules.run(BACKUP, **options(server, work, databases=["shop"]))["backup"]["id"]
    given = options(server, work, databases=["shop"], backup=made, when_not_empty="replace")
    held = names(server)
    server.ask("INSERT INTO goods VALUES (4)", "shop")
    for point, then in (("database-loaded", ["1", "2", "3", "4"]), ("database-exchanged", ["1", "2", "3"])):
        process = modules.start(RESTORE, **given, environment={"DRYDOCK_TEST_KILL_AT": point})
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert rows(server) == then
        # the second one has dropped what the first one left
        assert len(names(server)) == len(held) + 1

    # what is left is in no backup, and the next restore drops it
    assert modules.run(BACKUP, **options(server, work))["backup"]["database"]["databases"] == held
    answer = modules.run(RESTORE, **given)
    assert "1 database(s) that a restore had left were dropped" in str(answer["warnings"])
    assert rows(server) == ["1", "2", "3"]
    assert names(server) == held


def test_f12_a_mariadb_restore_is_killed(modules: Modules, work: pathlib.Path, shared: dict[Kind, Server]) -> None:
    server = shared[MARIADB]
    given = options(server, work, databases=["shop"])
    assert modules.run(BACKUP, **given)["changed"]
    server.ask("DROP DATABASE shop")
    process = modules.start(RESTORE, **given, environment={"DRYDOCK_TEST_KILL_AT": "database-loaded"})
    process.communicate()
    assert process.returncode == -signal.SIGKILL

    assert "database shop holds a part of a restore that was interrupted" in modules.refused(BACKUP, **given)
    answer = modules.run(RESTORE, **given)
    assert [one["was"] for one in answer["databases"]] == ["interrupted"]
    assert rows(server) == ["1", "2", "3"]
    assert server.ask("SHOW TABLES", "shop") == ["goods"]


@KINDS
def test_a_load_that_fails_leaves_nothing(
    modules: Modules, work: pathlib.Path, shared: dict[Kind, Server], kind: Kind
) -> None:
    server = shared[kind]
    given = options(server, work, databases=["shop"])
    server.ask("CREATE TABLE zz (n integer)", "shop")
    made = modules.run(BACKUP, **given, compression="none", globals=False)["backup"]
    archive = pathlib.Path(made["path"])
    asked = {**given, "when_not_empty": "replace"} if kind is POSTGRESQL else given
    # whole, as far as a reader can tell: no server takes it
    broken = {POSTGRESQL: (b"zz (\n    n integer", b"zz (\n    n intzger"), MARIADB: (b"TABLE `zz`", b"TABLE !zz!")}
    old, new = broken[kind]
    whole = archive.read_bytes()
    assert old in whole
    forge(archive, whole, archive.with_suffix(".json").read_text(), lambda dump: dump.replace(old, new))
    if kind is MARIADB:
        server.ask("DROP DATABASE shop")
    held = names(server)

    message = modules.refused(RESTORE, **asked)
    assert f"{FILE[kind]} can't be restored: " in message
    assert message.endswith("the databases are as they were")
    assert names(server) == held
    if kind is POSTGRESQL:
        assert rows(server) == ["1", "2", "3"]
        server.ask("DROP TABLE zz", "shop")
    else:
        filled(server)


def test_a_dump_that_hangs_is_full_or_is_ended(
    engine: Engine, modules: Modules, work: pathlib.Path, shared: dict[Kind, Server]
) -> None:
    server = shared[POSTGRESQL]
    given = options(server, work, databases=["shop"], globals=False)
    command = ["docker", "exec", "-iu", "postgres", server.name, "psql", "-qAt", "--host=/v", "--dbname=shop"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as somebody:
        assert somebody.stdin is not None
        assert somebody.stdout is not None
        print("BEGIN; LOCK TABLE goods; SELECT 'locked';", file=somebody.stdin, flush=True)
        assert somebody.stdout.readline() == "locked\n"
        message = modules.refused(BACKUP, **given, stall_timeout=2)
        assert "pg_dump" in message
        assert "moved no byte for 2 seconds: it may wait for a lock in the database" in message

        # SIGTERM while it waits: nothing is left, in the repository or in the container
        process = modules.start(BACKUP, **given)
        dumping(engine, server)
        process.terminate()
        assert "ended by SIGTERM" in modules.finish(process)["msg"]
        somebody.stdin.close()
        somebody.wait()
    wait_for(lambda: not clients(engine, server), "pg_dump to be gone")
    assert complete(work / "repository") == set()

    server.ask(NOISE[POSTGRESQL], "shop")
    with disks.mounted(work, 16) as disk:
        message = modules.refused(BACKUP, **{**given, "repository": str(disk / "r")}, compression="none")
        assert "No space left on device" in message
        assert complete(disk) == set()
    server.ask("DROP TABLE noise", "shop")
    wait_for(lambda: not clients(engine, server), "pg_dump to be gone")
