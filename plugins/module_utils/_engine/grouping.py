# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which containers hold still for which volumes, and which volumes are read in one window. Pure.

The labels of volumes and containers say how to treat them, so that a Compose file can say it all; what the task says is
for those that say nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import hooks
from .errors import UsageError
from .hooks import Hook
from .volumes import Volume, is_bind

#: From the weakest to the strongest.
METHODS = ("none", "pause", "stop")

QUIESCE = "drydock.quiesce"
BEFORE = "drydock.exec-before"
AFTER = "drydock.exec-after"

_RUNNING = ("running", "restarting")
_DEPENDS = "com.docker.compose.depends_on"
_PROJECT = "com.docker.compose.project"
_SERVICE = "com.docker.compose.service"
_TASK = "com.docker.swarm.task.id"


@dataclass(frozen=True)
class Member:
    """A running container that must hold still, by ``method`` ("pause" or "stop"). It starts after those in ``after``,
    the identifiers of other members; of them those in ``healthy`` must be healthy first."""

    id: str
    name: str
    method: str
    after: frozenset[str] = frozenset()
    healthy: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Group:
    """Volumes that are read in one window, the members that hold still meanwhile, and the commands around it.

    ``method`` says for each volume what can be said of all containers that write to it, ``names`` which those are.
    """

    volumes: tuple[str, ...]
    members: tuple[Member, ...]
    before: tuple[Hook, ...]
    after: tuple[Hook, ...]
    method: Mapping[str, str]
    names: Mapping[str, tuple[str, ...]]


def name_of(container: Mapping[str, Any]) -> str:
    """A container's name in the list endpoint's JSON, which also lists those that links give it: "/other/alias"."""
    names = [str(name).lstrip("/") for name in container.get("Names") or [container["Id"][:12]]]
    return next((name for name in names if "/" not in name), names[0])


def writes(container: Mapping[str, Any], volume: Volume) -> bool:
    """Whether a container has the volume mounted writable, by its name or by the path of its files."""
    return any(mount.get("RW", True) for mount in _mounts(container, volume))


def refers(container: Mapping[str, Any], volume: Volume) -> bool:
    """Whether a container has the volume mounted, running or not, by its name or by the path of its files."""
    return bool(_mounts(container, volume))


def running(container: Mapping[str, Any]) -> bool:
    """Whether a container's processes may write now. Those of a paused one don't."""
    return container.get("State") in _RUNNING


def groups(
    volumes: Sequence[Volume],
    containers: Sequence[Mapping[str, Any]],
    default: str,
    before: Sequence[Hook] = (),
    after: Sequence[Hook] = (),
) -> tuple[list[Group], dict[str, UsageError]]:
    """Divide volumes into groups that share no container that must do something, and of whose containers none depends
    on one of another group's. Also return the errors in labels, by the names of the volumes concerned, which are in no
    group.

    ``default`` is the method where no label says one. With commands of the task's own, ``before`` and ``after``, all
    volumes make one group.
    """
    errors: dict[str, UsageError] = {}
    found: list[_Part] = []
    for volume in volumes:
        if volume.labels.get(QUIESCE, default) not in METHODS:
            errors[volume.name] = _unknown(f"volume {volume.name}", volume.labels[QUIESCE])
    for container in containers:
        if not running(container):
            continue
        used = [volume for volume in volumes if _mounts(container, volume)]
        if not used:
            continue
        written = [volume for volume in used if writes(container, volume)]
        try:
            found.append(_Part(container, used, written, _method(container, written, default)))
        except UsageError as error:
            errors.update({volume.name: error for volume in written})
    good = [volume for volume in volumes if volume.name not in errors]
    names = {volume.name for volume in good}
    sets = [part.concerns() & names for part in found]
    held = [part for part in found if part.method != "none"]
    sets += [
        (one.concerns() | other.concerns()) & names
        for one in held
        for other in held
        if one is not other and _needs(one.container, other.container)
    ]
    if before or after:
        sets.append(names)
    made = [
        _group([volume for volume in good if volume.name in together], found, default, before, after)
        for together in _joined([volume.name for volume in good], sets)
    ]
    return made, errors


def users(volume: Volume, containers: Sequence[Mapping[str, Any]]) -> Group:
    """The group of one volume in which all running containers stop that use it, to read it or to write to it.

    Raise UsageError for one that can't be stopped: a task of a swarm service, or one that is paused.
    """
    found = []
    for container in containers:
        if container.get("State") not in (*_RUNNING, "paused") or not _mounts(container, volume):
            continue
        if container.get("State") == "paused":
            raise UsageError(f"container {name_of(container)} uses volume {volume.name}, and is paused: unpause it")
        _require_no_task(container, "stop")
        found.append(_Part(container, [volume], [volume], "stop"))
    members = tuple(_member(part, found) for part in found)
    names = tuple(sorted(member.name for member in members))
    return Group((volume.name,), members, (), (), {volume.name: "stop"}, {volume.name: names})


@dataclass(frozen=True)
class _Part:
    """The part that a running container has in this: the volumes it uses, those it writes to, and its method."""

    container: Mapping[str, Any]
    used: Sequence[Volume]
    written: Sequence[Volume]
    method: str

    def concerns(self) -> set[str]:
        """The volumes that are to be read while this container does something."""
        if self.hooks(BEFORE) or self.hooks(AFTER):
            return {volume.name for volume in self.used}
        return {volume.name for volume in self.written} if self.method != "none" else set()

    def hooks(self, label: str) -> list[Hook]:
        command = _labels(self.container).get(label)
        return [hooks.shell(self.container["Id"], command)] if command else []


