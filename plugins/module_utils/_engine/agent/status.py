# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One screen that tells whether this host is safe."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from .. import options
from ..errors import UsageError
from ..options import Report, Spec
from . import jobs, overview, safety, show
from .views import JobView, Overview, VolumeView

SPEC = Spec(
    arguments={
        **options.DOCKER,
        "jobs": {"type": "list", "elements": "str"},
        "max_age": {"type": "str", "default": "2d"},
    }
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:  # noqa: ARG001 nothing is changed
    """Look. Raise DrydockError if the jobs or the journal can't be read."""
    try:
        limit = jobs.seconds(params["max_age"])
    except ValueError as error:
        raise UsageError(f"max_age: {error}") from error
    found = overview.gather(partial(options.connect, params), params["jobs"], limit)
    wrong = safety.problems(found)
    count = f"{len(wrong)} thing{'s want' if len(wrong) > 1 else ' wants'} looking after"
    return Report(
        changed=False,
        values={
            "safe": not wrong,
            "problems": wrong,
            "jobs": [_job(job) for job in found.jobs],
            "volumes": [asdict(volume) for volume in found.volumes],
            "repositories": [asdict(repository) for repository in found.repositories],
            "unprotected": found.unprotected,
            "interrupted": found.interrupted,
            "lines": lines(found, wrong),
        },
        failure=f"this host is not safe: {count}" if wrong else None,
        partly=True,
    )


def show_status(report: Report, _check: bool) -> list[str]:
    """The screen."""
    return list(report.values.pop("lines"))


def lines(found: Overview, wrong: list[str]) -> list[str]:
    """The screen, line by line."""
    screen = []
    if found.volumes:
        heads = ("VOLUME", "NEWEST BACKUP", "AGE", "SIZE", "COPIES", "LAST DRILL", "JOB")
        screen += [*show.table([_volume(one) for one in found.volumes], heads), ""]
    if found.jobs:
        columns = ("JOB", "DOES", "LAST RUN", "RESULT", "TOOK", "DOWNTIME")
        screen += [*show.table([_run(job) for job in found.jobs], columns), ""]
    for one in found.repositories:
        if one.free is not None:
            screen.append(
                f"repository {one.path}: {one.backups} backups of {one.host}, {show.size(one.bytes)}; "
                f"{show.size(one.free)} free of {show.size(one.total)}"
            )
    if found.unprotected:
        shown = ", ".join(found.unprotected[:10]) + (", …" if len(found.unprotected) > 10 else "")
        screen.append(f"{len(found.unprotected)} volumes are in no job: {shown}")
    screen += [f"! {problem}" for problem in wrong]
    return [*screen, "This host is NOT safe." if wrong else "This host is safe."]


def _volume(one: VolumeView) -> tuple[str, ...]:
    copies = [repository for repository in one.copies if not one.behind(repository)]
    drill = "never"
    if one.drill is not None:
        drill = f"{'good' if one.drill.get('success') else 'FAILED'}, {one.drill.get('finished_at')}"
    return (
        one.volume,
        one.newest or "NONE",
        show.span(one.age) if one.newest else "",
        show.size(one.bytes) if one.newest else "",
        f"{len(copies)} of {len(one.copies)}" if one.copies else "-",
        drill,
        one.job,
    )


def _run(job: JobView) -> tuple[str, ...]:
    record = job.record
    if job.problem is not None:
        return (job.name, job.action, "", "MALFORMED", "", "")
    result = "never ran"
    if job.running:
        result = f"runs since {record.get('running_since')}"
    elif record.get("running_since"):
        result = "INTERRUPTED"
    elif record:
        result = "good" if record.get("success") else f"FAILED ({record.get('exit_code')})"
    seconds, downtime = record.get("seconds"), record.get("downtime_seconds")
    return (
        job.name,
        job.action,
        str(record.get("finished_at") or ""),
        result,
        "" if seconds is None else show.span(seconds),
        show.span(downtime) if downtime else "-",
    )


def _job(job: JobView) -> dict[str, Any]:
    """A job as it is reported: without its options, which may name keys."""
    record = {key: value for key, value in job.record.items() if key not in ("format", "job", "action")}
    return {"name": job.name, "action": job.action, "running": job.running, "problem": job.problem, **record}
