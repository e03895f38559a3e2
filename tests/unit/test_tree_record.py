# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparer that the demo and the fidelity tests rely on: each kind of loss must be seen, and nothing else."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest

from tests.support import records, trees

ROOT = os.geteuid() == 0
needs_root = pytest.mark.skipif(not ROOT, reason="makes device nodes, foreign owners and trusted.* attributes")


@pytest.fixture(autouse=True)
def _plain_umask() -> c.Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


Mutation = c.Callable[[pathlib.Path], None]


def _small_tree(path: pathlib.Path) -> pathlib.Path:
    """Make a tree that needs no root: one entry for each mutation below."""
    path.mkdir()
    (path / "file").write_bytes(b"contents\n")
    os.setxattr(path / "file", "user.note", b"one")
    (path / "folder").mkdir()
    (path / "folder" / "inside").write_bytes(b"inside\n")
    os.setxattr(path / "folder", "user.note", b"on a folder")
    os.symlink("file", path / "symlink")
    os.mkfifo(path / "fifo")
    (path / "leader").write_bytes(b"linked\n")
    os.link(path / "leader", path / "member")
    with (path / "sparse").open("wb") as sparse:
        sparse.write(b"head")
        sparse.truncate(1 << 20)
    with socket.socket(socket.AF_UNIX) as server, _Inside(path):
        server.bind("socket")
    for entry in ("file", "folder/inside", "folder", "symlink", "fifo", "leader", "sparse", "."):
        os.utime(path / entry, ns=(trees.NANOSECONDS, trees.NANOSECONDS), follow_symlinks=False)
    return path


