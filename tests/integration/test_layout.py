# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes laid out: in every state, of every kind that this host has, with drift, and away again."""

from __future__ import annotations

import os
import pathlib
import re
import stat
import typing as t

import pytest

from tests.support.engine import Engine
from tests.support.modules import Answer, Modules

LAYOUT = "docker_volume_layout"


def lay(modules: Modules, *volumes: dict[str, t.Any], **options: t.Any) -> Answer:
    """Lay volumes out; it must succeed."""
    answer = modules.run(LAYOUT, volumes=list(volumes), **{"diff": True, **options})
    assert not answer.get("failed"), answer["msg"]
    return answer


def refused(modules: Modules, *volumes: dict[str, t.Any], **options: t.Any) -> str:
    """Try to lay volumes out, which must be refused, in check mode with the same words."""
    predicted = modules.refused(LAYOUT, volumes=list(volumes), check=True, **options)
    message = modules.refused(LAYOUT, volumes=list(volumes), **options)
    assert message == predicted
    return message


def attributes(path: pathlib.Path) -> tuple[int, int, str]:
    """Owner, group and mode."""
    facts = path.stat()
    return facts.st_uid, facts.st_gid, f"{stat.S_IMODE(facts.st_mode):04o}"


def known_before(answer: Answer) -> dict[str, t.Any]:
    """What check mode can know."""
    told = {key: value for key, value in answer.items() if key not in ("invocation", "volumes", "warnings")}
    return {**told, "volumes": [{**one, "path": None, "backup": None} for one in answer["volumes"]]}


def exists(engine: Engine, volume: str) -> bool:
    return volume in engine.names()


