# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers hold still for which volumes: by tables, and the promises by properties (F24, F25)."""

from __future__ import annotations

import collections.abc as c
import itertools
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import grouping
from ansible_collections.drydock.volumes.plugins.module_utils._engine.grouping import Group, groups, name_of
from ansible_collections.drydock.volumes.plugins.module_utils._engine.hooks import Hook
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume

LIGHT = hypothesis.settings(max_examples=200, deadline=None, database=None)
WHERE = "/var/lib/docker/volumes/{}/_data"
SWARM = {"com.docker.swarm.task.id": "k5uvdtcyedyyhgbhm6pxv0rnm", "com.docker.swarm.service.name": "shop_db"}

Container = dict[str, t.Any]
Labels = dict[str, str]
Mount = dict[str, t.Any]


def _volume(name: str, quiesce: str | None = None, *, driver: str = "local", **options: str) -> Volume:
    labels = {} if quiesce is None else {"drydock.quiesce": quiesce}
    return Volume(name, driver, options, labels, "local", WHERE.format(name))


def _bound(name: str, device: str) -> Volume:
    return _volume(name, type="none", o="bind", device=device)


def _id(name: str) -> str:
    return name.encode().hex().ljust(64, "0")


def _uses(volume: str, *, rw: bool = True) -> Mount:
    """A volume's mount in the list endpoint's JSON."""
    return {"Type": "volume", "Name": volume, "Source": WHERE.format(volume), "Destination": "/data", "RW": rw}


def _binds(source: str, *, rw: bool = True) -> Mount:
    """The mount of a directory of the host, which has no name."""
    return {"Type": "bind", "Source": source, "Destination": "/srv", "Mode": "", "RW": rw, "Propagation": "rprivate"}


def _container(
    name: str, *mounts: str | Mount, state: str = "running", network: str = "bridge", labels: Labels | None = None
) -> Container:
    """A container in the list endpoint's JSON. A mount that is a text is that of a volume, writable."""
    return {
        "Id": _id(name),
        "Names": [f"/{name}"],
        "State": state,
        "Labels": labels,
        "Mounts": [_uses(mount) if isinstance(mount, str) else mount for mount in mounts] or None,
        "HostConfig": {"NetworkMode": network},
    }


def _quiesced(name: str, *mounts: str | Mount, by: str) -> Container:
    return _container(name, *mounts, labels={"drydock.quiesce": by})


def _service(name: str, *mounts: str | Mount, needs: str = "", project: str = "shop", **more: t.Any) -> Container:
    labels = {"com.docker.compose.project": project, "com.docker.compose.service": name.rstrip("0123456789")}
    return _container(name, *mounts, labels={**labels, "com.docker.compose.depends_on": needs}, **more)


def _made(volumes: c.Sequence[Volume], containers: c.Sequence[Container], default: str = "stop") -> list[Group]:
    """The groups, where no label is wrong."""
    made, errors = groups(volumes, containers, default)
    assert errors == {}
    return made


def _held(made: c.Iterable[Group]) -> dict[str, str]:
    """The members of all groups, with their methods."""
    return {member.name: member.method for group in made for member in group.members}


# How a container holds still

METHODS: dict[str, tuple[str, list[Volume], Container, dict[str, str]]] = {
    # the task's; the volumes; the container; what is done to it
    "nobody says anything": ("none", [_volume("a")], _container("c", "a"), {}),
    "the task pauses": ("pause", [_volume("a")], _container("c", "a"), {"c": "pause"}),
    "the task stops": ("stop", [_volume("a")], _container("c", "a"), {"c": "stop"}),
    "the volume over the task": ("none", [_volume("a", "stop")], _container("c", "a"), {"c": "stop"}),
    "a weaker volume over the task": ("stop", [_volume("a", "pause")], _container("c", "a"), {"c": "pause"}),
    "none of the volume over the task": ("stop", [_volume("a", "none")], _container("c", "a"), {}),
    "the container over the volume": (
        "none",
        [_volume("a", "pause")],
        _quiesced("c", "a", by="stop"),
        {"c": "stop"},
    ),
    "a weaker container over both": ("stop", [_volume("a", "stop")], _quiesced("c", "a", by="pause"), {"c": "pause"}),
    "none of the container over both": ("stop", [_volume("a", "stop")], _quiesced("c", "a", by="none"), {}),
    "the container over the task": ("none", [_volume("a")], _quiesced("c", "a", by="pause"), {"c": "pause"}),
    "the strongest of several volumes": (
        "none",
        [_volume("a", "pause"), _volume("b", "stop"), _volume("d", "none")],
        _container("c", "a", "b", "d"),
        {"c": "stop"},
    ),
    "the task's is stronger than a volume's": (
        "stop",
        [_volume("a", "pause"), _volume("b")],
        _container("c", "a", "b"),
        {"c": "stop"},
    ),
    "a volume's is stronger than the task's": (
        "pause",
        [_volume("a", "stop"), _volume("b")],
        _container("c", "a", "b"),
        {"c": "stop"},
    ),
    "a volume that isn't asked for says nothing": ("none", [_volume("a")], _container("c", "a", "elsewhere"), {}),
    "a stronger one that is only read says nothing": (
        "none",
        [_volume("a", "pause"), _volume("b", "stop")],
        _container("c", "a", _uses("b", rw=False)),
        {"c": "pause"},
    ),
    "read-only": ("stop", [_volume("a", "stop")], _container("c", _uses("a", rw=False)), {}),
    "read-only with a label": ("stop", [_volume("a")], _quiesced("c", _uses("a", rw=False), by="stop"), {}),
    "read-only here and writable there": (
        "stop",
        [_volume("a")],
        _container("c", _uses("a", rw=False), {**_uses("a"), "Destination": "/again"}),
        {"c": "stop"},
    ),
    "it isn't said whether it is writable": (
        "stop",
        [_volume("a")],
        _container("c", {"Type": "volume", "Name": "a", "Source": ""}),
        {"c": "stop"},
    ),
    "another volume": ("stop", [_volume("a")], _container("c", "aa", "A", "b"), {}),
    "no mounts": ("stop", [_volume("a")], _container("c"), {}),
    "only a file system in memory": (
        "stop",
        [_volume("a"), _bound("b", "/srv/b")],
        _container("c", {"Type": "tmpfs", "Source": "", "Destination": "/tmp", "RW": True}),
        {},
    ),
}


