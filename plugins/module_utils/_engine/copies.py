# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copies of backups in further repositories: what one lacks is brought there, the newest first, and proven to be there.

A copy has a retention of its own. What can't be copied now is copied by the next run: what is there decides, not what
was done.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from . import expiry, names, points, retention
from .errors import DrydockError, IntegrityError, RepositoryError, UsageError
from .rclone import patiently
from .repositories import Repository
from .repository import Directory

# The seconds between two tries of the same copy. Later ones in a run that a repository has failed aren't tried again.
_WAITS = (1.0, 5.0)


@dataclass(frozen=True)
class Copy:
    """A further ``repository``, and which backups to keep there. A read-only one predicts."""

    repository: Repository
    retention: retention.Policy = field(default_factory=retention.Policy)


class Notes(Protocol):
    """What is noted of copies in the result of a run, see job.Result."""

    failures: list[dict[str, str]]
    warnings: list[str]
    copies: list[dict[str, Any]]
    copies_expired: list[dict[str, Any]]
    copied_before: dict[str, dict[str, list[str]]]


def require_apart(source: Repository, copies: Sequence[Copy]) -> None:
    """Raise UsageError unless these are repositories that copies of what is in ``source`` can be in."""
    require_roots_apart(source.root, [copy.repository.root for copy in copies])


def require_roots_apart(source: str, copies: Sequence[str]) -> None:
    """The same of their roots."""
    if not copies:
        return
    if not os.path.isabs(source):
        raise UsageError(
            f"copies are made of backups in a directory, and repository {source} is a remote; back up into a "
            "directory and name the remote among the copies"
        )
    roots = [source, *copies]
    double = sorted({root for root in roots if roots.count(root) > 1})
    if double:
        raise UsageError(f"repository {double[0]} is named twice; a copy is of use in another place only")


def lacking(
    ours: Iterable[str],
    theirs: Iterable[str],
    policy: retention.Policy,
    now: datetime,
    staying: Collection[str] = (),
) -> list[str]:
    """Which of our backups, by identifiers, a copy lacks that its policy would keep, or that are ``staying`` whatever
    it says; the newest first."""
    here, there = set(ours), set(theirs)
    kept = {each.id for each in retention.decide((here | there).difference(staying), policy, now) if each.keep}
    wanted = (kept | set(staying)) & (here - there)
    return sorted(wanted, key=lambda each: (names.backup_order(each), each), reverse=True)


def bring(
    source: Repository,
    copies: Sequence[Copy],
    host: str,
    wanted: Mapping[str, str | None],
    result: Notes,
    *,
    lock_timeout: float,
    proceed: Callable[[], object],
) -> None:
    """Bring what the copies lack to them, of each folder that is ``wanted``, with the identifier of a backup that would
    be there by then (check mode). What a copy fails at is noted as its failure, and doesn't stop the others.

    ``proceed`` is called now and then, and may end it all by an exception.
    """
    if not isinstance(source, Directory):
        return  # require_apart wants one where there are copies
    for copy in copies:
        copying = _Copying(source, copy, host, result, lock_timeout=lock_timeout, proceed=proceed)
        for folder, planned in wanted.items():
            copying.bring(folder, planned)


