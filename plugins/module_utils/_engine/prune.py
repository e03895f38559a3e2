# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove the volumes that nobody will miss: backed up first, if that is asked for, and looked at again just before.

Whatever isn't known keeps a volume. What is removed is removed by a plain DELETE, which the daemon refuses for a volume
that a container refers to.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import backup, expiry, names, orphans, sightings, sizes, snapshot, volumes
from .client import Client
from .encryption import Encryption
from .errors import DaemonError, DrydockError, StateError, UsageError, VolumeError
from .orphans import ORPHAN, UNKNOWN, YOUNG, Policy, Verdict
from .repositories import Repository
from .selection import Selector, matches
from .sightings import Sighting
from .survey import Survey
from .usage import described, size

GONE, UNSELECTED = "gone", "not_selected"
# A file's time of change may be that of a clock's last tick, or in whole seconds: nanoseconds.
_COARSE = 2_000_000_000
# A container has its first volumes before it is listed: until its other ones are there, or as long as the disk takes.
# The seconds for which it is looked out for where the daemon refuses in these words, and those between two looks.
_APPEARING = 10
_POLL = 0.2
_IN_USE = "volume is in use"


@dataclass(frozen=True)
class Destination:
    """Where each volume is backed up to before it is removed: the ``repository``, the ``host`` in it, for which keys,
    and how many at a time (None: as the processors allow). A read-only repository predicts."""

    repository: Repository
    host: str
    encryption: Encryption | None = None
    parallel: int | None = None


@dataclass(frozen=True)
class Settings:
    """Which volumes may be removed, and how: those that ``selector`` means (None: all), the ``anonymous`` ones and the
    ``named`` ones among them. More than ``max_remove`` volumes (None: no limit), or than ``max_remove_percent`` of all
    there are, are an error before the first removal. All looks into volumes end after ``look_timeout`` seconds. With
    ``check`` nothing is removed, and nothing written, unless with ``remember`` what was seen. ``helper_image`` is for
    mounts.reach."""

    policy: Policy = field(default_factory=Policy)
    selector: Selector | None = None
    anonymous: bool = True
    named: bool = False
    backup_to: Destination | None = None
    max_remove: int | None = None
    max_remove_percent: float = 50
    look_timeout: float = 600
    check: bool = False
    remember: bool = False
    helper_image: str | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for settings that can't be meant."""
        if self.max_remove is not None and self.max_remove < 0:
            raise UsageError(f"max_remove is {self.max_remove}; it must be 0 or more")
        if not 0 <= self.max_remove_percent <= 100:
            raise UsageError(f"max_remove_percent is {self.max_remove_percent:g}; it must be from 0 to 100")
        if not (self.anonymous or self.named):
            raise UsageError("anonymous and named are both false, so there is nothing to remove; set one of them")


@dataclass
class Result:
    """What became of each volume, as volume_prune_orphans documents it. ``found`` are the names of the orphans that
    were to be removed; ``reclaimed`` is in bytes."""

    found: list[str] = field(default_factory=list)
    removed: list[dict[str, Any]] = field(default_factory=list)
    kept: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    reclaimed: int = 0


def prune(client: Client, settings: Settings) -> Result:
    """Find the orphans, and remove those that may be. One volume's failure doesn't stop the others.

    Raise DrydockError, with nothing removed, for what concerns all of them: too many would be removed, what was seen
    can't be remembered, the repository can't be written.
    """
    if settings.backup_to is not None:
        volumes.require_local(client)
        names.path_component("host", settings.backup_to.host)
    return _Run(client, settings).all()


