# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes nobody will miss: by tables, and the promises by properties (F50-F53, F55, F56, F58)."""

from __future__ import annotations

import datetime as dt
import itertools
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import orphans
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.orphans import Policy, Protection, Verdict
from ansible_collections.drydock.volumes.plugins.module_utils._engine.references import references
from ansible_collections.drydock.volumes.plugins.module_utils._engine.retention import Duration
from ansible_collections.drydock.volumes.plugins.module_utils._engine.snapshot import Snapshot
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume

LIGHT = hypothesis.settings(max_examples=200, deadline=None, database=None)
NOW = dt.datetime(2026, 11, 26, 3, 0, tzinfo=dt.UTC)
LONG_AGO = NOW - dt.timedelta(days=400)
ROOT = "/var/lib/docker/volumes"
HEX = "0123456789abcdef" * 4
PROJECT, STACK = "com.docker.compose.project", "com.docker.stack.namespace"
Json = dict[str, t.Any]


def plain(name: str, labels: dict[str, str] | None = None, **options: str) -> Volume:
    return Volume(name, "local", options, labels or {}, "local", f"{ROOT}/{name}/_data")


def bind(name: str, device: str) -> Volume:
    return plain(name, type="none", o="bind", device=device)


def container(name: str, *mounts: Json, state: str = "running", labels: dict[str, str] | None = None) -> Json:
    return {"Id": name * 12, "Names": [f"/{name}"], "State": state, "Labels": labels, "Mounts": list(mounts)}


def by_name(volume: str) -> Json:
    return {"Type": "volume", "Name": volume, "Source": f"{ROOT}/{volume}/_data", "Destination": "/v"}


def by_path(path: str) -> Json:
    return {"Type": "bind", "Source": path, "Destination": "/v"}


def service(name: str, *mounts: Json, replicas: int | None = 0, labels: dict[str, str] | None = None) -> Json:
    mode: Json = {"Global": {}} if replicas is None else {"Replicated": {"Replicas": replicas}}
    template = {"ContainerSpec": {"Mounts": list(mounts)}}
    return {"ID": "x", "Spec": {"Name": name, "Labels": labels, "Mode": mode, "TaskTemplate": template}}


def snapshot(*volumes: Volume, **more: t.Any) -> Snapshot:
    return Snapshot(**{"daemon": "D", "volumes": {one.name: one for one in volumes}, "containers": [], **more})


def verdict(seen: Snapshot, name: str = "a", policy: Policy | None = None, age: dt.datetime = LONG_AGO) -> Verdict:
    return orphans.classify(seen, dict.fromkeys(seen.volumes, age), policy or Policy(), NOW)[name]


# Who refers to a volume

BY: dict[str, tuple[Json, str | None]] = {
    "its name": (by_name("a"), "used by container c (running)"),
    "another volume's name": (by_name("b"), None),
    "a name that begins with it": (by_name("a-1"), None),
    "its directory": (by_path(f"{ROOT}/a/_data"), f"which refers to it by the path {ROOT}/a/_data"),
    "with a slash": (by_path(f"{ROOT}/a/_data/"), "which refers to it by the path"),
    "a directory in it": (by_path(f"{ROOT}/a/_data/x/y"), "which refers to it by the path"),
    "its folder": (by_path(f"{ROOT}/a"), "which refers to it by the path"),
    "dots": (by_path(f"{ROOT}/b/../a/./_data"), "which refers to it by the path"),
    "two slashes": (by_path(f"/{ROOT}/a/_data"), "which refers to it by the path"),
    "a folder that begins with its name": (by_path(f"{ROOT}/a-1/_data"), None),
    "a directory that begins like its own": (by_path(f"{ROOT}/a/_database"), "which refers to it by the path"),
    "all of Docker's directory": (by_path("/var/lib/docker"), None),
    "all of the host": (by_path("/"), None),
    "a link": (by_path("/docker/volumes/a/_data"), "which refers to it by the path /docker/volumes/a/_data"),
    "nothing": ({"Type": "tmpfs", "Destination": "/v"}, None),
}


@pytest.mark.parametrize(("mount", "reason"), BY.values(), ids=BY)
def test_f50_f52_f53_a_container_refers_to_it_by(mount: Json, reason: str | None) -> None:
    real = {"/docker/volumes/a/_data": f"{ROOT}/a/_data"}
    seen = snapshot(plain("a"), containers=[container("c", mount)], real=real)
    found = verdict(seen)
    if reason is None:
        assert found.kind == orphans.ORPHAN
    else:
        assert (found.kind, reason in found.reason) == (orphans.USED, True), found.reason


