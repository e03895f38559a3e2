# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The journal: what must be undone outlives the process, and is undone by one other at most (F21, F22)."""

from __future__ import annotations

import collections.abc as c
import contextlib
import errno
import fcntl
import gc
import json
import os
import pathlib
import stat
import subprocess
import threading
import time
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import hooks, journal
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import StateError, UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.hooks import Hook
from tests.unit.helpers import ENGINE, file_size_limit, mounted, needs_root, python, started, umask

UNDO: dict[str, t.Any] = {"volumes": ["a"], "containers": [{"id": "1", "name": 'é\n"'}], "after": []}

# Writes so many entries, and says so.
HOLDER = f"""
import json, subprocess, sys, time
from {ENGINE} import journal
journal.STATE = sys.argv[1]
entries = [journal.write({{**json.loads(sys.argv[2]), "number": one}}) for one in range(int(sys.argv[3]))]
if sys.argv[4:]:
    child = subprocess.Popen(["/bin/sleep", "3600"])
    print(child.pid, flush=True)
print("written", flush=True)
time.sleep(3600)
"""


@pytest.fixture(autouse=True)
def _no_descriptor_is_left() -> c.Iterator[None]:
    gc.collect()
    before = len(os.listdir("/proc/self/fd"))
    yield
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def folder() -> pathlib.Path:
    """Where the entries will be."""
    return pathlib.Path(journal.STATE) / "journal"


def test_who_only_looks_has_nobody_take_the_dead_for_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    _left()
    (looking,), _problems = journal.abandoned()

    def pause(_seconds: float) -> None:
        if pauses:
            looking.leave()
        pauses.append(1)

    pauses: list[int] = []
    monkeypatch.setattr(time, "sleep", pause)
    (entry,), problems = journal.abandoned()
    assert (entry.path, problems, len(pauses)) == (looking.path, [], 2)
    entry.remove()


def _left(number: int = 1) -> None:
    """Have a process that is killed leave so many entries."""
    with started(HOLDER, journal.STATE, json.dumps(UNDO), number):
        assert journal.abandoned() == ([], [])


def _put(folder: pathlib.Path, data: bytes, name: str = "0123456789abcdef.json") -> pathlib.Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(data)
    return folder / name


@contextlib.contextmanager
def _left_at_the_end(entries: c.Sequence[journal.Entry]) -> c.Iterator[None]:
    try:
        yield
    finally:
        for entry in entries:
            entry.leave()


# Writing


def test_an_entry_can_be_replaced_and_stays_ours(folder: pathlib.Path) -> None:
    entry = journal.write(UNDO)
    name = os.path.basename(entry.path)
    for number in range(2):
        entry.replace({"kind": "other", "number": number})
        assert os.listdir(folder) == [name]
        assert json.loads(pathlib.Path(entry.path).read_bytes()) == {"format": 1, "kind": "other", "number": number}
        assert entry.undo == {"kind": "other", "number": number}
        assert journal.abandoned() == ([], [])
    entry.leave()
    (left,), _problems = journal.abandoned()
    assert left.undo["number"] == 1
    left.remove()
    assert os.listdir(folder) == []


def test_f01_an_entry_that_cannot_be_replaced_is_as_it_was(folder: pathlib.Path) -> None:
    entry = journal.write(UNDO)
    before = pathlib.Path(entry.path).read_bytes()
    with file_size_limit(1), pytest.raises(StateError, match=rf"entry {entry.path} can't be written: File too large"):
        entry.replace({"kind": "other"})
    assert os.listdir(folder) == [os.path.basename(entry.path)]
    assert pathlib.Path(entry.path).read_bytes() == before
    assert entry.undo == UNDO
    assert journal.abandoned() == ([], [])
    entry.remove()


def test_an_entry_that_was_replaced_while_somebody_looked_is_not_theirs(folder: pathlib.Path) -> None:
    entry = journal.write(UNDO)
    with open(entry.path, "rb") as theirs:
        entry.replace({"kind": "other"})
        assert not journal._dead(theirs.fileno())
    entry.remove()


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_f70_only_its_owner_reads_it(folder: pathlib.Path, mask: int) -> None:
    with umask(mask):
        entry = journal.write(UNDO)
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    assert os.listdir(folder) == [os.path.basename(entry.path)]
    facts = os.stat(entry.path)
    assert (stat.S_IMODE(facts.st_mode), stat.S_ISREG(facts.st_mode), facts.st_nlink) == (0o600, True, 1)
    entry.leave()