@pytest.mark.parametrize(("default", "volumes", "container", "held"), METHODS.values(), ids=METHODS)
def test_how_a_container_holds_still(
    default: str, volumes: list[Volume], container: Container, held: dict[str, str]
) -> None:
    assert _held(_made(volumes, [container], default)) == held


@pytest.mark.parametrize(
    ("state", "held"),
    [
        ("running", {"c": "stop"}),
        ("restarting", {"c": "stop"}),
        ("paused", {}),
        ("exited", {}),
        ("created", {}),
        ("dead", {}),
        ("removing", {}),
    ],
)
def test_f24_only_who_runs_must_hold_still(state: str, held: dict[str, str]) -> None:
    labels = {"drydock.exec-before": "sync", "drydock.exec-after": "true"}
    container = _container("c", "a", "b", state=state, labels=labels)
    made = _made([_volume("a"), _volume("b")], [container])
    assert _held(made) == held
    assert grouping.running(container) == bool(held)
    assert [group.volumes for group in made] == ([("a", "b")] if held else [("a",), ("b",)])
    assert [group.before != () for group in made] == [group.after != () for group in made]
    assert any(group.before for group in made) == bool(held)


def test_keys_that_are_missing_or_null_are_empty() -> None:
    bare = {"Id": _id("bare"), "State": "running", "Mounts": [{"Name": "a"}]}
    null = {**bare, "Id": _id("null"), "Names": None, "Labels": None, "HostConfig": None}
    empty = {**bare, "Id": _id("empty"), "Names": [], "Labels": {}, "HostConfig": {"NetworkMode": None}}
    idle = [{"Id": _id("x"), "Mounts": [{"Name": "a"}]}, {**null, "Mounts": None}, {**null, "Mounts": []}]
    (made,) = _made([_volume("a")], [bare, null, empty, *idle])
    assert _held([made]) == {_id(name)[:12]: "stop" for name in ("bare", "null", "empty")}
    assert made.names == {"a": tuple(sorted(_held([made])))}


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (["/web"], "web"),
        (["web"], "web"),
        ([], "abababababab"),
        # what docker run --link makes of it: measured with Docker 20.10
        (["/other/alias", "/third/web", "/web"], "web"),
        (["/web", "/other/alias"], "web"),
    ],
)
def test_a_containers_name(names: list[str], name: str) -> None:
    assert name_of({"Id": "ab" * 32, "Names": names}) == name


# Mounts by path

