# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nfs_volumes: which host leaves a file, which look at it, and who removes it, in the batches and strategies
of a play. The role is the real one; in place of the module there is one that writes to directories, and what it does is
written down. The real module is tried in molecule/nfs_volumes."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.unit.fake_collection import FakeCollection

# "wrong" in a host's variables are volumes that show it another directory, "broken" those that fail, "lost" is the
# action after which the host can't be reached any more.
PROBE = """
import os, time
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        host, args = task_vars["inventory_hostname"], self._task.args
        probed, failures = [], []
        for volume in args["volumes"]:
            name, action = volume["name"], volume["action"]
            place = "wrong" if name in task_vars.get("wrong", []) else "right"
            folder = os.path.join(task_vars["work"], place + volume["driver_options"]["device"].lstrip(":"))
            os.makedirs(folder, exist_ok=True)
            path = os.path.join(folder, str(args["mark"]))
            with open(os.path.join(task_vars["work"], "log"), "a") as log:
                log.write(f"{host} {action} {name}\\n")
            with open(os.path.join(task_vars["work"], "options"), "a") as options:
                options.write(f"{volume['driver_options']['o']} {volume['read_only']}\\n")
            if name in task_vars.get("broken", []):
                failures.append(f"{name} is broken")
                continue
            if action == "leave":
                open(path, "x").close()
            if action == "see" and not os.path.exists(path):
                failures.append(f"{name} is another directory")
                continue
            if action == "remove":
                os.unlink(path)
            probed.append(name)
            if task_vars.get("lost") == action:
                raise AnsibleConnectionFailure("it is gone")
        time.sleep(task_vars.get("slow", 0))
        return {"failed": bool(failures) and args.get("on_failure") != "warn", "msg": str(failures), "probed": probed}
"""
MEDIA = {"name": "media", "server": "nas", "export": "/media"}
FONTS = {"name": "fonts", "server": "nas", "export": "/fonts"}
READS = {**MEDIA, "read_only": True}


class Played(t.NamedTuple):
    """What the hosts did, in its order, with which options, what was said, and what is left."""

    log: list[str]
    options: list[str]
    said: str
    left: list[pathlib.Path]

    def by(self, action: str) -> list[str]:
        """The hosts and volumes of an action."""
        return [line.replace(f" {action} ", " ") for line in self.log if f" {action} " in line]


@pytest.fixture
def play(tmp_path: pathlib.Path) -> t.Callable[..., Played]:
    collection = FakeCollection(tmp_path, {"docker_volume_probe": PROBE})
    role = {"name": "drydock.volumes.nfs_volumes", "tasks_from": "probe.yml"}
    task = {"ansible.builtin.import_role": role, "when": "nfs_volumes_probe"}

    def run(hosts: dict[str, dict[str, t.Any]], *arguments: str, **keywords: t.Any) -> Played:
        variables = {host: {"work": str(tmp_path), "nfs_volumes_list": [MEDIA], **own} for host, own in hosts.items()}
        ran = collection.play(variables, [{"tasks": [task], **keywords}], *arguments)
        log, options = ((tmp_path / file).read_text().splitlines() for file in ("log", "options"))
        left = [path for where in ("right", "wrong") for path in (tmp_path / where).rglob("*") if path.is_file()]
        return Played(log, options, ran.stdout, left)

    return run


def test_each_batch_compares_its_own_hosts(play: t.Callable[..., Played]) -> None:
    played = play({"a": {}, "b": {}, "c": {}, "d": {"wrong": ["media"]}}, serial=2)
    assert played.by("leave") == ["a media", "c media"]
    assert sorted(played.by("see")) == ["b media", "d media"]
    assert played.by("remove") == ["a media", "c media"]
    assert "media is another directory" in played.said
    assert played.said.count("failed=1") == 1, played.said
    assert played.left == []


