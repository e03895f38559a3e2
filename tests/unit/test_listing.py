# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a foreign archive is found to hold, by the real tar's listing of it."""

from __future__ import annotations

import collections.abc as c
import io
import pathlib
import subprocess
import tarfile
import tempfile

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import IntegrityError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.listing import Listing, stage
from tests.support import hostile
from tests.support.hostile import DIRECTORY, LINK, SYMLINK, Member


def listed(archive: bytes, strip: int = 0) -> Listing:
    found = Listing(strip)
    with tempfile.TemporaryFile() as file:
        file.write(archive)
        file.seek(0)
        (outcome,) = pipeline.run([stage(tools.gnu_tar()[0])], source=file.fileno(), listing=found)
    assert outcome.status == 0, outcome
    found.judge()
    return found


def made(*members: Member, strip: int = 0) -> Listing:
    return listed(hostile.archive(list(members)), strip)


SAMPLE = hostile.cases(pathlib.Path("/nowhere/victim"))
REFUSED = {name: case for name, case in SAMPLE.items() if case[1] and "damaged" not in case[1]}


@pytest.mark.parametrize(("members", "said"), REFUSED.values(), ids=REFUSED)
def test_f16_what_leads_out_is_refused(members: list[Member], said: str) -> None:
    if said == "Removing leading":
        return  # tar says that, and Bare takes no such word
    with pytest.raises(IntegrityError) as raised:
        made(*members)
    assert said in str(raised.value)


@pytest.mark.parametrize("members", [case[0] for case in REFUSED.values()], ids=REFUSED)
def test_f16_with_a_root_of_its_own_too(members: list[Member]) -> None:
    if REFUSED.get("a hard link up, to what is a member", ([], ""))[0] != members:
        with pytest.raises(IntegrityError):
            made(Member(".", DIRECTORY), *members)


TAKEN = {name: case for name, case in SAMPLE.items() if not case[1]}


@pytest.mark.parametrize("members", [case[0] for case in TAKEN.values()], ids=TAKEN)
def test_what_only_looks_odd_is_taken(members: list[Member]) -> None:
    found = made(*members)
    assert found.extracted == len(members)
    assert not found.stripped_root


def test_numbers() -> None:
    found = made(
        Member("./", DIRECTORY), Member("./a/b/c"), Member("./a/b/d", LINK, "./a/b/c"), Member("e", SYMLINK, "f")
    )
    assert (found.entries, found.extracted, found.bytes) == (6, 4, len(hostile.EVIL))
    assert found.rooted
    assert not found.repeated
    assert found.allocated == len(hostile.EVIL)


def test_numbers_without_a_root() -> None:
    found = made(Member("a/b"), Member("c"))
    assert (found.entries, found.extracted, found.rooted) == (4, 2, False)
    assert found.bytes == 2 * len(hostile.EVIL)


def test_what_comes_twice_makes_the_numbers_doubtful() -> None:
    assert made(Member("a"), Member("a")).repeated
    assert not made(Member("a", DIRECTORY), Member("a/b"), Member("a", DIRECTORY)).repeated


def test_leftovers_of_a_dead_restore_do_not_count() -> None:
    found = made(Member("a"), Member(".drydock-staging-x/new/b"), Member("./.drydock-staging-x/old", DIRECTORY))
    assert (found.entries, found.bytes, found.leftovers) == (2, len(hostile.EVIL), 2)
    assert made(Member("a"), Member("d/.drydock-staging-x")).leftovers == 0


@pytest.mark.parametrize(
    ("names", "strip", "entries", "stripped_root"),
    [
        (["v/", "v/a"], 1, 2, True),
        (["/v/", "/v/a"], 1, 2, True),
        (["./v/", "./v/a"], 2, 2, True),
        (["backup/data/", "backup/data/a"], 2, 2, True),
        (["backup/", "backup/data/", "backup/data/a"], 2, 2, True),
        (["v/a"], 1, 2, False),
        (["v/", "w/", "v/a"], 1, 2, False),
        (["v/", "v/a/", "v/a/b"], 2, 2, True),
        (["v//a//b"], 1, 3, False),
        (["v/"], 1, 1, True),
    ],
)
def test_strip_components(names: list[str], strip: int, entries: int, stripped_root: bool) -> None:
    members = [Member(name.rstrip("/") or "/", DIRECTORY) if name.endswith("/") else Member(name) for name in names]
    found = made(*members, strip=strip)
    assert (found.entries, found.stripped_root, found.rooted) == (entries, stripped_root, stripped_root)
    assert found.single is None


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ([Member("a")], "leaves nothing of the name of its member a, which is no directory"),
        ([Member("d/x"), Member("s", SYMLINK, "x")], "leaves nothing of the name of its member s"),
        ([Member("d/x"), Member("e/h", LINK, "d")], "is a hard link to d, which isn't in the archive before it"),
    ],
)
def test_names_of_which_nothing_is_left(members: list[Member], said: str) -> None:
    with pytest.raises(IntegrityError) as raised:
        made(*members, strip=1)
    assert said in str(raised.value)


