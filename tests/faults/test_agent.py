# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's run is killed at any instant: after ``recover`` its containers run, and every listed backup is whole, in the
repository and where it is copied to."""

from __future__ import annotations

import concurrent.futures
import json
import os
import pathlib
import random
import time

import pytest

from tests.support import remotes
from tests.support.agent import Agent
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for

# 50 rounds in all, some of them side by side: a test must end in five minutes, also where the machine is busy.
PARTS, LANES, ROUNDS = 5, 2, 5


def _killed(agent: Agent, engine: Engine, job: str, container: str, ends: list[list[str]], rounds: int) -> None:
    """Kill runs of a job, the first one with the container down and the others at random, and look after each. ``ends``
    are the options that name the repository, and those that name what it is copied to."""
    dice = random.Random(os.urandom(8))
    began = time.monotonic()
    agent.run("backup", "--job", job)
    whole = time.monotonic() - began
    for number in range(rounds):
        process = agent.start("backup", "--job", job)
        if number == 0:
            wait_for(lambda: engine.state(container) == "exited", "the stop of the container")
        else:
            time.sleep(dice.uniform(0.2, 1.0) * whole)
        below = children(process.pid)
        process.kill()
        process.communicate()
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in below), "the end of its processes")  # noqa: B023
        agent.run("recover", "--stop-timeout", 15)  # it waits twice as long for who may have got a signal, or not
        assert engine.state(container) == "running"
        for end in ends:
            listed = agent.json("verify", *end)["backups"]
            assert listed
            assert {one["verified"] for one in listed} == {"archive"}
    # the next run of the job is as any other: the lock is free, and retention keeps what it should
    agent.run("backup", "--job", job)
    here, there = ([one["id"] for one in agent.json("list", *end)["backups"]] for end in ends)
    assert (len(here), there) == (2, here)
    record = json.loads((agent.state / "runs" / f"{job}.json").read_text())
    assert (record["success"], record["running_since"]) == (True, None)
    assert 3 <= record["runs"] <= rounds + 2  # one that is killed early enough has not begun
    assert agent.json("status", job)["safe"]


@pytest.mark.parametrize("part", range(PARTS))
def test_f21_f31_f41_a_job_is_killed_at_random(engine: Engine, modules: Modules, work: pathlib.Path, part: int) -> None:
    lanes = []
    for number in range(LANES):
        agent = Agent(work / f"lane-{number}", modules)  # with a journal of its own
        volume, repository = engine.volume(), str(work / f"lane-{number}" / "repository")
        rclone = remotes.Rclone(work / f"lane-{number}")
        rclone.add(remotes.alias(work / f"lane-{number}" / "elsewhere").section("off"))
        elsewhere = ["--repository", "off:volumes", "--rclone-config", str(rclone.config)]
        (engine.path(volume) / "noise").write_bytes(os.urandom(2 << 20))
        container = engine.run(volume)
        agent.job(
            "job",
            volumes=[volume],
            repository=repository,
            quiesce="stop",
            retention={"keep_last": 2},
            copies=[{"repository": "off:volumes", "retention": {"keep_last": 2}}],
            rclone_config=str(rclone.config),
        )
        lanes.append((agent, engine, "job", container, [["--repository", repository], elsewhere]))
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        running = [pool.submit(_killed, *lane, ROUNDS) for lane in lanes]
        for one in running:
            one.result()
