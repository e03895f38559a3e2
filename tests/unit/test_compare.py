# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two trees, entry by entry: every kind of difference is found, and none where the original went on living."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import pathlib
import re
import shutil
import stat
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import archive, compare, pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.compare import Comparison
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.survey import open_below, survey
from tests.support import trees
from tests.unit.helpers import BECOME_NOBODY, ENGINE, mounted, needs_root, public_directory, python

pytestmark = needs_root

Change = c.Callable[[pathlib.Path], object]

TIME = trees.NANOSECONDS
MEBIBYTE = 1 << 20
ACL = trees.acl(user=6, group=4, other=0, users={70003: 6}, mask=6)
ENTRIES = 15


def look(pair: tuple[pathlib.Path, pathlib.Path], **options: t.Any) -> Comparison:
    return compare.differences(str(pair[0]), str(pair[1]), **options)


def _make(path: pathlib.Path) -> None:
    """Make one entry of each kind, the same each time."""
    (path / "folder" / "below").mkdir(parents=True)
    (path / "folder" / "below" / "inside").write_bytes(b"inside\n")
    (path / "file").write_bytes(b"contents\n")
    (path / "large").write_bytes(b"12345678" * (MEBIBYTE // 8 + 1))
    os.truncate(path / "large", MEBIBYTE + 1)
    for name in ("sparse", "zeros"):
        (path / name).write_bytes(b"head" + bytes(3 * MEBIBYTE) + b"tail")
    for name in ("dressed", "runs"):
        (path / name).write_bytes(b"x")
    os.setxattr(path / "dressed", "user.one", b"1")
    os.setxattr(path / "dressed", "user.two", b"2")
    os.setxattr(path / "dressed", "trusted.three", b"3")
    os.setxattr(path / "dressed", "system.posix_acl_access", ACL)
    os.setxattr(path / "folder", "system.posix_acl_default", ACL)
    os.setxattr(path / "runs", "security.capability", trees.capability(10))
    (path / "symlink").symlink_to("nowhere")
    os.setxattr(path / "symlink", "trusted.link", b"1", follow_symlinks=False)
    os.mkfifo(path / "fifo")
    os.mknod(path / "node", stat.S_IFCHR | 0o600, os.makedev(1, 3))
    (path / "leader").write_bytes(b"linked\n")
    os.link(path / "leader", path / "follower")
    for entry in (*path.rglob("*"), path):
        os.utime(entry, ns=(TIME, TIME), follow_symlinks=False)


def _latest(path: pathlib.Path) -> int:
    return max(entry.lstat().st_ctime_ns for entry in (path, *path.rglob("*")))


def _moment(pair: tuple[pathlib.Path, pathlib.Path]) -> int:
    """A time after every change that was made in the original so far."""
    tick, latest = pair[0].parent / "tick", _latest(pair[0])
    tick.touch()
    while tick.stat().st_ctime_ns <= latest:
        os.utime(tick)
    return tick.stat().st_ctime_ns


@pytest.fixture
def pair(tmp_path: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A tree and an equal one."""
    for name in ("original", "copy"):
        (tmp_path / name).mkdir()
        _make(tmp_path / name)
    return tmp_path / "original", tmp_path / "copy"


def _keeping_time(path: pathlib.Path, change: Change) -> None:
    """Change an entry and give it and its folder their times back."""
    change(path)
    for entry in (path, path.parent):
        if os.path.lexists(entry):
            os.utime(entry, ns=(TIME, TIME), follow_symlinks=False)


def _keep(name: str, change: Change) -> Change:
    return lambda tree: _keeping_time(tree / name, change)


def _instead(make: Change) -> Change:
    """Remove what is there and make something else of that name."""

    def change(path: pathlib.Path) -> None:
        trees.remove(path)
        make(path)

    return change


def _patch(at: int, data: bytes) -> Change:
    def change(path: pathlib.Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return change


def _sparse_again(path: pathlib.Path) -> None:
    with path.open("wb") as file:
        file.write(b"head")
        file.seek(3 * MEBIBYTE, os.SEEK_CUR)
        file.write(b"tail")
        file.flush()
        os.fsync(file.fileno())
    assert path.stat().st_blocks * 512 < MEBIBYTE


def _apart(path: pathlib.Path) -> None:
    shutil.copy2(path.with_name("leader"), path)


def _joined(path: pathlib.Path) -> None:
    os.link(path.with_name("leader"), path)


def test_two_equal_trees(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    files = [entry for entry in pair[0].rglob("*") if entry.is_file() and not entry.is_symlink()]
    size = sum(entry.stat().st_size for entry in files) - (pair[0] / "follower").stat().st_size
    assert look(pair) == Comparison(ENTRIES, size, (), 0, 0)


def test_a_tree_is_equal_to_itself_by_another_name(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    (pair[0].parent / "alias").symlink_to("original")
    assert look((pair[0].parent / "alias", pair[0])).differences == ()


CHANGES: dict[str, tuple[Change, str]] = {
    "mode": (lambda tree: (tree / "file").chmod(0o4600), "./file: mode is 4600, was 0644"),
    "mode of a folder": (lambda tree: (tree / "folder").chmod(0o1755), "./folder: mode is 1755, was 0755"),
    "mode of the root": (lambda tree: tree.chmod(0o700), ".: mode is 0700, was 0755"),
    "mode of a fifo": (lambda tree: (tree / "fifo").chmod(0o600), "./fifo: mode is 0600, was 0644"),
    "owner": (lambda tree: os.chown(tree / "file", 7, -1), "./file: owner is 7, was 0"),
    "group": (lambda tree: os.chown(tree / "file", -1, 7), "./file: group is 7, was 0"),
    "owner of a symlink": (
        lambda tree: os.lchown(tree / "symlink", 4294967294, -1),
        "./symlink: owner is 4294967294, was 0",
    ),
    "owner of the root": (lambda tree: os.chown(tree, 7, -1), ".: owner is 7, was 0"),
    "a nanosecond": (
        lambda tree: os.utime(tree / "file", ns=(TIME, TIME + 1)),
        f"./file: mtime in ns is {TIME + 1}, was {TIME}",
    ),
    "a nanosecond of a folder": (
        lambda tree: os.utime(tree / "folder" / "below", ns=(TIME, TIME - 1)),
        f"./folder/below: mtime in ns is {TIME - 1}, was {TIME}",
    ),
    "a nanosecond of a symlink": (
        lambda tree: os.utime(tree / "symlink", ns=(TIME, TIME - 1), follow_symlinks=False),
        f"./symlink: mtime in ns is {TIME - 1}, was {TIME}",
    ),
    "a nanosecond of the root": (lambda tree: os.utime(tree, ns=(0, 0)), f".: mtime in ns is 0, was {TIME}"),
    "contents": (_keep("file", _patch(3, b"T")), "./file: contents differ at byte 3"),
    "contents below": (
        _keep("folder/below/inside", _patch(0, b"I")),
        "./folder/below/inside: contents differ at byte 0",
    ),
    "the last byte": (_keep("large", _patch(MEBIBYTE, b"x")), f"./large: contents differ at byte {MEBIBYTE}"),
    "in the middle": (_keep("large", _patch(777_777, b"x")), "./large: contents differ at byte 777777"),
    "a byte in zeros": (_keep("zeros", _patch(2 * MEBIBYTE, b"x")), f"./zeros: contents differ at byte {2 * MEBIBYTE}"),
    "contents of a hard link": (_keep("leader", _patch(0, b"L")), "./NAME: contents differ at byte 0"),
    "a byte less": (_keep("file", lambda path: os.truncate(path, 8)), "./file: size is 8, was 9"),
    "a byte more": (_keep("file", _patch(9, b"\0")), "./file: size is 10, was 9"),
    "emptied": (_keep("file", lambda path: os.truncate(path, 0)), "./file: size is 0, was 9"),
    "xattr value": (
        lambda tree: os.setxattr(tree / "dressed", "user.one", b"2"),
        "./dressed: xattr user.one has another value",
    ),
    "xattr emptied": (
        lambda tree: os.setxattr(tree / "dressed", "user.one", b""),
        "./dressed: xattr user.one has another value",
    ),
    "xattr missing": (
        lambda tree: os.removexattr(tree / "dressed", "user.two"),
        "./dressed: xattr user.two is missing",
    ),
    "xattr new": (lambda tree: os.setxattr(tree / "file", "user.\udcff\n", b""), r"./file: xattr user.\xff\n is new"),
    "xattr new on the root": (lambda tree: os.setxattr(tree, "user.x", b""), ".: xattr user.x is new"),
    "xattr new on a fifo": (
        lambda tree: os.setxattr(tree / "fifo", "trusted.x", b""),
        "./fifo: xattr trusted.x is new",
    ),
    "trusted": (
        lambda tree: os.removexattr(tree / "dressed", "trusted.three"),
        "./dressed: xattr trusted.three is missing",
    ),
    "trusted of a symlink": (
        lambda tree: os.removexattr(tree / "symlink", "trusted.link", follow_symlinks=False),
        "./symlink: xattr trusted.link is missing",
    ),
    "ACL": (
        lambda tree: os.setxattr(
            tree / "dressed",
            "system.posix_acl_access",
            trees.acl(user=6, group=4, other=0, users={70004: 6}, mask=6),
        ),
        "./dressed: xattr system.posix_acl_access has another value",
    ),
    "default ACL": (
        lambda tree: os.removexattr(tree / "folder", "system.posix_acl_default"),
        "./folder: xattr system.posix_acl_default is missing",
    ),
    "capability": (
        lambda tree: os.setxattr(tree / "runs", "security.capability", trees.capability(11)),
        "./runs: xattr security.capability has another value",
    ),
    "capability missing": (
        lambda tree: os.removexattr(tree / "runs", "security.capability"),
        "./runs: xattr security.capability is missing",
    ),
    "device": (
        _keep("node", _instead(lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 70_000)))),
        "./node: device is 1:70000, was 1:3",
    ),
    "broken hard link": (_keep("follower", _instead(_apart)), "./NAME: is an inode of its own, was a hard link"),
    "missing": (_keep("file", pathlib.Path.unlink), "./file: is missing"),
    "missing folder": (_keep("folder", _instead(lambda path: None)), "./folder: is missing"),
    "new": (_keep("folder/new", pathlib.Path.touch), "./folder/new: is new"),
    "new folder": (
        _keep("new", lambda path: [path.mkdir(), (path / "a").touch(), (path / "b").touch()]),
        "./new: is new",
    ),
    "new socket": (_keep("new", trees.make_socket), "./new: is new"),
    "a restore's staging": (_keep(".drydock-staging-x", pathlib.Path.mkdir), "./.drydock-staging-x: is new"),
    "odd name": (_keep("\udcff\ta", pathlib.Path.touch), r"./\xff\ta: is new"),
    "file for folder": (_keep("folder", _instead(pathlib.Path.touch)), "./folder: is a file, was a directory"),
    "folder for file": (_keep("file", _instead(pathlib.Path.mkdir)), "./file: is a directory, was a file"),
    "fifo for file": (_keep("file", _instead(os.mkfifo)), "./file: is a fifo, was a file"),
    "symlink for file": (
        _keep("file", _instead(lambda path: path.symlink_to("large"))),
        "./file: is a symlink, was a file",
    ),
    "file for symlink": (_keep("symlink", _instead(pathlib.Path.touch)), "./symlink: is a file, was a symlink"),
    "block for character": (
        _keep("node", _instead(lambda path: os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(1, 3)))),
        "./node: is a block device, was a character device",
    ),
}


@pytest.mark.parametrize("since", [None, 1 << 62], ids=["quiet", "in use"])
@pytest.mark.parametrize(("change", "expected"), CHANGES.values(), ids=CHANGES)
def test_one_change_is_one_difference(
    pair: tuple[pathlib.Path, pathlib.Path], change: Change, expected: str, since: int | None
) -> None:
    change(pair[1])
    found = look(pair, changed_since=since)
    # which of the names of an inode comes first is the file system's choice
    (difference,) = (re.sub(r"^\./(leader|follower):", "./NAME:", line) for line in found.differences)
    assert (difference, found.more, found.changed) == (expected, 0, 0)


def test_what_a_file_system_makes_up_is_no_difference(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = os.listxattr

    def made_up(path: bytes, **options: bool) -> list[str]:
        return [*listed(path, **options), "system.nfs4_acl"]

    monkeypatch.setattr(os, "listxattr", made_up)
    assert look(pair).differences == ()


def test_a_target_is_a_difference(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    link = pair[1] / "symlink"

    def other(path: pathlib.Path) -> None:
        path.symlink_to("nowherf\n")
        os.setxattr(path, "trusted.link", b"1", follow_symlinks=False)

    _keeping_time(link, _instead(other))
    assert look(pair).differences == (r"./symlink: target is nowherf\n, was nowhere",)


def test_two_files_that_became_one(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for tree in pair:
        _keeping_time(tree / "third", _apart)
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "third", _instead(_joined))
    (difference,) = look(pair).differences
    assert difference.endswith(": is a hard link, was an inode of its own")


def test_hard_links_that_changed_partners(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for tree, partner in zip(pair, ("leader", "third"), strict=True):
        _keeping_time(tree / "third", _apart)
        _keeping_time(tree / "fourth", lambda path, partner=partner: os.link(path.with_name(partner), path))
    found = look(pair)
    assert {difference.partition(": ")[2] for difference in found.differences} == {
        "is an inode of its own, was a hard link",
        "is a hard link, was an inode of its own",
    }


def test_names_of_one_fifo_and_of_one_symlink_are_told_apart_but_not_of_one_device(
    pair: tuple[pathlib.Path, pathlib.Path],
) -> None:
    for tree in pair:
        for name in ("fifo", "symlink", "node"):
            os.link(tree / name, tree / f"{name} too", follow_symlinks=False)
        os.utime(tree, ns=(TIME, TIME))
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "node too", _instead(lambda path: os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(1, 3))))
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "fifo too", _instead(os.mkfifo))
    (difference,) = look(pair).differences
    assert difference.endswith("is an inode of its own, was a hard link")


def test_where_holes_are_is_no_difference(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    _keeping_time(pair[0] / "sparse", _sparse_again)
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "sparse", _sparse_again)
    assert look(pair).differences == ()
    assert look(pair).bytes == look((pair[1], pair[0])).bytes


@pytest.mark.parametrize("side", [0, 1])
def test_a_byte_in_a_hole(pair: tuple[pathlib.Path, pathlib.Path], side: int) -> None:
    for tree in pair:
        _keeping_time(tree / "sparse", _sparse_again)
    _keeping_time(pair[side] / "sparse", _patch(2 * MEBIBYTE - 1, b"x"))
    assert look(pair).differences == (f"./sparse: contents differ at byte {2 * MEBIBYTE - 1}",)


def test_huge_holes_cost_nothing(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for tree in pair:
        _keeping_time(tree / "sparse", lambda path: os.truncate(path, 1 << 43))
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "sparse", _patch((1 << 42) + 5, b"x"))
    assert look(pair).differences == (f"./sparse: contents differ at byte {(1 << 42) + 5}",)


def test_a_file_system_that_does_not_tell_where_holes_are(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object) -> int:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(os, "lseek", refuse)
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "zeros", _patch(2 * MEBIBYTE, b"x"))
    assert look(pair).differences == (f"./zeros: contents differ at byte {2 * MEBIBYTE}",)


def test_all_differences_of_an_entry_are_told(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    os.chown(pair[1] / "file", 7, 8)
    (pair[1] / "file").chmod(0o600)
    (pair[1] / "file").write_bytes(b"")
    os.setxattr(pair[1] / "file", "user.x", b"")
    found = {line.partition(": ")[2].split(" is ")[0] for line in look(pair).differences}
    assert found == {"mode", "owner", "group", "mtime in ns", "size", "xattr user.x"}


@pytest.mark.parametrize(("limit", "kept"), [(0, 0), (1, 1), (24, 24), (25, 25), (26, 25), (1000, 25)])
def test_a_limit(pair: tuple[pathlib.Path, pathlib.Path], limit: int, kept: int) -> None:
    for number in range(24):
        (pair[1] / str(number)).touch()
    found = look(pair, limit=limit)  # the root's time is one more
    assert (len(found.differences), found.more) == (kept, 25 - kept)


def test_the_limit_is_20(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for number in range(24):
        (pair[1] / str(number)).touch()
    assert (len(look(pair).differences), look(pair).more) == (20, 5)


def _tarred(original: pathlib.Path, copy: pathlib.Path) -> None:
    tar, data = tools.gnu_tar()[0], original.parent / "data"
    with data.open("wb") as file:
        pipeline.run([archive.create(tar, str(original))], sink=file.write)
    copy.mkdir()
    with data.open("rb") as file:
        (outcome,) = pipeline.run([archive.extract(tar, str(copy))], source=file.fileno())
    assert (outcome.status, outcome.said) == (0, ())


def test_a_nasty_tree_and_what_tar_made_of_it(tmp_path: pathlib.Path) -> None:
    pair = tmp_path / "original", tmp_path / "copy"
    before = len(os.listdir("/proc/self/fd"))
    try:
        trees.make_nasty(pair[0], sockets=True)
        _tarred(*pair)
        found = look(pair)
        assert (found.differences, found.changed) == ((), 0)
        walked = survey(str(pair[0]))
        assert (found.entries, found.bytes) == (walked.entries, walked.bytes)
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        for tree in pair:
            trees.remove(tree)


def test_sockets_of_the_original_are_not_missed(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    trees.make_socket(pair[0] / "folder")
    (pair[1] / "folder" / "beside").write_text("a plain file beside the socket\n")
    for tree in pair:
        for entry in (tree / "folder" / "beside", tree / "folder"):
            os.utime(entry, ns=(TIME, TIME))
        os.removexattr(tree / "folder" / "beside", "system.posix_acl_access")
    assert look(pair).differences == ()
    _keeping_time(pair[1] / "folder" / "socket", pathlib.Path.touch)
    assert look(pair).differences == ("./folder/socket: is new",)


def test_a_socket_that_was_there_before_excuses_no_file_in_the_copy(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    trees.make_socket(pair[0] / "folder")
    (pair[1] / "folder" / "socket").touch()
    since = _moment(pair)
    (pair[0] / "folder" / "beside").write_text("changed, and so is the folder")
    (pair[0] / "folder" / "new").touch()
    assert look(pair, changed_since=since).differences == ("./folder/socket: is new",)


def test_what_is_mounted_inside_counts_as_an_empty_folder(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for tree in pair:
        _keeping_time(tree / "inside", pathlib.Path.mkdir)
        os.utime(tree / "inside", ns=(TIME, TIME))
    with mounted("tmpfs", pair[0] / "inside", "-o", "mode=0700,uid=7"):
        (pair[0] / "inside" / "file").touch()
        assert look(pair).differences == ()
        _keeping_time(pair[1] / "inside", pathlib.Path.rmdir)
        assert look(pair).differences == ("./inside: is missing",)
        _keeping_time(pair[1] / "inside", pathlib.Path.touch)
        assert look(pair).differences == ("./inside: is a file, was a directory",)


def test_what_is_mounted_in_the_copy_is_a_difference(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    with mounted("tmpfs", pair[1] / "folder"):
        assert look(pair).differences == ("./folder: is on another file system",)


def _chain(path: pathlib.Path, length: int) -> None:
    """Make a path of about so many bytes, the same each time, with a file at its end."""
    path.mkdir(parents=True)
    steps = [os.open(path, os.O_RDONLY | os.O_DIRECTORY)]
    try:
        for level in range(length // 200 + 1):
            name = f"{level:0199d}"
            os.mkdir(name, dir_fd=steps[-1])
            steps.append(os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=steps[-1]))
        os.mknod("leaf", 0o644, dir_fd=steps[-1])
        os.utime("leaf", ns=(TIME, TIME), dir_fd=steps[-1])
        for step in steps[::-1]:
            os.utime(step, ns=(TIME, TIME))
    finally:
        for step in steps:
            os.close(step)


@pytest.mark.parametrize("length", [3800, 4000, 4200, 9000, 20_000])
def test_trees_deeper_than_path_max(tmp_path: pathlib.Path, length: int) -> None:
    pair = tmp_path / "original", tmp_path / "copy"
    before = len(os.listdir("/proc/self/fd"))
    try:
        for tree in pair:
            _chain(tree, length)
        assert look(pair) == Comparison(length // 200 + 3, 0, (), 0, 0)
        trees.remove(pair[1])
        _chain(pair[1], length - 200)
        first, second = sorted(look(pair).differences, key=len)
        assert first.endswith("/leaf: is new")
        assert second.endswith(": is missing")
        assert len(second) > length
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        for tree in pair:
            trees.remove(tree)


def test_names_that_are_not_utf_8_are_different_names(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    for tree, name in zip(pair, (b"\xff", b"\xfe"), strict=True):
        inner = os.path.join(os.fsencode(tree), name)
        os.mkdir(inner)
        os.utime(tree, ns=(TIME, TIME))
    assert set(look(pair).differences) == {r"./\xff: is missing", r"./\xfe: is new"}


# What the original may do after the copy was made, and how many of its entries then count as changed.
LIFE: dict[str, tuple[Change, int]] = {
    "nothing": (lambda tree: None, 0),
    "a file is written": (lambda tree: (tree / "file").write_bytes(b"something else\n"), 1),
    "a file is written, its time set back": (_keep("folder/below/inside", _patch(0, b"I")), 2),
    "mode": (lambda tree: (tree / "file").chmod(0o600), 1),
    "xattr": (lambda tree: os.setxattr(tree / "dressed", "user.one", b"other"), 1),
    "both names of a file": (lambda tree: (tree / "leader").write_bytes(b"other\n"), 2),
    "a new hard link": (lambda tree: os.link(tree / "leader", tree / "third"), 4),
    "a hard link less": (lambda tree: (tree / "leader").unlink(), 3),
    "a new file": (lambda tree: (tree / "folder" / "new").touch(), 2),
    "a new folder": (lambda tree: [(tree / "new" / "deeper").mkdir(parents=True), (tree / "new" / "file").touch()], 2),
    "a file is removed": (lambda tree: (tree / "file").unlink(), 2),
    "a folder is removed": (lambda tree: trees.remove(tree / "folder" / "below"), 2),
    "a file is renamed": (lambda tree: (tree / "file").rename(tree / "renamed"), 3),
    "a file is moved": (lambda tree: (tree / "file").rename(tree / "folder" / "file"), 4),
    "a folder is renamed": (lambda tree: (tree / "folder").rename(tree / "renamed"), 3),
    "a file becomes a folder": (lambda tree: _instead(pathlib.Path.mkdir)(tree / "file"), 2),
    "a folder becomes a file": (lambda tree: _instead(pathlib.Path.touch)(tree / "folder"), 2),
    "a folder becomes a symlink": (lambda tree: _instead(lambda path: path.symlink_to("/"))(tree / "folder"), 2),
    "a file becomes a socket": (lambda tree: [(tree / "file").unlink(), trees.make_socket(tree / "file")], 2),
    "everything is removed": (lambda tree: [trees.remove(entry) for entry in tree.iterdir()], 13),
}


@pytest.mark.parametrize(("change", "changed"), LIFE.values(), ids=LIFE)
def test_what_changes_later_is_no_difference(
    pair: tuple[pathlib.Path, pathlib.Path], change: Change, changed: int
) -> None:
    since = _moment(pair)
    change(pair[0])
    found = look(pair, changed_since=since)
    assert (found.differences, found.more, found.changed) == ((), 0, changed)
    assert bool(look(pair).differences) == bool(look(pair, changed_since=_moment(pair)).differences) == bool(changed)


@pytest.mark.parametrize("change", ["a new file", "a file is removed", "xattr", "a hard link less"])
def test_the_rest_is_still_compared(pair: tuple[pathlib.Path, pathlib.Path], change: str) -> None:
    since = _moment(pair)
    LIFE[change][0](pair[0])
    (pair[0] / "folder" / "new").touch()
    _keeping_time(pair[1] / "folder" / "below" / "inside", _patch(0, b"I"))
    found = look(pair, changed_since=since)
    assert found.differences == ("./folder/below/inside: contents differ at byte 0",)


def test_what_is_missing_in_a_folder_that_did_not_change_is_a_difference(
    pair: tuple[pathlib.Path, pathlib.Path],
) -> None:
    since = _moment(pair)
    (pair[0] / "another").touch()
    _keeping_time(pair[1] / "folder" / "new", pathlib.Path.touch)
    assert look(pair, changed_since=since).differences == ("./folder/new: is new",)


def test_what_was_there_before_must_be_in_the_copy_of_a_folder_that_changed(
    pair: tuple[pathlib.Path, pathlib.Path],
) -> None:
    since = _moment(pair)
    (pair[0] / "another").touch()
    (pair[1] / "file").unlink()
    assert look(pair, changed_since=since).differences == ("./file: is missing",)


def test_a_change_at_the_very_moment_is_a_change(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    _keeping_time(pair[1] / "file", _patch(0, b"C"))
    moment = (pair[0] / "file").stat().st_ctime_ns
    assert look(pair, changed_since=moment).differences == ()
    assert look(pair, changed_since=moment + 1).differences == ("./file: contents differ at byte 0",)


def test_folders_that_rotate_are_no_difference(pair: tuple[pathlib.Path, pathlib.Path]) -> None:
    """Snapshots of snapshots: hourly.0 becomes hourly.1, with everything in it as old as it was."""
    for tree in pair:
        for number in range(3):
            (tree / f"hourly.{number}" / "below").mkdir(parents=True)
            (tree / f"hourly.{number}" / "below" / "file").write_text(str(number))
        for entry in (tree, *tree.glob("hourly*"), *tree.glob("hourly*/*"), *tree.glob("hourly*/*/*")):
            os.utime(entry, ns=(TIME, TIME))
    assert look(pair).differences == ()
    since = _moment(pair)
    trees.remove(pair[0] / "hourly.2")
    for number in (1, 0):
        (pair[0] / f"hourly.{number}").rename(pair[0] / f"hourly.{number + 1}")
    (pair[0] / "hourly.0" / "below").mkdir(parents=True)
    found = look(pair, changed_since=since)
    assert found.differences == ()
    assert len(look(pair).differences) > 3


def _meanwhile(monkeypatch: pytest.MonkeyPatch, function: str, change: c.Callable[[], object]) -> None:
    """Make a change when the function of ``compare`` is called for the first time."""
    real, calls = getattr(compare, function), []

    def first(*arguments: t.Any) -> object:
        if not calls:
            calls.append(change())
        return real(*arguments)

    monkeypatch.setattr(compare, function, first)


VANISHING = {
    "file": ("_differs", lambda tree: [entry.unlink() for entry in tree.iterdir() if entry.is_file()]),
    "file, before its xattrs": (
        "xattrs_of",
        lambda tree: [entry.unlink() for entry in tree.iterdir() if entry.is_file()],
    ),
    "folder": ("_identity", lambda tree: trees.remove(tree / "folder")),
    "all": ("_differs", lambda tree: [trees.remove(entry) for entry in tree.iterdir()]),
    "folder that becomes a symlink": (
        "_identity",
        lambda tree: _instead(lambda path: path.symlink_to("/usr"))(tree / "folder"),
    ),
    "file that becomes a fifo": (
        "_differs",
        lambda tree: [_instead(os.mkfifo)(entry) for entry in tree.iterdir() if entry.is_file()],
    ),
    "file that is written": (
        "_differs",
        lambda tree: [_patch(0, b"!")(entry) for entry in tree.iterdir() if entry.is_file()],
    ),
    "file that is cut": (
        "_differs",
        lambda tree: [os.truncate(entry, 0) for entry in tree.iterdir() if entry.is_file()],
    ),
}


@pytest.mark.parametrize(("function", "change"), VANISHING.values(), ids=VANISHING)
def test_what_vanishes_or_changes_while_it_is_looked_at(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch, function: str, change: Change
) -> None:
    since = _moment(pair)
    _meanwhile(monkeypatch, function, lambda: change(pair[0]))
    found = look(pair, changed_since=since)
    assert found.differences == ()
    assert found.changed > 0


@pytest.mark.parametrize("kind", ["gone", "another", "symlink", "mounted"])
def test_a_folder_that_is_another_one_when_its_turn_comes(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder, other = pair[0] / "folder", pair[0].parent / "other"
    (other / "deeper").mkdir(parents=True)
    for entry in (other / "deeper", other):
        os.utime(entry, ns=(TIME, TIME))
    since = max(_moment(pair), _latest(other) + 1)
    real = open_below

    with contextlib.ExitStack() as stack:

        def late(root: int, path: bytes) -> int:
            if path == b"folder" and (folder / "below").exists():
                if kind == "mounted":
                    stack.enter_context(mounted("tmpfs", folder))
                    return real(root, path)
                trees.remove(folder)
                if kind == "another":
                    other.rename(folder)
                elif kind == "symlink":
                    folder.symlink_to("/usr")
            return real(root, path)

        monkeypatch.setattr(compare, "open_below", late)
        before = len(os.listdir("/proc/self/fd"))
        found = look(pair, changed_since=since)
        assert (found.differences, found.changed) == ((), 1)
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_difference_in_a_file_that_changes_in_the_same_moment_is_not_told(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    os.chown(pair[1] / "file", 7, 7)
    since = _moment(pair)
    _meanwhile(monkeypatch, "_own", lambda: (pair[0] / "file").chmod(0o600))
    assert look(pair, changed_since=since).differences == ()
    assert look(pair, changed_since=_moment(pair)).differences != ()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("what", ["missing", "file"])
def test_what_is_no_tree_is_refused(pair: tuple[pathlib.Path, pathlib.Path], side: int, what: str) -> None:
    both = list(pair)
    both[side] = pair[side] / what
    with pytest.raises(VolumeError, match=f"{both[side]} can't be read: No"):
        look((both[0], both[1]))


LOOK = f"""
import sys
from {ENGINE}.compare import differences
from {ENGINE}.errors import VolumeError
{BECOME_NOBODY}
try:
    print(differences(*sys.argv[1:]))
except VolumeError as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_cannot_be_read_is_named(what: str) -> None:
    with public_directory() as work:
        for name in ("original", "copy"):
            (work / name / "good").mkdir(parents=True)
            secret = work / name / "good" / "secret"
            secret.write_text("x") if what == "file" else secret.mkdir()
            secret.chmod(0)
            for entry in (secret, secret.parent, work / name):
                os.utime(entry, ns=(TIME, TIME))
        ran = python(LOOK, work / "original", work / "copy")
    assert ran.stdout == (
        f"refused: {work}/original can't be compared with its copy {work}/copy: ./good/secret: Permission denied\n"
    ), ran.stderr


def test_a_failing_disk_is_no_change_of_the_file(
    pair: tuple[pathlib.Path, pathlib.Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_arguments: object) -> int:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(compare, "_differs", fail)
    with pytest.raises(VolumeError, match=r"original can't be compared with .*: \./\w+.*: Input/output error"):
        look(pair, changed_since=_moment(pair))