HERE = WHERE.format("a")
PATHS: dict[str, tuple[Volume, str, bool]] = {
    "the volume's own directory": (_volume("a"), HERE, True),
    "below it": (_volume("a"), f"{HERE}/base/1", True),
    "beside it": (_volume("a"), f"{HERE}2", False),
    "above it": (_volume("a"), WHERE.format("a").removesuffix("/_data"), False),
    "another volume's": (_volume("a"), WHERE.format("ab"), False),
    "the device": (_bound("a", "/srv/data"), "/srv/data", True),
    "the device, with a slash": (_bound("a", "/srv/data/"), "/srv/data", True),
    "the device, written in another way": (_bound("a", "/srv/./x/..//data"), "/srv/data", True),
    "the device, with two slashes in front": (_bound("a", "//srv/data"), "/srv/data", True),
    "the source, with two slashes in front": (_bound("a", "/srv/data"), "//srv/data", True),
    "the source, with a slash": (_bound("a", "/srv/data"), "/srv/data/", True),
    "below the device": (_bound("a", "/srv/data"), "/srv/data/pg/base", True),
    "below the device, with a slash": (_bound("a", "/srv/data/"), "/srv/data/pg", True),
    "beside the device": (_bound("a", "/srv/data"), "/srv/data2", False),
    "beside the device, with a dash": (_bound("a", "/srv/data"), "/srv/data-old/x", False),
    "beside the device, after a detour": (_bound("a", "/srv/data"), "/srv/data/../other", False),
    "above the device": (_bound("a", "/srv/data"), "/srv", False),
    "above it all": (_bound("a", "/srv/data"), "/", False),
    "in other letters": (_bound("a", "/srv/data"), "/srv/Data", False),
    "no device": (_volume("a", type="none", o="bind"), "/srv/data", False),
    "an empty device": (_bound("a", ""), "/srv/data", False),
    "an empty device, and no source": (_bound("a", ""), "", False),
    "bind among the options": (_volume("a", o="rw,bind,noatime", device="/srv/data"), "/srv/data", True),
    "rbind": (_volume("a", o="rbind", device="/srv/data"), "/srv/data", True),
    "no bind": (_volume("a", o="nobind", device="/srv/data"), "/srv/data", False),
    "NFS": (_volume("a", type="nfs", o="addr=10.0.0.1", device=":/srv/data"), "/srv/data", False),
    "another driver": (_volume("a", driver="x", o="bind", device="/srv/data"), "/srv/data", False),
    "no mount point, and no source": (Volume("a", "x", {}, {}, "global", ""), "", False),
    "no mount point, and the root": (Volume("a", "x", {}, {}, "global", ""), "/", False),
}


@pytest.mark.parametrize(("volume", "source", "counts"), PATHS.values(), ids=PATHS)
def test_mounts_by_path(volume: Volume, source: str, counts: bool) -> None:
    container = _container("c", _binds(source))
    assert grouping.writes(container, volume) == counts
    assert _held(_made([volume], [container])) == ({"c": "stop"} if counts else {})
    assert not grouping.writes(_container("c", _binds(source, rw=False)), volume)


def test_a_mount_by_path_joins_the_volumes_it_reaches() -> None:
    volumes = [_bound("a", "/srv/one"), _bound("b", "/srv/two"), _volume("d")]
    containers = [_container("c", _binds("/srv/two/x"), "a"), _container("e", "d")]
    assert [group.volumes for group in _made(volumes, containers)] == [("a", "b"), ("d",)]


def test_volumes_within_each_other_are_read_in_one_window() -> None:
    volumes = [_bound("outer", "/srv"), _bound("inner", "/srv/inner")]
    (made,) = _made(volumes, [_container("c", _binds("/srv/inner/x"))])
    assert made.volumes == ("outer", "inner")
    assert made.names == {"outer": ("c",), "inner": ("c",)}


# Labels that are wrong

WRONG = ["", "Stop", "STOP", " stop", "kill", "yes", "true", "stop,pause", "\u00adstop"]


@pytest.mark.parametrize("word", WRONG)
def test_a_volumes_label_that_is_wrong_fails_that_volume(word: str) -> None:
    volumes = [_volume("a", word), _volume("b")]
    made, errors = groups(volumes, [_container("c", "b")], "stop")
    assert [group.volumes for group in made] == [("b",)]
    assert _held(made) == {"c": "stop"}
    assert {name: str(error) for name, error in errors.items()} == {
        "a": f"volume a: its label drydock.quiesce is {word!r}; it can be none, pause, stop"
    }


@pytest.mark.parametrize("word", WRONG)
def test_a_containers_label_that_is_wrong_fails_the_volumes_it_writes_to(word: str) -> None:
    volumes = [_volume("a"), _volume("b"), _volume("d"), _volume("e")]
    containers = [_quiesced("bad", "a", "b", by=word), _container("good", "b", "d"), _container("other", "e")]
    made, errors = groups(volumes, containers, "stop")
    assert [group.volumes for group in made] == [("d",), ("e",)]
    assert _held(made) == {"good": "stop", "other": "stop"}
    assert {name: str(error) for name, error in errors.items()} == dict.fromkeys(
        "ab", f"container bad: its label drydock.quiesce is {word!r}; it can be none, pause, stop"
    )


def test_a_volumes_label_that_is_wrong_leaves_open_what_to_do_with_who_writes_there() -> None:
    volumes = [_volume("a", "wrong"), _volume("b"), _volume("d")]
    made, errors = groups(volumes, [_container("c", "a", "b"), _container("e", "d")], "stop")
    assert [group.volumes for group in made] == [("d",)]
    assert set(errors) == {"a", "b"}
    assert {str(error).partition(":")[0] for error in errors.values()} == {"volume a"}


