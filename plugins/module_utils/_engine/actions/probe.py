# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Probe volumes, by the options of the module docker_volume_probe."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

from .. import kinds, options
from ..errors import UsageError
from ..options import Report, Spec
from ..probe import LEAVE, REMOVE, SEE, TRY, Wanted, probe

_VOLUME: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "driver": {"type": "str", "default": "local"},
    "driver_options": {"type": "dict"},
    "read_only": {"type": "bool"},
    "user": {"type": "int", "default": 0},
    "group": {"type": "int", "default": 0},
    "action": {"type": "str", "choices": [TRY, LEAVE, SEE, REMOVE], "default": TRY},
}

SPEC = Spec(
    arguments={
        **options.DOCKER,
        "volumes": {"type": "list", "elements": "dict", "required": True, "options": _VOLUME},
        "mark": {"type": "str"},
        "on_failure": {"type": "str", "choices": ["fail", "warn"], "default": "fail"},
        **options.MOUNTS,
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Probe the volumes. Raise DrydockError for what concerns all of them."""
    volumes = params["volumes"]
    if params["mark"] is None and any(volume["action"] != TRY for volume in volumes):
        raise UsageError("mark is missing: give the hosts that are to see each other's files the same text")
    # What no other host has to see has a mark of its own, lest it takes away what one has left.
    wanted = [
        _wanted(volume, secrets.token_hex(16) if volume["action"] == TRY else params["mark"]) for volume in volumes
    ]
    result = probe(options.connect(params), wanted, check, params["helper_image"])
    acted = {one.name for one in wanted if one.action in (LEAVE, REMOVE) and not one.read_only}
    errors = list(result.failures.values())
    fails = params["on_failure"] == "fail"
    return Report(
        changed=bool(acted & set(result.probed)) and not check,
        values={
            "probed": result.probed,
            "failures": [{"volume": name, "error": error} for name, error in result.failures.items()],
        },
        warnings=result.warnings + ([] if fails else errors),
        failure="; ".join(errors) if errors and fails else None,
    )


def _wanted(volume: Mapping[str, Any], mark: str) -> Wanted:
    """A volume as the engine takes it."""
    given = options.texts(volume["driver_options"]) or {}
    read_only = volume["read_only"]
    if read_only is None:
        read_only = "ro" in kinds.words(given)
    return Wanted(
        volume["name"], volume["driver"], given, read_only, volume["user"], volume["group"], volume["action"], mark
    )
