# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who uses which volume, and what is removed: on the real engine, check mode beside the real run."""

from __future__ import annotations

import json
import os
import pathlib
import re
import stat
import subprocess

import pytest

from tests.support import disks, records, trees
from tests.support.engine import LABEL, Engine
from tests.support.modules import Modules
from tests.support.orphans import PRUNE, USAGE, Orphans, backdate, kept, reason, removed


@pytest.fixture
def orphans(engine: Engine, modules: Modules, work: pathlib.Path) -> Orphans:
    return Orphans(engine, modules, work)


def anonymous(engine: Engine) -> str:
    """A volume whose name Docker made up, left by a container that is gone."""
    engine.import_image()
    made = engine.api.create_container(engine.IMAGE, ["true"], volumes=["/v"])["Id"]
    (mount,) = engine.api.inspect_container(made)["Mounts"]
    engine.api.remove_container(made)
    return str(mount["Name"])


def test_a_week_of_pruning(engine: Engine, orphans: Orphans) -> None:
    unused, used, protected = engine.volume(), engine.volume(), engine.name()
    engine.api.create_volume(protected, labels={LABEL: "yes", "drydock.protect": "true"})
    (engine.path(unused) / "file").write_bytes(bytes(10_000))
    user = engine.run(used)
    first = orphans.pruned(grace="7d")
    assert (first["changed"], first["orphans"], removed(first)) == (False, [], [])
    assert kept(first) == {unused: "too_young", used: "used", protected: "protected"}
    assert stat.S_IMODE(orphans.state.stat().st_mode) == 0o600
    engine.api.remove_container(user, force=True)

    sixth = orphans.prune(grace="7d", days=6)
    assert kept(sixth) == {unused: "too_young", used: "too_young", protected: "protected"}
    eighth = orphans.pruned(grace="7d", days=8)
    assert removed(eighth) == eighth["orphans"] == [unused]
    assert kept(eighth) == {used: "too_young", protected: "protected"}
    (gone,) = eighth["removed"]
    assert (gone["bytes"], gone["files"], gone["left"], gone["backup"]) == (10_000, 1, None, None)
    assert eighth["reclaimed_bytes"] == gone["allocated_bytes"] >= 10_000
    assert 8 * 86400 <= gone["age_seconds"] < 8 * 86400 + 300
    assert eighth["diff"]["before"]["orphans"].keys() == {unused}
    assert eighth["diff"]["after"] == {"orphans": {}}

    # what is seen used again counts from its last use on
    user = engine.run(used, start=False)
    orphans.prune(grace="7d", days=9)
    engine.api.remove_container(user, force=True)
    assert kept(orphans.prune(grace="7d", days=15))[used] == "too_young"
    assert removed(orphans.prune(grace="7d", days=22)) == [used]
    assert not orphans.prune(grace="7d", days=30)["changed"]


def test_what_comes_and_goes_between_the_runs_is_not_an_orphan(engine: Engine, orphans: Orphans) -> None:
    job, idle = engine.volume(), engine.volume()
    (engine.path(job) / "folder").mkdir()
    orphans.prune(grace="7d")
    (engine.path(job) / "folder" / "new").touch()
    backdate(orphans.state, 8)
    answer = orphans.pruned(grace="7d")
    assert kept(answer) == {job: "too_young", idle: "too_young"}
    assert "its files were changed since then: something uses it at times" in reason(answer, job)
    assert removed(orphans.prune(grace="7d", days=6)) == []
    assert removed(orphans.prune(grace="7d", days=8)) == [job, idle]


def test_a_volume_made_anew_under_its_name_counts_anew(engine: Engine, orphans: Orphans) -> None:
    name = engine.volume()
    orphans.prune(grace="7d")
    state = json.loads(orphans.state.read_text())
    (daemon,) = state["daemons"].values()
    daemon[name]["mark"] = "2026-01-01T00:00:00Z"
    orphans.state.write_text(json.dumps(state))
    assert kept(orphans.prune(grace="7d", days=8)) == {name: "too_young"}
    assert removed(orphans.prune(grace="7d", days=16)) == [name]


