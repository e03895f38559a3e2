# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dumps in a tar stream: tar itself puts them together again, and no reader takes a part of one for all of it."""

from __future__ import annotations

import io
import tarfile

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import dumps
from ansible_collections.drydock.volumes.plugins.module_utils._engine.dumps import Dump, Reader, Writer
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import IntegrityError
from tests.unit.samples import WHEN

PIECE = 1000


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dumps, "PIECE", PIECE)


class Kept:
    """Keeps what it gets."""

    def __init__(self) -> None:
        self.whole: dict[str, bytes] = {}
        self._file = ""
        self._data = b""

    def begin(self, dump: Dump) -> None:
        self._file, self._data = dump.file, b""

    def write(self, data: memoryview) -> None:
        self._data += data

    def end(self) -> None:
        self.whole[self._file] = self._data


def stored(contents: dict[str, bytes], step: int = 300) -> tuple[bytes, list[Dump], int]:
    out = bytearray()
    writer, made = Writer(out.extend, WHEN), []
    for file, data in contents.items():
        writer.begin(file)
        for start in range(0, len(data), step):
            writer.write(memoryview(data)[start : start + step])
        made.append(writer.end(file.partition(".")[0]))
    writer.close()
    return bytes(out), made, writer.entries


def read(archive: bytes, known: list[Dump], step: int = 700) -> dict[str, bytes]:
    kept = Kept()
    reader = Reader(known, kept)
    for start in range(0, len(archive), step):
        reader.write(memoryview(archive)[start : start + step])
    reader.close()
    return kept.whole


SIZES = st.one_of(st.integers(0, 3 * PIECE), st.sampled_from([PIECE - 1, PIECE, PIECE + 1, 2 * PIECE]))


@hypothesis.given(sizes=st.lists(SIZES, min_size=1, max_size=4), step=st.integers(1, 2000))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_goes_in_comes_out_also_of_tar(sizes: list[int], step: int) -> None:
    contents = {f"{n}.dump": bytes([n + 1]) * size for n, size in enumerate(sizes)}
    archive, made, entries = stored(contents, step)
    assert read(archive, made, step) == contents
    assert len(archive) % tarfile.RECORDSIZE == 0
    found: dict[str, bytes] = dict.fromkeys(contents, b"")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        members = tar.getmembers()
        for member in members:
            reader = tar.extractfile(member)
            assert reader is not None
            found[member.name.partition("/")[0]] += reader.read()
    assert found == contents
    assert len(members) == entries


@hypothesis.given(end=st.integers(0, 10**6))
@hypothesis.settings(suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
def test_what_is_cut_is_never_whole(end: int) -> None:
    archive, made, _entries = stored({"a.dump": b"x" * 2500, "b.dump": b"y" * 10})
    needed = len(archive.rstrip(b"\0")) + 512
    with pytest.raises(IntegrityError):
        read(archive[: end % needed], made)


@pytest.mark.parametrize("number", range(3))
def test_a_piece_that_is_missing_is_missed(number: int) -> None:
    archive, made, _entries = stored({"a.dump": b"x" * 2500})
    at, size = number * (512 + 1024), 1024 if number < 2 else 512  # a header, and 1000 or 500 bytes in blocks
    with pytest.raises(IntegrityError):
        read(archive[:at] + archive[at + 512 + size :], made)


@pytest.mark.parametrize(
    "known",
    [
        [],
        [Dump("b.dump", "b", 3, "0" * 64)],
        [Dump("a.dump", "a", 4, "0" * 64)],
        [Dump("a.dump", "a", 3, "0" * 64)],
    ],
    ids=["none", "another", "another size", "another checksum"],
)
def test_what_the_manifest_does_not_say_is_refused(known: list[Dump]) -> None:
    archive, made, _entries = stored({"a.dump": b"abc"})
    assert read(archive, made) == {"a.dump": b"abc"}
    with pytest.raises(IntegrityError):
        read(archive, known)
    with pytest.raises(IntegrityError, match="has 1 dumps, its manifest says 2"):
        read(archive, made * 2)


@pytest.mark.parametrize("name", ["a.dump", "a.dump/x", "a.dump/000002", "../a/000001/x"])
def test_what_no_dump_has_is_refused(name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(IntegrityError):
        read(out.getvalue(), [Dump("a.dump", "a", 0, "0" * 64)])


@pytest.mark.parametrize(
    ("database", "file"),
    [
        ("shop", "shop.dump"),
        ("..", "...dump"),
        ("a/b\n'\"é", "a%2Fb%0A%27%22%C3%A9.dump"),
        ("ä" * 63, "%C3%A4" * 10 + "~7.dump"),
    ],
)
def test_a_databases_file_has_a_harmless_name(database: str, file: str) -> None:
    assert dumps.file_name(database, 7, ".dump") == file
    assert len(tarfile.TarInfo(f"{file}/000001").tobuf(tarfile.USTAR_FORMAT)) == 512
