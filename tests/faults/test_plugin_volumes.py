# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F05, F17, F18: volumes of a plugin, which are empty directories, or nothing at all, while it hasn't mounted them."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import threading
import typing as t

import docker
import pytest

from tests.faults.conftest import SLOW, complete
from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.plugin import Daemon, Plugin, PluginEngine
from tests.support.processes import children, wait_for

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"
HOLDER = "drydock.volumes.holder"


@pytest.fixture
def daemon() -> c.Iterator[Daemon]:
    """An engine of this test's own: no engine ever forgets a plugin."""
    with Daemon() as made:
        yield made


@pytest.fixture
def plugin(daemon: Daemon, request: pytest.FixtureRequest) -> c.Iterator[Plugin]:
    """A plugin of that engine's, made as the test's parameters say."""
    with Plugin(daemon, **getattr(request, "param", {})) as made:
        yield made


@pytest.fixture
def engine(daemon: Daemon, plugin: Plugin, monkeypatch: pytest.MonkeyPatch) -> c.Iterator[PluginEngine]:
    """That engine, for the modules too. Its volumes are removed while the plugin still answers."""
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    with PluginEngine(daemon) as made:
        yield made


def holders(engine: Engine) -> list[str]:
    return [container["Id"] for container in engine.api.containers(all=True, filters={"label": HOLDER})]


def require_balance(engine: Engine, plugin: Plugin, volume: str, *, mounts: int | None = None) -> None:
    """All that was mounted for us is unmounted again, and nothing was written under the mount point."""
    assert holders(engine) == []
    assert volume not in plugin.mounted
    assert not plugin.is_mounted(volume)
    assert not plugin.point(volume).exists() or os.listdir(plugin.point(volume)) == []
    assert plugin.count("Mount", volume) - plugin.count("Unmount", volume) == 0
    assert mounts is None or plugin.count("Mount", volume) == mounts


def reading(process_id: int) -> bool:
    return "zstd" in children(process_id).values()


def manifests(repository: pathlib.Path) -> list[dict[str, t.Any]]:
    return [json.loads(path.read_text()) for path in sorted(repository.rglob("*.json"))]


VARIANTS = {
    "a directory": {},
    "global": {"scope": "global"},
    "no mount point while unmounted": {"tells": "mounted"},
    "no mount point in the list": {"tells": "get"},
    "below its mount": {"below": "files/of it"},
}


