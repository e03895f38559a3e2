# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is printed, and where: results on the standard output, everything else on the standard error."""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

from ..options import Report
from ..progress import Watch
from ..wording import printable
from . import progress_line

_RED, _YELLOW, _BOLD, _PLAIN = "\x1b[31m", "\x1b[33m", "\x1b[1m", "\x1b[0m"


class Terminal:
    """Prints lines for people, in colours where somebody sees them, or one JSON object."""

    def __init__(self, *, as_json: bool) -> None:
        self._json = as_json
        self._colours = _sees_colours(sys.stderr)

    def watching(self) -> AbstractContextManager[Watch | None]:
        """A context in which progress is shown."""
        return progress_line.watching(as_json=self._json, colours=self._colours)

    def result(self, command: str, report: Report, code: int, lines: Sequence[str], *, diff: bool = False) -> None:
        """Tell how a subcommand ended."""
        if self._json:
            _print_json(
                {
                    "command": command,
                    "changed": report.changed,
                    "exit_code": code,
                    "failure": report.failure,
                    "warnings": list(report.warnings),
                    **report.values,
                }
            )
            return
        for line in lines:
            _print(line)
        if diff and "diff" in report.values:
            for line in _differences(report.values["diff"]):
                _print(line)
        sys.stdout.flush()
        for warning in report.warnings:
            self._say(_YELLOW, "warning", warning)
        if report.failure is not None:
            self._say(_RED, "error", report.failure)

    def failed(self, message: str, code: int) -> int:
        """Tell why nothing came of it, and return the exit code."""
        if self._json:
            _print_json({"changed": False, "exit_code": code, "failure": message, "warnings": []})
        else:
            self._say(_RED, "error", message)
        return code

    def _say(self, colour: str, word: str, text: str) -> None:
        start, end = (colour, _PLAIN) if self._colours else ("", "")
        sys.stderr.write(f"{start}{word}:{end} {printable(text)}\n")
        sys.stderr.flush()


def _sees_colours(stream: Any) -> bool:
    """Whether colours are seen there: https://no-color.org."""
    return bool(stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb")


def _print(line: str) -> None:
    sys.stdout.write(f"{printable(line)}\n")


def _print_json(found: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(found, indent=2, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()


def _differences(diff: Mapping[str, Any]) -> list[str]:
    before, after = (
        json.dumps(diff[side], indent=2, sort_keys=True, default=str).splitlines() for side in ("before", "after")
    )
    return list(difflib.unified_diff(before, after, "before", "after", lineterm=""))
