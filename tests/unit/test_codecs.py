# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression: levels, and real round trips that plain programs can read and write too."""

from __future__ import annotations

import bz2
import collections.abc as c
import contextlib
import gzip
import io
import lzma
import pathlib
import random
import subprocess
import tarfile
import tempfile
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import codecs, pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import ToolError, UsageError
from tests.support import hostile

# Half of it can be compressed.
DATA = random.Random(1).randbytes(1 << 20) + bytes(range(256)) * 4096
PROGRAMS = {"zstd": "zstd", "gzip": "gzip"}


@contextlib.contextmanager
def _source(data: bytes) -> c.Iterator[int]:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _through(stages: list[pipeline.Stage], data: bytes) -> tuple[pipeline.Outcome | None, bytes]:
    out = bytearray()
    with _source(data) as source:
        outcomes = pipeline.run([*stages, pipeline.Stage("cat", ("/bin/cat",))], source=source, sink=out.extend)
    return pipeline.failed(outcomes), bytes(out)


def _compressed(name: str, data: bytes, level: int | None = None, threads: int = 0) -> bytes:
    bad, out = _through(codecs.codec(name).compressor(level, threads), data)
    assert bad is None
    return out


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["nothing", "a byte", "2 MiB"])
@pytest.mark.parametrize("name", codecs.CODECS)
def test_round_trip(name: str, data: bytes) -> None:
    assert _through(codecs.codec(name).decompressor(), _compressed(name, data)) == (None, data)


@pytest.mark.parametrize("name", PROGRAMS)
def test_plain_programs_read_it_and_write_it(name: str) -> None:
    program = PROGRAMS[name]
    read = subprocess.run([program, "-dc"], input=_compressed(name, DATA), capture_output=True, check=True)
    assert read.stdout == DATA
    written = subprocess.run([program, "-c"], input=DATA, capture_output=True, check=True)
    assert _through(codecs.codec(name).decompressor(), written.stdout) == (None, DATA)


def test_gzip_of_the_same_bytes_is_the_same() -> None:
    first = _compressed("gzip", DATA)
    assert first == _compressed("gzip", DATA)
    assert first[3:8] == bytes(5)  # RFC 1952: no flags, so no name, and no time


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_level_that_is_promised_works(name: str) -> None:
    low, high = codecs.codec(name).levels
    sizes = [len(_compressed(name, DATA, level)) for level in (low, high)]
    assert sizes[1] <= sizes[0] < len(DATA)


@pytest.mark.parametrize("threads", [0, 1, 2, 7])
@pytest.mark.parametrize("name", codecs.CODECS)
def test_round_trip_with_any_number_of_threads(name: str, threads: int) -> None:
    compressed = _compressed(name, DATA, threads=threads)
    assert _through(codecs.codec(name).decompressor(), compressed) == (None, DATA)


def _arguments(name: str, level: int | None, threads: int) -> tuple[str, ...]:
    (stage,) = codecs.codec(name).compressor(level, threads)
    return stage.argv[1:]


ZSTD = [
    (None, 0, ("-2", "-T0")),
    (None, 1, ("-2", "-T1")),
    (3, 4, ("-3", "-T4")),
    (1, 0, ("-1", "-T0")),
    (19, 2, ("-19", "-T2")),
]


@pytest.mark.parametrize(("level", "threads", "expected"), ZSTD)
def test_zstd_is_told_the_level_and_the_threads(level: int | None, threads: int, expected: tuple[str, ...]) -> None:
    assert _arguments("zstd", level, threads) == ("--quiet", *expected, "--stdout")


def test_without_a_number_of_threads_zstd_takes_them_all() -> None:
    assert codecs.codec("zstd").compressor(None) == codecs.codec("zstd").compressor(2, 0)


GZIP = [(True, None, 0), (True, 9, 3), (True, 1, 1), (False, None, 0), (False, 1, 3)]


@pytest.mark.parametrize(("pigz", "level", "threads"), GZIP)
def test_only_pigz_is_told_the_threads(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, pigz: bool, level: int | None, threads: int
) -> None:
    known = {"gzip": str(tmp_path / "gzip"), **({"pigz": str(tmp_path / "pigz")} if pigz else {})}
    monkeypatch.setattr(tools, "find", known.get)
    (stage,) = codecs.codec("gzip").compressor(level, threads)
    program, first, second, *told, last = stage.argv
    assert (program, first, second, last) == (
        known["pigz" if pigz else "gzip"],
        f"-{level or 6}",
        "--no-name",
        "--stdout",
    )
    assert bool(told) == (pigz and threads > 0)
    assert not told or told[-1].endswith(str(threads))


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_nothing_is_done_by_no_stage_whatever_the_threads(threads: int) -> None:
    assert codecs.codec("none").compressor(None, threads) == []


