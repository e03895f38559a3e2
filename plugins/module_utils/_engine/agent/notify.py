# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell whoever is to be told that a scheduled run has failed."""

from __future__ import annotations

import socket
import sys
from collections.abc import Mapping
from typing import Any

from .. import notices
from ..errors import UsageError, reason
from ..options import Report, Spec

SPEC = Spec(
    arguments={
        "unit": {"type": "str", "required": True},
        "log": {"type": "path"},
        "settings": {"type": "path", "default": notices.SETTINGS},
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Send the message; with ``check`` only make it. Raise UsageError if the settings or the log can't be read."""
    settings, unit = notices.Settings.read(params["settings"]), params["unit"]
    facts = notices.facts(unit)
    if params["log"] is None:
        log = notices.journal(unit, facts.get("InvocationID", ""), settings.lines)
    else:
        log = _last(params["log"], settings.lines)
    title, body = notices.message(unit, socket.gethostname(), facts, log)
    problems = [] if check else notices.send(settings, title, body)
    return Report(
        changed=True,
        values={"notes": [title, "", *body.splitlines()] if check else [title], "problems": problems},
        failure="; ".join(problems) or None,
    )


def _last(path: str, lines: int) -> list[str]:
    """The last lines of a file, or of the input if it is called -."""
    try:
        with open(sys.stdin.fileno() if path == "-" else path, encoding="utf-8", errors="backslashreplace") as file:
            found = file.read().splitlines()
    except OSError as error:
        raise UsageError(f"the log {path} can't be read: {reason(error)}; nobody was notified") from error
    return found[-lines:] if lines else []
