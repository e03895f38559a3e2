# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F11, F12, F14: a restore that removes first. Until then nothing is lost; from then on nobody takes the volume for
whole, neither a container nor a backup, until a restore has made it so."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import random
import re
import signal
import subprocess
import time
import typing as t

import pytest

from tests.faults.test_replace import Case as Replaced
from tests.support import disks, records
from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, Answer, Modules
from tests.support.processes import children, wait_for

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"
SOURCE = CHECKOUT / "plugins" / "module_utils" / "_engine" / "unstaged.py"
POINTS = list(dict.fromkeys(re.findall(r'reached\("(.+?)"\)', SOURCE.read_text())))
#: At these the volume still holds what it held, and at those the backup. At all others it holds neither.
OLD, NEW = {"nothing-removed", "no-way-back"}, {"whole", "marker-removed", "unmarked"}
MARKER = ".drydock-restore-incomplete"
LOST = "holds a part of a backup at most"
MEGABYTE = 1 << 20
ROUNDS = 20


class Case(Replaced):
    """The same, and the options of a restore that removes first."""

    def options(self) -> dict[str, t.Any]:
        return {**super().options(), "staging": False}


@pytest.fixture
def case(engine: Engine, modules: Modules, work: pathlib.Path) -> Case:
    return Case(engine, modules, work)


def entries(work: pathlib.Path) -> list[pathlib.Path]:
    """The journal's entries."""
    return list((work / "state").rglob("*.json"))


def killed(modules: Modules, point: str, options: dict[str, t.Any]) -> None:
    process = modules.start(RESTORE, environment={"DRYDOCK_TEST_KILL_AT": point}, **options)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, f"nothing ever reaches the point {point}"


def is_incomplete(engine: Engine, modules: Modules, volume: str, container: str, elsewhere: pathlib.Path) -> None:
    """Nobody takes the volume for whole, however often they look."""
    options = {"volumes": [volume], "repository": str(elsewhere)}
    for _time in range(2):
        for check in (False, True):
            message = modules.refused(BACKUP, check=check, **options)
            assert f"volume {volume} {LOST}" in message
            assert "restore it again, with when_not_empty: replace" in message
        assert engine.state(container) == "exited"
    other = modules.backup(engine.volume(), repository=str(elsewhere))
    assert f"volume {volume} {LOST}" in str(other["warnings"])
    name = engine.api.inspect_container(container)["Name"].lstrip("/")
    assert f"{name} stay stopped until then" in str(other["warnings"])
    assert engine.state(container) == "exited"


def is_restored(case: Case, engine: Engine, modules: Modules, container: str, work: pathlib.Path) -> None:
    assert case.holds() == "new"
    assert engine.state(container) == "running"
    assert entries(work) == []
    modules.backup(case.volume, repository=str(work / "after"))


@pytest.mark.parametrize("point", POINTS)
def test_f12_killed_at_a_named_point(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path, point: str
) -> None:
    container = engine.run(case.volume)
    killed(modules, point, case.options())
    if point in OLD | NEW:
        # any run puts it right; this one backs the very volume up
        modules.backup(case.volume, repository=str(work / "other"))
        assert case.holds() == ("old" if point in OLD else "new")
        assert engine.state(container) == "running"
        assert entries(work) == []
    else:
        is_incomplete(engine, modules, case.volume, container, work / "other")
        message = modules.refused(RESTORE, volume=case.volume, repository=case.repository)
        assert LOST in message
        predicted = modules.run(RESTORE, check=True, **case.options())
        assert predicted["changed"]
    done = modules.run(RESTORE, **case.options())
    assert not done.get("failed"), done
    assert done["changed"]
    is_restored(case, engine, modules, container, work)


@pytest.mark.parametrize("again", [True, False], ids=["fails again", "once"])
def test_a_restore_with_staging_makes_it_whole_too(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path, again: bool
) -> None:
    container = engine.run(case.volume)
    killed(modules, "all-removed", case.options())
    if again:
        killed(modules, "filled", case.options())
        assert len(entries(work)) == 2
    done = modules.run(RESTORE, **{**case.options(), "staging": True})
    assert not done.get("failed"), done
    assert "was started: a run that was interrupted had left it so" in str(done["warnings"])
    is_restored(case, engine, modules, container, work)


