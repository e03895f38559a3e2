# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Storage classes: an inventory says ``ssd``, and gets the driver, the options and the directory for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from . import desired
from .errors import UsageError

#: The kinds that there are, each of which is also a class of its own name where nobody has made another of it.
KINDS = ("plain", "ssd", "nfs", "tmpfs", "cifs", "block", "plugin")

#: What NFS volumes have unless told otherwise: see nfs(5) for what soft and old versions cost.
NFS_OPTIONS = "rw,nfsvers=4.2,hard,noatime"
TMPFS_OPTIONS = "nosuid,nodev"

# What a volume may have beside what its kind takes; docker_volume_layout takes it as it is.
_COMMON = ("name", "state", "labels", "owner", "group", "mode")
_TAKES = {
    "plain": (),
    "ssd": ("path", "subpath"),
    "nfs": ("server", "export", "subpath", "options"),
    "tmpfs": ("size", "options"),
    "cifs": ("path", "subpath"),
    "block": ("device", "fstype", "options"),
    "plugin": ("driver", "driver_options"),
}
_NEEDS = {
    "ssd": ("path",),
    "nfs": ("server", "export"),
    "tmpfs": ("size",),
    "cifs": ("path",),
    "block": ("device", "fstype"),
    "plugin": ("driver",),
}
_SUBPATH = re.compile(r"[^/\s,]+(/[^/\s,]+)*")


def expand(volume: Mapping[str, Any], classes: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, Any]:
    """A volume with a ``storage_class`` as docker_volume_layout takes it; one without as it is.

    ``classes`` are those of the site by name, each with its ``kind`` and what that takes. What the volume has itself
    comes before what its class has. Raise UsageError for what is unknown, missing or too much.
    """
    if volume.get("storage_class") is None:
        return {key: value for key, value in volume.items() if key != "storage_class"}
    name, chosen = volume.get("name"), str(volume["storage_class"])
    what = f"volume {name}, storage class {chosen}"
    known = dict(classes or {})
    if chosen not in known and chosen not in KINDS:
        there = ", ".join(sorted({*known, *KINDS}))
        raise UsageError(f"{what}: there is no such class; there are {there}")
    of_class = {key: value for key, value in known.get(chosen, {}).items() if key != "kind"}
    kind = known.get(chosen, {}).get("kind", chosen)
    if kind not in KINDS:
        raise UsageError(f"{what}: its kind is {kind!r}; kinds are {', '.join(KINDS)}")
    own = {key: value for key, value in volume.items() if key != "storage_class" and value is not None}
    given = {**of_class, **own}
    odd = sorted(given.keys() - {*_COMMON, *_TAKES[kind]})
    if odd:
        takes = ", ".join(_TAKES[kind]) or "nothing more"
        raise UsageError(f"{what}: {', '.join(odd)} isn't for the kind {kind}, which takes {takes}")
    common = {key: value for key, value in given.items() if key in _COMMON}
    if own.get("state") == "absent":
        return common
    missing = [key for key in _NEEDS.get(kind, ()) if not given.get(key)]
    if missing:
        raise UsageError(f"{what}: {', '.join(missing)} is missing; give it to the class, or to the volume")
    if "subpath" in given:
        given["subpath"] = subpath = str(given["subpath"])  # YAML makes numbers of years
        if not _SUBPATH.fullmatch(subpath) or ".." in subpath.split("/"):
            raise UsageError(f"{what}: subpath is {subpath!r}; give a relative path without '..'")
    return _MADE[kind](common, given)


def _plain(common: dict[str, Any], _given: Mapping[str, Any]) -> dict[str, Any]:
    return common


def _directory(common: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A directory on a disk or share that is mounted on the host."""
    path = given["path"].rstrip("/")
    return {**common, "device_path": f"{path}/{given.get('subpath', given['name'])}", "require_mounted": path or "/"}


def _nfs(common: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    export = given["export"].rstrip("/")
    if "subpath" in given:
        export = f"{export}/{given['subpath']}"
    options = given.get("options", NFS_OPTIONS)
    return _local(common, "nfs", f":{export or '/'}", f"addr={given['server']},{options}")


def _tmpfs(common: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Owner, group and mode are mount options here."""
    options = [given.get("options", TMPFS_OPTIONS), f"size={given['size']}"]
    for key, option in (("mode", "mode"), ("owner", "uid"), ("group", "gid")):
        if key in given:
            options.append(f"{option}={given[key]}")
    desired.mode(given["name"], given.get("mode"))
    rest = {key: value for key, value in common.items() if key not in ("owner", "group", "mode")}
    return _local(rest, "tmpfs", "tmpfs", ",".join(option for option in options if option))


def _block(common: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return _local(common, given["fstype"], given["device"], given.get("options", ""))


def _plugin(common: dict[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    return {**common, "driver": given["driver"], "driver_options": dict(given.get("driver_options") or {})}


def _local(common: dict[str, Any], kind: str, device: str, options: str) -> dict[str, Any]:
    made = {"type": kind, "device": device, **({"o": options} if options else {})}
    return {**common, "driver_options": made}


_MADE: dict[str, Callable[[dict[str, Any], Mapping[str, Any]], dict[str, Any]]] = {
    "plain": _plain,
    "ssd": _directory,
    "nfs": _nfs,
    "tmpfs": _tmpfs,
    "cifs": _directory,
    "block": _block,
    "plugin": _plugin,
}
