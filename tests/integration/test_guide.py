# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_backup.md: every playbook, task and command in it runs and does what the text around it says; its samples
are of what really comes out, and the messages in its table are the code's.

Only names are replaced: volumes, containers, hosts, keys and paths of the reader's by those of the test. Where
containers are to have programs of a database, these are scripts that write a file.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import re
import subprocess

import pytest
import yaml

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.guide import ID, Guide, Operator, container, shape, unknown
from tests.support.modules import Modules

GUIDE = Guide("guide_backup.md")
blocks, rows = GUIDE.blocks, GUIDE.rows

KINDS = {
    "The first backup": ["yaml", "shell"],
    "What a backup is": ["shell", "text", "json"],
    "Stopping containers": ["yaml"],
    "A run was interrupted": ["shell", "json", "shell"],
    "Labels in a Compose file": ["yaml", "yaml"],
    "Commands in containers": ["yaml"],
    "Encryption with keys that the host doesn't have": ["shell", "yaml", "shell", "yaml"],
    "Proving a backup": ["yaml"],
    "Keeping and expiring": ["yaml"],
    "Watching": ["yaml"],
    "Many volumes": ["yaml"],
    "What would happen": ["shell", "text"],
    "Reading the result": ["yaml"],
    "Restoring": ["yaml", "shell", "shell", "shell"],
}


@pytest.fixture
def programs(work: pathlib.Path) -> pathlib.Path:
    """A directory with the programs of the guide's containers."""
    directory = work / "programs"
    directory.mkdir()
    (directory / "pg_dumpall").write_text('#!/bin/sh\n[ "$1" = --username=postgres ] && echo dumped > "${2#--file=}"\n')
    (directory / "pg_dumpall").chmod(0o755)
    return directory


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS


def test_the_links_within_lead_somewhere() -> None:
    assert GUIDE.links() <= GUIDE.anchors()


def test_the_first_backup(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    database, uploads = engine.volume(), engine.volume()
    (engine.path(uploads) / "picture").write_bytes(os.urandom(100_000))
    run = Operator(work, {"pgdata": database, "uploads": uploads})
    playbook, play = blocks("The first backup")
    run.playbook("backup.yml", playbook)
    assert "changed=1" in run.command(play)
    assert [len(run.made(volume)) for volume in (database, uploads)] == [1, 1]

    listing, listed, manifest = blocks("What a backup is")
    assert ID.sub("ID", run.command(listing)) == ID.sub("ID", listed)

    shown = json.loads(manifest)
    engine.run(uploads)
    (made,) = modules.backup(uploads, repository=str(work / "other"), quiesce="stop", verify="archive")["backups"]
    stored = json.loads(pathlib.Path(made["path"].replace(".tar.zst", ".json")).read_text())
    assert stored.pop("engine")
    assert shape(shown) == shape(stored)


def test_stopping_containers(engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path) -> None:
    volume, name = engine.volume(), engine.name()
    database = container(engine, name, {volume: "/data"}, programs)
    run = Operator(work, {"pgdata": volume, "shop-db-1": name})
    (task,) = blocks("Stopping containers")
    look, entry, start = blocks("A run was interrupted")
    journal = work / "state" / "journal"

    before = engine.started_at(database)
    run.tasks(task)
    (made,) = run.made(volume)
    assert (made["consistency"]["quiesce"], made["consistency"]["containers"]) == ("stop", [name])
    assert engine.state(database) == "running"
    assert engine.started_at(database) != before
    assert list(journal.iterdir()) == []

    for by_hand in (True, False):
        run.tasks(task, fails=True, DRYDOCK_TEST_KILL_AT="containers-stopped")
        assert engine.state(database) == "exited"
        assert shape(json.loads(run.command(look))) == shape(json.loads(entry))
        (left,) = journal.iterdir()
        if by_hand:
            run.command(start)
            assert engine.state(database) == "running"
            started = engine.started_at(database)
        answer = modules.backup(engine.volume(), repository=str(work / "other"), check=True)
        assert "a run was interrupted" in str(answer["warnings"])
        assert left.exists()
        answer = modules.backup(engine.volume(), repository=str(work / "other"))
        assert engine.state(database) == "running"
        assert not left.exists()
        if by_hand:
            assert engine.started_at(database) == started
        else:
            assert f"container {name} was started: a run that was interrupted" in str(answer["warnings"])
    assert len(run.made(volume)) == 1
    assert list(run.backups.rglob("*.partial"))
    run.tasks(task)
    assert len(run.made(volume)) == 2
    assert not list(run.backups.rglob("*.partial"))


def test_labels_in_a_compose_file(engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path) -> None:
    compose, task = blocks("Labels in a Compose file")
    project = yaml.safe_load(compose)
    ours = engine.name()
    volumes = {}
    for name, options in project["volumes"].items():
        volumes[name] = engine.name()
        # so that what else is on this host isn't selected
        labels = {**((options or {}).get("labels") or {}), "drydock.test-run": ours}
        engine.api.create_volume(volumes[name], labels=labels)
    containers = {}
    for name, service in project["services"].items():
        mounts = dict(mount.split(":") for mount in service["volumes"])
        containers[name] = container(
            engine,
            engine.name(),
            {volumes[volume]: place for volume, place in mounts.items()},
            programs,
            {
                **service["labels"],
                "com.docker.compose.project": ours,
                "com.docker.compose.service": name,
                "com.docker.compose.depends_on": ",".join(
                    f"{other}:service_started:false" for other in service.get("depends_on", [])
                ),
            },
        )
    before = {name: engine.started_at(identifier) for name, identifier in containers.items()}
    run = Operator(work, {"drydock.backup=true": f"drydock.backup=true, drydock.test-run={ours}"})
    run.tasks(task)

    ways = {name: [made["consistency"]["quiesce"] for made in run.made(volumes[name])] for name in volumes}
    assert ways == {"pgdata": [], "dumps": ["none"], "pages": ["stop"], "uploads": ["none"]}
    again = [name for name, identifier in containers.items() if engine.started_at(identifier) != before[name]]
    assert again == ["wiki"]
    assert {engine.state(identifier) for identifier in containers.values()} == {"running"}
    _holds_the_dump(engine, modules, run, volumes["dumps"])


def _holds_the_dump(engine: Engine, modules: Modules, run: Operator, volume: str) -> None:
    """The dump is in the backup, and gone from the volume."""
    assert list(engine.path(volume).iterdir()) == []
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(run.backups))
    assert (engine.path(target) / "all.sql").read_text() == "dumped\n"


