# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F15, F17, F60, F61, F62, F63, F64: what goes into a repository comes out of it. Every kind of file, every codec, both
kinds of volume."""

from __future__ import annotations

import json
import os
import pathlib
import stat
import subprocess

import pytest

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules

EXTRACT = "--xattrs --xattrs-include='*' --numeric-owner -xpf -"


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_f60_f61_f62_f63_a_tree_with_everything_in_it(
    engine: Engine, modules: Modules, work: pathlib.Path, compression: str
) -> None:
    volume = engine.volume()
    trees.make_nasty(engine.path(volume))
    before = records.record(engine.path(volume))
    repository = work / "repository"

    made = modules.backup(volume, repository=str(repository), compression=compression)["backups"][0]
    engine.remove(volume)
    restored = modules.restore(volume, repository=str(repository))

    assert restored["backup"] == made["id"]
    assert restored["entries"] == made["content"]["entries"]
    assert records.differences(before, records.record(engine.path(volume))) == []


def test_f15_f17_a_bind_volume_keeps_its_root_driver_options_and_labels(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    device = work / "ssd"
    device.mkdir(mode=0o750)
    os.chown(device, 4321, 4321)
    trees.make_acls(device)
    volume = engine.bind(device)
    before, known = records.record(device), engine.inspect(volume)

    modules.backup(volume, repository=str(work / "repository"))
    engine.remove(volume)
    trees.remove(device)
    device.mkdir()
    modules.restore(volume, repository=str(work / "repository"))

    assert records.differences(before, records.record(device)) == []
    now = engine.inspect(volume)
    assert {key: now[key] for key in ("Driver", "Options", "Labels")} == {
        key: known[key] for key in ("Driver", "Options", "Labels")
    }


def test_f64_an_empty_volume(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    os.chown(engine.path(volume), 999, 999)
    before = records.record(engine.path(volume))
    made = modules.backup(volume, repository=str(work / "repository"))["backups"][0]
    assert made["content"]["entries"] == 1
    engine.remove(volume)
    modules.restore(volume, repository=str(work / "repository"))
    assert records.differences(before, records.record(engine.path(volume))) == []


def test_into_an_empty_volume_with_another_name_from_another_host(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    source, target = engine.volume(), engine.volume()
    trees.make_modes(engine.path(source))
    repository = str(work / "repository")
    first = modules.backup(source, repository=repository, host="db1")["backups"][0]["id"]
    (engine.path(source) / "later").write_text("not in the first backup")
    modules.backup(source, repository=repository, host="db1")
    before = {line for line in records.record(engine.path(source)) if "later" not in line}

    restored = modules.restore(target, repository=repository, host="db1", source_volume=source, backup=first)

    assert (restored["created"], restored["backup"], restored["host"]) == (False, first, "db1")
    assert not (engine.path(target) / "later").exists()
    after = set(records.record(engine.path(target)))
    assert len(before ^ after) <= 2  # the root's own mtime is that of the first backup


def test_the_repository_is_private_and_the_manifest_true(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    (engine.path(volume) / "secret").write_bytes(b"x" * 100_000)
    repository = work / "repository"
    made = modules.backup(volume, repository=str(repository), host="db1")["backups"][0]

    for path in [repository, *repository.rglob("*")]:
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
    archive = pathlib.Path(made["path"])
    assert archive == repository / "db1" / volume / f"{made['id']}.tar.zst"
    stored = json.loads(archive.with_name(f"{made['id']}.json").read_text())
    shown = {key: value for key, value in made.items() if key not in ("path", "seconds", "content")}
    assert stored == {**stored, **shown}
    counts = {key: len(value) if isinstance(value, list) else value for key, value in stored["content"].items()}
    assert counts == made["content"]
    assert stored.keys() - made.keys() == {"format", "kind", "engine"}
    checksum = subprocess.run(["sha256sum", archive], capture_output=True, text=True, check=True).stdout.split()[0]
    assert (stored["archive"]["sha256"], stored["archive"]["bytes"]) == (checksum, archive.stat().st_size)
    assert (stored["content"]["bytes"], stored["content"]["entries"]) == (100_000, 2)


@pytest.mark.parametrize(("compression", "filter_"), [("zstd", "zstd -dc"), ("gzip", "gzip -dc"), ("none", "cat")])
def test_restored_without_us(
    engine: Engine, modules: Modules, work: pathlib.Path, compression: str, filter_: str
) -> None:
    volume = engine.volume()
    trees.make_nasty(engine.path(volume))
    made = modules.backup(volume, repository=str(work / "repository"), compression=compression)["backups"][0]
    (work / "by-hand").mkdir()
    command = f'set -o pipefail; {filter_} "$1" | tar {EXTRACT} -C "$2"'
    subprocess.run(["bash", "-c", command, "bash", made["path"], work / "by-hand"], check=True)
    before = records.record(engine.path(volume))
    assert records.differences(before, records.record(work / "by-hand")) == []
    trees.remove(work / "by-hand")


def test_the_same_tree_makes_the_same_archive(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    for make in (trees.make_links, trees.make_modes, trees.make_names, trees.make_xattrs):
        make(engine.path(volume))
    first, second = (modules.backup(volume, repository=str(work / "repository"))["backups"][0] for _time in range(2))
    assert first["id"] != second["id"]
    assert first["archive"]["sha256"] == second["archive"]["sha256"]
    assert first["content"]["fingerprint"] == second["content"]["fingerprint"]


def test_f61_an_acl_is_for_a_number_whoever_has_the_name_here(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """No name is in the archive at all."""
    volume, repository = engine.volume(), work / "repository"
    (engine.path(volume) / "file").write_text("contents")
    subprocess.run(["setfacl", "--modify=user:daemon:rw", engine.path(volume) / "file"], check=True)
    subprocess.run(["setfacl", "--modify=default:user:daemon:rw", engine.path(volume)], check=True)
    before = records.record(engine.path(volume))
    (made,) = modules.backup(volume, repository=str(repository), compression="none")["backups"]
    archive = pathlib.Path(made["path"])
    assert b"daemon" not in archive.read_bytes()
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(repository))
    assert records.differences(before, records.record(engine.path(target))) == []
