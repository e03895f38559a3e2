# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay the volumes of a host out: look at all of them, decide with plan.plan, do what it says.

A volume that is to have the directory of another one that goes is made after that one is gone.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import directories, drivers, fstab, grouping, kinds, mounts, patience, points, roots, volumes
from . import plan as planning
from .client import Client
from .desired import Desired, require_consistent
from .directories import Ownership, Root
from .errors import DrydockError, NoAnswerError, UsageError, VolumeError
from .plan import BACK_UP, CREATE, GIVE, MAKE, REMOVE, Found, Plan, Policy
from .quiesce import Limits
from .references import references
from .safety import Safety
from .snapshot import Snapshot, services_of
from .volumes import Volume

_NOTHING = "; nothing was changed"


@dataclass(frozen=True)
class Settings:
    """How to lay out: see plan.Policy for the first three. What would be lost is backed up by ``safety`` if that is
    there. ``helper_image`` is for mounts.reach. With ``check`` everything is looked at, and nothing is changed."""

    on_drift: str = "fail"
    recreate_with_data: bool = False
    remove_with_data: bool = False
    safety: Safety | None = None
    limits: Limits = field(default_factory=Limits)
    helper_image: str | None = None
    check: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for settings that can't go together."""
        if self.recreate_with_data and self.safety is None:
            raise UsageError("recreate_with_data needs backup_to: what would be lost with a volume is backed up first")

    @property
    def policy(self) -> Policy:
        """What plan.plan needs of it."""
        return Policy(self.on_drift, self.recreate_with_data, self.remove_with_data, self.safety is not None)


@dataclass
class Laid:
    """One volume: what was done, or in check mode would be, and what it is like ``before`` and ``after``."""

    name: str
    present: bool = False
    actions: list[str] = field(default_factory=list)
    drift: dict[str, dict[str, Any]] = field(default_factory=dict)
    path: str | None = None
    kept: str | None = None
    backup: dict[str, Any] | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was changed. A backup alone changes nothing about the volume."""
        return bool(set(self.actions) - {BACK_UP})

    def report(self) -> dict[str, Any]:
        """What the module returns of it."""
        return {
            "name": self.name,
            "state": "present" if self.present else "absent",
            "changed": self.changed,
            "actions": self.actions,
            "drift": self.drift,
            "path": self.path,
            "kept": self.kept,
            "backup": self.backup,
        }


@dataclass
class Result:
    """All volumes in the order in which they were asked for, and the errors of those that aren't as they should be."""

    volumes: list[Laid] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Note an error in the context as that of one volume."""
        try:
            yield
        except DrydockError as error:
            text = str(error)
            if not text.startswith((f"volume {name} ", f"volume {name}:")):
                text = f"volume {name}: {text}"
            self.failures.append({"volume": name, "error": text.replace(_NOTHING * 2, _NOTHING)})


@dataclass
class _One:
    """A volume on its way: what is wanted, what was found out, what is planned."""

    wanted: Desired
    laid: Laid
    volume: Volume | None
    ownership: Ownership = field(default_factory=Ownership)
    points: list[str] = field(default_factory=list)
    root: Root | None = None
    plan: Plan | None = None

    @property
    def found(self) -> Found:
        return Found(self.volume, self.root)


def lay_out(client: Client, wanted: Sequence[Desired], settings: Settings) -> Result:
    """Have the host's volumes be as they are wanted. What the daemon knows is read in one request for all volumes, one
    for all containers and one or two for a swarm's services if any volume is to go, and two for its drivers if a plugin
    is asked for; where plugins are, one more for each volume that isn't listed, since some don't list all they have.

    Raise DrydockError, with nothing changed, for what concerns all of them. One volume's error doesn't stop the others;
    it is in the result.
    """
    volumes.require_local(client)
    if os.geteuid() != 0:
        raise VolumeError("directories are made and given to others by root only; set become: true")
    result = Result(warnings=require_consistent(wanted))
    drivers.require(client, wanted)
    known = _known(client, wanted)
    table = fstab.mount_points()
    ones = []
    for desired in wanted:
        volume = Volume.from_api(known[desired.name]) if desired.name in known else None
        laid = Laid(desired.name, present=volume is not None)
        laid.before = laid.after = planning.shown(volume, None)
        ones.append(_One(desired, laid, volume))
        result.volumes.append(laid)
    looked = []
    for one in ones:
        with result.noting(one.wanted.name):
            try:
                _look(client, one, table)
            except VolumeError as error:
                raise VolumeError(f"{error}{_NOTHING}") from error
            looked.append(one)
    _plan(client, looked, settings, result)
    _do(client, looked, _by_device(known), settings, result)
    return result


def _do(
    client: Client, looked: Sequence[_One], shown: Mapping[str, Sequence[str]], settings: Settings, result: Result
) -> None:
    """Do what is planned for each: first remove those whose directory another one is to get. ``shown`` are the names
    of the present volumes by the directory that they show."""
    all_of = {
        one.wanted.name: _Doing(client, one, one.plan, settings, result) for one in looked if one.plan is not None
    }
    failed = set()

    def attempt(name: str, action: Callable[[], None]) -> None:
        with result.noting(name):
            failed.add(name)
            action()
            failed.discard(name)

    in_the_way = {name: _in_the_way(doing.one, shown) for name, doing in all_of.items()}
    for name in dict.fromkeys(other for others in in_the_way.values() for other in others):
        if name in all_of:
            attempt(name, all_of[name].removal)
    for name, doing in all_of.items():
        if name in failed:
            continue
        staying = [
            other for other in in_the_way[name] if other not in all_of or REMOVE not in all_of[other].one.laid.actions
        ]
        with result.noting(name):
            _require_own_device(doing.one, staying)
            doing.all()


def _known(client: Client, wanted: Sequence[Desired]) -> dict[str, dict[str, Any]]:
    """The volumes that there are. Where one hangs that isn't among those that are wanted, only these.

    Some that a plugin doesn't list it knows by name.
    """
    try:
        known = client.volumes()
    except NoAnswerError:
        known = client.volumes([one.name for one in wanted])
    missing = [one for one in wanted if one.name not in known]
    asked = [one for one in missing if one.driver != "local"]
    gone = [one for one in missing if not one.present and one.driver == "local"]
    if gone and client.volume_drivers().keys() - {"local"}:
        asked += gone
    for one in asked:
        listed = client.volume(one.name)
        if listed:
            known[one.name] = listed
    return known


def _by_device(known: Mapping[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The names of the volumes by the directory that they show."""
    found: dict[str, list[str]] = {}
    for volume in map(Volume.from_api, known.values()):
        device = volume.options.get("device", "")
        if device and volumes.is_bind(volume.driver, volume.options):
            found.setdefault(os.path.normpath(device), []).append(volume.name)
    return found


