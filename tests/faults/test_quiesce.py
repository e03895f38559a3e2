# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F20, F21, F22, F23, F24, F25: containers hold still while their volumes are read, and run again afterwards, whatever
goes wrong."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import re
import select
import shutil
import signal
import sys
import threading
import time

import pytest

from tests.faults.conftest import SLOW, complete
from tests.support import disks
from tests.support.delays import Delayed
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, kill_child, wait_for

BACKUP = "docker_volume_backup"

#: Writes all the time, and says when it ends as it was asked to.
WRITER = (
    "sh",
    "-c",
    "trap 'echo ended >> /v/ends; exit 0' TERM; while :; do echo x >> /v/written; sleep 0.01; done",
)
#: Doesn't end when it is asked to.
DEAF = ("sh", "-c", "trap '' TERM; while :; do sleep 0.1; done")


@pytest.fixture
def slow_volume(engine: Engine) -> str:
    """A volume that takes a few seconds to back up with SLOW."""
    volume = engine.volume()
    for number in range(3):
        (engine.path(volume) / f"noise-{number}").write_bytes(os.urandom(3 << 20))
    return volume


STATES = {"stop": "exited", "pause": "paused"}


def _reading(process_id: int) -> bool:
    return "zstd" in children(process_id).values()


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_containers_hold_still_and_run_again(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, quiesce: str
) -> None:
    container = engine.run(slow_volume, command=WRITER, init=False)
    reader = engine.run(slow_volume, mode="ro")
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce=quiesce, **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    assert engine.state(container) == STATES[quiesce]
    assert engine.state(reader) == "running"
    answer = modules.finish(process)

    assert not answer.get("failed"), answer
    assert engine.state(container) == engine.state(reader) == "running"
    (made,) = answer["backups"]
    assert made["consistency"]["quiesce"] == quiesce
    assert len(made["consistency"]["containers"]) == 1
    assert 0 < made["consistency"]["downtime_seconds"] <= made["seconds"]
    assert made["content"]["changed_while_read"] == 0
    stored = json.loads(next((work / "r").rglob("*.json")).read_text())
    assert stored["consistency"] == made["consistency"]
    target = engine.volume()
    modules.restore(target, source_volume=slow_volume, repository=str(work / "r"))
    assert (engine.path(target) / "ends").exists() == (quiesce == "stop")


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_check_mode_foretells_that_they_hold_still(
    engine: Engine, modules: Modules, work: pathlib.Path, quiesce: str
) -> None:
    volume = engine.volume()
    container = engine.run(volume)
    (work / "r").mkdir()
    options = {"repository": str(work / "r"), "quiesce": quiesce}
    predicted = modules.backup(volume, check=True, diff=True, **options)
    done = modules.backup(volume, diff=True, **options)
    # nobody who runs in check mode ran "meanwhile"
    assert predicted.get("warnings", []) == done.get("warnings", []) == []
    said, made = (answer["backups"][0]["consistency"] for answer in (predicted, done))
    assert {**said, "downtime_seconds": made["downtime_seconds"]} == made
    assert made["quiesce"] == quiesce
    assert predicted["diff"]["after"]["containers"] == done["diff"]["after"]["containers"]
    assert engine.state(container) == "running"


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_f20_the_backup_fails_and_the_containers_run_again(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, quiesce: str
) -> None:
    container = engine.run(slow_volume)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce=quiesce, **SLOW)
    kill_child(process.pid, "zstd")
    answer = modules.finish(process)
    assert "zstd was killed by SIGKILL" in answer["msg"]
    assert engine.state(container) == "running"
    assert complete(work / "r") == set()


@pytest.mark.parametrize(
    ("quiesce", "number"), [("stop", signal.SIGTERM), ("pause", signal.SIGHUP), ("stop", signal.SIGINT)]
)
def test_f21_a_signal_brings_them_back_at_once(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, quiesce: str, number: signal.Signals
) -> None:
    container = engine.run(slow_volume)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce=quiesce, **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    assert engine.state(container) == STATES[quiesce]
    process.send_signal(number)
    time.sleep(0.01)
    process.send_signal(signal.SIGHUP)  # who is impatient disturbs nothing
    # on a busy machine it gets both at once
    assert re.search(f"ended by ({number.name}|SIGHUP)", modules.finish(process)["msg"])
    assert engine.state(container) == "running"
    assert complete(work / "r") == set()


