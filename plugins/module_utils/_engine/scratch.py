# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume to try something on, and a container on it. Both are gone afterwards: the journal knows of them."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from . import journal, termination
from .client import Client
from .errors import DaemonError, VolumeError

#: The kind of the journal's entry.
KIND = "scratch"
#: The label of what is made here; its value is the volume that it is tried for.
LABEL = "drydock.drill"

_PREFIX = "drydock-drill-"


def labels(volume: str) -> dict[str, str]:
    """Those of a scratch volume: no backup takes it, and who clears up leaves it alone."""
    return {LABEL: volume, "drydock.backup": "false", "drydock.protect": "true"}


@contextlib.contextmanager
def scratch(client: Client) -> Iterator[str]:
    """Yield a name that a volume and a container can have, and remove both at the end.

    Raise StateError if that can't be promised. Raise VolumeError if one of them can't be removed: recovery tries again.
    """
    name = _PREFIX + secrets.token_hex(8)
    entry = journal.write({"kind": KIND, "name": name})
    left: list[str] = []
    try:
        try:
            yield name
        finally:
            left = _remove(client, name)
            if left:
                entry.leave()
            else:
                entry.remove()
    except BaseException as error:
        if left and isinstance(error, Exception):
            raise type(error)(f"{error}; and {'; '.join(left)}") from error
        if left:
            termination.but(error, "; ".join(left))
        raise
    if left:
        raise VolumeError("; ".join(left))


def recover(client: Client, undo: Mapping[str, Any], note: Callable[[str], object]) -> bool:
    """Remove what a run that died has left. Return whether it is gone."""
    name = str(undo["name"])
    if not name.startswith(_PREFIX):
        raise KeyError(f"{name} is no name of a scratch volume")
    there = client.volume(name) is not None or client.container(name) is not None
    left = _remove(client, name)
    if left:
        note("; ".join(left))
    elif there:
        note(f"the scratch volume {name} of a drill that was interrupted was removed")
    return not left


def _remove(client: Client, name: str) -> list[str]:
    """Remove the container and the volume of that name. Return what stands in the way."""
    left = []
    try:
        client.remove_container(name, anonymous=True)
    except DaemonError as error:
        left.append(f"the scratch container {name} can't be removed: {error}; recovery tries again")
    try:
        if client.volume(name) is not None:
            client.remove_volume(name)
    except DaemonError as error:
        left.append(f"the scratch volume {name} can't be removed: {error}; recovery tries again")
    return left
