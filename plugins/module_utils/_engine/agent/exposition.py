# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics in the text format of Prometheus, out of the overview: a pure function.

The format is https://prometheus.io/docs/instrumenting/exposition_formats/. Times are seconds since 1970.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .. import names
from ..version import VERSION
from .views import JobView, Overview, VolumeView

#: Every metric: its type, and what it tells.
METRICS = {
    "drydock_info": ("gauge", "The agent's version, as a label."),
    "drydock_docker_up": ("gauge", "Whether the Docker daemon answers."),
    "drydock_interrupted": ("gauge", "Whether a run that died has left something undone."),
    "drydock_job_valid": ("gauge", "Whether the job's file can be used."),
    "drydock_job_running": ("gauge", "Whether a run of the job is going on."),
    "drydock_job_interrupted": ("gauge", "Whether the last run of the job died."),
    "drydock_job_success": ("gauge", "Whether the last run of the job did all that was asked for."),
    "drydock_job_last_start_timestamp_seconds": ("gauge", "When the last run of the job that ended has started."),
    "drydock_job_last_end_timestamp_seconds": ("gauge", "When the last run of the job has ended."),
    "drydock_job_last_success_timestamp_seconds": ("gauge", "When the last run of the job that succeeded has ended."),
    "drydock_job_duration_seconds": ("gauge", "How long the last run of the job took."),
    "drydock_job_downtime_seconds": ("gauge", "The longest time that a container held still in the job's last run."),
    "drydock_job_failures": ("gauge", "The number of volumes that failed in the job's last run."),
    "drydock_job_bytes": ("gauge", "The sum of the sizes of the files that the job's last run read or restored."),
    "drydock_job_runs_total": ("counter", "The number of runs of the job that have started."),
    "drydock_job_failed_runs_total": ("counter", "The number of runs of the job that have failed."),
    "drydock_backup_last_success_timestamp_seconds": (
        "gauge",
        "When the newest complete backup has started, or the volume was last found to be as that holds it.",
    ),
    "drydock_backup_age_seconds": ("gauge", "How long that is ago."),
    "drydock_backup_max_age_seconds": ("gauge", "How old the newest complete backup may be."),
    "drydock_backup_missing": (
        "gauge",
        "Whether a volume that a job backs up has no complete backup, though it isn't new since the job's last run.",
    ),
    "drydock_backup_size_bytes": ("gauge", "The size of the newest backup's archive."),
    "drydock_backup_duration_seconds": ("gauge", "How long the newest backup took to read."),
    "drydock_backup_downtime_seconds": ("gauge", "How long containers held still for the newest backup."),
    "drydock_backups": ("gauge", "The number of complete backups of the volume."),
    "drydock_volume_size_bytes": ("gauge", "The sum of the sizes of the volume's files when it was backed up last."),
    "drydock_volumes_unprotected": ("gauge", "The number of named volumes that no job backs up."),
    "drydock_copy_last_timestamp_seconds": (
        "gauge",
        "When the newest backup has started that a further repository has.",
    ),
    "drydock_copy_missing": (
        "gauge",
        "Whether a further repository has no copy, or none as new as the newest backup must be.",
    ),
    "drydock_drill_success": ("gauge", "Whether the last drill of the volume was good."),
    "drydock_drill_last_timestamp_seconds": ("gauge", "When the last drill of the volume has ended."),
    "drydock_drill_duration_seconds": ("gauge", "How long the last drill of the volume took."),
    "drydock_drill_restore_seconds": ("gauge", "How long the restore in the volume's last good drill took."),
    "drydock_drill_bytes": ("gauge", "The sum of the sizes of the files that the volume's last good drill restored."),
    "drydock_drill_overdue": ("gauge", "Whether the last good run of a drill job is longer ago than it may be."),
    "drydock_repository_up": ("gauge", "Whether the local repository can be read."),
    "drydock_repository_backups": ("gauge", "The number of this host's complete backups in the local repository."),
    "drydock_repository_size_bytes": ("gauge", "The size of this host's archives in the local repository."),
    "drydock_repository_free_bytes": ("gauge", "What is free on the file system of the local repository."),
    "drydock_repository_total_bytes": ("gauge", "The size of the file system of the local repository."),
    "drydock_orphan_volumes": ("gauge", "The number of volumes that nobody will miss."),
}

Labels = tuple[tuple[str, str], ...]

_STRICTEST: Mapping[str, Callable[[float, float], float]] = {
    "drydock_backup_max_age_seconds": min,
    "drydock_backup_missing": max,
    "drydock_copy_missing": max,
}


class _Samples:
    """The samples of each metric. One that isn't known is none."""

    def __init__(self) -> None:
        self.of: dict[str, dict[Labels, float]] = {name: {} for name in METRICS}

    def add(self, metric: str, value: float | None, **labels: str) -> None:
        """Add one, in place of another with the same labels; where several jobs back one volume up, the strictest
        of them counts."""
        if value is not None:
            key, strictest = tuple(sorted(labels.items())), _STRICTEST.get(metric)
            known = self.of[metric].get(key)
            value = float(value)
            self.of[metric][key] = value if known is None or strictest is None else strictest(known, value)


