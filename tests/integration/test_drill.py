# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Drills: the newest backup restores, and its volume, its containers and the host are as they were."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import typing as t

import pytest

from tests.support import records, trees
from tests.support.agent import Agent
from tests.support.delays import Delayed
from tests.support.engine import IMAGE, Engine
from tests.support.modules import COLLECTIONS, Modules
from tests.support.processes import wait_for

SLEEP = ["sleep", "3600"]


def _scratch(engine: Engine, volume: str) -> list[str]:
    """The scratch volumes and containers there are for a volume."""
    label = {"label": f"drydock.drill={volume}"}
    volumes = [one["Name"] for one in engine.api.volumes(filters=label)["Volumes"] or []]
    return volumes + [one["Id"] for one in engine.api.containers(all=True, filters=label)]


def _drill(modules: Modules, volume: str, repository: pathlib.Path, **options: t.Any) -> dict[str, t.Any]:
    answer = modules.run("docker_volume_drill", volumes=[volume], repository=str(repository), **options)
    assert not answer.get("failed"), answer["msg"]
    assert not answer["changed"]
    (drill,) = answer["drills"]
    return dict(drill)


@pytest.fixture
def repository(engine: Engine, modules: Modules, work: pathlib.Path) -> pathlib.Path:
    engine.import_image()
    return work / "repository"


@pytest.fixture
def volume(engine: Engine, modules: Modules, repository: pathlib.Path) -> str:
    """A volume with a backup."""
    made = engine.volume()
    trees.make_nasty(engine.path(made))
    (engine.path(made) / "word").write_text("drydock\n")
    modules.backup(made, repository=str(repository))
    return made


def test_a_drill_never_touches_the_real_volume(
    engine: Engine, modules: Modules, repository: pathlib.Path, volume: str
) -> None:
    container = engine.run(volume)
    before, started = records.record(engine.path(volume)), engine.started_at(container)
    inspected, others = engine.inspect(volume), engine.names()
    root = os.stat(engine.path(volume))
    drill = _drill(
        modules, volume, repository, image=IMAGE, command=SLEEP, check_command="rm /data/word && touch /data/new"
    )
    assert drill["compared"]
    assert drill["success"]
    assert drill["bytes"] > 0
    assert drill["restore_seconds"] > 0
    assert drill["check_seconds"] > 0
    assert records.differences(before, records.record(engine.path(volume))) == []
    assert os.stat(engine.path(volume)).st_ctime_ns == root.st_ctime_ns
    assert (engine.state(container), engine.started_at(container)) == ("running", started)
    assert (engine.inspect(volume), engine.names()) == (inspected, others)
    assert _scratch(engine, volume) == []


def test_the_volume_need_not_be_there(engine: Engine, modules: Modules, repository: pathlib.Path, volume: str) -> None:
    engine.remove(volume)
    assert _drill(modules, volume, repository)["check_seconds"] is None
    assert volume not in engine.names()
    assert _scratch(engine, volume) == []


