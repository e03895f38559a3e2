# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of the daemon, how often, and what can't be seen then: with a small daemon in place of Docker."""

from __future__ import annotations

import datetime as dt
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import orphans, prune, snapshot
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.orphans import Policy
from ansible_collections.drydock.volumes.plugins.module_utils._engine.retention import Duration
from ansible_collections.drydock.volumes.plugins.module_utils._engine.selection import Selector, matches
from tests.unit.fake_daemon import FakeDaemon

MANAGER = {"LocalNodeState": "active", "ControlAvailable": True}


@pytest.fixture
def client(daemon: FakeDaemon) -> Client:
    return Client(Connection(docker_host=daemon.url))


def information(daemon: FakeDaemon, **swarm: t.Any) -> None:
    daemon.answers["GET /info"] = (200, {"ID": "D", "Swarm": swarm})


def asked(daemon: FakeDaemon) -> list[str]:
    return [request for request, _query in daemon.requests if request != "GET /version"]


@pytest.mark.parametrize("number", [0, 1, 1000])
def test_the_number_of_requests_is_constant(daemon: FakeDaemon, client: Client, number: int) -> None:
    volumes = [{"Name": f"v{one}", "Driver": "local", "Mountpoint": f"/v/v{one}/_data"} for one in range(number)]
    daemon.answers["GET /volumes"] = (200, {"Volumes": volumes or None, "Warnings": None})
    daemon.answers["GET /containers/json"] = (200, [{"Id": "c" * 12, "Mounts": []}] * number)
    information(daemon, LocalNodeState="inactive")
    daemon.requests.clear()
    seen = snapshot.take(client)
    assert asked(daemon) == ["GET /volumes", "GET /info", "GET /containers/json"]
    assert (len(seen.volumes), len(seen.containers), seen.daemon) == (number, number, "D")
    if number:
        daemon.answers["GET /volumes/v0"] = (200, volumes[0])
        daemon.requests.clear()
        assert snapshot.of_one(client, "v0", seen).volumes.keys() == {"v0"}
        assert asked(daemon) == ["GET /volumes/v0", "GET /containers/json"]
    assert snapshot.of_one(client, "none", seen).volumes == {}


SWARMS: list[tuple[dict[str, t.Any], t.Any, str | None]] = [
    ({}, None, None),
    ({"LocalNodeState": "inactive", "ControlAvailable": False}, None, None),
    (MANAGER, (200, []), None),
    (MANAGER, (500, {"message": "the swarm does not have a leader"}), "does not have a leader"),
    ({"LocalNodeState": "active", "ControlAvailable": False}, None, "this engine is a swarm's worker"),
    ({"LocalNodeState": "pending"}, None, "this engine is a swarm's worker"),
    ({"LocalNodeState": "locked", "ControlAvailable": False}, None, "this engine is a swarm's worker"),
]


@pytest.mark.parametrize(("swarm", "services", "blind"), SWARMS)
def test_f51_who_can_not_be_seen_keeps_all(
    daemon: FakeDaemon, client: Client, swarm: dict[str, t.Any], services: t.Any, blind: str | None
) -> None:
    daemon.volume("a", "/v/a/_data")
    information(daemon, **swarm)
    if services:
        daemon.answers["GET /services"] = services
    seen = snapshot.take(client)
    found = orphans.classify(seen, {"a": None}, Policy(), dt.datetime.now(dt.UTC))["a"]
    assert found.kind == "unknown"
    if blind is None:
        assert seen.blind is None
    else:
        assert blind in str(seen.blind)
        assert found.reason == seen.blind
        assert orphans.unreferenced(seen) == set()


def test_what_several_hosts_have(daemon: FakeDaemon, client: Client) -> None:
    for name, more in (
        ("a", {}),
        ("b", {"Scope": "global"}),
        ("c", {"ClusterVolume": {"ID": "x"}}),
        ("d", {"Scope": ""}),
    ):
        daemon.volume(name, f"/v/{name}/_data", **more)
    assert snapshot.take(client).shared == {"b", "c"}


def test_links_are_followed(daemon: FakeDaemon, client: Client, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "volumes" / "a" / "_data"
    place.mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "volumes")
    daemon.volume("a", place)
    mount = {"Type": "bind", "Source": str(tmp_path / "link" / "a" / "_data")}
    daemon.answers["GET /containers/json"] = (200, [{"Id": "c" * 12, "Mounts": [mount]}])
    assert orphans.unreferenced(snapshot.take(client)) == set()


@pytest.fixture
def one(daemon: FakeDaemon) -> dict[str, t.Any]:
    """A volume that is an orphan, on a daemon of another host."""
    made = daemon.volume("a", "/nowhere/a/_data", CreatedAt="2026-11-01T00:00:00Z")
    daemon.answers["GET /volumes/a"] = (200, made)
    daemon.answers["DELETE /volumes/a"] = (204, b"")
    return made


def pruned(client: Client, monkeypatch: pytest.MonkeyPatch, **more: t.Any) -> prune.Result:
    monkeypatch.setattr(Connection, "local", property(lambda _self: False))
    how = {"policy": Policy(grace=Duration()), "named": True, "max_remove_percent": 100, **more}
    return prune.prune(client, prune.Settings(**how))


def test_f54_in_the_very_moment(
    daemon: FakeDaemon, client: Client, one: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["DELETE /volumes/a"] = (409, {"message": "volume is in use"})
    result = pruned(client, monkeypatch)
    assert (result.removed, [each["volume"] for each in result.failures]) == ([], ["a"])
    assert "volume is in use" in result.failures[0]["error"]
    assert [(each["name"], each["class"]) for each in result.kept] == [("a", "orphan")]
    daemon.answers["DELETE /volumes/a"] = (204, b"")
    assert [each["name"] for each in pruned(client, monkeypatch).removed] == ["a"]


@pytest.mark.parametrize(
    ("now", "kind"),
    [
        ((404, {"message": "no such volume"}), "gone"),
        ((200, {"CreatedAt": "2026-11-26T00:00:00Z"}), "unknown"),
        ((200, {"Labels": {"drydock.protect": "true"}}), "unknown"),
        ((200, {"Driver": "other"}), "unknown"),
    ],
)
def test_f54_what_it_is_right_before(
    daemon: FakeDaemon, client: Client, one: dict[str, t.Any], now: t.Any, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon.answers["GET /volumes/a"] = (now[0], {**one, **now[1]})
    result = pruned(client, monkeypatch)
    assert (result.removed, [each["class"] for each in result.kept]) == ([], [kind])
    assert not [request for request in asked(daemon) if request.startswith("DELETE")]


def test_no_force(daemon: FakeDaemon, client: Client, one: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch) -> None:
    pruned(client, monkeypatch)
    (query,) = [query for request, query in daemon.requests if request == "DELETE /volumes/a"]
    assert query in ({}, {"force": ["False"]}, {"force": ["false"]}, {"force": ["0"]})


MATCHES = [
    (Selector(everything=True), True),
    (Selector(names=("a*",)), True),
    (Selector(names=("b*",)), False),
    (Selector(names=("a*",), exclude=("?b",)), False),
    (Selector(labels=("tier",)), True),
    (Selector(labels=("tier=1",)), True),
    (Selector(labels=("tier=",)), False),
    (Selector(labels=("tier=1", "none")), False),
    (Selector(labels=("drydock.backup=false",)), True),
]


@pytest.mark.parametrize(("selector", "expected"), MATCHES)
def test_a_selector_of_ones_own_labels(selector: Selector, expected: bool) -> None:
    assert matches("ab", {"tier": "1", "drydock.backup": "false"}, selector) is expected
