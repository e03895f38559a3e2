# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Beside, then in place: a tree becomes a volume's contents as a whole, or leaves no trace."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import signal
import stat

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import exchange, points, rename, roots, staging
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from tests.support import records, trees
from tests.unit.helpers import ENGINE, needs_root, python, umask
from tests.unit.test_archive import extract, read

pytestmark = needs_root

ACL = trees.acl(user=7, group=5, other=0, users={70003: 6}, mask=7)


@pytest.fixture
def root(tmp_path: pathlib.Path) -> c.Iterator[pathlib.Path]:
    made = tmp_path / "volume"
    made.mkdir()
    yield made
    trees.remove(made)


def _attributes(path: pathlib.Path) -> tuple[object, ...]:
    facts = path.stat()
    xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path)}
    return stat.S_IMODE(facts.st_mode), facts.st_uid, facts.st_gid, facts.st_mtime_ns, xattrs


def _dress(path: pathlib.Path) -> None:
    """Give a directory everything of its own that it can have."""
    os.setxattr(path, "user.note", b"one")
    os.setxattr(path, "trusted.note", b"two")
    os.chown(path, *trees.STRANGER)
    os.chmod(path, 0o3751)
    os.setxattr(path, "system.posix_acl_access", ACL)
    os.setxattr(path, "system.posix_acl_default", ACL)
    os.utime(path, ns=(trees.NANOSECONDS, trees.NANOSECONDS))


