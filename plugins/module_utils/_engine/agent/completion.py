# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A script by which bash completes the command's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import arguments, manual
from .command import Command

#: By this line an installed one is known as ours.
MARK = f"# bash completion for {manual.PROGRAM}"

_SCRIPT = """\
{mark}
{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command= word options= choices=
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD - 1}}"; do
        case $word in -*) ;; *) command=$word && break ;; esac
    done
    COMPREPLY=()
    case $command:$previous in
{choices}
        *:--job)
            choices=$(for word in "${{DRYDOCK_CONFIG_DIRECTORY:-/etc/drydock}}"/jobs.d/*.json; do
                word=${{word##*/}} && [ "$word" = '*.json' ] || echo "${{word%.json}}"
            done) ;;
    esac
    if [ -n "$choices" ]; then
        mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$current")
        return
    fi
    case $command in
{options}
        '') options="{commands}" ;;
    esac
    case $current in
        -*) mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current") ;;
        *) [ -n "$command" ] || mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current") ;;
    esac
}}
complete -o default -F {function} {program}
"""


def script(commands: Sequence[Command], program: str) -> str:
    """The script, for the command under the name ``program``."""
    choices, options = [], []
    for command in commands:
        options.append(f'        {command.name}) options="{" ".join(arguments.flags(command))}" ;;')
        for flag, words in _choices(command.spec.arguments):
            choices.append(f'        {command.name}:{flag}) choices="{" ".join(words)}" ;;')
    return _SCRIPT.format(
        mark=MARK,
        function="_" + "".join(letter if letter.isalnum() else "_" for letter in program),
        program=program,
        choices="\n".join(choices),
        options="\n".join(options),
        commands=" ".join(["--help", "--version", *(command.name for command in commands)]),
    )


def _choices(options: Mapping[str, Mapping[str, Any]], above: str = "") -> list[tuple[str, Sequence[str]]]:
    """The options that take one of several words, by their flags."""
    found: list[tuple[str, Sequence[str]]] = []
    for name, option in options.items():
        if option.get("choices"):
            found.append((arguments.flag(above + name), option["choices"]))
        if option["type"] == "dict" and "options" in option:
            found += _choices(option["options"], f"{name}.")
    return found
