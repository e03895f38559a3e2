# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Following an extraction: what tar makes is read back once, and what isn't as it was then gets a second look."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import subprocess
import threading
import time
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import (
    archive,
    expected,
    likeness,
    pipeline,
    tools,
    window,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import IntegrityError, VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.faithful import Comparison, Following
from ansible_collections.drydock.volumes.plugins.module_utils._engine.members import Member
from ansible_collections.drydock.volumes.plugins.module_utils._engine.survey import survey
from tests.support import disks, trees
from tests.unit.helpers import mounted, needs_root

pytestmark = needs_root

MEBIBYTE = 1 << 20
CAT = pipeline.Stage("cat", (tools.need("cat", "coreutils"),))


class Case:
    """A tree, its archive, and a directory to extract it into."""

    def __init__(self, work: pathlib.Path) -> None:
        self.tree, self.target, self.archive = work / "tree", work / "target", work / "archive"
        self.tree.mkdir()
        self.target.mkdir()
        self.looks = 0

    def pack(self, *order: str) -> None:
        """Make the archive, of these entries in this order or of all there are."""
        stage = archive.create(tools.gnu_tar()[0], str(self.tree))
        if order:
            stage = pipeline.Stage("tar", (*stage.argv[:-2], "--no-recursion", "--", *order))
        with self.archive.open("wb") as file:
            (outcome,) = pipeline.run([stage], sink=file.write)
        assert (outcome.status, outcome.said) == (0, ())

    def restore(self, change: c.Callable[[], object] = lambda: None) -> Comparison:
        """Extract, make a change, and return what was found."""
        before = threading.active_count(), len(os.listdir("/proc/self/fd"))
        with self.archive.open("rb", buffering=0) as file, Following(str(self.target)) as following:
            stages = [CAT, archive.extract(tools.gnu_tar()[0], str(self.target))]
            outcomes = pipeline.run(stages, source=file.fileno(), tap=following.tap)
            assert [(outcome.status, outcome.said) for outcome in outcomes] == [(0, ())] * 2
            change()

            def again(sink: c.Callable[[memoryview], object]) -> None:
                self.looks += 1
                file.seek(0)
                pipeline.run([CAT], source=file.fileno(), sink=sink)

            found = following.finish(again)
        assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before
        return found


@pytest.fixture
def case(tmp_path: pathlib.Path) -> c.Iterator[Case]:
    made = Case(tmp_path)
    try:
        yield made
    finally:
        for tree in (made.tree, made.target):
            trees.remove(tree)


def fill(case: Case, size: int = 5000, *, first: bool = True) -> pathlib.Path:
    """A file of so many bytes, before others or after them. Return where it is restored."""
    for number in range(20):
        (case.tree / f"other {number}").write_bytes(b"%08d" % number * 10_000)
    (case.tree / "file").write_bytes(os.urandom(size))
    names = [f"./{name}" for name in os.listdir(case.tree) if name != "file"]
    case.pack(".", *(["./file", *names] if first else [*names, "./file"]))
    return case.target / "file"


def test_a_nasty_tree(case: Case) -> None:
    trees.make_nasty(case.tree)
    case.pack()
    found = case.restore()
    assert (found.differences, found.more) == ((), 0)
    walked = survey(str(case.tree))
    assert (found.entries, found.bytes) == (walked.entries, walked.bytes)


@pytest.mark.parametrize("size", [0, 1, 127 << 10, 128 << 10, MEBIBYTE + 1, 5 * MEBIBYTE, 40 * MEBIBYTE + 3])
def test_files_of_any_size_need_one_look(case: Case, size: int) -> None:
    fill(case, size)
    assert case.restore() == Comparison(22, size + 20 * 80_000, (), 0, coarse=False)
    assert case.looks == 0


@pytest.mark.parametrize("size", [5000, 128 << 10, 20 * MEBIBYTE])
@pytest.mark.parametrize("place", [0, 0.5, 1])
@pytest.mark.parametrize("first", [True, False])
def test_a_byte_that_changes_later_without_a_trace(case: Case, size: int, place: float, first: bool) -> None:
    file, at = fill(case, size, first=first), int(place * (size - 1))

    def change() -> None:
        time.sleep(0.1)
        facts = file.stat()
        with file.open("r+b") as opened:
            opened.seek(at)
            (byte,) = opened.read(1)
            opened.seek(at)
            opened.write(bytes([byte ^ 1]))
        os.utime(file, ns=(facts.st_atime_ns, facts.st_mtime_ns))

    assert case.restore(change).differences == (f"./file: contents differ at byte {at}",)


def test_a_change_that_is_taken_back_costs_a_second_look(case: Case) -> None:
    # More than the window and the pipes hold comes behind the file: it has had its first look when tar is done.
    (case.tree / "behind").write_bytes(os.urandom(window.SIZE * 2))
    file = fill(case)
    assert case.restore(lambda: [time.sleep(0.1), file.chmod(0), file.chmod(0o644)]).differences == ()
    assert case.looks == 1


def test_another_file_of_the_same_name_and_contents_but_time(case: Case) -> None:
    file = fill(case)

    def change() -> None:
        data = file.read_bytes()
        file.unlink()
        file.write_bytes(data)
        os.utime(file, ns=(1, 1))

    found = [each for each in case.restore(change).differences if each.startswith("./file")]
    assert len(found) == 1
    assert found[0].startswith("./file: mtime in ns is 1, the archive says ")


def test_hard_links_and_many_of_them(case: Case) -> None:
    (case.tree / "a").write_bytes(os.urandom(3 * MEBIBYTE))
    for number in range(50):
        os.link(case.tree / "a", case.tree / f"b {number}")
    (case.tree / "symlink").symlink_to("/")
    os.link(case.tree / "symlink", case.tree / "other symlink", follow_symlinks=False)
    case.pack()
    assert case.restore().differences == ()


def test_more_differences_than_anybody_reads(case: Case) -> None:
    fill(case)
    found = case.restore(lambda: [entry.chmod(0o600) for entry in case.target.iterdir()])
    assert len(found.differences) + found.more == 21
    with pytest.raises(IntegrityError, match=r"what tar restored isn't .*: \./.*0644; .* and 16 more$"):
        found.require_none()


def test_a_directory_that_is_gone_is_one_difference(case: Case) -> None:
    (case.tree / "folder" / "below" / "deeper").mkdir(parents=True)
    (case.tree / "folder" / "below" / "file").touch()
    case.pack()
    found = case.restore(lambda: trees.remove(case.target / "folder"))
    assert [each for each in found.differences if "mtime" not in each] == ["./folder: is missing"]


@pytest.mark.parametrize("become", ["file", "symlink"])
def test_a_directory_that_is_something_else(case: Case, become: str) -> None:
    (case.tree / "folder" / "below").mkdir(parents=True)
    (case.tree / "other" / "below").mkdir(parents=True)
    case.pack()

    def change() -> None:
        trees.remove(case.target / "folder")
        (case.target / "folder").symlink_to("other") if become == "symlink" else (case.target / "folder").touch()

    found = case.restore(change)
    assert any(each.startswith("./folder: is no directory, the archive says it is one") for each in found.differences)


def test_what_was_there_before_is_left_out(case: Case) -> None:
    fill(case)
    (case.target / "lost+found").mkdir()
    assert case.restore().differences == ()


def test_what_is_mounted_in_it_is_a_difference(case: Case) -> None:
    (case.tree / "inside").mkdir()
    case.pack()
    with mounted("tmpfs", case.target / "inside"):
        pass
    trees.remove(case.target / "inside")
    mount = []

    def change() -> None:
        mount.append(mounted("tmpfs", case.target / "inside"))
        mount[0].__enter__()

    try:
        assert case.restore(change).differences == ("./inside: is on another file system",)
    finally:
        mount[0].__exit__(None, None, None)


def test_a_member_that_comes_twice_is_refused(case: Case) -> None:
    fill(case)
    subprocess.run(["tar", "-C", case.tree, "-rf", case.archive, "./file"], check=True)
    with pytest.raises(IntegrityError, match=r"the archive can't be compared: it has \./file more than once; with ver"):
        case.restore()


def test_an_archive_of_what_nobody_knows_is_refused(case: Case) -> None:
    (case.tree / "file").touch()
    subprocess.run(["tar", "-C", case.tree, "-cf", case.archive, "-V", "a label", "."], check=True)
    with pytest.raises(IntegrityError, match="the archive can't be compared: it has a member of the type b'V'"):
        case.restore()


def test_what_cannot_be_read_back_is_an_error(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    file = fill(case)
    real = expected.Tree.open

    def fail(tree: expected.Tree, path: bytes) -> int:
        if path == b"file":
            raise OSError(5, "Input/output error")
        return real(tree, path)

    monkeypatch.setattr(expected.Tree, "open", fail)
    with pytest.raises(VolumeError, match=r"what was restored can't be read back: \./file: Input/output error"):
        case.restore()
    assert file.exists()


def test_a_file_larger_than_the_window_that_is_wrong_from_its_start(
    case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What isn't compared any more must pass by all the same: tar waits for it."""
    fill(case, 40 * MEBIBYTE)
    real, looks = likeness.Likeness.file, []

    def differ_once(
        like: likeness.Likeness, opened: int, facts: os.stat_result, member: Member, *rest: t.Any
    ) -> list[str]:
        if member.path == b"file" and not looks:
            looks.append(member.size)
            return ["contents differ at byte 0"]
        return real(like, opened, facts, member, *rest)

    monkeypatch.setattr(likeness.Likeness, "file", differ_once)
    assert case.restore().differences == ()
    assert (looks, case.looks) == ([40 * MEBIBYTE], 1)


def test_a_file_system_that_keeps_whole_seconds(case: Case, tmp_path: pathlib.Path) -> None:
    """ext4 with small inodes, as on small disks."""
    fill(case)
    with disks.mounted(tmp_path, 64, options=("-I", "128")) as disk:
        case.target = disk / "target"
        case.target.mkdir()
        found = case.restore()
        assert (found.differences, found.coarse) == ((), True)
        case.target = disk / "another"
        case.target.mkdir()
        found = case.restore(lambda: os.utime(case.target / "file", (5, 5)))
        assert [each.split(",")[0] for each in found.differences] == ["./file: mtime in ns is 5000000000"]


def test_tar_fails_and_nothing_hangs(case: Case) -> None:
    fill(case, 30 * MEBIBYTE)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))
    with case.archive.open("rb", buffering=0) as file, Following(str(case.target)) as following:
        false = pipeline.Stage("false", (tools.need("false", "coreutils"),))
        outcomes = pipeline.run([CAT, false], source=file.fileno(), tap=following.tap)
        assert pipeline.failed(outcomes) == pipeline.Outcome("false", 1, ())
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def test_an_archive_that_ends_in_the_middle(case: Case) -> None:
    fill(case, MEBIBYTE)
    os.truncate(case.archive, MEBIBYTE // 2)
    with case.archive.open("rb", buffering=0) as file, Following(str(case.target)) as following:
        stages = [CAT, archive.extract(tools.gnu_tar()[0], str(case.target))]
        assert pipeline.run(stages, source=file.fileno(), tap=following.tap)[1].status == 2


def test_an_interrupted_extraction_leaves_no_thread(case: Case) -> None:
    fill(case, 30 * MEBIBYTE)
    before = threading.active_count(), len(os.listdir("/proc/self/fd"))

    def stop() -> None:
        raise KeyboardInterrupt

    stages = [CAT, archive.extract(tools.gnu_tar()[0], str(case.target))]
    with (
        pytest.raises(KeyboardInterrupt),
        case.archive.open("rb", buffering=0) as file,
        Following(str(case.target)) as following,
    ):
        pipeline.run(stages, source=file.fileno(), tap=following.tap, proceed=stop)
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == before


def test_a_window_that_is_fed_and_read_in_odd_pieces() -> None:
    data = os.urandom(3 * window.SIZE + 12345)
    made, got = window.Window(), []

    def feed() -> None:
        view = memoryview(data)
        for start in range(0, len(data), 777_777):
            made.feed(view[start : start + 777_777])
        made.close()

    thread = threading.Thread(target=feed)
    thread.start()
    left = len(data)
    while left:
        count = min(left, 1_234_567)
        got.append(made.take(count))
        left -= count
    thread.join()
    assert b"".join(got) == data
    with pytest.raises(IntegrityError, match=f"ends at byte {len(data)}"):
        made.take(1)