def test_selection(engine: Engine, modules: Modules) -> None:
    marked, plain, nameless = engine.name(), engine.volume(), anonymous(engine)
    engine.api.create_volume(marked, labels={LABEL: "yes", "tier": "1", "drydock.backup": "false"})
    ours = [f"{plain.rpartition('-')[0]}-*", nameless]
    how = {"grace": "0h", "max_remove_percent": 100}
    try:
        cases: list[tuple[dict[str, object], list[str]]] = [
            ({"selector": {"names": ours}}, [marked, plain, nameless]),
            ({"selector": {"names": ours, "exclude": [plain]}, "anonymous": False}, [marked]),
            ({"selector": {"names": ours, "labels": ["tier=1"]}}, [marked]),
            ({"selector": {"names": ours}, "protect": {"names": [plain], "labels": ["tier"]}}, [nameless]),
            # without a selector that says which, no volume goes that somebody gave a name
            ({"selector": {"exclude": ["x"]}}, [nameless]),
        ]
        for options, expected in cases:
            answer = modules.run(PRUNE, check=True, **how, **options)
            assert not answer.get("failed"), answer["msg"]
            assert {marked, plain, nameless} & set(answer["orphans"]) == set(expected), options
        answer = modules.run(PRUNE, selector={"names": ours}, named=False, **how)
        assert [(one["name"], one["kind"]) for one in answer["removed"]] == [(nameless, "anonymous")]
        found = {one["name"]: (one["class"], one["kind"]) for one in answer["kept"]}
        assert (found[plain], found[marked]) == (("not_selected", "named"),) * 2
    finally:
        if engine.api.volumes(filters={"name": nameless})["Volumes"]:
            engine.remove(nameless)


@pytest.mark.parametrize("encrypted", [False, True])
def test_undo(engine: Engine, modules: Modules, orphans: Orphans, work: pathlib.Path, encrypted: bool) -> None:
    """Prune with backups, restore all of them, identical."""
    nasty, empty, labelled = engine.volume(), engine.volume(), engine.name()
    engine.api.create_volume(labelled, labels={LABEL: "yes", "tier": "1"})
    (work / "device").mkdir()
    bound = engine.bind(work / "device")
    memory = engine.volume(type="tmpfs", device="tmpfs", o="size=1m")
    trees.make_nasty(engine.path(nasty))
    (engine.path(labelled) / "a").write_text("b")
    (work / "device" / "media").write_bytes(os.urandom(5000))
    everything = [nasty, empty, labelled, bound, memory]
    before = {name: records.record(engine.path(name)) for name in everything[:3]}
    what = {name: engine.inspect(name) for name in everything}
    device = records.record(work / "device")

    to = {"repository": str(orphans.repository), "host": "db1", "parallel": 2}
    if encrypted:
        key = work / "key"
        subprocess.run(["age-keygen", "-o", key], check=True, capture_output=True)
        (public,) = re.findall("public key: (age1.+)", key.read_text())
        to["encryption"] = {"method": "age", "recipients": [public]}
    answer = orphans.pruned(backup_to=to)
    assert removed(answer) == sorted(everything)
    assert records.differences(device, records.record(work / "device")) == []
    for one in answer["removed"]:
        manifest = json.loads((orphans.repository / "db1" / one["name"] / f"{one['backup']['id']}.json").read_text())
        assert manifest["purpose"] == "before_removal"
        assert manifest["verification"]["method"] == ("checksum" if encrypted else "archive")
        assert bool(manifest["archive"]["encryption"]) is encrypted
        assert pathlib.Path(one["backup"]["path"]).exists()
    listed = modules.run("docker_volume_backup_info", repository=str(orphans.repository))["backups"]
    assert {(one["volume"]["name"], one["purpose"]) for one in listed} == {
        (one, "before_removal") for one in everything
    }

    # nothing was in the tmpfs, and nobody would find a restore there
    engine.api.create_volume(memory, driver_opts=what[memory]["Options"], labels=what[memory]["Labels"])
    (work / "device" / "media").unlink()
    decryption = {"decryption": {"identity_file": str(work / "key")}} if encrypted else {}
    for name in everything[:4]:
        modules.restore(name, repository=str(orphans.repository), host="db1", **decryption)
    for name, record in before.items():
        assert records.differences(record, records.record(engine.path(name))) == []
    assert records.differences(device, records.record(work / "device")) == []
    for name in everything:
        now = engine.inspect(name)
        for key in ("Driver", "Options", "Labels", "Mountpoint", "Scope"):
            assert (now[key] or {}) == (what[name][key] or {}), key


