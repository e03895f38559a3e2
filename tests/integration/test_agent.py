# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""drydock-volumes on a real engine: installed as Ansible installs it, and doing what the modules do."""

from __future__ import annotations

import json
import os
import pathlib
import pty
import re
import signal
import subprocess
import sys
import time
import typing as t

import pytest

from tests.support import records, trees
from tests.support.agent import Agent
from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, COLLECTIONS, Modules
from tests.support.processes import children, wait_for

AGE = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
SLOW = ("--compression", "zstd", "--compression-level", "19")


@pytest.fixture
def agent(work: pathlib.Path, modules: Modules) -> Agent:
    return Agent(work, modules)


@pytest.fixture
def volume(engine: Engine) -> str:
    """A volume with some of everything in it, but for holes, whose places in an archive hold tar's own number."""
    made = engine.volume()
    for make in (trees.make_links, trees.make_symlinks, trees.make_modes, trees.make_xattrs, trees.make_names):
        make(engine.path(made) / make.__name__)
    return made


@pytest.fixture
def slow_volume(engine: Engine) -> str:
    """A volume that takes some seconds with SLOW."""
    made = engine.volume()
    (engine.path(made) / "noise").write_bytes(os.urandom(6 << 20))
    return made


def _playbook(work: pathlib.Path, options: dict[str, t.Any]) -> list[dict[str, t.Any]]:
    """Install it as an operator does, through AnsiballZ: in check mode, twice, in check mode. Return the results."""
    tasks: list[dict[str, t.Any]] = []
    for number, check in enumerate((True, False, False, True)):
        tasks += [
            {"drydock.volumes.drydock_agent": options, "check_mode": check, "diff": True, "register": f"done{number}"},
            {"ansible.builtin.copy": {"content": f"{{{{ done{number} | to_json }}}}", "dest": f"{work}/done{number}"}},
        ]
    play = [{"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": tasks}]
    (work / "play.yml").write_text(json.dumps(play))
    interpreter = f"ansible_python_interpreter={sys.executable}"
    ran = subprocess.run(
        ["ansible-playbook", "-i", "localhost,", "-e", interpreter, work / "play.yml"],
        env={**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS)},
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return [json.loads((work / f"done{number}").read_text()) for number in range(4)]


def test_it_is_installed_and_removed(work: pathlib.Path, modules: Modules) -> None:
    """The twelve states; those of an installation with Ansible's own way to the target."""
    path, there = work / "there" / "bin" / "drydock-volumes", work / "there"
    options = {"path": str(path), "bash_completion": str(there / "c"), "manual": str(there / "m")}

    def state(expected: bool, state: str = "present", *, check: bool = False) -> dict[str, t.Any]:
        answer = modules.run("drydock_agent", **options, state=state, check=check)
        assert answer["changed"] is expected, answer
        return answer

    predicted, made, again, last = _playbook(work, options)
    assert [done["changed"] for done in (predicted, made, again, last)] == [True, True, False, False]
    files = [str(path), str(there / "c/drydock-volumes"), str(there / "m/drydock-volumes.1")]
    assert list(predicted["diff"]["after"]) == files
    assert predicted["diff"] == made["diff"]
    assert predicted["digest"] == made["digest"] == again["digest"]
    assert path.stat().st_mode & 0o7777 == 0o755
    # what Ansible carried to the target is what the checkout has
    assert state(False)["digest"] == made["digest"]
    bare = {"PATH": "/usr/bin:/bin", "DRYDOCK_STATE_DIRECTORY": str(work / "state")}
    assert subprocess.run([path, "recover"], env=bare, check=True, capture_output=True).stdout

    content = path.read_bytes()
    path.chmod(0o700)
    state(True, check=True)
    state(True)
    path.write_bytes(content + b"x")
    state(True)
    assert path.read_bytes() == content
    state(True, "absent", check=True)
    assert path.exists()
    assert state(True, "absent")["digest"] is None
    assert [file for file in there.rglob("*") if file.is_file()] == []
    state(False, "absent")
    state(False, "absent", check=True)