def test_a_containers_own_word_settles_it_whatever_its_volumes_say() -> None:
    volumes = [_volume("a", "wrong"), _volume("b")]
    made, errors = groups(volumes, [_quiesced("c", "a", "b", by="pause")], "stop")
    assert set(errors) == {"a"}
    assert [group.volumes for group in made] == [("b",)]
    assert _held(made) == {"c": "pause"}


@pytest.mark.parametrize("state", ["paused", "exited", "created"])
def test_a_wrong_label_of_who_does_not_run_fails_nothing(state: str) -> None:
    container = _container("c", "a", state=state, labels={"drydock.quiesce": "wrong"})
    assert [group.volumes for group in _made([_volume("a")], [container])] == [("a",)]


def test_a_wrong_label_of_who_uses_other_volumes_fails_nothing() -> None:
    assert _held(_made([_volume("a")], [_quiesced("c", "elsewhere", by="wrong"), _container("d", "a")])) == {
        "d": "stop"
    }


def test_with_all_in_error_there_is_no_group_and_no_command_of_the_tasks() -> None:
    made, errors = groups([_volume("a", "x")], [_container("c", "a")], "stop", [Hook("c", ("true",))])
    assert (made, set(errors)) == ([], {"a"})


def test_without_volumes_there_is_nothing() -> None:
    assert groups([], [_container("c", "a")], "stop", [Hook("c", ("true",))], [Hook("c", ("true",))]) == ([], {})


# Swarm

TASKS: dict[str, tuple[str, Volume, Container, bool]] = {
    "would be stopped": ("stop", _volume("a"), _container("t", "a", labels=SWARM), False),
    "would be paused": ("pause", _volume("a"), _container("t", "a", labels=SWARM), False),
    "by the volume's label": ("none", _volume("a", "pause"), _container("t", "a", labels=SWARM), False),
    "by its own": ("none", _volume("a"), _container("t", "a", labels={**SWARM, "drydock.quiesce": "stop"}), False),
    "is left alone": ("none", _volume("a"), _container("t", "a", labels=SWARM), True),
    "by the volume": ("stop", _volume("a", "none"), _container("t", "a", labels=SWARM), True),
    "by itself": ("stop", _volume("a"), _container("t", "a", labels={**SWARM, "drydock.quiesce": "none"}), True),
    "reads only": ("stop", _volume("a"), _container("t", _uses("a", rw=False), labels=SWARM), True),
    "is gone": ("stop", _volume("a"), _container("t", "a", labels=SWARM, state="exited"), True),
    "has commands": (
        "none",
        _volume("a"),
        _container("t", "a", labels={**SWARM, "drydock.exec-before": "sync"}),
        True,
    ),
}


@pytest.mark.parametrize(("default", "volume", "task", "fine"), TASKS.values(), ids=TASKS)
def test_f25_a_swarm_task_is_refused_if_it_would_have_to_hold_still(
    default: str, volume: Volume, task: Container, fine: bool
) -> None:
    others = [_volume("b", "stop")]
    made, errors = groups([volume, *others], [task, _container("c", "b")], default)
    assert [group.volumes for group in made] == ([("a",), ("b",)] if fine else [("b",)])
    assert _held(made) == {"c": "stop"}
    assert set(errors) == (set() if fine else {"a"})
    assert all("container t is a task of a swarm service" in str(error) for error in errors.values())


# Windows

