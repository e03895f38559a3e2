# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of a thousand volumes nobody uses, beside the shell's loop that everybody knows."""

from __future__ import annotations

import collections.abc as c
import contextlib
import secrets
import subprocess
import typing as t
from concurrent.futures import ThreadPoolExecutor

import docker

from . import harness
from .harness import Contestant
from .host import Host, open_host
from .registry import Bar, Options, benchmark

VOLUMES, CONTAINERS = 1000, 200
SIDE_BY_SIDE = 4

OURS = "drydock.volumes"
HABIT = "for v in …; docker ps -a | grep"
# Without --no-trunc, as it is usually written: a name of more than 15 characters never matches its own mount.
SCRIPT = """for v in $(docker volume ls -q); do
    docker ps -a --format '{{.Mounts}}' | grep -q "$v" || echo "$v"
done"""


class Fleet:
    """Volumes with short and with long names; some used by one container each, by a second one through volumes-from."""

    def __init__(self, host: Host) -> None:
        self._api = docker.APIClient(version="auto", timeout=120)
        self._host = host
        short = secrets.token_hex(3)
        self.names = [f"{short}-{number}" for number in range(VOLUMES // 2)]
        self.names += [host.volume(f"data-{number}") for number in range(VOLUMES - len(self.names))]
        # the last ones of each kind, so that the names of unused ones are how theirs begin
        apart = CONTAINERS // 4
        self.used = {*self.names[VOLUMES // 2 - apart : VOLUMES // 2], *self.names[-apart:]}

    @contextlib.contextmanager
    def there(self) -> c.Iterator[None]:
        containers: list[str] = []
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            try:
                list(pool.map(self._api.create_volume, self.names))
                owners = list(pool.map(self._container, sorted(self.used)))
                containers += owners
                containers += list(pool.map(self._heir, owners))
                yield
            finally:
                list(pool.map(lambda one: self._api.remove_container(one, force=True), containers))
                list(pool.map(lambda one: self._api.remove_volume(one, force=True), self.names))
        self._api.close()

    def _container(self, volume: str) -> str:
        return self._made(binds=[f"{volume}:/v"])

    def _heir(self, owner: str) -> str:
        return self._made(volumes_from=[owner])

    def _made(self, **how: t.Any) -> str:
        host_config = self._api.create_host_config(network_mode="none", **how)
        return str(self._api.create_container(self._host.image, ["true"], host_config=host_config)["Id"])


@benchmark("orphans")
def orphans(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bars of issue 6."""
    said: dict[str, set[str]] = {}
    with open_host() as host:
        host.import_busybox()
        fleet = Fleet(host)
        harness.progress(f"making {VOLUMES} volumes and {CONTAINERS} containers")

        def ours() -> None:
            answer = host.module("docker_volume_usage_info", {})
            said[OURS] = {one["name"] for one in answer["volumes"] if one["class"] != "used"}

        def habit() -> None:
            done = subprocess.run(["sh", "-c", SCRIPT], check=True, capture_output=True, text=True)
            said[HABIT] = set(done.stdout.split())

        with fleet.there():
            # the loop takes minutes: once is enough
            slow = Contestant(HABIT, lambda: None, habit, lambda: None)
            quick = Contestant(OURS, lambda: None, ours, lambda: None)
            harness.interleave("orphans", [quick], options.rounds)
            harness.interleave("orphans", [slow], 1)
    print(f"\n{VOLUMES} volumes, {CONTAINERS} containers\n")
    for line in harness.rows("orphans", [slow, quick], VOLUMES, "vols/s"):
        print(line)
    unused = set(fleet.names) - fleet.used
    wrong = {}
    for name, found in said.items():
        lost, missed = found & fleet.used, unused - found
        wrong[name] = len(lost) + len(missed)
        print(f"  {name}: {len(lost)} used volumes called unused, {len(missed)} unused ones called used")
    return [
        Bar(f"{VOLUMES} volumes: times faster than the shell's loop", slow.median / quick.median, 20, at_least=True),
        Bar(f"{VOLUMES} volumes: put into a wrong class", wrong[OURS], 0, at_least=False, unit=""),
    ]
