# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A hundred small volumes in one task, beside the shell's loop and beside a loop of our own module."""

from __future__ import annotations

import collections.abc as c
import functools
import os
import pathlib

from . import harness
from .harness import Contestant
from .host import Host, command, open_host, shell
from .registry import Bar, Options, benchmark

VOLUMES = 100
SIZE = 1_000_000

ONE = "drydock.volumes, one task"
HABIT = "for v in …; docker run busybox tar czf"
LOOP = "drydock.volumes, a task for each"


@benchmark("many")
def many(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bars."""
    with open_host() as host:
        harness.progress(f"making {VOLUMES} volumes of {SIZE / 1e6:.0f} MB")
        names = [host.volume(f"many-{number}") for number in range(VOLUMES)]
        sources = _sources()
        places = [_fill(host.create_volume(f"many-{number}"), sources) for number in range(VOLUMES)]
        host.import_busybox()
        contestants = _contestants(host, names, places)
        harness.interleave("backup", contestants, options.rounds)
    print(f"\n{VOLUMES} volumes of {SIZE / 1e6:.0f} MB\n")
    for line in harness.rows("backup", contestants, VOLUMES * SIZE / 1e6):
        print(line)
    median = {contestant.name: contestant.median for contestant in contestants}
    return [
        Bar(f"{VOLUMES} volumes: times faster than the shell's loop", median[HABIT] / median[ONE], 8, at_least=True),
        Bar(f"{VOLUMES} volumes: times faster than a task for each", median[LOOP] / median[ONE], 5, at_least=True),
    ]


def _sources() -> c.Iterator[bytes]:
    """Contents of real files, for ever."""
    while True:
        for folder, _folders, names in os.walk("/usr/share"):
            for name in sorted(names):
                path = pathlib.Path(folder, name)
                if path.is_file() and not path.is_symlink():
                    yield path.read_bytes()


def _fill(place: pathlib.Path, sources: c.Iterator[bytes]) -> pathlib.Path:
    left, number = SIZE, 0
    while left > 0:
        data = next(sources)[:left]
        (place / f"{number}").write_bytes(data)
        left -= len(data)
        number += 1
    return place


def _contestants(host: Host, names: list[str], places: list[pathlib.Path]) -> list[Contestant]:
    folders = {name: host.scratch / f"many-{number}" for number, name in enumerate((ONE, HABIT, LOOP))}
    for folder in folders.values():
        folder.mkdir(mode=0o700)

    def one() -> None:
        host.module("docker_volume_backup", {"volumes": names, "repository": str(folders[ONE]), "host": "bench"})

    def habit() -> None:
        run = f'docker run --rm -v "$v:/v:ro" -v {folders[HABIT]}:/b {host.image} tar czf "/b/$v.tgz" -C /v .'
        shell(f"for v in {' '.join(names)}; do {run}; done")

    def loop() -> None:
        for name in names:
            host.module("docker_volume_backup", {"volumes": [name], "repository": str(folders[LOOP]), "host": "bench"})

    def warm() -> None:
        for place in places:
            harness.read_all(place)

    def clean(folder: pathlib.Path) -> None:
        command("find", str(folder), "-mindepth", "1", "-delete")

    runs = {ONE: one, HABIT: habit, LOOP: loop}
    return [Contestant(name, warm, run, functools.partial(clean, folders[name])) for name, run in runs.items()]
