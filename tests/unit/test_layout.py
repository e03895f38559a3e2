# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories made by descriptors, mount points that fstab names, drivers that the daemon has."""

from __future__ import annotations

import os
import pathlib
import signal
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import directories, drivers, fstab, laying
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.desired import Desired
from ansible_collections.drydock.volumes.plugins.module_utils._engine.directories import Ownership, Root
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError, VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.laid import Laid, One, Result, Settings
from ansible_collections.drydock.volumes.plugins.module_utils._engine.layout import lay_out
from ansible_collections.drydock.volumes.plugins.module_utils._engine.plan import GIVE, MAKE, Plan
from ansible_collections.drydock.volumes.plugins.module_utils._engine.termination import Terminated
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.helpers import mounted, needs_root, umask

pytestmark = needs_root


def test_made_whatever_the_umask_is(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a" / "b"
    with umask(0o077):
        assert directories.look(str(path), []) is None
        directories.make(str(path), [], Ownership(5, 6, 0o2750))
    assert directories.look(str(path), []) == Root(5, 6, 0o2750, empty=True)
    assert directories.look(str(path.parent), []) == Root(0, 0, 0o755, empty=False)
    directories.give(str(path), [], Ownership(mode=0o700))
    assert directories.look(str(path), []) == Root(5, 6, 0o700, empty=True)
    (path / "lost+found").mkdir(mode=0o700)
    assert directories.look(str(path), []) == Root(5, 6, 0o700, empty=True)


def test_f18_a_mount_is_told_by_the_descriptors(tmp_path: pathlib.Path) -> None:
    point = tmp_path / "disk"
    path = str(point / "data")
    with pytest.raises(VolumeError, match="disk is a mount point, and it isn't there"):
        directories.look(path, [str(point)])
    point.mkdir()
    for act in (directories.look, lambda *args: directories.make(*args, Ownership())):
        with pytest.raises(VolumeError, match="disk is a mount point, and nothing is mounted on it"):
            act(path, [str(point)])
    assert os.listdir(point) == []
    with mounted("tmpfs", point):
        directories.make(path, [str(point)], Ownership())
        assert directories.look(str(point), [str(point)]) is not None
    assert os.listdir(point) == []


def test_a_link_is_never_followed(tmp_path: pathlib.Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    for path in (tmp_path / "link", tmp_path / "link" / "a"):
        for act in (directories.make, directories.give):
            with pytest.raises(VolumeError, match="link is a symbolic link to"):
                act(str(path), [], Ownership(5, 5, 0o777))
    facts = (tmp_path / "elsewhere").stat()
    assert (facts.st_uid, facts.st_mode & 0o777, os.listdir(tmp_path / "elsewhere")) == (0, 0o755, [])
    with pytest.raises(VolumeError, match="gone was removed by somebody else meanwhile"):
        directories.give(str(tmp_path / "gone"), [], Ownership(5))


def test_owners() -> None:
    assert Ownership.resolve("root", "0", None) == Ownership(0, 0, None)
    assert Ownership.resolve(None, "4000000000", 0o700) == Ownership(None, 4000000000, 0o700)
    for name in ("drydock-nobody", "-1", "1.5", "٣"):
        with pytest.raises(VolumeError, match="isn't known to this host; give the number"):
            Ownership.resolve(name, None, None)
    with pytest.raises(VolumeError, match="too large"):
        Ownership.resolve(None, str(2**32 - 1), None)


FSTAB = r"""
# a comment /x ext4
UUID=1 / ext4 defaults 0 1
UUID=2 /mnt/ssd/ xfs nofail 0 2
/dev/sdc /mnt/with\040space ext4 noauto
nas:/e	/srv/nas	nfs	_netdev	0 0
/swap none swap sw 0 0
broken /line
"""


def test_fstab() -> None:
    table = fstab.parse(FSTAB)
    assert table == ["/mnt/ssd", "/mnt/with space", "/srv/nas"]
    assert directories.mount_points("/mnt/ssd/a", None, table) == ["/mnt/ssd"]
    assert directories.mount_points("/mnt/ssd", None, table) == ["/mnt/ssd"]
    assert directories.mount_points("/mnt/ssd2", None, table) == []
    assert directories.mount_points("/mnt/ssd/a/b", "/mnt/ssd/a", table) == ["/mnt/ssd", "/mnt/ssd/a"]


DRIVERS: dict[str, tuple[dict[str, bool], list[str], str | None]] = {
    "enabled": ({"rclone:latest": True}, [], None),
    "with a tag": ({"rclone:2": True}, [], None),
    "in use": ({"local": True, "rclone": True}, [], None),
    "a socket": ({}, ["rclone"], None),
    "disabled": ({"rclone:latest": False}, [], "is installed and not enabled: docker plugin enable rclone"),
    "missing": ({"local": True}, ["rclon"], "the daemon has no driver rclone: install the plugin"),
}


@pytest.mark.parametrize(("known", "found", "text"), DRIVERS.values(), ids=DRIVERS)
def test_drivers(known: dict[str, bool], found: list[str], text: str | None) -> None:
    said = drivers.lacking("rclone", known, found)
    assert said is None if text is None else text in str(said)


@pytest.fixture
def client(daemon: FakeDaemon) -> t.Iterator[Client]:
    made = Client(Connection(docker_host=daemon.url))
    yield made
    made.close()


def test_a_plugin_that_is_disabled(client: Client, daemon: FakeDaemon) -> None:
    daemon.answers["GET /plugins"] = (200, [{"Name": "rclone:latest", "Enabled": False}])
    with pytest.raises(UsageError, match="volume v1: the plugin rclone is installed and not enabled"):
        lay_out(client, [Desired.parse({"name": "v1", "driver": "rclone"})], Settings())


def test_f54_a_container_that_came_meanwhile(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    """The daemon refuses the removal; the volume is kept, and the next one is dealt with all the same."""
    for name in ("v1", "v2"):
        (tmp_path / name).mkdir()
        daemon.volume(name, tmp_path / name)
    daemon.answers["DELETE /volumes/v1"] = (409, {"message": "remove v1: volume is in use - [abc]"})
    daemon.answers["DELETE /volumes/v2"] = (204, b"")
    gone = [Desired.parse({"name": name, "state": "absent"}) for name in ("v1", "v2")]
    result = lay_out(client, gone, Settings())
    assert [failure["volume"] for failure in result.failures] == ["v1"]
    assert "volume is in use" in result.failures[0]["error"]
    assert [(one.present, one.actions) for one in result.volumes] == [(True, []), (False, ["remove"])]


def test_what_is_left_when_it_can_not_be_made_anew(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    (tmp_path / "v1").mkdir()
    daemon.volume("v1", tmp_path / "v1")
    daemon.answers["DELETE /volumes/v1"] = (204, b"")
    daemon.answers["POST /volumes/create"] = (500, {"message": "no"})
    result = lay_out(client, [Desired.parse({"name": "v1", "labels": {"a": "b"}})], Settings(on_drift="recreate"))
    assert "done before that: remove; the volume isn't there now" in result.failures[0]["error"]
    assert (result.volumes[0].present, result.volumes[0].changed) == (False, True)


def test_a_device_of_another_volume(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    device = {"type": "none", "o": "bind", "device": f"{tmp_path}/"}
    daemon.volume("other", tmp_path, Options=device)
    daemon.answers["POST /volumes/create"] = (201, {"Name": "v1", "Driver": "local"})
    daemon.answers["DELETE /volumes/other"] = (204, b"")
    new = Desired.parse({"name": "v1", "device_path": str(tmp_path)})
    result = lay_out(client, [new], Settings())
    assert f"volume v1: its device {tmp_path} is that of volume other" in result.failures[0]["error"]
    # renamed
    assert lay_out(client, [new, Desired.parse({"name": "other", "state": "absent"})], Settings()).failures == []


def test_a_directory_is_never_shared_with_a_volume_that_stays(
    client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path
) -> None:
    """Two databases on one directory destroy each other's files."""
    device = {"type": "none", "o": "bind", "device": str(tmp_path)}
    daemon.volume("v1", tmp_path, Options=device)
    daemon.answers["POST /volumes/create"] = (201, {"Name": "v2", "Driver": "local"})
    new = Desired.parse({"name": "v2", "device_path": str(tmp_path)})
    moved = Desired.parse({"name": "v1", "device_path": f"{tmp_path}/elsewhere"})
    said = f"volume v2: its device {tmp_path} is that of volume v1, which stays"
    for on_drift in ("fail", "warn"):
        assert said in lay_out(client, [moved, new], Settings(on_drift=on_drift)).failures[-1]["error"]
    # the daemon refuses the removal, which comes first wherever it is in the list
    daemon.answers["DELETE /volumes/v1"] = (409, {"message": "volume is in use"})
    gone = Desired.parse({"name": "v1", "state": "absent"})
    result = lay_out(client, [new, gone], Settings())
    assert [failure["volume"] for failure in result.failures] == ["v1", "v2"]
    assert said in result.failures[1]["error"]
    # a container refers to it
    daemon.answers["GET /containers/json"] = (
        200,
        [{"Id": "a" * 64, "Names": ["/pg"], "Mounts": [{"Type": "volume", "Name": "v1"}]}],
    )
    result = lay_out(client, [gone, new], Settings())
    assert [failure["volume"] for failure in result.failures] == ["v1", "v2"]
    assert "POST /volumes/create" not in [request for request, _query in daemon.requests]


def test_what_can_not_be_made_anew_is_not_removed(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    """v2 is to have v1's directory, and v1 that of somebody else's volume."""
    for name in ("v1", "theirs"):
        (tmp_path / name).mkdir()
        daemon.volume(name, tmp_path / name, Options={"type": "none", "o": "bind", "device": str(tmp_path / name)})
    moved = Desired.parse({"name": "v1", "device_path": str(tmp_path / "theirs")})
    new = Desired.parse({"name": "v2", "device_path": str(tmp_path / "v1")})
    result = lay_out(client, [new, moved], Settings(on_drift="recreate"))
    assert [failure["volume"] for failure in result.failures] == ["v2", "v1"]
    assert all(failure["error"].endswith("nothing was changed") for failure in result.failures)
    assert {request.split()[0] for request, _query in daemon.requests} == {"GET"}


def test_one_that_is_gone_already_says_so(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    """Two are to change places, and the daemon refuses to remove one of them."""
    wanted = []
    for name, other in (("v1", "v2"), ("v2", "v1")):
        (tmp_path / name).mkdir()
        daemon.volume(name, tmp_path / name, Options={"type": "none", "o": "bind", "device": str(tmp_path / name)})
        wanted.append(Desired.parse({"name": name, "device_path": str(tmp_path / other)}))
    daemon.answers["DELETE /volumes/v2"] = (204, b"")
    daemon.answers["DELETE /volumes/v1"] = (409, {"message": "volume is in use"})
    result = lay_out(client, wanted, Settings(on_drift="recreate"))
    assert [failure["volume"] for failure in result.failures] == ["v1", "v2"]
    assert f"the volume isn't there now, what it held is in {tmp_path / 'v2'}" in result.failures[1]["error"]


def test_two_volumes_change_places(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    wanted = []
    for name, other in (("v1", "v2"), ("v2", "v1")):
        (tmp_path / name).mkdir()
        daemon.volume(name, tmp_path / name, Options={"type": "none", "o": "bind", "device": str(tmp_path / name)})
        daemon.answers[f"DELETE /volumes/{name}"] = (204, b"")
        wanted.append(Desired.parse({"name": name, "device_path": str(tmp_path / other)}))
    daemon.answers["POST /volumes/create"] = (201, {"Name": "v1", "Driver": "local"})
    before = len(daemon.requests)
    result = lay_out(client, wanted, Settings(on_drift="recreate"))
    assert (result.failures, [one.actions for one in result.volumes]) == ([], [["remove", "create"]] * 2)
    asked = [request for request, _query in daemon.requests[before:] if not request.startswith("GET")]
    assert asked == ["DELETE /volumes/v2", "DELETE /volumes/v1", "POST /volumes/create", "POST /volumes/create"]


def test_a_volume_that_its_plugin_does_not_list(client: Client, daemon: FakeDaemon) -> None:
    daemon.answers["GET /info"] = (200, {"Plugins": {"Volume": ["local", "rclone"]}})
    daemon.answers["GET /plugins"] = (200, [])
    daemon.answers["GET /volumes/v1"] = (200, {"Name": "v1", "Driver": "rclone"})
    for wanted in ({"name": "v1", "driver": "rclone"}, {"name": "v1", "state": "absent"}):
        (laid,) = lay_out(client, [Desired.parse(wanted)], Settings(check=True, on_drift="warn")).volumes
        assert laid.before["exists"]


def test_the_reads_are_as_many_for_a_hundred(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    wanted = []
    for number in range(100):
        (tmp_path / str(number)).mkdir()
        daemon.volume(f"v{number}", tmp_path / str(number))
        wanted.append(Desired.parse({"name": f"v{number}", "state": "absent" if number % 2 else "present"}))
    before = len(daemon.requests)
    assert lay_out(client, wanted, Settings(check=True)).failures == []
    asked = [request for request, _query in daemon.requests[before:]]
    assert asked == ["GET /volumes", "GET /containers/json", "GET /info"]


def test_f51_a_service_that_runs_nothing_just_now(client: Client, daemon: FakeDaemon, tmp_path: pathlib.Path) -> None:
    daemon.volume("v1", tmp_path)
    daemon.answers["GET /info"] = (200, {"Swarm": {"LocalNodeState": "active", "ControlAvailable": True}})
    mount = {"Type": "volume", "Source": "v1"}
    service = {"Spec": {"Name": "web", "Mode": {"Replicated": {"Replicas": 0}}}}
    service["Spec"]["TaskTemplate"] = {"ContainerSpec": {"Mounts": [mount]}}
    daemon.answers["GET /services"] = (200, [service])
    gone = [Desired.parse({"name": "v1", "state": "absent"})]
    (failure,) = lay_out(client, gone, Settings(remove_with_data=True)).failures
    assert "volume v1 isn't removed: containers or services refer to it (service web (0 replicas))" in failure["error"]
    # a worker doesn't know
    daemon.answers["GET /info"] = (200, {"Swarm": {"LocalNodeState": "active", "ControlAvailable": False}})
    result = lay_out(client, gone, Settings(remove_with_data=True, check=True))
    assert "only managers know which volumes the services use" in result.warnings[0]


@pytest.mark.parametrize("check", [False, True])
def test_a_signal_between_two_steps_tells_what_was_done(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, *, check: bool
) -> None:
    """And in check mode, in which steps are only noted, that nothing was."""

    def end(point: str) -> None:
        raise Terminated(signal.SIGTERM)

    monkeypatch.setattr(laying.points, "reached", end)
    one = One(Desired.parse({"name": "data", "device_path": str(tmp_path / "new")}), Laid("data", present=False), None)
    one.plan = Plan([MAKE, GIVE])
    with pytest.raises(Terminated) as caught:
        laying.lay(t.cast("Client", None), [one], {}, Settings(check=check), Result())
    done = "; but this was done before that: volume data: make directory; the next run goes on from there"
    assert str(caught.value) == "ended by SIGTERM; what was under way is undone" + ("" if check else done)
    assert (tmp_path / "new").exists() != check