class _Run:
    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._settings = settings
        self._result = Result()
        self._now = names.utc_now()
        self._seen = snapshot.take(client)
        self._marks = self._seen.marks or {}

    def all(self) -> Result:
        memory = sightings.load(self._seen.daemon)
        self._result.warnings += [*self._seen.notes, *([memory.problem] if memory.problem else [])]
        kept, since = sightings.observe(memory, orphans.unreferenced(self._seen), self._marks, self._now)
        self._remember(kept)
        verdicts = orphans.classify(self._seen, since, self._settings.policy, self._now)
        chosen = []
        for _name, verdict in sorted(verdicts.items()):
            if verdict.kind != ORPHAN:
                self._keep(verdict, verdict.kind, verdict.reason)
            elif not self._selected(verdict.volume):
                self._keep(verdict, UNSELECTED, f"{verdict.reason}; but the task doesn't select it")
            else:
                chosen.append(verdict)
        found, ready = self._look(chosen)
        steady = self._steady(ready, found, kept, memory.seen)
        orphans.require_within(
            [verdict.name for verdict in steady],
            len(self._seen.volumes),
            self._settings.max_remove,
            self._settings.max_remove_percent,
        )
        self._result.found = [verdict.name for verdict in steady]
        backups = self._back_up(steady)
        for verdict in steady:
            if backups is None or verdict.name in backups:
                self._remove(verdict, found.get(verdict.name), (backups or {}).get(verdict.name))
        self._result.kept.sort(key=lambda one: str(one["name"]))
        return self._result

    def _remember(self, kept: Mapping[str, Sighting]) -> None:
        if self._settings.check and not self._settings.remember:
            return
        try:
            sightings.remember(self._seen, kept)
        except StateError as error:
            if not self._settings.check:
                raise
            self._result.warnings.append(str(error))

    def _selected(self, volume: volumes.Volume) -> bool:
        wanted = self._settings.anonymous if orphans.is_anonymous(volume.name, volume.labels) else self._settings.named
        selector = self._settings.selector
        return wanted and (selector is None or matches(volume.name, volume.labels, selector))

    def _keep(self, verdict: Verdict, kind: str, reason: str) -> None:
        self._result.kept.append({**described(verdict, self._now), "class": kind, "reason": reason})

    def _look(self, chosen: Sequence[Verdict]) -> tuple[dict[str, Survey], list[Verdict]]:
        """Look at the files that would be removed. Return what was found, and those that needn't be kept because they
        can't be looked at. On another host nobody can look, and no file system hangs."""
        trees, errors = {}, {}
        for verdict in chosen if self._client.connection.local else []:
            if _is_plain(verdict.volume):
                try:
                    trees[verdict.name] = str(volumes.direct(verdict.volume))
                except VolumeError as error:
                    errors[verdict.name] = str(error)
        found, failed = sizes.measure(trees, self._settings.look_timeout)
        errors.update(failed)
        for verdict in chosen:
            if verdict.name in errors:
                self._keep(verdict, UNKNOWN, f"what it holds can't be looked at: {errors[verdict.name]}")
        return found, [verdict for verdict in chosen if verdict.name not in errors]

    def _steady(
        self,
        ready: Sequence[Verdict],
        found: Mapping[str, Survey],
        kept: dict[str, Sighting],
        before: Mapping[str, Sighting | None],
    ) -> list[Verdict]:
        """Those that nobody has written to since an earlier run saw them without references. The others are used by
        something that comes and goes between the runs: for them the time begins anew."""
        steady = []
        for verdict in ready:
            earlier, look = before.get(verdict.name), found.get(verdict.name)
            if not (earlier and look and earlier.since == verdict.since and _later(look, earlier.since)):
                steady.append(verdict)
                continue
            kept[verdict.name] = Sighting(self._now, self._marks.get(verdict.name, ""))
            why = "but its files were changed since then: something uses it at times"
            self._keep(verdict, YOUNG, f"{verdict.reason}; {why}")
        if len(steady) < len(ready):
            self._remember(kept)
        return steady

    def _back_up(self, steady: Sequence[Verdict]) -> dict[str, dict[str, Any]] | None:
        """The backups of those that are to be removed, by their names; the others are kept. None without backups."""
        destination = self._settings.backup_to
        if destination is None:
            return None
        if not steady:
            return {}
        made = backup.backup(
            self._client,
            destination.repository,
            [verdict.name for verdict in steady],
            host=destination.host,
            settings=backup.Settings(
                encryption=destination.encryption,
                parallel=destination.parallel,
                verify="archive",
                on_change="fail",
                helper_image=self._settings.helper_image,
                purpose=expiry.BEFORE_REMOVAL,
            ),
        )
        self._result.warnings += made.warnings
        by_name = {one["volume"]["name"]: one for one in made.backups}
        errors = {failure["volume"]: failure["error"] for failure in made.failures}
        for verdict in steady:
            error = errors.get(verdict.name)
            if error is not None or verdict.name not in by_name:
                by_name.pop(verdict.name, None)
                self._fail(verdict, f"it was not removed, because it could not be backed up: {error}")
        return by_name

    def _remove(self, verdict: Verdict, look: Survey | None, made: dict[str, Any] | None) -> None:
        """Look again, and remove a volume if it still is what it was."""
        try:
            late = self._in_the_way(verdict, made) or self._removed(verdict)
        except DrydockError as error:
            self._fail(verdict, str(error))
            return
        if late is not None:
            self._keep(verdict, *late)
            return
        left = orphans.stays(verdict.volume)
        backed_up = made and {"id": made["id"], "path": made["path"]}
        one = {**described(verdict, self._now), **size(look), "left": left, "backup": backed_up}
        self._result.removed.append(one)
        self._result.reclaimed += look.allocated if look is not None else 0

    def _removed(self, verdict: Verdict) -> tuple[str, str] | None:
        """Remove it; as _in_the_way if the daemon knows better. Raise DaemonError if it refuses for another reason."""
        if self._settings.check:
            return None
        try:
            self._client.remove_volume(verdict.name)
        except DaemonError as error:
            deadline = time.monotonic() + (_APPEARING if _IN_USE in str(error) else 0)
            while (late := self._in_the_way(verdict, None)) is None:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_POLL)
            return late
        return None

    def _in_the_way(self, verdict: Verdict, made: dict[str, Any] | None) -> tuple[str, str] | None:
        """The class and the reason why a volume must stay after all, None if it needn't. A constant few requests."""
        name = verdict.name
        current = snapshot.of_one(self._client, name, self._seen)
        volume = current.volumes.get(name)
        if volume is None:
            return GONE, "somebody else removed it meanwhile"
        if volume != verdict.volume or (current.marks or {}).get(name) != self._marks.get(name):
            return UNKNOWN, "it was changed, or made anew, after it was found to be an orphan"
        again = orphans.classify(current, {name: verdict.since}, self._settings.policy, self._now)[name]
        if again.kind != ORPHAN:
            return again.kind, f"{again.reason}; that is new since it was found to be an orphan"
        if made is not None and made["id"] is not None and _is_plain(volume):
            return self._differs(verdict, made["content"]["fingerprint"])
        return None

    def _differs(self, verdict: Verdict, fingerprint: str | None) -> tuple[str, str] | None:
        """Why a volume must stay that doesn't hold what its backup does."""
        found, errors = sizes.measure({verdict.name: str(volumes.direct(verdict.volume))}, self._settings.look_timeout)
        if verdict.name in errors:
            return UNKNOWN, f"whether its backup holds what it holds now isn't known: {errors[verdict.name]}"
        if found[verdict.name].fingerprint != fingerprint:
            return UNKNOWN, "its files were changed just before, while or after it was backed up"
        return None

    def _fail(self, verdict: Verdict, error: str) -> None:
        text = error if verdict.name in error else f"volume {verdict.name}: {error}"
        self._result.failures.append({"volume": verdict.name, "error": text})
        self._keep(verdict, verdict.kind, text)


def _later(look: Survey, first: datetime) -> bool:
    """Whether anything was changed after that time, as far as clocks can tell."""
    return look.latest > int(first.timestamp()) * 1_000_000_000 + _COARSE


def _is_plain(volume: volumes.Volume) -> bool:
    """Whether its files are in Docker's own directory, and go with it."""
    return volume.driver == "local" and not {"type", "device"} & volume.options.keys()
