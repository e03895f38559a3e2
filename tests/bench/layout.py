# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred bind volumes laid out by a playbook, the first time and again, beside the usual two loops."""

from __future__ import annotations

import collections.abc as c
import shutil
import typing as t

from . import harness
from .harness import Contestant
from .host import Host, command, open_host
from .registry import Bar, Options, benchmark

VOLUMES = 100
OWNER = "999"
MODE = "0700"

# The first one is what the other is compared with.
HABIT = "loops of file and docker_volume"
OURS = "drydock.volumes, one task"


@benchmark("layout")
def layout(options: Options) -> c.Sequence[Bar]:
    """Measure, print the tables, return the bars of issue 5. Both are whole runs of ansible-playbook."""
    with open_host() as host:
        runs = {HABIT: _loops(host), OURS: _task(host)}

        def remove() -> None:
            for name in command("docker", "volume", "ls", "-q", f"--filter=name={host.prefix}").split():
                command("docker", "volume", "rm", name)
            shutil.rmtree(host.scratch / "disk", ignore_errors=True)

        def run(name: str) -> c.Callable[[], None]:
            return lambda: host.playbook(runs[name])

        first = [Contestant(name, remove, run(name), remove) for name in runs]
        harness.interleave("first", first, options.rounds)
        host.playbook(runs[OURS])
        second = [Contestant(name, _nothing, run(name), _nothing) for name in runs]
        harness.interleave("second", second, options.rounds)
        laid = command("docker", "volume", "ls", "-q", f"--filter=name={host.prefix}").split()
        if len(laid) != VOLUMES:
            raise RuntimeError(f"{len(laid)} volumes are there, not {VOLUMES}")
    print(
        f"\n{VOLUMES} bind volumes with a directory, an owner and a mode each; {options.rounds} rounds, interleaved\n"
    )
    for job, contestants in (("first time", first), ("second time", second)):
        for line in harness.rows(job, contestants, VOLUMES, "volumes/s"):
            print(line)
    return [
        Bar(f"{VOLUMES} volumes, first time: times faster than loops", _ratio(first), 10, at_least=True),
        Bar(f"{VOLUMES} volumes, second time: times faster than loops", _ratio(second), 20, at_least=True),
    ]


def _ratio(contestants: c.Sequence[Contestant]) -> float:
    habit, ours = contestants
    return habit.median / ours.median


def _volumes(host: Host) -> list[tuple[str, str]]:
    """The names and the directories."""
    names = [host.volume(f"layout-{number}") for number in range(VOLUMES)]
    return [(name, str(host.scratch / "disk" / name)) for name in names]


def _loops(host: Host) -> list[dict[str, t.Any]]:
    return [
        {
            "ansible.builtin.file": {"path": "{{ item }}", "state": "directory", "owner": OWNER, "mode": MODE},
            "loop": [path for _name, path in _volumes(host)],
        },
        {
            "community.docker.docker_volume": {
                "name": "{{ item[0] }}",
                "driver_options": {"type": "none", "o": "bind", "device": "{{ item[1] }}"},
                "recreate": "never",
            },
            "loop": _volumes(host),
        },
    ]


def _task(host: Host) -> list[dict[str, t.Any]]:
    volumes = [{"name": name, "device_path": path, "owner": OWNER, "mode": MODE} for name, path in _volumes(host)]
    return [{"drydock.volumes.docker_volume_layout": {"volumes": volumes}}]


def _nothing() -> None:
    """The volumes are there, and stay."""