def test_hosts_that_go_each_its_way_are_not_compared(play: t.Callable[..., Played]) -> None:
    played = play({"a": {}, "b": {"slow": 0.5}, "c": {}}, strategy="ansible.builtin.free")
    assert "failed=1" not in played.said, played.said
    assert sorted(played.log) == ["a try media", "b try media", "c try media"]


def test_the_first_host_has_nothing_to_probe(play: t.Callable[..., Played]) -> None:
    played = play({"a": {"nfs_volumes_probe": False}, "b": {}, "c": {}})
    assert "failed=1" not in played.said, played.said
    assert sorted(played.log) == ["b leave media", "b remove media", "c see media", "c try media"]
    assert played.left == []


def test_one_volume_of_the_first_host_fails(play: t.Callable[..., Played]) -> None:
    hosts = {host: {"nfs_volumes_list": [MEDIA, FONTS]} for host in "ab"}
    hosts["a"]["broken"] = ["media"]
    hosts["b"]["wrong"] = ["fonts"]
    played = play(hosts)
    # the other one is looked at and removed all the same
    assert played.by("leave") == ["a media", "a fonts"]
    assert played.by("see") == ["b fonts"]
    assert played.by("remove") == ["a fonts"]
    assert "media is broken" in played.said
    assert "fonts is another directory" in played.said
    assert played.left == []


def test_the_first_host_is_lost(play: t.Callable[..., Played]) -> None:
    played = play({"a": {"lost": "leave"}, "b": {}, "c": {}})
    assert "unreachable=1" in played.said
    assert "failed=1" not in played.said, played.said
    assert (played.by("leave"), played.by("remove")) == (["a media"], ["b media"])
    assert played.left == []


def test_who_may_write(play: t.Callable[..., Played]) -> None:
    twice = [{**MEDIA, "name": "theirs", "user": 1}, {**MEDIA, "name": "ours", "user": 2}]
    played = play({"a": {"nfs_volumes_list": [READS]}, "b": {"nfs_volumes_list": twice}, "c": {}})
    assert "failed=1" not in played.said, played.said
    assert played.by("leave") == played.by("remove") == ["b theirs"]
    assert sorted(played.by("see")) == ["a media", "c media"]
    assert sorted(played.by("try")) == ["a media", "b ours", "c media"]


def test_check_mode_writes_nothing_and_read_only_ones_have_ro(play: t.Callable[..., Played]) -> None:
    cases = {
        "rw,nfsvers=4.2,hard": "ro,nfsvers=4.2,hard",
        "nfsvers=4.2,hard": "ro,nfsvers=4.2,hard",
        "nfsvers=4.2,ro,rw": "ro,nfsvers=4.2",
        "nfsvers=4.2,wsize=8192": "ro,nfsvers=4.2,wsize=8192",
    }
    volumes = [
        {**READS, "name": f"v{number}", "export": f"/{number}", "options": options}
        for number, options in enumerate(cases)
    ]
    own = {**MEDIA, "name": "own", "options": "nfsvers=4.2,ro"}
    mine = {"nfs_volumes_list": [*volumes, own]}
    played = play({"a": mine, "b": {**mine, "broken": ["v0"]}}, "--check")
    assert "failed=1" not in played.said, played.said
    assert len(played.by("try")) == len(played.log) == 2 * 5
    expected = [f"addr=nas,{wanted} True" for wanted in [*cases.values(), "nfsvers=4.2,ro"]]
    assert sorted(played.options) == sorted(expected * 2)


def test_a_system_that_is_not_known(tmp_path: pathlib.Path) -> None:
    known = {"ansible.builtin.set_fact": {"os_family": "Suse", "pkg_mgr": "zypper", "cacheable": True}}
    role = {"ansible.builtin.import_role": {"name": "drydock.volumes.nfs_volumes", "tasks_from": "preflight.yml"}}
    ran = FakeCollection(tmp_path, {}).play({"a": {}}, [{"tasks": [known, role]}])
    assert "Suse is neither of the Debian nor of the RHEL family" in " ".join(ran.stdout.split())
    assert "failed=1" in ran.stdout