def test_commands_in_containers(engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path) -> None:
    volume, name = engine.volume(), engine.name()
    container(engine, name, {volume: "/dumps"}, programs)
    run = Operator(work, {"volumes: [dumps]": f"volumes: [{volume}]", "shop-db-1": name})
    (task,) = blocks("Commands in containers")
    run.tasks(task)
    _holds_the_dump(engine, modules, run, volume)

    (programs / "pg_dumpall").write_text("#!/bin/sh\necho no room; exit 1\n")
    said = run.tasks(task, fails=True)
    assert f"a command in the container {name} exited 1: no room" in said
    assert len(run.made(volume)) == 1


def test_encrypted_and_restored_by_hand(engine: Engine, work: pathlib.Path) -> None:
    volume, elsewhere = engine.volume(), work / "elsewhere"
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    elsewhere.mkdir()
    run = Operator(work, {"uploads": volume, "/etc/drydock": str(elsewhere)})
    age_keys, with_age, gpg_keys, with_gpg = blocks("Encryption with keys that the host doesn't have")
    _task, _plain, from_age, from_gpg = blocks("Restoring")
    try:
        (public,) = re.findall(r"^age1\w+$", run.command(age_keys, elsewhere), re.MULTILINE)
        run.tasks(re.sub(r"age1\w+", public, with_age))
        nobody_asks = "gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key"
        run.command(gpg_keys, elsewhere, **{"gpg --quick-generate-key": nobody_asks})
        run.tasks(with_gpg)

        age, gpg = run.made(volume)
        assert age["archive"]["encryption"]["recipients"] == [public]
        assert gpg["archive"]["encryption"]["method"] == "gpg"
        for made, by_hand in ((age, from_age), (gpg, from_gpg)):
            target = work / made["archive"]["encryption"]["method"]
            target.mkdir()
            replace = {"ID": made["id"], "DIRECTORY": str(target), "volumes.key": str(elsewhere / "volumes.key")}
            run.command(by_hand, made["path"].parent, **replace)
            assert records.differences(before, records.record(target)) == []
    finally:
        subprocess.run(["gpgconf", "--homedir", str(work / ".gnupg"), "--kill", "all"], check=True)