class _Inside:
    """Change into a directory and back: a socket's address has room for 107 bytes only."""

    def __init__(self, path: pathlib.Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        self._before = pathlib.Path.cwd()
        os.chdir(self._path)

    def __exit__(self, *_exception: object) -> None:
        os.chdir(self._before)


def _differences(tree: pathlib.Path, mutation: Mutation) -> list[str]:
    before = records.record(tree)
    mutation(tree)
    return records.differences(before, records.record(tree))


def _keeping_time(path: pathlib.Path, change: c.Callable[[pathlib.Path], object]) -> None:
    """Change an entry and give it and its folder their times back, as a thorough forger would."""
    times = {entry: os.lstat(entry).st_mtime_ns for entry in (path, path.parent)}
    change(path)
    for entry, time in times.items():
        if os.path.lexists(entry):
            os.utime(entry, ns=(time, time), follow_symlinks=False)


def _replace(path: pathlib.Path, make: c.Callable[[pathlib.Path], object]) -> None:
    path.unlink()
    make(path)


MUTATIONS: dict[str, tuple[Mutation, str]] = {
    "mode": (lambda tree: (tree / "file").chmod(0o4644), "'file': mode '0644' -> '4644'"),
    "mode of a folder": (lambda tree: (tree / "folder").chmod(0o1755), "'folder': mode '0755' -> '1755'"),
    "mode of the root": (lambda tree: tree.chmod(0o700), "'.': mode '0755' -> '0700'"),
    "one nanosecond": (
        lambda tree: os.utime(tree / "file", ns=(0, trees.NANOSECONDS + 1)),
        f"'file': mtime_ns {trees.NANOSECONDS} -> {trees.NANOSECONDS + 1}",
    ),
    "one nanosecond of a folder": (
        lambda tree: os.utime(tree / "folder", ns=(0, trees.NANOSECONDS - 1)),
        f"'folder': mtime_ns {trees.NANOSECONDS} -> {trees.NANOSECONDS - 1}",
    ),
    "seconds only, of a symlink": (
        lambda tree: os.utime(tree / "symlink", ns=(0, 10**18), follow_symlinks=False),
        f"'symlink': mtime_ns {trees.NANOSECONDS} -> {10**18}",
    ),
    "one bit, same size and time": (
        lambda tree: _keeping_time(tree / "file", lambda path: path.write_bytes(b"contentr\n")),
        "'file': sha256 ",
    ),
    "cut": (lambda tree: _keeping_time(tree / "file", lambda path: os.truncate(path, 8)), "'file': size 9 -> 8"),
    "xattr lost": (
        lambda tree: os.removexattr(tree / "file", "user.note"),
        "'file': xattr 'user.note' '6f6e65' -> none",
    ),
    "xattr of a folder changed": (
        lambda tree: os.setxattr(tree / "folder", "user.note", b"x"),
        "'folder': xattr 'user.note' '6f6e206120666f6c646572' -> '78'",
    ),
    "xattr added": (
        lambda tree: os.setxattr(tree / "leader", "user.new", b""),
        "'leader': xattr 'user.new' none -> ''",
    ),
    "target": (
        lambda tree: _keeping_time(tree / "symlink", lambda path: _replace(path, lambda new: new.symlink_to("fife"))),
        "'symlink': target 'file' -> 'fife'",
    ),
    "broken hard link": (
        lambda tree: _keeping_time(
            tree / "member", lambda path: _replace(path, lambda new: shutil.copy2(tree / "leader", new))
        ),
        "'member': link 'leader' -> none",
    ),
    "new hard link": (
        lambda tree: _keeping_time(
            tree / "folder" / "inside", lambda path: _replace(path, lambda new: new.hardlink_to(tree / "file"))
        ),
        "'folder/inside': link none -> 'file'",
    ),
    "holes filled": (
        lambda tree: _keeping_time(tree / "sparse", lambda path: path.write_bytes(b"head" + bytes((1 << 20) - 4))),
        "'sparse': sparse True -> False",
    ),
    "some holes filled": (
        lambda tree: _keeping_time(tree / "sparse", _fill_some),
        "'sparse': allocated ",
    ),
    "type": (
        lambda tree: _keeping_time(tree / "fifo", lambda path: _replace(path, lambda new: new.touch(0o644))),
        "'fifo': type 'fifo' -> 'file'",
    ),
    "missing": (
        lambda tree: _keeping_time(tree / "folder" / "inside", pathlib.Path.unlink),
        "'folder/inside': missing (it was a file)",
    ),
    "added": (
        lambda tree: _keeping_time(tree / "folder" / "inside", lambda path: (path.parent / "new").mkdir()),
        "'folder/new': added (it is a dir)",
    ),
}


def _fill_some(path: pathlib.Path) -> None:
    with path.open("r+b") as file:
        file.seek(1 << 18)
        file.write(bytes(1 << 18))


@pytest.mark.parametrize(("mutation", "expected"), MUTATIONS.values(), ids=MUTATIONS)
def test_one_loss_is_one_difference(tmp_path: pathlib.Path, mutation: Mutation, expected: str) -> None:
    found = _differences(_small_tree(tmp_path / "tree"), mutation)
    assert any(difference.startswith(expected) for difference in found), found
    path = expected.partition(":")[0]
    assert {difference.partition(":")[0] for difference in found} == {path}


PRIVILEGED: dict[str, tuple[Mutation, str]] = {
    "owner": (lambda tree: os.chown(tree / "sizes" / "1 bytes", 70003, -1), "'sizes/1 bytes': uid 0 -> 70003"),
    "group": (lambda tree: os.chown(tree / "sizes" / "1 bytes", -1, 70003), "'sizes/1 bytes': gid 0 -> 70003"),
    "owner of a symlink": (
        lambda tree: os.lchown(tree / "symlinks" / "dot", 0, -1),
        "'symlinks/dot': uid 70015 -> 0",
    ),
    "trusted": (
        lambda tree: os.removexattr(tree / "xattrs" / "trusted", "trusted.drydock"),
        "'xattrs/trusted': xattr 'trusted.drydock' ",
    ),
    "trusted of a symlink": (
        lambda tree: os.removexattr(tree / "symlinks" / "dangling", "trusted.drydock", follow_symlinks=False),
        "'symlinks/dangling': xattr 'trusted.drydock' ",
    ),
    "odd xattr name": (
        lambda tree: os.removexattr(tree / "xattrs" / "odd names", b"user.\xff"),
        r"'xattrs/odd names': xattr 'user.\udcff' '33' -> none",
    ),
    "capability": (
        lambda tree: os.removexattr(tree / "xattrs" / "capability", "security.capability"),
        "'xattrs/capability': xattr 'security.capability' ",
    ),
    "ACL": (
        lambda tree: os.removexattr(tree / "acls" / "shared" / "heir folder", "system.posix_acl_access"),
        "'acls/shared/heir folder': xattr 'system.posix_acl_access' ",
    ),
    "default ACL": (
        lambda tree: os.removexattr(tree / "acls" / "shared", "system.posix_acl_default"),
        "'acls/shared': xattr 'system.posix_acl_default' ",
    ),
    "ACL of the root": (
        lambda tree: os.removexattr(tree, "system.posix_acl_default"),
        "'.': xattr 'system.posix_acl_default' ",
    ),
    "device number": (
        lambda tree: _keeping_time(
            tree / "specials" / "null",
            lambda path: _replace(path, lambda new: os.mknod(new, 0o020620, os.makedev(1, 5))),
        ),
        "'specials/null': device '1:3' -> '1:5'",
    ),
    "name that is not UTF-8": (
        lambda tree: os.chmod(os.fsencode(tree / "names") + b"/\xff\xfe", 0o600),
        r"'names/\udcff\udcfe': mode '0644' -> '0600'",
    ),
    "name with a newline": (
        lambda tree: os.chmod(tree / "names" / "new\nline", 0o600),
        r"'names/new\nline': mode '0644' -> '0600'",
    ),
}


@needs_root
@pytest.mark.parametrize(("mutation", "expected"), PRIVILEGED.values(), ids=PRIVILEGED)
def test_a_loss_in_the_nasty_tree_is_seen(nasty: pathlib.Path, mutation: Mutation, expected: str) -> None:
    found = _differences(nasty, mutation)
    assert any(difference.startswith(expected) for difference in found), found


@pytest.fixture
def nasty(tmp_path: pathlib.Path) -> c.Iterator[pathlib.Path]:
    tree = tmp_path / "nasty"
    trees.make_nasty(tree, sockets=True)
    yield tree
    trees.remove(tree)


@needs_root
def test_the_nasty_tree_has_what_it_promises(nasty: pathlib.Path) -> None:
    lines = records.record(nasty)
    text = "\n".join(lines)
    for kind in ("file", "dir", "symlink", "fifo", "char", "block", "socket"):
        assert f'"type":"{kind}"' in text
    for attribute in (
        "user.",
        "trusted.",
        "security.capability",
        "system.posix_acl_access",
        "system.posix_acl_default",
    ):
        assert f'"{attribute}' in text
    assert text.count('"sparse":true') == 7
    assert text.count('"link":') == 5
    assert max(len(line) for line in lines) > trees.LONGEST_MEMBER
    assert records.differences(lines, records.record(nasty)) == []


@needs_root
def test_a_plain_copy_of_the_nasty_tree_is_seen_through(nasty: pathlib.Path, tmp_path: pathlib.Path) -> None:
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", nasty / "acls", copy], check=True)
    found = records.differences(records.record(nasty / "acls"), records.record(copy))
    assert any("posix_acl_access" in difference for difference in found)
    assert any("mtime_ns" in difference for difference in found)


@needs_root
def test_paths_beyond_path_max(tmp_path: pathlib.Path) -> None:
    trees.make_deep(tmp_path / "deep", 9000)
    try:
        lines = records.record(tmp_path / "deep")
        assert len(lines) > 60
        assert max(len(line) for line in lines) > 9000
        assert records.differences(lines, lines) == []
    finally:
        trees.remove(tmp_path / "deep")


def test_many_levels_need_few_descriptors(tmp_path: pathlib.Path) -> None:
    here = os.open(tmp_path, os.O_RDONLY)
    for _level in range(1500):
        os.mkdir("d", dir_fd=here)
        there = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    try:
        assert len(records.record(tmp_path)) == 1501
    finally:
        trees.remove(tmp_path / "d")


def test_the_order_is_that_of_the_names_on_the_way(tmp_path: pathlib.Path) -> None:
    for name in ("a", "a-", "a.b", "a0"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x").touch()
    before = records.record(tmp_path)
    shutil.rmtree(tmp_path / "a")
    (tmp_path / "a0" / "y").touch()
    found = [line for line in records.differences(before, records.record(tmp_path)) if "mtime" not in line]
    assert found == [
        "'a': missing (it was a dir)",
        "'a/x': missing (it was a file)",
        "'a0/y': added (it is a file)",
    ]


def test_sockets_count_only_when_asked_for(tmp_path: pathlib.Path) -> None:
    tree = _small_tree(tmp_path / "tree")
    before = records.record(tree)
    _keeping_time(tree / "socket", pathlib.Path.unlink)
    after = records.record(tree)
    assert records.differences(before, after) == []
    assert records.differences(before, after, sockets=True) == ["'socket': missing (it was a socket)"]


def test_a_broken_record_never_compares_equal(tmp_path: pathlib.Path) -> None:
    lines = records.record(_small_tree(tmp_path / "tree"))
    with pytest.raises(ValueError, match="it is empty"):
        records.differences([], [])
    with pytest.raises(ValueError, match="starts with"):
        records.differences(lines[1:], lines[1:])
    with pytest.raises(ValueError, match="in order"):
        records.differences([lines[0], lines[2], lines[1]], lines)
    assert records.differences(lines, lines[:-1]) != []


def test_a_file_that_shrinks_under_the_reader_is_an_error(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"contents")
    read = os.read

    def shrink(descriptor: int, size: int) -> bytes:
        os.truncate(target, 3)
        return read(descriptor, size)

    monkeypatch.setattr(os, "read", shrink)
    with pytest.raises(OSError, match="changed while it was being recorded"):
        records.record(tmp_path)


def _run(*arguments: str | pathlib.Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(records.SCRIPT), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_command_line(tmp_path: pathlib.Path) -> None:
    tree = _small_tree(tmp_path / "tree")
    before, after = tmp_path / "before.record", tmp_path / "after.record"
    before.write_text(_run(tree).stdout)
    assert before.read_text().splitlines() == records.record(tree)
    (tree / "file").chmod(0o600)
    (tree / "leader").chmod(0o600)
    assert _run(tree, "-o", after).returncode == 0
    assert after.read_text() == _run(tree).stdout

    same = _run("--compare", before, before)
    assert (same.returncode, same.stdout) == (0, "")
    other = _run("--compare", before, after)
    assert other.returncode == 1
    assert other.stdout.splitlines() == [
        "'file': mode '0644' -> '0600'",
        "'leader': mode '0644' -> '0600'",
        "'member': mode '0644' -> '0600'",
    ]
    limited = _run("--compare", before, after, "--limit", "1")
    assert limited.returncode == 1
    assert limited.stdout.splitlines() == ["'file': mode '0644' -> '0600'", "and 2 more"]

    assert _run(tmp_path / "nowhere").returncode == 2
    assert _run(before).returncode == 2
    assert _run("--compare", before, tree / "file").returncode == 2
    assert _run().returncode == 2
