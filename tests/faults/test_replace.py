# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F12, F13, F14: a restore that replaces. The volume holds the old tree or the new one, and its containers run."""

from __future__ import annotations

import collections.abc as c
import contextlib
import fcntl
import os
import pathlib
import random
import re
import shutil
import signal
import time

import pytest

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, Modules
from tests.support.processes import children, wait_for

RESTORE = "docker_volume_restore"
ENGINE = CHECKOUT / "plugins" / "module_utils" / "_engine"
#: Those of an exchange that is undone are in tests/unit/test_staging.py.
UNDOING = {"back-out", "back-unmarked", "one-back"}
POINTS = sorted(
    {
        point
        for file in ("staging.py", "exchange.py")
        for point in re.findall(r'reached\("(.+?)"\)', (ENGINE / file).read_text())
    }
    - UNDOING
)
ROUNDS = 50


class Case:
    """A volume whose present tree isn't that of its backup, and a container that uses it."""

    def __init__(self, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
        self.engine = engine
        self.volume = engine.volume()
        self.path = engine.path(self.volume)
        self.repository = str(work / "r")
        trees.make_nasty(self.path)
        (self.path / "in both").write_text("as backed up")
        self.new = records.record(self.path)
        modules.backup(self.volume, repository=self.repository)
        self.make_old()

    def make_old(self) -> None:
        """Give the volume another tree, with names that are also in the new one."""
        for entry in os.scandir(self.path):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        os.chmod(self.path, 0o751)
        os.chown(self.path, 1234, 4321)
        (self.path / "in both").write_text("older and different")
        (self.path / "only old").mkdir()
        (self.path / "only old" / "file").write_text("state")
        os.utime(self.path, ns=(1_600_000_000_000_000_001, 1_600_000_000_000_000_001))
        self.old = records.record(self.path)

    def options(self) -> dict[str, str]:
        return {"volume": self.volume, "repository": self.repository, "when_not_empty": "replace", "quiesce": "stop"}

    def holds(self) -> str:
        """Which of its trees the volume holds."""
        now = records.record(self.path)
        to_new, to_old = records.differences(self.new, now), records.differences(self.old, now)
        assert [] in (to_new, to_old), (to_new[:5], to_old[:5])
        return "old" if to_new else "new"


@pytest.fixture
def case(engine: Engine, modules: Modules, work: pathlib.Path) -> Case:
    return Case(engine, modules, work)


def test_f13_replace_leaves_nothing_of_the_old_tree(case: Case, engine: Engine, modules: Modules) -> None:
    message = modules.refused(RESTORE, volume=case.volume, repository=case.repository)
    assert "is not empty" in message
    assert "when_not_empty: replace" in message
    assert case.holds() == "old"
    container = engine.run(case.volume)
    assert "used by running containers" in modules.refused(RESTORE, **{**case.options(), "quiesce": "none"})
    predicted = modules.run(RESTORE, check=True, diff=True, **case.options())
    assert case.holds() == "old"
    before = engine.started_at(container)
    done = modules.run(RESTORE, diff=True, **case.options())
    assert not done.get("failed"), done
    assert case.holds() == "new"
    assert engine.state(container) == "running"
    assert engine.started_at(container) != before
    assert (done["changed"], predicted["changed"]) == (True, True)
    assert done["diff"] == predicted["diff"]
    assert len(done["containers"]) == 1
    assert 0 < done["downtime_seconds"] <= done["seconds"]


def test_a_volume_that_holds_the_backup_is_left_alone(case: Case, engine: Engine, modules: Modules) -> None:
    modules.run(RESTORE, **case.options())
    container = engine.run(case.volume)
    before = engine.started_at(container), os.stat(case.path / "in both").st_ino
    for check in (True, False):
        again = modules.run(RESTORE, check=check, diff=True, **case.options())
        assert not again.get("failed"), again
        assert not again["changed"]
        assert again["containers"] == []
        assert again["diff"]["before"] == again["diff"]["after"]
    assert (engine.started_at(container), os.stat(case.path / "in both").st_ino) == before
    assert case.holds() == "new"
    # the least difference counts, also where names, sizes and numbers are the same
    engine.api.remove_container(container, force=True)
    os.setxattr(case.path / "in both", "user.note", b"added")
    assert modules.run(RESTORE, check=True, **case.options())["changed"]
    assert modules.run(RESTORE, **case.options())["changed"]
    assert case.holds() == "new"


@pytest.mark.parametrize("point", POINTS)
def test_f12_killed_at_a_named_point(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path, point: str
) -> None:
    container = engine.run(case.volume)
    process = modules.start(RESTORE, environment={"DRYDOCK_TEST_KILL_AT": point}, **case.options())
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL, f"nothing ever reaches the point {point}"
    # any run recovers; this one backs the very volume up
    answer = modules.backup(case.volume, repository=str(work / "other"))
    assert engine.state(container) == "running"
    assert case.holds() == "new"
    assert ("a restore that was interrupted was finished" in str(answer["warnings"])) == (
        point not in ("staging-removed", "old-dropped")
    )
    assert list((work / "state").rglob("*.json")) == []
    target = engine.volume()
    modules.restore(target, source_volume=case.volume, repository=str(work / "other"))
    assert records.differences(case.new, records.record(engine.path(target))) == []


@contextlib.contextmanager
def _locked(path: pathlib.Path) -> c.Iterator[None]:
    """A directory as a restore that is under way has it."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _name(engine: Engine, container: str) -> str:
    return str(engine.api.inspect_container(container)["Name"]).lstrip("/")


def test_f12_no_container_sees_a_volume_that_holds_a_part_of_each(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """The exchange can't be finished yet: somebody has the volume's lock."""
    container = engine.run(case.volume)
    process = modules.start(RESTORE, environment={"DRYDOCK_TEST_KILL_AT": "one-out"}, **case.options())
    process.communicate(timeout=120)
    spare, other = engine.volume(), str(work / "other")
    with _locked(case.path):
        warned = str(modules.backup(spare, repository=other)["warnings"])
        assert "another restore writes to it right now" in warned
        assert f"{_name(engine, container)} stay stopped until volume {case.volume} is whole" in warned
        assert engine.state(container) == "exited"
    modules.backup(spare, repository=other)
    assert engine.state(container) == "running"
    assert case.holds() == "new"


def test_f14_a_container_that_starts_while_the_files_are_extracted(
    case: Case, engine: Engine, modules: Modules
) -> None:
    """compose up in the middle of a restore: the tree isn't exchanged under it."""
    (case.path / "large").write_bytes(os.urandom(64 << 20))
    modules.backup(case.volume, repository=case.repository)
    case.make_old()
    container = engine.run(case.volume, start=False)
    process = modules.start(RESTORE, **case.options())
    wait_for(lambda: list(case.path.glob(".drydock-staging-*/new/*")) != [], "the extraction")
    os.kill(process.pid, signal.SIGSTOP)
    engine.api.start(container)
    os.kill(process.pid, signal.SIGCONT)
    answer = modules.finish(process)
    assert answer["failed"], answer
    assert f"is used by containers that were started meanwhile ({_name(engine, container)})" in answer["msg"]
    assert "nothing was changed" in answer["msg"]
    assert case.holds() == "old"
    assert engine.state(container) == "running"


def test_f12_killed_at_any_instant(case: Case, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    container = engine.run(case.volume)
    whole = modules.seconds(RESTORE, **case.options())
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice = random.Random(seed)
    seen = set()
    spare = engine.volume()
    for number in range(ROUNDS):
        case.make_old()
        process = modules.start(RESTORE, **{**case.options(), "quiesce": ("stop", "none")[number % 2]})
        if number % 2:
            engine.api.stop(container, timeout=1)
        time.sleep(dice.uniform(0.3, 1.0) * whole)
        started = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda started=started: not any(os.path.exists(f"/proc/{pid}") for pid in started), "its end")
        modules.backup(spare, repository=str(work / "other"), stop_timeout=15)
        for left in case.path.glob(".drydock-staging-*"):
            shutil.rmtree(left)  # of one that died before it began with the exchange; the next restore would
            os.utime(case.path, ns=(1_600_000_000_000_000_001,) * 2)
        seen.add(case.holds())
        if number % 2 == 0:
            assert engine.state(container) == "running"
        engine.api.start(container)
    assert seen


def test_f12_an_error_in_the_middle_puts_the_old_tree_back(case: Case, modules: Modules) -> None:
    """A file that can't be moved: it is immutable."""
    immutable = case.path / "only old" / "file"
    os.system(f"chattr +i '{case.path}/only old'")
    try:
        answer = modules.run(RESTORE, **case.options())
    finally:
        os.system(f"chattr -i '{case.path}/only old'")
    assert answer["failed"], answer
    assert "can't be put in place" in answer["msg"]
    assert immutable.read_text() == "state"
    assert case.holds() == "old"


def test_f12_what_it_held_before_can_not_be_removed(
    case: Case, engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """The new tree is whole. What is left of the old one is named, in nobody's way, and goes as soon as it can."""
    container = engine.run(case.volume)
    os.system(f"chattr +i '{case.path}/only old/file'")
    try:
        answer = modules.run(RESTORE, **case.options())
        assert answer["failed"], answer
        assert (
            "holds the restored contents, but those it held before can't be removed: /usr/bin/rm: cannot"
            in answer["msg"]
        )
        assert "only old/file': Operation not permitted" in answer["msg"]
        assert engine.state(container) == "running"
        assert (case.path / "in both").read_text() == "as backed up"
        assert "only old/file': Operation not permitted" in str(
            modules.backup(case.volume, repository=str(work / "other"))["warnings"]
        )
    finally:
        for left in (case.path / "only old/file", *case.path.glob(".drydock-staging-*/old/only old/file")):
            os.system(f"chattr -f -i '{left}'")
    modules.backup(case.volume, repository=str(work / "other"))
    assert case.holds() == "new"
    target = engine.volume()
    modules.restore(target, source_volume=case.volume, repository=str(work / "other"))
    assert records.differences(case.new, records.record(engine.path(target))) == []
