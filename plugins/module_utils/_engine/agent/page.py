# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command's manual page, in the language of man(7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import arguments, manual
from .command import Command

#: By this line an installed one is known as ours.
MARK = f'.\\" The manual page of {manual.PROGRAM}, written by drydock.volumes.drydock_agent'


def page(commands: Sequence[Command], version: str) -> str:
    """The page of all subcommands."""
    lines = [
        MARK,
        f'.TH {manual.PROGRAM.upper()} 1 "" "drydock.volumes {version}" "Docker volumes"',
        ".SH NAME",
        f"{_text(manual.PROGRAM)} \\- {_text(manual.PURPOSE)}",
        ".SH SYNOPSIS",
        f".B {_text(manual.PROGRAM)}",
        ".I COMMAND",
        "[\\fIOPTION\\fR] ...",
        ".SH DESCRIPTION",
        *_paragraphs(manual.DESCRIPTION),
        ".SH COMMANDS",
    ]
    for command in commands:
        lines += [f".SS {_text(command.name)}", f"{_text(command.summary)}."]
        if command.positional is not None:
            lines += [".PP", f"Arguments without a name are for {_bold(arguments.flag(command.positional))}."]
        lines += _own(command)
        lines += _options(command, command.spec.arguments)
    lines += [".SH JOBS", *_paragraphs(manual.JOBS), ".SH EXIT STATUS"]
    for code, meaning in manual.EXIT_CODES.items():
        lines += [".TP", _bold(str(code)), _text(meaning)]
    lines += [".SH FILES"]
    for path, meaning in manual.FILES.items():
        lines += [".TP", f".I {_text(path)}", _text(meaning)]
    lines += [".SH EXAMPLES"]
    for what, example in manual.EXAMPLES.items():
        lines += [".PP", _text(what), ".PP", ".EX", _text(example), ".EE"]
    return "\n".join([*lines, ""])


def _own(command: Command) -> list[str]:
    lines = []
    for flags, told in arguments.own(command):
        lines += [".TP", _bold(flags), _text(told)]
    return lines


def _options(command: Command, options: Mapping[str, Mapping[str, Any]], above: str = "") -> list[str]:
    lines = []
    for name, option in options.items():
        lines += [
            ".TP",
            f"{_bold(arguments.flag(above + name))} {_text(arguments.takes(above + name, option))}".strip(),
        ]
        lines.append(_text(manual.help_of(command.name, above + name) + arguments.says(option)))
        if option["type"] == "dict" and "options" in option:
            lines += _options(command, option["options"], f"{name}.")
    return lines


def _paragraphs(text: str) -> list[str]:
    return [line for paragraph in text.strip().split("\n\n") for line in (".PP", _text(paragraph))]


def _bold(text: str) -> str:
    return f"\\fB{_text(text)}\\fR"


def _text(text: str) -> str:
    """A text in which nothing is taken for a request or an escape."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")
    return "\n".join(f"\\&{line}" if line.startswith((".", "'")) else line for line in escaped.splitlines())
