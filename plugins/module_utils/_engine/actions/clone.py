# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clone a volume, by the options of the module docker_volume_clone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options
from ..clone import Result, Settings, clone
from ..grouping import METHODS
from ..options import Report, Spec

SPEC = Spec(
    arguments={
        **options.DOCKER,
        "source": {"type": "str", "required": True},
        "target": {"type": "str", "required": True},
        "when_not_empty": {"type": "str", "choices": list(options.FAIL_REPLACE), "default": "fail"},
        "quiesce": {"type": "str", "choices": list(METHODS), "default": "none"},
        **options.WAITING,
        "on_change": {"type": "str", "choices": list(options.WARN_FAIL), "default": "warn"},
        "verify": {"type": "str", "choices": ["none", "compare"], "default": "compare"},
        **options.CREATION,
        **options.STALL_TIMEOUT,
        **options.MOUNTS,
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Clone. Raise DrydockError, with both volumes as they were, if that can't be done."""
    source, volume = params["source"], params["target"]
    result = clone(options.connect(params), source, volume, settings(params, check=check))
    return Report(
        changed=result.changed,
        values={
            "source": source,
            "volume": volume,
            "created": result.created,
            "containers": result.held,
            "downtime_seconds": result.downtime,
            "bytes": result.bytes,
            "entries": result.entries,
            "seconds": result.seconds,
            "diff": _diff(source, volume, result),
        },
        warnings=result.warnings,
        failure=f"volume {volume} is a clone of {source}, but: {'; '.join(result.failures)}"
        if result.failures
        else None,
    )


def settings(params: Mapping[str, Any], *, check: bool) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    return Settings(
        when_not_empty=params["when_not_empty"],
        quiesce=params["quiesce"],
        limits=options.limits(params),
        driver=params["driver"],
        driver_options=options.texts(params["driver_options"]),
        labels=options.texts(params["labels"]),
        on_change=params["on_change"],
        verify=params["verify"],
        stall_timeout=params["stall_timeout"],
        helper_image=params["helper_image"],
        check=check,
    )


def _diff(source: str, volume: str, result: Result) -> dict[str, dict[str, Any]]:
    """The target before and after."""
    after = {"exists": True, "clone of": source, "entries": result.entries, "bytes": result.bytes}
    before = {"exists": not result.created, "entries in its root": result.entries_before}
    held = dict.fromkeys(result.held, "stopped or paused meanwhile")
    return {
        "before": {volume: before if result.changed else after, "containers": {}},
        "after": {volume: after, "containers": held},
    }