def test_what_came_of_it_is_remembered(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, volume: str
) -> None:
    drill = _drill(modules, volume, repository, host=os.uname().nodename)
    (file,) = (work / "state" / "drills").iterdir()
    assert file.stat().st_mode & 0o777 == 0o600
    assert json.loads(file.read_text()) == {"format": 1, **drill}
    assert _drill(modules, volume, repository, check=True)["restore_seconds"] is None
    assert json.loads(file.read_text()) == {"format": 1, **drill}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"check_command": "grep -q drydock /data/word"}, None),
        ({"check_argv": ["grep", "-q", "drydock", "/data/word"], "check_user": "0"}, None),
        ({"mount": "/srv/v", "check_command": "grep -q drydock /srv/v/word", "env": {"NUMBER": 3, "YES": True}}, None),
        ({"command": ["grep", "-q", "drydock", "/data/word"]}, None),
        ({"check_command": "[ $$ -gt 1 ] && [ $(ls /proc/sys/net/ipv4/conf | grep -c eth) = 0 ]"}, None),
        ({"check_command": "n=$(cat /tmp/n || echo 0); echo $((n+1)) > /tmp/n; [ $n = 2 ]"}, None),
        ({"check_command": "echo no row; exit 3", "check_timeout": 1}, "exited 3: no row"),
        (
            {"check_command": "sleep 60", "check_timeout": 1},
            "its check didn't pass within 1 seconds; the last time, ",
        ),
        ({"command": ["sh", "-c", "echo password=geheim; exit 4"]}, "exited 4: password=(not recorded)"),
        ({"command": ["sh", "-c", "exit 0"], "check_command": "true"}, None),
        ({"command": ["sh", "-c", "exit 5"], "check_command": "sleep 1; false"}, f"its container of {IMAGE} exited 5"),
        ({"command": SLEEP, "check_timeout": 1}, f"its container of {IMAGE} didn't end within 1 seconds"),
        ({"command": ["no-such-program"]}, "no-such-program"),
    ],
)
def test_checks(
    engine: Engine, modules: Modules, repository: pathlib.Path, volume: str, options: dict[str, t.Any], said: str | None
) -> None:
    options = {"image": IMAGE, **({"command": SLEEP} if "command" not in options else {}), **options}
    answer = modules.run("docker_volume_drill", volumes=[volume], repository=str(repository), **options)
    if said is None and options["command"] == ["sh", "-c", "exit 0"]:
        pass  # whether the check or the end comes first is chance
    elif said is None:
        assert not answer.get("failed"), answer["msg"]
    else:
        assert said in answer["msg"]
        assert "the volume itself was not touched" in answer["msg"]
        assert answer["failures"][0]["volume"] == volume
        assert "geheim" not in json.dumps({key: value for key, value in answer.items() if key != "invocation"})
    assert _scratch(engine, volume) == []


def test_variables_out_of_a_file_are_the_owners_alone(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, volume: str
) -> None:
    file = work / "variables"
    file.write_text("# a comment\n\nSECRET=o p=en\n")
    options = {"image": IMAGE, "command": SLEEP, "check_command": '[ "$SECRET" = "o p=en" ]', "env_file": str(file)}
    file.chmod(0o644)
    wrong = {"volumes": [volume], "repository": str(repository), **options}
    assert "env_file" in modules.refused("docker_volume_drill", **wrong)
    file.chmod(0o600)
    assert "o p=en" not in json.dumps(_drill(modules, volume, repository, **options))
    file.write_text("SECRET\n")
    assert "line 1 isn't NAME=value" in modules.refused("docker_volume_drill", **wrong)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"image": "drydock-no-such-image:1"}, "is not on this host, and a drill pulls nothing"),
        ({"image": IMAGE, "mount": "/"}, "mount is '/'"),
        ({"image": IMAGE, "check_timeout": 0}, "check_timeout is 0"),
        ({"check_command": "true"}, "missing parameter(s) required by 'check_command': image"),
        (
            {"image": IMAGE, "check_command": "true", "check_argv": ["true"]},
            "mutually exclusive: check_command|check_argv",
        ),
        ({"selector": {"all": True}}, "mutually exclusive: volumes|selector"),
        ({"repository": "/nowhere/r"}, "is not a directory"),
        ({"docker_host": "tcp://127.0.0.1:1"}, "no Docker daemon answers"),
        ({"network": "drydock-no-such-network", "image": IMAGE, "command": SLEEP}, "drydock-no-such-network"),
    ],
)
def test_what_cannot_be_drilled(
    engine: Engine, modules: Modules, repository: pathlib.Path, volume: str, options: dict[str, t.Any], said: str
) -> None:
    message = modules.refused("docker_volume_drill", **{"volumes": [volume], "repository": str(repository), **options})
    assert said in message
    assert _scratch(engine, volume) == []