def text(found: Overview, orphans: Mapping[str, Any] | None = None) -> str:
    """The metrics of an overview, and of the orphans (their ``count``) where they are known."""
    samples = _Samples()
    samples.add("drydock_info", 1, version=VERSION)
    samples.add("drydock_docker_up", found.docker is None)
    samples.add("drydock_interrupted", found.interrupted)
    if found.unprotected is not None:
        samples.add("drydock_volumes_unprotected", len(found.unprotected))
    for job in found.jobs:
        _job(samples, job)
    for volume in found.volumes:
        _volume(samples, volume)
    for drill in found.drills:
        _drill(samples, drill)
    for one in found.repositories:
        where = {"repository": one.path, "host": one.host}
        samples.add("drydock_repository_up", one.problem is None, **where)
        if one.problem is None:
            samples.add("drydock_repository_backups", one.backups, **where)
            samples.add("drydock_repository_size_bytes", one.bytes, **where)
            samples.add("drydock_repository_free_bytes", one.free, **where)
            samples.add("drydock_repository_total_bytes", one.total, **where)
    if orphans is not None:
        samples.add("drydock_orphan_volumes", orphans.get("count"))
    return _written(samples)


def _job(samples: _Samples, job: JobView) -> None:
    # Prometheus has a label "job" of its own
    record, labels = job.record, {"name": job.name, "action": job.action}
    samples.add("drydock_job_valid", job.problem is None, **labels)
    samples.add("drydock_job_running", job.running, **labels)
    if job.action == "drill":
        samples.add("drydock_drill_overdue", job.overdue, **labels)
    if not record:
        return
    samples.add("drydock_job_interrupted", bool(record.get("running_since")) and not job.running, **labels)
    samples.add("drydock_job_runs_total", record.get("runs"), **labels)
    samples.add("drydock_job_failed_runs_total", record.get("failed_runs", 0), **labels)
    samples.add("drydock_job_last_success_timestamp_seconds", _time(record.get("last_success_at")), **labels)
    if record.get("finished_at") is None:
        return
    samples.add("drydock_job_success", bool(record.get("success")), **labels)
    samples.add("drydock_job_last_start_timestamp_seconds", _time(record.get("started_at")), **labels)
    samples.add("drydock_job_last_end_timestamp_seconds", _time(record.get("finished_at")), **labels)
    samples.add("drydock_job_duration_seconds", record.get("seconds"), **labels)
    samples.add("drydock_job_downtime_seconds", record.get("downtime_seconds"), **labels)
    samples.add("drydock_job_failures", len(record.get("failures") or {}), **labels)
    samples.add("drydock_job_bytes", record.get("bytes"), **labels)


def _volume(samples: _Samples, one: VolumeView) -> None:
    labels = {"volume": one.volume, "repository": one.repository, "host": one.host}
    samples.add("drydock_backup_missing", one.newest is None and not one.fresh, **labels)
    samples.add("drydock_backup_max_age_seconds", one.max_age, **labels)
    samples.add("drydock_backups", one.backups, **labels)
    if one.newest is None:
        return
    since = _began(one.newest) if one.confirmed is None else _time(one.confirmed)
    samples.add("drydock_backup_last_success_timestamp_seconds", since, **labels)
    samples.add("drydock_backup_age_seconds", one.age, **labels)
    samples.add("drydock_backup_size_bytes", one.archive_bytes, **labels)
    samples.add("drydock_backup_duration_seconds", one.seconds, **labels)
    samples.add("drydock_backup_downtime_seconds", one.downtime, **labels)
    samples.add("drydock_volume_size_bytes", one.bytes, volume=one.volume)
    for repository, copy in one.copies.items():
        where = {"volume": one.volume, "repository": repository, "host": one.host}
        samples.add("drydock_copy_missing", one.behind(repository), **where)
        samples.add("drydock_copy_last_timestamp_seconds", _began(copy), **where)


def _drill(samples: _Samples, record: Mapping[str, Any]) -> None:
    labels = {"volume": str(record.get("volume")), "host": str(record.get("host"))}
    samples.add("drydock_drill_success", bool(record.get("success")), **labels)
    samples.add("drydock_drill_last_timestamp_seconds", _time(record.get("finished_at")), **labels)
    samples.add("drydock_drill_duration_seconds", record.get("seconds"), **labels)
    if record.get("success"):
        samples.add("drydock_drill_restore_seconds", record.get("restore_seconds"), **labels)
        samples.add("drydock_drill_bytes", record.get("bytes"), **labels)


def _written(samples: _Samples) -> str:
    lines = []
    for name, (kind, told) in METRICS.items():
        if samples.of[name]:
            lines += [f"# HELP {name} {told}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in sorted(samples.of[name].items())]
    return "\n".join([*lines, ""])


def _number(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _time(iso: Any) -> float | None:
    """The seconds since 1970 of a time as records have it."""
    when = names.moment(iso)
    return None if when is None else when.timestamp()


def _began(backup_id: str | None) -> float | None:
    """The seconds since 1970 at which a backup began."""
    try:
        return None if backup_id is None else names.when(backup_id).timestamp()
    except ValueError:
        return None