def test_what_is_written(folder: pathlib.Path) -> None:
    entry = journal.write(UNDO)
    data = pathlib.Path(entry.path).read_bytes()
    assert data.isascii()
    assert json.loads(data) == {"format": 1, **UNDO}
    assert entry.undo == UNDO
    assert os.path.dirname(entry.path) == str(folder)
    entry.leave()


def test_each_undertaking_has_a_file_of_its_own(folder: pathlib.Path) -> None:
    entries = [journal.write({**UNDO, "number": number}) for number in range(5)]
    assert len(set(os.listdir(folder))) == 5
    entries.pop(2).remove()
    assert sorted(os.listdir(folder)) == sorted(os.path.basename(entry.path) for entry in entries)
    for entry in entries:
        entry.remove()
    assert os.listdir(folder) == []


def test_the_state_directory_is_the_environments() -> None:
    code = f"from {ENGINE} import journal; print(journal.STATE)"
    assert python(code, wrapper=("env", "DRYDOCK_STATE_DIRECTORY=/x")).stdout == "/x\n"
    assert python(code, wrapper=("env", "-u", "DRYDOCK_STATE_DIRECTORY")).stdout == "/var/lib/drydock\n"


def test_it_is_on_disk_before_it_has_its_name(tmp_path: pathlib.Path) -> None:
    code = f"""
import sys
from {ENGINE} import journal
journal.STATE = sys.argv[1]
journal.write({{}}).remove()
"""
    state, trace = tmp_path / "lib" / "state", tmp_path / "trace"
    state.parent.mkdir()
    calls = "trace=fsync,fdatasync,flock,rename,renameat,renameat2,unlink,unlinkat,mkdir,mkdirat"
    ran = python(code, state, wrapper=("strace", "-f", "-y", "-o", str(trace), "-e", calls))
    assert ran.returncode == 0, ran.stderr
    steps = []
    for line in trace.read_text().splitlines():
        call, _bracket, rest = line.split(None, 1)[1].partition("(")
        if str(tmp_path) in rest:
            path = rest.partition("<")[2].partition(">")[0] if "<" in rest else rest.split('"')[-2]
            hexadecimal = os.path.basename(path).lstrip(".").partition(".")[0]
            name = os.path.relpath(path, state.parent)
            steps.append((call, name.replace(hexadecimal, "NAME") if len(hexadecimal) == 16 else name))
    assert steps == [
        ("mkdir", "state"),
        ("fsync", "."),
        ("mkdir", "state/journal"),
        ("fsync", "state"),
        ("flock", "state/journal/.NAME.json.partial"),
        ("fsync", "state/journal/.NAME.json.partial"),
        ("rename", "state/journal/NAME.json"),
        ("fsync", "state/journal"),
        ("unlink", "state/journal/NAME.json"),
        ("fsync", "state/journal"),
    ]


def _in_place_of_the_state(state: pathlib.Path) -> None:
    state.touch()


def _in_place_of_the_folder(state: pathlib.Path) -> None:
    state.mkdir()
    (state / "journal").touch()


def _a_dangling_link(state: pathlib.Path) -> None:
    state.mkdir()
    (state / "journal").symlink_to("nowhere")


@pytest.mark.parametrize("obstacle", [_in_place_of_the_state, _in_place_of_the_folder, _a_dangling_link])
def test_without_a_directory_nothing_must_be_begun(folder: pathlib.Path, obstacle: c.Callable[..., None]) -> None:
    obstacle(folder.parent)
    with pytest.raises(StateError, match=f"the journal in {folder} can't be written: .*; nothing was begun$"):
        journal.write(UNDO)


@needs_root
def test_a_directory_that_may_not_be_changed(folder: pathlib.Path) -> None:
    kept = journal.write(UNDO)
    subprocess.run(["chattr", "+i", folder], check=True)
    try:
        with pytest.raises(StateError, match="can't be written: Operation not permitted; nothing was begun"):
            journal.write(UNDO)
        with pytest.raises(StateError, match=f"entry {kept.path} can't be removed: Operation not permitted"):
            kept.remove()
    finally:
        subprocess.run(["chattr", "-i", folder], check=True)
    entries, problems = journal.abandoned()  # it can be tried again
    with _left_at_the_end(entries):
        assert ([entry.path for entry in entries], problems) == ([kept.path], [])


