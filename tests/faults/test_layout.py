# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes laid out where a disk is missing, where somebody else's data is, and where the work is cut short."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import signal
import time
import typing as t

import pytest

from tests.support import disks, records
from tests.support.delays import Delayed
from tests.support.engine import Engine
from tests.support.modules import Answer, Modules
from tests.support.plugin import Daemon, Plugin, PluginEngine

LAYOUT = "docker_volume_layout"


def lay(modules: Modules, *volumes: dict[str, t.Any], **options: t.Any) -> Answer:
    """Lay volumes out; it must succeed."""
    answer = modules.run(LAYOUT, volumes=list(volumes), **options)
    assert not answer.get("failed"), answer["msg"]
    return answer


def refused(modules: Modules, volume: dict[str, t.Any], **options: t.Any) -> str:
    """Try to lay a volume out, which must be refused, in check mode with the same words."""
    predicted = modules.refused(LAYOUT, volumes=[volume], check=True, **options)
    message = modules.refused(LAYOUT, volumes=[volume], **options)
    assert message == predicted
    assert message.startswith(f"volume {volume['name']}")
    return message


@pytest.fixture
def point(work: pathlib.Path) -> pathlib.Path:
    """A mount point on which nothing is mounted."""
    made = work / "disk"
    made.mkdir()
    return made


def test_f18_nothing_is_made_below_a_mount_point_that_is_down(
    engine: Engine, modules: Modules, work: pathlib.Path, point: pathlib.Path
) -> None:
    volume = engine.name()
    wanted = {"name": volume, "device_path": f"{point}/sub/data", "require_mounted": str(point), "owner": "999"}
    message = refused(modules, wanted)
    assert f"{point} is a mount point, and nothing is mounted on it; mount the disk" in message
    assert (list(point.iterdir()), engine.names()) == ([], [])

    with disks.mounted(work, 16, options=disks.EXT4):
        lay(modules, wanted)
        assert sorted(path.name for path in point.iterdir()) == ["lost+found", "sub"]
        assert (point / "sub" / "data").stat().st_uid == 999
        (point / "sub" / "data" / "file").write_text("data")
    # F05: the volume is there, and its disk is gone
    assert f"{point} is a mount point, and nothing is mounted on it" in refused(modules, wanted)
    assert list(point.iterdir()) == []
    with disks.attached(work / "disk.img", point):
        assert not lay(modules, wanted)["changed"]
        assert (point / "sub" / "data" / "file").read_text() == "data"


