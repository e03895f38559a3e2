# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F13: what lies in a volume and must not go with it: the repository, the very archive that is restored, a mount."""

from __future__ import annotations

import pathlib
import subprocess

import pytest

from tests.faults.conftest import complete
from tests.support import records
from tests.support.engine import Engine
from tests.support.modules import Modules

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"


@pytest.mark.parametrize("way", ["its path", "a link", "its root"])
@pytest.mark.parametrize("check", [True, False])
def test_a_backup_into_the_volume_itself(
    engine: Engine, modules: Modules, work: pathlib.Path, way: str, check: bool
) -> None:
    volume, other = engine.volume(), engine.volume()
    path = engine.path(volume)
    (path / "backups").mkdir()
    (work / "way").symlink_to(path / "backups")
    repository = {"its path": path / "backups" / "r", "a link": work / "way" / "r", "its root": path}[way]
    answer = modules.run(BACKUP, volumes=[volume, other], repository=str(repository), check=check)
    assert answer["failed"]
    (failure,) = answer["failures"]
    assert failure["volume"] == volume
    assert f"the repository {repository} is in the volume itself" in failure["error"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [other]
    assert not list(path.rglob(f"{volume}/*.json"))


@pytest.mark.parametrize("staging", [True, False])
def test_f13_replace_does_not_remove_what_it_restores(
    engine: Engine, modules: Modules, work: pathlib.Path, staging: bool
) -> None:
    volume = engine.volume()
    path = engine.path(volume)
    (path / "file").write_text("as it was")
    modules.backup(volume, repository=str(work / "r"))
    # somebody moves the repository into the volume; or makes an archive there
    subprocess.run(["cp", "--archive", work / "r", path / "r"], check=True)
    archive = path / "before.tar.gz"
    subprocess.run(["tar", "czf", archive, "-C", path, "file"], check=True)
    before = records.record(path)
    for source, what in (({"repository": str(path / "r")}, "the backup"), ({"archive": str(archive)}, "the archive")):
        for check in (True, False):
            message = modules.refused(
                RESTORE, volume=volume, when_not_empty="replace", staging=staging, check=check, **source
            )
            assert f"{what}, {path}/" in message
            assert "is in the volume itself" in message
    assert records.differences(before, records.record(path)) == []
    # it restores into another one
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(path / "r"))
    assert (engine.path(target) / "file").read_text() == "as it was"


@pytest.mark.parametrize("where", ["mount", "folder/mount"])
def test_f13_a_mount_inside_is_neither_moved_nor_removed(
    engine: Engine, modules: Modules, work: pathlib.Path, where: str
) -> None:
    volume = engine.volume()
    path = engine.path(volume)
    (path / "file").write_text("as it was")
    modules.backup(volume, repository=str(work / "r"))
    container = engine.run(volume)
    started = engine.started_at(container)
    point = path / where
    point.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "none", point], check=True)
    options = {"volume": volume, "repository": str(work / "r"), "when_not_empty": "replace", "quiesce": "stop"}
    try:
        (point / "precious").touch()
        for check in (True, False):
            message = modules.refused(RESTORE, check=check, **options)
            assert f"has something mounted inside, at {point}" in message
        assert (point / "precious").exists()
        assert engine.started_at(container) == started
        answer = modules.backup(volume, repository=str(work / "r"))
        assert f"./{where}/: file is on a different filesystem; not dumped" in str(answer["warnings"])
    finally:
        subprocess.run(["umount", point], check=True)
    assert modules.run(RESTORE, **options)["changed"]
    assert complete(work / "r")
