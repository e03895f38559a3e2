# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tar says while it reads, out of real runs of the real stage where a run can be made to say it."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import os
import pathlib
import subprocess

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import archive, pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.pipeline import Outcome
from ansible_collections.drydock.volumes.plugins.module_utils._engine.survey import survey
from tests.support import records, trees
from tests.unit.helpers import NOBODY, mounted, needs_root, public_directory

MEBIBYTE = 1 << 20


@dataclasses.dataclass
class Read:
    """What came of reading a tree."""

    outcome: Outcome
    members: int
    data: bytes

    @property
    def reading(self) -> archive.Reading | None:
        return archive.reading(self.outcome)


def read(tree: pathlib.Path, *options: str, wrapper: c.Sequence[str] = ()) -> Read:
    """Run the stage as a backup does, with more options for tar and a command in front."""
    stage = archive.create(tools.gnu_tar()[0], str(tree))
    program, *arguments = stage.argv
    stage = dataclasses.replace(stage, argv=(*wrapper, program, *options, *arguments))
    members, data = archive.Members(), bytearray()
    (outcome,) = pipeline.run([stage], sink=data.extend, listing=members)
    return Read(outcome, members.count, bytes(data))


def extract(data: bytes, target: pathlib.Path) -> tuple[Outcome, int]:
    pieces = iter([memoryview(data)])
    members = archive.Members()
    stage = archive.extract(tools.gnu_tar()[0], str(target))
    (outcome,) = pipeline.run([stage], feed=lambda: next(pieces, memoryview(b"")), listing=members)
    return outcome, members.count


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "tree"
    made.mkdir()
    (made / "file").write_text("contents\n")
    return made


def _while_reading(tree: pathlib.Path, script: str) -> Read:
    """Run a script when tar has read some of the first of two files of 2 MiB."""
    for name in ("one", "two"):
        (tree / name).write_bytes(os.urandom(2 * MEBIBYTE))
    return read(tree, "--checkpoint=20", f"--checkpoint-action=exec=cd {tree} && {script}")


def test_a_quiet_run(tree: pathlib.Path) -> None:
    assert read(tree).reading == archive.Reading((), ())


DURING = {
    # A file shrinks by 1 byte: tar says "byte" then.
    "shrinks by a byte": pytest.param(f"truncate -s {2 * MEBIBYTE - 1} one two", {"./one", "./two"}),
    "shrinks": (f"truncate -s {MEBIBYTE} one two", {"./one", "./two"}),
    "grows": ("[ -e grown ] || for f in one two; do echo x >>$f; done; touch grown", {"./one", "./two", "."}),
    "vanishes": ("rm -f one two", {"./one", "./two"}),
}


@pytest.mark.parametrize(("script", "names"), DURING.values(), ids=DURING)
def test_f07_a_file_that_changes_is_named(tree: pathlib.Path, script: str, names: set[str]) -> None:
    reading = _while_reading(tree, script).reading
    assert reading is not None
    assert set(reading.changed) & names
    assert set(reading.changed) <= {*names, "."}
    assert reading.notes == ()


def test_a_socket_is_left_out_without_a_word(tree: pathlib.Path) -> None:
    trees.make_socket(tree / "sockets")
    found = read(tree)
    assert "socket ignored" in found.outcome.said[0]
    assert found.reading == archive.Reading((), ())
    assert found.members == survey(str(tree)).entries == 4


@needs_root
def test_a_file_system_mounted_inside_is_noted(tree: pathlib.Path) -> None:
    with mounted("tmpfs", tree / "inside"):
        (tree / "inside" / "hidden").write_text("x")
        found = read(tree)
        assert found.reading is not None
        assert found.reading.changed == ()
        assert len(found.reading.notes) == 1
        assert "./inside/: file is on a different filesystem; not dumped" in found.reading.notes[0]
        assert found.members == survey(str(tree)).entries == 3


@needs_root
@pytest.mark.parametrize("what", ["file", "folder"])
def test_f06_what_cannot_be_read_is_a_failure(what: str) -> None:
    with public_directory() as tree:
        (tree / "good").write_text("x")
        (tree / "file").write_text("x") if what == "file" else (tree / "folder").mkdir()
        (tree / what).chmod(0)
        # The listing's pipe is root's, which nobody may open again.
        stage = archive.create(tools.gnu_tar()[0], str(tree))
        argv = [argument for argument in stage.argv if pipeline.LISTING not in argument]
        stage = dataclasses.replace(stage, argv=(*NOBODY, *argv))
        (outcome,) = pipeline.run([stage], sink=bytearray().extend)
    assert outcome.status == 2
    assert "Permission denied" in str(outcome)
    assert archive.reading(outcome) is None


