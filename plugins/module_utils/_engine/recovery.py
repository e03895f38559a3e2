# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring to an end what runs that died have left: first the exchanges of trees, then the containers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from . import exchange, journal, mounts, quiesce, scratch, unstaged, volumes
from .client import Client
from .errors import DrydockError, StateError

SWAP = "swap"


def unfinished() -> bool:
    """Whether there is something to recover."""
    return journal.unfinished()


def recover(client: Client, limits: quiesce.Limits, helper_image: str | None = None) -> Iterator[str]:
    """Recover all that can be, and yield what was done and what couldn't be."""
    entries, problems = journal.abandoned()
    yield from problems
    halves: set[str] = set()  # volumes that hold a part of two trees: no container may see that
    for entry in sorted(entries, key=lambda entry: (entry.undo.get("kind") != SWAP, "times" not in entry.undo)):
        notes: list[str] = []
        undone, whole = False, entry.undo.get("kind") != SWAP
        try:
            if entry.undo.get("kind") == SWAP:
                undone = whole = _swap(client, entry.undo, helper_image, notes.append)
            elif entry.undo.get("kind") == unstaged.KIND:
                undone = unstaged.recover(client, entry.undo, limits, helper_image, notes.append)
            elif entry.undo.get("kind") == scratch.KIND:
                undone = scratch.recover(client, entry.undo, notes.append)
            elif halves.isdisjoint(entry.undo["volumes"]):
                undone = quiesce.bring_back(client, entry.undo, limits, notes.append)
            else:
                names = ", ".join(container["name"] for container in entry.undo["containers"])
                notes.append(f"{names} stay stopped until volume {min(halves & {*entry.undo['volumes']})} is whole")
        except (DrydockError, KeyError) as error:
            notes.append(f"a run that was interrupted can't be recovered: {error!s}")
            whole = whole or isinstance(error, exchange.LeftoverError)
        if not whole:
            halves.add(str(entry.undo.get("volume")))
        yield from notes
        if undone:
            try:
                entry.remove()
            except StateError as error:
                yield str(error)
        else:
            entry.leave()


def _swap(client: Client, left: dict[str, Any], helper_image: str | None, note: Callable[[str], object]) -> bool:
    """Finish an exchange of trees."""
    name = left["volume"]
    listed = client.volume(name)
    if listed is None:
        note(f"volume {name}, a restore of which was interrupted, was removed since")
        return True
    volume = volumes.Volume.from_api(listed)
    with mounts.reach(client, [volume], helper_image) as places:
        if exchange.finish(places.path(name), name, left["folder"], left.get("root_times", ())):
            note(f"volume {name} holds the restored contents: a restore that was interrupted was finished")
    return True