def test_twelve_states(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """Create, repeat, modify, repeat, delete, delete what is gone: each in check mode, and then for real."""
    plain, disk = engine.name(), engine.name()
    device = work / "disk" / disk

    def state(mode: str, group: str, label: str) -> list[dict[str, t.Any]]:
        return [
            {"name": plain, "labels": {"tier": "cache"}, "owner": "1234", "group": group},
            {"name": disk, "device_path": str(device), "owner": "4321", "mode": mode, "labels": {"tier": label}},
        ]

    def both(volumes: list[dict[str, t.Any]], *, changed: list[bool], **options: t.Any) -> Answer:
        held = record()
        predicted = lay(modules, *volumes, check=True, **options)
        assert record() == held
        done = lay(modules, *volumes, **options)
        assert known_before(predicted) == known_before(done)
        assert [one["changed"] for one in done["volumes"]] == changed
        assert done["changed"] == any(changed)
        return done

    def record() -> object:
        """All of this host that may change."""
        paths = sorted(work.glob("disk/**/*"))
        there = {name: engine.inspect(name) for name in engine.names()}
        roots = [pathlib.Path(one["Mountpoint"]) for one in there.values()]
        return there, paths, [attributes(path) for path in [*paths, *roots]]

    wanted = state("0750", "1235", "data")
    created = both(wanted, changed=[True, True])
    assert [one["actions"] for one in created["volumes"]] == [
        ["create", "set owner and mode"],
        ["make directory", "create"],
    ]
    assert created["diff"]["before"]["volumes"] == {plain: {"exists": False}, disk: {"exists": False}}
    assert created["diff"]["after"]["volumes"] == {
        plain: {
            "exists": True,
            "driver": "local",
            "options": {},
            "labels": {"tier": "cache"},
            "owner": 1234,
            "group": 1235,
            "mode": "0755",
        },
        disk: {
            "exists": True,
            "driver": "local",
            "options": {"type": "none", "o": "bind", "device": str(device)},
            "labels": {"tier": "data"},
            "owner": 4321,
            "group": 0,
            "mode": "0750",
        },
    }
    assert attributes(engine.path(plain)) == (1234, 1235, "0755")
    assert attributes(device) == (4321, 0, "0750")
    assert [one["path"] for one in created["volumes"]] == [str(engine.path(plain)), str(device)]

    again = both(wanted, changed=[False, False])
    assert again["diff"] == {"before": {"volumes": {}}, "after": {"volumes": {}}}

    wanted = state("0700", "1236", "logs")
    modified = both(wanted, changed=[True, True], on_drift="recreate")
    assert [one["actions"] for one in modified["volumes"]] == [
        ["set owner and mode"],
        ["remove", "set owner and mode", "create"],
    ]
    assert modified["volumes"][1]["drift"] == {"labels.tier": {"is": "data", "wanted": "logs"}}
    assert modified["diff"]["before"]["volumes"][disk]["mode"] == "0750"
    assert modified["diff"]["after"]["volumes"][disk]["mode"] == "0700"
    assert attributes(engine.path(plain)) == (1234, 1236, "0755")
    assert attributes(device) == (4321, 0, "0700")
    assert engine.inspect(disk)["Labels"] == {"tier": "logs"}

    both(wanted, changed=[False, False], on_drift="recreate")

    gone = [{"name": name, "state": "absent"} for name in (plain, disk)]
    removed = both(gone, changed=[True, True])
    assert engine.names() == []
    assert [one["kept"] for one in removed["volumes"]] == [None, str(device)]
    assert [one["state"] for one in removed["volumes"]] == ["absent", "absent"]
    assert attributes(device) == (4321, 0, "0700")

    both(gone, changed=[False, False])


def test_kinds_that_docker_mounts(engine: Engine, modules: Modules) -> None:
    """Their options get to Docker as they are; the order of mount options is nobody's business."""
    nfs, memory = engine.name(), engine.name()
    volumes = [
        {"name": nfs, "driver_options": {"type": "nfs", "o": "addr=192.0.2.1,nfsvers=4.2,hard", "device": ":/export"}},
        {"name": memory, "driver_options": {"type": "tmpfs", "o": "size=1m,mode=0700", "device": "tmpfs"}},
    ]
    lay(modules, *volumes)
    assert engine.inspect(nfs)["Options"] == volumes[0]["driver_options"]
    holder = engine.run(memory, command=["sh", "-c", "stat -f -c %T /v; stat -c %a /v"])
    assert engine.api.wait(holder)["StatusCode"] == 0
    assert engine.api.logs(holder).split() == [b"tmpfs", b"700"]
    volumes[0]["driver_options"] |= {"o": "hard,addr=192.0.2.1,nfsvers=4.2"}
    assert not lay(modules, *volumes)["changed"]

    # what is on the server stays there, so nobody looks into it, although the server doesn't answer
    volumes[0]["driver_options"] |= {"o": "hard,addr=192.0.2.1,nfsvers=4.2,ro"}
    recreated = lay(modules, volumes[0], on_drift="recreate")
    assert recreated["volumes"][0]["drift"] == {
        "driver_options.o": {"is": "addr=192.0.2.1,nfsvers=4.2,hard", "wanted": "hard,addr=192.0.2.1,nfsvers=4.2,ro"}
    }
    assert engine.inspect(nfs)["Options"]["o"] == "hard,addr=192.0.2.1,nfsvers=4.2,ro"
    assert lay(modules, {"name": nfs, "state": "absent"})["volumes"][0]["kept"] == "192.0.2.1:/export"


def test_labels_and_options_that_are_no_text(engine: Engine, modules: Modules) -> None:
    volume = engine.name()
    wanted = {"name": volume, "labels": {"drydock.backup": True, "tier": 1}}
    lay(modules, wanted)
    assert engine.inspect(volume)["Labels"] == {"drydock.backup": "true", "tier": "1"}
    # labels that somebody else has given it are theirs
    assert not lay(modules, {"name": volume, "labels": {"tier": 1}})["changed"]
    assert not lay(modules, {"name": volume})["changed"]


def test_drift_is_told_option_by_option(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (work / "one").mkdir()
    volume = engine.bind(work / "one")
    (work / "one" / "file").write_text("data")
    wanted = {"name": volume, "device_path": str(work / "two"), "labels": {"tier": "data"}}

    message = refused(modules, wanted)
    assert f"volume {volume} exists, and isn't as it should be" in message
    assert f"driver_options.device is '{work}/one', not '{work}/two'" in message
    assert "labels.tier is not set, not 'data'" in message

    warned = lay(modules, wanted, on_drift="warn")
    assert not warned["changed"]
    assert "it is left as it is" in str(warned["warnings"])
    assert warned["volumes"][0]["drift"] == {
        "driver_options.device": {"is": f"{work}/one", "wanted": f"{work}/two"},
        "labels.tier": {"is": None, "wanted": "data"},
    }

    # recreated, it would show an empty directory in place of the data
    assert f"holds data, which would stay at {work}/one when it is recreated" in refused(
        modules, wanted, on_drift="recreate"
    )
    assert not (work / "two").exists()
    done = lay(
        modules,
        wanted,
        on_drift="recreate",
        recreate_with_data=True,
        backup_to={"repository": str(work / "repository")},
    )
    assert done["volumes"][0]["actions"] == ["remove", "make directory", "create"]
    assert done["volumes"][0]["kept"] == f"{work}/one"
    assert (work / "one" / "file").read_text() == "data"
    assert engine.inspect(volume)["Options"]["device"] == f"{work}/two"
    assert not (work / "repository").exists()


def test_a_plain_volume_moves_to_a_disk_by_way_of_a_backup(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    (engine.path(volume) / "file").write_text("data")
    wanted = {"name": volume, "device_path": str(work / "disk")}
    message = refused(modules, wanted, on_drift="recreate")
    assert "it holds data, which would be lost when it is recreated" in message
    options = {
        "on_drift": "recreate",
        "recreate_with_data": True,
        "backup_to": {"repository": repository, "host": "db1"},
    }

    predicted = lay(modules, wanted, check=True, **options)
    assert predicted["volumes"][0]["backup"] == {"id": None, "path": None}
    assert not os.path.exists(repository)
    done = lay(modules, wanted, **options)
    assert known_before(predicted) == known_before(done)
    assert done["volumes"][0]["actions"] == ["back up", "remove", "make directory", "create"]
    assert done["volumes"][0]["backup"]["path"].startswith(f"{repository}/db1/{volume}/")
    assert os.listdir(work / "disk") == []

    modules.restore(volume, repository=repository, host="db1", backup=done["volumes"][0]["backup"]["id"])
    assert (work / "disk" / "file").read_text() == "data"
    assert not lay(modules, wanted, **options)["changed"]


def test_an_empty_volume_is_recreated_without_a_further_word(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    volume = engine.volume()
    done = lay(modules, {"name": volume, "device_path": str(work / "disk")}, on_drift="recreate")
    assert done["volumes"][0]["actions"] == ["remove", "make directory", "create"]
    assert engine.inspect(volume)["Options"]["device"] == f"{work}/disk"


def test_what_containers_refer_to_stays(engine: Engine, modules: Modules) -> None:
    running, stopped, by_path = engine.volume(), engine.volume(), engine.volume()
    names = [engine.name() for _number in range(3)]
    engine.run(running, name=names[0])
    engine.run(stopped, name=names[1], start=False)
    engine.run(str(engine.path(by_path)), name=names[2])
    volumes = (running, stopped, by_path)
    removal = refused(modules, *({"name": volume, "state": "absent"} for volume in volumes), remove_with_data=True)
    drifted = [{"name": volume, "labels": {"a": "b"}} for volume in volumes]
    recreation = refused(modules, *drifted, on_drift="recreate")
    for volume, container in zip(volumes, names, strict=True):
        assert f"volume {volume} isn't removed: containers or services refer to it ({container})" in removal
        assert f"volume {volume} isn't recreated: containers or services refer to it ({container})" in recreation
    assert engine.names() == sorted([running, stopped, by_path])


def test_absent_and_data(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    first, second = engine.volume(), engine.volume()
    for volume in (first, second):
        (engine.path(volume) / "file").write_text(volume)
    gone = {"name": first, "state": "absent"}
    assert f"volume {first} holds data, which would be lost with it; give backup_to" in refused(modules, gone)

    repository = str(work / "repository")
    predicted = lay(modules, gone, backup_to={"repository": repository}, check=True)
    assert not os.path.exists(repository)
    removed = lay(modules, gone, backup_to={"repository": repository})
    assert known_before(predicted) == known_before(removed)
    assert removed["volumes"][0]["actions"] == ["back up", "remove"]
    assert not exists(engine, first)
    modules.restore(first, repository=repository)
    assert (engine.path(first) / "file").read_text() == first

    assert lay(modules, {"name": second, "state": "absent"}, remove_with_data=True)["volumes"][0]["backup"] is None
    assert not exists(engine, second)


def test_one_volumes_failure_does_not_stop_the_others(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    good, bad, better = engine.name(), engine.name(), engine.name()
    volumes = [
        {"name": good},
        {"name": bad, "driver_options": {"type": "none", "o": "bind", "device": str(work / "gone")}},
        {"name": better},
    ]
    answer = modules.run(LAYOUT, volumes=volumes)
    assert answer["failed"]
    assert answer["changed"]
    assert [failure["volume"] for failure in answer["failures"]] == [bad]
    assert answer["msg"] == (
        f"volume {bad}: its device {work}/gone isn't there; mount or make it, or have it made with device_path; "
        "nothing was changed"
    )
    assert [one["state"] for one in answer["volumes"]] == ["present", "absent", "present"]
    assert engine.names() == sorted([good, better])


WRONG: dict[str, tuple[list[dict[str, t.Any]], list[str]]] = {
    "twice": ([{"name": "a1"}, {"name": "a1"}], ["volume a1 is there more than once"]),
    "two of one device": (
        [{"name": "a1", "device_path": "/mnt/x"}, {"name": "a2", "device_path": "/mnt/x/"}],
        ["volumes a1 and a2 both have the device /mnt/x"],
    ),
    "all that is wrong at once": (
        [
            {"name": "a1", "driver_options": {"type": "nfs", "device": ":/e", "o": "rw"}},
            {"name": "a2", "driver_options": {"type": "cifs", "device": "//s/x", "o": "username=u,password=hidden"}},
        ],
        ["volume a1: addr= is missing in o", "volume a2: a password in o is shown to all"],
    ),
    "mode": ([{"name": "a1", "mode": 488}], ["volume a1: mode is 488; write octal digits in quotes, such as '0750'"]),
    "relative": ([{"name": "a1", "device_path": "mnt/x"}], ["device_path is"]),
    "no driver": ([{"name": "a1", "driver": "drydock-none"}], ["the daemon has no driver drydock-none: install"]),
    "no name": ([{"name": "../x"}], ["volume name '../x' can't be used"]),
}


@pytest.mark.parametrize(("volumes", "texts"), WRONG.values(), ids=WRONG)
def test_wrong_options_are_told_before_anything_is_made(
    engine: Engine, modules: Modules, volumes: list[dict[str, t.Any]], texts: list[str]
) -> None:
    made = engine.name()
    answer = modules.run(LAYOUT, volumes=[{"name": made}, *volumes])
    assert answer["failed"]
    for text in texts:
        assert text in answer["msg"]
    assert "hidden" not in answer["msg"]
    assert "volumes" not in answer
    assert not exists(engine, made)


def test_many_volumes_cost_as_many_reads_as_one(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """The daemon doesn't tell what it was asked: look at the system calls that ask."""
    volumes = [{"name": engine.name()} for _number in range(15)]
    volumes += [{"name": engine.name(), "device_path": str(work / str(number))} for number in range(5)]

    def reads(*volumes: dict[str, t.Any]) -> list[str]:
        log = work / "trace"
        wrapper = ["strace", "-f", "-qq", "-s", "200", "-e", "trace=sendto,write", "-o", str(log)]
        lay(modules, *volumes, wrapper=wrapper)
        return re.findall(r'"GET (?:/v[0-9.]+)?(\S+) HTTP', log.read_text())

    one = reads(volumes[0])
    assert len([request for request in one if request == "/volumes"]) == 1
    assert len(reads(*volumes)) == len(one)
    gone = reads(*({"name": volume["name"], "state": "absent"} for volume in volumes))
    assert len(gone) == len(one) + 2  # containers, and what the daemon says of a swarm
    assert engine.names() == []