@pytest.mark.parametrize("state", ["running", "exited", "created", "paused", "restarting", "removing", "dead"])
def test_f50_in_any_state(state: str) -> None:
    found = verdict(snapshot(plain("a"), containers=[container("c", by_name("a"), state=state)]))
    assert (found.kind, found.reason) == (orphans.USED, f"used by container c ({state})")


SERVICES: dict[str, tuple[Json, bool]] = {
    "at 0 replicas": (service("s", {"Type": "volume", "Source": "a"}), True),
    "global": (service("s", {"Type": "volume", "Source": "a"}, replicas=None), True),
    "another volume": (service("s", {"Type": "volume", "Source": "ab"}), False),
    "anonymous": (service("s", {"Type": "volume"}), False),
    "by path": (service("s", {"Type": "bind", "Source": f"{ROOT}/a/_data"}), True),
    "a template": (service("s", {"Type": "volume", "Source": "{{.Node.Hostname}}a"}), True),
    "another template": (service("s", {"Type": "volume", "Source": "b-{{.Task.Slot}}"}), False),
    "once it is rolled back": (
        {**service("s"), "PreviousSpec": service("s", {"Type": "volume", "Source": "a"})["Spec"]},
        True,
    ),
    "nothing": ({"ID": "x"}, False),
}


@pytest.mark.parametrize(("one", "used"), SERVICES.values(), ids=SERVICES)
def test_f51_a_service_refers_to_it(one: Json, used: bool) -> None:
    found = verdict(snapshot(plain("a"), services=[one]))
    assert (found.kind == orphans.USED) is used, found
    assert ("used by service s (" in found.reason) is used


def test_a_template_in_the_middle_and_the_replicas_in_words() -> None:
    mount = {"Type": "volume", "Source": "data-{{.Task.Slot}}-x"}
    seen = snapshot(plain("data-1-x"), plain("data-1-xy"), services=[service("s", mount, replicas=3)])
    assert verdict(seen, "data-1-x").reason == "used by service s (3 replicas)"
    assert verdict(seen, "data-1-xy").kind == orphans.ORPHAN


def test_f56_devices_and_mounts_of_the_host() -> None:
    inside = bind("inside", f"{ROOT}/a/_data/x")
    assert verdict(snapshot(plain("a"), inside)).reason.startswith("used by volume inside, which refers")
    assert verdict(snapshot(plain("a"), inside), "inside").kind == orphans.ORPHAN
    # two names of one directory: neither goes with the other
    assert verdict(snapshot(bind("a", "/srv"), bind("b", "/srv"))).kind == orphans.ORPHAN
    # somebody who uses the device without the volume
    seen = snapshot(bind("a", "/srv/a"), containers=[container("c", by_path("/srv/a/b"))])
    assert verdict(seen).kind == orphans.USED
    for point, used in ((f"{ROOT}/a/_data", True), (f"{ROOT}/a/_data/disk", True), (f"{ROOT}/ab/_data", False)):
        found = verdict(snapshot(plain("a"), mounted=frozenset({"/", ROOT, point})))
        assert (found.kind == orphans.USED) is used
        assert (found.reason == f"used by a mount of this host at {point}") is used
    assert verdict(snapshot(bind("a", "/srv"), mounted=frozenset({"/srv"}))).kind == orphans.ORPHAN


STAYS = [
    (plain("a"), None),
    (plain("a", o="size=1g"), None),
    (plain("a", type="tmpfs", device="tmpfs"), None),
    (bind("a", "/srv/x"), "the files in its device /srv/x stay"),
    (plain("a", type="nfs", o="addr=nas", device=":/x"), "the files on the server stay (nfs :/x)"),
    (plain("a", type="nfs4", o="addr=nas", device=":/x"), "the files on the server stay (nfs4 :/x)"),
    (plain("a", type="cifs", device="//nas/x"), "the files on the server stay (cifs //nas/x)"),
    (plain("a", type="ext4", device="/dev/sdb1"), "the files on its device /dev/sdb1 stay"),
]


@pytest.mark.parametrize(("volume", "words"), STAYS)
def test_f56_what_stays(volume: Volume, words: str | None) -> None:
    assert orphans.stays(volume) == words


# What is kept though nothing refers to it

