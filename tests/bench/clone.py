# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clone of one volume of real files, beside the shell habit."""

from __future__ import annotations

import collections.abc as c
import functools

from . import harness
from .harness import Contestant
from .host import command, copy_real_files, open_host, shell
from .registry import Bar, Options, benchmark

# The first one is what the others are compared with. A clone ends when all is on disk, so the habit has to, too;
# without that it is there for information.
HABIT = "docker run busybox cp -a, then sync"
UNSYNCED = "docker run busybox cp -a"
OURS = "drydock.volumes"
PLAIN = "drydock.volumes, verify: none"
AGAIN = "drydock.volumes, nothing has changed"


@benchmark("clone")
def clone(options: Options) -> c.Sequence[Bar]:
    """Measure, print the table, return the bar of issue 4.

    The habit drops ACLs, xattrs and holes, and compares nothing.
    """
    number = 0
    with open_host() as host:
        harness.progress(f"copying {options.size / 1e6:.0f} MB of this machine's files into a volume")
        data = host.create_volume("data")
        files, size = copy_real_files(data, options.size)
        host.import_busybox()

        def target() -> str:
            return f"clone-{number}"

        def prepare() -> None:
            nonlocal number
            number += 1
            harness.read_all(data)

        def clean() -> None:
            # not its inodes, see volumes._truncate
            shell(f"find {host.mountpoint(target())} -type f -links 1 -exec truncate --size=0 {{}} +")

        def habit(*, sync: bool) -> None:
            volumes = (f"--volume={host.volume('data')}:/from:ro", f"--volume={host.volume(target())}:/to")
            host.container(*volumes, "busybox", "cp", "-a", "/from/.", "/to/")
            if sync:
                shell(f"sync --file-system {host.mountpoint(target())}")

        def ours(into: str, **more: str) -> None:
            host.module("docker_volume_clone", {"source": host.volume("data"), "target": host.volume(into), **more})

        def again() -> None:
            ours("twin", when_not_empty="replace")

        ours("twin")
        runs: dict[str, c.Callable[[], None]] = {
            HABIT: functools.partial(habit, sync=True),
            UNSYNCED: functools.partial(habit, sync=False),
            OURS: lambda: ours(target()),
            PLAIN: lambda: ours(target(), verify="none"),
        }
        contestants = [Contestant(name, prepare, run, clean) for name, run in runs.items()]
        contestants.append(Contestant(AGAIN, lambda: harness.read_all(data), again, lambda: None))
        harness.interleave("clone", contestants, options.rounds)
        engine = command("docker", "version", "--format", "{{.Server.Version}}")
    print(f"\n{harness.machine()}, Docker Engine {engine}")
    print(f"{files} files, {size / 1e6:.0f} MB; {options.rounds} rounds, interleaved\n")
    for line in harness.rows("clone", contestants, size / 1e6):
        print(line)
    print("\ncp compares nothing, so the bar is on verify: none. All but the second row end when all is on disk.")
    median = {contestant.name: contestant.median for contestant in contestants}
    ratio = median[PLAIN] / median[HABIT]
    return [Bar("clone, verify: none: time of ours / time of docker run … cp -a", ratio, 1.0, at_least=False)]
