# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done about one volume, out of what is wanted and what is there. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from . import directories, drift, kinds
from .desired import Desired
from .directories import Ownership, Root
from .drift import Drift
from .errors import VolumeError
from .volumes import Volume

BACK_UP, REMOVE, MAKE, CREATE, GIVE = "back up", "remove", "make directory", "create", "set owner and mode"

#: What a volume holds.
EMPTY, DATA = "empty", "data"


@dataclass(frozen=True)
class Policy:
    """What is done about drift (``on_drift`` fail, warn or recreate), whether volumes with data may be recreated or
    removed, and whether what would be lost with them is backed up first."""

    on_drift: str = "fail"
    recreate_with_data: bool = False
    remove_with_data: bool = False
    backup: bool = False


@dataclass(frozen=True)
class Found:
    """What is there: the ``volume`` or None; the ``root`` of the volume as it is to be, or None if there is no such
    directory; the containers and services that refer to it; and what the volume ``holds``, None if that isn't known,
    and then ``why``."""

    volume: Volume | None = None
    root: Root | None = None
    users: Sequence[str] = ()
    holds: str | None = None
    why: str = ""


@dataclass
class Plan:
    """The ``actions``, in their order; how the volume differs; what is worth a warning; where the data still is."""

    actions: list[str] = field(default_factory=list)
    drift: Drift = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    kept: str | None = None


def differences(wanted: Desired, found: Found) -> Drift:
    """In what an existing volume isn't as it is wanted, as Docker knows it."""
    return drift.drift(wanted, found.volume) if wanted.present and found.volume else {}


def goes(wanted: Desired, volume: Volume | None, policy: Policy) -> bool:
    """Whether a volume is to be removed, for good or to be made anew, so that its users must be known."""
    if volume is None:
        return False
    if not wanted.present:
        return True
    return policy.on_drift == "recreate" and bool(drift.drift(wanted, volume))


def must_look_inside(wanted: Desired, volume: Volume) -> bool:
    """Whether what a volume holds decides about its removal."""
    if wanted.present:
        return drift.moves(wanted, volume)
    return kinds.kind(volume.driver, volume.options) not in (*kinds.ELSEWHERE, kinds.TMPFS)


def plan(wanted: Desired, ownership: Ownership, found: Found, policy: Policy) -> Plan:
    """Decide. Raise VolumeError for what is refused; its text begins with the volume's name and says what to do."""
    made = Plan()
    if not wanted.present:
        if found.volume is not None:
            _remove(wanted, found.volume, found, policy, made)
        return made
    made.drift = differences(wanted, found)
    if found.volume is not None and made.drift:
        _drifted(wanted, found.volume, found, policy, made)
        if not made.actions and drift.displaced(wanted, found.volume):
            return made  # its root isn't the one that is wanted, and it stays so
    creates = found.volume is None or REMOVE in made.actions
    if wanted.kind == kinds.BIND:
        shows = found.volume is not None and not drift.displaced(wanted, found.volume)
        _directory(wanted, ownership, found, policy, made, shows=shows)
    if creates:
        made.actions.append(CREATE)
    if wanted.kind == kinds.PLAIN and wanted.root_asked:
        if creates:
            made.actions.append(GIVE)
        elif found.root is not None:
            _ownership(wanted, ownership, found.root, policy, made)
    return made


def _remove(wanted: Desired, volume: Volume, found: Found, policy: Policy, made: Plan) -> None:
    _require_unused(wanted, found, "removed")
    made.kept = kinds.where(volume.driver, volume.options)
    if must_look_inside(wanted, volume) and found.holds != EMPTY:
        if policy.backup:
            made.actions.append(BACK_UP)
        elif not policy.remove_with_data:
            raise VolumeError(
                f"volume {wanted.name} {_holding(found)}, which would be lost with it; give backup_to, so that it is "
                "backed up first, or remove_with_data: true; nothing was changed"
            )
    made.actions.append(REMOVE)