ALL = Protection(names=("a*",), labels=("keep", "tier=1"), projects=("sh*",))
KEPT: dict[str, tuple[Volume, Json, Policy, str, str]] = {
    "its label": (plain("a", {"drydock.protect": "true"}), {}, Policy(), "protected", "drydock.protect is 'true'"),
    "a misspelt label": (plain("a", {"drydock.protect": "ture"}), {}, Policy(), "protected", "is 'ture'"),
    "an empty label": (plain("a", {"drydock.protect": ""}), {}, Policy(), "protected", "is ''"),
    "label no": (plain("a", {"drydock.protect": "No"}), {}, Policy(), "orphan", ""),
    "its name": (plain("a"), {}, Policy(protect=ALL), "protected", "matches 'a*'"),
    "another name": (plain("ba"), {}, Policy(protect=ALL), "orphan", ""),
    "a task's label": (plain("x", {"keep": ""}), {}, Policy(protect=ALL), "protected", "the label 'keep'"),
    "a label's value": (plain("x", {"tier": "1"}), {}, Policy(protect=ALL), "protected", "the label 'tier=1'"),
    "another value": (plain("x", {"tier": "10"}), {}, Policy(protect=ALL), "orphan", ""),
    "a project": (plain("x", {PROJECT: "shop"}), {}, Policy(protect=ALL, gone=("*",)), "protected", "matches 'sh*'"),
    "a project that is here": (
        plain("x", {PROJECT: "shop"}),
        {"containers": [container("c", state="exited", labels={PROJECT: "shop"})]},
        Policy(gone=("*",)),
        "protected",
        "its Compose project shop is on this host",
    ),
    "a project that is down": (
        plain("x", {PROJECT: "shop"}),
        {"containers": [container("c", labels={PROJECT: "shop2"})]},
        Policy(gone=("shop2",)),
        "unknown",
        "its Compose project shop may be down, or gone",
    ),
    "a project that is gone": (plain("x", {PROJECT: "shop"}), {}, Policy(gone=("shop",)), "orphan", ""),
    "a stack that is here": (
        plain("x", {STACK: "web"}),
        {"services": [service("s", labels={STACK: "web"})]},
        Policy(),
        "protected",
        "its swarm stack web is on this host",
    ),
    "a stack that is not": (plain("x", {STACK: "web"}), {}, Policy(), "unknown", "its swarm stack web may be down"),
    "a stack that is gone": (plain("x", {STACK: "web"}), {}, Policy(gone=("w*",)), "orphan", ""),
    "blind": (plain("x"), {"blind": "a worker"}, Policy(), "unknown", "a worker"),
    "shared": (plain("x"), {"shared": frozenset({"x"})}, Policy(), "unknown", "other hosts have this volume too"),
    "a plugin": (Volume("x", "sshfs", {}, {}, "local", ""), {}, Policy(), "unknown", "the driver sshfs removes"),
}


@pytest.mark.parametrize(("volume", "more", "policy", "kind", "reason"), KEPT.values(), ids=KEPT)
def test_kept(volume: Volume, more: Json, policy: Policy, kind: str, reason: str) -> None:
    found = verdict(snapshot(volume, **more), volume.name, policy)
    assert found.kind == kind, found.reason
    assert reason in found.reason


# Age

AGES = [
    (Duration(days=7), dt.timedelta(days=7), "orphan"),
    (Duration(days=7), dt.timedelta(days=7, seconds=-1), "too_young"),
    (Duration(), dt.timedelta(0), "orphan"),
    (Duration(hours=1), dt.timedelta(0), "too_young"),
    (Duration(months=1), dt.timedelta(days=31), "orphan"),
    (Duration(months=1), dt.timedelta(days=30), "too_young"),
]


@pytest.mark.parametrize(("grace", "age", "kind"), AGES)
def test_the_grace(grace: Duration, age: dt.timedelta, kind: str) -> None:
    found = verdict(snapshot(plain("a")), policy=Policy(grace=grace), age=NOW - age)
    assert found.kind == kind, found.reason
    assert found.since == NOW - age
    assert (NOW - age).strftime("%Y-%m-%dT%H:%M:%SZ") in found.reason


def test_f55_an_unknown_age() -> None:
    seen = snapshot(plain("a"), plain("b"))
    found = orphans.classify(seen, {"a": None}, Policy(grace=Duration()), NOW)
    assert (found["a"].kind, found["a"].since) == ("unknown", None)
    assert "since when isn't known" in found["a"].reason
    assert found["b"].kind == "too_young"
    assert "no earlier run has seen that" in found["b"].reason


def test_kinds() -> None:
    for volume, anonymous in (
        (plain(HEX), True),
        (plain(HEX[:-1]), False),
        (plain(HEX.upper()), False),
        (plain("x", {"com.docker.volume.anonymous": ""}), True),
        (plain("x"), False),
    ):
        assert orphans.is_anonymous(volume.name, volume.labels) is anonymous


# Limits

