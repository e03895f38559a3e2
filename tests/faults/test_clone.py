# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F01, F06, F07, F11, F12, F20: a clone fails, or is killed. Its target holds the old tree or the new one."""

from __future__ import annotations

import os
import pathlib
import random
import shutil
import signal
import subprocess
import threading
import time

import pytest

from tests.support import disks, records, trees
from tests.support.delays import Delayed
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, kill_child, wait_for

CLONE = "docker_volume_clone"
ROUNDS = 20
OLD_TIME = 1_600_000_000_000_000_001


def noise(engine: Engine, megabytes: int) -> str:
    """A volume that takes a moment to read."""
    volume = engine.volume()
    for number in range(megabytes // 8):
        (engine.path(volume) / f"noise-{number}").write_bytes(os.urandom(8 << 20))
    return volume


def untouched(before: list[str], place: pathlib.Path) -> bool:
    return records.differences(before, records.record(place)) == [] and not list(place.glob(".drydock-*"))


@pytest.mark.parametrize("enough_at_first", [False, True])
def test_f11_the_targets_disk_is_too_small(
    engine: Engine, modules: Modules, work: pathlib.Path, enough_at_first: bool
) -> None:
    source = noise(engine, 96)
    with disks.mounted(work, 128, options=disks.EXT4) as disk:
        data = disk / "data"
        data.mkdir(mode=0o750)
        os.chown(data, 4321, 4321)
        (data / "kept").write_text("as it was")
        os.setxattr(data, "user.note", b"as it was")
        target = engine.bind(data)
        before = records.record(data)
        options = {"source": source, "target": target, "when_not_empty": "replace"}
        if enough_at_first:
            process = modules.start(CLONE, **options)
            wait_for(lambda: any(data.glob(".drydock-staging-*/new/*")), "the first file")
            disks.fill(disk)
            answer = modules.finish(process)
            disks.unfill(disk)
            assert answer["failed"], answer
            assert "No space left on device" in answer["msg"]
            assert f"volume {target}" in answer["msg"]
            assert "is as it was" in answer["msg"]  # whether the disk was full for tar or for the exchange
        else:
            disks.fill(disk, left=1000)
            for check in (True, False):
                message = modules.refused(CLONE, check=check, **options)
                assert f"volume {target}" in message
                assert "bytes free" in message
            disks.unfill(disk)
        assert untouched(before, data)
        answer = modules.run(CLONE, **options)
        assert not answer.get("failed"), answer
        assert records.differences(records.record(engine.path(source)), records.record(data)) == []
        engine.remove(target)


def test_f11_a_volume_made_for_the_clone_is_removed(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    source, target = noise(engine, 32), engine.name()
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        (disk / "data").mkdir()
        device = {"type": "none", "o": "bind", "device": str(disk / "data")}
        message = modules.refused(CLONE, source=source, target=target, driver_options=device)
        assert "bytes free" in message
        assert target not in engine.names()
        assert list((disk / "data").iterdir()) == []


@pytest.mark.parametrize("on_change", ["warn", "fail"])
def test_f07_the_source_changes_while_it_is_read(engine: Engine, modules: Modules, on_change: str) -> None:
    source, target = noise(engine, 64), engine.volume()
    tree, ended = engine.path(source), threading.Event()
    (engine.path(target) / "kept").write_text("as it was")
    (tree / "steady").write_text("not touched meanwhile")
    before = records.record(engine.path(target))

    def change() -> None:
        while not ended.is_set():
            for number in range(8):
                with open(tree / f"noise-{number}", "ab") as file:
                    file.write(b"more")

    writer = threading.Thread(target=change)
    writer.start()
    try:
        answer = modules.run(CLONE, source=source, target=target, on_change=on_change, when_not_empty="replace")
    finally:
        ended.set()
        writer.join()
    said = str(answer["msg"] if on_change == "fail" else answer["warnings"])
    assert "changed, shrank or vanished while read" in said
    assert "noise-" in said
    if on_change == "fail":
        assert answer["failed"]
        assert f"volume {target} is as it was" in answer["msg"]
        assert untouched(before, engine.path(target))
    else:
        assert not answer.get("failed"), answer
        assert (engine.path(target) / "steady").read_text() == "not touched meanwhile"
        assert not (engine.path(target) / "kept").exists()


def test_f01_a_tar_dies_and_f20_the_sources_containers_run_again(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    source, target = noise(engine, 256), engine.volume()
    (engine.path(target) / "kept").write_text("as it was")
    before, container = records.record(engine.path(target)), engine.run(source)
    process = modules.start(CLONE, source=source, target=target, when_not_empty="replace", quiesce="stop")
    kill_child(process.pid, "tar")
    answer = modules.finish(process)
    assert answer["failed"]
    assert "tar was killed by SIGKILL" in answer["msg"]
    assert f"volume {target} is as it was" in answer["msg"]
    assert untouched(before, engine.path(target))
    assert engine.state(container) == "running"
    assert list((work / "state").rglob("*.json")) == []


@pytest.mark.parametrize("verify", ["compare", "none"])
def test_a_tar_that_says_that_all_went_well(engine: Engine, modules: Modules, work: pathlib.Path, verify: str) -> None:
    source, target = engine.volume(), engine.volume()
    (engine.path(source) / "file").write_bytes(bytes(5000))
    (engine.path(target) / "kept").write_text("as it was")
    before = records.record(engine.path(target))
    (work / "bin").mkdir()
    spoil = 'touch -r "$d/file" "$0.t"; printf X | dd of="$d/file" bs=1 seek=4321 conv=notrunc status=none'
    (work / "bin" / "gtar").write_text(
        f"""#!/bin/sh
{shutil.which("tar")} "$@" || exit
[ "$1" = --extract ] || exit 0
for a; do case $a in --directory=*) d=${{a#*=}};; esac; done
{spoil}; touch -r "$0.t" "$d/file"
"""
    )
    (work / "bin" / "gtar").chmod(0o755)
    time.sleep(0.1)  # what has changed just before the read isn't compared
    options = {"source": source, "target": target, "when_not_empty": "replace", "verify": verify}
    answer = modules.run(CLONE, environment={"PATH": f"{work / 'bin'}:{os.environ['PATH']}"}, **options)
    if verify == "none":
        assert not answer.get("failed"), answer
        return
    assert answer["failed"], answer
    assert "./file: contents differ at byte 4321" in answer["msg"]
    assert f"volume {target} is as it was" in answer["msg"]
    assert untouched(before, engine.path(target))


def test_f06_a_file_can_not_be_read(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    with disks.mounted(work, 64, options=disks.EXT4) as disk:
        (disk / "first").write_bytes(os.urandom(1 << 20))
        source, target = engine.bind(disk), engine.name()
        subprocess.run(["sync", "--file-system", disk], check=True)
        disks.forget(disk / "first")
        disks.unplug(disk)
        message = modules.refused(CLONE, source=source, target=target, driver_options={})
        assert f"volume {source}" in message
        assert "Input/output error" in message
        assert target not in engine.names()
        engine.remove(source)


def test_f21_sigterm_while_the_target_is_made(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    source, target = noise(engine, 1), engine.name()
    with Delayed(work, "/volumes/create") as delayed:
        process = modules.start(CLONE, source=source, target=target, docker_host=delayed.host)
        assert delayed.seen.wait(60)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # without an answer it doesn't know whether there is a volume to remove
        assert process.poll() is None
        delayed.go()
        answer = modules.finish(process)
    assert "ended by SIGTERM" in answer["msg"]
    assert target not in engine.names()
    assert list((work / "state").rglob("*.json")) == []


def test_f21_sigterm_amid_the_copy(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    source, target = noise(engine, 256), engine.name()
    container = engine.run(source)
    process = modules.start(CLONE, source=source, target=target, quiesce="stop")
    wait_for(lambda: "tar" in children(process.pid).values(), "tar")
    process.send_signal(signal.SIGTERM)
    answer = modules.finish(process)
    assert "ended by SIGTERM" in answer["msg"]
    assert engine.state(container) == "running"
    assert target not in engine.names()
    assert list((work / "state").rglob("*.json")) == []


def test_f12_killed_at_any_instant(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    source, target, spare = engine.volume(), engine.volume(), engine.volume()
    trees.make_nasty(engine.path(source))
    (engine.path(source) / "in both").write_text("of the source")
    place, new = engine.path(target), records.record(engine.path(source))
    writer, user = engine.run(source), engine.run(target)
    options = {"source": source, "target": target, "when_not_empty": "replace", "quiesce": "stop"}

    def make_old() -> list[str]:
        trees.remove(place / "in both")
        for entry in place.iterdir():
            trees.remove(entry)
        os.chmod(place, 0o751)
        os.chown(place, 1234, 4321)
        (place / "in both").write_text("older and different")
        os.utime(place, ns=(OLD_TIME, OLD_TIME))
        return records.record(place)

    make_old()
    whole = modules.seconds(CLONE, **options)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, seen = random.Random(seed), []
    for _round in range(ROUNDS):
        old = make_old()
        process = modules.start(CLONE, **options)
        time.sleep(dice.uniform(0.2, 1.0) * whole)
        started = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda started=started: not any(os.path.exists(f"/proc/{pid}") for pid in started), "its end")
        # any run recovers; this one has to do with neither volume
        modules.backup(spare, repository=str(work / "other"), stop_timeout=15)
        for left in place.glob(".drydock-staging-*"):
            shutil.rmtree(left)  # of one that died before it began with the exchange; the next clone would
            os.utime(place, ns=(OLD_TIME, OLD_TIME))
        now = records.record(place)
        to_new, to_old = records.differences(new, now), records.differences(old, now)
        assert [] in (to_new, to_old), (to_new[:5], to_old[:5])
        seen.append("old" if to_new else "new")
        assert records.differences(new, records.record(engine.path(source))) == []
        assert (engine.state(writer), engine.state(user)) == ("running", "running")
        assert list((work / "state").rglob("*.json")) == []
    print(seen)
    answer = modules.run(CLONE, **options)
    assert not answer.get("failed"), answer
    assert records.differences(new, records.record(place)) == []
    assert not list(place.glob(".drydock-*"))
