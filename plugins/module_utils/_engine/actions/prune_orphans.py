# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the volumes that nobody will miss, by the options of the module volume_prune_orphans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import options
from ..encryption import Encryption
from ..options import Report, Spec
from ..prune import Destination, Result, Settings, prune
from . import usage_info

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **usage_info.ORPHANS,
        **options.MOUNTS,
        "anonymous": {"type": "bool", "default": True},
        "named": {"type": "bool"},
        "backup_to": {
            "type": "dict",
            "options": {**options.REPOSITORY, "parallel": {"type": "int"}, **options.ENCRYPTION},
        },
        "max_remove": {"type": "int"},
        "max_remove_percent": {"type": "float", "default": 50},
        "look_timeout": {"type": "float", "default": 600},
    },
)


def run(params: Mapping[str, Any], *, check: bool = False, remember: bool = False) -> Report:
    """Remove them. Raise DrydockError, with nothing removed, for what concerns all of them. In check mode nothing is
    removed, but with ``remember`` it is remembered which volumes nothing refers to."""
    how = replace(settings(params, check=check), remember=remember)
    result = prune(options.connect(params), how)
    return Report(
        changed=bool(result.removed),
        values={
            "orphans": result.found,
            "removed": result.removed,
            "kept": result.kept,
            "failures": result.failures,
            "reclaimed_bytes": result.reclaimed,
            "diff": _diff(result),
        },
        warnings=result.warnings,
        failure="; ".join(failure["error"] for failure in result.failures) or None,
    )


def settings(params: Mapping[str, Any], *, check: bool) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    wanted = usage_info.selector(params)
    chosen = wanted is not None and not wanted.everything
    return Settings(
        policy=usage_info.policy(params),
        selector=wanted,
        anonymous=params["anonymous"],
        named=chosen if params["named"] is None else params["named"],
        backup_to=_destination(params["backup_to"], check=check),
        max_remove=params["max_remove"],
        max_remove_percent=params["max_remove_percent"],
        look_timeout=params["look_timeout"],
        check=check,
        helper_image=params["helper_image"],
    )


def _destination(wanted: Mapping[str, Any] | None, *, check: bool) -> Destination | None:
    """Where volumes are backed up to."""
    if wanted is None:
        return None
    return Destination(
        repository=options.repository(wanted, check=check),
        host=options.host(wanted),
        encryption=Encryption.parse(wanted["encryption"]),
        parallel=wanted["parallel"],
    )


def _diff(result: Result) -> dict[str, dict[str, Any]]:
    """The orphans before and after."""
    removed = {one["name"]: one["reason"] for one in result.removed}
    left = {one["name"]: one["reason"] for one in result.kept if one["name"] in result.found}
    return {"before": {"orphans": {**removed, **left}}, "after": {"orphans": left}}
