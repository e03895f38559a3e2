# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is known of this host's backups: its jobs and their last runs, what the repositories hold, drills, leftovers.

Local repositories are looked at. What is in a remote one is told by the runs that wrote there: asking is slow, and may
cost money.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from .. import dated, names, options, records, recovery
from ..client import Client
from ..errors import DrydockError
from ..inventory import inventory
from ..orphans import is_anonymous
from ..repositories import root_of
from ..selection import Selector, select
from . import jobs
from .checked import checked
from .recorded import Recorded
from .views import DRILL_AGE, JobView, Overview, RepositoryView, VolumeView


def gather(connect: Callable[[], Client], wanted: Sequence[str] | None, max_age: float) -> Overview:
    """Look at all jobs, or at those that are ``wanted``. Raise UsageError for one that isn't there, and StateError if
    the jobs or the journal can't be read."""
    found = Overview(datetime.now(timezone.utc), interrupted=recovery.unfinished())
    found.drills = [record for name in records.names(records.DRILLS) if (record := records.read(records.DRILLS, name))]
    every = [_job(name, max_age, found.at, named=False) for name in jobs.names()]
    found.jobs = every if not wanted else [_job(name, max_age, found.at, named=True) for name in wanted]
    known = {job.name: job for job in [*every, *found.jobs] if job.problem is None and job.action == "backup"}
    recorded = Recorded(((job.params, job.record) for job in known.values()), found.at)
    listed: dict[str, dict[str, Any]] = {}
    containers: list[dict[str, Any]] = []
    try:
        client = connect()
        listed, containers = client.volumes(), client.all_containers()
    except DrydockError as error:
        found.docker = str(error)
    inventories = _Inventories(found)
    drilled = set()
    for job in found.jobs:
        for name in _names(job, listed if found.docker is None else None, containers):
            drilled.add((name, options.host(job.params)))
            if job.action == "backup":
                found.volumes.append(_volume(job, name, found, inventories, recorded))
    # of a volume that no job knows any more, nobody wants to hear
    found.drills = [one for one in found.drills if (one.get("volume"), one.get("host")) in drilled]
    if found.docker is None and wanted is None:
        covered = {view.volume for view in found.volumes}
        found.unprotected = sorted(name for name, volume in listed.items() if name not in covered and _counts(volume))
    return found


def _job(name: str, max_age: float, now: datetime, *, named: bool) -> JobView:
    """One job. Raise UsageError if it was ``named`` and isn't there."""
    running, record = _state(name)
    view = JobView(name, max_age=max_age, record=record, running=running)
    try:
        job = jobs.read(name)
    except DrydockError as error:
        if named:
            raise
        view.problem = str(error)
        return view
    view.action = job.action
    otherwise = DRILL_AGE if job.action == "drill" else max_age
    view.max_age = otherwise if job.max_age is None else job.max_age
    view.idle = _idle(job.path, view.record, now)
    try:
        view.params = _rooted(checked(job.action, job.options, os.environ))
    except DrydockError as error:
        view.problem = f"{job.where}: {error}"
    return view


def _state(name: str) -> tuple[bool, Mapping[str, Any]]:
    """Whether a run of a job is going on, and its record. A run has its record before it frees the lock, so it is the
    lock that is looked at first; and again, if a run has begun meanwhile."""
    running, record = jobs.is_running(name), records.read(records.RUNS, name) or {}
    if record.get("running_since") and not running:
        running, record = jobs.is_running(name), records.read(records.RUNS, name) or {}
    return running, record


def _rooted(params: dict[str, Any]) -> dict[str, Any]:
    """The options with the roots of repositories in place of their names: what a run records is by its root."""
    copies = [{**each, "repository": root_of(each["repository"])} for each in params.get("copies") or []]
    return {**params, "repository": root_of(params["repository"]), "copies": copies}


def _idle(path: str, record: Mapping[str, Any], now: datetime) -> float | None:
    """For how many seconds a job has had no good run."""
    for when in (names.moment(record.get("last_success_at")), _written(path)):
        if when is not None and when <= now + dated.SKEW:
            return max(0.0, (now - when).total_seconds())
    return None


def _written(path: str) -> datetime | None:
    """When a file was written."""
    try:
        return datetime.fromtimestamp(os.stat(path).st_mtime, timezone.utc)
    except (OSError, OverflowError, ValueError):
        return None


def _names(job: JobView, listed: Mapping[str, Any] | None, containers: Sequence[dict[str, Any]]) -> Sequence[str]:
    """The volumes that a job is for: those that it names, or those that its selector means now, or, where it isn't
    known which ones are ``listed``, meant before; none, with its problem, if that can't be told."""
    if job.problem is not None:
        return []
    selector = Selector.parse(job.params["selector"])
    if selector is None:
        return list(dict.fromkeys(job.params["volumes"] or []))
    chosen = sorted(job.record.get("volumes", {}))
    if listed is not None:
        try:
            chosen = select(dict(listed), containers, selector)
        except DrydockError as error:
            job.problem = f"job {job.name}: {error}"
            return []
    # who says "all" doesn't mean those that nobody has named
    labels = {name: (listed or {}).get(name, {}).get("Labels") or {} for name in chosen}
    return [name for name in chosen if not (selector.everything and is_anonymous(name, labels[name]))]