def test_restoring(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    run = Operator(work, {"pgdata": volume})
    backup = modules.backup(volume, repository=str(run.backups))["backups"][0]
    task, by_hand, *_encrypted = blocks("Restoring")

    engine.remove(volume)
    run.tasks(task)
    assert records.differences(before, records.record(engine.path(volume))) == []

    engine.remove(volume)
    said = run.command(by_hand, ID=backup["id"])
    assert said.split()[0] == backup["archive"]["sha256"]
    assert records.differences(before, records.record(engine.path(volume))) == []


def test_proving_a_backup(engine: Engine, work: pathlib.Path) -> None:
    volume = engine.volume()
    trees.make_nasty(engine.path(volume))
    run = Operator(work, {"uploads": volume})
    (task,) = blocks("Proving a backup")
    run.tasks(task)
    assert run.made(volume)[0]["verification"]["method"] == "restore"


def test_keeping_and_expiring(engine: Engine, work: pathlib.Path) -> None:
    volume = engine.volume()
    run = Operator(work, {"uploads": volume})
    (task,) = blocks("Keeping and expiring")
    run.tasks(task)
    (made,) = run.made(volume)
    folder = made["path"].parent
    now = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0)
    for night in range(1, 400):
        earlier = (now - dt.timedelta(days=night)).strftime("%Y%m%dT%H%M%SZ")
        text = (folder / f"{made['id']}.json").read_text().replace(made["id"], earlier)
        (folder / f"{earlier}.json").write_text(text)
        os.link(made["path"], folder / f"{earlier}.tar.zst")
    run.tasks(task)
    (fewest, most) = re.findall(r"settles at (\d+) to (\d+) backups", GUIDE.text)[0]
    assert int(fewest) <= len(run.made(volume)) <= int(most)


def test_watching(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    run = Operator(work, {"pgdata": volume})
    (tasks,) = blocks("Watching")
    modules.backup(volume, repository=str(run.backups))
    run.tasks(tasks)
    (made,) = run.made(volume)
    earlier = (dt.datetime.now(dt.UTC) - dt.timedelta(days=1, minutes=1)).strftime("%Y%m%dT%H%M%SZ")
    for file in made["path"].parent.glob(f"{made['id']}.*"):
        if file.suffix == ".json":
            file.write_text(file.read_text().replace(made["id"], earlier))
        file.rename(file.with_name(file.name.replace(made["id"], earlier)))
    assert "Fail if the newest one is older than a day" in run.tasks(tasks, fails=True)
    assert len(run.made(volume)) == 1


def test_many_volumes(engine: Engine, work: pathlib.Path) -> None:
    first, cache, last = engine.volume(), engine.volume(), engine.volume()
    run = Operator(work, {"shop_cache": cache, "shop_*": engine._prefix + "-*"})
    (task,) = blocks("Many volumes")
    run.tasks(task)
    assert [len(run.made(volume)) for volume in (first, cache, last)] == [1, 0, 1]
    assert {made["path"].parts[-3] for made in run.made(first)} == {"db1"}
    assert "changed=0" in run.tasks(task)
    (engine.path(last) / "new").touch()
    run.tasks(task)
    assert [len(run.made(volume)) for volume in (first, cache, last)] == [1, 0, 2]


def test_what_would_happen(engine: Engine, work: pathlib.Path, programs: pathlib.Path) -> None:
    database, uploads, name = engine.volume(), engine.volume(), engine.name()
    container(engine, name, {database: "/data"}, programs)
    names = {"pgdata": database, "uploads": uploads, "shop-db-1": name}
    run = Operator(work, names)
    playbook, play = blocks("The first backup")
    look, shown = blocks("What would happen")
    run.playbook("backup.yml", playbook.rstrip() + "\n        quiesce: stop\n")
    run.command(play)
    before = sorted(run.backups.rglob("*")), engine.started_at(name)
    said = run.command(look)
    for theirs, ours in names.items():
        shown = shown.replace(theirs, ours)
    assert ID.sub("ID", shown) in ID.sub("ID", said)
    assert (sorted(run.backups.rglob("*")), engine.started_at(name)) == before


def test_reading_the_result(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    ours = engine.name()
    good, bad = engine.name(), engine.name()
    labels = {"drydock.backup": "true", "drydock.test-run": ours}
    engine.api.create_volume(good, labels=labels)
    run = Operator(work, {"drydock.backup=true": f"drydock.backup=true, drydock.test-run={ours}"})
    (tasks,) = blocks("Reading the result")
    assert '"backup_failures_db1": []' in run.tasks(tasks)
    engine.api.create_volume(
        bad, driver_opts={"type": "none", "o": "bind", "device": str(work / "gone")}, labels=labels
    )
    said = run.tasks(tasks, fails=True)
    stats = json.loads(re.findall(r"^\s*RUN: (.+)$", said, re.MULTILINE)[0])
    assert [failure["volume"] for failure in stats["backup_failures_db1"]] == [bad]
    assert len(run.made(good)) == 2

    answer = modules.backup(good, repository=str(run.backups))
    keys = {key.strip("`") for key, _meaning in rows("Reading the result")}
    assert keys == set(answer) & {"backups", "unchanged", "expired", "failures"}


@pytest.mark.parametrize("row", rows("When a task fails"), ids=lambda row: row[0][:40])
def test_the_messages_are_those_of_the_code(row: list[str]) -> None:
    messages = re.findall(r"`(.+?)`", row[0])
    assert messages
    assert unknown(messages) == []