def test_a_tree_that_is_missing_is_a_failure(tmp_path: pathlib.Path) -> None:
    found = read(tmp_path / "nowhere")
    assert found.outcome.status == 2
    assert found.reading is None


SHRANK = "tar: ./f: File shrank by {}; padding with zeros"
TABLE = [
    (0, (), archive.Reading((), ())),
    (1, ("tar: ./f: file changed as we read it",), archive.Reading(("./f",), ())),
    (1, ("tar: ./f: File removed before we read it",), archive.Reading(("./f",), ())),
    (1, (SHRANK.format("17 bytes"),), archive.Reading(("./f",), ())),
    pytest.param(1, (SHRANK.format("1 byte"),), archive.Reading(("./f",), ()), id="one byte"),
    (1, ("tar: ./f: file changed as we read it",) * 2, archive.Reading(("./f",), ())),
    (1, (r"tar: ./a\nb\303\251: file changed as we read it",), archive.Reading((r"./a\nb\303\251",), ())),
    (1, ("tar: ./a: b: file changed as we read it",), archive.Reading(("./a: b",), ())),
    (1, ("tar: .: file changed as we read it",), archive.Reading((".",), ())),
    (1, (), None),
    (1, ("tar: ./s: socket ignored",), None),
    (1, ("tar: ./f: something new",), None),
    (
        1,
        ("tar: ./f: something new", "tar: ./g: file changed as we read it"),
        archive.Reading(("./g",), ("tar: ./f: something new",)),
    ),
    (0, ("tar: ./s: socket ignored",), archive.Reading((), ())),
    (
        0,
        ("tar: ./f: Warning: Cannot flistxattr: x",),
        archive.Reading((), ("tar: ./f: Warning: Cannot flistxattr: x",)),
    ),
    (0, ("tar: ./x: socket ignored: Cannot open",), archive.Reading((), ("tar: ./x: socket ignored: Cannot open",))),
    (2, (), None),
    (2, ("tar: ./f: file changed as we read it",), None),
    (-9, (), None),
    (-13, ("tar: ./f: file changed as we read it",), None),
    (127, (), None),
]


@pytest.mark.parametrize(("status", "said", "expected"), TABLE)
def test_how_messages_and_status_are_read(status: int, said: tuple[str, ...], expected: archive.Reading | None) -> None:
    assert archive.reading(Outcome("tar", status, said)) == expected


def test_members_are_counted_whatever_their_names(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    for name in ("new\nline", " ", "-v", "ä", "\udcff", "\\", "x" * 255):
        (tree / name).touch()
    os.link(tree / "file", tree / "again")
    found = read(tree)
    assert found.members == survey(str(tree)).entries == 10
    (tmp_path / "copy").mkdir()
    outcome, members = extract(found.data, tmp_path / "copy")
    assert (outcome.status, members) == (0, 10)
    assert sorted(os.listdir(tmp_path / "copy")) == sorted(os.listdir(tree))


def test_members_are_counted_across_pieces() -> None:
    members = archive.Members()
    for piece in (b"./\n./a", b"", b"\n", b"./b\n./c\n"):
        members(memoryview(piece))
    assert members.count == 4


def test_the_same_tree_gives_the_same_bytes(tree: pathlib.Path) -> None:
    os.setxattr(tree / "file", "user.x", b"1")
    first = read(tree).data
    (tree / "file").read_bytes()
    assert read(tree).data == first


@needs_root
def test_a_nasty_tree_comes_back_whole(tmp_path: pathlib.Path) -> None:
    trees.make_nasty(tmp_path / "nasty")
    try:
        found = read(tmp_path / "nasty")
        assert found.reading == archive.Reading((), ())
        (tmp_path / "copy").mkdir()
        outcome, members = extract(found.data, tmp_path / "copy")
        assert (outcome.status, members) == (0, found.members)
        assert [line for line in outcome.said if "time stamp" not in line] == []
        assert records.differences(records.record(tmp_path / "nasty"), records.record(tmp_path / "copy")) == []
        assert found.members == survey(str(tmp_path / "nasty")).entries
    finally:
        trees.remove(tmp_path / "nasty")
        trees.remove(tmp_path / "copy")


def test_a_plain_tar_lists_it(tree: pathlib.Path) -> None:
    listed = subprocess.run(["tar", "-t"], input=read(tree).data, capture_output=True, check=True)
    assert listed.stdout == b"./\n./file\n"


@pytest.mark.parametrize("cut", [0, 1, 511, 1000, 3000])
def test_f10_a_truncated_archive_is_no_success(tree: pathlib.Path, tmp_path: pathlib.Path, cut: int) -> None:
    (tree / "file").write_bytes(os.urandom(5000))
    found = read(tree)
    (tmp_path / "copy").mkdir()
    outcome, members = extract(found.data[:cut], tmp_path / "copy")
    assert outcome.status != 0 or members != found.members
