# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a disk, by the options of the module docker_volume_disk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..options import Report, Spec
from ..preparation import FORMAT, LABELS, Wanted
from ..prepare import Result, prepare

MOUNT_OPTIONS = ["noatime", "nofail", "x-systemd.before=docker.service", "x-systemd.device-timeout=30s"]

SPEC = Spec(
    arguments={
        "device": {"type": "path"},
        "mount_point": {"type": "path", "required": True},
        "filesystem": {"type": "str", "choices": list(LABELS), "default": "xfs"},
        "label": {"type": "str"},
        "mount_options": {"type": "list", "elements": "str", "default": MOUNT_OPTIONS},
        "require_ssd": {"type": "bool", "default": True},
    },
    required_by={"device": "label"},
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Prepare the disk, or see that it is there. Raise DrydockError if that can't be or mustn't be."""
    wanted = Wanted(
        params["device"],
        params["mount_point"],
        params["filesystem"],
        params["label"] or "",
        tuple(params["mount_options"]),
        params["require_ssd"],
    )
    result = prepare(wanted, check)
    invented = check and FORMAT in result.steps
    values: dict[str, Any] = {
        "steps": list(result.steps),
        "mount_point": wanted.mount_point,
        "filesystem": result.kind,
        "uuid": "" if invented else result.uuid,
        "rotational": result.rotational,
        "size": result.size,
    }
    if wanted.device is not None:
        values["diff"] = _diff(wanted.mount_point, result)
    return Report(changed=bool(result.steps), values=values, warnings=result.warnings)


def _diff(point: str, result: Result) -> dict[str, dict[str, Any]]:
    """The line of fstab before and after, and the steps."""
    return {
        "before": {point: {"steps": [], "fstab": result.fstab_before}},
        "after": {point: {"steps": list(result.steps), "fstab": result.fstab_after}},
    }
