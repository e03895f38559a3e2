# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How volumes are laid out, and what became of each: plain data of layout and laying."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .desired import Desired
from .directories import Ownership, Root
from .errors import DrydockError, UsageError
from .plan import BACK_UP, Found, Plan, Policy
from .quiesce import Limits
from .safety import Safety
from .volumes import Volume

#: The end of an error after which all is as it was.
NOTHING = "; nothing was changed"


@dataclass(frozen=True)
class Settings:
    """How to lay out: see plan.Policy for the first three. What would be lost is backed up by ``safety`` if that is
    there. ``helper_image`` is for mounts.reach. With ``check`` everything is looked at, and nothing is changed."""

    on_drift: str = "fail"
    recreate_with_data: bool = False
    remove_with_data: bool = False
    safety: Safety | None = None
    limits: Limits = field(default_factory=Limits)
    helper_image: str | None = None
    check: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for settings that can't go together."""
        if self.recreate_with_data and self.safety is None:
            raise UsageError("recreate_with_data needs backup_to: what would be lost with a volume is backed up first")

    @property
    def policy(self) -> Policy:
        """What plan.plan needs of it."""
        return Policy(self.on_drift, self.recreate_with_data, self.remove_with_data, self.safety is not None)


@dataclass
class Laid:
    """One volume: what was done, or in check mode would be, and what it is like ``before`` and ``after``."""

    name: str
    present: bool = False
    actions: list[str] = field(default_factory=list)
    drift: dict[str, dict[str, Any]] = field(default_factory=dict)
    path: str | None = None
    kept: str | None = None
    backup: dict[str, Any] | None = None
    before: dict[str, Any] = field(default_factory=dict)
    after: dict[str, Any] = field(default_factory=dict)

    @property
    def changed(self) -> bool:
        """Whether anything was changed. A backup alone changes nothing about the volume."""
        return bool(set(self.actions) - {BACK_UP})

    def report(self) -> dict[str, Any]:
        """What the module returns of it."""
        return {
            "name": self.name,
            "state": "present" if self.present else "absent",
            "changed": self.changed,
            "actions": self.actions,
            "drift": self.drift,
            "path": self.path,
            "kept": self.kept,
            "backup": self.backup,
        }


@dataclass
class Result:
    """All volumes in the order in which they were asked for, and the errors of those that aren't as they should be."""

    volumes: list[Laid] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Note an error in the context as that of one volume."""
        try:
            yield
        except DrydockError as error:
            text = str(error)
            if not text.startswith((f"volume {name} ", f"volume {name}:")):
                text = f"volume {name}: {text}"
            self.failures.append({"volume": name, "error": text.replace(NOTHING * 2, NOTHING)})


@dataclass
class One:
    """A volume on its way: what is wanted, what was found out, what is planned."""

    wanted: Desired
    laid: Laid
    volume: Volume | None
    ownership: Ownership = field(default_factory=Ownership)
    points: list[str] = field(default_factory=list)
    root: Root | None = None
    plan: Plan | None = None

    @property
    def found(self) -> Found:
        """What is there of it, as far as a diff shows it."""
        return Found(self.volume, self.root)
