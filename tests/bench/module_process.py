# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as `python -m` does, then write down the peak memory of this very process.

    module_process.py REPORT MODULE [ARGUMENT ...]

The peak is VmHWM, the high water mark of this process's resident memory since its exec: neither that of its children
(tar, zstd), nor that of the benchmark which forked it, both of which getrusage(2) lets shine through.
"""

from __future__ import annotations

import os
import pathlib
import runpy
import sys


def peak_memory() -> int:
    """Return the most bytes of memory that this process has had resident."""
    for line in pathlib.Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("no VmHWM in /proc/self/status: this needs Linux with procfs")


if __name__ == "__main__":
    report, module = sys.argv[1:3]
    sys.argv[1:] = sys.argv[3:]
    # Not this script's folder but the working directory, as with -m.
    sys.path[0] = os.getcwd()
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        pathlib.Path(report).write_text(str(peak_memory()))