def test_a_repository_that_hangs_does_not_keep_them_down(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    container = engine.run(slow_volume)
    with disks.mounted(work, 64) as disk:
        options = {"volumes": [slow_volume], "repository": str(disk / "r"), "quiesce": "stop", **SLOW}
        process = modules.start(BACKUP, stall_timeout=2, **options)
        wait_for(lambda: _reading(process.pid), "the read")
        with disks.frozen(disk):
            wait_for(lambda: engine.state(container) == "running", "the container")
            # it has its answer, and would have ended if it could be killed, as with a server that is gone
            assert select.select([process.stdout], [], [], 60)[0]
            assert process.poll() is None
        (failure,) = modules.finish(process)["failures"]
        assert failure["volume"] == slow_volume
        assert re.search(
            r"/r/.*\.tar\.zst takes no data: a write to it hasn't come back for 2 seconds", failure["error"]
        )
        assert len(complete(disk / "r")) == 1
        assert modules.run(BACKUP, **options)["changed"]
        assert len(complete(disk / "r")) == 2  # and what was left is swept


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_f21_a_container_that_somebody_had_in_hand_since_is_left_alone(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, quiesce: str
) -> None:
    container = engine.run(slow_volume)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce=quiesce, **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    process.kill()
    process.communicate()
    assert engine.state(container) == STATES[quiesce]
    if quiesce == "pause":
        engine.api.unpause(container)
        engine.api.stop(container, timeout=1)
    else:
        engine.api.start(container)
        engine.api.stop(container, timeout=1)
    answer = modules.backup(engine.volume(), repository=str(work / "r"))
    assert "warnings" not in answer or "was started" not in str(answer["warnings"])
    assert engine.state(container) == "exited"
    assert list((work / "state" / "journal").glob("*.json")) == []


def test_f21_check_mode_says_what_would_be_recovered(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    container = engine.run(slow_volume)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce="stop", **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    process.kill()
    process.communicate()
    answer = modules.backup(slow_volume, repository=str(work / "r"), check=True)
    assert "a run was interrupted" in str(answer["warnings"])
    assert engine.state(container) == "exited"
    answer = modules.backup(slow_volume, repository=str(work / "r"))
    assert "was started: a run that was interrupted had left it so" in str(answer["warnings"])
    assert engine.state(container) == "running"


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_f22_what_did_not_run_is_left_as_it_was(
    engine: Engine, modules: Modules, work: pathlib.Path, quiesce: str
) -> None:
    volume = engine.volume()
    made = engine.run(volume, start=False)
    stopped, paused, runs = engine.run(volume), engine.run(volume), engine.run(volume)
    engine.api.stop(stopped, timeout=1)
    engine.api.pause(paused)
    before = [engine.started_at(container) for container in (made, stopped, paused)]
    answer = modules.backup(volume, repository=str(work / "r"), quiesce=quiesce)
    states = [engine.state(container) for container in (made, stopped, paused, runs)]
    assert states == ["created", "exited", "paused", "running"]
    assert [engine.started_at(container) for container in (made, stopped, paused)] == before
    assert len(answer["backups"][0]["consistency"]["containers"]) == 1


def test_f23_a_container_that_does_not_stop_in_time(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, other = engine.volume(), engine.volume()
    deaf = engine.run(volume, command=DEAF, init=False)
    before = engine.started_at(deaf)
    answer = modules.run(
        BACKUP, volumes=[volume, other], repository=str(work / "r"), quiesce="stop", stop_timeout=1, parallel=1
    )
    assert answer["failed"]
    assert "didn't end within 1 seconds of its stop signal; it was not killed" in answer["msg"]
    assert [made["volume"]["name"] for made in answer["backups"]] == [other]
    assert not any(volume in str(path) for path in (work / "r").rglob("*.tar*"))
    assert (engine.state(deaf), engine.started_at(deaf)) == ("running", before)
    assert "still runs 2 seconds after its stop signal" in str(answer["warnings"])


def test_f23_a_container_that_ends_late_runs_again(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    late = engine.run(
        volume, command=("sh", "-c", "trap 'sleep 3; exit' TERM; while :; do sleep 0.1; done"), init=False
    )
    before = engine.started_at(late)
    answer = modules.run(BACKUP, volumes=[volume], repository=str(work / "r"), quiesce="stop", stop_timeout=2)
    assert "didn't end within 2 seconds" in answer["msg"]
    assert engine.state(late) == "running"
    assert engine.started_at(late) != before
    assert complete(work / "r") == set()


def test_f24_a_container_vanishes_in_the_middle(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    container = engine.run(slow_volume)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce="stop", **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    engine.api.remove_container(container)
    answer = modules.finish(process)
    assert not answer.get("failed"), answer
    assert "was removed meanwhile, so it was not started again" in str(answer["warnings"])
    assert answer["backups"][0]["consistency"]["quiesce"] == "stop"
    modules.restore(engine.volume(), source_volume=slow_volume, repository=str(work / "r"))


def test_f24_a_container_is_recreated_under_its_name(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    name = engine.name()
    container = engine.run(slow_volume, name=name)
    process = modules.start(BACKUP, volumes=[slow_volume], repository=str(work / "r"), quiesce="stop", **SLOW)
    wait_for(lambda: _reading(process.pid), "the read")
    engine.api.remove_container(container)
    again = engine.run(slow_volume, name=name)
    answer = modules.finish(process)
    assert not answer.get("failed"), answer
    consistency = answer["backups"][0]["consistency"]
    assert (consistency["quiesce"], consistency["ran_meanwhile"]) == ("none", [name])
    assert "counts as one made without quiescing" in str(answer["warnings"])
    assert engine.state(again) == "running"


def test_f25_a_container_that_docker_would_remove(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    container = engine.run(volume, auto_remove=True)
    for check in (True, False):
        message = modules.refused(BACKUP, volumes=[volume], repository=str(work / "r"), quiesce="stop", check=check)
        assert "was started with --rm: Docker would remove it once it stops" in message
    assert engine.state(container) == "running"
    answer = modules.backup(volume, repository=str(work / "r"), quiesce="pause")
    assert answer["backups"][0]["consistency"]["quiesce"] == "pause"
    assert engine.state(container) == "running"


@pytest.fixture
def swarm(engine: Engine) -> c.Iterator[str]:
    """The name of a service whose task has a volume of the same name."""
    engine.import_image()
    name = engine.volume()
    engine.api.init_swarm("127.0.0.1:0", "127.0.0.1:0")
    try:
        mount = {"Type": "volume", "Source": name, "Target": "/v"}
        engine.api._post_json(
            engine.api._url("/services/create"),
            data={
                "Name": name,
                "TaskTemplate": {
                    "ContainerSpec": {"Image": engine.IMAGE, "Command": ["sleep", "3600"], "Mounts": [mount]}
                },
            },
        ).raise_for_status()
        try:
            wait_for(lambda: engine.api.containers(filters={"volume": name}), "the service's task", 120)
            yield name
        finally:
            engine.api.remove_service(name)
            wait_for(lambda: not engine.api.containers(all=True, filters={"volume": name}), "the end of the task", 120)
    finally:
        engine.api.leave_swarm(force=True)


@pytest.mark.parametrize("quiesce", ["stop", "pause"])
def test_f25_a_task_of_a_swarm_service(
    engine: Engine, modules: Modules, work: pathlib.Path, swarm: str, quiesce: str
) -> None:
    message = modules.refused(BACKUP, volumes=[swarm], repository=str(work / "r"), quiesce=quiesce)
    assert "is a task of a swarm service, which Docker would replace" in message
    assert len(engine.api.containers(filters={"volume": swarm})) == 1
    modules.backup(swarm, repository=str(work / "r"))


#: Stands before tar: where that reads an archive back, it first writes down the container's state, which Docker tells.
WITNESS = """\
#!{python}
import os, sys
if {{"--list", "--extract"}} & set(sys.argv):
    import docker
    with open("{log}", "a") as log:
        print(docker.from_env().containers.get("{container}").status, file=log)
os.execv("{tar}", ["tar", *sys.argv[1:]])
"""


def test_downtime_is_the_reads_time_and_that_of_stop_and_start(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    """Nothing else happens inside the window: no verification above all. Told by what is at a time, and not by how long
    it takes."""
    container = engine.run(slow_volume, command=WRITER, init=False)
    (work / "bin").mkdir()
    witness, log = work / "bin" / "tar", work / "states"
    witness.write_text(
        WITNESS.format(
            python=sys.executable, log=log, container=container, tar=os.path.realpath(shutil.which("tar") or "")
        )
    )
    witness.chmod(0o755)
    seen: list[tuple[float, str, float]] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.02):
            seen.append((time.monotonic(), engine.state(container), time.monotonic()))

    watcher = threading.Thread(target=watch)
    process = modules.start(
        BACKUP,
        volumes=[slow_volume],
        repository=str(work / "r"),
        quiesce="stop",
        verify="restore",
        environment={"PATH": f"{work / 'bin'}:{os.environ['PATH']}"},
        **SLOW,
    )
    watcher.start()
    try:
        answer = modules.finish(process)
    finally:
        ended.set()
        watcher.join()
    assert not answer.get("failed"), answer
    (made,) = answer["backups"]
    assert made["verification"]["method"] == "restore"
    assert set(log.read_text().split()) == {"running"}
    down = [(before, after) for before, state, after in seen if state != "running"]
    assert down
    downtime = made["consistency"]["downtime_seconds"]
    assert down[-1][0] - down[0][1] <= downtime + 0.01
    assert downtime + made["verification"]["seconds"] <= made["seconds"] + 0.01


def _service(project: str, service: str, depends_on: str = "") -> dict[str, str]:
    return {
        "com.docker.compose.project": project,
        "com.docker.compose.service": service,
        "com.docker.compose.depends_on": depends_on,
    }


def test_the_order_is_that_of_depends_on(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    project = engine.name()
    healthy = {"test": ["CMD-SHELL", "test -e /tmp/up"], "interval": 300_000_000, "retries": 1000}
    slow_start = ("sh", "-c", "trap 'exit 0' TERM; rm -f /tmp/up; sleep 1; touch /tmp/up; while :; do sleep 0.1; done")
    simple = ("sh", "-c", "trap 'sleep 0.3; exit 0' TERM; while :; do sleep 0.1; done")
    web = engine.run(volume, command=simple, init=False, labels=_service(project, "web", "app:service_started:false"))
    app = engine.run(volume, command=simple, init=False, labels=_service(project, "app", "db:service_healthy:true"))
    db = engine.run(volume, command=slow_start, init=False, labels=_service(project, "db"), healthcheck=healthy)
    wait_for(lambda: engine.api.inspect_container(db)["State"]["Health"]["Status"] == "healthy", "health")
    answer = modules.backup(volume, repository=str(work / "r"), quiesce="stop")
    assert len(answer["backups"][0]["consistency"]["containers"]) == 3
    facts = [engine.api.inspect_container(container)["State"] for container in (web, app, db)]
    assert [fact["Status"] for fact in facts] == ["running"] * 3
    finished = [fact["FinishedAt"] for fact in facts]
    assert finished == sorted(finished)
    started = [fact["StartedAt"] for fact in facts]
    assert started == sorted(started, reverse=True)
    assert facts[2]["Health"]["Status"] == "healthy"


def test_a_container_that_is_not_healthy_again(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    once = {"test": ["CMD-SHELL", "test ! -e /v/again"], "interval": 200_000_000, "retries": 1}
    start = (
        "sh",
        "-c",
        "[ -e /v/first ] && touch /v/again; touch /v/first; trap 'exit 0' TERM; while :; do sleep 0.1; done",
    )
    sick = engine.run(volume, command=start, init=False, healthcheck=once)
    wait_for(lambda: engine.api.inspect_container(sick)["State"]["Health"]["Status"] == "healthy", "health")
    answer = modules.run(BACKUP, volumes=[volume], repository=str(work / "r"), quiesce="stop", health_timeout=2)
    assert answer["failed"]
    assert "was healthy before it was stopped and is not healthy again" in answer["msg"]
    assert len(answer["backups"]) == 1
    modules.restore(engine.volume(), source_volume=volume, repository=str(work / "r"))


def test_commands_around_the_read(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    name = engine.name()
    labels = {
        "drydock.exec-before": "echo labelled-before >> /v/log",
        "drydock.exec-after": "echo labelled-after >> /v/log",
    }
    engine.run(volume, name=name, labels=labels)
    modules.backup(
        volume,
        repository=str(work / "r"),
        exec_before=[{"container": name, "command": "chmod 777 /v; echo before >> /v/log; chmod 666 /v/log"}],
        exec_after=[{"container": name, "argv": ["sh", "-c", "id -u >> /v/log"], "user": "12"}],
        quiesce="pause",
    )
    log = (engine.path(volume) / "log").read_text().split()
    assert log == ["before", "labelled-before", "labelled-after", "12"]
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(work / "r"))
    assert (engine.path(target) / "log").read_text() == "before\nlabelled-before\n"


@pytest.mark.parametrize("quiesce", ["none", "stop"])
def test_a_command_that_fails_before_the_read(
    engine: Engine, modules: Modules, work: pathlib.Path, quiesce: str
) -> None:
    volume = engine.volume()
    name = engine.name()
    container = engine.run(volume, name=name)
    before = engine.started_at(container)
    answer = modules.run(
        BACKUP,
        volumes=[volume],
        repository=str(work / "r"),
        quiesce=quiesce,
        exec_before=[{"container": name, "command": "echo no room >&2; exit 3"}],
        exec_after=[{"container": name, "command": "touch /v/after"}],
    )
    assert answer["failed"]
    assert f"a command in the container {name} exited 3: no room" in answer["msg"]
    assert complete(work / "r") == set()
    assert engine.started_at(container) == before
    assert (engine.path(volume) / "after").exists()


def test_a_command_that_takes_too_long(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    name = engine.name()
    container = engine.run(volume, name=name)
    message = modules.refused(
        BACKUP,
        volumes=[volume],
        repository=str(work / "r"),
        exec_before=[{"container": name, "command": "exec sleep 4321"}],
        exec_timeout=1,
    )
    assert "took longer than 1 seconds and was ended" in message
    wait_for(lambda: "sleep 4321" not in str(engine.api.top(container)), "the end of the command")


def test_the_container_of_a_command_is_killed_and_docker_does_not_say_so(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    """As it happens with a busy engine: the stream of what a command prints has no end then."""
    volume = engine.volume()
    name = engine.name()
    container = engine.run(volume, name=name)
    wait = {"container": name, "command": "echo begun; exec sleep 4321"}
    with Delayed(work) as delayed:
        options = {"volumes": [volume], "repository": str(work / "r"), "docker_host": delayed.host}
        process = modules.start(BACKUP, **options, exec_before=[wait])
        wait_for(lambda: "sleep 4321" in str(engine.api.top(container)), "the command")
        delayed.hold()
        engine.api.kill(container)
        answer = modules.finish(process)
    assert f"a command in the container {name} went away with its container: begun" in answer["msg"]
    assert complete(work / "r") == set()


def test_f08_a_dump_that_is_cut_off_is_not_backed_up(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """A dump that is made into the volume by a command before the read: its failure is the backup's."""
    volume = engine.volume()
    name = engine.name()
    dump = "set -o pipefail; { seq 1 100000; kill -9 $$; } | gzip > /v/dump.sql.gz"
    engine.run(volume, name=name, labels={"drydock.exec-before": dump})
    message = modules.refused(BACKUP, volumes=[volume], repository=str(work / "r"))
    assert "a command in the container" in message
    assert "exited 137" in message
    assert complete(work / "r") == set()


def test_labels_configure_themselves(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """One that says stop, one that says nothing, one that is to be left out."""
    stop, plain, out = engine.volume(), engine.volume(), engine.volume()
    stopped = engine.run(stop, command=WRITER, init=False, labels={"drydock.quiesce": "stop", "drydock.backup": "true"})
    runs = engine.run(plain, labels={"drydock.backup": "true"})
    engine.run(out, labels={"drydock.backup": "false"})
    before = engine.started_at(stopped), engine.started_at(runs)
    prefix = stop.rpartition("-")[0]
    answer = modules.run(
        BACKUP,
        selector={"names": [f"{prefix}-*"], "labels": ["drydock.backup=true"]},
        repository=str(work / "r"),
        diff=True,
    )
    assert not answer.get("failed"), answer
    methods = {made["volume"]["name"]: made["consistency"]["quiesce"] for made in answer["backups"]}
    assert methods == {stop: "stop", plain: "none"}
    assert engine.started_at(stopped) != before[0]
    assert engine.started_at(runs) == before[1]
    assert list(answer["diff"]["after"]["containers"].values()) == ["stopped meanwhile"]


def test_a_selector_that_matches_nothing(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    nothing = {"names": [engine.name()]}
    answer = modules.run(BACKUP, selector=nothing, repository=str(work / "r"))
    assert not answer.get("failed"), answer
    assert not answer["changed"]
    assert "matches no volume" in str(answer["warnings"])
    message = modules.refused(BACKUP, selector=nothing, repository=str(work / "r"), require_match=True)
    assert "matches no volume of this host" in message


def test_one_container_of_several_volumes_stops_once(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    first, second, alone = engine.volume(), engine.volume(), engine.volume()
    container = engine.run(first, second, command=WRITER, init=False)
    answer = modules.backup(first, alone, second, repository=str(work / "r"), quiesce="stop", parallel=3)
    assert [made["volume"]["name"] for made in answer["backups"]] == [first, alone, second]
    assert (engine.path(first) / "ends").read_text() == "ended\n"
    assert engine.state(container) == "running"


def test_the_state_directory_cannot_be_written(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    container = engine.run(volume)
    before = engine.started_at(container)
    (work / "state").write_text("a file in the place of a directory")
    message = modules.refused(BACKUP, volumes=[volume], repository=str(work / "r"), quiesce="stop")
    assert "journal" in message
    assert engine.started_at(container) == before


def test_services_that_depend_on_each_other_stop_in_order_across_volumes(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    first, second, project = engine.volume(), engine.volume(), engine.name()
    simple = ("sh", "-c", "trap 'sleep 0.5; exit 0' TERM; while :; do sleep 0.1; done")
    db = engine.run(first, command=simple, init=False, labels=_service(project, "db"))
    web = engine.run(second, command=simple, init=False, labels=_service(project, "web", "db:service_started:false"))
    modules.backup(first, second, repository=str(work / "r"), quiesce="stop", parallel=2)
    stopped = [engine.api.inspect_container(container)["State"] for container in (web, db)]
    assert stopped[0]["FinishedAt"] < stopped[1]["FinishedAt"] < stopped[1]["StartedAt"] < stopped[0]["StartedAt"]


def test_f23_a_container_that_restarts_again_and_again(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    loop = engine.run(
        volume, command=("sh", "-c", "echo x >> /v/starts; exit 1"), restart_policy={"Name": "always"}, init=False
    )
    wait_for(lambda: engine.api.inspect_container(loop)["RestartCount"] > 3, "some restarts")
    answer = modules.backup(volume, repository=str(work / "r"), quiesce="stop")
    assert len(answer["backups"][0]["consistency"]["containers"]) == 1
    count = len((engine.path(volume) / "starts").read_text())
    wait_for(lambda: len((engine.path(volume) / "starts").read_text()) > count, "another restart", 90)


def test_what_a_command_makes_is_never_skipped(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    engine.run(volume, labels={"drydock.exec-before": "date +%N > /v/dump; sleep 0.1"})
    for number in range(1, 4):
        answer = modules.backup(volume, repository=str(work / "r"), skip_unchanged=True)
        assert (len(answer["backups"]), answer["unchanged"]) == (1, []), number


def test_a_repository_that_is_not_mounted(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    for check in (True, False):
        message = modules.refused(
            BACKUP, volumes=[volume], repository=str(work / "r"), require_mounted=True, check=check
        )
        assert "is on the root file system: what should be mounted there, or above, isn't" in message
    assert not (work / "r").exists()
    with disks.mounted(work, 8) as disk:
        modules.backup(volume, repository=str(disk / "r"), require_mounted=True)
