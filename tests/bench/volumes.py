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
# For information. Ours ends when all is on disk; the two above end when it is in the page cache.
SYNCED = "the same pipe, then sync"
PLAYBOOK = "ansible-playbook, with drydock.volumes"
# Our default level is 2; zstd's own, and so that of the plain pipe, is 3.
LEVEL = "drydock.volumes, compression_level: 3"
UNVERIFIED = "drydock.volumes, verify: none"

Archives = c.Mapping[str, pathlib.Path]


@benchmark("volumes")
def volumes(options: Options) -> c.Sequence[Bar]:
    """Measure, print the tables, return the bars of issues 2 and 4."""
    peaks: dict[str, list[int]] = {"backup": [], "restore": []}
    with open_host() as host:
        harness.progress(f"copying {options.size / 1e6:.0f} MB of this machine's files into a volume")
        data = host.create_volume("data")
        files, size = copy_real_files(data, options.size)
        host.import_busybox()
        names = (OURS, HABIT, PIPE, LEVEL, SYNCED, PLAYBOOK)
        archives = {name: host.scratch / f"archives-{number}" for number, name in enumerate(names)}
        for folder in archives.values():
            folder.mkdir(mode=0o700)

        backups = _backups(host, data, archives, peaks["backup"])
        harness.interleave("backup", backups, options.rounds)
        for contestant in backups:
            contestant.run()  # once more, unmeasured, for the archive that it restores from
        archived = {name: _size(folder) for name, folder in archives.items()}

        restores = _restores(host, archives, peaks["restore"])
        harness.interleave("restore", restores, options.rounds)
        engine = command("docker", "version", "--format", "{{.Server.Version}}")

    print(f"\n{harness.machine()}, Docker Engine {engine}")
    print(f"{files} files, {size / 1e6:.0f} MB; {options.rounds} rounds, interleaved\n")
    for line in (*harness.rows("backup", backups, size / 1e6), "", *harness.rows("restore", restores, size / 1e6)):
        print(line)
    megabytes = {name: f"{bytes_ / 1e6:.0f} MB" for name, bytes_ in archived.items()}
    print(f"\narchives: ours {megabytes[OURS]}, ours at level 3 {megabytes[LEVEL]}, ", end="")
    print(f"zstd {megabytes[PIPE]}, tar czf {megabytes[HABIT]}")
    print("Our default is level 2 of zstd. Its own default, which the plain pipe has, is level 3.")
    return _bars(backups, restores, peaks)


def _backups(host: Host, data: pathlib.Path, archives: Archives, peaks: list[int]) -> list[Contestant]:
    """Ways to back up the volume, each into a directory of its own that is empty before and after."""

    def options(name: str) -> dict[str, object]:
        level = {"compression_level": 3} if name == LEVEL else {}
        return {"volumes": [host.volume("data")], "repository": str(archives[name]), "host": "bench", **level}

    def ours() -> None:
        peaks.append(host.module("docker_volume_backup", options(OURS))["peak_memory"])

    def habit() -> None:
        mounts = (f"--volume={host.volume('data')}:/v:ro", f"--volume={archives[HABIT]}:/b")
        host.container(*mounts, "tar", "czf", "/b/x.tgz", "-C", "/v", ".")

    def pipe(name: str, then: str = "") -> None:
        shell(f"tar -C {data} -cf - . | zstd -T0 -q > {archives[name]}/x.tar.zst{then}")

    def playbook() -> None:
        host.playbook([{"drydock.volumes.docker_volume_backup": options(PLAYBOOK)}])

    warm = functools.partial(harness.read_all, data)
    runs: dict[str, c.Callable[[], object]] = {
        OURS: ours,
        HABIT: habit,
        PIPE: lambda: pipe(PIPE),
        LEVEL: lambda: host.module("docker_volume_backup", options(LEVEL)),
        SYNCED: lambda: pipe(SYNCED, f" && sync {archives[SYNCED]}/x.tar.zst"),
        PLAYBOOK: playbook,
    }
    return [Contestant(name, warm, run, functools.partial(_empty, archives[name])) for name, run in runs.items()]


