# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The walk: what it counts, and what changes its fingerprint."""

from __future__ import annotations

import collections.abc as c
import errno
import os
import pathlib
import re
import signal
import stat
import threading
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import survey as module
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.survey import Beside, Survey, survey
from tests.support import trees
from tests.unit.helpers import BECOME_NOBODY, ENGINE, mounted, needs_root, public_directory, python

LOOK = f"""
import sys
from {ENGINE}.errors import VolumeError
from {ENGINE}.survey import survey
try:
    print(survey(sys.argv[1]))
except VolumeError as error:
    print("refused:", error)
"""


def look(path: pathlib.Path) -> Survey:
    return survey(str(path))


@pytest.fixture
def tree(tmp_path: pathlib.Path) -> pathlib.Path:
    made = tmp_path / "tree"
    (made / "folder").mkdir(parents=True)
    (made / "file").write_bytes(b"12345")
    (made / "folder" / "inside").write_bytes(b"1234567")
    (made / "link").symlink_to("nowhere")
    return made


def test_counts(tree: pathlib.Path) -> None:
    found = look(tree)
    assert (found.entries, found.bytes) == (5, 12)
    assert found.allocated == sum(os.stat(tree / name).st_blocks * 512 for name in ("file", "folder/inside"))
    assert len(found.fingerprint) == 32


def test_an_empty_tree(tmp_path: pathlib.Path) -> None:
    found = look(tmp_path)
    assert (found.entries, found.bytes, found.allocated) == (1, 0, 0)


def test_an_inode_counts_once_however_many_names_it_has(tree: pathlib.Path) -> None:
    os.link(tree / "file", tree / "folder" / "again")
    os.link(tree / "file", tree / "third")
    found = look(tree)
    assert (found.entries, found.bytes) == (7, 12)


def test_a_sparse_file_has_its_size_and_what_it_takes(tree: pathlib.Path) -> None:
    os.truncate(tree / "file", 1 << 30)
    found = look(tree)
    assert found.bytes == (1 << 30) + 7
    assert found.allocated < 1 << 20