def _in_the_way(one: _One, shown: Mapping[str, Sequence[str]]) -> list[str]:
    """The other volumes that show the directory on which one is to be created."""
    if one.plan is None or CREATE not in one.plan.actions:
        return []
    return [name for name in shown.get(one.wanted.device or "", ()) if name != one.wanted.name]


def _require_own_device(one: _One, staying: Sequence[str]) -> None:
    """Raise VolumeError if a volume is to be created on a directory that others show, and go on to."""
    if staying:
        raise VolumeError(
            f"its device {one.wanted.device} is that of volume {staying[0]}, which stays: give it another one, or have "
            f"that volume removed{_NOTHING}"
        )


def _look(client: Client, one: _One, table: Sequence[str]) -> None:
    """Look at the directory that a volume is to show, or at the root of a plain one, if that matters."""
    wanted = one.wanted
    if not wanted.present:
        return
    one.ownership = Ownership.resolve(wanted.owner, wanted.group, wanted.mode)
    if wanted.kind == kinds.BLOCK:
        _require_block_device(wanted.options["device"])
    if wanted.device is not None:
        one.points = directories.mount_points(wanted.device, wanted.require_mounted, table)
        look = partial(directories.look, wanted.device, one.points)
        one.root = patience.within(client.connection.timeout, look)
        one.laid.path = wanted.device
    elif wanted.kind == kinds.PLAIN and one.volume is not None:
        one.laid.path = one.volume.mountpoint
        if wanted.root_asked and kinds.kind(one.volume.driver, one.volume.options) == kinds.PLAIN:
            one.root = directories.look_at_own(one.volume.mountpoint)
    one.laid.before = one.laid.after = planning.shown(one.volume, one.root)


def _require_block_device(path: str) -> None:
    if path.startswith("/dev/") and not (os.path.exists(path) and stat.S_ISBLK(os.stat(path).st_mode)):
        raise VolumeError(f"its device {path} isn't a block device of this host; plug it in")


def _plan(client: Client, looked: Sequence[_One], settings: Settings, result: Result) -> None:
    """Decide what is to be done about each of them. Those that may go are looked into."""
    going = [one for one in looked if planning.goes(one.wanted, one.volume, settings.policy)]
    containers = client.all_containers() if going else []
    services, blind = services_of(client, client.information().get("Swarm") or {}) if going else ([], None)
    if blind:
        result.warnings.append(f"{blind}; see that none uses the volumes that are removed")
    users = {one.wanted.name: _users(one.volume, containers, services) for one in going if one.volume}
    inside = [
        one.volume
        for one in going
        if one.volume and not users[one.wanted.name] and planning.must_look_inside(one.wanted, one.volume)
    ]
    holds: dict[str, tuple[str | None, str]] = {}
    if inside:
        with mounts.reach(client, inside, settings.helper_image) as places:
            holds = {volume.name: _holds(client, volume, places) for volume in inside}
        result.warnings += places.notes
    for one in looked:
        name = one.wanted.name
        held, why = holds.get(name, (None, "it wasn't looked into"))
        found = Found(one.volume, one.root, users.get(name, ()), held, why)
        one.laid.drift = planning.differences(one.wanted, found)
        with result.noting(name):
            one.plan = planning.plan(one.wanted, one.ownership, found, settings.policy)
            one.laid.drift = one.plan.drift
            result.warnings += one.plan.warnings


