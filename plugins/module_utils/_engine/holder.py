# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The mount holder: a container that does nothing but have volumes, so that Docker mounts them.

A volume with driver options (NFS, tmpfs, a block device) or of a plugin is mounted only while a running container has
it. The holder's image is an empty tar, imported, so nothing is pulled; its program is the host's own ``sleep``, through
read-only binds of the host's ``/usr`` and its like. It has no network, no log and a read-only root. It refers to the
volumes by name, and is removed without ``v``.

Whoever makes a holder holds a flock on a file with the holder's name for as long as it lives. So a holder that a dead
run left behind is told from a live run's, and swept by the next run.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .client import Client
from .errors import DaemonError, NoAnswerError, VolumeError, reason

#: The label of every holder, and of the image.
LABEL = "drydock.volumes.holder"
IMAGE = "drydock-volumes-holder:1"
DIRECTORY = "/run/drydock-volumes"

_HOST_PROGRAM = ("/usr", "/bin", "/lib", "/lib64")
_SLEEP = ["/usr/bin/sleep", "infinity"]
# Seconds for the daemon to remove a holder that it may still be starting: it answers nothing about it until it has, and
# then removes it, whoever still waits for that.
_HURRY = 5


def sweep(client: Client, note: Callable[[str], object]) -> None:
    """Remove the holders of dead runs. ``note`` which one couldn't be: it is in nobody's way."""
    for name in client.labelled(LABEL):
        with held(name) as free:
            if free:
                _remove(client, name, note, _HURRY)


def is_one(container: Mapping[str, Any]) -> bool:
    """Whether a container in the list endpoint's JSON is a holder, of this run or of another one."""
    return LABEL in (container.get("Labels") or {})


@contextlib.contextmanager
def holding(
    client: Client, volumes: Sequence[str], image: str | None, note: Callable[[str], object]
) -> Iterator[list[str]]:
    """Have these volumes mounted for the time of the context, in one holder. Yield where it has them itself, as paths
    of the host's that lead through its process.

    ``image`` is an image of the host's that has a program ``sleep``, to be used instead of the empty one. Raise
    DaemonError, with the daemon's reason, if they can't be mounted; then none is. ``note`` if the holder can't be
    removed at the end: what was done in the context is done all the same.
    """
    name = f"drydock-holder-{secrets.token_hex(6)}"
    with held(name):
        timeout = None
        try:
            binds = [f"{volume}:/volumes/{number}:ro,nocopy" for number, volume in enumerate(volumes)]
            if image is None:
                client.import_empty_image(IMAGE, LABEL)
                binds += [f"{path}:{path}:ro" for path in _HOST_PROGRAM if os.path.isdir(path)]
            try:
                client.run_holder(
                    name, image or IMAGE, _SLEEP if image is None else ["sleep", "infinity"], binds, LABEL
                )
            except NoAnswerError:
                timeout = _HURRY
                raise
            pid = ((client.container(name) or {}).get("State") or {}).get("Pid", 0)
            yield [f"/proc/{pid}/root/volumes/{number}" for number, _volume in enumerate(volumes)]
        finally:
            _remove(client, name, note, timeout)


def _remove(client: Client, name: str, note: Callable[[str], object], timeout: int | None) -> None:
    try:
        client.remove_container(name, timeout)
    except DaemonError as error:
        note(f"the mount holder {name} isn't removed yet: {error}; a later run tries again")


@contextlib.contextmanager
def held(name: str) -> Iterator[bool]:
    """Hold the flock that says that the maker of the holder ``name`` lives. Yield whether nobody else has it."""
    path = os.path.join(DIRECTORY, name)
    try:
        os.makedirs(DIRECTORY, mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_CREAT, 0o600)
    except OSError as error:
        raise VolumeError(f"{path} can't be written: {reason(error)}; no volume was mounted") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            os.unlink(path)
    finally:
        os.close(descriptor)
