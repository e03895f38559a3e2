# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F64: volumes at the ends of every scale: nothing in them, a file larger than the disk, very many files, very deep."""

from __future__ import annotations

import os
import pathlib
import time
import typing as t

import pytest

from tests.support import records
from tests.support.engine import Engine
from tests.support.modules import Modules

TEBIBYTE = 1 << 40
GIBIBYTE = 1 << 30
TINY = 50_000
LEVELS = 1000


def pieces(path: pathlib.Path) -> list[tuple[int, bytes]]:
    """The data of a file with holes: where each piece of it begins, and its bytes, without zeros at either end."""
    found = []
    with open(path, "rb") as file:
        size, end = os.fstat(file.fileno()).st_size, 0
        while end < size:
            try:
                start = os.lseek(file.fileno(), end, os.SEEK_DATA)
            except OSError:  # ENXIO: only a hole follows
                break
            end = os.lseek(file.fileno(), start, os.SEEK_HOLE)
            data = os.pread(file.fileno(), end - start, start)
            start += len(data) - len(data.lstrip(b"\0"))
            found.append((start, data.strip(b"\0")))
    return found


def round_trip(
    engine: Engine, modules: Modules, work: pathlib.Path, volume: str, **options: t.Any
) -> tuple[str, dict[str, int]]:
    """Back a volume up and restore it into another one. Return that one's name, and what the manifest says."""
    target, repository = engine.volume(), str(work / "repository")
    made = modules.backup(volume, repository=repository, **options)["backups"][0]
    modules.restore(target, source_volume=volume, repository=repository, **options)
    return target, made["content"]


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_f64_nothing_at_all(engine: Engine, modules: Modules, work: pathlib.Path, compression: str) -> None:
    volume, target, repository = engine.volume(), engine.volume(), str(work / "repository")
    before = records.record(engine.path(volume))
    assert len(before) == 1
    made = modules.backup(volume, repository=repository, compression=compression)["backups"][0]
    assert (made["content"]["entries"], made["content"]["bytes"]) == (1, 0)
    modules.restore(target, source_volume=volume, repository=repository)
    assert records.differences(before, records.record(engine.path(target))) == []


def test_f64_a_file_larger_than_the_disk(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    sizes = {"one tebibyte": TEBIBYTE, "a hole of one tebibyte": TEBIBYTE, "eight gibibytes and one": 8 * GIBIBYTE + 1}
    for name, size in sizes.items():
        with open(engine.path(volume) / name, "wb") as file:
            file.truncate(size)
    with open(engine.path(volume) / "one tebibyte", "r+b") as file:
        for offset in (0, (3 << 20) + 1, TEBIBYTE // 2 + 12345, TEBIBYTE - (1 << 20) - 7):
            file.seek(offset)
            file.write(os.urandom(1 << 20))
    with open(engine.path(volume) / "eight gibibytes and one", "r+b") as file:
        file.seek(8 * GIBIBYTE)
        file.write(b"!")
    for name in sizes:
        os.utime(engine.path(volume) / name, ns=(1, 1_600_000_000_123_456_789))

    began = time.monotonic()
    target, content = round_trip(engine, modules, work, volume)
    took = time.monotonic() - began

    for name, size in sizes.items():
        source, restored = engine.path(volume) / name, engine.path(target) / name
        facts, found = source.stat(), restored.stat()
        assert found.st_size == facts.st_size == size
        assert found.st_mtime_ns == facts.st_mtime_ns
        assert found.st_blocks <= facts.st_blocks + 64, name
        assert pieces(restored) == pieces(source), name
    assert pieces(engine.path(target) / "eight gibibytes and one") == [(8 * GIBIBYTE, b"!")]
    assert content["bytes"] == sum(sizes.values())
    assert content["allocated_bytes"] < 8 << 20
    assert sum(path.stat().st_size for path in (work / "repository").rglob("*.tar.zst")) < 8 << 20
    assert took < 120  # at the speed of a fast disk, holes that are read take ten minutes


def test_f64_very_many_files_in_one_directory(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    folder = engine.path(volume) / "one directory"
    folder.mkdir()
    # a third of them has no byte
    for number in range(TINY):
        descriptor = os.open(f"{folder}/{number}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 + number % 0o100)
        os.write(descriptor, b"%d" % number * (number % 3))
        os.close(descriptor)
    before = records.record(engine.path(volume))
    assert len(before) == TINY + 2

    target, content = round_trip(engine, modules, work, volume)

    assert content["entries"] == TINY + 2
    assert records.differences(before, records.record(engine.path(target))) == []


def test_f64_a_very_deep_tree(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    here = os.open(engine.path(volume), os.O_RDONLY | os.O_DIRECTORY)
    for level in range(LEVELS):
        os.mkdir("d", mode=0o700 + level % 0o100, dir_fd=here)
        below = os.open("d", os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(os.open("nothing", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=below))
        os.close(here)
        here = below
    os.close(here)
    before = records.record(engine.path(volume))
    assert len(before) == 2 * LEVELS + 1

    # with fewer descriptors than levels
    target, content = round_trip(engine, modules, work, volume, wrapper=["prlimit", "--nofile=256"])

    assert content["entries"] == 2 * LEVELS + 1
    assert records.differences(before, records.record(engine.path(target))) == []