def test_what_is_somebody_elses_stays(work: pathlib.Path, modules: Modules) -> None:
    (work / "bin").mkdir()
    (work / "bin" / "drydock-volumes").write_text("#!/bin/sh\n")
    options = {"path": str(work / "bin" / "drydock-volumes"), "bash_completion": "", "manual": ""}
    for state in ("present", "absent"):
        assert "is there and is not the agent's" in modules.refused("drydock_agent", **options, state=state)
    assert (work / "bin" / "drydock-volumes").read_text() == "#!/bin/sh\n"
    assert "is there and is no file" in modules.refused("drydock_agent", **{**options, "path": str(work / "bin")})
    assert "is not absolute" in modules.refused("drydock_agent", **{**options, "path": "bin/x"})
    for interpreter in ("python3", "/with a space", "/" + "x" * 130):
        assert "can't start a file" in modules.refused("drydock_agent", **options, interpreter=interpreter)


def _stored(repository: pathlib.Path) -> tuple[bytes, dict[str, t.Any]]:
    """The bytes of the one archive in a repository, and its manifest without what each run has for itself."""
    (file,) = repository.glob("*/*/*.json")
    manifest = json.loads(file.read_text())
    archive = (file.parent / manifest["archive"].pop("file")).read_bytes()
    for key in ("id", "started_at", "finished_at"):
        del manifest[key]
    manifest["consistency"].pop("downtime_seconds")
    manifest["verification"].pop("seconds", None)
    return archive, manifest


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, []),
        (
            {"compression": "gzip", "compression_level": 9, "verify": "archive"},
            ["--compression=gzip", "--compression-level=9", "--verify=archive"],
        ),
        (
            {"compression": "none", "host": "db1", "verify": "restore"},
            ["--compression", "none", "--host", "db1", "--verify", "restore"],
        ),
        ({"quiesce": "stop", "retention": {"keep_last": 1}}, ["--quiesce", "stop", "--retention.keep-last", "1"]),
        (
            {"encryption": {"method": "age", "recipients": [AGE]}},
            ["--encryption.method=age", "--encryption.recipients", AGE],
        ),
    ],
    ids=["defaults", "gzip", "none", "stop", "age"],
)
def test_the_agent_and_the_module_make_the_same(
    engine: Engine,
    modules: Modules,
    agent: Agent,
    work: pathlib.Path,
    volume: str,
    options: dict[str, t.Any],
    words: list[str],
) -> None:
    engine.run(volume)
    modules.backup(volume, repository=str(work / "by-module"), **options)
    agent.run("backup", volume, "--repository", work / "by-agent", *words)
    agent.job("same", volumes=[volume], repository=str(work / "by-job"), **options)
    agent.run("backup", "--job", "same")
    ours, theirs = _stored(work / "by-agent"), _stored(work / "by-module")
    by_job = _stored(work / "by-job")
    if "encryption" in options:  # each file has a key of its own
        for _archive, manifest in (ours, theirs, by_job):
            manifest["archive"].pop("sha256")
        ours, theirs, by_job = (b"", ours[1]), (b"", theirs[1]), (b"", by_job[1])
    assert ours == theirs == by_job


def test_json_is_what_the_modules_return(
    engine: Engine, modules: Modules, agent: Agent, work: pathlib.Path, volume: str
) -> None:
    repository, ansible = str(work / "repository"), {"invocation", "msg", "exception", "deprecations", "warnings"}
    own = {"command", "exit_code", "failure", "warnings"}

    def same(answer: dict[str, t.Any], found: dict[str, t.Any]) -> None:
        assert found.keys() - own == answer.keys() - ansible - {"failed"}
        assert found["changed"] == answer.get("changed", False)

    same(modules.backup(volume, repository=repository), agent.json("backup", volume, "--repository", repository))
    same(
        modules.run("docker_volume_backup", volumes=[volume, "nope-"], repository=repository),
        agent.json("backup", volume, "nope-", "--repository", repository, code=3),
    )
    same(
        modules.run("docker_volume_backup_info", repository=repository), agent.json("list", "--repository", repository)
    )
    target, other = engine.name(), engine.name()
    same(
        modules.restore(target, source_volume=volume, repository=repository),
        agent.json("restore", other, "--source-volume", volume, "--repository", repository),
    )
    assert records.differences(records.record(engine.path(volume)), records.record(engine.path(other))) == []
    same(
        modules.run("docker_volume_drill", volumes=[volume], repository=repository),
        agent.json("drill", volume, "--repository", repository),
    )


