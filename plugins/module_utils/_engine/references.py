# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who refers to a volume, by its name or by the path of its files. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .grouping import name_of
from .snapshot import Snapshot
from .volumes import Volume, is_bind

# A service may name its volumes by a template: "data-{{.Task.Slot}}".
_TEMPLATE = re.compile(r"\{\{.*?\}\}")
_DATA = "/_data"


@dataclass(frozen=True)
class Reference:
    """Something that refers to a volume: its ``kind`` (container, service, volume, mount), its ``name``, its ``state``
    (of a container: running, exited, created …; of a service: how many replicas; else empty), and the ``path`` if it
    refers to the volume's files and not to its name."""

    kind: str
    name: str
    state: str = ""
    path: str | None = None

    def __str__(self) -> str:
        state = f" ({self.state})" if self.state else ""
        if self.kind == "mount":
            return f"a mount of this host at {self.name}"
        by = f", which refers to it by the path {self.path}" if self.path else ""
        return f"{self.kind} {self.name}{state}{by}"


def references(snapshot: Snapshot) -> dict[str, list[Reference]]:
    """All references by the names of the volumes; a volume without any isn't in it.

    A path refers to a volume if it is that of its files, of its folder in Docker's directory, or below. A container
    that has all of Docker's directory, or all of the host, as monitoring has, doesn't use each volume for that.
    """
    places = _places(snapshot.volumes)
    found: dict[str, list[Reference]] = {}

    def add(names: list[str], reference: Reference) -> None:
        for name in names:
            if name in snapshot.volumes and reference not in found.setdefault(name, []):
                found[name].append(reference)

    for container in snapshot.containers:
        who, state = name_of(container), str(container.get("State") or "")
        for mount in container.get("Mounts") or []:
            if mount.get("Name"):
                add([mount["Name"]], Reference("container", who, state))
                continue
            source = mount.get("Source") or ""
            add(_at(places, source, snapshot.real), Reference("container", who, state, source))
    for service in snapshot.services:
        for names, reference in _of_service(service, snapshot, places):
            add(names, reference)
    for volume in snapshot.volumes.values():
        if is_bind(volume.driver, volume.options):
            device = volume.options.get("device", "")
            others = [name for name in _at(places, device, None) if name != volume.name]
            add(_plain(others, snapshot.volumes), Reference("volume", volume.name, path=device))
    for point in snapshot.mounted:
        add(_at(places, point, None, own=True), Reference("mount", point))
    return {name: those for name, those in found.items() if those}


def _places(volumes: Mapping[str, Volume]) -> dict[str, list[tuple[str, bool]]]:
    """The volumes by the paths that stand for them, each with whether that is where Docker itself keeps its files."""
    places: dict[str, list[tuple[str, bool]]] = {}
    for volume in volumes.values():
        if volume.driver == "local" and volume.mountpoint:
            path = _normal(volume.mountpoint)
            folder = [path[: -len(_DATA)]] if path.endswith(_DATA) else []
            for one in [path, *folder]:
                places.setdefault(one, []).append((volume.name, True))
        if is_bind(volume.driver, volume.options) and volume.options.get("device"):
            places.setdefault(_normal(volume.options["device"]), []).append((volume.name, False))
    return places


def _at(
    places: Mapping[str, list[tuple[str, bool]]], path: str, real: Mapping[str, str] | None, *, own: bool = False
) -> list[str]:
    """The names of the volumes that ``path`` stands for, as it is or without symlinks; ``own``: Docker's paths only."""
    names = []
    for one in dict.fromkeys((path, (real or {}).get(path, path))):
        if os.path.isabs(one):
            for folder in _upwards(_normal(one)):
                names += [name for name, docker in places.get(folder, []) if docker or not own]
    return names


def _plain(names: list[str], volumes: Mapping[str, Volume]) -> list[str]:
    """Those whose data goes with them: two bind volumes of one device do no harm to each other."""
    return [name for name in names if not is_bind(volumes[name].driver, volumes[name].options)]


def _of_service(
    service: Mapping[str, Any], snapshot: Snapshot, places: Mapping[str, list[tuple[str, bool]]]
) -> Iterator[tuple[list[str], Reference]]:
    """What a service refers to, and what it would refer to once it is rolled back."""
    for specification in (service.get("Spec") or {}, service.get("PreviousSpec") or {}):
        name = str((service.get("Spec") or {}).get("Name") or service.get("ID") or "")
        state = _scale(specification)
        container = (specification.get("TaskTemplate") or {}).get("ContainerSpec") or {}
        for mount in container.get("Mounts") or []:
            source = mount.get("Source") or ""
            if mount.get("Type") == "volume" and source:
                yield _named(source, snapshot.volumes), Reference("service", name, state)
            elif source:
                yield _at(places, source, snapshot.real), Reference("service", name, state, source)


def _named(source: str, volumes: Mapping[str, Volume]) -> list[str]:
    """The volumes that a service's mount names; with a template, all that it could."""
    if "{{" not in source:
        return [source]
    pattern = re.compile(".*".join(re.escape(part) for part in _TEMPLATE.split(source)), re.DOTALL)
    return [name for name in volumes if pattern.fullmatch(name)]


def _scale(specification: Mapping[str, Any]) -> str:
    replicated = (specification.get("Mode") or {}).get("Replicated")
    return "global" if replicated is None else f"{replicated.get('Replicas', 0)} replicas"


def _upwards(path: str) -> Iterator[str]:
    """A normal path and its parents, but not the root."""
    while path != "/":
        yield path
        path = os.path.dirname(path)


def _normal(path: str) -> str:
    return os.path.normpath(f"///{path}")  # three slashes, because normpath leaves two at the start as they are
