# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each module in check mode and for real, the first time and again: what it says it would do is what it does."""

from __future__ import annotations

import pathlib
import re

from tests.support import records
from tests.support.engine import Engine
from tests.support.modules import Modules

KNOWN_AFTERWARDS = {"id", "path", "seconds", "archive", "started_at", "finished_at"}


def test_backup_in_every_state(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "repository"
    (engine.path(volume) / "file").write_text("contents")
    options = {"repository": str(repository), "diff": True}

    predicted = modules.backup(volume, check=True, **options)
    assert predicted["changed"]
    assert not repository.exists()

    first = modules.backup(volume, **options)
    assert first["changed"]
    for key, value in first["backups"][0].items():
        if key not in KNOWN_AFTERWARDS:
            assert predicted["backups"][0][key] == value
    first_id = first["backups"][0]["id"]
    assert predicted["diff"]["before"] == first["diff"]["before"] == {"backups": {volume: []}, "containers": {}}
    assert predicted["diff"]["after"] == {"backups": {volume: ["(a new backup)"]}, "containers": {}}
    assert first["diff"]["after"]["backups"] == {volume: [first_id]}
    held = sorted(repository.rglob("*"))

    again = modules.backup(volume, check=True, **options)
    assert again["changed"]
    assert again["diff"]["before"]["backups"] == {volume: [first_id]}
    assert sorted(repository.rglob("*")) == held

    second = modules.backup(volume, **options)
    assert second["diff"]["after"]["backups"] == {volume: [first_id, second["backups"][0]["id"]]}
    assert len(list(repository.rglob("*.json"))) == 2
    assert (engine.path(volume) / "file").read_text() == "contents"


def test_restore_in_every_state(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "repository"
    (engine.path(volume) / "file").write_text("contents")
    before = records.record(engine.path(volume))
    modules.backup(volume, repository=str(repository))
    engine.remove(volume)
    options = {"repository": str(repository), "diff": True}

    predicted = modules.restore(volume, check=True, **options)
    assert volume not in engine.names()

    done = modules.restore(volume, **options)
    measured = {"seconds", "verified"}
    assert {key: value for key, value in predicted.items() if key not in measured} == {
        key: value for key, value in done.items() if key not in measured
    }
    assert done["changed"]
    assert done["created"]
    assert done["diff"]["before"][volume]["exists"] is False
    assert records.differences(before, records.record(engine.path(volume))) == []

    for check in (True, False):
        message = modules.refused("docker_volume_restore", volume=volume, check=check, **options)
        assert re.search(r"is not empty: .* holds 1 entries \('file'\)", message)
    assert records.differences(before, records.record(engine.path(volume))) == []


def test_one_volume_that_fails_does_not_stop_the_others(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    first, gone, last = engine.volume(), engine.bind(work / "gone"), engine.volume()
    answer = modules.run(
        "docker_volume_backup", volumes=[first, gone, "no-such-volume", last], repository=str(work / "repository")
    )
    assert answer["failed"]
    assert answer["changed"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [first, last]
    assert [failure["volume"] for failure in answer["failures"]] == ["no-such-volume", gone]
    assert "no-such-volume doesn't exist" in answer["msg"]
    assert f"its device '{work}/gone' is not a directory on this host" in answer["msg"]
