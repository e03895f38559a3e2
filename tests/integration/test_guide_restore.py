# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/guide_restore.md: every playbook and command in it runs and does what the text around it says; what it shows is
what really comes out, and the messages in its table are the code's.

Only names are replaced: volumes, containers, keys and paths of the reader's by those of the test.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import re
import subprocess
import time

import pytest
import yaml

from plugins.modules import docker_volume_restore
from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.guide import ID, Guide, Operator, container, unknown
from tests.support.modules import Modules

GUIDE = Guide("guide_restore.md")
blocks, rows = GUIDE.blocks, GUIDE.rows
HOSTS = ("db1", "db2")

KINDS = {
    "One volume back": ["shell", "text"],
    "The volume is gone, or empty": ["yaml", "shell", "text"],
    "The volume holds something broken": ["yaml", "shell", "text"],
    "The whole host back on new hardware": ["yaml", "yaml", "shell", "text", "shell"],
    "Another host's data": ["yaml", "shell", "text"],
    "A point in time": ["yaml", "shell", "text"],
    "A copy to try things on": ["yaml"],
    "Only the archive and a shell": ["shell", "text"] * 6 + ["shell", "shell"],
    "Another tool's archive": ["yaml"],
    "Encrypted backups": ["yaml"],
    "Space": ["yaml"],
}


def plain(text: str) -> str:
    """What a play prints, without what is another time another."""
    text = re.sub(r"\*{3,}", "***", ID.sub("ID", text))
    text = re.sub(r"(\"(?:entries|bytes|allocated_bytes|entries in its root)\": )\d+", r"\1N", text)
    text = re.sub(r"(?m) +$", "", re.sub(r"=(\d+) +", r"=\1 ", text))
    return re.sub(r'"(sha256|fingerprint)": "[0-9a-f]+…?"', r'"\1": "HEX"', text)


def shown(sample: str, said: str, **names: str) -> None:
    """A sample in the guide must be what was printed; … stands for whatever was left out."""
    for theirs, ours in names.items():
        said = said.replace(ours, theirs)
    said, at = plain(said), 0
    for part in re.split(r"…\n?", plain(sample)):
        assert part in said[at:], said
        at = said.index(part, at) + len(part)


@pytest.fixture
def programs(work: pathlib.Path) -> pathlib.Path:
    """An empty directory: the containers of this guide need no programs."""
    directory = work / "programs"
    directory.mkdir()
    return directory


def test_no_block_is_overlooked() -> None:
    assert GUIDE.kinds() == KINDS


def test_the_links_within_lead_somewhere() -> None:
    assert GUIDE.links() <= GUIDE.anchors()


def test_the_first_screen_leads_to_the_five_situations() -> None:
    start = GUIDE.text.split("\n## ")[0]
    assert len(start.splitlines()) < 40
    situations = [title for title in GUIDE.sections() if "You are here" in GUIDE.sections()[title]]
    assert len(situations) == 5
    for title in situations:
        assert f"[{title}](#" in start


def test_one_volume_back(engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path) -> None:
    volume, repository = engine.volume(), str(work / "backups")
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    for _night in range(2):
        modules.backup(volume, repository=repository)
        time.sleep(1.1)
    run = Operator(work, {"pgdata": volume}, HOSTS)
    look, listed = blocks("One volume back")
    names = {"pgdata": volume, "/var/backups/volumes/db1": str(next((work / "backups").iterdir()))}
    shown(listed, run.command(look), **names)

    playbook, play, sample = blocks("The volume is gone, or empty")
    engine.remove(volume)
    run.playbook("restore.yml", playbook)
    said = run.command(play)
    shown(sample, said, **names)
    assert records.differences(before, records.record(engine.path(volume))) == []

    playbook, play, sample = blocks("The volume holds something broken")
    run.playbook("replace.yml", playbook)
    (engine.path(volume) / "broken").touch()
    held = container(engine, engine.name(), {volume: "/data"}, programs)
    started = engine.started_at(held)
    look, do = play.splitlines()
    broken = records.record(engine.path(volume))
    names |= {"shop-db-1": engine.api.inspect_container(held)["Name"].lstrip("/")}
    shown(sample, run.command(look), **names)
    assert records.differences(broken, records.record(engine.path(volume))) == []
    assert engine.started_at(held) == started
    shown(sample, run.command(do), **names)
    assert records.differences(before, records.record(engine.path(volume))) == []
    assert engine.state(held) == "running"
    assert engine.started_at(held) != started
    assert "changed=0" in run.command(do)


