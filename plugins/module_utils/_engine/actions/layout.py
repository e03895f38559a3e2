# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay volumes out, by the options of the module docker_volume_layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options
from ..desired import Desired
from ..errors import UsageError
from ..laid import Result, Settings
from ..layout import lay_out
from ..options import Report, Spec

_VOLUME: dict[str, Any] = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "driver": {"type": "str", "default": "local"},
    "driver_options": {"type": "dict"},
    "labels": {"type": "dict"},
    "device_path": {"type": "path"},
    "owner": {"type": "str"},
    "group": {"type": "str"},
    "mode": {"type": "raw"},
    "require_mounted": {"type": "path"},
}

SPEC = Spec(
    arguments={
        **options.DOCKER,
        "volumes": {"type": "list", "elements": "dict", "required": True, "options": _VOLUME},
        "on_drift": {"type": "str", "choices": ["fail", "warn", "recreate"], "default": "fail"},
        "recreate_with_data": {"type": "bool", "default": False},
        "remove_with_data": {"type": "bool", "default": False},
        "backup_to": {"type": "dict", "options": options.REPOSITORY},
        **options.MOUNTS,
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Lay the volumes out. Raise DrydockError, with nothing changed, for what concerns all of them."""
    how = settings(params, check=check)
    wanted = [_desired(volume) for volume in params["volumes"]]
    result = lay_out(options.connect(params), wanted, how)
    return Report(
        changed=any(one.changed for one in result.volumes),
        values={
            "volumes": [one.report() for one in result.volumes],
            "failures": result.failures,
            "diff": _diff(result),
        },
        warnings=result.warnings,
        failure="; ".join(failure["error"] for failure in result.failures) or None,
    )


def settings(params: Mapping[str, Any], *, check: bool) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    return Settings(
        on_drift=params["on_drift"],
        recreate_with_data=params["recreate_with_data"],
        remove_with_data=params["remove_with_data"],
        safety=options.safety(params["backup_to"], check=check),
        helper_image=params["helper_image"],
        check=check,
    )


def _desired(volume: Mapping[str, Any]) -> Desired:
    """A volume of the list as the engine takes it."""
    try:
        texts = {key: options.texts(volume[key]) for key in ("driver_options", "labels")}
    except UsageError as error:
        raise UsageError(f"volume {volume['name']}: {error}") from error
    return Desired.parse({**volume, **texts})


def _diff(result: Result) -> dict[str, dict[str, Any]]:
    """What changes, before and after."""
    changed = [one for one in result.volumes if one.changed]
    return {
        "before": {"volumes": {one.name: one.before for one in changed}},
        "after": {"volumes": {one.name: one.after for one in changed}},
    }
