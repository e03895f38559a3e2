# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a repository: listed, sorted, proven, and never changed."""

from __future__ import annotations

import json
import os
import pathlib
import time

import pytest

from tests.support.engine import Engine
from tests.support.modules import Modules

INFO = "docker_volume_backup_info"


def _state(repository: pathlib.Path) -> list[tuple[str, int, int]]:
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in repository.rglob("*"))


@pytest.fixture
def repository(engine: Engine, modules: Modules, work: pathlib.Path) -> pathlib.Path:
    """Two hosts' backups of one volume, two of the first one's."""
    volume = engine.volume()
    (engine.path(volume) / "file").write_text("state")
    for host in ("db1", "db2", "db1"):
        modules.backup(volume, repository=str(work / "r"), host=host)
    return work / "r"


def test_the_newest_first_and_by_host(modules: Modules, repository: pathlib.Path) -> None:
    before = _state(repository)
    answer = modules.run(INFO, repository=str(repository))
    assert not answer.get("failed"), answer
    assert not answer["changed"]
    assert _state(repository) == before
    assert len(answer["backups"]) == 3
    ids = [made["id"] for made in answer["backups"]]
    assert ids == sorted(ids, reverse=True)
    for made in answer["backups"]:
        assert os.path.getsize(made["path"]) == made["archive"]["bytes"]
        assert 0 <= made["age_seconds"] < 60
        assert made["content"]["entries"] == 2
    assert (answer["incomplete"], answer["foreign"]) == ([], [])
    only = modules.run(INFO, repository=str(repository), host="db2")["backups"]
    assert [made["host"] for made in only] == ["db2"]
    assert modules.run(INFO, repository=str(repository), volumes=["other"])["backups"] == []
    assert "is not a directory" in modules.refused(INFO, repository=str(repository / "none"))
    assert "volume name '../x' can't be used" in modules.refused(INFO, repository=str(repository), volumes=["../x"])


def test_what_is_not_a_backup_is_told_apart(modules: Modules, repository: pathlib.Path) -> None:
    folder = next(repository.glob("db1/*"))
    (repository / "README").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    (folder / "20250101T000000Z.tar.zst").write_bytes(b"an archive on its way")
    (folder / ".20250102T000000Z.tar.zst.partial").write_bytes(b"part of one")
    (folder / "20250103T000000Z.json").write_text("{}")
    archive = max(folder.glob("2026*.tar.zst"))
    os.truncate(archive, 3)
    answer = modules.run(INFO, repository=str(repository))
    assert len(answer["backups"]) == 2
    assert {os.path.basename(one["path"]) for one in answer["foreign"]} == {"README", "notes.txt"}
    reasons = {os.path.basename(one["path"]): one["reason"] for one in answer["incomplete"]}
    assert reasons.pop("20250101T000000Z.tar.zst") == "an archive without a manifest"
    assert reasons.pop(".20250102T000000Z.tar.zst.partial") == "a run writes it now, or died"
    assert "it is not a manifest" in reasons.pop("20250103T000000Z.json")
    assert "has 3 bytes; its manifest says" in reasons.pop(f"{archive.name.partition('.')[0]}.json")
    assert reasons == {}


def test_a_flipped_bit_is_found(modules: Modules, repository: pathlib.Path) -> None:
    good = modules.run(INFO, repository=str(repository), verify="archive")
    assert [made["verified"] for made in good["backups"]] == ["archive"] * 3
    archive = pathlib.Path(good["backups"][1]["path"])
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    bad = modules.run(INFO, repository=str(repository), verify="archive")
    assert bad["failed"]
    assert str(archive) in bad["msg"]
    assert [made["verified"] for made in bad["backups"]] == ["archive", None, "archive"]


def test_ten_thousand_backups(modules: Modules, repository: pathlib.Path) -> None:
    """They list in seconds: beside the time that reading as many small files takes, and not as a time of its own."""
    template = next(repository.glob("db1/*/*.json"))
    stored = json.loads(template.read_text())
    archive = template.with_name(stored["archive"]["file"]).read_bytes()
    for number in range(10_000):
        backup_id = f"2025{number // 800 + 1:02}{number % 800 // 32 + 1:02}T00{number % 32:02}00Z"
        stored["id"], stored["archive"]["file"] = backup_id, f"{backup_id}.tar.zst"
        template.with_name(f"{backup_id}.json").write_text(json.dumps(stored))
        template.with_name(f"{backup_id}.tar.zst").write_bytes(archive)
    began = time.monotonic()
    for path in template.parent.glob("*.json"):
        json.loads(path.read_text())
    plain = time.monotonic() - began
    began = time.monotonic()
    answer = modules.run(INFO, repository=str(repository))
    whole = time.monotonic() - began
    assert len(answer["backups"]) == 10_003
    assert whole < 20 * plain + 5
