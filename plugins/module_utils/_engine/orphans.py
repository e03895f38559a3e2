# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes nobody will miss: a pure function of a snapshot, of what was seen before, a policy and the time.

Every volume is in one class, with the reason in words:

- ``used``: something refers to it, see references.
- ``protected``: a label, a name, or a Compose project or swarm stack that is on this host says so.
- ``unknown``: there may be a user that can't be seen, or it isn't known what its removal would do. It is kept.
- ``too_young``: nothing refers to it, but it hasn't been seen so for as long as the grace.
- ``orphan``: none of these.

The age is the time since *we* first saw a volume without references (sightings). ``CreatedAt`` is no age: it is a
directory's ctime, which writes move.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import names
from .errors import UsageError
from .references import Reference, references
from .retention import Duration
from .snapshot import Snapshot
from .volumes import Volume, is_bind

USED, PROTECTED, UNKNOWN, YOUNG, ORPHAN = "used", "protected", "unknown", "too_young", "orphan"
CLASSES = (USED, PROTECTED, UNKNOWN, YOUNG, ORPHAN)

#: The label that keeps a volume whatever a task says.
PROTECT = "drydock.protect"
_FALSE = ("false", "no", "off", "0")
# What made a volume, by the label that names it: the same label is on what uses the volume.
_MAKERS = {"com.docker.compose.project": "Compose project", "com.docker.stack.namespace": "swarm stack"}
_ANONYMOUS = "com.docker.volume.anonymous"
_ANONYMOUS_NAME = re.compile("[0-9a-f]{64}")
_SHOWN = 3


@dataclass(frozen=True)
class Protection:
    """What a task protects: shell globs of ``names``, ``labels`` (key or key=value) of the volumes, and shell globs of
    ``projects`` of Compose and stacks of a swarm."""

    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """``grace``: how long a volume must have been seen without references; ``protect``; and ``gone``, shell globs of
    the Compose projects and swarm stacks that are no more, and not just down."""

    grace: Duration = field(default_factory=lambda: Duration(days=7))
    protect: Protection = field(default_factory=Protection)
    gone: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Raise UsageError for an empty pattern, which protects nothing, or says of nothing that it is gone."""
        given = (*self.protect.names, *self.protect.labels, *self.protect.projects, *self.gone)
        if any(not text or text.startswith("=") for text in given):
            raise UsageError("protect and gone_projects take shell globs and labels that aren't empty; leave them out")

    @classmethod
    def parse(cls, grace: str, protect: Mapping[str, Any] | None, gone: Sequence[str] | None) -> Policy:
        """The policy of a module's options. Raise UsageError for a value that doesn't fit."""
        try:
            length = Duration.parse(grace)
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"grace is {grace!r}; give a duration in years, months, weeks, days and hours, in this order, without "
                "blanks or signs, such as 12h, 7d, 3m (months); 0h is no grace at all"
            ) from error
        given = protect or {}
        protection = Protection(
            names=tuple(given.get("names") or ()),
            labels=tuple(given.get("labels") or ()),
            projects=tuple(given.get("projects") or ()),
        )
        return cls(length, protection, tuple(gone or ()))


@dataclass(frozen=True)
class Verdict:
    """What a volume is: its ``kind`` (one of CLASSES), the ``reason``, who refers to it, and ``since`` when nobody has
    (UTC), None if that isn't known."""

    volume: Volume
    kind: str
    reason: str
    references: tuple[Reference, ...] = ()
    since: datetime | None = None

    @property
    def name(self) -> str:
        return self.volume.name


def is_anonymous(name: str, labels: Mapping[str, str]) -> bool:
    """Whether nobody gave the volume its name. The label is on those of engines from 23 on, the digits on all."""
    return _ANONYMOUS in labels or bool(_ANONYMOUS_NAME.fullmatch(name))


def stays(volume: Volume) -> str | None:
    """What a removal of the volume doesn't remove, in words; None if all of its data goes with it."""
    kind, device = volume.options.get("type", ""), volume.options.get("device", "")
    if volume.driver != "local" or kind in ("tmpfs", "ramfs"):
        return None
    if is_bind(volume.driver, volume.options):
        return f"the files in its device {device} stay"
    if kind.startswith(("nfs", "cifs", "smb")):
        return f"the files on the server stay ({kind} {device})"
    return f"the files on its device {device} stay" if kind or device else None


def unreferenced(snapshot: Snapshot) -> set[str]:
    """The names of the volumes that nothing refers to, as far as everybody can be seen."""
    return set() if snapshot.blind else snapshot.volumes.keys() - references(snapshot).keys()


