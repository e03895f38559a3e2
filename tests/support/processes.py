# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find and end the processes that a module started, and no others."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import pathlib
import signal
import time


def children(pid: int) -> dict[int, str]:
    """The processes below ``pid``, all generations, with their programs' names."""
    found: dict[int, str] = {}
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for child in map(int, task.read_text().split()):
                with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                    found[child] = pathlib.Path(f"/proc/{child}/comm").read_text().strip()
                    found.update(children(child))
    return found


def wait_for(condition: c.Callable[[], object], what: str, seconds: float = 120) -> None:
    """Wait until ``condition`` holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.005)


def kill_child(pid: int, program: str, number: signal.Signals = signal.SIGKILL) -> None:
    """Send a signal to the child of ``pid`` that runs ``program``, as soon as it is part of a pipe."""

    def found() -> list[int]:
        below = children(pid)
        return [child for child, name in below.items() if name == program] if len(below) > 1 else []

    wait_for(found, f"a child process {program}")
    os.kill(found()[0], number)
