# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the runs of all of this host's jobs have left word of, of one volume. Pure.

Several jobs may write to the same place, and each knows its own runs only: what is there is what any of them has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from .. import dated, names, options

_UNKNOWN = dict.fromkeys(("bytes", "archive_bytes", "seconds", "downtime_seconds"))


class Recorded:
    """The last word of ``jobs``: the options of each, whose repositories are roots, and its record. It is ``now``."""

    def __init__(self, jobs: Iterable[tuple[Mapping[str, Any], Mapping[str, Any]]], now: datetime) -> None:
        self._jobs = [(options.host(params), params, record) for params, record in jobs]
        self._now = now

    def newest(self, host: str, root: str, volume: str) -> Mapping[str, Any] | None:
        """The newest backup that a run has made there: its ``id``, ``bytes`` and so on."""
        made = [one for one in self._made(host, root, volume) if dated.placed(one["id"], self._now)]
        return max(made, key=lambda one: names.backup_order(one["id"]), default=None)

    def future(self, host: str, root: str, volume: str) -> list[str]:
        """Those that were made there while a clock was ahead."""
        return [one["id"] for one in self._made(host, root, volume) if dated.ahead(one["id"], self._now)]

    def copy(self, host: str, root: str, volume: str) -> str | None:
        """The newest copy that a run has seen in a further repository."""
        seen = (
            record.get("copies", {}).get(volume, {}).get(root)
            for whose, params, record in self._jobs
            if whose == host and root in [each["repository"] for each in params.get("copies") or []]
        )
        return dated.newest(filter(None, seen), self._now)

    def confirmed(self, host: str, root: str, volume: str, backup_id: str) -> datetime | None:
        """When a run has last found the volume as that backup there is; None if none has."""
        found = (
            names.moment(one.get("at"))
            for record in self._there(host, root)
            if (one := record.get("confirmed", {}).get(volume, {})).get("id") == backup_id
        )
        return max((when for when in found if when is not None and when <= self._now + dated.SKEW), default=None)

    def _made(self, host: str, root: str, volume: str) -> Iterator[Mapping[str, Any]]:
        """What runs have made there, and, of what others have made, what they have found to be as the volume is."""
        for record in self._there(host, root):
            known = record.get("volumes", {}).get(volume)
            same = record.get("confirmed", {}).get(volume)
            if known:
                yield known
            if same and (not known or known["id"] != same["id"]):
                yield {**_UNKNOWN, "id": same["id"]}

    def _there(self, host: str, root: str) -> Sequence[Mapping[str, Any]]:
        """The records of the jobs that back up to there."""
        return [record for whose, params, record in self._jobs if (whose, params["repository"]) == (host, root)]