def _group(
    volumes: Sequence[Volume],
    found: Sequence[_Part],
    default: str,
    before: Sequence[Hook],
    after: Sequence[Hook],
) -> Group:
    names = {volume.name for volume in volumes}
    parts = [part for part in found if names & {volume.name for volume in part.used}]
    held = [part for part in parts if part.method != "none" and names & {volume.name for volume in part.written}]
    writers = {name: [part for part in parts if name in {volume.name for volume in part.written}] for name in names}
    return Group(
        volumes=tuple(volume.name for volume in volumes),
        members=tuple(_member(part, held) for part in held),
        before=(*before, *(hook for part in parts for hook in part.hooks(BEFORE))),
        after=(*(hook for part in parts for hook in part.hooks(AFTER)), *after),
        method={
            name: min((part.method for part in those), key=METHODS.index) if those else _of_idle(name, volumes, default)
            for name, those in writers.items()
        },
        names={
            name: tuple(sorted(name_of(part.container) for part in those if part.method != "none"))
            for name, those in writers.items()
        },
    )


def _of_idle(name: str, volumes: Sequence[Volume], default: str) -> str:
    """The method of a volume that nothing running writes to."""
    return next(volume.labels.get(QUIESCE) or default for volume in volumes if volume.name == name)


def _member(part: _Part, held: Sequence[_Part]) -> Member:
    after, healthy = set(), set()
    for other in held:
        condition = _needs(part.container, other.container)
        if other is not part and condition is not None:
            after.add(other.container["Id"])
            if condition == "service_healthy":
                healthy.add(other.container["Id"])
    container = part.container
    return Member(container["Id"], name_of(container), part.method, frozenset(after), frozenset(healthy))


def _needs(container: Mapping[str, Any], other: Mapping[str, Any]) -> str | None:
    """The condition under which ``container`` may start after ``other``; None if it doesn't depend on it."""
    mine, theirs = _labels(container), _labels(other)
    if mine.get(_PROJECT) and mine.get(_PROJECT) == theirs.get(_PROJECT):
        for dependency in (mine.get(_DEPENDS) or "").split(","):
            service, _colon, rest = dependency.partition(":")
            if service and service == theirs.get(_SERVICE):
                return rest.partition(":")[0] or "service_started"
    network = (container.get("HostConfig") or {}).get("NetworkMode") or ""
    named = network in (f"container:{other['Id']}", f"container:{name_of(other)}")
    return "service_started" if named else None


def _method(container: Mapping[str, Any], written: Sequence[Volume], default: str) -> str:
    """How a container holds still: as its own label says, or the strongest word of the volumes that it writes to."""
    own = _labels(container).get(QUIESCE)
    where = [(f"container {name_of(container)}", own)] if own is not None else []
    where = where or [(f"volume {volume.name}", volume.labels.get(QUIESCE, default)) for volume in written]
    if not written:
        return "none"
    for what, word in where:
        if word not in METHODS:
            raise _unknown(what, word)
    method = max((word for _what, word in where), key=METHODS.index)
    if method != "none":
        _require_no_task(container, method)
    return method


def _require_no_task(container: Mapping[str, Any], method: str) -> None:
    if _labels(container).get(_TASK):
        raise UsageError(
            f"container {name_of(container)} is a task of a swarm service, which Docker would replace if we were to "
            f"{method} it; scale the service to 0, or use quiesce: none with exec_before"
        )


def _unknown(what: str, word: str) -> UsageError:
    return UsageError(f"{what}: its label {QUIESCE} is {word!r}; it can be {', '.join(METHODS)}")


def _mounts(container: Mapping[str, Any], volume: Volume) -> list[Mapping[str, Any]]:
    """A container's mounts of a volume: by its name, or of its files' directory, or of one below that."""
    paths = [volume.mountpoint] if volume.mountpoint else []
    if is_bind(volume.driver, volume.options):
        paths.append(volume.options.get("device", ""))
    found = []
    for mount in container.get("Mounts") or []:
        source = mount.get("Source") or "/"
        if mount.get("Name") == volume.name or any(_within(source, path) for path in paths if path):
            found.append(mount)
    return found


def _within(path: str, folder: str) -> bool:
    # three slashes, because normpath leaves two at the start as they are
    path, folder = os.path.normpath(f"///{path}"), os.path.normpath(f"///{folder}")
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _labels(container: Mapping[str, Any]) -> Mapping[str, str]:
    return container.get("Labels") or {}


def _joined(names: Sequence[str], sets: Sequence[set[str]]) -> list[set[str]]:
    """Put names into as few sets as need be so that each of ``sets`` is within one of them, in the names' order."""
    made: list[set[str]] = []
    for together in [*sets, *({name} for name in names)]:
        if not together:
            continue
        touched = [one for one in made if one & together]
        if touched:
            touched[0].update(together, *touched[1:])
            made = [one for one in made if one is touched[0] or not any(one is other for other in touched[1:])]
        else:
            made.append(set(together))
    order = {name: number for number, name in enumerate(names)}
    return sorted(made, key=lambda one: min(order[name] for name in one))