def test_dry_run_is_check_mode(engine: Engine, agent: Agent, work: pathlib.Path, volume: str) -> None:
    container = engine.run(volume)
    started = engine.started_at(container)
    said = agent.run("backup", volume, "--repository", work / "repository", "--quiesce=stop", "--dry-run", "--diff")
    assert f"volume {volume}: would be backed up" in said.stdout
    assert '+      "(a new backup)"' in said.stdout
    assert not (work / "repository").exists()
    assert engine.started_at(container) == started
    agent.run("backup", volume, "--repository", work / "repository")
    target = engine.name()
    said = agent.run("restore", target, "--source-volume", volume, "--repository", work / "repository", "--dry-run")
    assert "would be restored" in said.stdout
    assert target not in engine.names()
    said = agent.run("drill", volume, "--repository", work / "repository", "--dry-run")
    assert "would be restored" in said.stdout
    assert not (agent.state / "drills").exists()


def test_exit_codes(engine: Engine, agent: Agent, work: pathlib.Path, volume: str) -> None:
    where = ("--repository", work / "repository")
    agent.run("backup", volume, *where)
    assert "nope- doesn't exist" in agent.run("backup", "nope-", *where, code=1).stderr
    partly = agent.run("backup", volume, "nope-", *where, code=3)
    assert f"volume {volume}: backup " in partly.stdout
    assert "error: volume nope- doesn't exist" in partly.stderr
    for words in (
        ("backup",),
        ("backup", volume),
        ("backup", volume, *where, "--parallel", "x"),
        ("backup", volume, *where, "--nonsense"),
        ("backup", volume, *where, "--parallel", "0"),
        ("restore", volume, *where, "--before", "yesterday"),
        ("backup", "--job", "nope"),
        ("nonsense",),
        (),
    ):
        said = agent.run(*words, code=2)
        assert said.stderr.startswith("error: "), words
        assert said.stdout == ""
    assert agent.json("backup", volume, code=2)["failure"] == "repository: this is required"
    assert "no Docker daemon" in agent.run("backup", volume, *where, "--docker-host=unix:///nowhere", code=1).stderr
    assert agent.run("restore", volume, *where, code=1).stderr.startswith(f"error: volume {volume} is not empty")
    (archive, other) = sorted((work / "repository").glob("*/*/*.zst"))
    os.truncate(archive, archive.stat().st_size)
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    said = agent.run("verify", *where, code=3)
    assert "DAMAGED" in said.stdout
    assert str(archive) in said.stderr
    other.with_name(other.name.replace(".tar.zst", ".json")).unlink()
    agent.run("verify", *where, code=1)


def test_a_signal_undoes_what_is_under_way(engine: Engine, agent: Agent, work: pathlib.Path, slow_volume: str) -> None:
    container = engine.run(slow_volume)
    agent.job("slow", volumes=[slow_volume], repository=str(work / "r"), quiesce="stop", compression_level=19)
    for number, code in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        process = agent.start("backup", "--job", "slow", environment={"PYTHONFAULTHANDLER": ""})
        wait_for(lambda: "zstd" in children(process.pid).values(), "zstd")  # noqa: B023
        assert engine.state(container) == "exited"
        process.send_signal(number)
        time.sleep(0.01)
        process.send_signal(number)  # who is impatient disturbs nothing
        stdout, stderr = process.communicate(timeout=240)
        assert process.returncode == code, stderr
        assert f"ended by {number.name}; what was under way is undone" in stderr
        assert stdout == ""
        assert engine.state(container) == "running"
        assert [path for path in (work / "r").rglob("*") if path.is_file() and path.name != ".lock"] == []
    record = json.loads((agent.state / "runs" / "slow.json").read_text())
    assert (record["runs"], record["failed_runs"], record["success"], record["exit_code"]) == (3, 3, False, 129)