def classify(
    snapshot: Snapshot, since: Mapping[str, datetime | None], policy: Policy, now: datetime
) -> dict[str, Verdict]:
    """Put each volume into its class. ``since`` says when the volumes that nothing refers to were first seen so: None
    where that can't be known, and those that aren't in it have not been seen so yet."""
    found = references(snapshot)
    makers = {label: _present(snapshot, label) for label in _MAKERS}
    cutoff = policy.grace.before(now)
    verdicts = {}
    for name, volume in snapshot.volumes.items():
        those = tuple(found.get(name, ()))
        if those:
            verdicts[name] = Verdict(volume, USED, _listed(those), those)
            continue
        kind, reason = _kept(volume, snapshot, makers, policy) or _aged(since, name, cutoff, policy)
        verdicts[name] = Verdict(volume, kind, reason, since=since.get(name))
    return verdicts


def require_within(removable: Sequence[str], total: int, count: int | None, percent: float) -> None:
    """Raise UsageError if more would be removed than ``count`` volumes (None: no limit), or than ``percent`` of all."""
    number = len(removable)
    if count is not None and number > count:
        limit = f"max_remove is {count}"
    elif number * 100 > percent * total:
        limit = f"max_remove_percent is {percent:g}"
    else:
        return
    some = ", ".join(removable[:_SHOWN]) + (", …" if number > _SHOWN else "")
    raise UsageError(
        f"{number} of {total} volumes would be removed ({some}), and {limit}; look at them in check mode, protect what "
        "must stay, or raise the limit; nothing was removed"
    )


def _kept(volume: Volume, snapshot: Snapshot, makers: Mapping[str, set[str]], policy: Policy) -> tuple[str, str] | None:
    """The class and the reason of a volume that is kept though nothing refers to it, whatever its age."""
    own = volume.labels.get(PROTECT)
    if own is not None and own.lower() not in _FALSE:
        return PROTECTED, f"its label {PROTECT} is {own!r}"
    for pattern in policy.protect.names:
        if fnmatch.fnmatchcase(volume.name, pattern):
            return PROTECTED, f"its name matches {pattern!r}, which the task protects"
    for label in policy.protect.labels:
        key, equals, value = label.partition("=")
        if key in volume.labels and (not equals or volume.labels[key] == value):
            return PROTECTED, f"it has the label {label!r}, which the task protects"
    if snapshot.blind:
        return UNKNOWN, snapshot.blind
    if volume.name in snapshot.shared:
        return UNKNOWN, "other hosts have this volume too, and may use it"
    if volume.driver != "local":
        return UNKNOWN, f"what the driver {volume.driver} removes with a volume isn't known"
    return _made(volume, makers, policy)


def _made(volume: Volume, makers: Mapping[str, set[str]], policy: Policy) -> tuple[str, str] | None:
    """As _kept, for what Compose or a swarm's stack made."""
    for label, what in _MAKERS.items():
        project = volume.labels.get(label)
        if project is None:
            continue
        for pattern in policy.protect.projects:
            if fnmatch.fnmatchcase(project, pattern):
                return PROTECTED, f"its {what} {project} matches {pattern!r}, which the task protects"
        if project in makers[label]:
            return PROTECTED, f"its {what} {project} is on this host"
        if not any(fnmatch.fnmatchcase(project, pattern) for pattern in policy.gone):
            return UNKNOWN, f"its {what} {project} may be down, or gone: gone_projects doesn't say"
    return None


def _aged(since: Mapping[str, datetime | None], name: str, cutoff: datetime, policy: Policy) -> tuple[str, str]:
    """The class and the reason of a volume that its age decides about."""
    if name not in since:
        return YOUNG, "nothing refers to it, and no earlier run has seen that"
    first = since[name]
    if first is None:
        return UNKNOWN, "nothing refers to it, but since when isn't known; that counts from now on"
    seen = f"nothing has referred to it since {names.iso(first)}, when that was first seen"
    if first > cutoff:
        return YOUNG, f"{seen}; that must be {policy.grace} ago"
    return ORPHAN, seen


def _present(snapshot: Snapshot, label: str) -> set[str]:
    """The projects that have a container in any state, or a service, here."""
    labels = [container.get("Labels") or {} for container in snapshot.containers]
    labels += [(service.get("Spec") or {}).get("Labels") or {} for service in snapshot.services]
    return {one[label] for one in labels if label in one}


def _listed(those: Sequence[Reference]) -> str:
    more = f" and {len(those) - _SHOWN} more" if len(those) > _SHOWN else ""
    return f"used by {'; '.join(map(str, those[:_SHOWN]))}{more}"