WINDOWS: dict[str, tuple[str, list[Container], list[tuple[str, ...]]]] = {
    "strangers": ("abd", [_container("x", "a"), _container("y", "b")], [("a",), ("b",), ("d",)]),
    "a container with two": ("abd", [_container("x", "d", "a")], [("a", "d"), ("b",)]),
    "a chain": (
        "abdef",
        [_container("x", "a", "b"), _container("y", "b", "d"), _container("z", "f", "e")],
        [("a", "b", "d"), ("e", "f")],
    ),
    "a chain that closes last": (
        "abdef",
        [_container("w", "a", "b"), _container("x", "e", "f"), _container("y", "d", "f"), _container("z", "d", "b")],
        [("a", "b", "d", "e", "f")],
    ),
    "one that joins three": (
        "abdefg",
        [_container("w", "a", "b"), _container("x", "d", "e"), _container("y", "f"), _container("z", "b", "e", "f")],
        [("a", "b", "d", "e", "f"), ("g",)],
    ),
    "a circle": (
        "abd",
        [_container("x", "a", "b"), _container("y", "b", "d"), _container("z", "d", "a")],
        [("a", "b", "d")],
    ),
    "the same twice": ("ab", [_container("x", "a", "b"), _container("y", "a", "b")], [("a", "b")]),
    "in the order asked for": ("dba", [_container("x", "a", "d")], [("d", "a"), ("b",)]),
    "one that starts after another": (
        "abd",
        [_service("web", "a", needs="db:service_healthy:false"), _service("db", "d"), _service("redis", "b")],
        [("a", "d"), ("b",)],
    ),
    "one in the network of another": (
        "abd",
        [_container("web", "a", network=f"container:{_id('vpn')}"), _container("vpn", "d"), _container("x", "b")],
        [("a", "d"), ("b",)],
    ),
    "a chain of those": (
        "abd",
        [_service("web", "a", needs="app"), _service("app", "b", needs="db"), _service("db", "d")],
        [("a", "b", "d")],
    ),
    "a circle of those": ("ab", [_service("web", "a", needs="db"), _service("db", "b", needs="web")], [("a", "b")]),
    "who starts after one that is left alone": (
        "ab",
        [_service("web", "a", needs="db"), _service("db", _uses("b", rw=False))],
        [("a",), ("b",)],
    ),
    "who starts after one without a volume": (
        "ab",
        [_service("web", "a", needs="proxy"), _service("db", "b", needs="proxy"), _service("proxy")],
        [("a",), ("b",)],
    ),
    "who starts after another project's": (
        "ab",
        [_service("web", "a", needs="db"), _service("db", "b", project="blog")],
        [("a",), ("b",)],
    ),
    "who does nothing joins nothing": ("ab", [_quiesced("x", "a", "b", by="none")], [("a",), ("b",)]),
    "who only reads joins nothing": (
        "ab",
        [_container("x", _uses("a", rw=False), _uses("b", rw=False))],
        [("a",), ("b",)],
    ),
    "who doesn't run joins nothing": ("ab", [_container("x", "a", "b", state="paused")], [("a",), ("b",)]),
    "an unasked volume joins nothing": (
        "ab",
        [_container("x", "a", "elsewhere"), _container("y", "elsewhere", "b")],
        [("a",), ("b",)],
    ),
    "commands join": (
        "ab",
        [
            _container(
                "x",
                _uses("a", rw=False),
                _uses("b", rw=False),
                labels={"drydock.quiesce": "none", "drydock.exec-before": "sync"},
            )
        ],
        [("a", "b")],
    ),
    "an empty command doesn't": (
        "ab",
        [_container("x", "a", "b", labels={"drydock.quiesce": "none", "drydock.exec-before": ""})],
        [("a",), ("b",)],
    ),
}


@pytest.mark.parametrize(("names", "containers", "windows"), WINDOWS.values(), ids=WINDOWS)
def test_which_volumes_are_read_in_one_window(
    names: str, containers: list[Container], windows: list[tuple[str, ...]]
) -> None:
    for order in itertools.permutations(containers):
        made = _made([_volume(name) for name in names], order)
        assert [group.volumes for group in made] == windows


def test_an_error_cuts_a_chain() -> None:
    volumes = [_volume("a"), _volume("b", "wrong"), _volume("d")]
    containers = [_quiesced("x", "a", "b", by="stop"), _quiesced("y", "b", "d", by="stop")]
    made, errors = groups(volumes, containers, "none")
    assert set(errors) == {"b"}
    assert [(group.volumes, _held([group])) for group in made] == [(("a",), {"x": "stop"}), (("d",), {"y": "stop"})]


# Commands


def _command(name: str, line: str) -> Hook:
    return Hook(_id(name), ("/bin/sh", "-c", line))


def test_commands_by_label_are_run_for_their_own_volumes() -> None:
    containers = [
        _container("x", "a", labels={"drydock.exec-before": "dump > /a; sync", "drydock.exec-after": "rm /a"}),
        _container("y", _uses("a", rw=False), labels={"drydock.exec-before": "freeze"}),
        _container("z", _uses("b", rw=False), labels={"drydock.exec-after": "thaw", "drydock.quiesce": "stop"}),
        _container("other", "elsewhere", labels={"drydock.exec-before": "never", "drydock.exec-after": "never"}),
        _container("silent", "d"),
    ]
    first, second, third = _made([_volume("a"), _volume("b"), _volume("d")], containers, "none")
    assert (first.before, first.after) == (
        (_command("x", "dump > /a; sync"), _command("y", "freeze")),
        (_command("x", "rm /a"),),
    )
    assert (second.before, second.after) == ((), (_command("z", "thaw"),))
    assert (third.before, third.after) == ((), ())
    assert _held([first, second, third]) == {}


def test_commands_of_who_is_held_too() -> None:
    labels = {"drydock.exec-before": "flush", "drydock.quiesce": "pause"}
    (made,) = _made([_volume("a")], [_container("x", "a", labels=labels)], "none")
    assert (_held([made]), made.before) == ({"x": "pause"}, (_command("x", "flush"),))


@pytest.mark.parametrize("where", ["before", "after"])
def test_commands_of_the_task_make_one_window_and_are_the_outermost(where: str) -> None:
    mine = Hook("db", ("sync",), "postgres")
    containers = [_container("x", "b", labels={"drydock.exec-before": "one", "drydock.exec-after": "two"})]
    made, errors = groups([_volume("a"), _volume("b"), _volume("d", "wrong")], containers, "none", **{where: [mine]})
    (group,) = made
    assert set(errors) == {"d"}
    assert group.volumes == ("a", "b")
    task: dict[str, tuple[Hook, ...]] = {"before": (), "after": (), where: (mine,)}
    assert group.before == (*task["before"], _command("x", "one"))
    assert group.after == (_command("x", "two"), *task["after"])