@pytest.mark.parametrize("plugin", VARIANTS.values(), ids=VARIANTS, indirect=True)
def test_f05_real_files_out_of_a_plugins_volume_and_into_one(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    repository = str(work / "repository")
    volume, plain, other = engine.volume_of(plugin), engine.volume(), engine.volume_of(plugin)
    trees.make_nasty(plugin.data(volume))
    before = records.record(plugin.data(volume))
    require_balance(engine, plugin, volume, mounts=0)  # an empty directory: what a naive backup reads

    made = modules.backup(volume, repository=repository, verify="restore")["backups"][0]
    assert made["content"]["entries"] > 50
    assert (made["volume"]["driver"], made["volume"]["scope"]) == (plugin.name, engine.inspect(volume)["Scope"])
    require_balance(engine, plugin, volume, mounts=1)
    again = modules.backup(volume, repository=repository, skip_unchanged=True)
    assert [left["volume"] for left in again["unchanged"]] == [volume]

    modules.restore(plain, source_volume=volume, repository=repository)
    assert records.differences(before, records.record(engine.path(plain))) == []

    modules.backup(plain, repository=repository)
    restored = modules.restore(other, source_volume=plain, repository=repository)
    assert not restored["created"]
    require_balance(engine, plugin, other, mounts=1)
    assert records.differences(before, records.record(plugin.data(other))) == []
    # and what is there now isn't overwritten
    message = modules.refused(RESTORE, volume=other, source_volume=plain, repository=repository)
    assert f"volume {other} is not empty" in message
    require_balance(engine, plugin, other, mounts=2)
    assert records.differences(before, records.record(plugin.data(other))) == []


def test_f05_a_volume_that_docker_did_not_make(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume = engine.name()
    plugin.answer("Create", {"Name": volume, "Opts": {"far": "away"}})  # as by another host of a cluster
    (plugin.data(volume) / "state").write_text("state\n")
    made = modules.backup(volume, repository=str(work / "r"))["backups"][0]
    assert (made["volume"]["driver"], made["content"]["entries"]) == (plugin.name, 2)
    require_balance(engine, plugin, volume, mounts=1)


def test_f05_f18_the_plugin_cannot_mount(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    repository = work / "repository"
    plain, good, bad = engine.volume(), engine.volume_of(plugin), engine.volume_of(plugin)
    (plugin.data(good) / "state").write_text("state\n")
    plugin.refusals["Mount", bad] = "the array lost its quorum (code 47)"
    answer = modules.run(BACKUP, volumes=[bad, plain, good], repository=str(repository))
    assert answer["failed"]
    assert f"volume {bad} can't be mounted" in answer["msg"]
    assert "the array lost its quorum (code 47)" in answer["msg"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [plain, good]
    assert {manifest["volume"]["name"]: manifest["content"]["entries"] for manifest in manifests(repository)} == {
        plain: 1,
        good: 2,
    }
    require_balance(engine, plugin, good)

    before = complete(repository)
    message = modules.refused(RESTORE, volume=bad, source_volume=good, repository=str(repository))
    assert f"volume {bad} can't be mounted" in message
    assert "the array lost its quorum (code 47)" in message
    assert complete(repository) == before
    assert os.listdir(plugin.data(bad)) == os.listdir(plugin.point(bad)) == []
    assert holders(engine) == []
    assert plugin.mounted == {}

    # it gets well, and nothing that is left stands in the way
    del plugin.refusals["Mount", bad]
    modules.restore(bad, source_volume=good, repository=str(repository))
    assert (plugin.data(bad) / "state").read_text() == "state\n"
    assert plugin.mounted == {}


@pytest.mark.parametrize("plugin", [{"tells": "never"}], ids=["never"], indirect=True)
def test_f05_nobody_says_where_it_is_mounted(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    plain, volume = engine.volume(), engine.volume_of(plugin)
    (plugin.data(volume) / "state").write_text("state\n")
    answer = modules.run(BACKUP, volumes=[volume, plain], repository=str(work / "r"))
    assert answer["failed"]
    assert f"volume {volume}: " in answer["msg"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [plain]
    require_balance(engine, plugin, volume, mounts=1)


def test_f05_the_plugin_is_gone(engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path) -> None:
    repository, other = str(work / "repository"), work / "other"
    plain, volume, target = engine.volume(), engine.volume_of(plugin), engine.volume_of(plugin)
    (plugin.data(volume) / "state").write_text("state\n")
    modules.backup(plain, repository=repository)
    plugin.vanish()
    try:
        # side by side, because the daemon tries to reach a plugin for 15 seconds each time
        running = [
            modules.start(BACKUP, volumes=[volume, plain], repository=str(other)),
            modules.start(RESTORE, volume=target, source_volume=plain, repository=repository),
        ]
        backup, restore = (modules.finish(process) for process in running)
    finally:
        plugin.appear()
    for answer, said in ((backup, f"volume {volume} can't be mounted"), (restore, f"inspect volume {target}: ")):
        assert answer["failed"]
        assert said in answer["msg"]
        assert f"/run/docker/plugins/{plugin.name}.sock: connect: no such file or directory" in answer["msg"]
    assert [made["volume"]["name"] for made in backup["backups"]] == [plain]
    assert [manifest["volume"]["name"] for manifest in manifests(other)] == [plain]
    assert (os.listdir(plugin.data(volume)), os.listdir(plugin.data(target))) == (["state"], [])

    made = modules.backup(volume, repository=repository)["backups"][0]
    assert made["content"]["entries"] == 2
    require_balance(engine, plugin, volume, mounts=1)


def test_f05_the_plugin_cannot_list(engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path) -> None:
    """Who asks for all volumes must hear that there may be more of them than the daemon knows of."""
    plain, unlisted = engine.volume(), engine.name()
    plugin.answer("Create", {"Name": unlisted})
    plugin.refusals["List", ""] = "the array is restarting"
    answer = modules.run(BACKUP, selector={"all": True}, repository=str(work / "r"))
    assert [made["volume"]["name"] for made in answer["backups"]] == [plain]
    assert "the array is restarting" in answer.get("msg", "") + json.dumps(answer.get("warnings"))
    # and it isn't said of one that it doesn't exist where that isn't known
    answer = modules.run(BACKUP, volumes=[unlisted], repository=str(work / "r"))
    assert f"volume {unlisted} doesn't exist" not in answer.get("msg", "")


def test_f05_what_is_mounted_for_docker_alone(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    """In another mount namespace the mount point stays the empty directory that it was."""
    volume, full = engine.volume_of(plugin), engine.volume_of(plugin)
    for name in (volume, full):
        (plugin.data(name) / "state").write_text("state\n")
    modules.backup(full, repository=str(work / "r"))
    before = complete(work / "r")
    apart: dict[str, t.Any] = {
        "repository": str(work / "r"),
        "wrapper": ["unshare", "--mount", "--propagation=private"],
    }
    assert "isn't mounted there for this process" in modules.refused(BACKUP, volumes=[volume], **apart)
    assert complete(work / "r") == before
    (plugin.data(volume) / "state").unlink()
    message = modules.refused(RESTORE, volume=volume, source_volume=full, **apart)
    assert "isn't mounted there for this process" in message
    require_balance(engine, plugin, volume)


def test_f05_in_use_by_a_container(engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path) -> None:
    volume, target = engine.volume_of(plugin), engine.volume()
    container = engine.run(volume, command=("sh", "-c", "echo state > /v/state; sleep 3600"))
    wait_for((plugin.data(volume) / "state").exists, "the container's file")
    users = list(plugin.mounted[volume])
    assert len(users) == 1
    modules.backup(volume, repository=str(work / "r"))
    assert plugin.mounted[volume] == users
    assert plugin.is_mounted(volume)
    assert engine.state(container) == "running"
    message = modules.refused(RESTORE, volume=volume, repository=str(work / "r"))
    assert "is used by running containers" in message
    assert plugin.mounted[volume] == users
    engine.api.remove_container(container, force=True)
    require_balance(engine, plugin, volume, mounts=2)
    modules.restore(target, source_volume=volume, repository=str(work / "r"))
    assert (engine.path(target) / "state").read_text() == "state\n"


def test_f05_its_container_ends_in_the_middle(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume, target = engine.volume_of(plugin), engine.volume()
    (plugin.data(volume) / "noise").write_bytes(os.urandom(12 << 20))
    before = records.record(plugin.data(volume))
    container = engine.run(volume)
    process = modules.start(BACKUP, volumes=[volume], repository=str(work / "r"), **SLOW)
    wait_for(lambda: reading(process.pid), "the pipe")
    engine.api.remove_container(container, force=True)
    assert plugin.is_mounted(volume)
    assert not modules.finish(process).get("failed")
    require_balance(engine, plugin, volume, mounts=2)
    modules.restore(target, source_volume=volume, repository=str(work / "r"))
    assert records.differences(before, records.record(engine.path(target))) == []


def test_f20_its_container_is_stopped_meanwhile(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume, target = engine.volume_of(plugin), engine.volume()
    (plugin.data(volume) / "noise").write_bytes(os.urandom(8 << 20))
    container = engine.run(
        volume, command=("sh", "-c", "trap 'echo ended > /v/ended; exit' TERM; while :; do sleep 0.1; done"), init=False
    )
    users = list(plugin.mounted[volume])
    process = modules.start(BACKUP, volumes=[volume], repository=str(work / "r"), quiesce="stop", **SLOW)
    wait_for(lambda: reading(process.pid), "the read")
    assert engine.state(container) == "exited"
    assert plugin.is_mounted(volume)  # for the holder
    assert len(plugin.mounted[volume]) == 1
    assert plugin.mounted[volume] != users
    answer = modules.finish(process)
    assert not answer.get("failed"), answer
    consistency = answer["backups"][0]["consistency"]
    assert (consistency["quiesce"], len(consistency["containers"])) == ("stop", 1)
    assert "ran_meanwhile" not in consistency
    assert engine.state(container) == "running"
    assert len(plugin.mounted[volume]) == 1
    engine.api.remove_container(container, force=True)
    require_balance(engine, plugin, volume, mounts=3)
    modules.restore(target, source_volume=volume, repository=str(work / "r"))
    assert (engine.path(target) / "ended").exists()


def test_f21_killed_while_it_is_mounted(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume = engine.volume_of(plugin)
    (plugin.data(volume) / "noise").write_bytes(os.urandom(12 << 20))
    process = modules.start(BACKUP, volumes=[volume], repository=str(work / "r"), **SLOW)
    wait_for(lambda: reading(process.pid), "the pipe")
    process.kill()
    process.communicate()
    assert len(holders(engine)) == 1
    assert plugin.is_mounted(volume)
    modules.backup(volume, repository=str(work / "r"))
    require_balance(engine, plugin, volume, mounts=2)


def test_f05_the_plugin_takes_its_time(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume = engine.volume_of(plugin)
    (plugin.data(volume) / "state").write_text("state\n")
    plugin.delay = 4
    made = modules.backup(volume, repository=str(work / "r"))["backups"][0]
    assert made["content"]["entries"] == 2
    require_balance(engine, plugin, volume, mounts=1)


def test_f05_the_plugin_takes_more_time_than_we_have(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    plain, volume = engine.volume(), engine.volume_of(plugin)
    (plugin.data(volume) / "state").write_text("state\n")
    plugin.delay = 9
    answer = modules.run(BACKUP, volumes=[volume, plain], repository=str(work / "r"), timeout=2)
    assert answer["failed"]
    assert f"volume {volume} can't be mounted" in answer["msg"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [plain]
    assert volume not in plugin.mounted
    assert len(holders(engine)) == 1  # which the daemon will remove once it has started it
    plugin.delay = 0
    # what is mounted late is given back, and is in nobody's way
    try:
        modules.backup(volume, repository=str(work / "r"))
    finally:
        wait_for(lambda: holders(engine) == [], "the end of the late holder")
    require_balance(engine, plugin, volume, mounts=2)


def test_f17_a_lost_volume_is_made_again_by_its_plugin(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    repository = work / "repository"
    volume = engine.volume_of(plugin, pool="fast", replicas="2")
    trees.make_nasty(plugin.data(volume))
    before = records.record(plugin.data(volume))
    known = engine.inspect(volume)
    modules.backup(volume, repository=str(repository))
    engine.remove(volume)
    assert not plugin.data(volume).exists()

    # check mode makes nothing, nor does what can't be made
    assert modules.restore(volume, repository=str(repository), check=True)["created"]
    assert plugin.volumes == {}
    plugin.refusals["Create", volume] = "the pool is full"
    message = modules.refused(RESTORE, volume=volume, repository=str(repository))
    assert f"create volume {volume}" in message
    assert "the pool is full" in message
    assert (plugin.volumes, plugin.mounted, holders(engine), engine.names()) == ({}, {}, [], [])
    del plugin.refusals["Create", volume]

    restored = modules.restore(volume, repository=str(repository))
    assert restored["created"]
    assert plugin.volumes == {volume: {"pool": "fast", "replicas": "2"}}
    made = engine.inspect(volume)
    assert {key: made[key] for key in ("Driver", "Options", "Labels", "Scope")} == {
        key: known[key] for key in ("Driver", "Options", "Labels", "Scope")
    }
    require_balance(engine, plugin, volume)
    assert records.differences(before, records.record(plugin.data(volume))) == []


def test_f17_f71_a_lost_volume_with_a_password(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path
) -> None:
    volume = engine.volume_of(plugin, server="array1", api_key="hunter2hunter2")
    modules.backup(volume, repository=str(work / "r"))
    assert "hunter2" not in json.dumps(manifests(work / "r"))
    engine.remove(volume)
    message = modules.refused(RESTORE, volume=volume, repository=str(work / "r"))
    assert "doesn't record the passwords in its driver options" in message
    assert plugin.volumes == {}


@pytest.mark.parametrize("trouble", ["the plugin must look for it", "the plugin can't list", "the plugin can't mount"])
def test_f13_f56_a_lost_volume_whose_files_are_still_there(
    engine: PluginEngine, plugin: Plugin, modules: Modules, work: pathlib.Path, trouble: str
) -> None:
    """The daemon lists no such volume, but its plugin has the files: what Create finds isn't ours to remove."""
    volume, there = engine.volume_of(plugin), engine.name()
    modules.backup(volume, repository=str(work / "r"))
    plugin.answer("Create", {"Name": there})
    (plugin.data(there) / "state").write_text("kept\n")
    if trouble == "the plugin can't list":
        plugin.refusals["List", ""] = trouble
    else:
        plugin.forget(there)
    if trouble == "the plugin can't mount":
        plugin.refusals["Mount", there] = trouble
    message = modules.refused(RESTORE, volume=there, source_volume=volume, repository=str(work / "r"))
    assert f"volume {there}" in message
    assert (plugin.data(there) / "state").exists()
    assert plugin.count("Remove", there) == 0
    require_balance(engine, plugin, there)


def test_f54_a_container_that_is_being_made_counts_before_it_is_listed(
    engine: PluginEngine, plugin: Plugin, modules: Modules
) -> None:
    volume, other, name = engine.volume(), engine.name(), engine.name()
    engine.import_image()
    plugin.slow, plugin.delay = "Create", 5
    # it has the first volume already, and waits for the second one to be made; after that it is listed
    mount = docker.types.Mount("/v2", other, driver_config=docker.types.DriverConfig(plugin.name))
    host_config = engine.api.create_host_config(binds=[f"{volume}:/v"], mounts=[mount])
    options = {"host_config": host_config, "name": name}
    maker = threading.Thread(target=engine.api.create_container, args=(engine.IMAGE, ["true"]), kwargs=options)
    maker.start()
    try:
        wait_for(lambda: other in plugin.waiting, "the second volume")
        answer = modules.run(
            "volume_prune_orphans", selector={"names": [volume]}, grace="0h", named=True, max_remove_percent=100
        )
    finally:
        maker.join()
        engine.api.remove_container(name)
    assert not answer.get("failed"), answer["msg"]
    kept = {one["name"]: one["class"] for one in answer["kept"]}
    assert (answer["removed"], kept[volume]) == ([], "used")
    assert set(engine.names()) == {volume, other}
