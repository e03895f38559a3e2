# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_databases.md: every playbook and command in it runs and does what the text around it says, and the
messages in its table are the code's."""

from __future__ import annotations

import os
import pathlib

import pytest

from tests.support import remotes, servers
from tests.support.engine import Engine
from tests.support.guide import ID, Guide, Operator, unknown
from tests.support.servers import MARIADB, PASSWORD, POSTGRESQL, Server

GUIDE = Guide("guide_databases.md")
blocks = GUIDE.blocks
KINDS = {
    "A dump every night": ["yaml", "shell"],
    "Who logs in": ["yaml"],
    "Off the host": ["yaml"],
    "One database back": ["yaml", "yaml", "yaml"],
    "A new server": ["yaml"],
    "Only the archive and a shell": ["shell", "text", "shell", "shell"],
}
FILL = "CREATE TABLE goods (n integer PRIMARY KEY); INSERT INTO goods VALUES (1), (2), (3);"
COUNT = "SELECT count(*) FROM goods"


@pytest.fixture
def password(work: pathlib.Path) -> str:
    file = work / "mariadb.password"
    file.write_text(PASSWORD + "\n")
    file.chmod(0o600)
    return str(file)


def test_no_block_and_no_link_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS
    assert GUIDE.links() <= GUIDE.anchors()


def test_the_messages_are_the_codes() -> None:
    messages = [row[0].strip("`") for row in GUIDE.rows("When it fails")]
    assert len(messages) == 7
    assert unknown(messages) == []


def test_postgresql(engine: Engine, work: pathlib.Path) -> None:
    image = servers.image()
    server, new = (Server(engine, image, POSTGRESQL, trust=True) for _each in range(2))
    server.ask("CREATE ROLE app; CREATE DATABASE shop OWNER app")
    server.ask(FILL, "shop")
    rclone = remotes.Rclone(work)
    rclone.add(remotes.alias(work / "elsewhere").section("offsite"))
    operator = Operator(
        work,
        {"container: pg-new": f"container: {new.name}", "-i pg-new": f"-i {new.name}"}
        | {"/etc/drydock/rclone.conf": str(rclone.config)}
        | {"container: pg\n": f"container: {server.name}\n", "database@pg": f"database@{server.name}"},
    )
    playbook, commands = blocks("A dump every night")
    operator.playbook("dumps.yml", playbook)
    said = operator.command(commands)
    assert f"database@{server.name}/" in said
    (made,) = operator.made(f"database@{server.name}")

    beside, replace, _mariadb = blocks("One database back")
    server.ask("DELETE FROM goods", "shop")
    operator.tasks(beside)
    assert server.ask(COUNT, "shop_restored") == ["3"]
    operator.tasks(replace)
    assert server.ask(COUNT, "shop") == ["3"]

    (everything,) = blocks("A new server")
    operator.tasks(everything)
    assert new.ask(COUNT, "shop") == ["3"]

    listing, listed, by_hand, _mariadb = blocks("Only the archive and a shell")
    ids = {"20261123T101502Z": made["id"]}
    assert ID.sub("ID", operator.command(listing, **ids)) == ID.sub("ID", listed)
    new.ask("DROP DATABASE shop")
    new.ask("DROP ROLE app")
    operator.command(by_hand, **ids)
    assert new.ask(COUNT, "shop") == ["3"]
    assert new.ask("SELECT datdba::regrole FROM pg_database WHERE datname = 'shop'") == ["app"]

    (copied,) = blocks("Off the host")
    operator.tasks(copied, PATH=f"{remotes.NEW.parent}:{os.environ['PATH']}")
    here = sorted(operator.backups.rglob("2*"))
    there = sorted((work / "elsewhere").rglob("2*"))
    assert [file.name for file in there] == [file.name for file in here[2:]]  # the newest of the day
    assert [file.read_bytes() for file in there] == [file.read_bytes() for file in here[2:]]


def test_mariadb(engine: Engine, work: pathlib.Path, password: str) -> None:
    image = servers.image()
    server, trial = (Server(engine, image, MARIADB) for _each in range(2))
    server.ask("CREATE DATABASE shop")
    server.ask(FILL, "shop")
    operator = Operator(
        work,
        {"mariadb-trial": trial.name, "/etc/drydock/mariadb.password": password}
        | {"container: mariadb\n": f"container: {server.name}\n", "database@mariadb": f"database@{server.name}"},
    )
    (dump,) = blocks("Who logs in")
    operator.tasks(dump)
    (made,) = operator.made(f"database@{server.name}")

    *_postgresql, restore = blocks("One database back")
    operator.tasks(restore)
    assert trial.ask(COUNT, "shop") == ["3"]

    trial.ask("DROP DATABASE shop")
    *_others, by_hand = blocks("Only the archive and a shell")
    said = operator.command(by_hand, **{"20261123T101502Z": made["id"]})
    assert said.startswith("-- Dump completed on ")
    assert trial.ask(COUNT, "shop") == ["3"]