LIMITS = [
    (3, 10, 3, 100, None),
    (3, 10, 2, 100, "3 of 10 volumes would be removed (v0, v1, v2), and max_remove is 2"),
    (5, 10, None, 50, None),
    (6, 10, None, 50, "6 of 10 volumes would be removed (v0, v1, v2, …), and max_remove_percent is 50"),
    (1, 10, 0, 100, "max_remove is 0"),
    (1, 200, None, 0.5, None),
    (1, 201, None, 0.4, "max_remove_percent is 0.4"),
    (0, 0, 0, 0, None),
    (10, 10, None, 100, None),
]


@pytest.mark.parametrize(("number", "total", "count", "percent", "words"), LIMITS)
def test_f58_limits(number: int, total: int, count: int | None, percent: float, words: str | None) -> None:
    names = [f"v{one}" for one in range(number)]
    if words is None:
        orphans.require_within(names, total, count, percent)
        return
    with pytest.raises(UsageError, match="nothing was removed") as error:
        orphans.require_within(names, total, count, percent)
    assert words in str(error.value)


@pytest.mark.parametrize(
    ("grace", "protect", "gone"),
    [
        ("1 d", {}, None),
        ("", {}, None),
        ("7D", {}, None),
        ("7d", {"names": [""]}, None),
        ("7d", {"labels": ["=x"]}, []),
        ("7d", None, [""]),
        ("7d", {"projects": [""]}, None),
    ],
)
def test_policies_that_can_not_be_meant(grace: str, protect: Json | None, gone: list[str] | None) -> None:
    with pytest.raises(UsageError):
        Policy.parse(grace, protect, gone)


def test_a_policy() -> None:
    made = Policy.parse("36h", {"names": ["a"], "labels": None, "projects": ["p"]}, ["g"])
    assert made == Policy(Duration(hours=36), Protection(("a",), (), ("p",)), ("g",))
    assert Policy.parse("7d", None, None) == Policy()


# Promises

NAMES = st.sampled_from(["a", "ab", "abc", "a-1", "a_1", HEX, HEX[:-1] + "e"])
MOUNTS = st.one_of(
    NAMES.map(by_name),
    NAMES.map(lambda name: by_path(f"{ROOT}/{name}/_data")),
    st.sampled_from(["/", ROOT, "/srv"]).map(by_path),
)
STATES = st.sampled_from(["running", "exited", "created", "paused"])
CONTAINERS = st.lists(st.builds(lambda mounts, state: container("c", *mounts, state=state), st.lists(MOUNTS), STATES))


@LIGHT
@hypothesis.given(st.sets(NAMES), CONTAINERS, st.lists(NAMES), st.dictionaries(NAMES, st.none() | st.just(LONG_AGO)))
def test_f50_f53_what_is_referred_to_is_never_an_orphan(
    names: set[str], containers: list[Json], served: list[str], since: dict[str, dt.datetime | None]
) -> None:
    services = [service("s", {"Type": "volume", "Source": name}) for name in served]
    seen = snapshot(*map(plain, names), containers=containers, services=services)
    found = orphans.classify(seen, since, Policy(grace=Duration()), NOW)
    assert found.keys() == names
    sources = [mount["Source"] for one in containers for mount in one["Mounts"]]
    for name, one in found.items():
        used = f"{ROOT}/{name}/_data" in sources or name in served
        assert (one.kind == orphans.USED) is used
        assert (one.kind == orphans.ORPHAN) is (not used and since.get(name) is not None)
        assert one.reason
    assert orphans.unreferenced(seen) == names - references(seen).keys()


@LIGHT
@hypothesis.given(st.data())
def test_more_users_and_more_protection_never_make_an_orphan(data: st.DataObject) -> None:
    names = data.draw(st.sets(NAMES, min_size=1))
    few = data.draw(CONTAINERS)
    seen = snapshot(*map(plain, names), containers=few)
    more = snapshot(*map(plain, names), containers=few + data.draw(CONTAINERS))
    protect = Protection(names=tuple(data.draw(st.lists(st.sampled_from(["a*", "?", "*_1"])))))
    since = dict.fromkeys(names, LONG_AGO)
    policies = (Policy(), Policy(protect=protect), Policy(grace=Duration(years=2)))
    sets = [
        {name for name, one in orphans.classify(each, since, policy, NOW).items() if one.kind == orphans.ORPHAN}
        for each, policy in itertools.product((seen, more), policies)
    ]
    assert all(one <= sets[0] for one in sets)
    assert sets[3] <= sets[0]
    assert sets[4] <= sets[1]
    blind = snapshot(*map(plain, names), blind="x")
    assert not any(one.kind == orphans.ORPHAN for one in orphans.classify(blind, since, Policy(), NOW).values())
    assert orphans.unreferenced(blind) == set()
