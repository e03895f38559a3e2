# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The writing side of a repository: all of a backup or nothing of it, and one writer at a time."""

from __future__ import annotations

import errno
import os
import pathlib
import signal
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import publication
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import RepositoryError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from tests.unit.helpers import ENGINE, file_size_limit, mounted, needs_root, python, started
from tests.unit.samples import ID, WHEN, a_manifest, put

# Begins a backup, starts a process as a backup does, says so, and goes on for an hour.
HOLDER = f"""
import os, sys, time
from tests.unit.samples import WHEN
from {ENGINE} import pipeline
from {ENGINE}.repository import Directory
with Directory(sys.argv[1]).begin("db1", "pgdata", ".tar.zst", WHEN) as publication:
    publication.write(memoryview(b"some"))
    source, feed = os.pipe()
    def hold(_data):
        print("holding", flush=True)
        time.sleep(float(sys.argv[2]))
        os.close(feed)
    os.write(feed, b"x")
    pipeline.run([pipeline.Stage("cat", ("/bin/cat",))], source=source, sink=hold)
"""


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Directory:
    return Directory(str(tmp_path / "repository"))


def _present(repository: Directory) -> list[str]:
    return sorted(os.listdir(repository.folder("db1", "pgdata")))


def test_nothing_has_its_name_before_the_end(repository: Directory) -> None:
    with repository.begin("db1", "pgdata", ".tar.zst", WHEN) as publication:
        publication.write(memoryview(b"archive"))
        assert _present(repository) == [f".{ID}.tar.zst.partial", ".lock"]
        assert repository.backups("db1", "pgdata") == ([], [])
    assert _present(repository) == [".lock"]


def test_design_3_the_order_in_which_names_appear_and_are_synced(repository: Directory, tmp_path: pathlib.Path) -> None:
    code = """
import sys
from tests.unit.samples import put
from tests.unit.test_publication import Directory
put(Directory(sys.argv[1]))
"""
    trace = tmp_path / "trace"
    strace = ("strace", "-f", "-y", "-o", str(trace), "-e", "trace=fsync,fdatasync,rename,renameat,renameat2")
    try:
        ran = python(code, repository.root, wrapper=strace)
    except FileNotFoundError:
        pytest.skip("needs strace")
    assert ran.returncode == 0, ran.stderr
    folder = repository.folder("db1", "pgdata")
    steps = []
    for line in trace.read_text().splitlines():
        call = line.split(None, 1)[1]
        if call.startswith("fsync") and folder in call:
            steps.append("sync " + call.partition("<")[2].partition(">")[0].removeprefix(folder).lstrip("/"))
        elif call.startswith("rename") and folder in call:
            steps.append("rename " + call.rpartition("/")[2].partition('"')[0])
    assert steps[-6:] == [
        f"sync .{ID}.tar.zst.partial",
        f"rename {ID}.tar.zst",
        "sync ",
        f"sync .{ID}.json.partial",
        f"rename {ID}.json",
        "sync ",
    ]


def test_an_exception_removes_what_was_written(repository: Directory) -> None:
    with pytest.raises(KeyboardInterrupt), repository.begin("db1", "pgdata", ".tar.zst", WHEN) as publication:  # noqa: PT012
        publication.write(memoryview(b"archive"))
        raise KeyboardInterrupt
    assert _present(repository) == [".lock"]
    assert put(repository) == ID


@pytest.mark.parametrize("failure", [None, ZeroDivisionError("by zero")], ids=["no error", "an error"])
def test_what_cannot_be_removed_is_told(
    repository: Directory, monkeypatch: pytest.MonkeyPatch, failure: Exception | None
) -> None:
    before = str(failure or "repository: nothing was added")
    with (  # noqa: PT012
        monkeypatch.context() as patched,
        pytest.raises(RepositoryError, match=f"^{before}; .*{ID}.tar.partial can't be removed: Permission") as caught,
        repository.begin("db1", "pgdata", ".tar", WHEN),
    ):
        patched.setattr(os, "unlink", _refuse)
        if failure:
            raise failure
    assert caught.value.__cause__ is failure
    assert _present(repository) == [f".{ID}.tar.partial", ".lock"]
    put(repository)
    assert f".{ID}.tar.partial" not in _present(repository)