def _users(volume: Volume, containers: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]) -> list[str]:
    """The containers in any state that have the volume, by its name or by the path that Docker has it at, and a swarm's
    services, which may have none just now."""
    # not its device: other volumes and containers may show that, and it stays
    without = Volume(volume.name, volume.driver, {}, {}, volume.scope, volume.mountpoint)
    serving = references(Snapshot("", {volume.name: without}, containers=(), services=services))
    return sorted(grouping.name_of(one) for one in containers if grouping.refers(one, without)) + [
        str(one) for one in serving.get(volume.name, ()) if one.kind == "service"
    ]


def _holds(client: Client, volume: Volume, places: mounts.Places) -> tuple[str | None, str]:
    """Whether a volume is empty or holds data, or None and why that isn't known."""
    try:
        path = places.path(volume.name)
        entries = patience.within(client.connection.timeout, partial(roots.contents, path))
    except (DrydockError, OSError) as error:
        return None, str(error)
    return (planning.DATA if entries else planning.EMPTY), ""


class _Doing:
    """What is planned for one volume, done one after the other; in check mode, only noted as done."""

    def __init__(self, client: Client, one: _One, plan: Plan, settings: Settings, result: Result) -> None:
        self.one = one
        self._client = client
        self._plan = plan
        self._settings = settings
        self._result = result

    def removal(self) -> None:
        """Do what there is to do up to the volume's removal, if it is to go. Raise DrydockError that says what is
        left."""
        actions = self._plan.actions
        if REMOVE in actions:
            self._through(actions[: actions.index(REMOVE) + 1])

    def all(self) -> None:
        """Do all that isn't done yet. Raise DrydockError that says what is left."""
        one = self.one
        self._through(self._plan.actions[len(one.laid.actions) :])
        one.laid.after = planning.after(one.wanted, one.ownership, one.found, self._plan)

    def _through(self, actions: Sequence[str]) -> None:
        laid = self.one.laid
        steps = {BACK_UP: self._back_up, REMOVE: self._remove, MAKE: self._make, CREATE: self._create, GIVE: self._give}
        for action in actions:
            try:
                steps[action]()
            except DrydockError as error:
                left = "" if "; nothing was " in str(error) and not laid.changed else self._left()
                raise VolumeError(f"{error}{left}") from error
            laid.actions.append(action)
            points.reached(f"layout {action}")

    def _left(self) -> str:
        """What was done of it, for an error."""
        laid = self.one.laid
        if not laid.changed:
            return _NOTHING if laid.backup is None else f"; its backup {laid.backup['path']} is kept"
        done = f"; done before that: {', '.join(laid.actions)}"
        if REMOVE in laid.actions and CREATE not in laid.actions:
            done += "; the volume isn't there now"
            where = (laid.backup or {}).get("path") or self._plan.kept
            done += f", what it held is in {where}" if where else ""
        return done

    def _back_up(self) -> None:
        settings, name = self._settings, self.one.wanted.name
        if settings.safety is None:
            raise VolumeError("there is no repository to back it up to; give backup_to; nothing was changed")
        self.one.laid.backup, warnings = settings.safety.take(
            self._client, name, settings.limits, settings.helper_image
        )
        self._result.warnings += [warning for warning in warnings if warning not in self._result.warnings]

    def _remove(self) -> None:
        if not self._settings.check:
            self._client.remove_volume(self.one.wanted.name)
        laid = self.one.laid
        laid.present, laid.kept, laid.after = False, self._plan.kept, planning.shown(None, None)

    def _make(self) -> None:
        if not self._settings.check:
            directories.make(str(self.one.wanted.device), self.one.points, self.one.ownership)

    def _create(self) -> None:
        one, wanted = self.one, self.one.wanted
        if not self._settings.check:
            made = self._client.create_volume(
                wanted.name, wanted.driver, dict(wanted.options), dict(wanted.labels or {})
            )
            one.volume = Volume.from_api(made)
            if wanted.kind == kinds.PLAIN:
                one.laid.path = one.volume.mountpoint
        one.laid.present = True

    def _give(self) -> None:
        one = self.one
        if self._settings.check:
            return
        if one.wanted.device is not None:
            directories.give(one.wanted.device, one.points, one.ownership)
        elif one.volume is not None:
            directories.give_own(one.volume.mountpoint, one.ownership)
