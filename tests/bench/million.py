# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume of a million small files, beside the plain pipe, and the memory that it takes."""

from __future__ import annotations

import collections.abc as c
import functools
import os
import pathlib

from . import harness
from .harness import Contestant
from .host import command, open_host, shell
from .registry import Bar, Options, benchmark

FILES = 1_000_000
FOLDER = 1000
MEBIBYTE = 1 << 20

OURS = "drydock.volumes"
PIPE = "tar | zstd -T0"


@benchmark("million")
def million(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bars."""
    peaks: list[int] = []
    with open_host() as host:
        room = os.statvfs(host.scratch).f_favail
        files = min(FILES, int(room * 0.9) // FOLDER * FOLDER)
        harness.progress(f"making {files} files")
        few, data = host.create_volume("few"), host.create_volume("million")
        make_files(few, files // 10)
        make_files(data, files)
        archives = {name: host.scratch / f"archives-{number}" for number, name in enumerate((OURS, PIPE))}
        for folder in archives.values():
            folder.mkdir(mode=0o700)

        def ours(volume: str = "million") -> int:
            arguments = {"volumes": [host.volume(volume)], "repository": str(archives[OURS]), "host": "bench"}
            return int(host.module("docker_volume_backup", arguments)["peak_memory"])

        small = ours("few")
        runs: dict[str, c.Callable[[], object]] = {
            OURS: lambda: peaks.append(ours()),
            PIPE: lambda: shell(f"tar -C {data} -cf - . | zstd -T0 -q > {archives[PIPE]}/x.tar.zst"),
        }
        warm = functools.partial(harness.read_all, data)
        contestants = [
            Contestant(name, warm, run, functools.partial(_empty, archives[name])) for name, run in runs.items()
        ]
        harness.interleave("backup", contestants, options.rounds)
    print(f"\n{files} files of 0 to 200 bytes\n")
    for line in harness.rows("backup", contestants, files * 100):
        print(line)
    print(f"\npeak memory with a tenth of the files: {small / MEBIBYTE:.0f} MiB")
    median = {contestant.name: contestant.median for contestant in contestants}
    return [
        Bar(f"{files} files: time of ours / time of {PIPE}", median[OURS] / median[PIPE], 1.2, at_least=False),
        Bar("peak memory of our own process", max(peaks) / MEBIBYTE, 150, at_least=False, unit="MiB"),
    ]


def make_files(place: pathlib.Path, files: int) -> None:
    """Make that many small files, FOLDER in a directory."""
    text = bytes(range(256))
    for number in range(files // FOLDER):
        folder = place / f"{number:04}"
        folder.mkdir()
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        for each in range(FOLDER):
            descriptor = os.open(f"{each:04}", os.O_WRONLY | os.O_CREAT, 0o644, dir_fd=at)
            os.write(descriptor, text[: each * 7 % 201])
            os.close(descriptor)
        os.close(at)


def _empty(folder: pathlib.Path) -> None:
    command("find", str(folder), "-mindepth", "1", "-delete")
