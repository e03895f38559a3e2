# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume is cloned into another one on the same host: into what, from what, and with whom holding still."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time
import typing as t

import docker
import pytest

from tests.support import records, trees
from tests.support.engine import LABEL, Engine
from tests.support.modules import Answer, Modules

CLONE = "docker_volume_clone"
REPLACE = {"when_not_empty": "replace"}


def done(modules: Modules, source: str, target: str, **options: t.Any) -> Answer:
    """Clone; it must succeed."""
    answer = modules.run(CLONE, source=source, target=target, **options)
    assert not answer.get("failed"), answer["msg"]
    return answer


def predicted(modules: Modules, source: str, target: str, **options: t.Any) -> Answer:
    """Clone, after check mode has foretold what comes out."""
    foretold = done(modules, source, target, check=True, diff=True, **options)
    answer = done(modules, source, target, diff=True, **options)
    for key in ("changed", "created", "containers", "bytes", "entries", "diff"):
        assert foretold[key] == answer[key], key
    assert foretold["downtime_seconds"] == 0
    return answer


def same(engine: Engine, source: str, target: str) -> bool:
    before, after = records.record(engine.path(source)), records.record(engine.path(target))
    return records.differences(before, after) == []


@pytest.fixture
def source(engine: Engine) -> str:
    """A volume with a few files, and a root of its own kind."""
    volume = engine.volume()
    (engine.path(volume) / "state").write_text("of the source")
    (engine.path(volume) / "folder").mkdir()
    (engine.path(volume) / "folder" / "file").write_bytes(os.urandom(100_000))
    os.chown(engine.path(volume), 1234, 4321)
    os.chmod(engine.path(volume), 0o2750)
    return volume


@pytest.mark.parametrize("verify", ["none", "compare"])
def test_everything_is_cloned_into_a_new_volume(engine: Engine, modules: Modules, verify: str) -> None:
    source, target = engine.name(), engine.name()
    engine.api.create_volume(
        source,
        labels={LABEL: "yes", "com.docker.compose.project": "shop", "com.docker.volume.anonymous": "", "tier": "1"},
    )
    trees.make_nasty(engine.path(source), sockets=True)
    before = records.record(engine.path(source))
    answer = predicted(modules, source, target, verify=verify)
    assert (answer["changed"], answer["created"], answer["source"], answer["volume"]) == (True, True, source, target)
    assert records.differences(before, records.record(engine.path(source)), sockets=True) == []
    assert same(engine, source, target)
    for name in ("sparse/nothing but a hole", "sparse/many holes"):
        kept, made = (os.stat(engine.path(volume) / name).st_blocks for volume in (source, target))
        assert made <= kept + 16
    made = engine.inspect(target)
    assert (made["Driver"], made["Options"] or {}) == ("local", {})
    assert made["Labels"] == {LABEL: "yes", "tier": "1"}
    find = ["find", engine.path(source), "!", "-type", "s", "-printf", "x"]
    assert answer["entries"] == len(subprocess.run(find, capture_output=True, check=True).stdout)
    assert not answer.get("warnings"), answer["warnings"]


def test_into_an_empty_volume_that_is_there(engine: Engine, modules: Modules, source: str) -> None:
    target = engine.volume()
    answer = predicted(modules, source, target)
    assert (answer["changed"], answer["created"]) == (True, False)
    assert same(engine, source, target)


def test_an_empty_source_gives_its_root(engine: Engine, modules: Modules) -> None:
    source, target = engine.volume(), engine.volume()
    os.chown(engine.path(source), 7, 8)
    os.chmod(engine.path(source), 0o1770)
    assert predicted(modules, source, target)["changed"]
    assert same(engine, source, target)
    assert not predicted(modules, source, target)["changed"]


def test_a_volume_that_holds_files_is_refused_or_replaced(engine: Engine, modules: Modules, source: str) -> None:
    target = engine.volume()
    (engine.path(target) / "state").write_text("of the target")
    (engine.path(target) / "only there").mkdir()
    before = records.record(engine.path(target))
    for check in (True, False):
        message = modules.refused(CLONE, source=source, target=target, check=check)
        assert f"volume {target} is not empty" in message
        assert "when_not_empty: replace" in message
    assert records.differences(before, records.record(engine.path(target))) == []
    assert predicted(modules, source, target, **REPLACE)["changed"]
    assert same(engine, source, target)