@needs_root
def test_a_file_system_that_is_read_only(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with mounted("tmpfs", tmp_path / "disk") as disk:
        monkeypatch.setattr(journal, "STATE", str(disk / "state"))
        _left()
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        with pytest.raises(StateError, match="can't be written: Read-only file system"):
            journal.write(UNDO)
        assert journal.unfinished()
        (entry,), problems = journal.abandoned()
        with pytest.raises(StateError, match="can't be removed: Read-only file system"):
            entry.remove()
        assert problems == []
        monkeypatch.setattr(journal, "STATE", str(disk / "new"))
        with pytest.raises(StateError, match="can't be written: Read-only file system"):
            journal.write(UNDO)


def test_f01_a_full_disk_leaves_nothing(folder: pathlib.Path) -> None:
    with file_size_limit(10), pytest.raises(StateError, match="can't be written: File too large; nothing was begun"):
        journal.write(UNDO)
    assert os.listdir(folder) == []
    journal.write(UNDO).remove()


CALLS = {"flock": fcntl, "fsync": os, "rename": os}


@pytest.mark.parametrize("call", CALLS)
def test_an_error_of_the_disk_leaves_nothing(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    journal.write(UNDO).remove()

    def fail(*_arguments: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(CALLS[call], call, fail)
    with pytest.raises(StateError, match="can't be written: Input/output error"):
        journal.write(UNDO)
    monkeypatch.undo()
    assert os.listdir(folder) == []


def test_an_error_of_the_disk_after_the_rename_leaves_nothing_to_undo(
    folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: str) -> None:
        if folder.exists() and os.listdir(folder):
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal.publication, "sync", fail)
        with pytest.raises(StateError, match="can't be written: Input/output error; nothing was begun"):
            journal.write(UNDO)
    assert journal.abandoned() == ([], [])
    assert os.listdir(folder) == []


# Whose it is


def test_without_a_journal_there_is_nothing(folder: pathlib.Path) -> None:
    assert journal.abandoned() == ([], [])
    assert not journal.unfinished()
    assert not folder.parent.exists()


def test_an_entry_of_our_own_is_not_abandoned() -> None:
    entry = journal.write(UNDO)
    assert journal.abandoned() == ([], [])
    assert not journal.unfinished()
    entry.remove()


def test_what_is_left_is_found_by_the_next(folder: pathlib.Path) -> None:
    journal.write(UNDO).leave()
    assert journal.unfinished()
    (entry,), problems = journal.abandoned()
    assert (entry.undo, problems) == ({"format": 1, **UNDO}, [])
    assert not journal.unfinished()  # it is ours now
    entry.leave()
    assert journal.unfinished()
    (entry,), problems = journal.abandoned()
    entry.remove()
    assert journal.abandoned() == ([], [])
    assert os.listdir(folder) == []


def test_f22_the_entries_of_a_killed_process_are_found(folder: pathlib.Path) -> None:
    _left(3)
    assert len(os.listdir(folder)) == 3
    assert journal.unfinished()
    entries, problems = journal.abandoned()
    assert sorted(entry.undo["number"] for entry in entries) == [0, 1, 2]
    assert {json.dumps(entry.undo["containers"]) for entry in entries} == {json.dumps(UNDO["containers"])}
    assert problems == []
    for entry in entries:
        entry.remove()
    assert not journal.unfinished()


def test_f22_a_child_that_outlives_the_process_does_not_hold_its_entries() -> None:
    with started(HOLDER, journal.STATE, json.dumps(UNDO), 1, "with a child") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        assert journal.abandoned() == ([], [])
        children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    try:
        assert all(pathlib.Path(f"/proc/{child}").exists() for child in children)
        entries, _problems = journal.abandoned()
        with _left_at_the_end(entries):
            assert (len(children), len(entries)) == (1, 1)
    finally:
        subprocess.run(["kill", *children], check=True)


def test_living_and_dead_side_by_side() -> None:
    _left(2)
    mine = journal.write(UNDO)
    with started(HOLDER, journal.STATE, json.dumps(UNDO), 2):
        entries, problems = journal.abandoned()
        with _left_at_the_end(entries):
            assert (len(entries), problems) == (2, [])
            assert mine.path not in [entry.path for entry in entries]
    mine.leave()
    entries, problems = journal.abandoned()
    with _left_at_the_end(entries):
        assert (len(entries), problems) == (5, [])


def test_what_somebody_else_recovers_is_not_ours() -> None:
    code = f"""
import sys, time
from {ENGINE} import journal
journal.STATE = sys.argv[1]
entries, _problems = journal.abandoned()
print(len(entries), flush=True)
time.sleep(3600)
"""
    _left()
    with started(code, journal.STATE):
        assert journal.abandoned() == ([], [])
        assert not journal.unfinished()
    entries, problems = journal.abandoned()  # nor did that one come to its end
    with _left_at_the_end(entries):
        assert (len(entries), problems) == (1, [])


def test_each_is_recovered_once_however_many_try(folder: pathlib.Path) -> None:
    for number in range(40):
        journal.write({"number": number}).leave()
    together = threading.Barrier(6)
    recovered: list[int] = []

    def recover() -> None:
        together.wait(20)
        while journal.unfinished() or os.listdir(folder):
            entries, problems = journal.abandoned()
            assert problems == []
            for entry in entries:
                recovered.append(entry.undo["number"])
                entry.remove()

    threads = [threading.Thread(target=recover) for _one in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(recovered) == list(range(40))


def test_what_is_removed_meanwhile_is_not_there(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for _one in range(2):
        journal.write(UNDO).leave()
    flock, listdir = fcntl.flock, os.listdir

    def removed_before_the_lock(descriptor: int, how: int) -> None:
        for path in folder.iterdir():
            path.unlink()
        flock(descriptor, how)

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", removed_before_the_lock)
        assert journal.abandoned() == ([], [])
    journal.write(UNDO).leave()

    def removed_before_it_is_opened(path: str) -> list[str]:
        found = listdir(path)
        for name in found:
            os.unlink(os.path.join(path, name))
        return found

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", removed_before_it_is_opened)
        assert journal.abandoned() == ([], [])


# What can't be read

GARBAGE: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "Expecting value"),
    "cut": (json.dumps({"format": 1, **UNDO}).encode()[:-5], "Expecting"),
    "twice": (b'{"format": 1}{"format": 1}', "Extra data"),
    "zeros": (bytes(4096), ""),
    "not UTF-8": (b'{"format": 1, "x": "\xff"}', "codec can't decode"),
    "a list": (b"[]", "it isn't of format 1"),
    "null": (b"null", "it isn't of format 1"),
    "a text": (b'"format"', "it isn't of format 1"),
    "no format": (b"{}", "it isn't of format 1"),
    "format 2": (b'{"format": 2}', "it isn't of format 1"),
    "format as a text": (b'{"format": "1"}', "it isn't of format 1"),
    "deep": (b"[" * 100_000, "recursion"),
    "a huge number": (b'{"format":' + b"9" * 5000 + b"}", ""),
}


@pytest.mark.parametrize(("data", "text"), GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_told_and_does_not_hide_the_others(folder: pathlib.Path, data: bytes, text: str) -> None:
    first, last = _put(folder, data), _put(folder, data, "zzz.json")
    entry = journal.write(UNDO)
    entry.leave()
    entries, problems = journal.abandoned()
    with _left_at_the_end(entries):
        assert [entry.path for entry in entries] == [entry.path]
        for path, problem in zip((first, last), problems, strict=True):
            assert problem.startswith(f"the journal's entry {path}, of a run that was interrupted, can't be read: ")
            assert text in problem
            assert problem.endswith("start them, and remove the file")
    assert first.read_bytes() == data
    os.unlink(entry.path)
    assert journal.unfinished()


def _a_directory(path: pathlib.Path) -> None:
    path.mkdir()


def _a_loop(path: pathlib.Path) -> None:
    path.symlink_to(path.name)


def _a_socket(path: pathlib.Path) -> None:
    os.mknod(path, stat.S_IFSOCK | 0o600)


@pytest.mark.parametrize("make", [_a_directory, _a_loop, _a_socket])
def test_what_is_no_file_is_told_and_does_not_hide_the_others(
    folder: pathlib.Path, make: c.Callable[[pathlib.Path], None]
) -> None:
    folder.mkdir(parents=True)
    make(folder / "0.json")
    journal.write(UNDO).leave()
    entries, problems = journal.abandoned()
    with _left_at_the_end(entries):
        assert len(entries) == 1
        assert len(problems) == 1
        assert f"the journal's entry {folder / '0.json'}, of a run that was interrupted, can't be read: " in problems[0]
    assert journal.unfinished()


def test_a_lock_that_cannot_be_had_is_told(folder: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal.write(UNDO).leave()

    def fail(*_arguments: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    with monkeypatch.context() as patch:
        patch.setattr(fcntl, "flock", fail)
        entries, (problem,) = journal.abandoned()
    assert entries == []
    assert "can't be read: No locks available; see" in problem


@pytest.mark.parametrize("name", [".0123.json.partial", "0123.txt", "json", "0123.json~", "README"])
def test_what_is_no_entry_is_left_alone(folder: pathlib.Path, name: str) -> None:
    path = _put(folder, b"junk", name)
    assert journal.abandoned() == ([], [])
    assert not journal.unfinished()
    assert path.read_bytes() == b"junk"


def test_a_folder_that_is_none_is_an_error_of_ours(folder: pathlib.Path) -> None:
    folder.parent.mkdir()
    folder.touch()
    for read in (journal.abandoned, journal.unfinished):
        with pytest.raises(StateError, match=f"the journal in {folder} can't be read: Not a directory"):
            read()


def test_an_entry_that_cannot_be_removed_is_told_and_let_go(folder: pathlib.Path) -> None:
    entry = journal.write(UNDO)
    os.unlink(entry.path)
    folder.rmdir()
    folder.touch()
    with pytest.raises(StateError, match=f"the journal's entry {entry.path} can't be removed: Not a directory"):
        entry.remove()
    # its descriptor is closed: see _no_descriptor_is_left


# The commands in it

HOOKS: dict[str, tuple[dict[str, t.Any], Hook]] = {
    "a line": ({"container": "db", "command": "a && b 'c'"}, Hook("db", ("/bin/sh", "-c", "a && b 'c'"))),
    "arguments": ({"container": "db", "argv": ["pg_dump", "-x", ""]}, Hook("db", ("pg_dump", "-x", ""))),
    "a user": ({"container": "db", "argv": ["x"], "user": "postgres"}, Hook("db", ("x",), "postgres")),
    "a user's number": ({"container": "db", "command": "x", "user": "0"}, Hook("db", ("/bin/sh", "-c", "x"), "0")),
    "no user": ({"container": "db", "argv": ["x"], "user": ""}, Hook("db", ("x",))),
    "as a module gives it": (
        {"container": "db", "command": None, "argv": ["x"], "user": None},
        Hook("db", ("x",)),
    ),
    "an empty line beside arguments": ({"container": "db", "command": "", "argv": ["x"]}, Hook("db", ("x",))),
    "no arguments beside a line": ({"container": "db", "command": "x", "argv": []}, hooks.shell("db", "x")),
    "names in any encoding": ({"container": "db", "argv": ["é\n", "\udcff"]}, Hook("db", ("é\n", "\udcff"))),
}


@pytest.mark.parametrize(("options", "hook"), HOOKS.values(), ids=HOOKS)
def test_commands_are_read_and_come_back_from_the_journal(options: dict[str, t.Any], hook: Hook) -> None:
    assert Hook.parse(options) == hook
    assert Hook.parse(hook.record()) == hook
    journal.write({"after": [hook.record()]}).leave()
    (entry,), _problems = journal.abandoned()
    assert [Hook.parse(record) for record in entry.undo["after"]] == [hook]
    entry.remove()


NO_HOOKS: dict[str, dict[str, t.Any]] = {
    "nothing": {},
    "no command": {"container": "db"},
    "an empty command": {"container": "db", "command": ""},
    "no arguments": {"container": "db", "argv": []},
    "nulls": {"container": "db", "command": None, "argv": None, "user": None},
    "both": {"container": "db", "command": "x", "argv": ["x"]},
    "no container": {"command": "x"},
    "an empty container": {"container": "", "argv": ["x"]},
    "a container that is null": {"container": None, "argv": ["x"]},
}


@pytest.mark.parametrize("options", NO_HOOKS.values(), ids=NO_HOOKS)
def test_what_is_no_command_is_refused(options: dict[str, t.Any]) -> None:
    with pytest.raises(UsageError, match=r"needs 'container' and either 'command' .* or 'argv'"):
        Hook.parse(options)


def test_a_command_line_is_run_by_the_containers_shell() -> None:
    assert hooks.shell("db", "a; b", "root") == Hook("db", ("/bin/sh", "-c", "a; b"), "root")
    assert hooks.shell("db", "a").user is None
