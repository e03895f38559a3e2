# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that look unused and aren't, and runs that must not remove what they were about to.

That is F50, F51, F52, F53, F54, F55, F56, F57 and F58.
A swarm's services (F51) are in tests/integration/test_orphans_host.py.
"""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import signal
import subprocess
import threading

import pytest

from tests.support import disks
from tests.support.engine import LABEL, Engine
from tests.support.modules import Modules
from tests.support.orphans import Orphans, kept, reason, removed
from tests.support.processes import wait_for

ROUNDS = 100
PROJECT = "com.docker.compose.project"


@pytest.fixture
def orphans(engine: Engine, modules: Modules, work: pathlib.Path) -> Orphans:
    return Orphans(engine, modules, work)


def test_f50_containers_that_do_not_run(engine: Engine, orphans: Orphans) -> None:
    names = {state: engine.volume() for state in ("exited", "created", "paused", "volumes-from", "read-only")}
    engine.api.stop(engine.run(names["exited"]), timeout=1)
    engine.run(names["created"], start=False)
    engine.api.pause(engine.run(names["paused"]))
    first = engine.run(names["exited"], names["volumes-from"], start=False)
    second = engine.run(names["created"], start=False, volumes_from=[f"{first}:rw"])
    engine.api.remove_container(first)
    engine.run(names["read-only"], start=False, mode="ro")
    unused = engine.volume()
    answer = orphans.pruned()
    assert removed(answer) == [unused]
    assert kept(answer) == dict.fromkeys(names.values(), "used")
    for state in ("exited", "created", "paused"):
        assert f"({state})" in reason(answer, names[state])
    heir = engine.api.inspect_container(second)["Name"].lstrip("/")
    assert reason(answer, names["volumes-from"]) == f"used by container {heir} (created)"


def test_f51_a_compose_project_that_is_down(engine: Engine, orphans: Orphans) -> None:
    project = engine.name()
    one, other, loose = engine.name(), engine.name(), engine.volume()
    for name in (one, other):
        engine.api.create_volume(name, labels={LABEL: "yes", PROJECT: project, "com.docker.compose.volume": "data"})
    service = engine.run(one, labels={PROJECT: project}, start=False)
    answer = orphans.pruned(gone_projects=[project])  # whatever is said of a project that is there
    assert (removed(answer), kept(answer)) == ([loose], {one: "used", other: "protected"})
    assert f"its Compose project {project} is on this host" in reason(answer, other)
    engine.api.remove_container(service)  # as docker compose down does
    answer = orphans.pruned(gone_projects=[f"{project}-other"])
    assert (removed(answer), kept(answer)) == ([], dict.fromkeys((one, other), "unknown"))
    assert f"its Compose project {project} may be down, or gone" in reason(answer, one)
    answer = orphans.pruned(gone_projects=[project], protect={"projects": [project]})
    assert kept(answer) == dict.fromkeys((one, other), "protected")
    assert removed(orphans.pruned(gone_projects=[project])) == [one, other]


def test_f52_a_container_has_the_directory_by_its_path(engine: Engine, orphans: Orphans, work: pathlib.Path) -> None:
    data, below, folder, linked, unused = (engine.volume() for _each in range(5))
    (engine.path(below) / "sub").mkdir()
    (work / "link").symlink_to(engine.path(linked))
    for path in (engine.path(data), engine.path(below) / "sub", engine.path(folder).parent, work / "link"):
        engine.run(str(path), start=False)
    # what monitoring and managing tools bind is no use of each volume
    engine.run(str(engine.path(data).parents[1]), "/", start=False, mode="ro")
    # a volume whose device is in another one
    inner = engine.volume()
    outer = engine.bind(engine.path(inner))
    user = engine.run(outer, start=False)
    answer = orphans.pruned()
    assert removed(answer) == [unused]
    assert kept(answer) == dict.fromkeys((data, below, folder, linked, inner, outer), "used")
    assert f"which refers to it by the path {work / 'link'}" in reason(answer, linked)
    assert f"volume {outer}, which refers to it by the path" in reason(answer, inner)
    engine.api.remove_container(user)


def test_f53_names_that_begin_with_others(engine: Engine, orphans: Orphans) -> None:
    stem = engine.name()
    names = [stem, f"{stem}-1", f"{stem}1", f"{stem}.1", f"{stem}_data"]
    for name in names:
        engine.api.create_volume(name, labels={LABEL: "yes"})
    engine.run(names[1], start=False)
    answer = orphans.pruned()
    assert sorted(removed(answer)) == sorted(set(names) - {names[1]})
    assert kept(answer) == {names[1]: "used"}


def test_f54_a_container_appears_between_the_decision_and_the_removal(
    engine: Engine, modules: Modules, orphans: Orphans
) -> None:
    volumes = [engine.volume() for _each in range(ROUNDS)]
    places = {name: engine.path(name) / "data" for name in volumes}
    for place in places.values():
        place.write_text("as it was")
    # one that goes first tells that all has been decided
    order = sorted(volumes)
    process = modules.start("volume_prune_orphans", **orphans.ours(grace="0h", max_remove_percent=100))
    wait_for(lambda: not places[order[0]].exists() or process.poll() is not None, "the first removal", 120)
    taken = []
    for name in reversed(order):  # towards the removals: somewhere they meet
        if not places[name].exists():
            continue
        engine.run(name, start=False)  # of a volume that is gone by now Docker makes a new one
        if places[name].exists():
            taken.append(name)
    answer = modules.finish(process)
    assert not answer.get("failed"), (answer["msg"], answer.get("failures"))
    assert taken, "all were removed before any container was there"
    for name in taken:
        assert places[name].read_text() == "as it was"
    assert not set(removed(answer)) & set(taken)
    classes = kept(answer)
    assert {classes[name] for name in taken} == {"used"}
    assert "that is new since it was found to be an orphan" in reason(answer, taken[0])
    # whatever was removed had no container then: where one came later, its volume is a new one
    assert len(set(removed(answer)) | set(taken)) == ROUNDS
    assert not [name for name in removed(answer) if places[name].exists()]


def test_f54_removed_by_somebody_else_or_made_anew(engine: Engine, modules: Modules, orphans: Orphans) -> None:
    first, gone, anew = (engine.volume() for _each in range(3))
    (engine.path(first) / "big").write_bytes(os.urandom(64 << 20))
    to = {"repository": str(orphans.repository)}
    process = modules.start("volume_prune_orphans", **orphans.ours(grace="0h", max_remove_percent=100, backup_to=to))
    wait_for(lambda: list(orphans.repository.rglob("*.partial")) or process.poll() is not None, "the backup", 120)
    assert process.poll() is None
    process.send_signal(signal.SIGSTOP)
    try:
        engine.remove(gone)
        engine.remove(anew)
        engine.api.create_volume(anew, labels={LABEL: "another"})
        (engine.path(anew) / "new").touch()
    finally:
        process.send_signal(signal.SIGCONT)
    answer = modules.finish(process)
    assert removed(answer) == [first], answer
    assert (engine.path(anew) / "new").exists()
    assert {kept(answer).get(name) for name in (gone, anew)} <= {"gone", "unknown", "orphan"}
    assert anew in kept(answer)


@pytest.mark.parametrize("damage", [b"", b'{"format": 1, "daemons"'])
def test_f55_the_age_is_unknown(engine: Engine, orphans: Orphans, damage: bytes) -> None:
    volume = engine.volume()
    orphans.prune(grace="7d")
    orphans.state.write_bytes(damage)
    foretold = orphans.prune(check=True)
    assert (removed(foretold), kept(foretold)) == ([], {volume: "unknown"})
    assert orphans.state.read_bytes() == damage
    answer = orphans.prune()  # with no grace at all
    assert (removed(answer), kept(answer)) == ([], {volume: "unknown"})
    assert "since when isn't known" in reason(answer, volume)
    assert "orphans.json can't be read" in str(answer["warnings"])
    answer = orphans.prune(grace="7d")
    assert kept(answer) == {volume: "too_young"}
    assert not answer.get("warnings")


def test_f55_a_record_of_a_time_to_come(engine: Engine, orphans: Orphans) -> None:
    volume = engine.volume()
    orphans.prune(grace="7d", days=30)
    assert kept(orphans.pruned(grace="7d")) == {volume: "unknown"}
    assert kept(orphans.pruned(grace="7d", days=6)) == {volume: "too_young"}


def test_f55_what_was_seen_can_not_be_written(engine: Engine, orphans: Orphans) -> None:
    volume = engine.volume()
    orphans.state.mkdir(parents=True)
    answer = orphans.prune()
    assert answer["failed"]
    assert "can't be written" in answer["msg"]
    assert "nothing was removed" in answer["msg"]
    assert volume in engine.names()


def test_f56_far_data_is_seen_and_never_deleted(engine: Engine, orphans: Orphans, work: pathlib.Path) -> None:
    far = work / "far"
    far.mkdir()
    (far / "kept").write_text("as it was")
    bound, broken = engine.bind(far), engine.bind(work / "gone")
    nfs = engine.volume(type="nfs", o="addr=192.0.2.1,rw", device=":/export")
    answer = orphans.pruned()
    assert sorted(removed(answer)) == sorted((bound, broken, nfs))
    left = {one["name"]: one["left"] for one in answer["removed"]}
    assert left[bound] == f"the files in its device {far} stay"
    assert left[nfs] == "the files on the server stay (nfs :/export)"
    assert (far / "kept").read_text() == "as it was"


def test_f56_a_mount_in_the_volumes_own_directory(engine: Engine, orphans: Orphans, work: pathlib.Path) -> None:
    """Docker would remove what is on the mount, and fail only then."""
    (work / "disk").mkdir()
    (work / "disk" / "kept").write_text("as it was")
    whole, part = engine.volume(), engine.volume()
    (engine.path(part) / "sub").mkdir()
    places = [engine.path(whole), engine.path(part) / "sub"]
    try:
        for place in places:
            subprocess.run(["mount", "--bind", work / "disk", place], check=True)
        answer = orphans.pruned()
        assert (removed(answer), kept(answer)) == ([], dict.fromkeys((whole, part), "used"))
        assert reason(answer, whole) == f"used by a mount of this host at {places[0]}"
    finally:
        for place in places:
            subprocess.run(["umount", place], check=False)
    assert removed(orphans.pruned()) == [whole, part]
    assert (work / "disk" / "kept").read_text() == "as it was"


def test_f57_the_backup_fails(engine: Engine, orphans: Orphans, work: pathlib.Path) -> None:
    good, broken, large = engine.volume(), engine.bind(work / "gone"), engine.volume()
    (engine.path(good) / "file").write_text("small")
    (engine.path(large) / "noise").write_bytes(os.urandom(24 << 20))
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        # one after the other: the small one must be safe before the large one fills the disk
        answer = orphans.prune(backup_to={"repository": str(disk / "backups"), "host": "db1", "parallel": 1})
        assert answer["failed"]
        assert removed(answer) == [good]
        assert kept(answer) == {broken: "orphan", large: "orphan"}
        assert {one["volume"] for one in answer["failures"]} == {broken, large}
        assert "No space left on device" in reason(answer, large)
        assert "it was not removed, because it could not be backed up" in answer["msg"]
        assert (engine.path(large) / "noise").stat().st_size == 24 << 20
        assert len(list((disk / "backups").rglob("*.json"))) == 1
    assert removed(orphans.prune()) == [broken, large]


def test_f57_files_change_while_they_are_backed_up(engine: Engine, orphans: Orphans) -> None:
    volume = engine.volume()
    for number in range(4):
        (engine.path(volume) / f"noise-{number}").write_bytes(os.urandom(4 << 20))
    ended, place = threading.Event(), engine.path(volume) / "noise-0"

    def write() -> None:
        while not ended.is_set():
            with open(place, "ab") as file:
                file.write(b"more")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        answer = orphans.prune(backup_to={"repository": str(orphans.repository)})
    finally:
        ended.set()
        writer.join()
    assert removed(answer) == []
    assert kept(answer)[volume] in ("orphan", "unknown")
    assert volume in engine.names()


@pytest.mark.parametrize("limit", ["count", "percent"])
def test_f58_a_slip_would_remove_most_of_the_host(engine: Engine, orphans: Orphans, limit: str) -> None:
    volumes = [engine.volume() for _each in range(4)]
    # of how many volumes there are others decide, too
    limits = {"count": {"max_remove": 3}, "percent": {"max_remove_percent": 0.5}}[limit]
    for check in (True, False):
        options = {"grace": "0h", "max_remove_percent": 100, **limits}
        answer = orphans._modules.run(
            "volume_prune_orphans",
            check=check,
            **orphans.ours(backup_to={"repository": str(orphans.repository)}, **options),
        )
        assert answer["failed"]
        words = "max_remove is 3" if limit == "count" else "max_remove_percent is 0.5"
        assert "4 of " in answer["msg"]
        assert words in answer["msg"]
        assert "nothing was removed" in answer["msg"]
        assert engine.names() == sorted(volumes)
        assert not orphans.repository.exists()
    assert len(removed(orphans.prune(max_remove=4))) == 4


def test_killed_between_two_removals(engine: Engine, modules: Modules, orphans: Orphans) -> None:
    volumes = sorted(engine.volume() for _each in range(30))
    used = engine.volume()
    engine.run(used, start=False)
    process = modules.start("volume_prune_orphans", **orphans.ours(grace="0h", max_remove_percent=100))
    wait_for(lambda: volumes[0] not in engine.names() or process.poll() is not None, "the first removal", 120)
    process.kill()
    process.communicate()
    assert used in engine.names()
    seen = json.loads(orphans.state.read_text())["daemons"]
    assert dt.datetime.fromisoformat(next(iter(seen.values()))[volumes[-1]]["since"])
    orphans.prune()
    assert engine.names() == [used]
