# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: run benchmarks, print their tables and bars, exit 1 where a bar is missed."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys

from . import clone, layout, many, million, orphans, proof, upload, volumes
from .registry import BENCHMARKS, Options

# Each import registers a benchmark.
__all__ = ["clone", "layout", "main", "many", "million", "orphans", "proof", "upload", "volumes"]

#: All of them, in the order in which they run. A million files that were just removed would slow down what
#: volumes, clone and proof write, see volumes._truncate: million comes last.
ORDER = ("volumes", "clone", "proof", "upload", "many", "layout", "orphans", "million")


def main() -> int:
    """Run what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Measure this collection beside others.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"which ones: {', '.join(ORDER)} (default: all)")
    parser.add_argument("--rounds", type=int, default=3, help="samples of each (default: 3)")
    parser.add_argument("--size", type=int, default=2000, help="megabytes of files to measure on (default: 2000)")
    parser.add_argument("--files", type=int, default=million.FILES, help="files in million (default: %(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    if arguments.rounds < 1 or arguments.size < 1:
        parser.error("--rounds and --size must be at least 1")
    if arguments.files < 10:
        parser.error("--files must be at least 10")
    if os.geteuid() != 0:
        parser.error("this reads and writes the files of volumes: run it as root")
    if subprocess.run(["docker", "version"], capture_output=True, check=False).returncode:
        parser.error("no Docker Engine answers: run 'make engine'")

    # So that what was made goes away on SIGTERM as it does on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_arguments: sys.exit(143))
    options = Options(rounds=arguments.rounds, size=arguments.size * 1_000_000, files=arguments.files)
    missed = 0
    for name in arguments.names or ORDER:
        bars = BENCHMARKS[name](options)
        print()
        for wanted in bars:
            print(wanted)
            missed += not wanted.holds
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