def test_without_its_entry_the_mark_still_counts(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    killed(modules, "all-removed", case.options())
    for path in entries(work):
        path.unlink()
    assert LOST in modules.refused(BACKUP, volumes=[case.volume], repository=str(work / "other"))
    done = modules.run(RESTORE, **case.options())
    assert not done.get("failed"), done
    assert case.holds() == "new"


def test_without_its_mark_the_containers_come_back(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    container = engine.run(case.volume)
    killed(modules, "all-removed", case.options())
    (case.path / MARKER).unlink()
    modules.backup(case.volume, repository=str(work / "other"))
    assert engine.state(container) == "running"
    assert entries(work) == []


def test_f21_ended_while_it_extracts(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (case.path / "bulk").write_bytes(os.urandom(48 * MEGABYTE))
    modules.backup(case.volume, repository=case.repository)
    case.new = records.record(case.path)
    container = engine.run(case.volume)
    process = modules.start(RESTORE, **case.options())
    wait_for(lambda: (case.path / MARKER).exists() and len(os.listdir(case.path)) > 1, "the first file")
    wait_for(lambda: "tar" in children(process.pid).values(), "tar")
    process.terminate()
    answer = modules.finish(process)
    assert answer["failed"], answer
    assert "the restore was ended from outside" in answer["msg"]
    assert "is undone" not in answer["msg"]
    assert LOST in answer["msg"]
    is_incomplete(engine, modules, case.volume, container, work / "other")
    modules.run(RESTORE, **case.options())
    is_restored(case, engine, modules, container, work)


@pytest.mark.parametrize("damage", ["flipped", "not an archive"])
def test_f10_nothing_is_removed_for_an_archive_that_is_no_good(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path, damage: str
) -> None:
    container = engine.run(case.volume)
    started = engine.started_at(container)
    (manifest,) = pathlib.Path(case.repository).rglob("*.json")
    archive = manifest.with_suffix(".tar.zst")
    stored = json.loads(manifest.read_text())
    if damage == "flipped":
        data = bytearray(archive.read_bytes())
        data[len(data) // 2] ^= 1
        archive.write_bytes(data)
    else:  # the checksum is right, and one entry less is in it than there should be
        stored["content"]["entries"] += 1
        manifest.write_text(json.dumps(stored))
    for check in (True, False):
        message = modules.refused(RESTORE, check=check, **case.options())
        assert ("is damaged" if damage == "flipped" else "entries") in message
        assert "nothing was changed" in message
    assert case.holds() == "old"
    assert (engine.state(container), engine.started_at(container)) == ("running", started)


def test_f14_who_uses_it_is_refused_or_stopped(case: Case, engine: Engine, modules: Modules) -> None:
    engine.run(case.volume)
    assert "used by running containers" in modules.refused(RESTORE, **{**case.options(), "quiesce": "none"})
    message = modules.refused(RESTORE, **{**case.options(), "when_not_empty": "fail"})
    assert "is not empty" in message
    assert case.holds() == "old"


def test_an_empty_volume_has_nothing_to_lose(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (manifest,) = pathlib.Path(case.repository).rglob("*.json")
    empty, new = engine.volume(), engine.name()
    options = {"repository": case.repository, "source_volume": case.volume, "staging": False}
    whole = manifest.read_text()
    stored = json.loads(whole)
    stored["content"]["entries"] -= 1
    manifest.write_text(json.dumps(stored))
    for volume in (empty, new):
        assert "the volume is as it was" in modules.refused(RESTORE, volume=volume, **options)
    assert list(engine.path(empty).iterdir()) == []
    assert new not in engine.names()
    manifest.write_text(whole)
    for volume in (empty, new):
        modules.restore(volume, **options)
        assert records.differences(case.new, records.record(engine.path(volume))) == []
    assert entries(work) == []


def test_what_is_mounted_inside_is_not_removed(case: Case, modules: Modules) -> None:
    point = case.path / "only old" / "mount"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    try:
        (point / "precious").touch()
        assert f"has something mounted inside, at {point}" in modules.refused(RESTORE, **case.options())
        assert (point / "precious").exists()
    finally:
        subprocess.run(["umount", point], check=True)
    assert (case.path / "in both").read_text() == "older and different"


def test_f11_what_cannot_be_removed(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    container = engine.run(case.volume)
    immutable = case.path / "only old"
    subprocess.run(["chattr", "+i", immutable], check=True)
    try:
        message = lost(modules.run(RESTORE, **case.options()))
        assert f"'{immutable}'" in message
        assert "can't be removed" in message
    finally:
        subprocess.run(["chattr", "-i", immutable], check=True)
    is_incomplete(engine, modules, case.volume, container, work / "other")
    modules.run(RESTORE, **case.options())
    is_restored(case, engine, modules, container, work)


def lost(answer: Answer) -> str:
    """The message of a restore that failed when there was no way back."""
    assert answer["failed"], answer
    assert LOST in answer["msg"]
    assert "as it was" not in answer["msg"]
    assert "nothing was" not in answer["msg"]
    assert "Traceback" not in str(answer) + answer.stderr
    return str(answer["msg"])


# A volume on a disk that can't hold two trees


class Small:
    """Such a volume, with another tree than that of its backup."""

    def __init__(self, engine: Engine, modules: Modules, work: pathlib.Path, disk: pathlib.Path) -> None:
        self.path = disk / "data"
        self.path.mkdir()
        self.volume = engine.bind(self.path)
        self.repository = str(work / "r")
        (self.path / "noise").write_bytes(os.urandom(24 * MEGABYTE))
        os.setxattr(self.path, "user.note", b"of the backup")
        os.utime(self.path, ns=(1_700_000_000_000_000_001,) * 2)
        self.new = records.record(self.path)
        (self.made,) = modules.backup(self.volume, repository=self.repository)["backups"]
        (self.path / "noise").unlink()
        (self.path / "other noise").write_bytes(os.urandom(20 * MEGABYTE))
        os.setxattr(self.path, "user.old", b"of the present")
        os.chmod(self.path, 0o2770)
        self.old = records.record(self.path)

    def options(self, **more: t.Any) -> dict[str, t.Any]:
        own = {"volume": self.volume, "repository": self.repository, "when_not_empty": "replace", "quiesce": "stop"}
        return {**own, **more}

    def holds(self, tree: list[str]) -> bool:
        return records.differences(tree, records.record(self.path)) == []


@pytest.fixture
def small(engine: Engine, modules: Modules, work: pathlib.Path) -> c.Iterator[Small]:
    with disks.mounted(work, 40, options=(*disks.EXT4, "-N", "1024")) as disk:
        yield Small(engine, modules, work, disk)


def test_f11_a_volume_that_cannot_hold_both_trees(
    small: Small, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    container = engine.run(small.volume)
    started = engine.started_at(container)
    for check in (True, False):
        message = modules.refused(RESTORE, check=check, **small.options())
        assert f"take {small.made['content']['allocated_bytes']} bytes on disk" in message
        assert "removed first with staging: false" in message
        assert "neither the old contents nor all of the new ones" in message
        assert "nothing was changed" in message
    assert small.holds(small.old)
    assert engine.started_at(container) == started

    safety = {"repository": str(work / "safety"), "host": "saved"}
    options = small.options(staging=False, safety_backup=safety)
    predicted = modules.run(RESTORE, check=True, diff=True, **options)
    assert not predicted.get("failed"), predicted
    assert predicted["safety_backup"] == {"id": None, "path": None}
    assert small.holds(small.old)
    assert not (work / "safety").exists()
    done = modules.run(RESTORE, diff=True, **options)
    assert not done.get("failed"), done
    assert small.holds(small.new)
    assert engine.state(container) == "running"
    assert engine.started_at(container) != started
    assert entries(work) == []
    assert (done["changed"], done["diff"], done["containers"]) == (True, predicted["diff"], predicted["containers"])
    assert 0 < done["downtime_seconds"] <= done["seconds"]

    saved = done["safety_backup"]
    assert saved["path"] == f"{work}/safety/saved/{small.volume}/{saved['id']}.tar.zst"
    target = engine.volume()
    modules.restore(target, source_volume=small.volume, host="saved", repository=safety["repository"])
    assert records.differences(small.old, records.record(engine.path(target))) == []


def test_f11_what_does_not_fit_alone_is_refused(small: Small, modules: Modules) -> None:
    disks.fill(small.path.parent, left=10)
    for check in (True, False):
        message = modules.refused(RESTORE, check=check, **small.options(staging=False))
        assert "bytes free when the present contents are removed" in message
        assert "nothing was changed" in message
    disks.unfill(small.path.parent)
    assert small.holds(small.old)


def test_f11_more_files_than_inodes_are_refused(
    small: Small, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    many = engine.volume()
    for number in range(1100):
        (engine.path(many) / f"{number}").touch()
    (made,) = modules.backup(many, repository=str(work / "many"))["backups"]
    options = small.options(staging=False, repository=str(work / "many"), source_volume=many)
    for check in (True, False):
        message = modules.refused(RESTORE, check=check, **options)
        assert f"holds {made['content']['entries']} files and directories" in message
        assert "inodes free when the present contents are removed" in message
    assert small.holds(small.old)


def test_f11_the_disk_fills_while_tar_extracts(
    small: Small, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """The manifest doesn't say how much it takes, as that of an older version, and somebody took the room."""
    container = engine.run(small.volume)
    (manifest,) = pathlib.Path(small.repository).rglob("*.json")
    stored = json.loads(manifest.read_text())
    del stored["content"]["allocated_bytes"]
    manifest.write_text(json.dumps(stored))
    disks.fill(small.path.parent)  # the mark takes no block
    safety = {"repository": str(work / "safety")}
    answer = modules.run(RESTORE, **small.options(staging=False, safety_backup=safety))
    message = lost(answer)
    assert "No space left on device" in message
    (saved,) = (work / "safety").rglob("*.tar.zst")
    assert f"what it held is in the safety backup {saved}" in message
    is_incomplete(engine, modules, small.volume, container, work / "other")
    disks.unfill(small.path.parent)
    done = modules.run(RESTORE, **small.options(staging=False, safety_backup=safety))
    assert not done.get("failed"), done
    assert done["safety_backup"] is None
    assert "no safety backup is made of it" in str(done["warnings"])
    assert small.holds(small.new)
    assert engine.state(container) == "running"


@pytest.mark.parametrize("why", ["no room", "a file", "in the volume", "the same folder"])
def test_without_a_safety_backup_nothing_is_removed(
    small: Small, engine: Engine, modules: Modules, work: pathlib.Path, why: str
) -> None:
    container = engine.run(small.volume)
    (work / "full").mkdir()
    with disks.attached(disks.make(work / "full.img", 16, options=disks.EXT4), work / "full") as full:
        (work / "file").touch()
        (work / "way").symlink_to(small.path)
        repository, said = {
            "no room": (full / "r", "No space left on device"),
            "a file": (work / "file", "is not a directory"),
            "in the volume": (work / "way" / "r", "is in the volume itself"),
            "the same folder": (small.repository, "would become the newest backup"),
        }[why]
        options = small.options(staging=False, safety_backup={"repository": str(repository)})
        message = modules.refused(RESTORE, **options)
    assert said in message
    assert ("nothing was removed" if why in ("no room", "a file") else "nothing was changed") in message
    assert small.holds(small.old)
    assert engine.state(container) == "running"
    assert entries(work) == []


def test_killed_amid_the_safety_backup(small: Small, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    container = engine.run(small.volume)
    killed(modules, "archived", small.options(staging=False, safety_backup={"repository": str(work / "safety")}))
    modules.backup(engine.volume(), repository=str(work / "other"))
    assert small.holds(small.old)
    assert engine.state(container) == "running"


def test_an_archive_that_does_not_know_its_root(case: Case, modules: Modules, work: pathlib.Path) -> None:
    """The root keeps its own owner, mode, times, ACL and xattrs."""
    (work / "made").mkdir()
    (work / "made" / "file").write_text("of the archive")
    subprocess.run(["tar", "-czf", work / "bare.tar.gz", "-C", work / "made", "file"], check=True)
    os.setxattr(case.path, "user.note", b"its own")
    before = records.record(case.path)[0]
    options = {"volume": case.volume, "archive": str(work / "bare.tar.gz"), "when_not_empty": "replace"}
    done = modules.run(RESTORE, staging=False, **options)
    assert not done.get("failed"), done
    assert os.listdir(case.path) == ["file"]
    assert records.record(case.path)[0] == before


def test_f12_ended_while_it_removes_many(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    for number in range(1200):
        (case.path / f"file {number}").touch()
    container = engine.run(case.volume)
    killed(modules, "some-removed", case.options())
    assert 600 < len(os.listdir(case.path)) < 1200
    is_incomplete(engine, modules, case.volume, container, work / "other")
    modules.run(RESTORE, **case.options())
    is_restored(case, engine, modules, container, work)


def test_f12_killed_at_any_instant(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    container = engine.run(case.volume)
    whole = modules.seconds(RESTORE, **case.options())
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    spare = engine.volume()
    seen = set()
    for _round in range(ROUNDS):
        case.make_old()
        process = modules.start(RESTORE, **case.options())
        time.sleep(dice.uniform(0.4, 1.0) * whole)
        started = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda started=started: not any(os.path.exists(f"/proc/{pid}") for pid in started), "its end")
        modules.backup(spare, repository=str(work / "other"), stop_timeout=15)
        if (case.path / MARKER).exists():
            seen.add("neither")
            assert engine.state(container) == "exited"
            modules.run(RESTORE, **case.options())
            assert case.holds() == "new"
        else:
            seen.add(case.holds())
        assert engine.state(container) == "running"
        assert entries(work) == []
    print(seen)
