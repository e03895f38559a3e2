# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F33, F40, F41, F42, F43, F44: what expires, and above all what doesn't."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, kill_child, wait_for

OLD = ["20260101T000000Z", "20260601T000000Z", "20260601T000000Z-2", "20261001T120000Z"]


@pytest.fixture
def old(engine: Engine, modules: Modules, work: pathlib.Path) -> tuple[str, pathlib.Path]:
    """A volume with the backups OLD, and their folder."""
    volume = engine.volume()
    (engine.path(volume) / "file").write_bytes(os.urandom(1000))
    made = modules.backup(volume, repository=str(work / "repository"), host="h")["backups"][0]
    folder = pathlib.Path(made["path"]).parent
    manifest = json.loads((folder / f"{made['id']}.json").read_text())
    for backup in OLD:
        shutil.copy(made["path"], folder / f"{backup}.tar.zst")
        manifest["id"], manifest["archive"]["file"] = backup, f"{backup}.tar.zst"
        (folder / f"{backup}.json").write_text(json.dumps(manifest))
    for path in folder.glob(f"{made['id']}.*"):
        path.unlink()
    return volume, folder


def backups(folder: pathlib.Path) -> list[str]:
    return sorted(path.stem for path in folder.glob("*.json"))


def expire(
    modules: Modules, volume: str, folder: pathlib.Path, check: bool = False, **rules: object
) -> dict[str, object]:
    return modules.backup(volume, repository=str(folder.parents[1]), host="h", retention=rules, check=check, diff=True)


def test_what_goes_is_what_check_mode_showed(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    before = complete(folder)
    predicted = expire(modules, volume, folder, check=True, keep_last=2, keep_monthly=2)
    assert complete(folder) == before
    done = expire(modules, volume, folder, keep_last=2, keep_monthly=2)
    assert predicted["expired"] == done["expired"]
    assert [gone["id"] for gone in done["expired"]] == OLD[:3]
    assert {gone["reason"] for gone in done["expired"]} == {"no rule keeps it"}
    new = done["backups"][0]["id"]
    assert backups(folder) == [OLD[3], new]
    assert complete(folder) == {f"{each}.{kind}" for each in (OLD[3], new) for kind in ("json", "tar.zst")}
    assert done["diff"]["before"]["backups"] == {volume: OLD}
    assert done["diff"]["after"]["backups"] == {volume: [OLD[3], new]}


def test_without_rules_everything_stays(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    assert expire(modules, volume, folder, keep_last=0)["expired"] == []
    assert backups(folder)[:-1] == OLD


def test_a_bad_policy_stops_before_the_backup(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    for rules, said in (({"keep_last": -1}, "keep_last is -1"), ({"keep_within": "soon"}, "keep_within is 'soon'")):
        message = modules.refused(
            "docker_volume_backup", volumes=[volume], repository=str(folder.parents[1]), host="h", retention=rules
        )
        assert said in message
    assert backups(folder) == OLD


def test_f40_f43_after_a_failed_backup_nothing_expires(
    modules: Modules, engine: Engine, old: tuple[str, pathlib.Path]
) -> None:
    volume, folder = old
    (engine.path(volume) / "noise").write_bytes(os.urandom(8 << 20))
    process = modules.start(
        "docker_volume_backup",
        volumes=[volume],
        repository=str(folder.parents[1]),
        host="h",
        retention={"keep_last": 1, "keep_within": "1d"},
        **SLOW,
    )
    kill_child(process.pid, "zstd")
    answer = modules.finish(process)
    assert answer["failed"]
    assert answer["expired"] == []
    assert backups(folder) == OLD


def test_f43_what_can_not_go_is_told_and_the_new_backup_too(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    os.system(f"chattr +i '{folder}/{OLD[0]}.json'")
    try:
        answer = modules.run(
            "docker_volume_backup",
            volumes=[volume],
            repository=str(folder.parents[1]),
            host="h",
            retention={"keep_last": 1},
        )
    finally:
        os.system(f"chattr -i '{folder}/{OLD[0]}.json'")
    assert answer["failed"], answer
    (made,) = answer["backups"]
    assert f"volume {volume}: backup {made['id']} was added; what the retention policy lets go may" in answer["msg"]
    assert made["id"] in backups(folder)


def test_f41_what_is_not_complete_neither_counts_nor_goes(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    os.truncate(folder / f"{OLD[3]}.tar.zst", 10)  # the newest old one is damaged: it must not push out the next
    (folder / "20261101T000000Z.tar.zst").write_bytes(b"no manifest")
    (folder / "20261102T000000Z.json").write_text("{}")
    done = expire(modules, volume, folder, keep_last=2)
    assert [gone["id"] for gone in done["expired"]] == OLD[:2]
    assert {OLD[2], OLD[3], "20261102T000000Z"} < set(backups(folder))
    assert (folder / "20261101T000000Z.tar.zst").exists()


def test_f42_foreign_files_are_not_touched(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    foreign = ["notes.txt", "old.tar.zst", ".hidden", "20250101.json", "20250101T000000Z.tar.zst.bak", "X.partial"]
    for name in foreign:
        (folder / name).write_text("mine")
    (folder / "directory").mkdir()
    (folder / "directory" / "20250101T000000Z.json").write_text("mine")
    (folder / "link.json").symlink_to(folder / "notes.txt")
    expire(modules, volume, folder, keep_last=1)
    assert len(backups(folder)) == 3  # the new one, 20250101.json and link.json
    assert all((folder / name).read_text() == "mine" for name in foreign)
    assert (folder / "directory" / "20250101T000000Z.json").read_text() == "mine"
    assert (folder / "link.json").is_symlink()


def test_f44_time_comes_from_the_identifier(modules: Modules, old: tuple[str, pathlib.Path]) -> None:
    volume, folder = old
    for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
        os.utime(path, (number * 10**8, number * 10**8))
    future = "20991231T000000Z"
    for kind in ("json", "tar.zst"):
        shutil.copy(folder / f"{OLD[0]}.{kind}", folder / f"{future}.{kind}")
    text = (folder / f"{future}.json").read_text().replace(OLD[0], future)
    (folder / f"{future}.json").write_text(text)
    done = expire(modules, volume, folder, keep_last=2)
    assert [gone["id"] for gone in done["expired"]] == OLD[:3]
    assert backups(folder) == sorted([OLD[3], done["backups"][0]["id"], future])


def test_f33_a_running_backup_is_no_candidate(modules: Modules, work: pathlib.Path, slow_volume: str) -> None:
    repository = str(work / "repository")
    slow = modules.start("docker_volume_backup", volumes=[slow_volume], repository=repository, **SLOW)
    wait_for(lambda: "tar" in children(slow.pid).values(), "tar")
    waiting = modules.start(
        "docker_volume_backup",
        volumes=[slow_volume],
        repository=repository,
        lock_timeout=120,
        retention={"keep_last": 1},
    )
    first, second = modules.finish(slow)["backups"][0], modules.finish(waiting)
    assert [gone["id"] for gone in second["expired"]] == [first["id"]]
    assert backups(pathlib.Path(first["path"]).parent) == [second["backups"][0]["id"]]