def test_f18_a_mount_point_that_is_not_there_is_not_made(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    wanted = {"name": engine.name(), "device_path": f"{work}/mnt/ssd/data", "require_mounted": f"{work}/mnt/ssd"}
    assert f"{work}/mnt/ssd is a mount point, and it isn't there" in refused(modules, wanted)
    assert not (work / "mnt").exists()


def test_f18_fstab_says_what_must_be_mounted(
    engine: Engine, modules: Modules, work: pathlib.Path, point: pathlib.Path
) -> None:
    """Without a word of the task's: the disk is in fstab, and isn't there."""
    fstab = work / "fstab"
    fstab.write_text(
        f"# disks\nUUID=0 / ext4 defaults 0 1\nUUID=1 {point} xfs defaults,nofail 0 2\n/swap none swap sw\n"
    )
    own = ["unshare", "--mount", "sh", "-c", f'mount --bind {fstab} /etc/fstab; exec "$@"', "sh"]
    volume = engine.name()
    wanted = {"name": volume, "device_path": f"{point}/data"}
    answer = modules.run(LAYOUT, volumes=[wanted], wrapper=own)
    assert f"{point} is a mount point, and nothing is mounted on it" in answer["msg"]
    assert (list(point.iterdir()), engine.names()) == ([], [])
    beside = {"name": volume, "device_path": f"{point}-beside/data"}
    assert modules.run(LAYOUT, volumes=[beside], wrapper=own)["changed"]


def test_f18_a_mount_point_that_is_immutable_while_it_is_unmounted(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """As the role ssd_volumes leaves it; nobody has said that it is one."""
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        (disk / "ssd").mkdir()
        disks.subprocess.run(["chattr", "+i", disk / "ssd"], check=True)
        message = refused(modules, {"name": engine.name(), "device_path": f"{disk}/ssd/data"})
        disks.subprocess.run(["chattr", "-i", disk / "ssd"], check=True)
    assert f"{disk}/ssd is immutable, as a mount point is on purpose while nothing is mounted on it" in message
    assert engine.names() == []


def test_f05_a_device_that_vanished_is_not_made_anew(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    wanted = {"name": engine.name(), "device_path": f"{work}/data"}
    lay(modules, wanted)
    (work / "data").rmdir()
    message = refused(modules, wanted)
    assert f"exists, and its device {work}/data isn't there: a disk isn't mounted" in message
    message = refused(modules, {**wanted, "labels": {"tier": "db"}}, on_drift="recreate")
    assert f"exists, and its device {work}/data isn't there: a disk isn't mounted" in message
    assert not (work / "data").exists()


def test_a_device_that_is_missing(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    options = {"type": "none", "o": "bind", "device": f"{work}/gone"}
    assert "mount or make it, or have it made with device_path" in refused(
        modules, {"name": engine.name(), "driver_options": options}
    )
    disk = {"type": "ext4", "device": "/dev/disk/by-uuid/drydock-none"}
    assert "isn't a block device of this host" in refused(modules, {"name": engine.name(), "driver_options": disk})
    (work / "file").touch()
    assert f"{work}/file isn't a directory" in refused(
        modules, {"name": engine.name(), "device_path": f"{work}/file/data"}
    )
    assert (sorted(os.listdir(work / "..")).count("gone"), engine.names()) == (0, [])


@pytest.mark.parametrize("last", [False, True], ids=["on the way", "at its end"])
def test_no_symbolic_link_leads_elsewhere(engine: Engine, modules: Modules, work: pathlib.Path, *, last: bool) -> None:
    (work / "elsewhere").mkdir(mode=0o711)
    (work / "link").symlink_to("elsewhere")
    path = work / "link" if last else work / "link" / "data"
    message = refused(modules, {"name": engine.name(), "device_path": str(path), "owner": "999", "mode": "0777"})
    assert f"{work}/link is a symbolic link to elsewhere" in message
    assert list((work / "elsewhere").iterdir()) == []
    assert (work / "elsewhere").stat().st_uid == 0
    assert engine.names() == []


def test_another_owner_than_that_of_data(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """A database doesn't start when somebody gives its directory to somebody else: that needs a word."""
    volume = engine.name()
    wanted = {"name": volume, "device_path": f"{work}/data", "owner": "999", "group": "999", "mode": "0700"}
    lay(modules, wanted)
    (work / "data" / "file").write_text("data")
    before = records.record(work / "data")
    wrong = {**wanted, "owner": "1000", "mode": "0750"}
    message = refused(modules, wrong)
    assert "holds data, and its root isn't as it should be: owner is '999', not '1000', mode is '0700'" in message
    warned = lay(modules, wrong, on_drift="warn")
    assert (warned["changed"], records.differences(before, records.record(work / "data"))) == (False, [])
    done = lay(modules, wrong, on_drift="recreate")
    assert done["volumes"][0]["actions"] == ["set owner and mode"]
    facts = (work / "data").stat()
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) == (1000, 999, 0o750)
    assert (work / "data" / "file").read_text() == "data"


def test_an_owner_that_the_host_does_not_know(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    for key in ("owner", "group"):
        wanted = {"name": engine.name(), "device_path": f"{work}/data", key: "drydock-nobody"}
        message = refused(modules, wanted)
        assert f"{key} 'drydock-nobody' isn't known to this host; give the number that it has in the" in message
    assert not (work / "data").exists()


def test_f57_no_backup_no_removal(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    (engine.path(volume) / "file").write_bytes(os.urandom(1 << 20))
    before = records.record(engine.path(volume))
    with disks.mounted(work, 2, options=disks.EXT4) as disk:
        disks.fill(disk, left=8)
        gone = {"name": volume, "state": "absent"}
        message = modules.refused(LAYOUT, volumes=[gone], backup_to={"repository": f"{disk}/backups"})
        assert "no safety backup was made" in message
        assert "nothing was removed" in message
        wanted = {"name": volume, "device_path": f"{work}/new"}
        options = {"on_drift": "recreate", "recreate_with_data": True, "backup_to": {"repository": f"{disk}/backups"}}
        assert "no safety backup was made" in modules.refused(LAYOUT, volumes=[wanted], **options)
    assert records.differences(before, records.record(engine.path(volume))) == []
    assert not (work / "new").exists()


@pytest.mark.parametrize("point", ["back up", "remove", "make directory", "create"])
def test_f21_killed_in_the_middle(engine: Engine, modules: Modules, work: pathlib.Path, point: str) -> None:
    """The next run ends what the dead one began, and what the volume held is there or in its backup."""
    volume, repository = engine.volume(), work / "repository"
    (engine.path(volume) / "file").write_text("data")
    wanted = {"name": volume, "device_path": f"{work}/new"}
    options = {"on_drift": "recreate", "recreate_with_data": True, "backup_to": {"repository": str(repository)}}
    process = modules.start(
        LAYOUT, volumes=[wanted], environment={"DRYDOCK_TEST_KILL_AT": f"layout {point}"}, **options
    )
    process.communicate(timeout=240)
    assert process.returncode == -signal.SIGKILL
    lay(modules, wanted, **options)
    assert engine.inspect(volume)["Options"]["device"] == f"{work}/new"
    assert not lay(modules, wanted, **options)["changed"]
    manifests = [json.loads(path.read_text()) for path in repository.rglob("*.json")]
    assert len(manifests) >= 1
    assert all(manifest["volume"]["name"] == volume for manifest in manifests)
    modules.restore(volume, repository=str(repository))
    assert (work / "new" / "file").read_text() == "data"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ("DELETE /", "back up, remove; the volume isn't there now, what it held is in "),
        ("/volumes/create", "back up, remove, make directory, create; the next run goes on from there"),
    ],
    ids=["remove", "create"],
)
def test_f21_sigterm_in_the_middle(
    engine: Engine, modules: Modules, work: pathlib.Path, request_: str, said: str
) -> None:
    """What was begun comes to its end, and what was done is told."""
    volume, other, repository = engine.volume(), engine.name(), work / "repository"
    (engine.path(volume) / "file").write_text("data")
    wanted = [{"name": name, "device_path": f"{work}/{name}"} for name in (volume, other)]
    options = {"on_drift": "recreate", "recreate_with_data": True, "backup_to": {"repository": str(repository)}}
    with Delayed(work, request_) as delayed:
        process = modules.start(LAYOUT, volumes=wanted, docker_host=delayed.host, **options)
        assert delayed.seen.wait(60)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert process.poll() is None
        delayed.go()
        answer = modules.finish(process)
    (manifest,) = repository.rglob("2*.json")
    begins = "ended by SIGTERM; what was under way is undone; but this was done before that: "
    assert answer["msg"].startswith(f"{begins}volume {volume}: {said}")
    assert request_ != "DELETE /" or f"what it held is in {manifest.parent}" in answer["msg"]
    assert engine.names() == ([volume] if "create" in said else [])
    done = lay(modules, *wanted, **options)
    assert [one["actions"] for one in done["volumes"]] == [
        [] if "create" in said else ["make directory", "create"],
        ["make directory", "create"],
    ]


@pytest.fixture
def daemon() -> c.Iterator[Daemon]:
    """An engine of this test's own: no engine ever forgets a plugin."""
    with Daemon() as made:
        yield made


def test_volumes_of_a_plugin(
    daemon: Daemon, modules: Modules, monkeypatch: pytest.MonkeyPatch, work: pathlib.Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", daemon.url)
    with Plugin(daemon) as plugin, PluginEngine(daemon) as engine:
        engine.volume_of(plugin)  # the engine knows it from its first use on
        volume = engine.name()
        wanted = {"name": volume, "driver": plugin.name, "driver_options": {"tier": "gold", "password": "hidden-1"}}
        assert lay(modules, wanted)["volumes"][0]["actions"] == ["create"]
        assert plugin.volumes[volume] == {"tier": "gold", "password": "hidden-1"}
        assert not lay(modules, wanted)["changed"]

        (plugin.data(volume) / "file").write_text("data")
        other = {**wanted, "driver_options": {"tier": "silver", "password": "hidden-2"}}
        message = refused(modules, other, on_drift="recreate")
        assert "driver_options.tier is 'gold', not 'silver'" in message
        assert "it holds data, which would be lost" in message
        assert "hidden" not in message
        assert "holds data, which would be lost" in refused(modules, {"name": volume, "state": "absent"})
        plugin.refusals["Mount", volume] = "the storage is down"
        message = refused(modules, {"name": volume, "state": "absent"})
        assert "holds what nobody could see (" in message
        assert "the storage is down" in message
        plugin.refusals.clear()

        gone = lay(modules, {"name": volume, "state": "absent"}, backup_to={"repository": str(work / "repository")})
        assert gone["volumes"][0]["actions"] == ["back up", "remove"]
        assert volume not in plugin.volumes
