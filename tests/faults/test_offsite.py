# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories elsewhere: the connection is cut, the storage is full, the run is killed. What isn't complete is never
listed, the next run makes up for it, and the backups on the host stay as they are (F03, F21, F40, F41)."""

from __future__ import annotations

import collections.abc as c
import contextlib
import functools
import hashlib
import json
import os
import pathlib
import random
import signal
import time
import typing as t

import pytest

from tests.support import disks, remotes
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for
from tests.support.remotes import NEW, Line, Offsite

BACKUP, INFO = "docker_volume_backup", "docker_volume_backup_info"
NOISE = 8 << 20
# in batches, so that none of them takes minutes on a busy machine
ROUNDS = {"alias 1": 5, "alias 2": 5, "sftp": 4}
POINTS = ["copy-begun", "copy-arrived", "archive-renamed", "manifest-written"]


def filled(engine: Engine, size: int = NOISE) -> str:
    volume = engine.volume()
    (engine.path(volume) / "noise").write_bytes(os.urandom(size))
    return volume


def tree(directory: pathlib.Path) -> dict[str, str]:
    """The files below a directory but for locks, with checksums."""
    return {
        str(file.relative_to(directory)): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in directory.rglob("*")
        if file.is_file() and file.name != ".lock"
    }


def listed(modules: Modules, **options: t.Any) -> list[str]:
    """The identifiers of the backups in a repository, each of which must be whole."""
    found = modules.run(INFO, **options, verify="archive")
    assert not found.get("failed"), found["msg"]
    return sorted(each["id"] for each in found["backups"])


def whole(directory: pathlib.Path) -> list[str]:
    """The identifiers of the backups below a directory, each of which must be whole."""
    found = []
    for file in directory.rglob("2*.json"):
        stored = json.loads(file.read_text())["archive"]
        data = file.with_name(stored["file"]).read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (stored["bytes"], stored["sha256"]), file
        found.append(file.stem)
    return sorted(found)


@pytest.mark.parametrize("kind", remotes.KINDS)
def test_f03_the_connection_is_cut_in_the_middle_of_an_upload(
    engine: Engine, modules: Modules, work: pathlib.Path, kind: str
) -> None:
    volume, local = filled(engine), work / "local"
    with remotes.KINDS[kind](work) as storage, Line(storage.port) as line:
        offsite = Offsite(work, storage, NEW, line.port)
        copying = {"volumes": [volume], **offsite.copying(local, keep_last=2), "host": "h"}
        first = modules.run(BACKUP, **copying)
        assert not first.get("failed"), first["msg"]

        line.cut_after(NOISE // 2)
        cut = modules.run(BACKUP, **copying)
        assert line.cuts
        assert cut["failed"]
        (made,) = cut["backups"]
        assert cut["copies"] == cut["copies_expired"] == []
        (failure,) = cut["failures"]
        assert (failure["volume"], failure["repository"]) == (volume, offsite.repository)
        assert f"lacks 1 backup(s) ({made['id']})" in failure["error"]
        assert f"the backups in {local} stand, and the next run copies what is lacking" in failure["error"]
        line.cut_after(NOISE // 2)
        streamed = modules.run(BACKUP, volumes=[volume], **offsite.options, host="direct")
        assert streamed["failed"]
        assert "nothing was added to the repository, earlier backups are untouched" in streamed["msg"]
        assert streamed["backups"] == []
        before = tree(local)

        line.cut_after(None)
        before_that = [first["backups"][0]["id"]]
        assert listed(modules, **offsite.options) == before_that
        assert whole(local) == [*before_that, made["id"]]
        again = modules.run(BACKUP, **copying, skip_unchanged=True)
        assert not again.get("failed"), again["msg"]
        assert [copy["id"] for copy in again["copies"]] == [made["id"]]
        again = modules.run(BACKUP, volumes=[volume], **offsite.options, host="direct")
        assert not again.get("failed"), again["msg"]
        assert tree(local) == before
        assert listed(modules, **offsite.options) == [*whole(local), again["backups"][0]["id"]]
        assert not [name for name in offsite.files() if "partial" in name]


@pytest.mark.parametrize("kind", ["sftp", "webdav"])
def test_f03_the_storage_is_full(engine: Engine, modules: Modules, work: pathlib.Path, kind: str) -> None:
    volume, local = filled(engine), work / "local"
    serve: t.Any = remotes.KINDS[kind]
    with disks.mounted(work, 30, options=disks.EXT4) as disk, serve(work, directory=disk / "data") as storage:
        offsite = Offsite(work, storage, NEW)
        copying = {"volumes": [volume], **offsite.copying(local, keep_last=1), "host": "h"}
        first = modules.run(BACKUP, **copying)
        assert not first.get("failed"), first["msg"]
        disks.fill(disk, left=(NOISE // 2) // 4096)
        before = tree(local)

        full = modules.run(BACKUP, **copying)
        assert full["failed"]
        (made,) = full["backups"]
        assert full["copies"] == full["copies_expired"] == []
        streamed = modules.run(BACKUP, volumes=[volume], **offsite.options, host="direct")
        assert streamed["failed"]
        assert before.items() <= tree(local).items()
        before_that = [first["backups"][0]["id"]]
        assert listed(modules, **offsite.options) == before_that
        assert whole(local) == [*before_that, made["id"]]

        disks.unfill(disk)
        again = modules.run(BACKUP, **copying, skip_unchanged=True)
        assert not again.get("failed"), again["msg"]
        assert listed(modules, **offsite.options) == [made["id"]]
        assert not [name for name in offsite.files() if "partial" in name]


def test_f10_a_damaged_archive_is_not_copied_and_the_others_are(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    offsite, local = Offsite(work, remotes.alias(work / "elsewhere"), NEW), work / "local"
    volume = filled(engine, 1 << 20)
    ids = [modules.backup(volume, repository=str(local), host="h")["backups"][0]["id"] for _one in range(2)]
    victim = local / "h" / volume / f"{ids[1]}.tar.zst"
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    answer = modules.run(BACKUP, volumes=[volume], **offsite.copying(local), host="h", skip_unchanged=True)
    assert answer["failed"]
    assert f"{victim} is damaged" in answer["msg"]
    assert [copy["id"] for copy in answer["copies"]] == [ids[0]]
    assert listed(modules, **offsite.options) == [ids[0]]


def test_f40_a_copy_does_not_expire_after_a_backup_that_failed(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    offsite, local = Offsite(work, remotes.alias(work / "elsewhere"), NEW), work / "local"
    volume = filled(engine, 1 << 20)
    for _one in range(2):
        modules.backup(volume, **offsite.copying(local), host="h")
    there = listed(modules, **offsite.options)
    assert len(there) == 2
    hook = {"container": engine.run(volume), "command": "exit 3"}
    answer = modules.run(BACKUP, volumes=[volume], **offsite.copying(local, keep_last=1), host="h", exec_before=[hook])
    assert answer["failed"]
    assert answer["copies_expired"] == []
    assert listed(modules, **offsite.options) == there


def test_f33_another_run_that_writes_there_has_the_lock_until_it_is_ended(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    offsite = Offsite(work, remotes.alias(work / "elsewhere"), NEW)
    volume = filled(engine)
    options = {"volumes": [volume], **offsite.options}
    slowly = {**options.pop("environment"), "RCLONE_BWLIMIT": "20k"}
    process = modules.start(BACKUP, **options, environment=slowly)
    wait_for(lambda: list((work / "elsewhere").rglob(".*.partial")), "an upload", 120)
    text = modules.refused(BACKUP, volumes=[volume], **offsite.options)
    assert f"another run writes to {offsite.repository}/" in text
    process.terminate()
    answer = modules.finish(process)
    assert "ended by SIGTERM" in answer["msg"]
    assert offsite.files() == []
    (made,) = modules.backup(volume, **offsite.options)["backups"]
    assert listed(modules, **offsite.options) == [made["id"]]


@pytest.mark.parametrize("point", POINTS)
def test_f21_killed_at_a_named_point_of_a_copy(
    engine: Engine, modules: Modules, work: pathlib.Path, point: str
) -> None:
    offsite, local = Offsite(work, remotes.alias(work / "elsewhere"), NEW), work / "local"
    volume = filled(engine, 1 << 20)
    modules.backup(volume, repository=str(local), host="h")
    options = {"volumes": [volume], **offsite.copying(local), "host": "h", "skip_unchanged": True}
    deadly = {**options.pop("environment"), "DRYDOCK_TEST_KILL_AT": point}
    process = modules.start(BACKUP, **options, environment=deadly)
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL, f"nothing ever reaches the point {point}"
    assert whole(work / "elsewhere") == []
    answer = modules.run(BACKUP, **options, environment=offsite.environment)
    assert not answer.get("failed"), answer["msg"]
    assert listed(modules, **offsite.options) == whole(local)
    assert not [name for name in offsite.files() if "partial" in name]


@pytest.mark.parametrize("batch", ROUNDS)
def test_f21_f41_killed_at_any_instant_of_a_run_with_a_copy(
    engine: Engine, modules: Modules, work: pathlib.Path, batch: str
) -> None:
    with contextlib.ExitStack() as stack:
        storage = remotes.alias(work / "elsewhere") if "alias" in batch else stack.enter_context(remotes.sftp(work))
        offsite, local = Offsite(work, storage, NEW), work / "local"
        volume = filled(engine, 2 << 20)
        container = engine.run(volume)
        options: dict[str, t.Any] = {
            "volumes": [volume],
            **offsite.copying(local, keep_last=2),
            "host": "h",
            "quiesce": "stop",
            "stop_timeout": 15,  # recovery waits twice as long for who may have got a signal, or not
            "retention": {"keep_last": 3},
        }
        modules.run(BACKUP, **options)
        seconds = modules.seconds(BACKUP, **options)
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        dice = random.Random(seed)
        for _round in range(ROUNDS[batch]):
            process = modules.start(BACKUP, **options)
            time.sleep(dice.uniform(0.2, 1.0) * seconds)
            started = children(process.pid)
            process.kill()
            process.communicate()
            wait_for(functools.partial(dead, started), "the end of its processes")
            assert whole(local)
            assert storage.directory is not None
            assert whole(storage.directory)
        answer = modules.run(BACKUP, **options)
        assert not answer.get("failed"), answer["msg"]
        assert engine.state(container) == "running"
        ours = listed(modules, repository=str(local))
        assert len(ours) == 3
        assert listed(modules, **offsite.options) == ours[1:]
        assert not [name for name in offsite.files() if "partial" in name]
        assert not list((work / "state" / "journal").glob("*.json"))


def dead(started: c.Mapping[int, str]) -> bool:
    return not any(os.path.exists(f"/proc/{pid}") for pid in started)