def test_one_bad_backup_is_a_failure_and_the_others_are_drilled(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, volume: str
) -> None:
    other = engine.volume()
    modules.backup(other, repository=str(repository))
    (archive,) = repository.glob(f"*/{volume}/*.zst")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    answer = modules.run("docker_volume_drill", volumes=[volume, other, "nope-"], repository=str(repository))
    assert answer["failed"]
    assert [drill["volume"] for drill in answer["drills"]] == [other]
    assert [failure["volume"] for failure in answer["failures"]] == [volume, "nope-"]
    assert _scratch(engine, volume) == []
    held = {file.name: json.loads(file.read_text())["success"] for file in (work / "state" / "drills").iterdir()}
    assert {name.split("@")[1]: good for name, good in held.items()} == {
        f"{volume}.json": False,
        f"{other}.json": True,
        "nope-.json": False,
    }


@pytest.mark.parametrize("long", ["", "x" * 200])
def test_each_host_and_volume_has_a_record_of_its_own(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, long: str
) -> None:
    first, second = engine.name(), f"{engine.name()}{long}"
    pairs = {("a", f"{first}.{second}"), (f"a.{first}", second)}
    for host, volume in pairs:
        engine.api.create_volume(volume)
        modules.backup(volume, repository=str(repository), host=host)
        assert _drill(modules, volume, repository, host=host)["volume"] == volume
    held = [json.loads(file.read_text()) for file in (work / "state" / "drills").iterdir()]
    assert {(record["host"], record["volume"]) for record in held} == pairs
    assert len(held) == len(pairs)


def test_a_selector_takes_what_is_on_the_host(
    engine: Engine, modules: Modules, repository: pathlib.Path, volume: str
) -> None:
    wanted = {"repository": str(repository), "selector": {"names": [volume]}}
    assert [one["volume"] for one in modules.run("docker_volume_drill", **wanted)["drills"]] == [volume]
    nothing = modules.run("docker_volume_drill", repository=str(repository), selector={"names": ["nope-*"]})
    assert "the selector matches no volume" in str(nothing["warnings"])
    assert "require_match is set" in modules.refused(
        "docker_volume_drill", repository=str(repository), selector={"names": ["nope-*"]}, require_match=True
    )


@pytest.fixture
def cleared(engine: Engine, volume: str) -> c.Iterator[None]:
    """Nothing of a drill stays, whatever happens."""
    yield
    label = {"label": f"drydock.drill={volume}"}
    for container in engine.api.containers(all=True, filters=label):
        engine.api.remove_container(container["Id"], force=True)
    for one in engine.api.volumes(filters=label)["Volumes"] or []:
        engine.api.remove_volume(one["Name"])


@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_an_interrupted_drill_leaves_is_removed(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, volume: str, number: signal.Signals
) -> None:
    agent = Agent(work, modules)
    words = ("drill", volume, "--repository", repository, "--image", IMAGE, "--command", "sleep,3600")
    process = agent.start(*words, "--check-command", "sleep 3600")
    wait_for(lambda: len(_scratch(engine, volume)) == 2, "the scratch container")
    process.send_signal(number)
    said = process.communicate()
    if number == signal.SIGKILL:
        assert len(_scratch(engine, volume)) == 2
        assert "would be recovered" in agent.run("recover", "--dry-run").stdout
        assert "drydock-volumes recover" in agent.run("status", code=3).stdout
        assert "of a drill that was interrupted was removed" in agent.run("recover").stdout
    assert _scratch(engine, volume) == [], said
    assert agent.run("recover").stdout == "nothing was left by an interrupted run\n"