def _volume(job: JobView, name: str, found: Overview, inventories: _Inventories, recorded: Recorded) -> VolumeView:
    params = job.params
    host, repository = options.host(params), params["repository"]
    view = VolumeView(name, job.name, host, repository, job.max_age)
    view.drill = next((one for one in found.drills if (one.get("volume"), one.get("host")) == (name, host)), None)
    if os.path.isabs(repository):
        _look(view, inventories.of(params, host).get(name, []), found.at)
    else:
        _recall(view, recorded, found.at)
    view.fresh = view.newest is None and not view.future and _is_fresh(job, name, found.at)
    if view.newest is not None:
        when = recorded.confirmed(host, repository, name, view.newest)
        if when is not None:
            view.confirmed, view.age = names.iso(when), max(0.0, (found.at - when).total_seconds())
    for each in params["copies"]:
        copy = recorded.copy(host, each["repository"], name)
        view.copies[each["repository"]] = copy
        if copy is not None:
            view.copy_ages[each["repository"]] = view.age if copy == view.newest else dated.age(copy, found.at)
    return view


def _is_fresh(job: JobView, name: str, now: datetime) -> bool:
    """Whether a volume can't have been there, or can't have been meant, when its job ran last: that run has backed up
    all that there was, and not this one. When Docker has made it doesn't tell: that time moves with what is written."""
    began = names.moment(job.record.get("started_at"))
    if job.params["selector"] is None or not job.record.get("success") or began is None:
        return False
    known = {**job.record.get("volumes", {}), **job.record.get("confirmed", {})}
    return name not in known and now - began <= timedelta(seconds=job.max_age)


def _look(view: VolumeView, made: Sequence[Mapping[str, Any]], now: datetime) -> None:
    """What there is of a volume, the newest first, in a local repository."""
    view.backups = len(made)
    view.future = [one["id"] for one in made if dated.ahead(one["id"], now)]
    newest = next((one for one in made if dated.placed(one["id"], now)), None)
    if newest is not None:
        view.newest, view.age = newest["id"], dated.age(newest["id"], now)
        view.bytes, view.archive_bytes = newest["content"]["bytes"], newest["archive"]["bytes"]
        view.downtime = newest.get("consistency", {}).get("downtime_seconds")
        view.seconds = _between(newest["started_at"], newest["finished_at"])


def _recall(view: VolumeView, recorded: Recorded, now: datetime) -> None:
    """What runs have said that there is of a volume in a remote repository."""
    where = (view.host, view.repository, view.volume)
    view.future = recorded.future(*where)
    known = recorded.newest(*where)
    if known is not None:
        view.newest, view.age = known["id"], dated.age(known["id"], now)
        view.bytes, view.archive_bytes = known["bytes"], known["archive_bytes"]
        view.seconds, view.downtime = known["seconds"], known["downtime_seconds"]


class _Inventories:
    """What local repositories hold, each looked at once."""

    def __init__(self, found: Overview) -> None:
        self._found = found
        self._known: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}

    def of(self, params: Mapping[str, Any], host: str) -> dict[str, list[dict[str, Any]]]:
        """The complete backups of a host in a job's repository by volume, the newest first."""
        key = (params["repository"], host)
        if key not in self._known:
            self._known[key] = self._look(params, host)
        return self._known[key]

    def _look(self, params: Mapping[str, Any], host: str) -> dict[str, list[dict[str, Any]]]:
        view = RepositoryView(params["repository"], host)
        self._found.repositories.append(view)
        by_volume: dict[str, list[dict[str, Any]]] = {}
        try:
            held = inventory(options.repository(params, check=True), host=host, now=self._found.at)
        except DrydockError as error:
            view.problem = str(error)
            return by_volume
        for manifest in held.backups:
            by_volume.setdefault(manifest["volume"]["name"], []).append(manifest)
        every = held.backups + held.databases
        view.backups, view.bytes = len(every), sum(one["archive"]["bytes"] for one in every)
        try:
            facts = os.statvfs(view.path)
        except OSError as error:
            view.problem = f"repository {view.path}: {error.strerror}"
        else:
            view.free, view.total = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
        return by_volume


def _counts(volume: Mapping[str, Any]) -> bool:
    """Whether anybody would miss a volume: not an anonymous one, nor one of ours."""
    labels = volume.get("Labels") or {}
    return not (is_anonymous(str(volume["Name"]), labels) or labels.get("drydock.backup") == "false")


def _between(started: str, finished: str) -> float | None:
    """The seconds between two times out of a manifest."""
    try:
        begin, end = (datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ") for text in (started, finished))  # noqa: DTZ007
    except ValueError:
        return None
    return (end - begin).total_seconds()
