# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about a volume: the whole table, and what is asked for."""

from __future__ import annotations

import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import desired, drift, plan
from ansible_collections.drydock.volumes.plugins.module_utils._engine.desired import Desired
from ansible_collections.drydock.volumes.plugins.module_utils._engine.directories import Ownership, Root
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import REDACTED, UsageError, VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.plan import Found, Policy
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume

BIND = {"type": "none", "o": "bind", "device": "/mnt/x"}
NFS = {"type": "nfs", "o": "addr=nas,rw", "device": ":/export"}


def volume(driver: str = "local", labels: dict[str, str] | None = None, **options: str) -> Volume:
    return Volume("v1", driver, options, labels or {}, "local", "/var/lib/docker/volumes/v1/_data")


def wanted(**given: t.Any) -> Desired:
    return Desired.parse({"name": "v1", **given})


PLAIN, DISK, SERVER = wanted(), wanted(device_path="/mnt/x"), wanted(driver_options=NFS)
GONE = wanted(state="absent")
EMPTY, FULL = Root(0, 0, 0o755, empty=True), Root(999, 999, 0o700, empty=False)
AGAIN = Policy(on_drift="recreate")
FORCED = Policy(on_drift="recreate", recreate_with_data=True, backup=True)
LABELLED = wanted(labels={"a": "b"})
READ_ONLY = wanted(driver_options={**NFS, "o": "addr=nas,ro"})

ACTIONS: dict[str, tuple[Desired, Found, Policy, list[str]]] = {
    "new plain": (PLAIN, Found(), Policy(), ["create"]),
    "there": (PLAIN, Found(volume()), Policy(), []),
    "more labels than asked for": (LABELLED, Found(volume(labels={"a": "b", "c": "d"})), Policy(), []),
    "new directory": (DISK, Found(), Policy(), ["make directory", "create"]),
    "directory with data": (DISK, Found(root=FULL), Policy(), ["create"]),
    "all there": (DISK, Found(volume(**BIND), FULL), Policy(), []),
    "gone already": (GONE, Found(), Policy(), []),
    "remove an empty one": (GONE, Found(volume(), holds="empty"), Policy(), ["remove"]),
    "remove with a backup": (GONE, Found(volume(), holds="data"), Policy(backup=True), ["back up", "remove"]),
    "remove what can't be seen": (GONE, Found(volume()), Policy(backup=True), ["back up", "remove"]),
    "remove with a word": (GONE, Found(volume(), holds="data"), Policy(remove_with_data=True), ["remove"]),
    "remove a bind volume": (GONE, Found(volume(**BIND), holds="data"), Policy(), ["remove"]),
    "remove an NFS volume": (GONE, Found(volume(**NFS)), Policy(backup=True), ["remove"]),
    "remove a tmpfs": (GONE, Found(volume(type="tmpfs", device="tmpfs")), Policy(), ["remove"]),
    "warn": (LABELLED, Found(volume(), holds="data"), Policy(on_drift="warn"), []),
    "warn, elsewhere": (DISK, Found(volume(), FULL), Policy(on_drift="warn"), []),
    "recreate an empty one": (LABELLED, Found(volume(), holds="empty"), AGAIN, ["remove", "create"]),
    "recreate with data": (LABELLED, Found(volume(), holds="data"), FORCED, ["back up", "remove", "create"]),
    "recreate on the same server": (READ_ONLY, Found(volume(**NFS)), AGAIN, ["remove", "create"]),
    "recreate elsewhere, which stays": (
        DISK,
        Found(volume(**{**BIND, "device": "/mnt/y"}), holds="data"),
        FORCED,
        ["remove", "make directory", "create"],
    ),
    "recreate elsewhere": (
        DISK,
        Found(volume(), EMPTY, holds="data"),
        FORCED,
        ["back up", "remove", "create"],
    ),
}


