# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What runs leave for those who ask later: small JSON files below the state directory, each whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Mapping
from typing import Any

from . import journal, publication
from .errors import StateError, reason

#: The directories: jobs' last runs, and volumes' last drills.
RUNS, DRILLS = "runs", "drills"
FORMAT = 1

_SUFFIX = ".json"
_PARTIAL = ".partial"


def write(kind: str, name: str, record: Mapping[str, Any]) -> None:
    """Keep a record under that name, in place of the one before. Raise StateError if it can't be kept."""
    folder = os.path.join(journal.STATE, kind)
    path = os.path.join(folder, name + _SUFFIX)
    partial = os.path.join(folder, f".{name}{_PARTIAL}")
    try:
        os.makedirs(journal.STATE, mode=0o700, exist_ok=True)
        publication.make_directory(folder)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as file:
            file.write((json.dumps({"format": FORMAT, **record}, indent=1) + "\n").encode())
            file.flush()
            os.fsync(descriptor)
        os.rename(partial, path)
        publication.sync(folder)
    except OSError as error:
        raise StateError(f"the record {path} can't be written: {reason(error)}") from error


def read(kind: str, name: str) -> dict[str, Any] | None:
    """The record of that name, or None if there is none that can be read."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        with open(os.path.join(journal.STATE, kind, name + _SUFFIX), encoding="utf-8") as file:
            found = json.load(file)
        if isinstance(found, dict) and found.get("format") == FORMAT:
            return found
    return None


def names(kind: str) -> list[str]:
    """The names of the records there are, in alphabetical order."""
    try:
        found = os.listdir(os.path.join(journal.STATE, kind))
    except OSError:
        return []
    return sorted(name[: -len(_SUFFIX)] for name in found if name.endswith(_SUFFIX) and not name.startswith("."))
