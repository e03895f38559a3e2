# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes that nobody will miss: listed, or removed where that is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from .. import options
from ..actions import prune_orphans
from ..errors import DrydockError
from ..options import Report
from ..orphans import ORPHAN, Policy
from ..usage import Wish, usage
from . import show

SPEC = replace(
    prune_orphans.SPEC, arguments={**prune_orphans.SPEC.arguments, "remove": {"type": "bool", "default": False}}
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """List the orphans, and with ``remove`` remove them. Since when volumes are unused is remembered, but not in check
    mode. Raise DrydockError, with nothing removed, if that can't be."""
    removing = params["remove"] and not check
    report = prune_orphans.run(params, check=not removing, remember=not check)
    report.changed = report.changed and params["remove"]
    report.values["remove"] = params["remove"]
    return report


def show_orphans(report: Report, check: bool) -> list[str]:
    """The orphans, and what is kept though nothing refers to it."""
    removed = report.values["remove"] and not check
    word = "removed" if removed else "would be removed" if report.values["remove"] else "orphan"
    rows = [(one["name"], word, one["reason"]) for one in report.values["removed"]]
    rows += [(one["name"], "kept", one["reason"]) for one in report.values["kept"] if one["class"] != "used"]
    lines = show.table(rows, ("VOLUME", "WHAT", "WHY")) if rows else ["there is no volume that nobody uses"]
    if report.values["reclaimed_bytes"]:
        lines.append(f"{show.size(report.values['reclaimed_bytes'])} {'freed' if removed else 'could be freed'}")
    return lines


def counted(params: Mapping[str, Any], *, remember: bool) -> dict[str, int | None] | None:
    """How many orphans there are, for the metrics; None if that can't be told. Whoever asks again and again is to
    ``remember`` since when volumes are unused: otherwise there would be none where nothing else does."""
    try:
        found = usage(options.connect(params), None, Policy(), Wish(remember=remember))
    except DrydockError:
        return None
    orphans = [one for one in found.volumes if one["class"] == ORPHAN]
    return {"count": len(orphans), "bytes": None}