def _drifted(wanted: Desired, volume: Volume, found: Found, policy: Policy, made: Plan) -> None:
    told = f"volume {wanted.name} exists, and isn't as it should be: {drift.told(made.drift)}"
    if policy.on_drift == "warn":
        made.warnings.append(f"{told}; it is left as it is")
        return
    if policy.on_drift != "recreate":
        raise VolumeError(
            f"{told}; Docker can't change that: change the task so that it fits, or have the volume made anew with "
            "on_drift: recreate; nothing was changed"
        )
    _require_unused(wanted, found, "recreated")
    made.kept = kinds.where(volume.driver, volume.options)
    if must_look_inside(wanted, volume) and found.holds != EMPTY:
        if not policy.recreate_with_data:
            stays = f"stay at {made.kept}" if made.kept else "be lost"
            raise VolumeError(
                f"{told}; it {_holding(found)}, which would {stays} when it is recreated; if the new one is to be "
                "without, give recreate_with_data: true and backup_to; nothing was changed"
            )
        if made.kept is None:
            made.actions.append(BACK_UP)
    made.actions.append(REMOVE)


def _directory(wanted: Desired, ownership: Ownership, found: Found, policy: Policy, made: Plan, *, shows: bool) -> None:
    """The directory that a bind volume is to show; whether the present volume ``shows`` the same one."""
    if found.root is not None:
        _ownership(wanted, ownership, found.root, policy, made)
        return
    if wanted.device_path is None:
        raise VolumeError(
            f"volume {wanted.name}: its device {wanted.device} isn't there; mount or make it, or have it made with "
            "device_path; nothing was changed"
        )
    if shows:
        raise VolumeError(
            f"volume {wanted.name} exists, and its device {wanted.device} isn't there: a disk isn't mounted, or "
            "somebody removed the directory; mount the disk, or restore the directory, or make an empty one if that "
            "is what you want; nothing was changed"
        )
    made.actions.append(MAKE)


def _ownership(wanted: Desired, ownership: Ownership, root: Root, policy: Policy, made: Plan) -> None:
    """The owner, group and mode of a root that is there."""
    different = ownership.differences(root)
    if not different:
        return
    if not root.empty:
        made.drift.update(different)
        told = f"volume {wanted.name} holds data, and its root isn't as it should be: {drift.told(different)}"
        if policy.on_drift == "warn":
            made.warnings.append(f"{told}; it is left as it is")
            return
        if policy.on_drift != "recreate":
            raise VolumeError(
                f"{told}; its containers may rely on that: change the task so that it fits, or have it set with "
                "on_drift: recreate, which leaves the data as it is; nothing was changed"
            )
    made.actions.append(GIVE)


def _require_unused(wanted: Desired, found: Found, done: str) -> None:
    if found.users:
        raise VolumeError(
            f"volume {wanted.name} isn't {done}: containers or services refer to it ({', '.join(found.users)}), "
            "running or not; remove them first; nothing was changed"
        )


def _holding(found: Found) -> str:
    return "holds data" if found.holds == DATA else f"holds what nobody could see ({found.why})"


def after(wanted: Desired, ownership: Ownership, found: Found, made: Plan) -> dict[str, Any]:
    """What the volume is like when all actions are done, for a diff."""
    if REMOVE in made.actions and CREATE not in made.actions:
        return {"exists": False}
    volume = found.volume
    if CREATE in made.actions or volume is None:
        volume = Volume(wanted.name, wanted.driver, wanted.options, wanted.labels or {}, "local", "")
    root = found.root
    if GIVE in made.actions or MAKE in made.actions or root is None:
        there = root or Root(0, 0, directories.MODE, empty=True)
        root = Root(
            there.owner if ownership.owner is None else ownership.owner,
            there.group if ownership.group is None else ownership.group,
            there.mode if ownership.mode is None else ownership.mode,
            there.empty,
        )
    tells = wanted.kind == kinds.BIND or (wanted.kind == kinds.PLAIN and wanted.root_asked)
    return shown(volume, root if tells else None)


def shown(volume: Volume | None, root: Root | None) -> dict[str, Any]:
    """A volume and its root, for a diff."""
    facts: dict[str, Any] = {"exists": volume is not None}
    if volume is not None:
        told = volume.description()
        facts.update({key: told[key] for key in ("driver", "options", "labels")})
    if root is not None:
        facts.update(owner=root.owner, group=root.group, mode=directories.octal(root.mode))
    return facts