def test_a_socket_counts_for_the_fingerprint_only(tree: pathlib.Path) -> None:
    trees.make_socket(tree / "sub")
    facts = (tree / "sub").stat()
    with_it = look(tree)
    (tree / "sub" / "socket").unlink()
    os.utime(tree / "sub", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    without = look(tree)
    assert without.entries == with_it.entries == 7
    assert without.fingerprint != with_it.fingerprint


def _same_size_and_mtime(tree: pathlib.Path) -> None:
    facts = os.stat(tree / "file")
    (tree / "file").write_bytes(b"54321")
    os.utime(tree / "file", ns=(facts.st_atime_ns, facts.st_mtime_ns))


CHANGES: dict[str, c.Callable[[pathlib.Path], object]] = {
    "mode": lambda tree: (tree / "file").chmod(0o600),
    "mode of the root": lambda tree: tree.chmod(0o700),
    "mtime": lambda tree: os.utime(tree / "file", ns=(1, 1)),
    "mtime by a nanosecond": lambda tree: os.utime(tree / "file", ns=(1, (tree / "file").stat().st_mtime_ns + 1)),
    "mtime of a link": lambda tree: os.utime(tree / "link", ns=(1, 1), follow_symlinks=False),
    "size": lambda tree: os.truncate(tree / "file", 4),
    "contents, with size and mtime kept": _same_size_and_mtime,
    "rename": lambda tree: (tree / "file").rename(tree / "elif"),
    "two names swapped": lambda tree: [
        os.rename(tree / old, tree / new)
        for old, new in (("file", "x"), ("folder/inside", "file"), ("x", "folder/inside"))
    ],
    "removed": lambda tree: (tree / "file").unlink(),
    "added": lambda tree: (tree / "new").touch(),
    "an empty folder": lambda tree: (tree / "new").mkdir(),
    "another inode": lambda tree: ((tree / "new").write_bytes(b"12345"), os.replace(tree / "new", tree / "file")),
    "hard link": lambda tree: os.link(tree / "file", tree / "new"),
    "xattr": lambda tree: os.setxattr(tree / "file", "user.x", b"1"),
    "type": lambda tree: ((tree / "file").unlink(), (tree / "file").symlink_to("12345")),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_fingerprint_sees(tree: pathlib.Path, change: c.Callable[[pathlib.Path], object]) -> None:
    before = look(tree).fingerprint
    # ctime moves in steps of the kernel's tick
    ticked = tree.parent / "tick"
    ticked.touch()
    while ticked.stat().st_ctime_ns <= max(path.lstat().st_ctime_ns for path in (tree, *tree.rglob("*"))):
        os.utime(ticked)
    change(tree)
    assert look(tree).fingerprint != before


@needs_root
def test_the_fingerprint_sees_owner_and_group(tree: pathlib.Path) -> None:
    found = [look(tree).fingerprint]
    for owner, group in ((1, 0), (1, 1)):
        os.lchown(tree / "link", owner, group)
        found.append(look(tree).fingerprint)
    assert len(set(found)) == 3


def test_reading_does_not_change_it(tree: pathlib.Path) -> None:
    before = look(tree)
    os.utime(tree / "file", ns=((tree / "file").stat().st_atime_ns, (tree / "file").stat().st_mtime_ns))
    before = look(tree)
    for path in tree.rglob("*"):
        if path.is_file():
            path.read_bytes()
    os.listdir(tree)
    assert look(tree) == before == look(tree)


def test_the_order_of_names_does_not_matter(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in range(50):
        (tree / str(name)).touch()
    before, scandir = look(tree), os.scandir
    orders = []

    class Backwards:
        def __init__(self, where: int) -> None:
            with scandir(where) as entries:
                self.entries = list(entries)[::-1]

        def __enter__(self) -> list[os.DirEntry[str]]:
            orders.append([entry.name for entry in self.entries])
            return self.entries

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(os, "scandir", Backwards)
    assert look(tree) == before
    monkeypatch.undo()
    assert orders[0] == os.listdir(tree)[::-1]


def test_another_path_to_the_same_tree_is_the_same(tree: pathlib.Path) -> None:
    (tree.parent / "alias").symlink_to(tree)
    assert look(tree.parent / "alias") == look(tree)


def test_f63_names_that_are_not_utf_8(tree: pathlib.Path) -> None:
    before = look(tree)
    for name in (b"\xff\xfe", b"\xff\xfd", b"new\nline"):
        os.close(os.open(os.fsencode(tree) + b"/" + name, os.O_CREAT | os.O_WRONLY))
    after = look(tree)
    assert after.entries == before.entries + 3


@pytest.mark.parametrize("length", [3990, 4000, 4010, 4095, 4096, 4200, 20000])
def test_f63_trees_deeper_than_path_max(tmp_path: pathlib.Path, length: int) -> None:
    trees.make_deep(tmp_path / "deep", length)
    before = len(os.listdir("/proc/self/fd"))
    try:
        found = look(tmp_path / "deep")
        assert found.entries > length // 256
        assert found.bytes > 0
        assert len(os.listdir("/proc/self/fd")) == before
    finally:
        trees.remove(tmp_path / "deep")


@needs_root
def test_what_is_mounted_inside_is_not_entered(tree: pathlib.Path) -> None:
    before = look(tree)
    with mounted("tmpfs", tree / "mounted"):
        (tree / "mounted" / "file").write_bytes(b"x" * 1000)
        after = look(tree)
    assert (after.entries, after.bytes) == (before.entries + 1, before.bytes)


def test_a_link_to_a_folder_is_not_followed(tree: pathlib.Path) -> None:
    before = look(tree)
    (tree / "out").symlink_to("/usr")
    assert look(tree).entries == before.entries + 1


@pytest.mark.parametrize("what", ["missing", "file", "dangling", "loop"])
def test_what_is_no_tree_is_refused(tmp_path: pathlib.Path, what: str) -> None:
    path = tmp_path / what
    if what == "file":
        path.touch()
    elif what == "dangling":
        path.symlink_to("nowhere")
    elif what == "loop":
        path.symlink_to("loop")
    with pytest.raises(VolumeError, match=f"{path} can't be read: "):
        look(path)


@needs_root
def test_f06_a_folder_that_cannot_be_read_is_named() -> None:
    with public_directory() as tree:
        (tree / "good").mkdir()
        (tree / "good" / "secret").mkdir(mode=0)
        ran = python(LOOK.replace("try:", f"{BECOME_NOBODY}\ntry:"), tree)
    assert ran.stdout == f"refused: {tree}: 'good/secret' can't be read: Permission denied\n", ran.stderr


@needs_root
def test_f06_a_folder_that_opens_but_cannot_be_listed_is_an_error_of_ours() -> None:
    without = ("setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace")
    ran = python(LOOK, "/proc/1/map_files", wrapper=without)
    assert ran.stdout.startswith("refused: /proc/1/map_files: "), ran.stderr


@needs_root
def test_f06_the_tolerant_leave_out_what_cannot_be_read() -> None:
    tolerant = LOOK.replace("import survey\n", "import survey, _Walk\n").replace(
        "survey(sys.argv[1])", "survey(sys.argv[1], _Walk(tolerant=True))"
    )
    with public_directory() as tree:
        (tree / "good").mkdir()
        (tree / "good" / "secret").mkdir()
        (tree / "good" / "secret" / "hidden").touch()
        (tree / "listed").mkdir()
        (tree / "listed" / "without a mode").touch()
        (tree / "file").write_bytes(b"12345")
        whole = survey(str(tree))
        (tree / "good" / "secret").chmod(0)
        (tree / "listed").chmod(0o444)
        ran = python(tolerant.replace("try:", f"{BECOME_NOBODY}\ntry:"), tree)
        tree.chmod(0)
        refused = python(tolerant.replace("try:", f"{BECOME_NOBODY}\ntry:"), tree)
    assert whole.fingerprint
    assert ran.stdout.startswith(f"Survey(entries={whole.entries - 2}, bytes=5, "), ran.stderr
    assert "too_long=0, fingerprint=None, " in ran.stdout
    # the root is all there is
    assert refused.stdout == f"refused: {tree} can't be read: Permission denied\n", refused.stderr


def test_f06_a_tolerant_walk_goes_on_after_a_disks_error(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    class Torn:
        def __init__(self, where: int) -> None:
            self.bad = os.path.samestat(os.fstat(where), (tree / "folder").stat())
            self.entries = scandir(where)

        def __enter__(self) -> c.Iterator[os.DirEntry[str]]:
            return self._listed()

        def __exit__(self, *_: object) -> None:
            self.entries.close()

        def _listed(self) -> c.Iterator[os.DirEntry[str]]:
            yield from self.entries
            if self.bad:
                raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "scandir", Torn)
    with pytest.raises(VolumeError, match=f"{tree}: .* can't be read: Input/output error"):
        look(tree)
    found = survey(str(tree), module._Walk(tolerant=True))
    assert (found.entries, found.bytes, found.fingerprint) == (5, 12, None)
    with Beside(str(tree), tolerant=True) as beside:
        assert beside.result(10, _nothing)[0] == found


# Whether anything was changed since

SECOND = 1_000_000_000
NOON = 1_795_435_200 * SECOND
STEADY: dict[str, tuple[int, int, bool]] = {
    # the last change; since when; whether it was steady
    "long ago": (NOON + 1, NOON + 3600 * SECOND, True),
    "later": (NOON + 1, NOON, False),
    "much later": (NOON + 3600 * SECOND + 1, NOON, False),
    "at that moment": (NOON + 1, NOON + 1, False),
    "within a tick of the kernel's": (NOON + 1, NOON + 10_000_001, False),
    "within two": (NOON + 1, NOON + 20_000_001, False),
    "after two": (NOON + 1, NOON + 20_000_002, True),
    "whole seconds, within one": (NOON, NOON + SECOND, False),
    "whole seconds, within two": (NOON, NOON + 2 * SECOND, False),
    "whole seconds, after two": (NOON, NOON + 2 * SECOND + 1, True),
    "nothing at all": (0, NOON, True),
}


@pytest.mark.parametrize(("latest", "moment", "steady"), STEADY.values(), ids=STEADY)
def test_steady_since(latest: int, moment: int, steady: bool) -> None:
    assert Survey(1, 0, 0, 0, "", latest).steady_since(moment) == steady


def _latest(tree: pathlib.Path) -> int:
    return max(path.lstat().st_ctime_ns for path in (tree, *tree.rglob("*")))


def test_the_latest_change_is_that_of_the_inode_and_not_the_one_that_anybody_can_set(tree: pathlib.Path) -> None:
    os.utime(tree / "file", ns=(NOON, 2 * NOON))
    os.utime(tree / "link", ns=(1, 1), follow_symlinks=False)
    assert look(tree).latest == _latest(tree)
    assert look(tree).latest < 2 * NOON


@pytest.mark.parametrize("name", [".", "file", "folder", "folder/inside", "link", "socket"])
def test_the_latest_change_is_seen_wherever_it_is(tree: pathlib.Path, name: str) -> None:
    os.mknod(tree / "socket", stat.S_IFSOCK | 0o600)
    before = look(tree).latest
    time.sleep(0.02)
    os.utime(tree / name, ns=(1, 1), follow_symlinks=False)
    found = look(tree).latest
    assert found == os.lstat(tree / name).st_ctime_ns > before


# Beside somebody else who reads


def _nothing() -> None:
    """Have no reason to stop."""


def _beside(tree: pathlib.Path, change: c.Callable[[], object] = _nothing) -> tuple[Survey, bool]:
    with Beside(str(tree)) as beside:
        change()
        return beside.result(10, _nothing)


def _age() -> None:
    """Let what was made just now be older than the clocks' steps."""
    time.sleep(0.05)


def test_beside_finds_what_a_walk_finds(tree: pathlib.Path) -> None:
    _age()
    assert _beside(tree) == (look(tree), True)
    assert not [thread for thread in threading.enumerate() if thread.name == "survey"]


def test_f07_a_change_right_after_the_beginning_is_seen_always(tree: pathlib.Path) -> None:
    for number in range(30):
        _age()
        beside = Beside(str(tree))
        (tree / "file").write_bytes(b"%d" % number)
        with beside:
            assert not beside.result(10, _nothing)[1]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_f07_any_change_is_seen(tree: pathlib.Path, change: c.Callable[[pathlib.Path], object]) -> None:
    _age()
    found, steady = _beside(tree, lambda: change(tree))
    # steady where the walk was faster: it then tells of the time before the change
    assert not steady or found.fingerprint != look(tree).fingerprint


def test_f07_a_change_while_the_walk_is_under_way_is_seen(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _age()
    directory = module._directory

    def changed_after_it_was_seen(root: int, path: bytes, *rest: object) -> None:
        directory(root, path, *rest)
        if path == b"folder":
            (tree / "folder" / "inside").write_bytes(b"7654321")
            (tree / "folder" / "new").touch()

    monkeypatch.setattr(module, "_directory", changed_after_it_was_seen)
    found, steady = _beside(tree)
    monkeypatch.undo()
    # whoever read it meanwhile may have read either: it must not pass for what is there now
    assert not steady or found.fingerprint != look(tree).fingerprint


@pytest.mark.parametrize("step", [-3600, -0.05, 0.05, 3600])
def test_where_somebody_sets_the_clock_nothing_is_steady(
    tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch, step: float
) -> None:
    _age()
    now = time.time_ns
    with Beside(str(tree)) as beside:
        monkeypatch.setattr(module.time, "time_ns", lambda: now() + int(step * SECOND))
        found, steady = beside.result(10, _nothing)
    monkeypatch.undo()
    assert (found, steady) == (look(tree), False)


def test_a_clock_that_was_set_back_before_the_beginning(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time_ns
    monkeypatch.setattr(module.time, "time_ns", lambda: now() - 3600 * SECOND)
    _age()
    assert not _beside(tree)[1]


def test_an_error_of_the_walk_is_raised_where_it_is_waited_for(tmp_path: pathlib.Path) -> None:
    with Beside(str(tmp_path / "missing")) as beside:
        time.sleep(0.1)
        for _time in range(2):
            with pytest.raises(VolumeError, match="missing can't be read: No such file or directory"):
                beside.result(10, _nothing)


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> c.Iterator[threading.Event]:
    """A file system that hangs when a folder is listed, until the event is set."""
    release, scandir = threading.Event(), os.scandir

    def hang(where: int) -> object:
        assert release.wait(30)
        return scandir(where)

    monkeypatch.setattr(os, "scandir", hang)
    yield release
    release.set()
    for thread in threading.enumerate():
        if thread.name == "survey":
            thread.join(10)
            assert not thread.is_alive()


def test_a_file_system_that_hangs_is_noticed_and_left(tree: pathlib.Path, held: threading.Event) -> None:
    began = time.monotonic()
    hangs = re.escape("the file system hangs: no entry was found for 1 seconds")
    with pytest.raises(VolumeError, match=hangs), Beside(str(tree)) as beside:
        beside.result(1, _nothing)
    assert time.monotonic() - began > 1
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "survey")
    assert thread.daemon


@pytest.mark.parametrize("timeout", [0, 5])
def test_one_that_is_only_slow_is_waited_for(tree: pathlib.Path, held: threading.Event, timeout: float) -> None:
    _age()
    threading.Timer(1.2, held.set).start()
    with Beside(str(tree)) as beside:
        found, steady = beside.result(timeout, _nothing)
    assert (found.entries, steady) == (5, True)


def test_each_entry_that_is_found_is_a_sign_of_life(tree: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add = module._Walk.add

    def slow(self: module._Walk, path: bytes, facts: os.stat_result) -> None:
        time.sleep(0.7)
        add(self, path, facts)

    monkeypatch.setattr(module._Walk, "add", slow)
    with Beside(str(tree)) as beside:
        assert beside.result(1.5, _nothing)[0].entries == 5


def test_proceed_ends_the_wait(tree: pathlib.Path, held: threading.Event) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), Beside(str(tree)) as beside:
        beside.result(0, stop)
    assert "survey" in {thread.name for thread in threading.enumerate()}  # which hangs on


def test_a_walk_that_nobody_waits_for_any_more_ends(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in range(300):
        (tmp_path / str(name)).mkdir()
    walked, directory = [], module._directory

    def slow(*arguments: object) -> None:
        time.sleep(0.01)
        walked.append(1)
        directory(*arguments)

    monkeypatch.setattr(module, "_directory", slow)
    with Beside(str(tmp_path)):
        time.sleep(0.1)
    assert not [thread for thread in threading.enumerate() if thread.name == "survey"]
    assert 0 < len(walked) < 100


def test_a_walk_that_is_stopped_enters_no_folder(tree: pathlib.Path) -> None:
    walk = module._Walk()
    walk.stopped = True
    assert survey(str(tree), walk).entries == 1
    assert survey(str(tree)).entries == 5


# Two processes.


@pytest.fixture
def wide(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    """A tree that two processes share, again and again; some inodes have names in many of its folders."""
    monkeypatch.setattr(module, "_MANY", 20)
    monkeypatch.setattr(module, "_WHILE", 0)
    monkeypatch.setattr(module, "_processors", lambda: 2)
    made = tmp_path / "wide"
    for number in range(60):
        folder = made / f"{number % 7}" / f"{number}" / "below"
        folder.mkdir(parents=True)
        (folder / "own").write_bytes(bytes(number))
        if number and number % 3 == 0:
            os.link(made / "0" / "0" / "below" / "own", folder / "link")
        if number % 5 == 0:
            (folder / "sparse").touch()
            os.truncate(folder / "sparse", 1 << 20)
    return made


def test_two_find_what_one_finds(wide: pathlib.Path) -> None:
    assert survey(str(wide), hasty=True) == survey(str(wide))
    with Beside(str(wide), hasty=True) as beside:
        assert beside.result(5, lambda: None)[0] == survey(str(wide))


def test_two_see_any_change(wide: pathlib.Path) -> None:
    before = survey(str(wide), hasty=True)
    for number in (0, 17, 59):
        (wide / f"{number % 7}" / f"{number}" / "below" / "own").write_bytes(b"other")
        after = survey(str(wide), hasty=True)
        assert after.fingerprint != before.fingerprint
        before = after


def test_f06_an_error_of_the_second_process_is_raised(wide: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, real = os.getpid(), module._directory

    def directory(root: int, path: bytes, *rest: object) -> None:
        if os.getpid() != ours:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        real(root, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_directory", directory)
    with pytest.raises(VolumeError, match=r"can't be read: Input/output error"):
        survey(str(wide), hasty=True)


def test_a_second_process_that_is_killed_is_noticed(wide: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, real = os.getpid(), module._directory

    def directory(root: int, path: bytes, *rest: object) -> None:
        if os.getpid() != ours:
            os.kill(os.getpid(), signal.SIGKILL)
        real(root, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_directory", directory)
    with pytest.raises(VolumeError, match="was killed"):
        survey(str(wide), hasty=True)


def test_the_second_process_holds_no_lock_and_no_output(wide: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = os.open(wide, os.O_RDONLY)
    ours, real = os.getpid(), module._directory

    def directory(root: int, path: bytes, *rest: object) -> None:
        if os.getpid() != ours and os.path.exists(f"/proc/self/fd/{held}"):
            raise OSError(errno.EBADF, "it is still open", path)
        if os.getpid() != ours and {os.readlink(f"/proc/self/fd/{number}") for number in range(3)} != {os.devnull}:
            raise OSError(errno.EBADF, "it could still be written to", path)
        real(root, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_directory", directory)
    try:
        assert survey(str(wide), hasty=True).entries > 180
    finally:
        os.close(held)


def test_a_second_process_that_works_for_long_is_a_sign_of_life(
    wide: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, real = os.getpid(), module._directory

    def directory(root: int, path: bytes, *rest: object) -> None:
        until = time.monotonic() + (2.5 if os.getpid() != ours and path.endswith(b"59") else 0)
        while time.monotonic() < until:
            pass
        real(root, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_directory", directory)
    with Beside(str(wide), hasty=True) as beside:
        assert beside.result(1.5, lambda: None)[0].entries > 180
