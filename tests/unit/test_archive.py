# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tar says while it reads, out of real runs of the real stage where a run can be made to say it."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import os
import pathlib
import shutil
import subprocess
import tempfile

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
    members = archive.Members()
    stage = archive.extract(tools.gnu_tar()[0], str(target))
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        (outcome,) = pipeline.run([stage], source=file.fileno(), listing=members)
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


@pytest.mark.parametrize("size", [62 << 10, (62 << 10) + 512, 58 << 10, 118 << 10])
def test_padding_after_the_end_is_read_wherever_the_end_is(size: int, tmp_path: pathlib.Path) -> None:
    """A reader that leaves some would have the decompressor die of SIGPIPE, and a good archive be called damaged."""
    tar, _version = tools.gnu_tar()
    block = 512 * int(archive.BLOCKS.partition("=")[2])
    (tmp_path / "file").write_bytes(bytes([1]) * size)
    stored = subprocess.run([tar, "-C", tmp_path, "-cf", "-", "file"], capture_output=True, check=True).stdout
    end = -(-len(stored.rstrip(b"\0")) // 512) * 512 + 1024
    cut = max(end, (len(stored) - 1) // block * block)  # where a block of the reader's ends, if one does after the end
    reader = subprocess.Popen([tar, "-tf", "-", archive.BLOCKS], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert reader.stdin is not None
    reader.stdin.write(stored[:cut])
    reader.stdin.flush()
    with pytest.raises(subprocess.TimeoutExpired):  # it waits for the padding
        reader.wait(0.5)
    reader.communicate(stored[cut:])
    assert reader.returncode == 0


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


def test_f07_a_file_that_shrinks_is_told_apart(tree: pathlib.Path) -> None:
    reading = _while_reading(tree, f"truncate -s {MEBIBYTE} one two").reading
    assert reading is not None
    assert reading.shrank
    assert set(reading.shrank) <= set(reading.changed) & {"./one", "./two"}
    reading = _while_reading(tree, "rm -f one two").reading
    assert reading is not None
    assert reading.shrank == ()


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


# After what changes the user: run a program under the name that it has in our pipes.
AS_TAR = ("bash", "-c", 'exec -a tar "$0" "$@"')


def _read_without(tree: pathlib.Path, *options: str, wrapper: c.Sequence[str] = ()) -> Outcome:
    """Run the stage without some of tar's options, and without a listing: its pipe is root's alone."""
    stage = archive.create(tools.gnu_tar()[0], str(tree))
    argv = [one for one in stage.argv if one not in (*options, "--verbose") and pipeline.LISTING not in one]
    assert len(stage.argv) == len(argv) + len(options) + 2
    (outcome,) = pipeline.run([dataclasses.replace(stage, argv=(*wrapper, *argv))], sink=bytearray().extend)
    return outcome


@needs_root
@pytest.mark.parametrize("what", ["file", "folder"])
def test_f06_what_cannot_be_read_is_a_failure_but_to_the_tolerant(what: str) -> None:
    with public_directory() as tree:
        (tree / "good").write_text("x")
        (tree / "file").write_text("x") if what == "file" else (tree / "folder").mkdir()
        (tree / what).chmod(0)
        trees.make_socket(tree / "sockets")
        outcome = _read_without(tree, wrapper=(shutil.which(NOBODY[0]) or "", *NOBODY[1:], *AS_TAR))
    assert outcome.status == 2
    assert "Permission denied" in str(outcome)
    assert "socket ignored" in str(outcome)
    assert archive.reading(outcome) is None
    assert archive.reading(outcome, tolerant=True) == archive.Reading((), (), (f"./{what}",))


NAMES = ["plain", "a b", "a: b", ": Cannot open: x", "new\nline", "tab\t", "\a\b\f\r\v\x7f", "\\", "\\n"]
NAMES += ["é", "'\"", "#", "\udcff"]


@needs_root
def test_f63_the_names_of_files_that_cannot_be_read_are_known_whatever_is_in_them() -> None:
    with public_directory() as tree:
        for name in NAMES:
            (tree / name).touch(mode=0)
        outcome = _read_without(tree, wrapper=(shutil.which(NOBODY[0]) or "", *NOBODY[1:], *AS_TAR))
    reading = archive.reading(outcome, tolerant=True)
    assert reading is not None
    assert sorted(map(archive.unquoted, reading.unreadable)) == sorted(b"./" + os.fsencode(name) for name in NAMES)


@pytest.mark.parametrize(
    ("quoted", "name"),
    [
        ("", b""),
        ("./a", b"./a"),
        (r"./a\nb", b"./a\nb"),
        (r"./a\\nb", rb"./a\nb"),
        (r"./a\\\nb", b"./a\\\nb"),
        (r"./\303\251", "./é".encode()),
        (r"./\0011", b"./\x011"),
        (r"./\: \ ", b"./:  "),
        ("./\udcff", b"./\xff"),
    ],
)
def test_names_as_tar_quotes_them(quoted: str, name: bytes) -> None:
    assert archive.unquoted(quoted) == name


@needs_root
def test_f06_a_file_that_gives_an_error_in_the_middle() -> None:
    # sysfs(5) has files that can be opened and not read. They have no blocks: tar would take them for holes.
    outcome = _read_without(pathlib.Path("/sys/devices/virtual/net/lo/power"), "--sparse")
    assert outcome.status == 2
    assert "Read error at byte 0, while reading 4096 bytes: Input/output error" in str(outcome.said)
    assert archive.reading(outcome) is None
    tolerated = archive.reading(outcome, tolerant=True)
    assert tolerated is not None
    assert "./autosuspend_delay_ms" in tolerated.unreadable
    assert not set(tolerated.unreadable) & set(tolerated.changed)
    assert tolerated.notes == ()


def test_a_tree_that_is_missing_is_a_failure(tmp_path: pathlib.Path) -> None:
    found = read(tmp_path / "nowhere")
    assert found.outcome.status == 2
    assert found.reading is None
    assert archive.reading(found.outcome, tolerant=True) is None


SHRANK = "tar: ./f: File shrank by {}; padding with zeros"
TABLE = [
    (0, (), archive.Reading((), ())),
    (1, ("tar: ./f: file changed as we read it",), archive.Reading(("./f",), ())),
    (1, ("tar: ./f: File removed before we read it",), archive.Reading(("./f",), ())),
    (1, (SHRANK.format("17 bytes"),), archive.Reading(("./f",), (), shrank=("./f",))),
    pytest.param(1, (SHRANK.format("1 byte"),), archive.Reading(("./f",), (), shrank=("./f",)), id="one byte"),
    (
        1,
        ("tar: ./g: file changed as we read it", SHRANK.format("17 bytes"), "tar: ./h: File removed before we read it"),
        archive.Reading(("./g", "./f", "./h"), (), shrank=("./f",)),
    ),
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


DENIED = "tar: ./f: Cannot open: Permission denied"
DAMAGED = "tar: ./g: Read error at byte {}, while reading {}: Input/output error"
CHANGED = "tar: ./h: file changed as we read it"
PREVIOUS = "tar: Exiting with failure status due to previous errors"
FATAL = "tar: Error is not recoverable: exiting now"
F = archive.Reading((), (), ("./f",))
TOLERANT: dict[str, tuple[int, tuple[str, ...], archive.Reading | None]] = {
    "denied": (2, (DENIED, PREVIOUS), F),
    "denied, without an epilogue": (2, (DENIED,), F),
    "denied twice": (2, (DENIED, DENIED, PREVIOUS), F),
    "beside a socket": (2, ("tar: ./s: socket ignored", DENIED, PREVIOUS), F),
    "stat": (2, ("tar: ./f: Cannot stat: Input/output error", PREVIOUS), F),
    "read": (2, ("tar: ./f: Cannot read: Input/output error", PREVIOUS), F),
    "readlink": (2, ("tar: ./f: Cannot readlink: Structure needs cleaning", PREVIOUS), F),
    "savedir": (2, ("tar: ./f: Cannot savedir: Stale file handle", PREVIOUS), F),
    "at the start": (2, (DAMAGED.format(0, "512 bytes"), PREVIOUS), archive.Reading((), (), ("./g",))),
    "in the middle": (2, (DAMAGED.format(81920, "10240 bytes"), PREVIOUS), archive.Reading((), (), ("./g",))),
    "a single byte": (2, (DAMAGED.format(1, "1 byte"), PREVIOUS), archive.Reading((), (), ("./g",))),
    "several": (2, (DENIED, DAMAGED.format(0, "1 byte"), PREVIOUS), archive.Reading((), (), ("./f", "./g"))),
    "and one that changed": (2, (DENIED, CHANGED, PREVIOUS), archive.Reading(("./h",), (), ("./f",))),
    "and one that shrank": (
        2,
        ("tar: ./g: Cannot open: Permission denied", SHRANK.format("9 bytes"), PREVIOUS),
        archive.Reading(("./f",), (), ("./g",), ("./f",)),
    ),
    "a name with a colon": (2, ("tar: ./a: b: Cannot open: No", PREVIOUS), archive.Reading((), (), ("./a: b",))),
    "a name like a message": (
        2,
        ("tar: ./a: Cannot open: Permission denied: Cannot open: Permission denied", PREVIOUS),
        archive.Reading((), (), ("./a: Cannot open: Permission denied",)),
    ),
    "quoted": (2, (r"tar: ./a\nb: Cannot open: Permission denied", PREVIOUS), archive.Reading((), (), (r"./a\nb",))),
    "nothing was said": (2, (), None),
    "only the epilogue": (2, (PREVIOUS,), None),
    "only what changed": (2, (CHANGED, PREVIOUS), None),
    "only a socket": (2, ("tar: ./s: socket ignored", PREVIOUS), None),
    "a message of another kind": (2, (DENIED, "tar: ./i: Cannot frobnicate: No", PREVIOUS), None),
    "a full disk": (2, ("tar: -: Cannot write: No space left on device", FATAL), None),
    "a full disk after a denied file": (2, (DENIED, "tar: -: Cannot write: No space left on device", FATAL), None),
    "a short write": (2, (DENIED, "tar: -: Wrote only 4096 of 10240 bytes", FATAL), None),
    "no such tree": (2, ("tar: /x: Cannot open: No such file or directory", FATAL), None),
    "no listing": (2, ("tar: /dev/fd/9: Cannot open: Permission denied", FATAL), None),
    "gone in the middle": (2, (DENIED, "tar: ./d: Cannot change to: Stale file handle", FATAL), None),
    "no memory": (2, (DENIED, "tar: memory exhausted", FATAL), None),
    "the reader left": (-13, (DENIED,), None),
    "killed": (-9, (DENIED, PREVIOUS), None),
    "not found": (127, (DENIED,), None),
    "another status": (3, (DENIED, PREVIOUS), None),
    "status 1 without a change": (1, (DENIED,), None),
    "quiet": (0, (), archive.Reading((), ())),
    "changed": (1, (CHANGED,), archive.Reading(("./h",), ())),
    "changed, and noted": (
        1,
        (CHANGED, "tar: ./i: something new"),
        archive.Reading(("./h",), ("tar: ./i: something new",)),
    ),
}


@pytest.mark.parametrize(("status", "said", "expected"), TOLERANT.values(), ids=TOLERANT)
def test_f06_what_the_tolerant_accept(status: int, said: tuple[str, ...], expected: archive.Reading | None) -> None:
    outcome = Outcome("tar", status, said)
    assert archive.reading(outcome, tolerant=True) == expected
    assert archive.reading(outcome) == (None if status == 2 else expected)


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


ACL = trees.acl(user=6, group=4, other=4, users={70003: 6}, mask=6)
# A file system's own view of permissions, and what else there is. None of the first kind can be set here.
XATTRS = {
    "system.nfs4_acl": False,
    "system.nfs4_dacl": False,
    "system.nfs4_sacl": False,
    "system.cifs_acl": False,
    "system.smb3_acl": False,
    "system.ntfs_acl": False,
    "system.posix_acl_access": True,
    "system.posix_acl_default": True,
    "security.capability": True,
    "trusted.system.nfs4_acl": True,
    "user.nfs4_acl": True,
    "user.": True,
}


@pytest.mark.parametrize(("xattr", "held"), XATTRS.items())
def test_which_xattrs_an_archive_holds(xattr: str, held: bool) -> None:
    assert archive.holds(xattr) is held


@needs_root
@pytest.mark.parametrize("side", ["create", "extract"])
def test_tar_leaves_out_what_a_file_system_makes_up(
    tree: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, side: str
) -> None:
    """As with the names under system., which only such a file system has: tar matches these as it does those."""
    for name in ("trusted.nfs4_acl", "trusted.posix_acl", "user.nfs4_acl"):
        os.setxattr(tree / "file", name, b"1")
    os.setxattr(tree / "file", "system.posix_acl_access", ACL)
    metadata = archive._METADATA
    monkeypatch.setattr(archive, "_METADATA", [option.replace("system.", "trusted.") for option in metadata])
    assert tuple(archive._METADATA) != metadata
    if side == "create":
        data = read(tree).data
        monkeypatch.setattr(archive, "_METADATA", metadata)
    else:
        patched = archive._METADATA
        monkeypatch.setattr(archive, "_METADATA", metadata)
        data = read(tree).data
        monkeypatch.setattr(archive, "_METADATA", patched)
    (tmp_path / "copy").mkdir()
    outcome, _members = extract(data, tmp_path / "copy")
    assert outcome.said == ()
    names = ["system.posix_acl_access", "trusted.posix_acl", "user.nfs4_acl"]
    assert sorted(os.listxattr(tmp_path / "copy" / "file")) == names


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
