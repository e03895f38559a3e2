# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make volumes' files reachable on this host, for as long as they are needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field

from . import holder, mountinfo, volumes
from .client import Client
from .errors import DaemonError, DrydockError, VolumeError


@dataclass
class Places:
    """Where volumes' files are, by the volumes' names, and why those that aren't in it can't be reached."""

    paths: dict[str, str] = field(default_factory=dict)
    errors: dict[str, DrydockError] = field(default_factory=dict)

    def path(self, name: str) -> str:
        """The directory with the files of the volume ``name``. Raise the error that kept it from being reached."""
        if name in self.errors:
            raise self.errors[name]
        return self.paths[name]


@contextlib.contextmanager
def reach(client: Client, wanted: Sequence[volumes.Volume], helper_image: str | None = None) -> Iterator[Places]:
    """Make the files of these volumes reachable for the time of the context.

    Plain volumes and bind volumes are directories of the host. All others are held mounted by one mount holder, also
    those that are mounted now, because their last container may end meanwhile. Where the daemon refuses them together,
    each is tried alone, so that one that can't be mounted doesn't stand in the way of the others.
    """
    places = Places()
    held = []
    for volume in wanted:
        try:
            path = volumes.direct(volume)
        except VolumeError as error:
            places.errors[volume.name] = error
            continue
        if path is None:
            held.append(volume)
        else:
            places.paths[volume.name] = path
    with contextlib.ExitStack() as stack:
        if held:
            holder.sweep(client)
            mounted = _mount(client, held, helper_image, stack, places)
            _look(client, mounted, places)
        yield places


def _mount(
    client: Client,
    held: Sequence[volumes.Volume],
    image: str | None,
    stack: contextlib.ExitStack,
    places: Places,
) -> list[tuple[volumes.Volume, str]]:
    """Mount all of them, or those that can be mounted, and note the others' errors. Return each with the place where
    the holder has it."""
    try:
        theirs = stack.enter_context(holder.holding(client, [volume.name for volume in held], image))
    except DaemonError as error:
        if len(held) == 1:
            places.errors[held[0].name] = VolumeError(f"volume {held[0].name} can't be mounted: {error}")
            return []
        return [mounted for one in held for mounted in _mount(client, [one], image, stack, places)]
    return list(zip(held, theirs))


def _look(client: Client, mounted: Sequence[tuple[volumes.Volume, str]], places: Places) -> None:
    """Find where the daemon has mounted them, and see that it is a mount here."""
    if not mounted:
        return
    known, points = client.volumes(), mountinfo.mount_points()
    for volume, theirs in mounted:
        path = (known.get(volume.name) or {}).get("Mountpoint") or (client.volume(volume.name) or {}).get("Mountpoint")
        if path and _is_there(volume, path, theirs, points):
            places.paths[volume.name] = path
        else:
            places.errors[volume.name] = VolumeError(
                f"volume {volume.name}: Docker has mounted it at {path or '(nowhere)'}, but it isn't mounted there for "
                "this process; run this in the mount namespace of the Docker daemon"
            )


def _is_there(volume: volumes.Volume, path: str, theirs: str, points: Container[bytes]) -> bool:
    """Whether ``path`` shows here what the holder has at ``theirs``."""
    if volume.driver == "local":
        return os.fsencode(os.path.realpath(path)) in points
    try:
        return os.path.samestat(os.stat(path), os.stat(theirs))
    except OSError:
        return False