@pytest.mark.parametrize(("one", "found", "policy", "actions"), ACTIONS.values(), ids=ACTIONS)
def test_actions(one: Desired, found: Found, policy: Policy, actions: list[str]) -> None:
    assert plan.plan(one, Ownership(), found, policy).actions == actions


REFUSED: dict[str, tuple[Desired, Found, Policy, str]] = {
    "drift": (LABELLED, Found(volume()), Policy(), "labels.a is not set, not 'b'; Docker can't change that"),
    "used": (
        LABELLED,
        Found(volume(), users=["pg"]),
        FORCED,
        "isn't recreated: containers or services refer to it (pg)",
    ),
    "used, to be removed": (GONE, Found(volume(), users=["pg"]), Policy(remove_with_data=True), "isn't removed"),
    "data": (LABELLED, Found(volume(), holds="data"), AGAIN, "it holds data, which would be lost"),
    "unseen": (LABELLED, Found(volume(), why="why"), AGAIN, "it holds what nobody could see (why)"),
    "shadowed": (
        DISK,
        Found(volume(**{**BIND, "device": "/mnt/y"}), holds="data"),
        AGAIN,
        "which would stay at /mnt/y when it is recreated",
    ),
    "removed data": (GONE, Found(volume(), holds="data"), Policy(), "give backup_to"),
    "removed, unseen": (GONE, Found(volume("plugin"), why="down"), Policy(), "holds what nobody could see (down)"),
    "device": (wanted(driver_options=BIND), Found(), Policy(), "its device /mnt/x isn't there; mount or make it"),
    "vanished": (DISK, Found(volume(**BIND)), Policy(), "exists, and its device /mnt/x isn't there"),
    "vanished, and drifted": (
        wanted(device_path="/mnt/x", labels={"a": "b"}),
        Found(volume(**BIND), holds="empty"),
        FORCED,
        "exists, and its device /mnt/x isn't there",
    ),
}


