# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a backup costs that isn't needed, and what it costs to prove one."""

from __future__ import annotations

import collections.abc as c
import statistics

from . import harness
from .harness import Contestant
from .host import Host, command, copy_real_files, open_host, shell
from .registry import Bar, Options, benchmark

FULL = "a full backup"
SKIP = "skip_unchanged, nothing has changed"
ARCHIVE = "a full backup, verify: archive"
RESTORE = "a full backup, verify: restore"
OPTIONS: dict[str, dict[str, object]] = {
    FULL: {},
    SKIP: {"skip_unchanged": True},
    ARCHIVE: {"verify": "archive"},
    RESTORE: {"verify": "restore"},
}


@benchmark("proof")
def proof(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bar.

    The bar is on the engine's own time, as the module returns it: a task's start is the same whatever it does, and is
    there once for any number of volumes. The table shows the whole processes.
    """
    engine: dict[str, list[float]] = {name: [] for name in OPTIONS}
    with open_host() as host:
        harness.progress(f"copying {options.size / 1e6:.0f} MB of this machine's files into a volume")
        data = host.create_volume("data")
        files, size = copy_real_files(data, options.size)
        repository = host.scratch / "repository"
        repository.mkdir(mode=0o700)
        # ext4 puts what is made in a "top directory" far from its neighbours. Elsewhere each restore but the first one
        # would look for inodes among those that were deleted after the one before it, see volumes._truncate, and take
        # up to ten times as long. Other file systems don't know the attribute.
        aside = host.scratch / "aside"
        aside.mkdir()
        shell(f"chattr +T {aside} 2> /dev/null || true")
        arguments = {
            "volumes": [host.volume("data")],
            "repository": str(repository),
            "host": "bench",
            "verify_directory": str(aside),
        }
        host.module("docker_volume_backup", arguments)
        contestants = [
            Contestant(name, lambda: harness.read_all(data), _run(host, arguments, name, engine[name]), _nothing)
            for name in OPTIONS
        ]
        harness.interleave("backup", contestants, options.rounds)
        command("find", str(repository), "-mindepth", "1", "-delete")
    print(f"\n{files} files, {size / 1e6:.0f} MB\n")
    for line in harness.rows("whole processes", contestants, size / 1e6):
        print(line)
    median = {name: statistics.median(seconds) for name, seconds in engine.items()}
    print(f"\nthe engine alone: {', '.join(f'{name} {seconds:.2f} s' for name, seconds in median.items())}")
    share = 100 * median[SKIP] / median[FULL]
    return [Bar("skip_unchanged: share of the full backup's time", share, 5, at_least=False, unit="%")]


def _run(host: Host, arguments: c.Mapping[str, object], name: str, seconds: list[float]) -> c.Callable[[], None]:
    def run() -> None:
        answer = host.module("docker_volume_backup", {**arguments, **OPTIONS[name]})
        (done,) = answer["unchanged"] or answer["backups"]
        seconds.append(done["seconds"])

    return run


def _nothing() -> None:
    """Leave the backup: the next one has another name."""
