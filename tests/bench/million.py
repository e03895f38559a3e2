# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume of a million small files, beside the plain pipe, and the memory that it takes."""

from __future__ import annotations

import collections.abc as c
import concurrent.futures
import functools
import itertools
import multiprocessing
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
# For information: a pipe that keeps nanoseconds, xattrs and ACLs, as ours does. tar alone is what all three wait for.
FAITHFUL = "tar --format=posix --xattrs | zstd -T0"


@benchmark("million")
def million(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bars."""
    peaks: list[int] = []
    with open_host() as host:
        data = host.create_volume("million")
        files = at_most(options.files, os.statvfs(data))
        harness.progress(f"making {files} files")
        tenth = files // 10
        make_files(data, 0, tenth)
        archives = {name: host.scratch / f"archives-{number}" for number, name in enumerate((OURS, PIPE, FAITHFUL))}
        for folder in archives.values():
            folder.mkdir(mode=0o700)

        def ours() -> int:
            arguments = {"volumes": [host.volume("million")], "repository": str(archives[OURS]), "host": "bench"}
            return int(host.module("docker_volume_backup", arguments)["peak_memory"])

        small = ours()
        _empty(archives[OURS])
        make_files(data, tenth, files)

        def pipe(name: str, *options: str) -> None:
            shell(f"tar -C {data} {' '.join(options)} -cf - . | zstd -T0 -q > {archives[name]}/x.tar.zst")

        runs: dict[str, c.Callable[[], object]] = {
            OURS: lambda: peaks.append(ours()),
            PIPE: lambda: pipe(PIPE),
            FAITHFUL: lambda: pipe(FAITHFUL, "--format=posix", "--xattrs", "--xattrs-include='*'", "--sparse"),
        }
        warm = functools.partial(harness.read_all, data)
        contestants = [
            Contestant(name, warm, run, functools.partial(_empty, archives[name])) for name, run in runs.items()
        ]
        harness.interleave("backup", contestants, options.rounds)
        harness.progress(f"removing {files} files")
    print(f"\n{files} files of 0 to 200 bytes")
    if files < options.files:
        print(f"With {options.files} of them, less than a tenth of the file system's inodes would have been left free.")
    print()
    for line in harness.rows("backup", contestants, files, "files/s"):
        print(line)
    print(f"\npeak memory of our own process: {max(peaks) / MEBIBYTE:.1f} MiB, ", end="")
    print(f"with a tenth of the files {small / MEBIBYTE:.1f} MiB")
    median = {contestant.name: contestant.median for contestant in contestants}
    return [
        Bar(f"{files} files: time of ours / time of {PIPE}", median[OURS] / median[PIPE], 1.2, at_least=False),
        Bar("peak memory of our own process", max(peaks) / MEBIBYTE, 150, at_least=False, unit="MiB"),
    ]


def at_most(wanted: int, facts: os.statvfs_result) -> int:
    """Return how many files to make: those that are wanted, or as many as leave a tenth of all inodes free."""
    if not facts.f_files:  # Btrfs, for one, makes inodes as it needs them
        return wanted
    room = (facts.f_favail - facts.f_files // 10) // (FOLDER + 1) * FOLDER
    if room < FOLDER:
        raise RuntimeError(f"only {facts.f_favail} of {facts.f_files} inodes are free, too few to measure on")
    return min(wanted, room)


def make_files(place: pathlib.Path, first: int, last: int) -> None:
    """Make the files with the numbers from first to last - 1, FOLDER in a directory, on all processors."""
    starts = range(first, last, FOLDER)
    ends = (min(start + FOLDER, last) for start in starts)
    with concurrent.futures.ProcessPoolExecutor(mp_context=multiprocessing.get_context("fork")) as processes:
        for _made in processes.map(_make_folder, itertools.repeat(place), starts, ends, chunksize=8):
            pass


def _make_folder(place: pathlib.Path, first: int, last: int) -> None:
    text = bytes(range(256))
    folder = place / f"{first:07}"
    folder.mkdir()
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    for number in range(first, last):
        descriptor = os.open(f"{number:07}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644, dir_fd=at)
        os.write(descriptor, text[: number * 7 % 201])
        os.close(descriptor)
    os.close(at)


def _empty(folder: pathlib.Path) -> None:
    command("find", str(folder), "-mindepth", "1", "-delete")