@pytest.mark.parametrize(("one", "found", "policy", "text"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused(one: Desired, found: Found, policy: Policy, text: str) -> None:
    with pytest.raises(VolumeError) as caught:
        plan.plan(one, Ownership(), found, policy)
    assert str(caught.value).startswith("volume v1")
    assert text in str(caught.value)
    assert str(caught.value).endswith("; nothing was changed")


def test_the_owner_of_a_root() -> None:
    one, other = wanted(device_path="/mnt/x", owner="5"), Ownership(5, None, None)
    there = volume(**BIND)
    assert plan.plan(one, other, Found(there, EMPTY), Policy()).actions == ["set owner and mode"]
    assert plan.plan(one, other, Found(there, Root(5, 1, 0o700, empty=False)), Policy()).actions == []
    with pytest.raises(VolumeError, match="holds data, and its root isn't as it should be: owner is '999', not '5'"):
        plan.plan(one, other, Found(there, FULL), Policy())
    warned = plan.plan(one, other, Found(there, FULL), Policy(on_drift="warn"))
    assert (warned.actions, warned.drift) == ([], {"owner": {"is": "999", "wanted": "5"}})
    assert "left as it is" in warned.warnings[0]
    assert plan.plan(one, other, Found(there, FULL), AGAIN).actions == ["set owner and mode"]
    plain = wanted(owner="5")
    assert plan.plan(plain, other, Found(), Policy()).actions == ["create", "set owner and mode"]
    assert plan.plan(plain, other, Found(volume(), EMPTY), Policy()).actions == ["set owner and mode"]


def test_drift_without_passwords_and_without_order() -> None:
    one = wanted(driver="plugin", driver_options={"password": "one", "o": "b,a,pass=x", "tier": "gold"})
    there = volume("plugin", password="two", o="a,b,pass=x", tier="gold")
    found = drift.drift(one, there)
    assert found == {"driver_options.password": {"is": REDACTED, "wanted": REDACTED}}
    mounted = drift.drift(wanted(driver="plugin", driver_options={"o": "pass=x,c"}), volume("plugin", o="pass=y"))
    assert mounted == {"driver_options.o": {"is": f"pass={REDACTED}", "wanted": f"pass={REDACTED},c"}}
    assert "two" not in drift.told(found)
    assert drift.drift(wanted(driver="x"), volume()) == {"driver": {"is": "local", "wanted": "x"}}
    assert drift.drift(wanted(), volume(**BIND))["driver_options.o"] == {"is": "bind", "wanted": None}


def test_what_a_diff_shows() -> None:
    one = wanted(device_path="/mnt/x", owner="5", labels={"a": "b"})
    made = plan.plan(one, Ownership(5), Found(), Policy())
    assert plan.after(one, Ownership(5), Found(), made) == {
        "exists": True,
        "driver": "local",
        "options": BIND,
        "labels": {"a": "b"},
        "owner": 5,
        "group": 0,
        "mode": "0755",
    }
    removed = Found(volume(), holds="empty")
    assert plan.after(GONE, Ownership(), removed, plan.plan(GONE, Ownership(), removed, Policy())) == {"exists": False}


WRONG: dict[str, tuple[dict[str, t.Any], str]] = {
    "number": ({"mode": 0o750}, "mode is 488; write octal digits in quotes"),
    "symbolic": ({"mode": "u=rwx"}, "mode is 'u=rwx'"),
    "relative": ({"device_path": "mnt"}, "device_path is 'mnt'; give an absolute path"),
    "dots": ({"device_path": "/mnt/../etc"}, "give an absolute path without '..'"),
    "root": ({"device_path": "//"}, "device_path is the root directory"),
    "two devices": (
        {"device_path": "/mnt/a", "driver_options": BIND},
        "device_path is /mnt/a, and the driver's options",
    ),
    "another kind": ({"device_path": "/mnt/x", "driver": "rclone"}, "aren't those of a bind volume"),
    "owner of NFS": ({"driver_options": NFS, "owner": "5"}, "set them on the server"),
    "mode of tmpfs": ({"driver_options": {"type": "tmpfs", "device": "t"}, "mode": "0700"}, "uid=, gid= and mode="),
    "mount of a plain one": ({"require_mounted": "/mnt"}, "require_mounted is for bind volumes"),
    "mount elsewhere": ({"device_path": "/mnt/ssd2/x", "require_mounted": "/mnt/ssd"}, "which isn't above its device"),
    "name": ({"name": "a/b"}, "volume name 'a/b' can't be used"),
    "short name": ({"name": "a"}, "volume name 'a' is too short for Docker"),
}


@pytest.mark.parametrize(("given", "text"), WRONG.values(), ids=WRONG)
def test_what_does_not_fit_together(given: dict[str, t.Any], text: str) -> None:
    with pytest.raises(UsageError) as caught:
        wanted(**given)
    assert text in str(caught.value)


def test_a_device_in_both_places_is_one() -> None:
    one = wanted(device_path="/mnt/x/", driver_options={**BIND, "o": "bind,ro"}, require_mounted="/mnt")
    assert (one.options, one.device, one.mode) == ({**BIND, "o": "bind,ro"}, "/mnt/x", None)
    assert wanted(mode="750").mode == 0o750


def test_a_bind_volume_without_a_device_is_told_as_such() -> None:
    one = wanted(driver_options={"type": "none", "o": "bind"}, require_mounted="/mnt")
    with pytest.raises(UsageError, match=r"volume v1: .*device"):
        desired.require_consistent([one])


def test_the_list_as_a_whole() -> None:
    assert desired.require_consistent([PLAIN]) == []
    other = Desired.parse({"name": "v2", "device_path": "/mnt/x"})
    with pytest.raises(UsageError) as caught:
        desired.require_consistent([DISK, other, PLAIN])
    assert "volumes v1 and v2 both have the device /mnt/x" in str(caught.value)
    assert "volume v1 is there more than once" in str(caught.value)
    # what goes doesn't stand in the way
    assert (
        desired.require_consistent([DISK, Desired.parse({"name": "v2", "device_path": "/mnt/x", "state": "absent"})])
        == []
    )
