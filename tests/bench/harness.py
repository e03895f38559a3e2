# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fair samples and readable tables: contestants take turns, each from the same state, on a machine that is quiet."""

from __future__ import annotations

import collections.abc as c
import contextlib
import dataclasses
import mmap
import os
import pathlib
import statistics
import sys
import time

#: The share of the machine that others may use where a sample counts as undisturbed, and how long to wait for that (s).
QUIET = 0.15
PATIENCE = 30.0

#: Bytes of memory that backed_memory sees to, and the unit in which free memory goes back to a hypervisor.
BACKED = 4 << 30
BLOCK = 2 << 20


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
    """Let each contestant run once a round, in an order that differs, so that nobody always follows the same one."""
    with backed_memory():
        for number in range(rounds):
            turn = number // 2 % len(contestants)
            order = [*contestants[turn:], *contestants[:turn]]
            for contestant in order if number % 2 == 0 else reversed(order):
                contestant.prepare()
                try:
                    os.sync()
                    before = wait_until_quiet()
                    started = time.perf_counter()
                    contestant.run()
                    elapsed = time.perf_counter() - started
                    # What a run leaves to be written is its own doing, so afterwards only the processors tell.
                    busy = max(before, busy_shares(0.3)[0])
                finally:
                    contestant.clean()
                contestant.seconds.append(elapsed)
                contestant.disturbed += busy > QUIET
                note = f"  (others used {busy:.0%} of the machine)" if busy > QUIET else ""
                progress(f"round {number + 1}/{rounds}  {job:<8} {contestant.name:<39} {elapsed:7.2f} s{note}")


@contextlib.contextmanager
def backed_memory() -> c.Iterator[None]:
    """See to it that all samples find free memory that a hypervisor has backed already."""
    # The first touch of memory that the hypervisor hasn't backed is up to ten times slower than the next one, and with
    # free page reporting it is soon the first one again: blocks of 2 MiB that are free go back to the host within a
    # second or two, also while a sample is taken. So memory is touched, and then freed but for a page in each block:
    # what lies between can't be reported, and the kernel hands out such pieces before it breaks up a free block.
    # Measured: 1 GiB of page cache in writes of 64 and 128 KiB took 0.3 to 3 s, and takes 0.25 to 0.5 s like this. What
    # is written by 1 MiB or more at a time still gets blocks that are slow at times.
    size = min(BACKED, _available_memory() // 2) // BLOCK * BLOCK
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        memory[:: mmap.PAGESIZE] = bytes(size // mmap.PAGESIZE)
        for start in range(0, size, BLOCK):
            memory.madvise(mmap.MADV_DONTNEED, start + mmap.PAGESIZE, BLOCK - mmap.PAGESIZE)
        yield


def _available_memory() -> int:
    """Return how many bytes of memory could be had without swapping."""
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no MemAvailable in /proc/meminfo: this needs Linux with procfs")


def wait_until_quiet() -> float:
    """Wait until little else runs, at most PATIENCE seconds; return the share of the machine that others use.

    The file system goes on discarding the blocks of what was removed after sync(2) has returned: the disk counts too.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        busy = max(busy_shares(0.4))
        if busy <= QUIET or time.monotonic() > deadline:
            return busy


def busy_shares(seconds: float) -> tuple[float, float]:
    """Watch for some seconds how much of all processors, and of the busiest disk's time, is in use."""
    jiffies, times, started = _jiffies(), _disk_times(), time.monotonic()
    time.sleep(seconds)
    spent = [now - before for now, before in zip(_jiffies(), jiffies, strict=True)]
    idle = spent[3] + spent[4]  # idle and iowait, see proc_stat(5)
    elapsed = (time.monotonic() - started) * 1000
    busiest = max((now - times.get(name, now) for name, now in _disk_times().items()), default=0)
    return 1 - idle / (sum(spent) or 1), min(1.0, busiest / elapsed)


def _jiffies() -> list[int]:
    with open("/proc/stat", encoding="ascii") as stat:
        return [int(field) for field in stat.readline().split()[1:9]]


def _disk_times() -> dict[str, int]:
    """Return for each block device the milliseconds it has been busy for (Documentation/admin-guide/iostats.rst)."""
    with open("/proc/diskstats", encoding="ascii") as stats:
        return {fields[2]: int(fields[12]) for fields in map(str.split, stats)}


def read_all(path: str | os.PathLike[str]) -> int:
    """Read a file, or every file below a directory, into the page cache; return the number of bytes."""
    total = 0
    buffer = bytearray(1 << 20)
    for file in _files(os.fspath(path)):
        descriptor = os.open(file, os.O_RDONLY)
        try:
            while count := os.readv(descriptor, [buffer]):
                total += count
        finally:
            os.close(descriptor)
    return total


def _files(path: str) -> c.Iterator[str]:
    """Yield a file, or the regular files below a directory, without a stat(2) for each."""
    if os.path.isfile(path):
        yield path
        return
    pending = [path]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.path


def rows(job: str, contestants: c.Sequence[Contestant], amount: float, unit: str = "MB/s") -> c.Iterator[str]:
    """Yield a table of medians and spreads; the ratios are those of each median to the first contestant's.

    amount is what each of them does, in megabytes unless the unit says otherwise.
    """
    yield f"{job:<41} {'median':>9} {'fastest':>9} {'slowest':>9} {unit:>7} {'ratio':>7}"
    for contestant in contestants:
        fastest, slowest = min(contestant.seconds), max(contestant.seconds)
        yield (
            f"  {contestant.name:<39} {contestant.median:7.2f} s {fastest:7.2f} s {slowest:7.2f} s"
            f" {amount / contestant.median:7.0f} {contestant.median / contestants[0].median:6.2f}x"
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
