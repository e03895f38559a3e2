# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F70: other users on the host. Whatever the umask, they see nothing of a repository, a journal or a tree under way."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import pathlib
import subprocess

import pytest

from tests.faults.conftest import SLOW
from tests.support.engine import Engine
from tests.support.modules import Modules

NOBODY = 65534
SECRET = "for its owner's eyes"


@contextlib.contextmanager
def stranger(*places: pathlib.Path) -> c.Iterator[list[str]]:
    """Another user of the host who looks for files to read below these places, again and again until the end.

    What was found is in the list by then.
    """
    found: list[str] = []
    looking = 'while :; do find "$@" -type f -readable 2>/dev/null; done'
    process = subprocess.Popen(
        ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "sh", "-c", looking, "sh", *places],
        stdout=subprocess.PIPE,
        text=True,
        process_group=0,
    )
    try:
        yield found
    finally:
        os.killpg(process.pid, 15)
        found += sorted(set(process.communicate()[0].splitlines()))


@pytest.fixture
def open_work(work: pathlib.Path) -> pathlib.Path:
    """A directory that everybody can enter."""
    work.chmod(0o755)
    return work


@pytest.fixture(params=[0o000, 0o022])
def umask(request: pytest.FixtureRequest) -> c.Iterator[int]:
    """The umask of the modules: those of this process are theirs."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


def closed_volume(engine: Engine, data: pathlib.Path) -> str:
    """A bind volume with files that anybody could read, if the volume's own directory let them in."""
    data.mkdir()
    for number in range(40):
        (data / f"file-{number}").write_text(SECRET * 1000)
        (data / f"file-{number}").chmod(0o644)
    os.chown(data, 999, 999)
    data.chmod(0o700)
    return engine.bind(data)


def test_f70_a_stranger_sees_that_files_are_there_to_find(open_work: pathlib.Path) -> None:
    (open_work / "file").write_text(SECRET)
    (open_work / "file").chmod(0o644)
    with stranger(open_work) as found:
        subprocess.run(["sleep", "1"], check=True)
    assert found == [str(open_work / "file")]


def test_f70_repository_journal_and_scratch(
    engine: Engine, modules: Modules, open_work: pathlib.Path, umask: int
) -> None:
    volume, scratch = closed_volume(engine, open_work / "data"), open_work / "scratch"
    scratch.mkdir()
    scratch.chmod(0o755)
    engine.run(volume)
    options = {"repository": str(open_work / "repository"), "quiesce": "stop", **SLOW}
    with stranger(open_work) as found:
        modules.backup(volume, verify="restore", verify_directory=str(scratch), **options)
    arguments = {str(path) for path in open_work.glob("arguments-*.json")}  # these are the test's own
    assert set(found) <= arguments
    for path in (open_work / "repository", open_work / "state"):
        for below in (path, *path.rglob("*")):
            wanted = 0o700 if below.is_dir() else 0o600
            assert below.stat().st_mode & 0o7777 == wanted, below
            assert below.stat().st_uid == 0


def test_f70_a_tree_under_way(engine: Engine, modules: Modules, open_work: pathlib.Path, umask: int) -> None:
    volume = closed_volume(engine, open_work / "data")
    modules.backup(volume, repository=str(open_work / "repository"))
    # into a directory that anybody can enter, until it holds the tree and is like its root
    (open_work / "new").mkdir()
    (open_work / "new").chmod(0o755)
    target = engine.bind(open_work / "new")
    with stranger(open_work / "new") as found:
        modules.restore(target, source_volume=volume, repository=str(open_work / "repository"))
    assert found == []
    assert (open_work / "new").stat().st_mode & 0o7777 == 0o700
    assert (open_work / "new" / "file-1").read_text() == SECRET * 1000
