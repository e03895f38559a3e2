# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line: a subcommand's options out of its spec, by the names that the module's have.

``--keep-x`` is ``keep_x``. An option with options of its own takes JSON, or ``key=value,key=value``; each of them has
also a name of its own, ``--retention.keep-daily``. A list is given as ``a,b``, by the option again, or as JSON.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from ..errors import UsageError
from ..version import VERSION
from . import manual
from .command import Command

#: The options of every subcommand that are about the command itself.
JOB, JSON, DRY_RUN, CHECK_CONFIG, DIFF = "job", "json", "dry_run", "check_config", "diff"
_COMMAND, _POSITIONAL = "(command)", "(positional)"


def parse(commands: Sequence[Command], words: Sequence[str]) -> tuple[Command, dict[str, Any], dict[str, Any]]:
    """The subcommand that ``words`` ask for, what is said about the command itself, and the options as they are given,
    for validate.validated. Raise UsageError. Raise SystemExit where help is all that is asked for."""
    parser = parser_of(commands)
    found = vars(parser.parse_args([_normal(word) for word in words]))
    name = found.pop(_COMMAND)
    if name is None:
        raise UsageError(f"which command? One of {', '.join(command.name for command in commands)}; see --help")
    command = next(command for command in commands if command.name == name)
    own = {name: found.pop(name, False) for name in (JSON, DRY_RUN, CHECK_CONFIG, DIFF)}
    own[JOB] = found.pop(JOB, None)
    return command, own, _options(command, found)


