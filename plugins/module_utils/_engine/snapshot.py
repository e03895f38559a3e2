# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""All that the daemon and the host tell about who may need a volume, taken with a constant number of requests."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from . import mountinfo, patience
from .client import Client
from .errors import DaemonError
from .volumes import Volume, is_bind

# What Docker says of a node that is in no swarm; older engines say nothing.
_NO_SWARM = ("", "inactive")


@dataclass(frozen=True)
class Snapshot:
    """What there is at one moment. ``daemon`` identifies the engine, ``containers`` (in any state) and ``services`` are
    the API's JSON. ``real`` has, for the paths that containers bind, those without symlinks, and ``mounted`` this
    host's mount points; both are empty for a daemon elsewhere. ``marks`` change when a volume is made anew under its
    name: they are its ``CreatedAt``, which serves for nothing else, since writes move it too. ``shared`` are the
    volumes that other hosts see too. ``blind`` says why there may be users that can't be seen, None if there can't be.
    ``swarm`` is what the engine says of the one it is in, ``notes`` are for the operator."""

    daemon: str
    volumes: Mapping[str, Volume]
    containers: Sequence[Mapping[str, Any]]
    services: Sequence[Mapping[str, Any]] = ()
    real: Mapping[str, str] | None = None
    mounted: frozenset[str] = frozenset()
    marks: Mapping[str, str] | None = None
    shared: frozenset[str] = frozenset()
    blind: str | None = None
    swarm: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()


def take(client: Client) -> Snapshot:
    """Look at everything: four requests, in a swarm five, however many volumes and containers there are.

    Raise DaemonError if the daemon doesn't answer one of them.
    """
    known = client.volumes()
    notes = tuple(f"not all volumes could be listed: {why}" for why in client.unlisted)
    information = client.information()
    return _with_users(client, known, str(information.get("ID") or "unknown"), information.get("Swarm") or {}, notes)


def of_one(client: Client, name: str, before: Snapshot) -> Snapshot:
    """Look again, at one volume, or none if it is gone, and at everybody who may use it: two requests, in a swarm
    three. Of the volumes ``before`` those are in it, too, whose devices may be another volume's directory."""
    found = client.volume(name)
    now = _with_users(client, {name: found} if found else {}, before.daemon, before.swarm or {}, ())
    binds = {other: volume for other, volume in before.volumes.items() if is_bind(volume.driver, volume.options)}
    binds.pop(name, None)
    return replace(now, volumes={**binds, **now.volumes})


def _with_users(
    client: Client, known: Mapping[str, dict[str, Any]], daemon: str, swarm: Mapping[str, Any], notes: tuple[str, ...]
) -> Snapshot:
    # volumes first: who takes a volume between the two requests is seen by the second one
    services, blind = services_of(client, swarm)
    containers = client.all_containers()
    real: Mapping[str, str] = {}
    mounted: frozenset[str] = frozenset()
    if client.connection.local:
        mounted = frozenset(os.fsdecode(point) for point in mountinfo.mount_points())
        sources = {mount.get("Source") or "" for one in containers for mount in one.get("Mounts") or []}
        try:
            real = patience.within(client.connection.timeout, partial(_resolved, sources))
        except patience.HangingError as error:
            blind = f"the paths that containers bind can't be followed: {error}"
    return Snapshot(
        daemon=daemon,
        volumes={name: Volume.from_api(answer) for name, answer in known.items()},
        containers=containers,
        services=services,
        real=real,
        mounted=mounted,
        marks={name: str(answer.get("CreatedAt") or "") for name, answer in known.items()},
        shared=frozenset(name for name, answer in known.items() if _is_shared(answer)),
        blind=blind,
        swarm=swarm,
        notes=notes,
    )


def services_of(client: Client, swarm: Mapping[str, Any]) -> tuple[list[dict[str, Any]], str | None]:
    """The services of the swarm that this engine is in, and why they can't be known, or None. ``swarm`` is what the
    daemon's information says of it."""
    if (swarm.get("LocalNodeState") or "") in _NO_SWARM:
        return [], None
    if not swarm.get("ControlAvailable"):
        return [], "this engine is a swarm's worker, and only managers know which volumes the services use"
    try:
        return client.services(), None
    except DaemonError as error:
        return [], f"the swarm's services can't be listed: {error}"


def _is_shared(answer: Mapping[str, Any]) -> bool:
    return (answer.get("Scope") or "local") != "local" or bool(answer.get("ClusterVolume"))


def _resolved(paths: set[str]) -> dict[str, str]:
    return {path: os.path.realpath(path) for path in paths if os.path.isabs(path)}
