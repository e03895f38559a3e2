# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of a job's runs: when the last one was, how it ended, and what there was before it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from . import dated, names, records
from .errors import DrydockError
from .options import Report


class Run:
    """A run of the job ``job``, which does ``action``, from now on."""

    def __init__(self, job: str, action: str) -> None:
        self._job = job
        self._began = names.utc_now()
        before = records.read(records.RUNS, job) or {}
        self._record = {
            **{key: value for key, value in before.items() if key != "format"},
            "job": job,
            "action": action,
            "running_since": names.iso(self._began),
            "runs": int(before.get("runs", 0)) + 1,
        }
        self._keep()

    def ended(self, code: int, report: Report | None, error: str | None = None) -> None:
        """Remember how it ended: with an exit code, and a report or the text of an error."""
        now = names.utc_now()
        values: Mapping[str, Any] = {} if report is None else report.values
        error = error if report is None else report.failure
        self._record.update(
            started_at=names.iso(self._began),
            finished_at=names.iso(now),
            running_since=None,
            success=code == 0,
            exit_code=code,
            error=error,
            seconds=(now - self._began).total_seconds(),
            failed_runs=int(self._record.get("failed_runs", 0)) + (code != 0),
            failures={each["volume"]: each["error"] for each in values.get("failures", [])},
            **_sums(values),
        )
        if code == 0:
            self._record["last_success_at"] = names.iso(now)
        self._record["volumes"] = {**self._record.get("volumes", {}), **_volumes(values)}
        self._record["confirmed"] = _confirmed(self._record.get("confirmed", {}), values, self._began)
        self._record["copies"] = _copies(self._record.get("copies", {}), values, now)
        self._keep()

    def _keep(self) -> None:
        # a record that can't be kept is no reason not to back up
        with contextlib.suppress(DrydockError):
            records.write(records.RUNS, self._job, self._record)


def _sums(values: Mapping[str, Any]) -> dict[str, Any]:
    """The bytes that were read, and the longest time that containers held still."""
    made = values.get("backups", [])
    drilled = values.get("drills", [])
    return {
        "bytes": sum(each["content"]["bytes"] for each in made) + sum(each["bytes"] for each in drilled),
        "archive_bytes": sum(each["archive"]["bytes"] or 0 for each in made),
        "downtime_seconds": max((each["consistency"]["downtime_seconds"] for each in made), default=0),
    }


def _volumes(values: Mapping[str, Any]) -> dict[str, Any]:
    """The newest backup of each volume that was backed up."""
    return {
        each["volume"]["name"]: {
            "id": each["id"],
            "bytes": each["content"]["bytes"],
            "archive_bytes": each["archive"]["bytes"],
            "seconds": each["seconds"],
            "downtime_seconds": each["consistency"]["downtime_seconds"],
        }
        for each in values.get("backups", [])
    }


def _confirmed(before: Mapping[str, Any], values: Mapping[str, Any], began: datetime) -> dict[str, Any]:
    """The backup of each volume that was found unchanged since, and when that was found last."""
    made = {each["volume"]["name"] for each in values.get("backups", [])}
    kept = {volume: one for volume, one in before.items() if volume not in made}
    found = {each["volume"]: {"id": each["id"], "at": names.iso(began)} for each in values.get("unchanged", [])}
    return {**kept, **found}


def _copies(before: Mapping[str, Any], values: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The newest copy of each volume's backups in each further repository, as far as the run has looked there."""
    found = {volume: dict(copies) for volume, copies in before.items()}
    for repository, held in values.get("diff", {}).get("after", {}).get("copies", {}).items():
        for volume, ids in held.items():
            found.setdefault(volume, {})[repository] = dated.newest(ids, now)
    return found
