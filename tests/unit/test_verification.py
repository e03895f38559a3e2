# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives read back and restored aside: what is wrong with one is found, and nothing is left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import hashlib
import os
import pathlib
import stat
import tempfile
import time
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import (
    archive,
    codecs,
    compare,
    pipeline,
    tools,
    verification,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    IntegrityError,
    PipelineError,
    RepositoryError,
    VolumeError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.stored import Local
from tests.support import trees
from tests.unit.helpers import ENGINE, needs_root, started

pytestmark = needs_root

SECOND = 1_000_000_000


@dataclasses.dataclass
class Stored:
    """An archive as it was written, and what is known of it."""

    tree: pathlib.Path
    path: pathlib.Path
    filters: list[pipeline.Stage]
    entries: int

    def __post_init__(self) -> None:
        self.know()

    def know(self) -> None:
        """Take what is in the file for what was written."""
        data = self.path.read_bytes()
        self.size, self.sha256 = len(data), hashlib.sha256(data).hexdigest()

    def facts(self) -> dict[str, t.Any]:
        return {
            "sha256": self.sha256,
            "size": self.size,
            "entries": self.entries,
            "filters": self.filters,
            "tar": tools.gnu_tar()[0],
        }

    def read(self, **other: t.Any) -> None:
        with self.path.open("rb") as file:
            verification.archive_readable(Local(file.fileno(), str(self.path), cold=True), **{**self.facts(), **other})

    def restore(self, scratch: pathlib.Path, **other: t.Any) -> compare.Comparison:
        tar, now = tools.gnu_tar()[0], time.time_ns() + 100 * SECOND
        given = {"tree": str(self.tree), "started": now, "scratch": str(scratch), "needed": 0, "tar": tar, **other}
        with self.path.open("rb") as file:
            stored = Local(file.fileno(), str(self.path), cold=True)
            return verification.restorable(stored, **{"filters": self.filters, **given})


def store(tree: pathlib.Path, compression: str = "zstd") -> Stored:
    codec, members = codecs.codec(compression), archive.Members()
    path = tree.with_name(f"archive{codec.extension}")
    with path.open("wb") as file:
        stages = [archive.create(tools.gnu_tar()[0], str(tree)), *codec.compressor(None)]
        pipeline.run(stages, sink=file.write, listing=members)
    return Stored(tree, path, codec.decompressor(), members.count)


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "tree"
    (made / "folder").mkdir(parents=True)
    (made / "file").write_text("contents\n")
    (made / "folder" / "new\nline").write_bytes(os.urandom(300_000))
    os.setxattr(made / "folder", "user.note", b"1")
    return made


@pytest.fixture(params=["zstd", "gzip", "none"])
def stored(tree: pathlib.Path, request: pytest.FixtureRequest) -> Stored:
    return store(tree, request.param)


@pytest.fixture
def scratch(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "scratch"
    made.mkdir()
    return made


def _flip(path: pathlib.Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_good_archive(stored: Stored) -> None:
    stored.read()
    stored.read(filters=None)
    stored.read(stall_timeout=60)


def test_a_nasty_archive(tmp_path: pathlib.Path, scratch: pathlib.Path) -> None:
    trees.make_nasty(tmp_path / "nasty", sockets=True)
    try:
        stored = store(tmp_path / "nasty")
        stored.read()
        found = stored.restore(scratch)
        assert (found.entries, found.changed) == (stored.entries, 0)
    finally:
        trees.remove(tmp_path / "nasty")


@pytest.mark.parametrize("cut", [0, 1, 1000, 299_000])
@pytest.mark.parametrize("readable", [True, False])
def test_a_truncated_archive(stored: Stored, cut: int, readable: bool) -> None:
    os.truncate(stored.path, cut)
    with pytest.raises(IntegrityError, match=rf"the archive has {cut} bytes on disk, {stored.size} were written"):
        stored.read(**{} if readable else {"filters": None})


@pytest.mark.parametrize("at", [0, 1, 1000, 150_000, -1])
@pytest.mark.parametrize("readable", [True, False])
def test_a_flipped_bit(stored: Stored, at: int, readable: bool) -> None:
    _flip(stored.path, at)
    with pytest.raises(IntegrityError, match=rf"archive is damaged: its SHA-256 is \w+ on disk, {stored.sha256} was w"):
        stored.read(**{} if readable else {"filters": None})


def test_garbage_behind(stored: Stored) -> None:
    with stored.path.open("ab") as file:
        file.write(b"garbage")
    with pytest.raises(IntegrityError, match=f"has {stored.size + 7} bytes on disk, {stored.size} were written"):
        stored.read()


def test_a_wrong_size(stored: Stored) -> None:
    with pytest.raises(IntegrityError, match=f"has {stored.size} bytes on disk, {stored.size + 1} were written"):
        stored.read(size=stored.size + 1)


def test_a_wrong_count(stored: Stored) -> None:
    assert stored.entries == 4
    with pytest.raises(IntegrityError, match="the archive holds 4 entries, 5 were written"):
        stored.read(entries=5)
    stored.read(entries=5, filters=None)


def test_what_was_written_wrong_already_is_found_by_reading_it(tree: pathlib.Path) -> None:
    """Size and checksum are right, and all the same it is no archive."""
    for compression, cause in {
        "zstd": "zstd exited 1: ",
        "gzip": "(gzip|pigz) ?.* exited ",
        "none": "tar exited 2: ",
    }.items():
        stored = store(tree, compression)
        os.truncate(stored.path, stored.size // 2)
        stored.know()
        with pytest.raises(IntegrityError, match=f"the archive can't be read back: {cause}"):
            stored.read()
        stored.read(filters=None)


@pytest.mark.parametrize("garbage", [b"garbage", bytes(7)])
def test_garbage_behind_that_was_there_from_the_start(tree: pathlib.Path, garbage: bytes) -> None:
    stored = store(tree)
    with stored.path.open("ab") as file:
        file.write(garbage)
    stored.know()
    with pytest.raises(IntegrityError, match="the archive can't be read back: zstd exited 1: "):
        stored.read()


def test_a_flipped_bit_in_a_header(tree: pathlib.Path) -> None:
    stored = store(tree, "none")
    _flip(stored.path, 3)
    stored.know()
    with pytest.raises(IntegrityError, match="the archive can't be read back: tar exited 2: "):
        stored.read()


def test_what_tar_says_is_a_failure_even_if_it_exits_0(tree: pathlib.Path, tmp_path: pathlib.Path) -> None:
    stored = store(tree, "none")
    tar = tmp_path / "tar"
    tar.write_text(f'#!/bin/sh\necho "tar: a word" >&2\nexec {tools.gnu_tar()[0]} "$@"\n')
    tar.chmod(0o755)
    with pytest.raises(IntegrityError, match="the archive can't be read back: tar exited 0: tar: a word"):
        stored.read(tar=str(tar))
    with pytest.raises(PipelineError, match="tar exited 0: tar: a word; what was restored is removed"):
        stored.restore(tmp_path, tar=str(tar))
    assert list(tmp_path.glob(".drydock*")) == []


def test_a_disk_that_cannot_be_read(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store(tree)

    def fail(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "readv", fail)
    with pytest.raises(RepositoryError, match=rf"archive {stored.path} can't be read: Input/output error; see to"):
        stored.read()


def test_it_is_the_disk_that_is_read(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = store(tree)
    done: list[str] = []
    fsync, advise, readv = os.fsync, os.posix_fadvise, os.readv
    monkeypatch.setattr(os, "fsync", lambda *given: (done.append("sync"), fsync(*given)))
    monkeypatch.setattr(os, "posix_fadvise", lambda *given: (done.append(f"advise {given[1:]}"), advise(*given)))
    monkeypatch.setattr(os, "readv", lambda *given: (done.append("read"), readv(*given))[1])
    stored.read(filters=None)
    assert done[:3] == ["sync", f"advise (0, 0, {os.POSIX_FADV_DONTNEED})", "read"]


def test_a_restore_that_is_the_tree(stored: Stored, scratch: pathlib.Path) -> None:
    found = stored.restore(scratch, needed=1 << 20, stall_timeout=60)
    assert found == compare.Comparison(4, 300_009, (), 0, 0)
    assert os.listdir(scratch) == []


def _patched(path: pathlib.Path) -> None:
    facts = path.stat()
    _flip(path, 0)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))


def test_a_restore_that_is_not_the_tree(stored: Stored, scratch: pathlib.Path) -> None:
    _patched(stored.tree / "file")
    (stored.tree / "folder").chmod(0o711)
    with pytest.raises(
        IntegrityError, match=r"what the archive restores isn't what is in .*tree since before"
    ) as caught:
        stored.restore(scratch)
    lines = str(caught.value).partition("before the backup: ")[2].split("; ")
    assert sorted(lines) == ["./file: contents differ at byte 0", "./folder: mode is 0755, was 0711"]
    assert os.listdir(scratch) == []


def test_many_differences_are_counted(stored: Stored, scratch: pathlib.Path) -> None:
    for number in range(30):
        (stored.tree / str(number)).touch()
    with pytest.raises(IntegrityError, match=r"is missing and 11 more$"):
        stored.restore(scratch)  # the root's time too


def test_what_changed_since_is_left_out(stored: Stored, scratch: pathlib.Path) -> None:
    file = stored.tree / "file"
    _patched(file)
    late = file.stat().st_ctime_ns + 2 * SECOND
    assert stored.restore(scratch, started=late).changed == 1
    with pytest.raises(IntegrityError, match=r"\./file: contents differ"):
        stored.restore(scratch, started=late + 1)


def test_an_archive_of_something_else(tree: pathlib.Path, scratch: pathlib.Path) -> None:
    stored = store(tree)
    os.rename(tree, tree.with_name("other"))
    tree.mkdir()
    with pytest.raises(IntegrityError, match=r"\./file: is new"):
        stored.restore(scratch)


@pytest.mark.parametrize("damage", [lambda path: os.truncate(path, 1000), lambda path: _flip(path, 5000)])
def test_an_archive_that_cannot_be_extracted(tree: pathlib.Path, scratch: pathlib.Path, damage: t.Any) -> None:
    stored = store(tree)
    damage(stored.path)
    with pytest.raises(
        PipelineError, match=f"can't be restored into {scratch}: zstd exited 1: .*; what was restored is"
    ):
        stored.restore(scratch)
    assert os.listdir(scratch) == []


def test_no_room(stored: Stored, scratch: pathlib.Path) -> None:
    with pytest.raises(VolumeError, match=rf"needs {105 << 50} bytes in {scratch}, and \d+ are free") as caught:
        stored.restore(scratch, needed=100 << 50)
    assert os.listdir(scratch) == []
    free = int(str(caught.value).partition(" and ")[2].split()[0])
    facts = os.statvfs(scratch)
    assert abs(free - facts.f_bavail * facts.f_frsize) < 1 << 30
    with pytest.raises(VolumeError, match="are free"):
        stored.restore(scratch, needed=free)
    stored.restore(scratch, needed=free * 9 // 10)


@pytest.mark.parametrize("what", ["missing", "file"])
def test_a_scratch_directory_that_is_none(stored: Stored, scratch: pathlib.Path, what: str) -> None:
    (scratch / "file").touch()
    with pytest.raises(VolumeError, match=f"{scratch / what} can't be used to restore into: No"):
        stored.restore(scratch / what)


def test_a_tree_that_is_gone(stored: Stored, scratch: pathlib.Path) -> None:
    trees.remove(stored.tree)
    with pytest.raises(VolumeError, match="tree can't be read"):
        stored.restore(scratch)
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, ZeroDivisionError])
@pytest.mark.parametrize("when", ["extracting", "comparing"])
def test_nothing_is_left_whatever_happens(
    stored: Stored, scratch: pathlib.Path, error: type[BaseException], when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object, **_options: object) -> compare.Comparison:
        assert os.listdir(scratch) != []
        raise error

    options: dict[str, t.Any] = {}
    if when == "extracting":
        options["proceed"] = fail
    else:
        monkeypatch.setattr(compare, "differences", fail)
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(error):
        stored.restore(scratch, **options)
    assert os.listdir(scratch) == []
    assert len(os.listdir("/proc/self/fd")) == before


def test_nobody_else_enters_what_is_restored(tree: pathlib.Path, scratch: pathlib.Path, monkeypatch: t.Any) -> None:
    """The root gets its own owner and mode there too; that of the directory around it stays."""
    os.chown(tree, *trees.STRANGER)
    tree.chmod(0o777)
    acl = trees.acl(user=7, group=7, other=7, users={70003: 7}, mask=7)
    os.setxattr(scratch, "system.posix_acl_default", acl)
    scratch.chmod(0o2777)
    seen: list[int] = []
    real = compare.differences

    def spy(original: str, copy: str, **options: t.Any) -> compare.Comparison:
        assert stat.S_IMODE(os.stat(copy).st_mode) == 0o777
        outer = os.stat(os.path.dirname(copy))
        seen.extend([stat.S_IMODE(outer.st_mode) & 0o077, outer.st_uid])
        return real(original, copy, **options)

    monkeypatch.setattr(compare, "differences", spy)
    assert store(tree).restore(scratch).entries == 4
    assert seen == [0, 0]
    with verification.aside(str(scratch)) as path:
        assert os.listxattr(path) == []


def test_what_dead_runs_left_is_swept(stored: Stored, scratch: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").mkdir()
    trees.make_deep(scratch / ".drydock-verify-dead" / "deep", 9000)
    (scratch / ".drydock-verify-empty").mkdir(mode=0)
    (scratch / ".drydock-verify-file").touch()
    (scratch / ".drydock-verify-link").symlink_to(tmp_path / "precious")
    (scratch / "drydock-verify-other").mkdir()
    stored.restore(scratch)
    left = {".drydock-verify-file", ".drydock-verify-link", "drydock-verify-other"}
    assert set(os.listdir(scratch)) == left
    assert (tmp_path / "precious").exists()


LIVE = f"""
import sys, time
from {ENGINE} import verification
with verification.aside(sys.argv[1]) as path:
    print(path, flush=True)
    time.sleep(600)
"""


def test_a_live_runs_directory_stays_and_a_killed_ones_goes(stored: Stored, scratch: pathlib.Path) -> None:
    with started(LIVE, scratch):
        (live,) = os.listdir(scratch)
        stored.restore(scratch)
        assert os.listdir(scratch) == [live]
        assert os.listdir(scratch / live) == ["tree"]
    assert os.listdir(scratch) == [live]
    stored.restore(scratch)
    assert os.listdir(scratch) == []


def test_several_at_once(scratch: pathlib.Path) -> None:
    with contextlib.ExitStack() as stack:
        for number in range(1, 5):
            stack.enter_context(verification.aside(str(scratch)))
            assert len(os.listdir(scratch)) == number
    assert os.listdir(scratch) == []


@pytest.mark.parametrize("when", ["before it is opened", "before it is locked"])
def test_a_sweeper_that_comes_before_the_lock(
    scratch: pathlib.Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    made: list[str] = []
    mkdtemp, flock = tempfile.mkdtemp, fcntl.flock

    def make(**options: str) -> str:
        made.append(mkdtemp(**options))
        if len(made) == 1 and when == "before it is opened":
            os.rmdir(made[0])
        return made[-1]

    def lock(descriptor: int, how: int) -> None:
        if len(made) == 1:
            os.rmdir(made[0])
        flock(descriptor, how)

    monkeypatch.setattr(tempfile, "mkdtemp", make)
    monkeypatch.setattr(fcntl, "flock", lock)
    before = len(os.listdir("/proc/self/fd"))
    with verification.aside(str(scratch)) as path:
        assert os.path.dirname(path) == made[1]
        assert os.listdir(path) == []
    assert os.listdir(scratch) == []
    assert len(os.listdir("/proc/self/fd")) == before
