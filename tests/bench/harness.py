# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fair samples and readable tables: contestants take turns, each from the same state, on a machine that is quiet."""

from __future__ import annotations

import collections.abc as c
import dataclasses
import os
import pathlib
import statistics
import sys
import time

#: The share of all processors that others may use while a sample is taken, and how long to wait for that, in seconds.
QUIET = 0.10
PATIENCE = 20.0


@dataclasses.dataclass
class Contestant:
    """One way to do a job.

    prepare brings about the state that run starts from, and clean takes away what run made; only run is timed.
    """

    name: str
    prepare: c.Callable[[], object]
    run: c.Callable[[], object]
    clean: c.Callable[[], object]
    seconds: list[float] = dataclasses.field(default_factory=list)
    disturbed: int = 0  # how many of the samples were taken while others were busy

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def interleave(job: str, contestants: c.Sequence[Contestant], rounds: int) -> None:
    """Let each contestant run once a round, in an order that rotates, so that a drift of the machine hits all alike."""
    for number in range(rounds):
        turn = number % len(contestants)
        for contestant in [*contestants[turn:], *contestants[:turn]]:
            contestant.prepare()
            try:
                os.sync()
                before = wait_until_quiet()
                started = time.perf_counter()
                contestant.run()
                elapsed = time.perf_counter() - started
                busy = max(before, busy_share(0.3))
            finally:
                contestant.clean()
            contestant.seconds.append(elapsed)
            contestant.disturbed += busy > QUIET
            note = f"  (others used {busy:.0%} of the processors)" if busy > QUIET else ""
            progress(f"round {number + 1}/{rounds}  {job:<8} {contestant.name:<32} {elapsed:7.2f} s{note}")


def wait_until_quiet() -> float:
    """Wait until little else runs, at most PATIENCE seconds; return the share of the processors that others use."""
    deadline = time.monotonic() + PATIENCE
    while True:
        busy = busy_share(0.4)
        if busy <= QUIET or time.monotonic() > deadline:
            return busy


def busy_share(seconds: float) -> float:
    """Watch for some seconds how much of all processors is in use."""
    before = _jiffies()
    time.sleep(seconds)
    after = _jiffies()
    total = sum(after) - sum(before)
    idle = sum(after[3:5]) - sum(before[3:5])  # idle and iowait, proc_stat(5)
    return 1 - idle / total if total else 0.0


def _jiffies() -> list[int]:
    with open("/proc/stat", encoding="ascii") as stat:
        return [int(field) for field in stat.readline().split()[1:9]]


def read_all(path: str | os.PathLike[str]) -> int:
    """Read a file, or every file below a directory, into the page cache; return the number of bytes."""
    total = 0
    buffer = bytearray(1 << 20)
    for file in _files(os.fspath(path)):
        with open(file, "rb", buffering=0) as stream:
            while count := stream.readinto(buffer):
                total += count
    return total


def _files(path: str) -> c.Iterator[str]:
    if os.path.isfile(path):
        yield path
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            if os.path.isfile(file) and not os.path.islink(file):
                yield file


def rows(job: str, contestants: c.Sequence[Contestant], size: int) -> c.Iterator[str]:
    """Yield a table of medians and spreads; the ratios are those of each median to the first contestant's."""
    yield f"{job:<41} {'median':>9} {'fastest':>9} {'slowest':>9} {'MB/s':>7} {'ratio':>7}"
    for contestant in contestants:
        fastest, slowest = min(contestant.seconds), max(contestant.seconds)
        yield (
            f"  {contestant.name:<39} {contestant.median:7.2f} s {fastest:7.2f} s {slowest:7.2f} s"
            f" {size / contestant.median / 1e6:7.0f} {contestant.median / contestants[0].median:6.2f}x"
        )
    disturbed = sum(contestant.disturbed for contestant in contestants)
    if disturbed:
        samples = sum(len(contestant.seconds) for contestant in contestants)
        yield f"  Others were busy on this machine just before or after {disturbed} of {samples} samples."


def progress(text: str) -> None:
    """Say on standard error how far things are; the result alone goes to standard output."""
    print(text, file=sys.stderr, flush=True)


def machine() -> str:
    """Return one line about where this was measured."""
    model = "unknown processor"
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            model = line.partition(":")[2].strip()
            break
    return f"{os.cpu_count()} x {model}, Linux {os.uname().release}, Python {sys.version.split()[0]}"
