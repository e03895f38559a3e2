# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Since when each volume was seen without references: ``orphans.json`` in the journal's directory.

What can't be read is not known, and what isn't known is kept: a damaged file costs time, never a volume. A volume that
is seen used, or is gone, is forgotten, and one that was made anew under its name counts from then on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import journal, names, publication
from .errors import StateError, reason
from .snapshot import Snapshot

FORMAT = 1
_TIME = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Sighting:
    """Since when (UTC) a volume was seen without references, and a ``mark`` that another one of its name hasn't."""

    since: datetime
    mark: str


@dataclass(frozen=True)
class Memory:
    """What earlier runs have seen of one daemon's volumes: None for one whose record can't be read. ``problem`` says
    why nothing is known at all."""

    seen: Mapping[str, Sighting | None] = field(default_factory=dict)
    problem: str | None = None


def path() -> str:
    """Where it is kept."""
    return os.path.join(journal.STATE, "orphans.json")


def load(daemon: str) -> Memory:
    """What is known of the daemon's volumes. A file that isn't there is one that knows of none."""
    try:
        return _of(_read(), daemon)
    except FileNotFoundError:
        return Memory()
    except (OSError, ValueError, RecursionError) as error:
        why = reason(error) if isinstance(error, OSError) else error
        return Memory(problem=f"{path()} can't be read: {why}; since when volumes are unused counts from now on")


def observe(
    memory: Memory, unreferenced: Iterable[str], marks: Mapping[str, str], now: datetime
) -> tuple[dict[str, Sighting], dict[str, datetime | None]]:
    """What to remember now that these volumes were seen without references, and since when each of them is; None where
    that can't be known: its record is damaged, or of a time to come. Pure."""
    kept: dict[str, Sighting] = {}
    since: dict[str, datetime | None] = {}
    for name in unreferenced:
        mark = marks.get(name, "")
        known = memory.seen.get(name)
        damaged = memory.problem is not None or (name in memory.seen and known is None)
        if damaged or (known is not None and known.since > now):
            kept[name], since[name] = Sighting(now, mark), None
        elif known is None or known.mark != mark:
            kept[name], since[name] = Sighting(now, mark), now
        else:
            kept[name], since[name] = known, known.since
    return kept, since


def remember(seen: Snapshot, kept: Mapping[str, Sighting]) -> None:
    """Remember these of the daemon's volumes and no others. Raise StateError if the disk doesn't take them.

    Where there may be users that can't be seen, nothing is known to be without any: what was seen isn't forgotten.
    """
    if not seen.blind:
        save(seen.daemon, kept)


def save(daemon: str, kept: Mapping[str, Sighting]) -> None:
    """Write these down, in place of those that were."""
    target = path()
    partial = f"{target}.partial"
    try:
        journal.make_state()
        with _locked():
            try:
                whole = _read()
            except (FileNotFoundError, ValueError, RecursionError):
                whole = {}
            others = whole.get("daemons") if whole.get("format") == FORMAT else None
            mine = {name: {"since": names.iso(one.since), "mark": one.mark} for name, one in sorted(kept.items())}
            daemons = {**(others if isinstance(others, dict) else {}), daemon: mine}
            descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(json.dumps({"format": FORMAT, "daemons": daemons}, indent=1).encode())
                file.flush()
                os.fsync(descriptor)
            os.rename(partial, target)
            publication.sync(journal.STATE)
    except OSError as error:
        raise StateError(
            f"since when volumes are unused can't be written to {target}: {reason(error)}; nothing was removed"
        ) from error


@contextlib.contextmanager
def _locked() -> Iterator[None]:
    """Have no other run write between our reading and writing. It lasts for a moment, so it is waited for."""
    descriptor = os.open(f"{path()}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _read() -> dict[str, Any]:
    with open(path(), "rb") as file:
        whole = json.load(file)
    if not isinstance(whole, dict):
        raise ValueError("it is no object")
    return whole


def _of(whole: Mapping[str, Any], daemon: str) -> Memory:
    """One daemon's part. Raise ValueError if the whole hasn't the shape of this format."""
    daemons = whole.get("daemons")
    if whole.get("format") != FORMAT or not isinstance(daemons, dict):
        raise ValueError(f"it isn't of format {FORMAT}")
    mine = daemons.get(daemon, {})
    if not isinstance(mine, dict):
        raise ValueError(f"what it has for the daemon {daemon} is no object")
    return Memory({name: _sighting(record) for name, record in mine.items()})


def _sighting(record: Any) -> Sighting | None:
    if not isinstance(record, dict) or not isinstance(record.get("mark"), str):
        return None
    try:
        since = datetime.strptime(record["since"], _TIME).replace(tzinfo=timezone.utc)
    except (KeyError, TypeError, ValueError):
        return None
    return Sighting(since, record["mark"])