def parser_of(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """The parser of the whole command line."""
    parser = _Parser(prog=manual.PROGRAM, description=manual.PURPOSE, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"{manual.PROGRAM} {VERSION}")
    below = parser.add_subparsers(dest=_COMMAND, metavar="COMMAND", parser_class=_Parser)
    for command in commands:
        one = below.add_parser(
            command.name,
            help=command.summary,
            description=f"{command.summary}.",
            allow_abbrev=False,
            usage=usage(command),
        )
        _add_own(one, command)
        _add_options(one, command)
    return parser


def flag(option: str) -> str:
    """An option's name on the command line."""
    return "--" + option.replace("_", "-")


def usage(command: Command) -> str:
    """A subcommand's synopsis."""
    words = [manual.PROGRAM, command.name, "[OPTION]..."]
    if command.positional is not None:
        many = command.spec.arguments[command.positional]["type"] == "list"
        words.append(f"[{command.positional.rstrip('s').upper()}]" + ("..." if many else ""))
    return " ".join(words)


def flags(command: Command) -> list[str]:
    """All of a subcommand's, in alphabetical order."""
    found = {"--help", *(text.partition(" ")[0] for text, _told in own(command))}
    for name, option in command.spec.arguments.items():
        found.add(flag(name))
        if option["type"] == "dict":
            found |= {flag(f"{name}.{below}") for below in option.get("options", {})}
    return sorted(found)


def own(command: Command) -> list[tuple[str, str]]:
    """The options about the command itself that a subcommand has, each with what it is for."""
    found = [("--json", manual.OWN[JSON])]
    if command.action or "repository" in command.spec.arguments:
        found.append(("--job NAME", manual.OWN[JOB if command.action else "job_place"]))
    if command.action:
        found.append(("--check-config", manual.OWN[CHECK_CONFIG]))
    if command.changes:
        found += [("--dry-run", manual.OWN[DRY_RUN]), ("--diff", manual.OWN[DIFF])]
    return found


def _add_own(parser: argparse.ArgumentParser, command: Command) -> None:
    group = parser.add_argument_group("the command itself")
    for text, told in own(command):
        word, _space, metavar = text.partition(" ")
        if metavar:
            group.add_argument(word, metavar=metavar, help=told)
        else:
            group.add_argument(word, action="store_true", help=told)


def _add_options(parser: argparse.ArgumentParser, command: Command) -> None:
    if command.positional is not None:
        many = command.spec.arguments[command.positional]["type"] == "list"
        metavar = command.positional.rstrip("s").upper()
        parser.add_argument(
            _POSITIONAL, nargs="*" if many else "?", default=argparse.SUPPRESS, metavar=metavar,
            help=manual.help_of(command.name, command.positional),
        )  # fmt: skip
    group = parser.add_argument_group("options")
    for name, option in command.spec.arguments.items():
        _add_option(group, command.name, name, option)
        if option["type"] == "dict":
            for below, part in option.get("options", {}).items():
                _add_option(group, command.name, f"{name}.{below}", part)


def _add_option(group: Any, command: str, name: str, option: Mapping[str, Any]) -> None:
    word = flag(name)
    # argparse would take % for a format
    keywords: dict[str, Any] = {
        "dest": name,
        "default": argparse.SUPPRESS,
        "help": (manual.help_of(command, name) + says(option)).replace("%", "%%"),
    }
    if option["type"] == "bool":
        group.add_argument(word, action="store_const", const=True, **keywords)
        group.add_argument(
            "--no-" + word[2:], action="store_const", const=False, **{**keywords, "help": argparse.SUPPRESS}
        )
    elif option["type"] == "list":
        group.add_argument(word, action="append", metavar=takes(name, option), **keywords)
    else:
        group.add_argument(word, metavar=takes(name, option), **keywords)


def takes(name: str, option: Mapping[str, Any]) -> str:
    """What an option takes, in capitals, or the words to choose from."""
    if option["type"] == "bool":
        return ""
    if option.get("choices"):
        return "{" + ",".join(option["choices"]) + "}"
    return manual.METAVARS.get(name, _METAVARS[option["type"]])


_METAVARS = {"str": "TEXT", "path": "PATH", "int": "NUMBER", "float": "NUMBER", "dict": "JSON", "list": "VALUE"}


def says(option: Mapping[str, Any]) -> str:
    """What an option is by default."""
    default = option.get("default")
    return "" if default is None or default is False or default == {} else f" (default: {_shown(default)})"


def _shown(value: Any) -> str:
    return "yes" if value is True else f"{value:g}" if isinstance(value, float) else str(value)


def _options(command: Command, found: dict[str, Any]) -> dict[str, Any]:
    """The options as an object: dotted names below their objects, lists of what was given more than once."""
    positional = found.pop(_POSITIONAL, None)
    given: dict[str, Any] = {}
    for name, value in found.items():
        if "." not in name:
            given[name] = _listed(command.spec.arguments[name], value)
    for name, value in found.items():
        above, dot, below = name.partition(".")
        if dot:
            part = command.spec.arguments[above]["options"][below]
            given[above] = {**_object(given.get(above, {}), above), below: _listed(part, value)}
    if positional is not None and command.positional is not None:
        if command.positional in given:
            raise UsageError(f"{command.positional}: this is given twice, with its name and without")
        given[command.positional] = positional
    return given


def _object(value: Any, name: str) -> dict[str, Any]:
    """What was given for an option that has parts of it given too."""
    if isinstance(value, str):
        try:
            value = json.loads(value) if value.lstrip().startswith("{") else dict(
                part.split("=", 1) for part in value.split(",")
            )  # fmt: skip
        except ValueError as error:
            raise UsageError(f"{name}: {value!r} is not an object: {error}") from error
    return dict(value)


def _listed(option: Mapping[str, Any], value: Any) -> Any:
    """A list out of all that was given for an option; what isn't a list as it is. Raise UsageError."""
    if option["type"] != "list":
        return value
    found: list[Any] = []
    for text in value:
        if text.lstrip().startswith(("[", "{")):
            try:
                read = json.loads(text)
            except ValueError as error:
                raise UsageError(f"{text!r} is no JSON: {error}") from error
            found += read if isinstance(read, list) else [read]
        elif option.get("elements") == "dict":
            found.append(text)
        else:
            found += [part.strip() for part in text.split(",")]
    return found


def _normal(word: str) -> str:
    """``--keep_daily`` is ``--keep-daily``."""
    if not word.startswith("--"):
        return word
    name, equals, value = word.partition("=")
    return name.replace("_", "-") + equals + value


class _Parser(argparse.ArgumentParser):
    """Raises UsageError rather than print and exit."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}; see {self.prog} --help")
