# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell somebody that a job has failed: through Apprise, through a command, or both.

The settings are in a file that only root can read, since the addresses that Apprise sends to are secrets. The message
goes through standard input, never through arguments.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import tools
from .errors import REDACTED, ToolError, UsageError, reason, redact

#: Where the settings are.
SETTINGS = "/etc/drydock/notify.json"

#: Seconds that a command or Apprise has.
_LIMIT = 120
#: Characters of one line, and bytes of what a command says that fails.
_WIDTH, _KEPT = 500, 300
_USER = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_NAMED = re.compile(
    r"(?i)((?:\b|_)(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|authorization)[\"']?\s*[=:]\s*)[^,\s]+"
)
# What a service's end is told by: systemd.exec(5), "systemctl show".
_PROPERTIES = ("Description", "InvocationID", "Result", "ExecMainStatus")


@dataclass(frozen=True)
class Settings:
    """Whom to tell: ``command`` gets the message as its input; ``apprise`` is a configuration file of Apprise's.

    ``lines`` is how many of the journal's last lines go with it.
    """

    command: tuple[str, ...] = ()
    apprise: str | None = None
    lines: int = 20

    @classmethod
    def read(cls, path: str = SETTINGS) -> Settings:
        """Read a file. Raise UsageError if it isn't there or isn't one."""
        try:
            with open(path, encoding="utf-8") as file:
                given = json.load(file)
            return cls._parse(given)
        except OSError as error:
            raise UsageError(f"the settings of notifications in {path} can't be read: {reason(error)}") from error
        except ValueError as error:
            raise UsageError(
                f"the settings of notifications in {path} are wrong: {error}; nobody was notified"
            ) from error

    @classmethod
    def _parse(cls, given: Any) -> Settings:
        if not isinstance(given, dict) or given.keys() - {"command", "apprise", "lines"}:
            raise ValueError("it must be an object with command, apprise or lines")
        command, apprise, lines = given.get("command") or [], given.get("apprise"), given.get("lines", cls.lines)
        if not isinstance(command, list) or not all(isinstance(word, str) for word in command):
            raise ValueError("command must be a list of words")
        if apprise is not None and not isinstance(apprise, str):
            raise ValueError("apprise must be a file's name")
        if not isinstance(lines, int) or lines < 0:
            raise ValueError("lines must be 0 or more")
        return cls(tuple(command), apprise, lines)


def message(unit: str, host: str, facts: Mapping[str, str], log: Sequence[str]) -> tuple[str, str]:
    """The title and the text about a ``unit`` that failed: ``facts`` are of C(systemctl show), ``log`` its last lines.

    What looks like a password, a token, or a user in an address is left out.
    """
    what = facts.get("Description") or unit
    how = [facts["Result"]] if facts.get("Result") not in (None, "", "success") else []
    how += [f"exit status {facts['ExecMainStatus']}"] if facts.get("ExecMainStatus") not in (None, "", "0") else []
    body = [f"{what} failed on {host}" + (f" ({', '.join(how)})." if how else ".")]
    if log:
        body += ["", "The last that it said:", "", *(_clean(line) for line in log)]
    body += ["", f"All of it: journalctl -u {unit}", "How this host's backups are: drydock-volumes status", ""]
    return f"{unit} failed on {host}", "\n".join(body)


def facts(unit: str) -> dict[str, str]:
    """What systemd knows of a unit's last run; nothing where there is no systemd."""
    if tools.find("systemctl") is None:
        return {}
    shown = _ask("systemctl", "show", *(f"--property={name}" for name in _PROPERTIES), "--", unit)
    return dict(line.split("=", 1) for line in shown if "=" in line)


def journal(unit: str, invocation: str, lines: int) -> list[str]:
    """The last lines of a unit's last run in systemd's journal; none where there is none."""
    if lines == 0 or tools.find("journalctl") is None:
        return []
    which = [f"_SYSTEMD_INVOCATION_ID={invocation}"] if invocation else [f"--unit={unit}"]
    return _ask("journalctl", "--quiet", "--no-pager", "--output=cat", f"--lines={lines}", *which)


def send(settings: Settings, title: str, body: str) -> list[str]:
    """Send a message in all the ways that are set, and return what went wrong with each."""
    ways: list[tuple[str, list[str], str]] = []
    if settings.command:
        ways.append(("the command", list(settings.command), f"{title}\n\n{body}"))
    if settings.apprise:
        ways.append(("apprise", ["apprise", f"--config={settings.apprise}", f"--title={title}"], body))
    if not ways:
        return ["no way to notify anybody is set: neither command nor apprise"]
    problems = []
    for name, argv, text in ways:
        try:
            problem = _run(argv, text)
        except ToolError as error:
            problem = str(error)
        if problem:
            problems.append(f"{name} failed, so nobody was notified that way: {problem}")
    return problems


def _run(argv: Sequence[str], text: str) -> str | None:
    """Run a program with a text as its input, and return what went wrong."""
    program = argv[0] if os.path.isabs(argv[0]) else tools.need(argv[0], argv[0])
    try:
        done = subprocess.run(
            [program, *argv[1:]],
            env={**os.environ, "PATH": tools.search_path()},
            input=text.encode("utf-8", "surrogateescape"),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=_LIMIT,
            check=False,
        )
    except OSError as error:
        return f"{program}: {reason(error)}"
    except subprocess.TimeoutExpired:
        return f"{program} didn't end in {_LIMIT} seconds and was ended"
    if done.returncode == 0:
        return None
    said = _clean(done.stderr.decode("utf-8", "backslashreplace").strip()[-_KEPT:])
    return f"{program} exited {done.returncode}" + (f": {said}" if said else "")


def _ask(*argv: str) -> list[str]:
    """The lines that a program prints; none if it fails."""
    try:
        done = subprocess.run(argv, env=tools.environment(), capture_output=True, timeout=_LIMIT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.decode("utf-8", "backslashreplace").splitlines() if done.returncode == 0 else []


def _clean(line: str) -> str:
    """A line without what looks like a secret, and not endless."""
    line = redact(_USER.sub(REDACTED, line), sentence=True)
    return _NAMED.sub(rf"\g<1>{REDACTED}", line)[:_WIDTH]
