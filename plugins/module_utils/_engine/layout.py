# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Lay the volumes of a host out: look at all of them, decide with plan.plan, have it done (laying)."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from . import directories, drivers, fstab, grouping, kinds, laying, mounts, patience, roots, volumes
from . import plan as planning
from .client import Client
from .desired import Desired, require_consistent
from .directories import Ownership
from .errors import DrydockError, NoAnswerError, VolumeError
from .laid import NOTHING, Laid, One, Result, Settings
from .plan import Found
from .references import references
from .snapshot import Snapshot, services_of
from .volumes import Volume


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
        ones.append(One(desired, laid, volume))
        result.volumes.append(laid)
    looked = []
    for one in ones:
        with result.noting(one.wanted.name):
            try:
                _look(client, one, table)
            except VolumeError as error:
                raise VolumeError(f"{error}{NOTHING}") from error
            looked.append(one)
    _plan(client, looked, settings, result)
    laying.lay(client, looked, known, settings, result)
    return result


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


def _look(client: Client, one: One, table: Sequence[str]) -> None:
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


def _plan(client: Client, looked: Sequence[One], settings: Settings, result: Result) -> None:
    """Decide what is to be done about each of them. Those that may go are looked into."""
    going = [one for one in looked if planning.goes(one.wanted, one.volume, settings.policy)]
    containers = client.all_containers() if going else []
    services, blind = services_of(client, client.information().get("Swarm") or {}) if going else ([], None)
    if blind:
        result.warnings.append(f"{blind}; see that none uses the volumes that are removed")
    users = _users([one.volume for one in going if one.volume], containers, services)
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


def _users(
    going: Sequence[Volume], containers: Sequence[Mapping[str, Any]], services: Sequence[Mapping[str, Any]]
) -> dict[str, list[str]]:
    """By volume, the containers in any state that have it, by its name or by the path that Docker has it at, and the
    services of a swarm, which may have none just now."""
    # not its device: other volumes and containers may show that, and it stays
    without = {one.name: Volume(one.name, one.driver, {}, {}, one.scope, one.mountpoint) for one in going}
    serving = references(Snapshot("", without, containers=(), services=services))
    return {
        name: sorted(grouping.name_of(one) for one in containers if grouping.refers(one, volume))
        + [str(one) for one in serving.get(name, ()) if one.kind == "service"]
        for name, volume in without.items()
    }


def _holds(client: Client, volume: Volume, places: mounts.Places) -> tuple[str | None, str]:
    """Whether a volume is empty or holds data, or None and why that isn't known."""
    try:
        path = places.path(volume.name)
        entries = patience.within(client.connection.timeout, partial(roots.contents, path))
    except (DrydockError, OSError) as error:
        return None, str(error)
    return (planning.DATA if entries else planning.EMPTY), ""