class _Copying:
    """Brings the backups of ``host`` in ``source`` to ``copy``, and notes in ``result`` what was done."""

    def __init__(
        self,
        source: Directory,
        copy: Copy,
        host: str,
        result: Notes,
        *,
        lock_timeout: float,
        proceed: Callable[[], object],
    ) -> None:
        self._source = source
        self._copy = copy
        self._host = host
        self._result = result
        self._lock_timeout = lock_timeout
        self._proceed = proceed
        self._waits: Sequence[float] = _WAITS

    def bring(self, volume: str, planned: str | None) -> None:
        """Copy what is lacking of a folder, a volume's or one of databases, then let go what the copy's policy doesn't
        keep; unless something failed, in this run, for this one. ``planned`` is the identifier of a backup that would
        be there (check mode)."""
        target = self._copy.repository
        # another copy's failure isn't this one's
        failed = any(
            failure["volume"] == volume and failure.get("repository", target.root) == target.root
            for failure in self._result.failures
        )
        try:
            ours, _problems = self._source.backups(self._host, volume)
            theirs: list[dict[str, Any]] = []
            error = patiently(lambda: theirs.extend(self._there(volume)), self._waits, self._proceed)
            if error is not None:
                raise error
            by_id: dict[str, dict[str, Any]] = {manifest["id"]: manifest for manifest in ours}
            here = [*by_id, *([planned] if planned else [])]
            before = [manifest["id"] for manifest in theirs]
            self._result.copied_before.setdefault(target.root, {})[volume] = before
            staying = [manifest["id"] for manifest in ours + theirs if expiry.stays(manifest)]
            wanted = lacking(here, before, self._copy.retention, names.utc_now(), staying)
            if target.read_only:
                self._predict(volume, wanted, by_id)
            else:
                failed |= not self._all(volume, [by_id[backup_id] for backup_id in wanted])
            if not failed:
                self._expire(volume, wanted if target.read_only else [])
        except DrydockError as error:
            self._fail(volume, f"the copies of its backups in {target.root} are not up to date: {error}")

    def _there(self, volume: str) -> list[dict[str, Any]]:
        complete, problems = self._copy.repository.backups(self._host, volume)
        self._result.warnings += [f"copy: {problem}" for problem in problems]
        return complete

    def _all(self, volume: str, wanted: Sequence[dict[str, Any]]) -> bool:
        """Copy these; return whether that worked. One whose archive is damaged doesn't stop the others."""
        missing, why = [], ""
        for number, manifest in enumerate(wanted):
            try:
                error = patiently(lambda manifest=manifest: self._one(volume, manifest), self._waits, self._proceed)  # type: ignore[misc]
            except IntegrityError as damage:
                missing.append(manifest["id"])
                why = why or str(damage)
                continue
            if error is not None:
                missing += [each["id"] for each in wanted[number:]]
                why = str(error)
                self._waits = ()
                break
        if missing:
            self._fail(
                volume,
                f"{self._copy.repository.root} lacks {len(missing)} backup(s) ({', '.join(missing[:5])}"
                f"{', …' if len(missing) > 5 else ''}): {why}; the backups in {self._source.root} stand, and the next "
                "run copies what is lacking",
            )
        return not missing

    def _one(self, volume: str, manifest: dict[str, Any]) -> None:
        """Copy one backup. Raise RepositoryError if it can't be, and IntegrityError if ours is damaged."""
        began = time.monotonic()
        archive = manifest["archive"]
        extension = archive["file"][len(manifest["id"]) :]
        target = self._copy.repository
        stored = self._source.description(manifest)
        with target.begin(
            self._host,
            volume,
            extension,
            names.utc_now(),
            self._lock_timeout,
            backup_id=manifest["id"],
            proceed=self._proceed,
        ) as publication:
            points.reached("copy-begun")
            path = self._source.archive(manifest)
            publication.take(path, self._proceed)
            how = publication.arrived()
            if (publication.sha256, publication.size) != (archive["sha256"], archive["bytes"]):
                raise IntegrityError(
                    f"archive {path} is damaged: its SHA-256 is {publication.sha256}, its manifest says "
                    f"{archive['sha256']}; nothing was copied"
                )
            if how is None:
                how = "sha256"
                with publication.reading() as read:
                    if read.digest() != (archive["sha256"], archive["bytes"]):
                        raise RepositoryError(f"what was copied to {target.root} is damaged there; it is removed again")
            points.reached("copy-arrived")
            publication.publish(manifest, stored)
        self._note(volume, manifest["id"], archive["bytes"], how, round(time.monotonic() - began, 3))

    def _predict(self, volume: str, wanted: Sequence[str], ours: Mapping[str, dict[str, Any]]) -> None:
        for backup_id in wanted:
            known = ours.get(backup_id)
            self._note(volume, backup_id if known else None, known["archive"]["bytes"] if known else None, None, None)

    def _note(
        self, volume: str, backup_id: str | None, size: int | None, verified: str | None, seconds: float | None
    ) -> None:
        self._result.copies.append(
            {
                "repository": self._copy.repository.root,
                "volume": volume,
                "id": backup_id,
                "bytes": size,
                "verified": verified,
                "seconds": seconds,
            }
        )

    def _expire(self, volume: str, planned: Sequence[str]) -> None:
        gone = expiry.expire(
            self._copy.repository,
            self._host,
            volume,
            self._copy.retention,
            names.utc_now(),
            planned=planned,
            lock_timeout=self._lock_timeout,
        )
        self._result.copies_expired += [{"repository": self._copy.repository.root, **each} for each in gone]

    def _fail(self, volume: str, why: str) -> None:
        error = f"{names.described(volume)}: copy: {why}"
        self._result.failures.append({"volume": volume, "repository": self._copy.repository.root, "error": error})
