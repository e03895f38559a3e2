# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's run is killed at any instant: after ``recover`` its containers run, and every listed backup is whole."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import random
import time

from tests.support.agent import Agent
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for

ROUNDS, LANES = 50, 5


def _killed(agent: Agent, engine: Engine, job: str, container: str, repository: pathlib.Path, rounds: int) -> int:
    """Kill runs of a job at random instants, and look after each. Return how often the container was down then."""
    dice = random.Random(os.urandom(8))
    began = time.monotonic()
    agent.run("backup", "--job", job)
    whole = time.monotonic() - began
    down = 0
    for _round in range(rounds):
        process = agent.start("backup", "--job", job)
        time.sleep(dice.uniform(0.2, 1.0) * whole)
        below = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "the end of its processes")  # noqa: B023
        down += engine.state(container) != "running"
        agent.run("recover")
        assert engine.state(container) == "running"
        listed = agent.json("verify", "--repository", repository)["backups"]
        assert listed
        assert {one["verified"] for one in listed} == {"archive"}
    # the next run of the job is as any other: the lock is free, and retention keeps what it should
    agent.run("backup", "--job", job)
    assert len(agent.json("list", "--repository", repository)["backups"]) == 2
    record = json.loads((agent.state / "runs" / f"{job}.json").read_text())
    assert (record["success"], record["running_since"], record["runs"]) == (True, None, rounds + 2)
    assert agent.json("status", job)["safe"]
    return down


def test_f21_f31_f41_a_job_is_killed_at_random(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    lanes = []
    for number in range(LANES):
        agent = Agent(work / f"lane-{number}", modules)  # with a journal of its own
        volume, repository = engine.volume(), work / f"lane-{number}" / "repository"
        (engine.path(volume) / "noise").write_bytes(os.urandom(2 << 20))
        container = engine.run(volume)
        agent.job("job", volumes=[volume], repository=str(repository), quiesce="stop", retention={"keep_last": 2})
        lanes.append((agent, engine, "job", container, repository))
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        running = [pool.submit(_killed, *lane, ROUNDS // LANES) for lane in lanes]
        down = sum(one.result() for one in running)
    # in some of the rounds at least there was something to bring back
    assert down > 0
