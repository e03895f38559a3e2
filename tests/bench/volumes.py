# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backup and restore of one volume of real files, beside the shell habit and beside a plain pipe on the host."""

from __future__ import annotations

import collections.abc as c
import functools
import pathlib

from . import harness
from .harness import Contestant
from .host import Host, command, copy_real_files, open_host, shell
from .registry import Bar, Options, benchmark

MEBIBYTE = 1 << 20

OURS = "drydock.volumes"
HABIT = "docker run busybox tar czf / xzf"
PIPE = "tar | zstd -T0 / zstd -dc | tar"
PLAYBOOK = "ansible-playbook drydock.volumes"


@benchmark("volumes")
def volumes(options: Options) -> c.Sequence[Bar]:
    """Measure, print the tables, return the bars of issue 2."""
    with open_host() as host:
        harness.progress(f"copying {options.size / 1e6:.0f} MB of this machine's files into a volume")
        data = host.create_volume("data")
        files, size = copy_real_files(data, options.size)
        host.import_busybox()
        archives = {name: host.scratch / name for name in ("ours", "playbook", "habit", "pipe")}
        for folder in archives.values():
            folder.mkdir(mode=0o700)
        peaks: dict[str, list[int]] = {"backup": [], "restore": []}

        backups = _backups(host, data, archives, peaks["backup"])
        harness.interleave("backup", backups, options.rounds)
        for contestant in backups:
            # The archives that are restored from, each contestant's own.
            contestant.run()
        sizes = [sum(file.stat().st_size for file in folder.rglob("*.t*")) for folder in archives.values()]

        restores = _restores(host, archives, peaks["restore"])
        harness.interleave("restore", restores, options.rounds)
        engine = command("docker", "version", "--format", "{{.Server.Version}}")

    print(f"\n{harness.machine()}, Docker Engine {engine}")
    print(f"{files} files, {size / 1e6:.0f} MB; {options.rounds} rounds, interleaved\n")
    for line in (*harness.rows("backup", backups, size), "", *harness.rows("restore", restores, size)):
        print(line)
    print("\narchive sizes: " + ", ".join(f"{n} {s / 1e6:.0f} MB" for n, s in zip(archives, sizes, strict=True)))
    return _bars(backups, restores, peaks)


def _backups(host: Host, data: pathlib.Path, archives: dict[str, pathlib.Path], peaks: list[int]) -> list[Contestant]:
    """Ways to back up the volume, each into a directory of its own that is empty before and after."""

    def options(folder: pathlib.Path) -> dict[str, object]:
        return {"volumes": [host.volume("data")], "repository": str(folder), "host": "bench"}

    def ours() -> None:
        peaks.append(host.module("docker_volume_backup", options(archives["ours"]))["peak_memory"])

    def playbook() -> None:
        host.playbook([{"drydock.volumes.docker_volume_backup": options(archives["playbook"])}])

    def habit() -> None:
        mounts = (f"--volume={host.volume('data')}:/v:ro", f"--volume={archives['habit']}:/b")
        host.container(*mounts, "tar", "czf", "/b/x.tgz", "-C", "/v", ".")

    def pipe() -> None:
        shell(f"tar -C {data} -cf - . | zstd -T0 -q > {archives['pipe']}/x.tar.zst")

    runs = {OURS: ours, HABIT: habit, PIPE: pipe, PLAYBOOK: playbook}
    folders = dict(zip(runs, (archives[name] for name in ("ours", "habit", "pipe", "playbook")), strict=True))
    warm = functools.partial(harness.read_all, data)
    return [Contestant(name, warm, run, functools.partial(_empty, folders[name])) for name, run in runs.items()]


def _restores(host: Host, archives: dict[str, pathlib.Path], peaks: list[int]) -> list[Contestant]:
    """Ways to restore into a volume that doesn't exist yet; each is removed afterwards."""

    def options(folder: pathlib.Path) -> dict[str, object]:
        return {
            "volume": host.volume("new"),
            "source_volume": host.volume("data"),
            "repository": str(folder),
            "host": "bench",
        }

    def ours() -> None:
        peaks.append(host.module("docker_volume_restore", options(archives["ours"]))["peak_memory"])

    def playbook() -> None:
        host.playbook([{"drydock.volumes.docker_volume_restore": options(archives["playbook"])}])

    def habit() -> None:
        mounts = (f"--volume={host.volume('new')}:/v", f"--volume={archives['habit']}:/b:ro")
        host.container(*mounts, "tar", "xzf", "/b/x.tgz", "-C", "/v")

    def pipe() -> None:
        target = host.create_volume("new")
        shell(f"zstd -dc -q {archives['pipe']}/x.tar.zst | tar -C {target} -xpf -")

    runs = {OURS: ours, HABIT: habit, PIPE: pipe, PLAYBOOK: playbook}
    folders = dict(zip(runs, (archives[name] for name in ("ours", "habit", "pipe", "playbook")), strict=True))
    remove = functools.partial(host.remove_volume, "new")
    return [
        Contestant(name, functools.partial(harness.read_all, folders[name]), run, remove) for name, run in runs.items()
    ]


def _empty(folder: pathlib.Path) -> None:
    command("find", str(folder), "-mindepth", "1", "-delete")


def _bars(backups: list[Contestant], restores: list[Contestant], peaks: dict[str, list[int]]) -> list[Bar]:
    backup = {contestant.name: contestant.median for contestant in backups}
    restore = {contestant.name: contestant.median for contestant in restores}
    return [
        Bar(f"backup: times faster than {HABIT[:27]}", backup[HABIT] / backup[OURS], 8, at_least=True),
        Bar("backup: time of ours / time of tar | zstd -T0", backup[OURS] / backup[PIPE], 1.15, at_least=False),
        Bar(
            "restore: times faster than docker run busybox tar xzf", restore[HABIT] / restore[OURS], 1.8, at_least=True
        ),
        Bar("restore: time of ours / time of zstd -dc | tar x", restore[OURS] / restore[PIPE], 1.3, at_least=False),
        Bar("backup: peak memory of our own process", max(peaks["backup"]) / MEBIBYTE, 100, at_least=False, unit="MiB"),
        Bar(
            "restore: peak memory of our own process", max(peaks["restore"]) / MEBIBYTE, 100, at_least=False, unit="MiB"
        ),
    ]
