# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a host is safe: what is wrong, a pure function of the overview."""

from __future__ import annotations

from . import show
from .views import JobView, Overview, VolumeView


def problems(found: Overview) -> list[str]:
    """What wants looking after, the most urgent first. Nothing means that the host is safe."""
    wrong = []
    if found.interrupted:
        wrong.append("an interrupted run has left something undone: drydock-volumes recover")
    if found.docker is not None:
        wrong.append(found.docker)
    if not found.jobs:
        wrong.append("there is no job: nothing on this host is backed up by itself")
    wrong += [one.problem for one in found.repositories if one.problem is not None]
    for volume in found.volumes:
        wrong += _of_volume(volume)
    for job in found.jobs:
        wrong += _of_job(job)
    wrong += [
        f"volume {one['volume']}: its last drill ({one.get('finished_at')}) failed: {one.get('error')}"
        for one in found.drills
        if not one.get("success")
    ]
    return wrong


def _of_volume(one: VolumeView) -> list[str]:
    wrong = [
        f"volume {one.volume}: its backup {backup_id} in {one.repository} is dated in the future, so it doesn't count: "
        "a clock was ahead, or this host's is behind; see to the clock, and move that backup away once there is a "
        "newer one"
        for backup_id in one.future
    ]
    if one.newest is None:
        if one.fresh:
            return wrong
        return [f"volume {one.volume}: there is no complete backup of it in {one.repository}", *wrong]
    if one.age is not None and one.age > one.max_age:
        wrong.append(
            f"volume {one.volume}: its newest backup is {show.span(one.age)} old; {show.span(one.max_age)} is allowed"
        )
    for repository, copy in one.copies.items():
        age = one.copy_ages.get(repository)
        if copy is None or age is None:
            wrong.append(f"volume {one.volume}: there is no copy of its backups in {repository}")
        elif one.behind(repository):
            wrong.append(
                f"volume {one.volume}: its newest copy in {repository} ({copy}) is {show.span(age)} old; "
                f"{show.span(one.max_age)} is allowed"
            )
    return wrong


def _of_job(job: JobView) -> list[str]:
    if job.problem is not None:
        return [job.problem]
    record = job.record
    if record.get("running_since") and not job.running:
        return [f"job {job.name}: its run of {record['running_since']} was interrupted"]
    if record.get("success") is False:
        return [f"job {job.name}: its last run ({record['finished_at']}) failed: {record['error']}"]
    if job.overdue:
        never = record.get("last_success_at") is None
        since = show.span(job.idle)
        last = f"it has had no good run in {since}" if never else f"its last good run was {since} ago"
        allowed = f"{show.span(job.max_age)} is allowed"
        start = f"start it: drydock-volumes drill --job {job.name}"
        return [f"job {job.name}: {last}; {allowed}: whether backups restore isn't known; {start}"]
    return []
