# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backup is restored, and into what kind of volume."""

from __future__ import annotations

import json
import pathlib
import time

from tests.support.engine import Engine
from tests.support.modules import Modules

RESTORE = "docker_volume_restore"


def test_the_newest_backup_up_to_a_time(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), str(work / "r")
    made = []
    for number in range(3):
        (engine.path(volume) / "state").write_text(f"{number}")
        made += modules.backup(volume, repository=repository)["backups"]
        time.sleep(1.1)
    for number, backup in enumerate(made):
        target = engine.volume()
        answer = modules.restore(target, source_volume=volume, repository=repository, before=backup["started_at"])
        assert answer["backup"] == backup["id"]
        assert (engine.path(target) / "state").read_text() == f"{number}"
    options = {"source_volume": volume, "repository": repository}
    message = modules.refused(RESTORE, volume=engine.name(), before="2001-01-01", **options)
    assert "has no complete backup" in message
    assert "from before 2001-01-01T00:00:00Z" in message
    message = modules.refused(RESTORE, volume=engine.name(), before="2031-01-01", backup=made[0]["id"], **options)
    assert "leave it out, or backup" in message


def test_another_kind_of_volume_than_the_recorded_one(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (work / "ssd").mkdir()
    volume, repository = engine.bind(work / "ssd"), str(work / "r")
    (work / "ssd" / "state").write_text("on the SSD")
    modules.backup(volume, repository=repository)
    plain = engine.name()
    options = {"volume": plain, "source_volume": volume, "repository": repository, "driver_options": {}}
    predicted = modules.run(RESTORE, labels={"tier": 1, "kept": True}, check=True, **options)
    assert predicted["created"]
    assert plain not in engine.names()
    answer = modules.run(RESTORE, labels={"tier": 1, "kept": True}, **options)
    assert not answer.get("failed"), answer
    made = engine.inspect(plain)
    assert (made["Driver"], made["Options"] or {}) == ("local", {})
    assert made["Labels"] == {"tier": "1", "kept": "true"}
    assert (engine.path(plain) / "state").read_text() == "on the SSD"

    # and the reverse
    (work / "nvme").mkdir()
    modules.backup(plain, repository=repository)
    bind = engine.name()
    device = {"type": "none", "o": "bind", "device": str(work / "nvme")}
    modules.restore(bind, source_volume=plain, repository=repository, driver_options=device)
    assert engine.inspect(bind)["Options"] == device
    assert (work / "nvme" / "state").read_text() == "on the SSD"


def test_a_volume_that_exists_with_other_options(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target, repository = engine.volume(), engine.volume(), str(work / "r")
    modules.backup(volume, repository=repository)
    wanted = {"type": "tmpfs", "device": "tmpfs"}
    message = modules.refused(
        RESTORE, volume=target, source_volume=volume, repository=repository, driver_options=wanted
    )
    assert f"volume {target} exists, and its driver_options is {{}}, not {wanted}" in message
    assert list(engine.path(target).iterdir()) == []


def test_owners_that_mean_others_here(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target, repository = engine.volume(), engine.volume(), work / "r"
    modules.backup(volume, repository=str(repository))
    manifest = next(repository.rglob("*.json"))
    stored = json.loads(manifest.read_text())
    stored["engine"]["userns"] = True
    manifest.write_text(json.dumps(stored))
    message = modules.refused(RESTORE, volume=target, source_volume=volume, repository=str(repository))
    assert "was made where Docker remaps user ids (userns-remap), and here it doesn't remap user ids" in message


def test_room_is_looked_at_first(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target, repository = engine.volume(), engine.volume(), work / "r"
    modules.backup(volume, repository=str(repository))
    manifest = next(repository.rglob("*.json"))
    stored = json.loads(manifest.read_text())
    stored["content"]["allocated_bytes"] = 1 << 60
    manifest.write_text(json.dumps(stored))
    message = modules.refused(RESTORE, volume=target, source_volume=volume, repository=str(repository))
    assert f"take {1 << 60} bytes on disk, and its file system has" in message


def test_f44_the_newest_backup_is_dated_in_the_future(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """The clock was ahead when it was made. It is said, because what was made since is newer."""
    volume, repository, ahead = engine.volume(), work / "r", "20500101T000000Z"
    (engine.path(volume) / "state").write_text("old")
    (made,) = modules.backup(volume, repository=str(repository))["backups"]
    for file in list(repository.rglob(f"{made['id']}.*")):
        moved = file.rename(file.with_name(file.name.replace(made["id"], ahead)))
        if moved.suffix == ".json":
            moved.write_text(moved.read_text().replace(made["id"], ahead))
    (engine.path(volume) / "state").write_text("new")
    (made,) = modules.backup(volume, repository=str(repository))["backups"]
    options = {"source_volume": volume, "repository": str(repository)}
    answer = modules.restore(engine.volume(), **options)
    assert answer["backup"] == ahead
    (warning,) = answer["warnings"]
    assert f"backup {ahead} is restored as the newest one, and is dated in the future" in str(warning)
    assert f"the newest one that isn't: {made['id']}" in str(warning)
    for choice in ({"backup": made["id"]}, {"before": "2049-01-01"}):
        target = engine.volume()
        answer = modules.restore(target, **choice, **options)
        assert not answer.get("warnings")
        assert (engine.path(target) / "state").read_text() == "new"
