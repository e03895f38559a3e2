# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F14, F20: containers that have a volume's files by another name hold still like any other."""

from __future__ import annotations

import pathlib

import pytest

from tests.support.engine import Engine
from tests.support.modules import Modules

BACKUP, RESTORE, CLONE = "docker_volume_backup", "docker_volume_restore", "docker_volume_clone"


@pytest.mark.parametrize("way", ["another volume", "a volume of a folder in it", "a link", "a volume in a plain one"])
def test_f14_f20_who_has_the_same_files_under_another_name(
    engine: Engine, modules: Modules, work: pathlib.Path, way: str
) -> None:
    device = work / "device"
    (device / "below").mkdir(parents=True)
    (work / "link").symlink_to(device)
    volume = engine.bind(device)
    path = device
    if way == "another volume":
        container = engine.run(engine.bind(device))
    elif way == "a volume of a folder in it":
        container = engine.run(engine.bind(device / "below"))
    elif way == "a link":
        volume = engine.bind(work / "link")
        container = engine.run(str(device))
    else:
        volume = engine.volume()
        path = engine.path(volume)
        (path / "below").mkdir()
        container = engine.run(engine.bind(path / "below"))
    (path / "file").write_text("as it was")
    name = str(engine.api.inspect_container(container)["Name"]).lstrip("/")

    (made,) = modules.backup(volume, repository=str(work / "r"), quiesce="stop")["backups"]
    assert made["consistency"]["containers"] == [name]
    assert made["consistency"]["quiesce"] == "stop"

    options = {"volume": volume, "repository": str(work / "r"), "when_not_empty": "replace"}
    (path / "file").write_text("as it is")
    assert f"used by running containers ({name})" in modules.refused(RESTORE, **options)
    assert (path / "file").read_text() == "as it is"
    answer = modules.run(RESTORE, quiesce="stop", **options)
    assert answer["containers"] == [name], answer
    assert (path / "file").read_text() == "as it was"
    assert engine.state(container) == "running"
    answer = modules.run(CLONE, source=volume, target=engine.name(), driver_options={}, quiesce="stop")
    assert answer["containers"] == [name], answer
