# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Do what is planned for volumes.

One that is to have the directory of another one that goes is made after that one is gone.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

from . import directories, kinds, points, termination, volumes
from . import plan as planning
from .client import Client
from .errors import DrydockError, VolumeError
from .laid import NOTHING, One, Result, Settings
from .plan import BACK_UP, CREATE, GIVE, MAKE, REMOVE, Plan
from .termination import deferred
from .volumes import Volume


def lay(
    client: Client, looked: Sequence[One], known: Mapping[str, dict[str, Any]], settings: Settings, result: Result
) -> None:
    """Do what is planned for each, and note what goes wrong. ``known`` are the volumes that there were. Those whose
    directory another one is to get are removed first."""
    shown = _by_device(known)
    all_of = {
        one.wanted.name: _Doing(client, one, one.plan, settings, result) for one in looked if one.plan is not None
    }
    in_the_way = {name: _in_the_way(doing.one, shown) for name, doing in all_of.items()}
    try:
        _lay(all_of, in_the_way, result)
    except BaseException as error:
        done = [f"volume {name}: {doing.done()}" for name, doing in all_of.items() if doing.one.laid.actions]
        if done and not settings.check and not isinstance(error, Exception):
            termination.but(error, f"this was done before that: {'; '.join(done)}; the next run goes on from there")
        raise


def _lay(all_of: Mapping[str, _Doing], in_the_way: Mapping[str, Sequence[str]], result: Result) -> None:
    blocked = _blocked(all_of, in_the_way)
    for name in dict.fromkeys(other for others in in_the_way.values() for other in others):
        if name in all_of and name not in blocked:
            with result.noting(name):
                all_of[name].removal()
    failed = {failure["volume"] for failure in result.failures}
    for name, doing in all_of.items():
        if name in failed:
            continue
        staying = [other for other in in_the_way[name] if other not in all_of or not all_of[other].gone]
        with result.noting(name):
            doing.all(staying[0] if staying else None)


def _blocked(all_of: Mapping[str, _Doing], in_the_way: Mapping[str, Sequence[str]]) -> set[str]:
    """The volumes on whose directory another one stays. They can't be made, so they aren't removed either, and then
    they stay in the way of others."""
    blocked: set[str] = set()
    while True:
        going = {name for name, doing in all_of.items() if doing.goes} - blocked
        found = {name for name, others in in_the_way.items() if not going.issuperset(others)} - blocked
        if not found:
            return blocked
        blocked |= found


def _by_device(known: Mapping[str, dict[str, Any]]) -> dict[str, list[str]]:
    """The names of the volumes by the directory that they show."""
    found: dict[str, list[str]] = {}
    for volume in map(Volume.from_api, known.values()):
        device = volume.options.get("device", "")
        if device and volumes.is_bind(volume.driver, volume.options):
            found.setdefault(os.path.normpath(device), []).append(volume.name)
    return found


def _in_the_way(one: One, shown: Mapping[str, Sequence[str]]) -> list[str]:
    """The other volumes that show the directory on which one is to be created."""
    if one.plan is None or CREATE not in one.plan.actions:
        return []
    return [name for name in shown.get(one.wanted.device or "", ()) if name != one.wanted.name]


class _Doing:
    """What is planned for one volume, done one after the other; in check mode, only noted as done."""

    def __init__(self, client: Client, one: One, plan: Plan, settings: Settings, result: Result) -> None:
        self.one = one
        self._client = client
        self._plan = plan
        self._settings = settings
        self._result = result

    @property
    def goes(self) -> bool:
        """Whether the volume that there is, is to be removed."""
        return REMOVE in self._plan.actions

    @property
    def gone(self) -> bool:
        """Whether it was."""
        return REMOVE in self.one.laid.actions

    def removal(self) -> None:
        """Do what there is to do up to the volume's removal, if it is to go. Raise DrydockError that says what is
        left."""
        actions = self._plan.actions
        if self.goes:
            self._through(actions[: actions.index(REMOVE) + 1])

    def all(self, staying: str | None) -> None:
        """Do all that isn't done yet, unless another volume is ``staying`` on its directory. Raise DrydockError that
        says what is left."""
        one = self.one
        if staying is not None:
            raise VolumeError(
                f"its device {one.wanted.device} is that of volume {staying}, which stays: give it another one, or "
                f"have that volume removed{self._left()}"
            )
        self._through(self._plan.actions[len(one.laid.actions) :])
        one.laid.after = planning.after(one.wanted, one.ownership, one.found, self._plan)

    def _through(self, actions: Sequence[str]) -> None:
        laid = self.one.laid
        steps = {BACK_UP: self._back_up, REMOVE: self._remove, MAKE: self._make, CREATE: self._create, GIVE: self._give}
        for action in actions:
            # a signal waits, so that what is said to be done is so; only a backup takes long, and undoes itself
            with contextlib.nullcontext() if action == BACK_UP else deferred():
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
            return NOTHING if laid.backup is None else f"; its backup {laid.backup['path']} is kept"
        return f"; done before that: {self.done()}"

    def done(self) -> str:
        """What was done of it, and where what it held is if it isn't there."""
        laid = self.one.laid
        done = ", ".join(laid.actions)
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
