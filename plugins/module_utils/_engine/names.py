# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that become parts of a path, and the stamps that identify backups."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from .errors import UsageError

#: What the name of a folder of database backups begins with, before that of the container. No volume's name has it.
DATABASE = "database@"

# Docker's own rule for volume names (moby: daemon/names), and short enough for one path component.
_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
_LONGEST = 255
_ID = re.compile(r"(\d{8}T\d{6}Z)(?:-([2-9]|[1-9]\d{1,5}))?", re.ASCII)
_STAMP = "%Y%m%dT%H%M%SZ"


def path_component(what: str, name: str) -> str:
    """Return ``name`` if it is safe as one component of a path in a repository, else raise UsageError.

    ``what`` says in the error what kind of name it is: "volume", "host".
    """
    if not _COMPONENT.fullmatch(name):
        raise UsageError(
            f"{what} name {name!r} can't be used: it must start with a letter or a digit and consist of letters, "
            "digits, '_', '.' and '-' (at most 255), because it becomes a folder of the repository"
        )
    return name


def folder(name: str) -> str:
    """Return ``name`` if it is that of a folder of backups, a volume's or DATABASE and a container's, else raise
    UsageError."""
    if not name.startswith(DATABASE):
        return path_component("volume", name)
    path_component("container", name[len(DATABASE) :])
    if len(name) > _LONGEST:
        raise UsageError(f"container name {name[len(DATABASE) :]!r} is too long for a folder of the repository")
    return name


def described(folder_name: str) -> str:
    """What the backups in a folder are of, in words."""
    if folder_name.startswith(DATABASE):
        return f"the databases in container {folder_name[len(DATABASE) :]}"
    return f"volume {folder_name}"


def utc_now() -> datetime:
    """The time now, in UTC, cut to whole seconds."""
    return datetime.now(timezone.utc).replace(microsecond=0)


def stamp(when: datetime) -> str:
    """The first identifier a backup that begins at ``when`` (UTC) tries to get: ``20261123T101502Z``."""
    return when.strftime(_STAMP)


def iso(when: datetime) -> str:
    """``when`` (UTC) as manifests write times: ``2026-11-23T10:15:02Z``."""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: object) -> datetime | None:
    """The time (UTC) that manifests and records have written so; None for anything else."""
    try:
        return datetime.strptime(str(text), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc)
    except ValueError:
        return None


def backup_order(backup_id: str) -> tuple[str, int]:
    """A key that sorts identifiers by time, and ``-10`` after ``-9``. Raise UsageError for anything else."""
    match = _ID.fullmatch(backup_id)
    if match is None:
        raise UsageError(f"backup {backup_id!r} is not an identifier such as 20261123T101502Z or 20261123T101502Z-2")
    return match.group(1), int(match.group(2) or 1)


def when(backup_id: str) -> datetime:
    """The time (UTC) in an identifier. Raise ValueError for one that no clock ever shows, such as a 32nd day."""
    return datetime.strptime(backup_order(backup_id)[0], _STAMP).replace(tzinfo=timezone.utc)


def is_backup_id(text: str) -> bool:
    """Whether ``text`` is the identifier of a backup."""
    return _ID.fullmatch(text) is not None
