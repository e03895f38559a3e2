# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which benchmarks there are, and what each is given and gives back."""

from __future__ import annotations

import collections.abc as c
import dataclasses


@dataclasses.dataclass(frozen=True)
class Options:
    """What the command line says: rounds per measurement, bytes of data to measure on, and a number of small files."""

    rounds: int
    size: int
    files: int


@dataclasses.dataclass(frozen=True)
class Bar:
    """A promise and what was measured: value must be at least, or at most, limit; unit is what both are in."""

    text: str
    value: float
    limit: float
    at_least: bool
    unit: str = "x"

    @property
    def holds(self) -> bool:
        return self.value >= self.limit if self.at_least else self.value <= self.limit

    def __str__(self) -> str:
        sign = ">=" if self.at_least else "<="
        verdict = "PASS" if self.holds else "FAIL"
        return f"{verdict}  {self.text:<58} {self.value:7.2f} {self.unit:<3} (bar: {sign} {self.limit:g} {self.unit})"


Benchmark = c.Callable[[Options], c.Sequence[Bar]]

BENCHMARKS: dict[str, Benchmark] = {}


def benchmark(name: str) -> c.Callable[[Benchmark], Benchmark]:
    """Register a benchmark under a name for the command line."""

    def register(function: Benchmark) -> Benchmark:
        BENCHMARKS[name] = function
        return function

    return register