def test_usage(engine: Engine, modules: Modules, orphans: Orphans, work: pathlib.Path) -> None:
    plain, memory, missing = engine.volume(), engine.volume(type="tmpfs", device="t"), engine.volume()
    bound = engine.bind(work / "gone")
    place = engine.path(plain)
    (place / "one").write_bytes(os.urandom(10_000))
    os.link(place / "one", place / "the same")
    (place / "link").symlink_to("one")
    with open(place / "hole", "wb") as file:
        file.truncate(1 << 20)
    user = engine.run(plain, memory)
    modules.backup(plain, repository=str(work / "repo"), host="db1")
    seen = orphans.usage(sizes=True, repository=str(work / "repo"), host="db1")
    one = seen[plain]
    assert (one["bytes"], one["files"]) == ((1 << 20) + 10_000, 3)
    assert 10_000 <= one["allocated_bytes"] < 100_000
    assert one["references"] == [
        {
            "kind": "container",
            "name": engine.api.inspect_container(user)["Name"].lstrip("/"),
            "state": "running",
            "path": None,
        }
    ]
    assert (one["class"], one["kind"], one["driver"], one["options"]) == ("used", "named", "local", {})
    assert one["labels"] == {LABEL: "yes"}
    assert 0 <= one["backup"]["age_seconds"] < 300
    assert pathlib.Path(one["backup"]["path"]).exists()
    assert (seen[memory]["bytes"], seen[memory]["files"]) == (0, 0)  # it is mounted: a container uses it
    assert seen[missing]["backup"] is None
    assert (seen[bound]["bytes"], seen[bound]["options"]["device"]) == (None, str(work / "gone"))
    assert "is not a directory on this host" in seen[bound]["size_error"]
    assert not (work / "state").exists()  # info writes nothing

    engine.api.remove_container(user, force=True)
    seen = orphans.usage(sizes=True)
    assert "isn't mounted now" in seen[memory]["size_error"]
    assert (seen[plain]["class"], seen[plain]["age_seconds"]) == ("too_young", None)
    assert "no earlier run has seen that" in seen[plain]["reason"]
    assert "backup" not in seen[plain]
    orphans.prune(grace="7d")
    seen = orphans.usage(days=8, protect={"names": [missing]})
    assert (seen[plain]["class"], seen[missing]["class"], seen[plain]["bytes"]) == ("orphan", "protected", None)
    assert seen[plain]["age_seconds"] >= 8 * 86400
    assert orphans.usage(days=8, grace="9d")[plain]["class"] == "too_young"
    assert modules.run(USAGE, selector={"exclude": ["*"]})["volumes"] == []


def test_the_time_for_sizes_is_limited(engine: Engine, orphans: Orphans) -> None:
    volume = engine.volume()
    answer = orphans.usage(sizes=True, sizes_timeout=0.000001)[volume]
    assert answer["bytes"] is None
    assert "not all of its files could be looked at within 1e-06 seconds" in answer["size_error"]
    answer = orphans.prune(look_timeout=0.000001)
    assert kept(answer) == {volume: "unknown"}
    assert "what it holds can't be looked at" in reason(answer, volume)
    assert removed(orphans.prune(look_timeout=0)) == [volume]


def test_passwords_are_not_shown(engine: Engine, orphans: Orphans) -> None:
    volume = engine.volume(type="cifs", device="//nas/x", o="username=ops,password=hunter2")
    for answer in (orphans.usage(), orphans.prune(diff=True), orphans.prune(diff=True)):
        assert "hunter2" not in json.dumps(answer)
    assert volume not in engine.names()


def test_files_that_stay(engine: Engine, orphans: Orphans, work: pathlib.Path) -> None:
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        (disk / "kept").write_text("as it was")
        bound = engine.bind(disk)
        answer = orphans.pruned()
        assert answer["removed"][0]["left"] == f"the files in its device {disk} stay"
        assert (removed(answer), answer["reclaimed_bytes"]) == ([bound], 0)
        assert (disk / "kept").read_text() == "as it was"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backup_to": {"repository": "/nowhere/at/all"}}, "its parent directory doesn't exist"),
        ({"backup_to": {"repository": "/tmp/x", "host": "../x"}}, "host name '../x' can't be used"),
    ],
)
def test_wrong_options_remove_nothing(engine: Engine, orphans: Orphans, options: dict[str, object], words: str) -> None:
    volume = engine.volume()
    answer = orphans._modules.run(PRUNE, **{**orphans.ours(grace="0h", max_remove_percent=100), **options})
    assert answer.get("failed"), answer
    assert words in answer["msg"]
    assert volume in engine.names()
