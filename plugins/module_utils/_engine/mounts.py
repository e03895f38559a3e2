# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make volumes' files reachable on this host, for as long as they are needed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from . import holder, mountinfo, patience, volumes
from .client import Client
from .errors import DaemonError, DrydockError, VolumeError

_T = TypeVar("_T")


@dataclass
class Places:
    """Where volumes' files are, by the volumes' names, and why those that aren't in it can't be reached. ``notes`` say
    what else is worth knowing, once the context has ended too."""

    paths: dict[str, str] = field(default_factory=dict)
    errors: dict[str, DrydockError] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

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
    each is tried alone, so that one that can't be mounted doesn't stand in the way of the others. Nor does one that
    hangs: the daemon's timeout is also that of a look at a directory.
    """
    places = Places()
    held = []
    for volume in wanted:
        try:
            path = _within(client, volume, partial(volumes.direct, volume))
        except VolumeError as error:
            places.errors[volume.name] = error
            continue
        if path is None:
            held.append(volume)
        else:
            places.paths[volume.name] = path
    with contextlib.ExitStack() as stack:
        if held:
            holder.sweep(client, places.notes.append)
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
        names = [volume.name for volume in held]
        theirs = stack.enter_context(holder.holding(client, names, image, places.notes.append))
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
    points = mountinfo.mount_points()
    for volume, theirs in mounted:
        try:
            path = _mount_point(client, volume)
            there = bool(path) and _within(client, volume, partial(_is_there, volume, path, theirs, points))
        except (DaemonError, VolumeError) as error:
            places.errors[volume.name] = error
            continue
        if there:
            places.paths[volume.name] = path
        else:
            places.errors[volume.name] = VolumeError(
                f"volume {volume.name}: Docker has mounted it at {path or '(nowhere)'}, but it isn't mounted there for "
                "this process; run this in the mount namespace of the Docker daemon"
            )


def _within(client: Client, volume: volumes.Volume, look: Callable[[], _T]) -> _T:
    """Look at a volume's directory, which may hang. Raise VolumeError if it does."""
    try:
        return patience.within(client.connection.timeout, look)
    except patience.HangingError as error:
        raise VolumeError(f"volume {volume.name}: {error}; nothing was changed") from error


def _mount_point(client: Client, volume: volumes.Volume) -> str:
    """Where the daemon says that it has mounted a volume; "" if it doesn't. A plugin says so only once it has."""
    if volume.driver == "local" and volume.mountpoint:
        return volume.mountpoint
    return (client.volume(volume.name) or {}).get("Mountpoint") or ""


def _is_there(volume: volumes.Volume, path: str, theirs: str, points: Container[bytes]) -> bool:
    """Whether ``path`` shows here what the holder has at ``theirs``."""
    if volume.driver == "local":
        # not a look at the mount itself, which may hang
        folder, name = os.path.split(path)
        return os.fsencode(os.path.join(os.path.realpath(folder), name)) in points
    try:
        return os.path.samestat(os.stat(path), os.stat(theirs))
    except OSError:
        return False
