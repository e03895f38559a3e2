# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The volumes that a host is to have, as they are asked for. Pure."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import kinds, names
from .errors import UsageError

_MODE = re.compile(r"[0-7]{3,4}")
# Of the names of volumes that Docker itself makes: moby, volume/local.
_SHORTEST = 2


@dataclass(frozen=True)
class Desired:
    """One volume. ``options`` are complete, with the device; ``labels`` None leaves those of an existing one alone.

    ``device_path`` is the directory to be made where it is missing. ``owner`` and ``group`` are names or numbers, and
    ``mode`` is a number; what is None is left as it is. ``require_mounted`` is a mount point.
    """

    name: str
    present: bool = True
    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] | None = None
    device_path: str | None = None
    owner: str | None = None
    group: str | None = None
    mode: int | None = None
    require_mounted: str | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Desired:
        """Read the options of docker_volume_layout. Raise UsageError for what doesn't fit together."""
        name = names.path_component("volume", given["name"])
        device_path = _path(name, "device_path", given.get("device_path"))
        require_mounted = _path(name, "require_mounted", given.get("require_mounted"))
        options = given.get("driver_options")
        if device_path is not None:
            if not options:
                options = {"type": "none", "o": "bind", "device": device_path}
            options = {"device": device_path, **options}
        made = cls(
            name=name,
            present=given.get("state") != "absent",
            driver=given.get("driver") or "local",
            options=dict(options or {}),
            labels=given.get("labels"),
            device_path=device_path,
            owner=given.get("owner"),
            group=given.get("group"),
            mode=mode(name, given.get("mode")),
            require_mounted=require_mounted,
        )
        if made.present:
            made._require_fitting()
        return made

    @property
    def kind(self) -> str:
        """Which kind of volume it is to be."""
        return kinds.kind(self.driver, self.options)

    @property
    def root_asked(self) -> bool:
        """Whether its root is to have a certain owner, group or mode."""
        return not (self.owner is None and self.group is None and self.mode is None)

    @property
    def device(self) -> str | None:
        """The directory that it shows, of a bind volume, if that is given."""
        device = self.options.get("device") if self.kind == kinds.BIND else None
        return os.path.normpath(device) if device else None

    def _require_fitting(self) -> None:
        if len(self.name) < _SHORTEST and self.driver == "local":
            raise UsageError(f"volume name {self.name!r} is too short for Docker, which wants {_SHORTEST} characters")
        if self.device_path is not None and self.device != self.device_path:
            raise UsageError(
                f"volume {self.name}: device_path is {self.device_path}, and the driver's options aren't those of a "
                "bind volume that shows it; leave driver_options out, or give type: none, o: bind and the same device"
            )
        if self.root_asked and self.kind not in (kinds.PLAIN, kinds.BIND):
            raise UsageError(
                f"volume {self.name}: owner, group and mode are for plain volumes and bind volumes; {_HOW[self.kind]}"
            )
        if self.require_mounted is not None and self.kind != kinds.BIND:
            raise UsageError(
                f"volume {self.name}: require_mounted is for bind volumes, and it has no directory to show"
            )
        if self.require_mounted and self.device and not within(self.device, self.require_mounted):
            raise UsageError(
                f"volume {self.name}: require_mounted is {self.require_mounted}, which isn't above its device "
                f"{self.device}"
            )


_HOW = {
    kinds.NFS: "an NFS volume has those of the export: set them on the server",
    kinds.TMPFS: "a tmpfs volume has them in o: uid=, gid= and mode=",
    kinds.CIFS: "a CIFS volume has them in o: uid=, gid= and dir_mode=",
    kinds.BLOCK: "set them in the file system, while it is mounted",
    kinds.OTHER: "set them in the file system, while it is mounted",
    kinds.PLUGIN: "a plugin has options of its own for that, if any",
}


def mode(name: str, given: object) -> int | None:
    """A mode out of octal digits. Raise UsageError for all else, also for a number: YAML may have read 0750 as 488."""
    if given is None:
        return None
    if not isinstance(given, str) or not _MODE.fullmatch(given):
        raise UsageError(f"volume {name}: mode is {given!r}; write octal digits in quotes, such as '0750'")
    return int(given, 8)


def within(path: str, folder: str) -> bool:
    """Whether ``path`` is ``folder`` or below it; both are normal absolute paths."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def require_consistent(wanted: Sequence[Desired]) -> list[str]:
    """Return warnings about all these volumes. Raise one UsageError that says all that is wrong with them."""
    errors: list[str] = []
    warnings: list[str] = []
    devices: dict[str, str] = {}
    seen: set[str] = set()
    for one in wanted:
        if one.name in seen:
            errors.append(f"volume {one.name} is there more than once")
        seen.add(one.name)
        if not one.present:
            continue
        wrong, odd = kinds.problems(one.driver, one.options)
        errors += [f"volume {one.name}: {what}" for what in wrong]
        warnings += [f"volume {one.name}: {what}" for what in odd]
        if not wrong and one.device is not None:
            other = devices.setdefault(one.device, one.name)
            if other != one.name:
                errors.append(f"volumes {other} and {one.name} both have the device {one.device}; give each its own")
    if errors:
        raise UsageError("; ".join(errors) + "; nothing was changed")
    return warnings


def _path(name: str, option: str, given: str | None) -> str | None:
    """A normal absolute path. Raise UsageError for another one, and for the root directory."""
    if given is None:
        return None
    if not os.path.isabs(given) or ".." in given.split("/") or "\0" in given:
        raise UsageError(f"volume {name}: {option} is {given!r}; give an absolute path without '..'")
    normal = os.path.normpath(f"/{given.lstrip('/')}")
    if normal == "/":
        raise UsageError(f"volume {name}: {option} is the root directory; give a directory of the volume's own")
    return normal