@pytest.mark.parametrize(
    ("name", "level", "text"),
    [
        ("zstd", 0, "takes 1 to 19"),
        ("zstd", 20, "takes 1 to 19"),
        ("zstd", -5, "takes 1 to 19"),
        ("gzip", 0, "takes 1 to 9"),
        ("gzip", 10, "takes 1 to 9"),
        ("none", 0, "leave it out"),
        ("none", 3, "leave it out"),
    ],
)
def test_levels_out_of_range_are_refused(name: str, level: int, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        codecs.codec(name).compressor(level)


@pytest.mark.parametrize("name", ["xz", "", "ZSTD", "../zstd"])
def test_unknown_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="knows gzip, none, zstd"):
        codecs.codec(name)


@pytest.mark.parametrize("damage", [lambda data: data[:-9], lambda data: data[:100], lambda _: b"", lambda _: b"junk"])
@pytest.mark.parametrize("name", PROGRAMS)
def test_f10_what_is_cut_or_foreign_fails(name: str, damage: c.Callable[[bytes], bytes]) -> None:
    bad, _out = _through(codecs.codec(name).decompressor(), damage(_compressed(name, DATA)))
    assert bad is not None
    assert (bad.stage, bad.status) == (name, 1)
    assert bad.said


@pytest.mark.parametrize("name", PROGRAMS)
def test_the_cause_is_the_reader_that_left_and_not_the_decompressor(name: str) -> None:
    stages = [*codecs.codec(name).decompressor(), pipeline.Stage("left", ("/bin/sh", "-c", "exit 3"))]
    with _source(_compressed(name, DATA)) as source:
        bad = pipeline.failed(pipeline.run(stages, source=source))
    assert bad is not None
    assert (bad.stage, bad.status) == ("left", 3)


def test_without_pigz_gzip_does_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = tools.find
    monkeypatch.setattr(tools, "find", lambda program: None if program == "pigz" else found(program))
    (stage,) = codecs.codec("gzip").compressor(9)
    assert stage.argv[0].endswith("/gzip")
    assert _through(codecs.codec("gzip").decompressor(), _compressed("gzip", DATA)) == (None, DATA)


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find", lambda _program: None)
    with pytest.raises(ToolError, match="'zstd' is not on this host; install the package 'zstd'"):
        codecs.codec("zstd").compressor(None)


def _tarred(**how: t.Any) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **how) as made:
        made.addfile(tarfile.TarInfo("name"))
    return out.getvalue()


# 7th Edition: as ustar, without that word.
V7 = hostile.checked(bytearray(_tarred(format=tarfile.USTAR_FORMAT)[:257] + bytes(255)))

ARCHIVES = {
    "gzip": (gzip.compress(_tarred()), "gzip"),
    "bzip2": (bz2.compress(_tarred()), "bzip2"),
    "xz": (lzma.compress(_tarred()), "xz"),
    "zstd": (_compressed("zstd", _tarred()), "zstd"),
    "pax": (_tarred(format=tarfile.PAX_FORMAT), None),
    "GNU": (_tarred(format=tarfile.GNU_FORMAT), None),
    "ustar": (_tarred(format=tarfile.USTAR_FORMAT), None),
    "v7": (V7 + bytes(1024), None),
    "the end": (bytes(1024), None),
}


@pytest.mark.parametrize(("archive", "stage"), ARCHIVES.values(), ids=ARCHIVES)
def test_an_archive_is_recognized_by_what_is_in_it(archive: bytes, stage: str | None) -> None:
    found = codecs.recognized(archive[:1024])
    assert found is not None
    assert [each.name for each in found] == ([stage] if stage else [])
    if stage:
        assert _through(found, archive) == (None, _tarred())


@pytest.mark.parametrize(
    "head", [b"", b"\x1f", b"text\n" * 200, bytes(511), _tarred()[1:], _tarred()[:511], b"PK\3\4" * 200, b"\xff" * 1024]
)
def test_what_is_no_archive_is_not_taken_for_one(head: bytes) -> None:
    assert codecs.recognized(head) is None
