# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression: levels, and real round trips that plain programs can read and write too."""

from __future__ import annotations

import collections.abc as c
import random
import subprocess

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import codecs, pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import ToolError, UsageError

# Half of it can be compressed.
DATA = random.Random(1).randbytes(1 << 20) + bytes(range(256)) * 4096
PROGRAMS = {"zstd": "zstd", "gzip": "gzip"}


def _feed(data: bytes, size: int = 100_000) -> c.Callable[[], memoryview]:
    pieces = (memoryview(data)[start : start + size] for start in range(0, len(data), size))
    return lambda: next(pieces, memoryview(b""))


def _through(stages: list[pipeline.Stage], data: bytes) -> tuple[pipeline.Outcome | None, bytes]:
    out = bytearray()
    outcomes = pipeline.run([*stages, pipeline.Stage("cat", ("/bin/cat",))], feed=_feed(data), sink=out.extend)
    return pipeline.failed(outcomes), bytes(out)


def _compressed(name: str, data: bytes, level: int | None = None) -> bytes:
    bad, out = _through(codecs.codec(name).compressor(level), data)
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
    bad = pipeline.failed(pipeline.run(stages, feed=_feed(_compressed(name, DATA))))
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