def test_the_tree_becomes_the_contents(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    with staging.Staging(str(root), "data") as staged:
        path = pathlib.Path(staged.path)
        assert (path.parent.parent, stat.S_IMODE(path.parent.stat().st_mode)) == (root, 0o700)
        trees.make_nasty(path)
        before = records.record(path)
        staged.commit()
    assert records.differences(before, records.record(root)) == []


def test_f15_the_root_gets_what_the_archives_root_has(root: pathlib.Path) -> None:
    with staging.Staging(str(root), "data") as staged:
        _dress(pathlib.Path(staged.path))
        wanted = _attributes(pathlib.Path(staged.path))
        staged.commit()
    assert _attributes(root) == wanted
    assert os.listdir(root) == []


def test_f15_the_root_keeps_nothing_else(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    (plain / "inside").touch()
    os.chmod(plain, 0o755)
    os.utime(plain, ns=(1, 2))
    _dress(root)
    with staging.Staging(str(root), "data") as staged:
        assert "system.posix_acl_default" not in os.listxattr(staged.path)
        outcome, _members = extract(read(plain).data, pathlib.Path(staged.path))
        assert outcome.status == 0
        staged.commit()
    assert _attributes(root) == (0o755, 0, 0, 2, {})
    assert os.listxattr(root / "inside") == []


def test_f15_folders_get_nothing_of_the_roots_group(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    """tar doesn't touch the mode of a folder that it could make with the right one, as it thinks."""
    plain = tmp_path / "plain"
    for name, mode in (("a", 0o500), ("a/b", 0), ("c", 0o755), ("d", 0o2500)):
        (plain / name).mkdir(parents=True)
        os.chmod(plain / name, mode)
    os.chmod(root, 0o2755)
    with staging.Staging(str(root), "data") as staged:
        outcome, _members = extract(read(plain).data, pathlib.Path(staged.path))
        assert outcome.status == 0
        staged.commit()
    found = {name: stat.S_IMODE(os.stat(root / name).st_mode) for name in ("a", "a/b", "c", "d")}
    assert found == {"a": 0o500, "a/b": 0, "c": 0o755, "d": 0o2500}


@pytest.mark.parametrize("mask", [0, 0o077, 0o777])
def test_f70_nobody_else_enters_whatever_the_umask(root: pathlib.Path, mask: int) -> None:
    with umask(mask), staging.Staging(str(root), "data") as staged:
        assert stat.S_IMODE(os.stat(staged.path).st_mode) & 0o077 == 0


def test_without_a_commit_nothing_is_left_however_deep(root: pathlib.Path) -> None:
    with pytest.raises(ZeroDivisionError), staging.Staging(str(root), "data") as staged:  # noqa: PT012
        trees.make_deep(pathlib.Path(staged.path) / "deep", 9000)
        raise ZeroDivisionError
    assert os.listdir(root) == []


def test_f13_what_is_not_empty_is_refused(root: pathlib.Path) -> None:
    for name in "edcba":
        (root / name).touch()
    with pytest.raises(
        VolumeError, match=r"data is not empty: .* holds 5 entries \('a', 'b', 'c', …\); .*; nothing was"
    ):
        staging.Staging(str(root), "data")
    assert sorted(os.listdir(root)) == list("abcde")


@pytest.mark.parametrize("name", [".hidden", ".drydock", "lost+found2", "\udcff", "drydock-staging-x"])
def test_f13_other_names_count(root: pathlib.Path, name: str) -> None:
    (root / name).mkdir()
    with pytest.raises(VolumeError, match="holds 1 entries"):
        roots.require_empty(str(root), "data")


def test_a_new_file_systems_folder_is_tolerated(root: pathlib.Path) -> None:
    (root / "lost+found").mkdir(mode=0o700)
    with staging.Staging(str(root), "data") as staged:
        (pathlib.Path(staged.path) / "lost+found").mkdir(mode=0o711)
        (pathlib.Path(staged.path) / "lost+found" / "found").touch()
        staged.commit()
    assert os.listdir(root / "lost+found") == ["found"]


@pytest.mark.parametrize("kind", ["file", "link", "full"])
def test_a_lost_and_found_that_is_no_empty_folder_counts(root: pathlib.Path, kind: str) -> None:
    if kind == "file":
        (root / "lost+found").touch()
    elif kind == "link":
        (root / "lost+found").symlink_to("/tmp")
    else:
        (root / "lost+found" / "inode").mkdir(parents=True)
    with pytest.raises(VolumeError, match="is not empty"):
        roots.require_empty(str(root), "data")


def _file_system(monkeypatch: pytest.MonkeyPatch, *, free: int, files: int, inodes: int) -> None:
    """Have every file system be one with so many bytes and inodes free, of so many files."""
    facts = list(os.statvfs("/"))
    facts[1], facts[4], facts[5], facts[7] = 1, free, files, inodes
    monkeypatch.setattr(os, "statvfs", lambda _path: os.statvfs_result(facts))


@pytest.mark.parametrize(
    ("needed", "entries", "files", "lacking"),
    [
        (1000, 10, 100, ""),
        (1001, 10, 100, "take 1001 bytes on disk, and its file system has 1000 bytes free"),
        (1000, 11, 100, "holds 11 files and directories, and its file system has 10 inodes free"),
        (0, 0, 100, ""),  # not known
        (1000, 1_000_000, 0, ""),  # a file system that makes inodes as they are needed
    ],
)
@pytest.mark.parametrize("removable", [True, False])
def test_f11_room_is_bytes_and_inodes(
    monkeypatch: pytest.MonkeyPatch, needed: int, entries: int, files: int, lacking: str, removable: bool
) -> None:
    _file_system(monkeypatch, free=1000, files=files, inodes=10 if files else 0)
    if not lacking:
        roots.require_room("/", "data", needed, entries, removable=removable)
        return
    with pytest.raises(VolumeError, match=rf"{lacking} beside .*; nothing was changed$") as error:
        roots.require_room("/", "data", needed, entries, removable=removable)
    assert ("staging: false" in str(error.value)) == removable


def test_f12_a_volume_that_is_incomplete_is_told(root: pathlib.Path) -> None:
    roots.require_whole(str(root), "data")
    roots.mark(str(root))
    roots.mark(str(root))
    assert roots.unfinished(str(root))
    for refuse in (roots.require_whole, roots.require_finished):
        with pytest.raises(VolumeError, match=r"data holds a part of a backup at most, and .* restore it again, with"):
            refuse(str(root), "data")
    with staging.Staging(str(root), "data", replace=True) as staged:
        (pathlib.Path(staged.path) / "file").touch()
        staged.commit()
    assert os.listdir(root) == ["file"]
    roots.require_whole(str(root), "data")


def test_f12_the_mark_is_no_file_of_somebody_elses(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (root / roots.MARKER).symlink_to(tmp_path / "elsewhere")
    assert roots.unfinished(str(root))
    with pytest.raises(OSError, match="Too many levels"):
        roots.mark(str(root))
    assert not (tmp_path / "elsewhere").exists()


def test_what_a_dead_restore_left_is_swept(root: pathlib.Path, tmp_path: pathlib.Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    trees.make_deep(root / ".drydock-staging-dead" / "deep", 9000)
    (root / ".drydock-staging-link").symlink_to(tmp_path / "precious")
    roots.require_empty(str(root), "data")
    with staging.Staging(str(root), "data") as staged:
        assert os.listdir(root) == [staged.folder]
    assert os.listdir(root) == []
    assert os.listdir(tmp_path / "precious") == ["file"]


@pytest.mark.parametrize("trace", ["old/file", "all-of-the-old-is-out"])
def test_f12_an_exchange_that_has_begun_is_never_swept(root: pathlib.Path, trace: str) -> None:
    left = root / ".drydock-staging-dead" / trace
    left.parent.mkdir(parents=True)
    left.write_text("the only copy")
    with pytest.raises(VolumeError, match="holds a part of its old and a part of its new contents"):
        staging.Staging(str(root), "data", replace=True)
    assert left.read_text() == "the only copy"


def _fail_in_the_middle(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commit a tree of which the last entry can't get its place: somebody took it after the look for emptiness."""
    exclusively, left = rename.exclusively, list("abcdefgh")

    def obstructed(old: str, new: str) -> None:
        left.pop()
        if not left:
            os.makedirs(new)
        exclusively(old, new)

    monkeypatch.setattr(rename, "exclusively", obstructed)
    with staging.Staging(str(root), "data") as staged:
        path = pathlib.Path(staged.path)
        for name in left:
            (path / name / "inside").mkdir(parents=True)
        os.chmod(path, 0o711)
        staged.commit()


def test_f11_a_failure_in_the_middle_takes_everything_back(root: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _dress(root)
    before = _attributes(root)
    with pytest.raises(VolumeError, match="the restored tree can't be put in place"):
        _fail_in_the_middle(root, monkeypatch)
    (obstacle,) = root.iterdir()  # what was in the way
    assert os.listdir(obstacle) == []
    after = _attributes(root)
    assert [*after[:3], after[4]] == [*before[:3], before[4]]


def test_f11_a_failure_at_the_very_end_takes_the_roots_attributes_back_too(root: pathlib.Path) -> None:
    _dress(root)
    before = _attributes(root)
    code = f"""
import os, sys
from {ENGINE} import errors, staging
calls = 0
def full(event, _arguments):
    global calls
    calls += event == "os.setxattr"
    if event == "os.setxattr" and calls == 1:
        raise OSError(28, "No space left on device")
try:
    with staging.Staging(sys.argv[1], "data") as staged:
        open(os.path.join(staged.path, "inside"), "w").close()
        os.setxattr(staged.path, "user.new", b"1")
        os.chmod(staged.path, 0o711)
        sys.addaudithook(full)
        staged.commit()
except errors.VolumeError as error:
    print(error)
"""
    assert "can't be put in place" in python(code, root).stdout
    assert os.listdir(root) == []
    after = _attributes(root)
    assert [*after[:3], after[4]] == [*before[:3], before[4]]


def test_without_a_commit_the_root_keeps_its_time(root: pathlib.Path) -> None:
    _dress(root)
    before = _attributes(root)
    with staging.Staging(str(root), "data"):
        pass
    assert _attributes(root) == before


def test_f13_what_was_written_meanwhile_is_not_overwritten(root: pathlib.Path) -> None:
    with pytest.raises(VolumeError), staging.Staging(str(root), "data") as staged:  # noqa: PT012
        (pathlib.Path(staged.path) / "file").write_text("restored")
        (root / "file").write_text("written by a container that was started meanwhile")
        staged.commit()
    assert (root / "file").read_text() != "restored"


def test_f12_an_interruption_between_the_renames_leaves_no_half(root: pathlib.Path) -> None:
    code = f"""
import os, sys
from {ENGINE} import staging
renames = 0
def interrupt(event, _arguments):
    global renames
    renames += event == "ctypes.dlsym"
    if renames == 3:
        renames += 1
        raise KeyboardInterrupt
sys.addaudithook(interrupt)
try:
    with staging.Staging(sys.argv[1], "data") as staged:
        for name in "abcdef":
            open(os.path.join(staged.path, name), "w").close()
        staged.commit()
except KeyboardInterrupt:
    print("interrupted")
"""
    assert python(code, root).stdout == "interrupted\n"
    assert sorted(os.listdir(root)) in ([], list("abcdef"))


def _trees(root: pathlib.Path) -> None:
    """What a volume holds before a restore."""
    for name in ("app.log", "base", "conf"):
        (root / name).write_text(f"old {name}")


def _fill(path: str) -> None:
    """What it is to hold afterwards."""
    for name in ("app.log", "base", "data"):
        (pathlib.Path(path) / name).write_text(f"new {name}")


def _files(root: pathlib.Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in root.iterdir() if path.is_file()}


NEW = {name: f"new {name}" for name in ("app.log", "base", "data")}


def test_f12_an_exchange_that_can_neither_end_nor_go_back_loses_nothing(
    root: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody makes a file anew while the old tree is out, and it is in the way of the new one and of the old one."""
    _trees(root)

    def intrude(point: str) -> None:
        if point == "all-out":
            (root / "app.log").write_text("written meanwhile")

    monkeypatch.setattr(points, "reached", intrude)
    with (  # noqa: PT012
        pytest.raises(VolumeError, match=r"can't be put back: .*nothing is lost.*the next run finishes the restore"),
        staging.Staging(str(root), "data", replace=True) as staged,
    ):
        _fill(staged.path)
        staged.commit()
    assert staged.unfinished
    folder = root / staged.folder
    assert _files(folder / "old") == {"app.log": "old app.log"}
    assert _files(folder / "new") == NEW
    assert _files(root) == {"app.log": "written meanwhile", "base": "old base", "conf": "old conf"}

    monkeypatch.undo()
    assert exchange.finish(str(root), "data", staged.folder)
    assert _files(root) == NEW
    assert not folder.exists()


@pytest.mark.parametrize("point", ["back-out", "back-unmarked", "one-back"])
def test_f12_killed_while_the_old_tree_is_put_back(root: pathlib.Path, point: str) -> None:
    _trees(root)
    code = f"""
import sys
from {ENGINE} import exchange, staging
exclusively, failed = exchange.rename.exclusively, []
def fail(old, new):
    if old.endswith("/new/data") and not failed:
        failed.append(old)
        raise OSError(5, "Input/output error")
    exclusively(old, new)
exchange.rename.exclusively = fail
with staging.Staging(sys.argv[1], "data", replace=True) as staged:
    print(staged.folder, flush=True)
    for name in ("app.log", "base", "data"):
        with open(f"{{staged.path}}/{{name}}", "w") as file:
            file.write(f"new {{name}}")
    staged.commit()
"""
    state = f"DRYDOCK_STATE_DIRECTORY={root.parent / 'state'}"
    killed = python(code, root, wrapper=["env", f"DRYDOCK_TEST_KILL_AT={point}", state])
    assert killed.returncode == -signal.SIGKILL
    assert exchange.finish(str(root), "data", killed.stdout.strip())
    assert _files(root) == NEW