def test_a_run_of_the_same_job_is_never_doubled(engine: Engine, agent: Agent, work: pathlib.Path, volume: str) -> None:
    # it waits until it is let go
    container = engine.run(volume)
    wait = {"container": container, "command": "touch /v/waits; until [ -e /v/go ]; do sleep 0.1; done"}
    agent.job("slow", volumes=[volume], repository=str(work / "r"), exec_before=[wait])
    agent.job("other", volumes=[engine.volume()], repository=str(work / "r"))
    first = agent.start("backup", "--job", "slow")
    wait_for((engine.path(volume) / "waits").exists, "the command before")
    assert "job slow runs already; nothing was done" in agent.run("backup", "--job", "slow", code=4).stderr
    agent.run("backup", "--job", "other")
    assert "runs since" in agent.run("status", "slow", code=3).stdout
    (engine.path(volume) / "go").touch()
    assert first.wait(240) == 0
    first.communicate()
    agent.run("backup", "--job", "slow")
    assert len(list((work / "r").glob(f"*/{volume}/*.json"))) == 2


def test_status_and_metrics_follow_what_happens(engine: Engine, agent: Agent, work: pathlib.Path, volume: str) -> None:
    output = work / "textfile" / "drydock.prom"
    output.parent.mkdir()

    def metric(name: str) -> dict[str, str]:
        agent.run("metrics", "--output", output)
        assert (output.stat().st_mode & 0o777, os.listdir(output.parent)) == (0o644, [output.name])
        text = output.read_text()
        subprocess.run(["promtool", "check", "metrics"], input=text, text=True, check=True, capture_output=True)
        lines = [line.rpartition(" ") for line in text.splitlines() if not line.startswith("#")]
        return {labels: value for labels, _space, value in lines if re.match(rf"{name}\b", labels)}

    assert "there is no job" in agent.run("status", code=3).stdout
    agent.job("nightly", volumes=[volume], repository=str(work / "repository"), quiesce="stop", max_age="1h")
    engine.run(volume)
    first, second = agent.json("status", "nightly", code=3)["problems"]
    assert first.startswith(f"repository {work}/repository is not a directory")
    assert second == f"volume {volume}: there is no complete backup of it in {work}/repository"
    assert list(metric("drydock_backup_missing").values()) == ["1"]

    agent.run("backup", "--job", "nightly")
    found = agent.json("status", "nightly")
    assert found["safe"]
    assert found["jobs"][0]["downtime_seconds"] > 0
    (shown,) = found["volumes"]
    assert (shown["volume"], shown["backups"], shown["drill"]) == (volume, 1, None)
    assert list(metric("drydock_backup_missing").values()) == ["0"]
    assert list(metric("drydock_job_success").values()) == ["1"]
    assert float(next(iter(metric("drydock_job_downtime_seconds").values()))) > 0

    agent.run("drill", volume, "--repository", work / "repository")
    assert "good, " in agent.run("status", "nightly").stdout
    assert list(metric("drydock_drill_success").values()) == ["1"]

    # a run that fails keeps the last success
    success = metric("drydock_job_last_success_timestamp_seconds")
    agent.job("nightly", volumes=[volume, "nope-"], repository=str(work / "repository"))
    agent.run("backup", "--job", "nightly", code=3)
    assert metric("drydock_job_last_success_timestamp_seconds") == success
    assert list(metric("drydock_job_failures").values()) == ["1"]
    assert "nope- doesn't exist" in agent.run("status", "nightly", code=3).stdout

    # a backup that is too old, by the clock of its identifier
    agent.job("nightly", volumes=[volume], repository=str(work / "repository"))
    agent.run("backup", "--job", "nightly")
    (manifest, *_others) = sorted((work / "repository").glob("*/*/*.json"))
    for file in sorted((work / "repository").glob("*/*/*")):
        if not file.name.startswith((".", manifest.stem)) or file.name == ".lock":
            file.unlink()
    assert "safe" in agent.run("status", "nightly").stdout
    assert " is allowed" in agent.run("status", "nightly", "--max-age", "0h", code=3).stdout
    (agent.configuration / "jobs.d" / "broken.json").write_text("{")
    assert "jobs.d/broken.json: it is no JSON" in agent.run("status", code=3).stdout
    assert sorted(metric("drydock_job_valid").values()) == ["0", "1"]
    assert list(metric("drydock_docker_up").values()) == ["1"]
    agent.run("metrics", "--output", output, "--docker-host", "unix:///nowhere")
    assert "drydock_docker_up 0" in output.read_text()
    assert "can't be written" in agent.run("metrics", "--output", work / "no" / "such", code=1).stderr


