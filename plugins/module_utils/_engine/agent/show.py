# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reports as lines for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..options import Report

_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size(count: float | None) -> str:
    """A number of bytes, in three digits or four."""
    if count is None:
        return "?"
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 1024 or unit == _UNITS[-1]:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1024
    return f"{value:.1f} {_UNITS[-1]}"


def span(seconds: float | None) -> str:
    """A number of seconds, in its two largest units."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, hours, days = int(seconds) // 60, int(seconds) // 3600, int(seconds) // 86400
    if hours < 1:
        return f"{minutes} min {int(seconds) % 60} s"
    if days < 1:
        return f"{hours} h {minutes % 60} min"
    return f"{days} d {hours % 24} h"


def table(rows: Sequence[Sequence[str]], heads: Sequence[str]) -> list[str]:
    """Columns, each as wide as its widest word."""
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]
    return ["  ".join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in [heads, *rows]]


def backup(report: Report, check: bool) -> list[str]:
    """What became of each volume."""
    lines = []
    for made in report.values["backups"]:
        name, content = made["volume"]["name"], made["content"]
        if check:
            lines.append(f"volume {name}: would be backed up, {size(content['bytes'])} in {content['entries']} entries")
            continue
        held = made["consistency"]
        down = f", containers held still for {span(held['downtime_seconds'])}" if held["containers"] else ""
        lines.append(
            f"volume {name}: backup {made['id']}, {size(content['bytes'])} in {content['entries']} entries, "
            f"archive {size(made['archive']['bytes'])}, in {span(made['seconds'])}{down}"
        )
    lines += [f"volume {one['volume']}: unchanged since {one['id']}" for one in report.values["unchanged"]]
    would = "would expire" if check else "expired"
    lines += [f"volume {gone['volume']}: {gone['id']} {would}: {gone['reason']}" for gone in report.values["expired"]]
    return lines


def restore(report: Report, check: bool) -> list[str]:
    """What became of the volume."""
    values = report.values
    source = f"backup {values['backup']} of {values['host']}" if values["backup"] else f"archive {values['archive']}"
    if not report.changed:
        return [f"volume {values['volume']}: holds {source} already"]
    how = f"{size(values['bytes'])} in {values['entries']} entries"
    if check:
        return [f"volume {values['volume']}: {source} would be restored, {how}"]
    down = f", containers stopped for {span(values['downtime_seconds'])}" if values["containers"] else ""
    proof = ", compared with its archive" if values["verified"] else ""
    return [f"volume {values['volume']}: {source} restored, {how}, in {span(values['seconds'])}{proof}{down}"]


def listing(report: Report, _check: bool) -> list[str]:
    """The backups, the newest first."""
    rows = [_listed(one, one["volume"]["name"]) for one in report.values["backups"]]
    rows += [
        _listed(one, f"{one['database']['engine']} in {one['database']['container']}")
        for one in report.values["databases"]
    ]
    lines = table(rows, ("BACKUP", "HOST", "WHAT", "AGE", "SIZE", "ARCHIVE", "QUIESCED", "VERIFIED"))
    for what in ("incomplete", "foreign"):
        lines += [f"{what}: {one['path']}: {one['reason']}" for one in report.values[what]]
    return lines


def _listed(one: dict[str, Any], what: str) -> tuple[str, ...]:
    verified = one.get("verified", one.get("verification", {}).get("method"))
    return (
        one["id"],
        one["host"],
        what,
        span(one["age_seconds"]),
        size(one["content"]["bytes"]),
        size(one["archive"]["bytes"]),
        one.get("consistency", {}).get("quiesce", "-"),
        "DAMAGED" if one.get("error") else str(verified),
    )


def drill(report: Report, check: bool) -> list[str]:
    """How each drill went."""
    lines = []
    for one in report.values["drills"]:
        what = f"volume {one['volume']}: backup {one['backup']}"
        how = f"{size(one['bytes'])} in {one['entries']} entries"
        if check:
            lines.append(f"{what} would be restored, {how}")
            continue
        checked = "" if one["check_seconds"] is None else f", checked in {span(one['check_seconds'])}"
        lines.append(f"{what} restores, {how}, in {span(one['restore_seconds'])}{checked}")
    return lines


def notes(report: Report, _check: bool) -> list[str]:
    """What was done, line by line."""
    return list(report.values["notes"])