def test_commands_of_a_container_whose_volumes_all_failed_are_not_run() -> None:
    container = _container("x", "a", labels={"drydock.exec-before": "one", "drydock.quiesce": "none"})
    made, errors = groups([_volume("a", "wrong"), _volume("b")], [container], "stop")
    assert (set(errors), [group.before for group in made]) == ({"a"}, [()])


# What is said of a volume

SAID: dict[str, tuple[str, Volume, list[Container], str, tuple[str, ...]]] = {
    # the task's; the volume; the containers; the weakest that was done; to whom something was done
    "nothing runs": ("stop", _volume("a"), [], "stop", ()),
    "nothing runs, the volume's word": ("none", _volume("a", "pause"), [], "pause", ()),
    "all are stopped or paused already": (
        "stop",
        _volume("a"),
        [_container("c", "a", state="exited"), _container("d", "a", state="paused")],
        "stop",
        (),
    ),
    "only readers": ("stop", _volume("a"), [_container("c", _uses("a", rw=False))], "stop", ()),
    "one that is left alone": ("stop", _volume("a"), [_quiesced("c", "a", by="none")], "none", ()),
    "all": ("stop", _volume("a"), [_container("d", "a"), _container("c", "a")], "stop", ("c", "d")),
    "the weakest": (
        "stop",
        _volume("a"),
        [_container("e", "a"), _quiesced("d", "a", by="pause"), _container("c", "a")],
        "pause",
        ("c", "d", "e"),
    ),
    "the weakest does nothing": (
        "stop",
        _volume("a"),
        [_quiesced("d", "a", by="pause"), _quiesced("e", "a", by="none"), _container("c", "a")],
        "none",
        ("c", "d"),
    ),
    "a reader's word doesn't count": (
        "stop",
        _volume("a"),
        [_container("c", "a"), _quiesced("d", _uses("a", rw=False), by="none")],
        "stop",
        ("c",),
    ),
    "a writer by path counts": (
        "stop",
        _bound("a", "/srv/a"),
        [_container("c", "a"), _quiesced("d", _binds("/srv/a/x"), by="pause")],
        "pause",
        ("c", "d"),
    ),
}


@pytest.mark.parametrize(("default", "volume", "containers", "method", "names"), SAID.values(), ids=SAID)
def test_what_is_said_of_a_volume_is_true_of_all_its_writers(
    default: str, volume: Volume, containers: list[Container], method: str, names: tuple[str, ...]
) -> None:
    (made,) = _made([volume], containers, default)
    assert (made.method, made.names) == ({"a": method}, {"a": names})


def test_each_volume_of_a_window_has_its_own_word() -> None:
    containers = [_container("x", "a", "b"), _quiesced("y", "b", by="pause"), _quiesced("z", "a", by="none")]
    (made,) = _made([_volume("a"), _volume("b"), _volume("d")], containers)[:1]
    assert made.volumes == ("a", "b")
    assert made.method == {"a": "none", "b": "pause"}
    assert made.names == {"a": ("x",), "b": ("x", "y")}


# The order in which containers start

WEB_NEEDS: dict[str, tuple[str, dict[str, bool]]] = {
    # the label of web; what it starts after, and whether that must be healthy
    "healthy": ("db:service_healthy:false", {"db": True}),
    "started": ("db:service_started:true", {"db": False}),
    "both": ("db:service_healthy:false,redis:service_started:true", {"db": True, "redis": False}),
    "completed": ("db:service_completed_successfully:false", {"db": False}),
    "as old versions wrote it": ("db,redis", {"db": False, "redis": False}),
    "without restart": ("db:service_healthy", {"db": True}),
    "an empty condition": ("db:", {"db": False}),
    "nothing": ("", {}),
    "commas": (",,db:service_started:false,", {"db": False}),
    "a service that isn't there": ("cache:service_healthy:false", {}),
    "a part of a name": ("d:service_healthy:false,dbs:service_started:false", {}),
    "itself": ("web:service_healthy:false", {}),
    "no name": (":service_healthy:false", {}),
}


def _needs(made: c.Iterable[Group], name: str) -> dict[str, bool]:
    (member,) = (member for group in made for member in group.members if member.name == name)
    names = {other.id: other.name for group in made for other in group.members}
    assert member.healthy <= member.after <= names.keys() - {member.id}
    return {names[other]: other in member.healthy for other in member.after}


@pytest.mark.parametrize(("needs", "expected"), WEB_NEEDS.values(), ids=WEB_NEEDS)
def test_compose_says_after_whom_a_container_starts(needs: str, expected: dict[str, bool]) -> None:
    containers = [_service("web", "a", needs=needs), _service("db", "a"), _service("redis", "a")]
    for order in itertools.permutations(containers):
        made = _made([_volume("a")], order)
        assert [_needs(made, name) for name in ("web", "db", "redis")] == [expected, {}, {}]