def _on_a_terminal(agent: Agent, *words: object, **environment: str) -> tuple[int, str]:
    """Run the command on a terminal. Return its exit code, and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(
            agent.path, [str(agent.path), *map(str, words)], {**agent.environment, "TERM": "xterm", **environment}
        )
    shown = bytearray()
    try:
        while piece := os.read(terminal, 65536):
            shown += piece
    except OSError:
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


@pytest.mark.parametrize("library", [True, False])
def test_progress_on_a_terminal(agent: Agent, work: pathlib.Path, slow_volume: str, library: bool) -> None:
    environment = {"COLUMNS": "120"}
    if not library:
        (work / "without" / "rich").mkdir(parents=True)
        (work / "without" / "rich" / "__init__.py").write_text("raise ImportError('no rich here')\n")
        environment["PYTHONPATH"] = str(work / "without")
    words = ("backup", slow_volume, "--repository", work / "r", *SLOW)
    code, shown = _on_a_terminal(agent, *words, **environment)
    assert code == 0, shown[-500:]
    assert f"{slow_volume}: reading" in shown
    assert "\x1b[" in shown
    assert ("━" in shown) == library
    assert re.search(r"[KM]i?B/s", shown)
    assert f"volume {slow_volume}: backup " in shown


def test_colours_are_for_terminals_that_want_them(agent: Agent) -> None:
    assert "\x1b[31m" in _on_a_terminal(agent, "backup")[1]
    assert "\x1b" not in _on_a_terminal(agent, "backup", NO_COLOR="1")[1]
    assert "\x1b" not in _on_a_terminal(agent, "backup", TERM="dumb")[1]
    assert "\x1b" not in agent.run("backup", code=2).stderr


def test_plain_lines_for_the_journal(agent: Agent, work: pathlib.Path, volume: str) -> None:
    said = agent.run("backup", volume, "--repository", work / "r", "--verify", "archive")
    assert said.stderr.splitlines()[:2] == [f"volume {volume}: reading", f"volume {volume}: verifying"]
    assert "\x1b" not in said.stdout + said.stderr
    assert agent.run("backup", volume, "--repository", work / "r", "--json").stderr == ""


def test_names_cannot_command_the_terminal(agent: Agent, work: pathlib.Path) -> None:
    odd = "\x1b]0;gotcha\x07\nerror: all is well"
    said = agent.run("backup", odd, "--repository", work / "r", code=1)
    assert "\x1b" not in said.stderr
    assert "\x07" not in said.stderr


def test_who_stops_reading_is_no_traceback(agent: Agent, work: pathlib.Path) -> None:
    ran = subprocess.run(
        ["bash", "-c", '"$1" metrics | head -c 0; echo "${PIPESTATUS[0]}"', "bash", agent.path],
        env=agent.environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "Traceback" not in ran.stderr
    assert ran.stderr == ""


def test_the_checkout_is_not_needed(agent: Agent) -> None:
    """What is installed stands alone: no path of it leads back to the collection."""
    assert str(CHECKOUT).encode() not in agent.path.read_bytes().partition(b"\n")[2]


def test_orphans_are_listed_and_removed_on_demand(engine: Engine, agent: Agent) -> None:
    orphan, used = engine.volume(), engine.volume()
    engine.run(used)
    some = ("orphans", "--grace", "0h", "--selector.names", f"{orphan},{used}", "--max-remove-percent", "100")
    said = agent.run(*some).stdout
    assert re.search(rf"{orphan} +orphan ", said)
    assert used not in said
    assert "would be removed" in agent.run(*some, "--remove", "--dry-run").stdout
    assert engine.names() == sorted([orphan, used])
    found = agent.json(*some, "--remove")
    assert [one["name"] for one in found["removed"]] == [orphan]
    assert engine.names() == [used]