def test_an_interrupt_stays_one_though_the_file_cannot_be_removed(
    repository: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (  # noqa: PT012
        monkeypatch.context() as patched,
        pytest.raises(KeyboardInterrupt),
        repository.begin("db1", "pgdata", ".tar", WHEN),
    ):
        patched.setattr(os, "unlink", _refuse)
        raise KeyboardInterrupt
    assert put(repository) == ID


def _refuse(path: str) -> None:
    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def test_f03_the_archive_finds_no_room(repository: Directory) -> None:
    put(repository)
    with (  # noqa: PT012
        file_size_limit(1000),
        pytest.raises(
            RepositoryError,
            match="can't be written after 1000 bytes: File too large; nothing was added to the repository, earlier ba",
        ),
        repository.begin("db1", "pgdata", ".tar.zst", WHEN) as publication,
    ):
        publication.write(memoryview(bytes(900)))
        publication.write(memoryview(bytes(900)))
    assert _present(repository) == [".lock", f"{ID}.json", f"{ID}.tar.zst"]


def test_f03_the_manifest_finds_no_room(repository: Directory) -> None:
    with file_size_limit(100), pytest.raises(RepositoryError, match="File too large"):
        put(repository)
    assert _present(repository) == [".lock"]


@needs_root
def test_f03_a_full_disk(tmp_path: pathlib.Path) -> None:
    with mounted("tmpfs", tmp_path / "small", "-o", "size=256k"):
        repository = Directory(str(tmp_path / "small"))
        put(repository)
        with pytest.raises(RepositoryError, match="No space left on device"):
            put(repository, bytes(1 << 20))
        assert _present(repository) == [".lock", f"{ID}.json", f"{ID}.tar.zst"]
        assert put(repository) == f"{ID}-2"


@pytest.mark.parametrize("name", [f"{ID}.tar.zst", f"{ID}.json"])
def test_a_name_that_is_taken_meanwhile_leaves_nothing(repository: Directory, name: str) -> None:
    with (  # noqa: PT012
        pytest.raises(RepositoryError, match="Is a directory"),
        repository.begin("db1", "pgdata", ".tar.zst", WHEN) as publication,
    ):
        publication.write(memoryview(b"archive"))
        pathlib.Path(repository.folder("db1", "pgdata"), name).mkdir()
        publication.publish(a_manifest())
    assert _present(repository) == sorted([".lock", name])


@pytest.mark.parametrize(
    "taken",
    [f"{ID}.tar.zst", f"{ID}.tar.gz", f"{ID}.json", f"{ID}.tar.zst.age", f".{ID}.tar.foreign", ID],
)
def test_f32_whatever_has_the_identifier_keeps_it(repository: Directory, taken: str) -> None:
    folder = pathlib.Path(repository.folder("db1", "pgdata"))
    folder.mkdir(parents=True)
    (folder / taken).write_text("mine")
    assert put(repository) == f"{ID}-2"
    assert put(repository) == f"{ID}-3"
    assert (folder / taken).read_text() == "mine"


def test_f30_another_run_is_an_error_at_once(repository: Directory) -> None:
    with started(HOLDER, repository.root, 3600):
        with pytest.raises(RepositoryError, match=r"another run writes to .*; nothing was changed"):
            put(repository)
        assert _present(repository) == [f".{ID}.tar.zst.partial", ".lock"]


def test_f30_another_run_is_waited_for(repository: Directory) -> None:
    with started(HOLDER, repository.root, 3600):
        began = time.monotonic()
        with pytest.raises(RepositoryError, match=r"longer lock_timeout than 0\.2 seconds"):
            repository.begin("db1", "pgdata", ".tar.zst", WHEN, 0.2)
        assert time.monotonic() - began >= 0.2
    with (
        started(HOLDER, repository.root, 0.5),
        repository.begin("db1", "pgdata", ".tar.zst", WHEN, 60) as publication,
    ):
        assert publication.id == ID


def test_other_volumes_do_not_wait(repository: Directory) -> None:
    with repository.begin("db1", "other", ".tar", WHEN), repository.begin("db2", "pgdata", ".tar", WHEN):
        assert put(repository) == ID


def test_f31_a_killed_holder_frees_the_lock_and_is_swept(repository: Directory) -> None:
    with started(HOLDER, repository.root, 3600) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait()
        assert _present(repository) == [f".{ID}.tar.zst.partial", ".lock"]
        assert put(repository) == ID
    assert _present(repository) == [".lock", f"{ID}.json", f"{ID}.tar.zst"]


def test_the_lock_is_free_after_success_and_failure(repository: Directory) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _time in range(3):
        put(repository)
        with pytest.raises(ZeroDivisionError), repository.begin("db1", "pgdata", ".tar", WHEN):
            raise ZeroDivisionError
    assert len(os.listdir("/proc/self/fd")) == before


def test_descriptors_are_closed_where_the_lock_is_not_given(repository: Directory) -> None:
    with repository.begin("db1", "pgdata", ".tar", WHEN):
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(RepositoryError):
            repository.begin("db1", "pgdata", ".tar", WHEN)
        assert len(os.listdir("/proc/self/fd")) == before


OLD = "20200101T000000Z"
DEAD = [f".{OLD}.tar.zst.partial", f".{OLD}-2.tar.partial", f".{OLD}.tar.gz.partial", f".{OLD}.json.partial"]
FOREIGN = [
    "notes.txt",
    ".hidden",
    ".partial",
    ".notes.partial",
    f".{OLD}.txt.partial",
    f".{OLD}.tar.zst",
    f"{OLD}.tar.zst.partial",
    f"{OLD}.tar.xz",
    f"{OLD}-02.tar.zst",
    f"{OLD}.tar.zst.sha256",
    f"{OLD}.json",
    "backup.tar.zst",
]


@pytest.mark.parametrize("name", DEAD)
def test_what_dead_runs_left_is_swept(repository: Directory, name: str) -> None:
    put(repository)
    pathlib.Path(repository.folder("db1", "pgdata"), name).touch()
    with repository.begin("db1", "pgdata", ".tar", WHEN):
        assert name not in _present(repository)


@pytest.mark.parametrize("name", [f"{OLD}.tar.zst", f"{OLD}-3.tar.gz", f"{OLD}.tar"])
def test_an_archive_without_a_manifest_is_swept_after_a_day(
    repository: Directory, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(repository)
    path = pathlib.Path(repository.folder("db1", "pgdata"), name)
    path.touch()
    os.utime(path, (0, 0))  # a copy keeps its mtime: how long it has its name counts
    put(repository)
    assert path.exists()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 23.9 * 3600)
    put(repository)
    assert path.exists()
    monkeypatch.setattr(time, "time", lambda: now + 24.1 * 3600)
    put(repository)
    assert not path.exists()
    assert len(repository.backups("db1", "pgdata")[0]) == 4


@pytest.mark.parametrize("name", FOREIGN)
def test_f42_what_is_not_ours_is_never_swept(repository: Directory, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    put(repository)
    path = pathlib.Path(repository.folder("db1", "pgdata"), name)
    path.touch()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e7)
    put(repository)
    assert path.exists()


def test_f42_a_folder_with_an_archives_name_is_in_nobodys_way(
    repository: Directory, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(repository)
    pathlib.Path(repository.folder("db1", "pgdata"), f"{OLD}.tar").mkdir()
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 1e7)
    put(repository)


def test_size_and_checksum_are_of_what_is_stored(repository: Directory) -> None:
    data = os.urandom(20 << 20)
    put(repository, data)
    (manifest,), _problems = repository.backups("db1", "pgdata")
    assert manifest["archive"]["bytes"] == len(data)
    assert manifest["archive"]["sha256"] == a_manifest(data)["archive"]["sha256"]
    assert pathlib.Path(repository.archive(manifest)).read_bytes() == data


def test_a_file_system_that_cannot_sync_a_directory() -> None:
    """As CIFS before Linux 5.10: here it is proc."""
    publication.sync("/proc/self")
    with pytest.raises(FileNotFoundError):
        publication.sync("/proc/self/nothing")
