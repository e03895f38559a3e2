# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_offsite.md: its tasks and commands run and do what the text says, its configurations are rclone's, and its
messages are the code's. The remote is a directory of this machine; real servers: test_offsite.py."""

from __future__ import annotations

import configparser
import json
import os
import pathlib
import shutil

from tests.support import remotes
from tests.support.engine import Engine
from tests.support.guide import Guide, Operator, unknown
from tests.support.records import differences, record
from tests.support.remotes import NEW, OLD, Rclone

GUIDE = Guide("guide_offsite.md")
KINDS = {
    "Two ways": ["yaml"],
    "The configuration": ["yaml"],
    "SFTP": ["ini"],
    "S3": ["ini"],
    "WebDAV": ["ini"],
    "Looking at it": ["yaml"],
    "Getting them back": ["yaml", "shell"],
}
# rclone's own words, and not ours
FOREIGN = {"didn't find section in config file"}


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS
    assert GUIDE.links() <= GUIDE.anchors()


def test_the_messages_are_those_of_the_code() -> None:
    shown = {row[0].strip("`").replace("'rclone'", "…") for row in GUIDE.rows("When a copy fails")}
    assert shown >= FOREIGN
    assert unknown(shown - FOREIGN) == []


def test_the_configurations_are_such(work: pathlib.Path) -> None:
    for heading in ("SFTP", "S3", "WebDAV"):
        (text,) = GUIDE.blocks(heading)
        given = configparser.ConfigParser(interpolation=None)
        given.read_string(text)
        options = dict(given["offsite"])
        for program in (NEW, OLD):
            providers = json.loads(Rclone(work, program).run("config", "providers"))
            (provider,) = [each for each in providers if each["Prefix"] == options["type"]]
            known = {option["Name"] for option in provider["Options"]}
            assert options.keys() - known == {"type"}


def test_it_is_copied_listed_and_restored(engine: Engine, work: pathlib.Path) -> None:
    volume, elsewhere = engine.volume(), remotes.alias(work / "elsewhere")
    (engine.path(volume) / "table").write_bytes(os.urandom(100_000))
    before = record(engine.path(volume))
    rclone = Rclone(work)
    rclone.add(elsewhere.section("offsite"))
    names = {
        "pgdata": volume,
        "host: db1": f"host: {os.uname().nodename}",
        "/etc/drydock/rclone.conf": str(rclone.config),
    }
    run = Operator(work, names)
    path = f"{NEW.parent}:{os.environ['PATH']}"

    (lay,) = GUIDE.blocks("The configuration")
    text = rclone.config.read_text()
    laid = lay.replace('"{{ drydock_rclone_config }}"', json.dumps(text)).replace("    owner: root\n", "")
    rclone.config.unlink()
    run.tasks(laid, PATH=path)
    assert rclone.config.read_text().strip() == text.strip()
    assert rclone.config.stat().st_mode & 0o777 == 0o600

    (task,) = GUIDE.blocks("Two ways")
    run.tasks(task, PATH=path)
    (made,) = run.made(volume)
    there = list((work / "elsewhere").rglob("2*"))
    assert sorted(file.name for file in there) == [f"{made['id']}.json", f"{made['id']}.tar.zst"]

    (look,) = GUIDE.blocks("Looking at it")
    run.tasks(look, PATH=path)

    restore, by_hand = GUIDE.blocks("Getting them back")
    shutil.rmtree(run.backups)
    engine.remove(volume)
    run.tasks(restore, PATH=path)
    assert differences(before, record(engine.path(volume))) == []

    target = work / "by-hand"
    target.mkdir()
    replaced = {
        "rclone cat": f"{NEW} --config={rclone.config} cat",
        "20261123T101502Z": made["id"],
        "/db1/": f"/{os.uname().nodename}/",
        "/srv/pgdata": str(target),
    }
    run.command(by_hand.replace("/srv/pgdata", str(target)), **replaced)
    assert (target / "table").read_bytes() == (engine.path(volume) / "table").read_bytes()
