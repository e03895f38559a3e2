# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Progress as it is shown: a bar for each volume on a terminal, drawn by the library rich where that is installed; else
one line that is written over, or lines now and then for a journal."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any, TextIO

from ..progress import Watch
from . import show

# Seconds between two lines in a journal, and between two drawings on a terminal.
_QUIET, _DRAWN = 60.0, 0.2
_DOING = {"read": "reading", "verify": "verifying", "restore": "restoring"}


@contextlib.contextmanager
def watching(*, as_json: bool, colours: bool, stream: TextIO | None = None) -> Iterator[Watch | None]:
    """Yield what shows progress on the standard error, or None where nobody looks."""
    stream = sys.stderr if stream is None else stream
    if not stream.isatty():
        yield None if as_json else _Lines(stream)
        return
    rich = _rich(stream, colours)
    with rich or _Line(stream) as shown:
        yield shown


def told(volume: str, step: str, done: int, total: int | None, seconds: float) -> str:
    """One volume's progress: bytes, rate, and the time that is left where that can be known."""
    text = f"volume {volume}: {_DOING.get(step, step)}"
    if done <= 0 or seconds <= 0:
        return text
    rate = done / seconds
    text += f" {show.size(done)}" + (f" of {show.size(total)}" if total else "") + f", {show.size(rate)}/s"
    if total and total > done:
        text += f", {show.span((total - done) / rate)} left"
    return text


class _Steps:
    """The step of each volume, and when it began."""

    def __init__(self) -> None:
        self._began: dict[str, tuple[str, float]] = {}

    def since(self, volume: str, step: str) -> tuple[bool, float]:
        """Whether the step is new, and for how many seconds it has been going."""
        now = time.monotonic()
        before = self._began.get(volume)
        if before is None or before[0] != step:
            self._began[volume] = (step, now)
            return True, 0.0
        return False, now - before[1]


class _Lines:
    """Lines for a journal: one when a step begins, and one a minute."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps = _Steps()
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def __call__(self, volume: str, step: str, done: int, total: int | None) -> None:
        with self._lock:
            new, seconds = self._steps.since(volume, step)
            now = time.monotonic()
            if new or now - self._said[volume] >= _QUIET:
                self._said[volume] = now
                self._stream.write(told(volume, step, done, total, seconds) + "\n")
                self._stream.flush()


class _Line:
    """One line that is written over."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._steps = _Steps()
        self._now: dict[str, str] = {}
        self._drawn = 0.0
        self._lock = threading.Lock()

    def __enter__(self) -> _Line:
        return self

    def __exit__(self, *_exception: object) -> None:
        with self._lock:
            self._write("")

    def __call__(self, volume: str, step: str, done: int, total: int | None) -> None:
        with self._lock:
            new, seconds = self._steps.since(volume, step)
            self._now.pop(volume, None)
            self._now[volume] = told(volume, step, done, total, seconds)
            if new or time.monotonic() - self._drawn >= _DRAWN:
                self._drawn = time.monotonic()
                self._write(self._now[volume])

    def _write(self, text: str) -> None:
        width = max(20, shutil.get_terminal_size().columns - 1)
        self._stream.write(f"\r{text[:width]}\x1b[K")
        self._stream.flush()


class _Rich:
    """The library's bars."""

    def __init__(self, bars: Any) -> None:
        self._bars = bars
        self._tasks: dict[str, Any] = {}
        self._steps = _Steps()
        self._lock = threading.Lock()

    def __enter__(self) -> _Rich:
        self._bars.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._bars.stop()

    def __call__(self, volume: str, step: str, done: int, total: int | None) -> None:
        with self._lock:
            new, _seconds = self._steps.since(volume, step)
            text = f"{volume}: {_DOING.get(step, step)}"
            if new and volume in self._tasks:
                self._bars.remove_task(self._tasks.pop(volume))
            if volume not in self._tasks:
                self._tasks[volume] = self._bars.add_task(text, total=total)
            self._bars.update(self._tasks[volume], completed=done if total is None else min(done, total), total=total)


def _rich(stream: TextIO, colours: bool) -> _Rich | None:
    """Its bars, or None where it isn't installed, or isn't as we know it."""
    try:
        made = importlib.import_module("rich.progress")
        console = importlib.import_module("rich.console").Console(file=stream, no_color=not colours)
        columns = (
            made.TextColumn("{task.description}", markup=False),
            made.BarColumn(),
            made.DownloadColumn(binary_units=True),
            made.TransferSpeedColumn(),
            made.TimeRemainingColumn(),
        )
        return _Rich(made.Progress(*columns, console=console, transient=True))
    except (ImportError, AttributeError, TypeError):
        return None