def test_hard_links_are_stripped_too() -> None:
    found = made(Member("v/a"), Member("v/b", LINK, "v/a"), strip=1)
    assert (found.entries, found.bytes) == (3, len(hostile.EVIL))


@pytest.mark.parametrize(
    ("names", "single"),
    [
        (["v/a", "v/b"], ("v", 1)),
        (["./v/a"], ("v", 2)),
        (["/v/a", "/v/b/c"], ("v", 1)),
        (["v/a", "b"], None),
        (["./", "v/a"], None),
        (["v"], None),
    ],
)
def test_a_single_leading_directory(names: list[str], single: object) -> None:
    members = [Member(".", DIRECTORY) if name == "./" else Member(name) for name in names]
    assert made(*members).single == single


def _cut(archive: bytes) -> bytes:
    return archive.rstrip(b"\0").ljust(1024, b"\0")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_cut, "it has no end"),
        (lambda archive: _cut(archive) + archive[:100], "it has no end"),
        (lambda _archive: bytes(10240), "it is empty"),
    ],
)
def test_f10_what_is_cut_is_found_although_tar_takes_it(change: c.Callable[[bytes], bytes], said: str) -> None:
    with pytest.raises(IntegrityError, match=said):
        listed(change(hostile.archive([Member("a")])))


ODD = [
    b'"',
    b'a" -> "b',
    b'a" link to "b',
    b"a\nblock 1: ** Block of NULs **",
    b"\\",
    b"\\n",
    b"\xff\xfe",
    b"\x01",
    b" ",
    b"-",
    b"caf\xc3\xa9",
]


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("kind", [hostile.FILE, SYMLINK, LINK])
def test_f63_no_name_is_taken_for_another_part_of_the_line(name: bytes, kind: bytes) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT, encoding="utf-8") as archive:
        text = name.decode("utf-8", "surrogateescape")
        archive.addfile(tarfile.TarInfo(text))
        info = tarfile.TarInfo(f"d/{text}")
        info.type, info.linkname = kind, text
        archive.addfile(info)
    found = listed(out.getvalue())
    assert (found.entries, found.extracted, found.bytes, found.repeated) == (4, 2, 0, False)


def test_devices_and_a_label(tmp_path: pathlib.Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    command = ["tar", "-c", "-V", "a label", "-C", tmp_path, "file"]
    assert listed(subprocess.run(command, check=True, capture_output=True).stdout).bytes == 5
    found = made(
        *(Member(str(number), kind) for number, kind in enumerate((tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)))
    )
    assert found.entries == 4


def test_in_small_pieces() -> None:
    whole, piece = Listing(0), Listing(0)
    lines = (
        b'block 0: drwxr-xr-x 0/0               0 2026-11-24 02:25 "./"\n'
        b'block 1: -rw-r--r-- 70001/4294967294  3 2026-11-24 02:25 "./a"\n'
        b'block 3: crw-r--r-- 0/0             1,3 2026-11-24 02:25 "./c"\n'
        b"block 4: ** Block of NULs **\n"
    )
    whole(memoryview(lines))
    for number in range(len(lines)):
        piece(memoryview(lines)[number : number + 1])
    for found in (whole, piece):
        found.judge()
        assert (found.entries, found.bytes, found.rooted) == (3, 3, True)


def test_a_line_that_is_not_understood() -> None:
    found = Listing(0)
    found(memoryview(b"what is this\n"))
    with pytest.raises(IntegrityError, match="tar lists something that isn't understood here: what is this"):
        found.judge()