def test_the_whole_host(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    repository, media = str(work / "backups"), work / "media"
    media.mkdir()
    bind, other, database = engine.bind(media), engine.name(), engine.name()
    (media / "picture").write_bytes(os.urandom(100_000))
    # names that differ in case only
    for volume in (f"{database}-a", f"{database}-A", other):
        engine.api.create_volume(volume, labels={"com.docker.compose.project": "shop"})
        (engine.path(volume) / "name").write_text(volume)
    everything = (bind, f"{database}-a", f"{database}-A", other)
    for _night in range(2):
        made = modules.backup(*everything, repository=repository, host="db1")["backups"]
        time.sleep(1.1)
    assert len(made) == 4
    for volume in everything:
        engine.remove(volume)
    trees.remove(media)

    run = Operator(work, {"/srv/media": str(media), "pgdata": other}, HOSTS)
    directories, playbook, look, sample, again = blocks("The whole host back on new hardware")
    run.playbook("directories.yml", directories)
    run.playbook("restore_host.yml", playbook)
    names = {"/srv/media": str(media), "pgdata": other, "media": bind}
    said = run.command(look, fails=True)
    shown(sample, said, **names)
    assert f"its device {str(media)!r} is not a directory on this host; mount or create it" in said
    assert engine.names() == []

    do = look.replace("--check ", "")
    said = run.command(do, fails=True)
    assert engine.names() == sorted(set(everything) - {bind})
    assert all((engine.path(volume) / "name").read_text() == volume for volume in engine.names())
    assert engine.inspect(other)["Labels"] == {"com.docker.compose.project": "shop"}

    run.shell("ansible-playbook -i inventory.ini directories.yml")
    left = '["' + '", "'.join(engine.names()) + '"]'
    said = run.command(again.replace('["pgdata"]', left))
    assert "changed=1" in said
    assert engine.names() == sorted(everything)
    assert (media / "picture").stat().st_size == 100_000


def test_another_hosts_data(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    share = work / "share"
    share.mkdir()
    volume, target = engine.bind(share), engine.name()
    (share / "row").write_text("theirs")
    modules.backup(volume, repository=str(work / "backups"), host="db1")
    run = Operator(work, {"pgdata_inspect": target, "pgdata": volume}, HOSTS)
    playbook, play, sample = blocks("Another host's data")
    run.playbook("inspect.yml", playbook)
    shown(sample, run.command(play), pgdata_inspect=target, pgdata=volume)
    made = engine.inspect(target)
    assert (made["Options"] or {}, made["Labels"] or {}) == ({}, {})
    assert (engine.path(target) / "row").read_text() == "theirs"


def test_a_point_in_time(engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path) -> None:
    volume, name, repository = engine.volume(), engine.name(), str(work / "backups")
    container(engine, name, {volume: "/data"}, programs)
    state = engine.path(volume) / "state"
    state.write_text("before the migration")
    (good,) = modules.backup(volume, repository=repository)["backups"]
    time.sleep(1.1)
    state.write_text("after the migration")
    modules.backup(volume, repository=repository)
    state.write_text("spoilt")
    run = Operator(work, {"pgdata": volume, "2026-11-23T09:00:00Z": good["started_at"]}, HOSTS)
    playbook, play, sample = blocks("A point in time")
    run.playbook("point_in_time.yml", playbook)
    look, do = play.splitlines()
    names = {"shop-db-1": name, "pgdata": volume}
    assert good["id"] in run.command(look)
    assert state.read_text() == "spoilt"
    time.sleep(1.1)
    shown(sample, run.command(do), **names)
    assert state.read_text() == "before the migration"
    assert len(run.made(volume)) == 3
    newest = run.made(volume)[-1]["id"]
    modules.restore(volume, repository=repository, backup=newest, when_not_empty="replace", quiesce="stop")
    assert state.read_text() == "spoilt"


def test_a_copy_to_try_things_on(engine: Engine, work: pathlib.Path, programs: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.name()
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    held = container(engine, engine.name(), {volume: "/data"}, programs)
    started = engine.started_at(held)
    (playbook,) = blocks("A copy to try things on")
    run = Operator(work, {"pgdata_trial": target, "pgdata": volume})
    run.playbook("clone.yml", playbook)
    run.shell("ansible-playbook -i inventory.ini clone.yml")
    assert records.differences(before, records.record(engine.path(target))) == []
    assert not engine.inspect(target)["Labels"]
    assert engine.state(held) == "running"
    assert engine.started_at(held) != started


def test_only_the_archive_and_a_shell(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.name(), str(work / "backups")
    engine.api.create_volume(volume)
    trees.make_nasty(engine.path(volume))
    trees.remove(engine.path(volume) / "times")  # tar says of a time in the far future that it is one
    before = records.record(engine.path(volume))
    for _night in range(2):
        (made,) = modules.backup(volume, repository=repository, host="db1")["backups"]
        time.sleep(1.1)
    engine.remove(volume)
    run = Operator(work, {"pgdata": volume}, HOSTS)
    texts = blocks("Only the archive and a shell")
    commands, samples = texts[0:12:2], texts[1:12:2]
    # the sixth is one command more than the fifth: all in one shell, as the text says, with a line between
    mark = "======\n"
    (identifier,) = ID.finditer(commands[1])
    said = run.command(f"echo {mark}".join(commands), **{identifier[0]: made["id"]}).split(mark)
    assert f"{made['content']['entries']}\n" == said[5]
    for sample, printed in zip(samples[:3], said[:3], strict=True):
        shown(sample, printed, pgdata=volume)
    assert [line.strip() for line in said[3].splitlines()][:2] == [volume, "Avail"]
    assert len(said[3].splitlines()) == 3
    assert said[4] == samples[4]
    assert re.fullmatch(r"\d+\n", samples[5])
    assert records.differences(before, records.record(engine.path(volume))) == []


def keys(elsewhere: pathlib.Path, run: Operator) -> str:
    """Make a pair of keys for age in volumes.key, and one for gpg in the keyring; return the public one for age."""
    elsewhere.mkdir()
    run.command(
        "gpg --batch --pinentry-mode loopback --passphrase '' --quick-generate-key volumes default default never"
    )
    run.command("gpg --armor --export volumes > volumes.asc", elsewhere)
    run.command("age-keygen -o volumes.key 2> /dev/null", elsewhere)
    return run.command("age-keygen -y volumes.key", elsewhere).strip()


def test_encrypted(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, elsewhere = engine.volume(), work / "elsewhere"
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    run = Operator(work, {"uploads": volume, "/run/volumes.key": str(work / "run.key")}, HOSTS)
    try:
        public = keys(elsewhere, run)
        gpg = {"method": "gpg", "recipients_file": [str(elsewhere / "volumes.asc")]}
        age = {"method": "age", "recipients": [public]}
        for number, encryption in enumerate((gpg, age)):
            (made,) = modules.backup(volume, repository=str(run.backups), encryption=encryption)["backups"]
            target = work / f"by-hand-{number}"
            target.mkdir()
            # the guide has age first
            by_hand = blocks("Only the archive and a shell")[-1 - number]
            prefix = f"ID={made['id']}\nDIRECTORY={target}\n"
            where = {"volumes.key": str(elsewhere / "volumes.key")}
            assert run.command(prefix + by_hand, pathlib.Path(made["path"]).parent, **where) == "0 0 0\n"
            assert records.differences(before, records.record(target)) == []
            time.sleep(1.1)
        (playbook,) = blocks("Encrypted backups")
        engine.remove(volume)
        run.playbook("restore_encrypted.yml", playbook)
        (work / "volumes.key").write_bytes((elsewhere / "volumes.key").read_bytes())
        play = "ansible-playbook -i inventory.ini --diff restore_encrypted.yml"
        run.shell(f"{play} --check")
        assert engine.names() == []
        said = run.shell(play)
        assert "AGE-SECRET-KEY" not in said
        assert not (work / "run.key").exists()
        assert records.differences(before, records.record(engine.path(volume))) == []
    finally:
        subprocess.run(["gpgconf", "--homedir", str(work / ".gnupg"), "--kill", "all"], check=True)


def test_another_tools_archive(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, archive = engine.volume(), work / "old.tar.gz"
    (engine.path(volume) / "base").mkdir()
    (engine.path(volume) / "base" / "row").write_text("old")
    engine.import_image()
    made = f"docker run --rm --network none -v {volume}:/data {engine.IMAGE} tar czf - /data > {archive}"
    subprocess.run(["bash", "-c", made], check=True, capture_output=True)
    engine.remove(volume)
    (playbook,) = blocks("Another tool's archive")
    (checksum,) = re.findall(r"[0-9a-f]{64}", playbook)
    run = Operator(
        work,
        {
            "/mnt/old/pgdata.tar.gz": str(archive),
            "pgdata": volume,
            checksum: hashlib.sha256(archive.read_bytes()).hexdigest(),
        },
        HOSTS,
    )
    run.playbook("old_archive.yml", playbook)
    run.shell("ansible-playbook -i inventory.ini old_archive.yml")
    assert (engine.path(volume) / "base" / "row").read_text() == "old"
    assert os.listdir(engine.path(volume)) == ["base"]

    # one of ours without its manifest
    before = records.record(engine.path(volume))
    (ours,) = modules.backup(volume, repository=str(work / "backups"))["backups"]
    target = engine.name()
    modules.restore(target, archive=ours["path"], strip_components=0)
    assert records.differences(before, records.record(engine.path(target))) == []


def test_a_volume_that_cant_hold_both(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    state = engine.path(volume) / "state"
    state.write_text("good")
    run = Operator(work, {"media": volume, "/mnt/safety/volumes": str(work / "safety")}, HOSTS)
    modules.backup(volume, repository=str(run.backups))
    state.write_text("broken")
    (playbook,) = blocks("Space")
    run.playbook("unstaged.yml", playbook)
    run.shell("ansible-playbook -i inventory.ini unstaged.yml")
    assert state.read_text() == "good"
    target = engine.name()
    modules.restore(target, source_volume=volume, repository=str(work / "safety"))
    assert (engine.path(target) / "state").read_text() == "broken"


@pytest.mark.parametrize(
    ("point", "left", "then"),
    [("containers-stopped", "exited", "changed"), ("all-out", "exited", "ok"), ("old-dropped", "exited", "ok")],
)
def test_what_a_restore_guarantees(
    engine: Engine, modules: Modules, work: pathlib.Path, programs: pathlib.Path, point: str, left: str, then: str
) -> None:
    volume = engine.volume()
    state = engine.path(volume) / "state"
    state.write_text("good")
    run = Operator(work, {"pgdata": volume})
    modules.backup(volume, repository=str(run.backups))
    state.write_text("broken")
    held = container(engine, engine.name(), {volume: "/data"}, programs)
    playbook, _play, _sample = blocks("The volume holds something broken")
    tasks = yaml.safe_dump(yaml.safe_load(playbook)[0]["tasks"])
    run.tasks(tasks, fails=True, DRYDOCK_TEST_KILL_AT=point)
    assert engine.state(held) == left
    said = run.tasks(tasks)
    assert f"{then}: [db1]" in said
    assert state.read_text() == "good"
    assert os.listdir(state.parent) == ["state"]
    assert engine.state(held) == "running"


def test_killed_while_it_restores_into_a_new_volume(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    state = engine.path(volume) / "state"
    state.write_text("good")
    run = Operator(work, {"pgdata": volume})
    modules.backup(volume, repository=str(run.backups))
    engine.remove(volume)
    playbook, _play, _sample = blocks("The volume is gone, or empty")
    tasks = yaml.safe_dump(yaml.safe_load(playbook)[0]["tasks"])
    run.tasks(tasks, fails=True, DRYDOCK_TEST_KILL_AT="all-out")
    assert not state.exists()
    assert "is not empty" in run.tasks(tasks, fails=True)
    assert state.read_text() == "good"
    assert os.listdir(state.parent) == ["state"]


def test_all_options_are_in_the_guide() -> None:
    documented = yaml.safe_load(docker_volume_restore.DOCUMENTATION)["options"].keys() - {"volume", "repository"}
    named = {option for row in rows("The options") for option in re.findall(r"`(\w+)`", row[0])}
    assert documented <= named


@pytest.mark.parametrize("row", rows("When a restore fails"), ids=lambda row: row[0][:40])
def test_the_messages_are_those_of_the_code(row: list[str]) -> None:
    messages = re.findall(r"`(.+?)`", row[0])
    assert messages
    assert unknown(messages) == []


@pytest.mark.parametrize(
    "title", [title for title in GUIDE.sections() if "**What can go wrong" in GUIDE.sections()[title]]
)
def test_what_can_go_wrong_is_in_the_code(title: str) -> None:
    text = GUIDE.sections()[title].split("**What can go wrong")[1]
    messages = re.findall(r"^- `(.+?)`:", text, re.MULTILINE)
    assert messages
    general = [re.sub(r"'/srv/media'|\{\}", "…", message) for message in messages]
    general = [re.sub(r"^its device … is not", "is not", message) for message in general]
    assert unknown([re.sub(r"; mount or create it$", "; …", message) for message in general]) == []
