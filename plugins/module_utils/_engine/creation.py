# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume that is to be made for a tree: what it is to be like, and whether it can be had so."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from . import roots, volumes
from .client import Client
from .errors import REDACTED, DrydockError, VolumeError


def planned(
    name: str,
    like: Mapping[str, Any],
    driver: str | None,
    options: Mapping[str, str] | None,
    labels: Mapping[str, str] | None,
) -> dict[str, Any]:
    """The volume to create, as the daemon would show it: as ``like`` says (``driver``, ``options``, ``labels``), but
    for what isn't None here."""
    own = driver is not None or options is not None
    return {
        "Name": name,
        "Driver": (driver or "local") if own else like["driver"],
        "Options": dict((options if own else like["options"]) or {}),
        "Labels": dict(like["labels"] if labels is None else labels),
    }


def require_same(volume: volumes.Volume, driver: str | None, options: Mapping[str, str] | None) -> None:
    """Raise VolumeError if a volume exists with another driver or other options than those that are asked for."""
    wanted = {"driver": driver, "driver_options": options}
    present = {"driver": volume.driver, "driver_options": volume.options}
    for key, value in wanted.items():
        if value is not None and value != present[key]:
            raise VolumeError(
                f"volume {volume.name} exists, and its {key} is {_shown(present[key])}, not {_shown(value)}; remove "
                f"it, or leave {key} out; nothing was changed"
            )


def _shown(value: Any) -> Any:
    return value if isinstance(value, str) else {key: volumes.redacted(key, text) for key, text in value.items()}


def require_possible(client: Client, volume: Mapping[str, Any]) -> None:
    """Raise VolumeError if a volume can't be made here, or not without harm."""
    target, options = volume["Name"], volume["Options"]
    if any(REDACTED in value for value in options.values()):
        raise VolumeError(
            f"volume {target} doesn't exist, and the backup doesn't record the passwords in its driver options; give "
            "driver_options, or create the volume first; nothing was changed"
        )
    if not volumes.is_bind(volume["Driver"], options):
        return
    path = volumes.direct(volumes.Volume.from_api(dict(volume)))
    for other in map(volumes.Volume.from_api, client.volumes().values()):
        if volumes.is_bind(other.driver, other.options) and other.options.get("device") == path:
            raise VolumeError(
                f"volume {target} can't be created as it was: its device {path} belongs to volume {other.name}; create "
                f"{target} with a device of its own first; nothing was changed"
            )
    roots.require_empty(str(path), target)


def undoing(client: Client, name: str) -> Callable[..., None]:
    """An exit of a context that removes the volume if the context failed."""

    def leave(_kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        try:
            listed = client.volume(name)
            path = volumes.direct(volumes.Volume.from_api(listed)) if listed else ""
            if path is None or (path and not os.listdir(path)):  # what has files by now isn't what was made here
                client.remove_volume(name)
        except (DrydockError, OSError) as second:
            raise VolumeError(f"{error}; and volume {name}, made for it, can't be removed: {second}") from error

    return leave
