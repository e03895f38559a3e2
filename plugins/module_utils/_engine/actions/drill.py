# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that backups restore, by the options of the module docker_volume_drill."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import keys, options
from ..drill import Check, Settings, drill
from ..encryption import Decryption
from ..errors import UsageError, reason
from ..options import Report, Spec
from ..progress import Watch
from ..selection import Selector
from . import backup

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **options.REPOSITORY,
        **options.DECRYPTION,
        **backup.CHOICE,
        "image": {"type": "str"},
        "mount": {"type": "path", "default": "/data"},
        "command": {"type": "list", "elements": "str"},
        "env": {"type": "dict"},
        "env_file": {"type": "path"},
        "network": {"type": "str", "default": "none"},
        "check_command": {"type": "str"},
        "check_argv": {"type": "list", "elements": "str"},
        "check_user": {"type": "str"},
        "check_timeout": {"type": "float", "default": 120},
        **options.STALL_TIMEOUT,
    },
    mutually_exclusive=[("volumes", "selector"), ("check_command", "check_argv")],
    required_one_of=[("volumes", "selector")],
    required_by=dict.fromkeys(("command", "env", "env_file", "check_command", "check_argv", "check_user"), "image"),
)


def run(params: Mapping[str, Any], *, check: bool = False, watch: Watch | None = None) -> Report:
    """Drill. Raise DrydockError for what concerns all volumes."""
    selector = Selector.parse(params["selector"])
    how = Settings(
        decryption=Decryption.parse(params["decryption"]),
        check=check_of(params),
        stall_timeout=params["stall_timeout"],
        require_match=params["require_match"],
        check_mode=check,
        watch=watch,
    )
    result = drill(
        options.connect(params),
        options.repository(params, check=check),
        params["volumes"] or [] if selector is None else selector,
        host=options.host(params),
        settings=how,
    )
    return Report(
        changed=False,
        values={"drills": result.drills, "failures": result.failures},
        warnings=result.warnings,
        failure="; ".join(each["error"] for each in result.failures) or None,
        partly=bool(result.drills),
    )


def check_of(params: Mapping[str, Any]) -> Check | None:
    """What is to be started on the scratch volume, if anything is. Raise UsageError."""
    if params["image"] is None:
        return None
    shell = ("/bin/sh", "-c", params["check_command"]) if params["check_command"] else ()
    environment = options.texts(params["env"]) or {}
    if params["env_file"] is not None:
        environment.update(_environment(params["env_file"]))
    return Check(
        image=params["image"],
        mount=params["mount"],
        command=params["command"],
        environment=environment,
        network=params["network"],
        argv=shell or tuple(params["check_argv"] or ()),
        user=params["check_user"],
        timeout=params["check_timeout"],
    )


def _environment(path: str) -> dict[str, str]:
    """The variables in a file, a line NAME=value each. Raise UsageError, without what is in it."""
    keys.secret_file("env_file", path)
    try:
        with open(path, encoding="utf-8") as file:
            lines = [line.rstrip("\n") for line in file]
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"env_file {path} can't be read: {why}") from error
    found = {}
    for number, line in enumerate(lines, start=1):
        name, equals, value = line.partition("=")
        if not line.strip() or line.startswith("#"):
            continue
        if not equals or not name.strip():
            raise UsageError(f"env_file {path}: line {number} isn't NAME=value")
        found[name.strip()] = value
    return found
