# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of this host's backups: plain data, which overview gathers, and status and metrics read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

#: How old a newest backup may be, in seconds, and how long ago a drill job's last good run, where nothing else is said.
MAX_AGE, DRILL_AGE = 2 * 86400.0, 35 * 86400.0


@dataclass
class JobView:
    """A job: how old what it makes may get (``max_age``, seconds), its options (``params``), its last runs' ``record``,
    whether one is going on, for how many seconds it has been ``idle``, and what is wrong with its file. The last time
    that it wasn't idle is its last good run, or, before there is one, when its file was written."""

    name: str
    action: str = ""
    max_age: float = MAX_AGE
    params: Mapping[str, Any] = field(default_factory=dict)
    record: Mapping[str, Any] = field(default_factory=dict)
    running: bool = False
    problem: str | None = None
    idle: float | None = None

    @property
    def overdue(self) -> bool:
        """Whether it is a drill, and its last good run is too long ago. A backup job's volumes tell that themselves."""
        return self.action == "drill" and self.idle is not None and self.idle > self.max_age


@dataclass
class VolumeView:
    """A volume that a job backs up: its newest complete backup, with its ``age`` in seconds, how many ``backups`` there
    are (None: not known), when a run has last ``confirmed`` that the volume is still as the newest one, which its age
    then counts from, the newest copy in each further repository, with its age, and its last drill. Those that are
    dated in the ``future`` are never the newest. One that is ``fresh`` has come since the job's last run, and the next
    one makes its first backup."""

    volume: str
    job: str
    host: str
    repository: str
    max_age: float
    newest: str | None = None
    age: float | None = None
    bytes: int | None = None
    archive_bytes: int | None = None
    seconds: float | None = None
    downtime: float | None = None
    backups: int | None = None
    confirmed: str | None = None
    copies: dict[str, str | None] = field(default_factory=dict)
    copy_ages: dict[str, float | None] = field(default_factory=dict)
    drill: Mapping[str, Any] | None = None
    future: list[str] = field(default_factory=list)
    fresh: bool = False

    def behind(self, repository: str) -> bool:
        """Whether the newest copy in a further repository is older than a backup may be, or there is none. A copy needs
        its time, and isn't made by each job that backs the volume up, so it needn't be of the newest backup."""
        age = self.copy_ages.get(repository)
        return age is None or age > self.max_age


@dataclass
class RepositoryView:
    """A local repository: ``backups`` of this host and their ``bytes``, and what is ``free`` on its file system."""

    path: str
    host: str
    backups: int = 0
    bytes: int = 0
    free: int | None = None
    total: int | None = None
    problem: str | None = None


@dataclass
class Overview:
    """All of it, at a time. ``unprotected`` are the volumes of the host that no job backs up, None where Docker doesn't
    tell; ``interrupted`` tells that a run that died has left something."""

    at: datetime
    jobs: list[JobView] = field(default_factory=list)
    volumes: list[VolumeView] = field(default_factory=list)
    repositories: list[RepositoryView] = field(default_factory=list)
    drills: list[Mapping[str, Any]] = field(default_factory=list)
    unprotected: list[str] | None = None
    interrupted: bool = False
    docker: str | None = None