def test_a_volume_that_holds_the_same_is_left_alone(engine: Engine, modules: Modules) -> None:
    source, target = engine.volume(), engine.volume()
    trees.make_nasty(engine.path(source), sockets=True)
    done(modules, source, target)
    writer, user = engine.run(source), engine.run(target)
    before = engine.started_at(writer), engine.started_at(user), os.stat(engine.path(target) / "sizes").st_ino
    again = predicted(modules, source, target, quiesce="stop", **REPLACE)
    assert (again["changed"], again["containers"], again["downtime_seconds"]) == (False, [], 0)
    assert again["diff"]["before"] == again["diff"]["after"]
    after = engine.started_at(writer), engine.started_at(user), os.stat(engine.path(target) / "sizes").st_ino
    assert before == after
    for container in (writer, user):
        engine.api.remove_container(container, force=True)
    # the least difference counts, on either side, also where names, sizes and numbers are the same
    os.setxattr(engine.path(target) / "sizes" / "511 bytes", "user.note", b"added")
    assert predicted(modules, source, target, **REPLACE)["changed"]
    assert same(engine, source, target)
    facts = os.stat(engine.path(source) / "sizes" / "511 bytes")
    (engine.path(source) / "sizes" / "511 bytes").write_bytes(b"x" * 511)
    os.utime(engine.path(source) / "sizes" / "511 bytes", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert predicted(modules, source, target, **REPLACE)["changed"]
    assert same(engine, source, target)
    os.chmod(engine.path(source), 0o700)
    assert predicted(modules, source, target, **REPLACE)["changed"]
    assert same(engine, source, target)


def test_driver_options_and_labels_of_ones_own(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str
) -> None:
    (work / "ssd").mkdir()
    bind, device = engine.name(), {"type": "none", "o": "bind", "device": str(work / "ssd")}
    predicted(modules, source, bind, driver_options=device, labels={"tier": 1, "kept": True})
    made = engine.inspect(bind)
    assert (made["Options"], made["Labels"]) == (device, {"tier": "1", "kept": "true"})
    before = records.record(engine.path(source))
    assert records.differences(before, records.record(work / "ssd")) == []

    # and back: a bind volume can't share its device, so there must be other options
    message = modules.refused(CLONE, source=bind, target=engine.name())
    assert f"its device {work / 'ssd'} is that one's {work / 'ssd'}" in message
    assert "driver_options: {} for a plain volume" in message
    plain = engine.name()
    predicted(modules, bind, plain, driver_options={})
    assert records.differences(before, records.record(engine.path(plain))) == []
    assert engine.inspect(plain)["Labels"] == {"tier": "1", "kept": "true"}
    message = modules.refused(CLONE, source=source, target=plain, driver_options=device, **REPLACE)
    assert f"volume {plain} exists, and its driver_options is {{}}" in message


def test_the_same_directory_or_one_inside(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    (work / "data" / "inner").mkdir(parents=True)
    (work / "data" / "file").write_text("kept")
    (work / "link").symlink_to(work / "data")
    outer, again, inner = (engine.bind(path) for path in (work / "data", work / "link", work / "data" / "inner"))
    before = records.record(work)
    for one, other in ((outer, again), (outer, inner), (inner, outer)):
        for check in (True, False):
            message = modules.refused(CLONE, source=one, target=other, check=check, **REPLACE)
            assert f"volume {other} can't be a clone of volume {one}" in message
            assert "nothing was changed" in message
    # a volume that will be made inside the source
    everything, target = engine.bind(engine.path(source).parents[1]), engine.name()
    message = modules.refused(CLONE, source=everything, target=target, driver_options={})
    assert f"has its files where volume {everything} has them, or below" in message
    assert target not in engine.names()
    assert [line for line in records.differences(before, records.record(work)) if "arguments-" not in line][1:] == []
    engine.remove(everything)


def test_tmpfs(engine: Engine, modules: Modules, source: str) -> None:
    memory = engine.volume(type="tmpfs", device="tmpfs")
    # nobody would find the clone there
    message = modules.refused(CLONE, source=source, target=memory)
    assert f"volume {memory} is a tmpfs, and no running container uses it" in message
    user = engine.run(memory)
    assert "used by running containers" in modules.refused(CLONE, source=source, target=memory)
    answer = predicted(modules, source, memory, quiesce="stop")
    assert len(answer["containers"]) == 1
    assert answer["downtime_seconds"] > 0
    execution = engine.api.exec_create(user, ["cat", "/v/state"])
    assert engine.api.exec_start(execution) == b"of the source"

    # what a tmpfs holds is read where a container has it
    assert "would be a tmpfs" in modules.refused(CLONE, source=memory, target=engine.name())
    target = engine.name()
    predicted(modules, memory, target, driver_options={})
    assert (engine.path(target) / "state").read_text() == "of the source"


@pytest.mark.parametrize(("quiesce", "held"), [("stop", "exited"), ("pause", "paused")])
def test_the_sources_containers_hold_still(engine: Engine, modules: Modules, quiesce: str, held: str) -> None:
    source, target = engine.volume(), engine.name()
    for number in range(8):
        (engine.path(source) / f"noise-{number}").write_bytes(os.urandom(16 << 20))
    script = "trap 'exit 0' TERM; while :; do date +%s%N > /v/now; done"
    writer, reader = engine.run(source, command=["sh", "-c", script]), engine.run(source, mode="ro")
    before, beside = engine.started_at(writer), engine.started_at(reader)
    process = modules.start(CLONE, source=source, target=target, quiesce=quiesce)
    seen = set()
    while process.poll() is None:
        seen.add(engine.state(writer))
        time.sleep(0.01)
    answer = modules.finish(process)
    assert not answer.get("failed"), answer
    assert held in seen
    assert answer["containers"] == [engine.api.inspect_container(writer)["Name"].lstrip("/")]
    assert 0 < answer["downtime_seconds"] < answer["seconds"]
    assert not answer.get("warnings"), answer["warnings"]
    assert (engine.state(writer), engine.state(reader)) == ("running", "running")
    assert (engine.started_at(writer) == before) == (quiesce == "pause")
    assert engine.started_at(reader) == beside


def test_a_container_that_uses_both(engine: Engine, modules: Modules, source: str) -> None:
    target = engine.volume()
    both = engine.run(source, target)
    for quiesce in ("none", "pause"):
        message = modules.refused(CLONE, source=source, target=target, quiesce=quiesce)
        assert "used by running containers" in message
        assert "quiesce: stop" in message
    assert engine.state(both) == "running"
    before = engine.started_at(both)
    answer = predicted(modules, source, target, quiesce="stop")
    assert len(answer["containers"]) == 1
    assert engine.state(both) == "running"
    assert engine.started_at(both) != before
    assert same(engine, source, target)


def test_labels_say_how_the_sources_containers_hold_still(engine: Engine, modules: Modules, source: str) -> None:
    target = engine.name()
    labels = {"drydock.quiesce": "pause", "drydock.exec-before": "echo before > /v/hook"}
    writer = engine.run(source, labels=labels)
    before = engine.started_at(writer)
    answer = done(modules, source, target, quiesce="stop")
    assert len(answer["containers"]) == 1
    assert (engine.state(writer), engine.started_at(writer)) == ("running", before)
    assert (engine.path(target) / "hook").read_text() == "before\n"
    engine.api.remove_container(writer, force=True)
    engine.run(source, labels={"drydock.quiesce": "freeze"})
    assert "its label drydock.quiesce is 'freeze'" in modules.refused(CLONE, source=source, target=engine.name())


def test_f25_a_container_that_would_not_come_back(engine: Engine, modules: Modules, source: str) -> None:
    engine.run(source, auto_remove=True)
    target = engine.name()
    message = modules.refused(CLONE, source=source, target=target, quiesce="stop")
    assert "--rm" in message
    assert target not in engine.names()


def test_errors(engine: Engine, modules: Modules, source: str) -> None:
    missing, target = engine.name(), engine.name()
    for check in (True, False):
        message = modules.refused(CLONE, source=missing, target=target, check=check)
        assert f"volume {missing} doesn't exist on this host" in message
        message = modules.refused(CLONE, source=source, target=source, check=check)
        assert f"source and target are both volume {source}" in message
        for name in ("../x", "", "a/b"):
            assert "volume" in modules.refused(CLONE, source=source, target=name, check=check)
    assert {missing, target}.isdisjoint(engine.names())
    with pytest.raises(docker.errors.NotFound):
        engine.inspect(missing)


def test_f63_a_path_that_tar_can_not_copy(engine: Engine, modules: Modules, source: str) -> None:
    trees.make_deep(engine.path(source) / "deep", 4090)
    target = engine.name()
    try:
        message = modules.refused(CLONE, source=source, target=target)
    finally:
        trees.remove(engine.path(source) / "deep")
    assert "longer than the 4079 bytes that tar can copy" in message
    assert target not in engine.names()
