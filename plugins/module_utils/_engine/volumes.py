# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes as the daemon tells of them, and where their files are on this host."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .client import Client
from .errors import REDACTED, UsageError, VolumeError, redact

_SECRET = re.compile("pass|secret|token|credential|key", re.IGNORECASE)


@dataclass(frozen=True)
class Volume:
    """A volume. ``mountpoint`` is where the daemon says that its files are, which is not always where they are."""

    name: str
    driver: str
    options: Mapping[str, str]
    labels: Mapping[str, str]
    scope: str
    mountpoint: str

    @classmethod
    def from_api(cls, answer: dict[str, Any]) -> Volume:
        """Read the API's JSON, in which what is empty may be null or absent."""
        return cls(
            name=answer["Name"],
            driver=answer["Driver"],
            options=answer.get("Options") or {},
            labels=answer.get("Labels") or {},
            scope=answer.get("Scope") or "local",
            mountpoint=answer.get("Mountpoint") or "",
        )

    def description(self) -> dict[str, Any]:
        """What a manifest records, enough to create the volume again."""
        return {
            "name": self.name,
            "driver": self.driver,
            "options": {key: redacted(key, value) for key, value in self.options.items()},
            "labels": dict(self.labels),
            "scope": self.scope,
        }


def redacted(key: str, value: str) -> str:
    """An option as a manifest may show it: passwords are replaced, those among mount options too."""
    return REDACTED if _SECRET.search(key) else redact(value)


def find(known: Mapping[str, dict[str, Any]], name: str) -> Volume:
    """The volume ``name`` out of what the daemon listed. Raise VolumeError, with near names, if there is none."""
    if name in known:
        return Volume.from_api(known[name])
    near = difflib.get_close_matches(name, known, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "docker volume ls shows those there are"
    raise VolumeError(f"volume {name} doesn't exist on this host; {hint}")


def require_local(client: Client) -> None:
    """Raise UsageError unless the daemon is this host's own: bytes are read and written on the host itself."""
    if not client.connection.local:
        raise UsageError(
            f"docker_host is {client.connection.docker_host}: volumes' files are read and written on the Docker host "
            "itself; run this task on that host, and leave docker_host at its default there"
        )


def is_bind(driver: str, options: Mapping[str, str]) -> bool:
    """Whether a volume is a directory of the host under another name (``type=none,o=bind,device=/path``)."""
    return driver == "local" and bool({"bind", "rbind"} & set(options.get("o", "").split(",")))


def direct(volume: Volume) -> str | None:
    """The directory of this host that holds the volume's files also while no container uses it.

    None for a volume that must be mounted first: its mount point is an empty directory otherwise. Raise VolumeError
    where the directory isn't there.
    """
    if os.geteuid() != 0:
        raise VolumeError(f"volume {volume.name}: its files can be read by root only; set become: true")
    if is_bind(volume.driver, volume.options):
        path, origin, hint = volume.options.get("device", ""), "its device", "mount or create it"
    elif volume.driver == "local" and not {"type", "device"} & volume.options.keys():
        path, origin, hint = volume.mountpoint, "its mount point", "run this on the Docker host itself"
    else:
        return None
    if not os.path.isabs(path) or not os.path.isdir(path):
        raise VolumeError(f"volume {volume.name}: {origin} {path!r} is not a directory on this host; {hint}")
    return path