def test_all_of_a_services_containers_are_waited_for() -> None:
    containers = [_service("web", "a", needs="db:service_healthy:false"), *(_service(f"db{n}", "a") for n in (1, 2, 3))]
    assert _needs(_made([_volume("a")], containers), "web") == {"db1": True, "db2": True, "db3": True}


def test_replicas_do_not_wait_for_each_other() -> None:
    containers = [_service(f"web{n}", "a", needs="db:service_started:false") for n in (1, 2)]
    made = _made([_volume("a")], [*containers, _service("db", "a")])
    assert [_needs(made, f"web{n}") for n in (1, 2)] == [{"db": False}] * 2


def test_a_circle_is_told_as_it_is() -> None:
    containers = [_service("web", "a", needs="db"), _service("db", "a", needs="web")]
    made = _made([_volume("a")], containers)
    assert (_needs(made, "web"), _needs(made, "db")) == ({"db": False}, {"web": False})


@pytest.mark.parametrize(("mine", "theirs"), [("shop", "blog"), ("shop", ""), ("", "shop"), ("", "")])
def test_another_projects_service_of_that_name_does_not_count(mine: str, theirs: str) -> None:
    containers = [_service("web", "a", needs="db", project=mine), _service("db", "a", project=theirs)]
    assert _needs(_made([_volume("a")], containers), "web") == {}


@pytest.mark.parametrize(
    "other", [_service("db", "elsewhere"), _service("db", "a", state="exited"), _service("db", _uses("a", rw=False))]
)
def test_who_need_not_hold_still_is_not_waited_for(other: Container) -> None:
    made = _made([_volume("a")], [_service("web", "a", needs="db:service_healthy:false"), other])
    assert _needs(made, "web") == {}


def test_who_is_left_alone_is_not_waited_for() -> None:
    other = _service("db", "a")
    other["Labels"]["drydock.quiesce"] = "none"
    assert _needs(_made([_volume("a")], [_service("web", "a", needs="db"), other]), "web") == {}


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        (f"container:{_id('vpn')}", {"vpn": False}),
        ("container:vpn", {"vpn": False}),
        (f"container:{_id('vpn2')}", {}),
        ("container:", {}),
        ("container", {}),
        ("vpn", {}),
        ("bridge", {}),
        ("host", {}),
        ("none", {}),
        ("", {}),
    ],
)
def test_who_uses_anothers_network_starts_after_it(network: str, expected: dict[str, bool]) -> None:
    made = _made([_volume("a")], [_container("web", "a", network=network), _container("vpn", "a")])
    assert (_needs(made, "web"), _needs(made, "vpn")) == (expected, {})


def test_a_network_does_not_hide_what_compose_says() -> None:
    web = _service("web", "a", needs="db:service_healthy:false", network=f"container:{_id('vpn')}")
    made = _made([_volume("a")], [web, _service("db", "a"), _service("vpn", "a")])
    assert _needs(made, "web") == {"db": True, "vpn": False}


def test_a_network_of_a_service_that_must_be_healthy() -> None:
    web = _service("web", "a", needs="vpn:service_healthy:true", network=f"container:{_id('vpn')}")
    assert _needs(_made([_volume("a")], [web, _service("vpn", "a")]), "web") == {"vpn": True}


# Properties

_NAMES = "abcdef"
_WORDS = ("none", "pause", "stop")
_WORD = st.none() | st.sampled_from(_WORDS)
_MAYBE_WRONG = st.one_of(_WORD, _WORD, st.just("wrong"))
_STATE = st.sampled_from(["running"] * 4 + ["restarting", "paused", "exited"])
_LINE = st.none() | st.sampled_from(["", "sync"])
_MOUNTS = st.dictionaries(st.sampled_from([*_NAMES, "elsewhere"]), st.booleans(), max_size=3)


@st.composite
def _containers(draw: st.DrawFn) -> list[Container]:
    made = []
    for number in range(draw(st.integers(0, 6))):
        labels = {
            "drydock.quiesce": draw(_MAYBE_WRONG),
            "drydock.exec-before": draw(_LINE),
            "drydock.exec-after": draw(_LINE),
            "com.docker.compose.project": draw(st.sampled_from(["shop", "shop", "blog", None])),
            "com.docker.compose.service": draw(st.sampled_from(["web", "db"])),
            "com.docker.compose.depends_on": draw(st.sampled_from([None, "web:service_healthy:false", "db,web"])),
            "com.docker.swarm.task.id": draw(st.sampled_from([None] * 7 + ["task"])),
        }
        made.append(
            _container(
                f"c{number}",
                *(_uses(name, rw=rw) for name, rw in draw(_MOUNTS).items()),
                state=draw(_STATE),
                network=draw(st.sampled_from(["bridge", "host", "container:c0", f"container:{_id('c1')}"])),
                labels={key: value for key, value in labels.items() if value is not None} or None,
            )
        )
    return made


