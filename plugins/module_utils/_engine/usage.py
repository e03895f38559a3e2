# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What volumes there are, who uses each, how large it is, and whether there is a backup of it.

It only reads, unless what is seen is to be remembered.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import mountinfo, names, orphans, sightings, sizes, snapshot, volumes
from .client import Client
from .errors import DrydockError, VolumeError
from .orphans import Policy, Verdict
from .repository import Directory
from .selection import Selector, matches
from .survey import Survey
from .volumes import Volume


@dataclass
class Usage:
    """``volumes``, sorted by name, each as docker_volume_usage_info documents it, and ``warnings``."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Wish:
    """What to find out besides: ``sizes``, within so many ``seconds``, and the newest backups in ``repository`` under
    ``host``. ``remember`` has this run be one of those that remember since when volumes are unused."""

    sizes: bool = False
    seconds: float = 60
    repository: Directory | None = None
    host: str = ""
    remember: bool = False


def usage(client: Client, selector: Selector | None, policy: Policy, wish: Wish) -> Usage:
    """Look at the volumes that ``selector`` means, None for all. Raise DrydockError if the daemon doesn't answer, or
    what is asked for needs the files of a daemon that isn't this host's own."""
    if wish.sizes:
        volumes.require_local(client)
    if wish.repository is not None:
        names.path_component("host", wish.host)
        wish.repository.require_there()
    seen = snapshot.take(client)
    memory, now = sightings.load(seen.daemon), names.utc_now()
    result = Usage(warnings=[*seen.notes, *([memory.problem] if memory.problem else [])])
    unused = orphans.unreferenced(seen)
    kept, since = sightings.observe(memory, unused, seen.marks or {}, now)
    if wish.remember:
        try:
            sightings.remember(seen, kept)
        except DrydockError as error:
            result.warnings.append(str(error))
    # what is new to this run no earlier one has seen
    known = {name: first for name, first in since.items() if first != now}
    verdicts = orphans.classify(seen, known, policy, now)
    wanted = [
        verdict
        for name, verdict in sorted(verdicts.items())
        if selector is None or matches(name, verdict.volume.labels, selector)
    ]
    measured, errors = _sizes([verdict.volume for verdict in wanted], wish) if wish.sizes else ({}, {})
    for verdict in wanted:
        one = described(verdict, now)
        one.update(size(measured.get(verdict.name)), size_error=errors.get(verdict.name))
        if wish.repository is not None:
            one["backup"] = _newest(wish.repository, wish.host, verdict.name, now, result.warnings)
        result.volumes.append(one)
    return result


def described(verdict: Verdict, now: datetime) -> dict[str, Any]:
    """A volume and its class, as the modules return them."""
    volume = verdict.volume.description()
    return {
        "name": verdict.name,
        "driver": volume["driver"],
        "options": volume["options"],
        "labels": volume["labels"],
        "kind": "anonymous" if orphans.is_anonymous(verdict.volume.name, verdict.volume.labels) else "named",
        "class": verdict.kind,
        "reason": verdict.reason,
        "references": [
            {"kind": one.kind, "name": one.name, "state": one.state, "path": one.path} for one in verdict.references
        ],
        "unreferenced_since": names.iso(verdict.since) if verdict.since else None,
        "age_seconds": round((now - verdict.since).total_seconds()) if verdict.since else None,
    }


def size(found: Survey | None) -> dict[str, int | None]:
    """What is known of how much there is, in bytes."""
    if found is None:
        return {"bytes": None, "allocated_bytes": None, "files": None}
    return {"bytes": found.bytes, "allocated_bytes": found.allocated, "files": found.files}


def _sizes(wanted: Sequence[Volume], wish: Wish) -> tuple[dict[str, Survey], dict[str, str]]:
    """Measure the volumes whose files are on this host now. Nothing is mounted for it."""
    trees, errors, points = {}, {}, mountinfo.mount_points()
    for volume in wanted:
        try:
            trees[volume.name] = _tree(volume, points)
        except VolumeError as error:
            errors[volume.name] = str(error)
    found, failed = sizes.measure(trees, wish.seconds)
    return found, {**errors, **failed}


def _tree(volume: Volume, points: Mapping[bytes, str]) -> str:
    path = volumes.direct(volume)
    if path is None and volume.mountpoint and os.fsencode(volume.mountpoint) in points:
        return volume.mountpoint
    if path is None:
        raise VolumeError(f"volume {volume.name} isn't mounted now: Docker mounts it while a container uses it")
    return path


def _newest(repository: Directory, host: str, name: str, now: datetime, warnings: list[str]) -> dict[str, Any] | None:
    """The newest complete backup of a volume, None if there is none."""
    try:
        complete, problems = repository.backups(host, name)
    except DrydockError as error:
        warnings.append(f"volume {name}: its backups can't be looked at: {error}")
        return None
    warnings += problems
    for manifest in complete[:1]:
        try:
            age = round((now - names.when(manifest["id"])).total_seconds())
        except ValueError:  # its identifier is no date
            age = None
        return {"id": manifest["id"], "path": repository.archive(manifest), "age_seconds": age}
    return None