@pytest.mark.usefixtures("cleared")
@pytest.mark.parametrize("made", ["volumes", "containers"])
def test_one_that_is_ended_while_the_engine_makes_something_leaves_nothing(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path, volume: str, made: str
) -> None:
    with Delayed(work, f"/{made}/create") as delayed:
        options = {"volumes": [volume], "repository": str(repository), "docker_host": delayed.host}
        process = modules.start("docker_volume_drill", **options, image=IMAGE, command=["sleep", "3600"])
        assert delayed.seen.wait(60)
        process.send_signal(signal.SIGTERM)
        time.sleep(1)  # without an answer it doesn't know what there is to remove
        assert process.poll() is None
        delayed.go()
        answer = modules.finish(process)
    assert answer["msg"].endswith("ended by SIGTERM; what was under way is undone")
    assert _scratch(engine, volume) == []
    assert not list((work / "state").rglob("*.json"))


def _verified(play: c.Callable[..., str], backups: pathlib.Path, volume: str, verify: dict[str, str]) -> None:
    """The playbook fails where something has no backup, or only old ones."""
    assert f"no backup of nope of host {backups.name} in" in play(
        "verify", 2, verify_volumes=f"{volume},nope", **verify
    )
    assert "no backup of any volume of host nope in" in play("verify", 2, verify_host="nope", **verify)
    for id_, says in (("20200101T000000Z", "younger than 3600"), ("21200101T000000Z", "is in the future")):
        old = backups / f"{volume}-old"
        _aged(backups / volume, old, id_)
        # a young backup of another volume, or of another host, doesn't hide it
        shutil.copytree(backups, backups.parent / "other", dirs_exist_ok=True)
        told = play("verify", 2, verify_max_age=3600, **verify)
        assert f"no backup of {old.name} of host" in told
        assert says in told
        shutil.rmtree(backups.parent / "other")
    _aged(backups / volume, old, "20200101T000000Z", purpose="before_removal")
    play("verify", verify_max_age=3600, **verify)
    play("verify", 2, verify_max_age=3600, verify_volumes=[old.name], **verify)
    shutil.rmtree(old)


def _aged(made: pathlib.Path, folder: pathlib.Path, id_: str, **more: str) -> None:
    """Make a copy of the only backup in a folder, of another volume and another time."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (found,) = made.glob("*.json")
    manifest = {**json.loads(found.read_bytes()), "id": id_, **more}
    manifest["volume"]["name"] = folder.name
    archive = manifest["archive"]["file"]
    manifest["archive"]["file"] = id_ + archive[archive.index(".") :]
    shutil.copy(made / archive, folder / manifest["archive"]["file"])
    (folder / f"{id_}.json").write_text(json.dumps(manifest))


def test_the_playbooks_back_up_verify_drill_and_restore(engine: Engine, work: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.name()
    (engine.path(volume) / "word").write_text("drydock\n")
    engine.import_image()
    repository = str(work / "repository")

    def play(name: str, code: int = 0, **variables: t.Any) -> str:
        extra = {"ansible_python_interpreter": sys.executable, **variables}
        ran = subprocess.run(
            ["ansible-playbook", "-i", "localhost,", "-c", "local", f"drydock.volumes.{name}", "-e", json.dumps(extra)],
            env={
                **os.environ,
                "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS),
                "DRYDOCK_STATE_DIRECTORY": str(work / "state"),
            },
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    play("backup", backup_hosts="localhost", backup_volumes=[volume], backup_repository=repository)
    verify = {"verify_hosts": "localhost", "verify_repository": repository}
    assert "1 backups are whole" in play("verify", verify_volumes=[volume], verify_max_age=3600, **verify)
    _verified(play, pathlib.Path(repository) / socket.gethostname(), volume, verify)
    check = {"drill_image": IMAGE, "drill_command": SLEEP, "drill_check_command": "grep drydock /data/word"}
    play("drill", drill_hosts="localhost", drill_volumes=[volume], drill_repository=repository, **check)
    play(
        "restore",
        restore_hosts="localhost",
        restore_volume=target,
        restore_source_volume=volume,
        restore_repository=repository,
    )
    assert (engine.path(target) / "word").read_text() == "drydock\n"
    for name in ("backup", "verify", "drill", "restore"):
        assert f"Set {name}_" in play(name, 2, **{f"{name}_hosts": "localhost"})