VOLUMES = st.dictionaries(st.sampled_from(_NAMES), _MAYBE_WRONG).map(
    lambda words: [_volume(name, word) for name, word in words.items()]
)
CONTAINERS = _containers()
DEFAULT = st.sampled_from(_WORDS)
HOOKS = st.lists(st.just(Hook("db", ("sync",))), max_size=1)


def _written(container: Container) -> set[str]:
    running = container["State"] in ("running", "restarting")
    return {mount["Name"] for mount in container["Mounts"] or [] if mount["RW"] and running}


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT, HOOKS, HOOKS)
def test_each_volume_is_in_one_group_or_in_error(
    volumes: list[Volume], containers: list[Container], default: str, before: list[Hook], after: list[Hook]
) -> None:
    made, errors = groups(volumes, containers, default, before, after)
    placed = [name for group in made for name in group.volumes]
    assert sorted([*placed, *errors]) == sorted(volume.name for volume in volumes)
    for group in made:
        assert group.volumes
        assert set(group.volumes) == set(group.method) == set(group.names)
        assert set(group.method.values()) <= set(_WORDS)
    if before or after:
        assert len(made) <= 1


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT)
def test_no_container_has_a_part_in_two_groups(
    volumes: list[Volume], containers: list[Container], default: str
) -> None:
    made, _errors = groups(volumes, containers, default)
    for parts in (
        [member.id for group in made for member in group.members],
        [hook.container for group in made for hook in group.before],
        [hook.container for group in made for hook in group.after],
    ):
        assert len(parts) == len(set(parts))
    for group in made:
        ids = {member.id for member in group.members}
        for member in group.members:
            assert member.method in ("pause", "stop")
            assert member.healthy <= member.after <= ids - {member.id}


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT, HOOKS)
def test_what_is_said_of_a_volume_holds(
    volumes: list[Volume], containers: list[Container], default: str, before: list[Hook]
) -> None:
    made, _errors = groups(volumes, containers, default, before)
    for group in made:
        held = {member.id: member.method for member in group.members}
        for name in group.volumes:
            writers = [container for container in containers if name in _written(container)]
            done = [held.get(container["Id"], "none") for container in writers]
            assert all(_WORDS.index(group.method[name]) <= _WORDS.index(each) for each in done)
            assert not done or group.method[name] in done
            assert group.names[name] == tuple(sorted(name_of(one) for one in writers if one["Id"] in held))


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT)
def test_only_who_writes_to_a_window_holds_still_for_it(
    volumes: list[Volume], containers: list[Container], default: str
) -> None:
    made, _errors = groups(volumes, containers, default)
    by_id = {container["Id"]: container for container in containers}
    for group in made:
        for member in group.members:
            container = by_id[member.id]
            assert _written(container) & {volume.name for volume in volumes}
            assert "com.docker.swarm.task.id" not in (container["Labels"] or {})
            own = (container["Labels"] or {}).get("drydock.quiesce")
            assert own in (None, member.method)


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT)
def test_nobody_depends_on_who_holds_still_in_another_window(
    volumes: list[Volume], containers: list[Container], default: str
) -> None:
    made, errors = groups(volumes, containers, default)
    # in one window all of them are seen
    together, same = groups(volumes, containers, default, [Hook("db", ("sync",))])
    assert set(errors) == set(same)
    apart = {member.id: member for group in made for member in group.members}
    assert apart == {member.id: member for group in together for member in group.members}


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT)
def test_windows_are_no_larger_than_they_must_be(
    volumes: list[Volume], containers: list[Container], default: str
) -> None:
    made, _errors = groups(volumes, containers, default)
    for group in made:
        reached = {group.volumes[0]}
        acting = {member.id for member in group.members} | {hook.container for hook in (*group.before, *group.after)}
        uses = {
            one["Id"]: {mount["Name"] for mount in one["Mounts"] or []} for one in containers if one["Id"] in acting
        }
        links = [*uses.values()]
        links += [uses[member.id] | uses[other] for member in group.members for other in member.after]
        for _round in links:
            reached.update(*(link for link in links if link & reached))
        assert set(group.volumes) <= reached


@LIGHT
@hypothesis.given(VOLUMES, CONTAINERS, DEFAULT, st.data())
def test_the_order_does_not_matter(
    volumes: list[Volume], containers: list[Container], default: str, data: st.DataObject
) -> None:
    def outcome(volumes: list[Volume], containers: list[Container]) -> object:
        made, errors = groups(volumes, containers, default)
        return {
            frozenset(group.volumes): (
                frozenset(group.members),
                frozenset(group.before),
                frozenset(group.after),
                group.method,
                group.names,
            )
            for group in made
        }, set(errors)

    mixed = data.draw(st.permutations(volumes)), data.draw(st.permutations(containers))
    assert outcome(*mixed) == outcome(volumes, containers)
