# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of another host, over TCP: what needs no files works, and a swarm's services keep their volumes (F51)."""

from __future__ import annotations

import collections.abc as c
import pathlib
import typing as t

import pytest

from tests.support.inner import InnerEngine
from tests.support.modules import Modules
from tests.support.orphans import PRUNE, USAGE, kept, reason, removed

ALL = {"named": True, "grace": "0h", "max_remove_percent": 100}


@pytest.fixture(scope="module")
def inner() -> c.Iterator[InnerEngine]:
    with InnerEngine() as made:
        yield made


@pytest.fixture
def there(inner: InnerEngine) -> c.Iterator[t.Any]:
    """The API of that engine, whose volumes are all a test's own."""
    yield inner.api
    for volume in inner.api.volumes()["Volumes"] or []:
        inner.api.remove_volume(volume["Name"], force=True)


def test_another_hosts_engine(inner: InnerEngine, there: t.Any, modules: Modules, work: pathlib.Path) -> None:
    remote = {"docker_host": inner.url}
    there.create_volume("media")
    there.create_volume("media2", labels={"drydock.protect": "yes"})
    bound = {"type": "none", "o": "bind", "device": "/srv/x"}
    there.create_volume("bound", driver_opts=bound)
    inner.sh("mkdir -p /srv/x; touch /srv/x/kept")
    seen = {one["name"]: one for one in modules.run(USAGE, **remote)["volumes"]}
    assert {name: (one["class"], one["bytes"]) for name, one in seen.items()} == {
        "media": ("too_young", None),
        "media2": ("protected", None),
        "bound": ("too_young", None),
    }
    assert "run this task on that host" in modules.refused(USAGE, sizes=True, **remote)
    refused = modules.refused(PRUNE, backup_to={"repository": str(work / "r")}, **ALL, **remote)
    assert "run this task on that host" in refused
    first = modules.run(PRUNE, **{**ALL, "grace": "7d"}, **remote)
    assert kept(first) == {"media": "too_young", "media2": "protected", "bound": "too_young"}
    for check in (True, False):
        answer = modules.run(PRUNE, check=check, **ALL, **remote)
        assert removed(answer) == ["bound", "media"], answer
        assert [(one["bytes"], one["left"]) for one in answer["removed"]] == [
            (None, "the files in its device /srv/x stay"),
            (None, None),
        ]
    assert [one["Name"] for one in there.volumes()["Volumes"]] == ["media2"]
    inner.sh("test -e /srv/x/kept")


def test_f51_a_swarms_services(inner: InnerEngine, there: t.Any, modules: Modules) -> None:
    remote = {"docker_host": inner.url}
    for name in ("data", "data2", "slot-1", "slot", "rolled", "pathed"):
        there.create_volume(name)
    there.create_volume("stacked", labels={"com.docker.stack.namespace": "web"})
    place = there.inspect_volume("pathed")["Mountpoint"]
    there.init_swarm(advertise_addr=inner.address)
    try:
        mounts = [
            docker_mount("data"),
            docker_mount("slot-{{.Task.Slot}}"),
            docker_mount("rolled"),
            docker_mount(place, "bind"),
        ]
        service = make(there, "db", mounts)
        answer = modules.run(PRUNE, **ALL, **remote)
        assert removed(answer) == ["data2", "slot"]
        assert kept(answer) == {**dict.fromkeys(["data", "pathed", "rolled", "slot-1"], "used"), "stacked": "unknown"}
        assert reason(answer, "data") == "used by service db (0 replicas)"
        assert "which refers to it by the path" in reason(answer, "pathed")
        assert "its swarm stack web may be down" in reason(answer, "stacked")

        # an update drops a volume, and a rollback would bring it back
        version = there.inspect_service(service)["Version"]["Index"]
        there.update_service(service, version, template(mounts[:2] + mounts[3:]), name="db", mode=replicas())
        assert kept(modules.run(PRUNE, **ALL, **remote))["rolled"] == "used"
        make(there, "web_web", [], {"com.docker.stack.namespace": "web"})
        answer = modules.run(PRUNE, gone_projects=["web"], **ALL, **remote)
        assert kept(answer)["stacked"] == "protected"
        there.remove_service("web_web")
        there.remove_service(service)
        assert kept(modules.run(PRUNE, **ALL, **remote)) == {"stacked": "unknown"}
        assert removed(modules.run(PRUNE, gone_projects=["w?b"], **ALL, **remote)) == ["stacked"]
    finally:
        there.leave_swarm(force=True)


def docker_mount(source: str, kind: str = "volume") -> dict[str, t.Any]:
    return {"Type": kind, "Source": source, "Target": f"/{abs(hash(source))}"}


def template(mounts: list[dict[str, t.Any]]) -> dict[str, t.Any]:
    return {"ContainerSpec": {"Image": "nothing", "Mounts": mounts}}


def replicas() -> dict[str, t.Any]:
    return {"Replicated": {"Replicas": 0}}


def make(api: t.Any, name: str, mounts: list[dict[str, t.Any]], labels: dict[str, str] | None = None) -> str:
    """A service at 0 replicas, so its image needn't exist."""
    url = api._url("/services/create")
    body = {"Name": name, "Labels": labels or {}, "TaskTemplate": template(mounts), "Mode": replicas()}
    made = api._result(api._post_json(url, data=body), json=True)
    return str(made["ID"])