def _restores(host: Host, archives: Archives, peaks: list[int]) -> list[Contestant]:
    """Ways to restore, each time into a volume that doesn't exist yet."""
    archives = {**archives, UNVERIFIED: archives[OURS]}
    number = 0

    def target() -> str:
        return f"new-{number}"

    def prepare(folder: pathlib.Path) -> None:
        nonlocal number
        number += 1
        harness.read_all(folder)

    def options(name: str) -> dict[str, object]:
        return {
            "volume": host.volume(target()),
            "source_volume": host.volume("data"),
            "repository": str(archives[name]),
            "host": "bench",
            **({"verify": "none"} if name == UNVERIFIED else {}),
        }

    def ours() -> None:
        peaks.append(host.module("docker_volume_restore", options(OURS))["peak_memory"])

    def unverified() -> None:
        host.module("docker_volume_restore", options(UNVERIFIED))

    def habit() -> None:
        mounts = (f"--volume={host.volume(target())}:/v", f"--volume={archives[HABIT]}:/b:ro")
        host.container(*mounts, "tar", "xzf", "/b/x.tgz", "-C", "/v")

    def pipe(name: str, *, sync: bool = False) -> None:
        place = host.create_volume(target())
        then = f" && sync --file-system {place}" if sync else ""
        shell(f"zstd -dc -q {archives[name]}/x.tar.zst | tar -C {place} -xpf -{then}")

    def playbook() -> None:
        host.playbook([{"drydock.volumes.docker_volume_restore": options(PLAYBOOK)}])

    def clean() -> None:
        _truncate(host.mountpoint(target()))

    runs: dict[str, c.Callable[[], None]] = {
        OURS: ours,
        UNVERIFIED: unverified,
        HABIT: habit,
        PIPE: lambda: pipe(PIPE),
        SYNCED: lambda: pipe(SYNCED, sync=True),
        PLAYBOOK: playbook,
    }
    return [Contestant(name, functools.partial(prepare, archives[name]), run, clean) for name, run in runs.items()]


def _truncate(tree: pathlib.Path) -> None:
    """Free the space of a restored tree, but not yet its inodes: those go at the end, with the volumes.

    For minutes ext4 doesn't use an inode again that was deleted, and looks at all such before it finds another
    (recently_deleted() in fs/ext4/ialloc.c): with each tree removed the next restore took up to three times as long.
    """
    shell(f"find {tree} -type f -links 1 -exec truncate --size=0 {{}} +")


def _empty(folder: pathlib.Path) -> None:
    command("find", str(folder), "-mindepth", "1", "-delete")


def _size(folder: pathlib.Path) -> int:
    """Return the size of the one archive in a folder, wherever below it that is."""
    return sum(file.stat().st_size for pattern in ("*.tgz", "*.tar.zst") for file in folder.rglob(pattern))


def _bars(backups: list[Contestant], restores: list[Contestant], peaks: dict[str, list[int]]) -> list[Bar]:
    backup = {contestant.name: contestant.median for contestant in backups}
    restore = {contestant.name: contestant.median for contestant in restores}
    return [
        Bar("backup: times faster than docker run busybox tar czf", backup[HABIT] / backup[OURS], 8, at_least=True),
        Bar("backup: time of ours / time of tar | zstd -T0", backup[OURS] / backup[PIPE], 1.15, at_least=False),
        Bar(
            "restore: times faster than docker run busybox tar xzf", restore[HABIT] / restore[OURS], 1.8, at_least=True
        ),
        Bar("restore: time of ours / time of zstd -dc | tar x", restore[OURS] / restore[PIPE], 1.5, at_least=False),
        Bar("restore: the same, verify: none", restore[UNVERIFIED] / restore[PIPE], 1.25, at_least=False),
        *(
            Bar(f"{job}: peak memory of our own process", max(peak) / MEBIBYTE, 100, at_least=False, unit="MiB")
            for job, peak in peaks.items()
        ),
    ]
