# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F16: archives that want to write elsewhere. Nothing outside of the volume is written, and where such an archive is
refused, the volume is as it was."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib

import pytest

from tests.support import hostile, records
from tests.support.engine import Engine
from tests.support.modules import Modules

RESTORE = "docker_volume_restore"
SAMPLE = hostile.cases(pathlib.Path("/nowhere/victim"))


class Place:
    """A bind volume that holds something, with a directory beside it that isn't its own."""

    def __init__(self, engine: Engine, work: pathlib.Path) -> None:
        self.outer = work / "outer"
        self.data, self.victim = self.outer / "data", self.outer / "victim"
        for path in (self.outer, self.data, self.victim):
            path.mkdir()
        (self.victim / "file").write_text("not the volume's")
        (self.data / "kept").write_text("as before")
        self.volume = engine.bind(self.data)
        self.before, self.around = records.record(self.data), self.surroundings()

    def surroundings(self) -> list[str]:
        """All that is beside the volume, but for the times of its own directory."""
        return [line for line in records.record(self.outer) if not line.startswith('{"path":"data')]

    def require_safe(self) -> None:
        """Nothing was written outside, and nothing that isn't the volume's is left in it."""
        assert records.differences(self.around, self.surroundings()) == []
        assert not [name for name in os.listdir(self.data) if name.startswith(".drydock-staging-")]
        assert os.stat(self.data).st_dev == os.stat(self.outer).st_dev

    def require_as_it_was(self) -> None:
        assert records.differences(self.before, records.record(self.data)) == []


@pytest.fixture
def place(engine: Engine, work: pathlib.Path) -> Place:
    return Place(engine, work)


@pytest.mark.parametrize("name", SAMPLE)
def test_f16_in_an_archive(modules: Modules, work: pathlib.Path, place: Place, name: str) -> None:
    members, said = hostile.cases(place.victim)[name]
    archive = work / "a.tar"
    archive.write_bytes(hostile.archive(members))
    answer = modules.run(RESTORE, volume=place.volume, archive=str(archive), when_not_empty="replace")
    place.require_safe()
    assert "Traceback" not in str(answer) + answer.stderr
    if said:
        assert answer.get("failed"), answer
        assert said in answer["msg"]
        assert f"archive {archive}" in answer["msg"]
        assert "nothing was changed" in answer["msg"]
    if answer.get("failed"):
        assert place.volume in answer["msg"] or str(archive) in answer["msg"]
        place.require_as_it_was()


@pytest.mark.parametrize("name", SAMPLE)
def test_f16_in_a_backup(engine: Engine, modules: Modules, work: pathlib.Path, place: Place, name: str) -> None:
    """With a manifest that says the same as the archive: what was made by somebody who may write the repository."""
    members, _said = hostile.cases(place.victim)[name]
    source, repository = engine.volume(), work / "repository"
    made = modules.backup(source, repository=str(repository), host="db1", compression="none")["backups"][0]
    archive = pathlib.Path(made["path"])
    data = hostile.archive(members, root=True)
    archive.write_bytes(data)
    path = archive.with_name(f"{made['id']}.json")
    manifest = json.loads(path.read_text())
    manifest["archive"].update(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    manifest["content"].update(entries=len(members) + 1, bytes=len(hostile.EVIL))
    path.write_text(json.dumps(manifest))

    options = {"source_volume": source, "repository": str(repository), "host": "db1", "when_not_empty": "replace"}
    answer = modules.run(RESTORE, volume=place.volume, **options)
    place.require_safe()
    assert "Traceback" not in str(answer) + answer.stderr
    if answer.get("failed"):
        assert f"volume {place.volume}" in answer["msg"]
        place.require_as_it_was()


def test_f16_strip_components_makes_a_way_out(modules: Modules, work: pathlib.Path, place: Place) -> None:
    """Names that have nothing to do with each other, until their first component is gone."""
    archive = work / "a.tar"
    members = [
        hostile.Member("a/s", hostile.SYMLINK, str(place.victim)),
        hostile.Member("b/s/evil"),
    ]
    archive.write_bytes(hostile.archive(members))
    options = {"volume": place.volume, "archive": str(archive), "when_not_empty": "replace"}
    assert "is below a symlink, s" in modules.refused(RESTORE, strip_components=1, **options)
    for link in ("a/../../victim/file", "a", f"a/{place.victim}/file"):
        archive.write_bytes(
            hostile.archive([hostile.Member("a", hostile.DIRECTORY), hostile.Member("b/h", hostile.LINK, link)])
        )
        message = modules.refused(RESTORE, strip_components=1, **options)
        assert "is a hard link to" in message or "leads out" in message
    place.require_safe()
    place.require_as_it_was()
    assert not modules.run(RESTORE, **{**options, "archive": str(_harmless(work))}).get("failed")
    place.require_safe()


def _harmless(work: pathlib.Path) -> pathlib.Path:
    """Links that lead out, and nothing that goes that way; device nodes."""
    path = work / "harmless.tar"
    members = [
        hostile.Member("s", hostile.SYMLINK, "/etc/passwd"),
        hostile.Member("t", hostile.SYMLINK, "../../../x"),
        hostile.Member("u", hostile.LINK, "t"),
        hostile.Member("null", hostile.tarfile.CHRTYPE),
    ]
    path.write_bytes(hostile.archive(members))
    return path
