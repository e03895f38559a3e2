# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One volume's backup: begun before its containers hold still, read while they do, published when they are back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import (
    archive,
    encryption,
    mountinfo,
    names,
    nesting,
    patience,
    pipeline,
    points,
    progress,
    reading,
    roots,
    verification,
    writeback,
)
from .codecs import Codec
from .encryption import Decryption, Encryption
from .errors import DrydockError, IntegrityError, PipelineError, VolumeError, reason
from .manifest import FORMAT
from .pipeline import Stage
from .progress import Watch
from .repositories import Publishing, Repository
from .survey import Beside, Survey
from .volumes import Volume

# Where the time of a file's last change comes from this host's own clock.
_LOCAL = {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "jfs", "overlay", "tmpfs", "xfs", "zfs"}


@dataclass
class Result:
    """What a run did. ``backups`` holds a manifest each, with ``path`` (of the archive; None in check mode) and
    ``seconds`` added; ``unchanged`` the volumes that were left out because their newest backup is as they are, with its
    ``id``; ``expired`` what the retention policy let go, see expiry.expire; ``failures`` a volume's name and the error
    each, and the ``repository`` if it is a copy's; ``earlier`` the identifiers that were there before, by volume;
    ``held`` how each container was made to hold still, by its name; ``copies``, ``copies_expired`` and, by repository
    and volume, ``copied_before`` say the same of the copies, see copies.bring."""

    backups: list[dict[str, Any]] = field(default_factory=list)
    unchanged: list[dict[str, Any]] = field(default_factory=list)
    expired: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    earlier: dict[str, list[str]] = field(default_factory=dict)
    held: dict[str, str] = field(default_factory=dict)
    copies: list[dict[str, Any]] = field(default_factory=list)
    copies_expired: list[dict[str, Any]] = field(default_factory=list)
    copied_before: dict[str, dict[str, list[str]]] = field(default_factory=dict)

    def noting(self, name: str) -> _Noting:
        """A context in which an error is noted as the failure of the volume ``name``, and ends there."""
        return _Noting(self, name)


@dataclass(frozen=True)
class _Noting:
    result: Result
    name: str

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, DrydockError):
            self.result.failures.append({"volume": self.name, "error": str(error)})
            return True
        return False


@dataclass(frozen=True)
class Means:
    """What all volumes of a run are backed up with: see backup.Settings for what isn't said here.

    ``filters`` are the stages between tar and the repository, ``engine`` the versions for the manifest, ``proceed`` is
    called now and then and may end it all by an exception.
    """

    repository: Repository
    host: str
    tar: str
    codec: Codec
    encryption: Encryption | None
    decryption: Decryption | None
    filters: Sequence[Stage]
    engine: Mapping[str, Any]
    on_change: str
    on_read_error: str
    verify: str
    scratch: str
    lock_timeout: float
    stall_timeout: float
    proceed: Callable[[], object]
    purpose: str | None
    result: Result
    watch: Watch | None = None


class Job:
    """The backup of one volume, whose files are in the directory ``tree``. It is ``still`` if nothing that writes to it
    runs while it is read."""

    def __init__(self, means: Means, volume: Volume, tree: str, *, still: bool) -> None:
        self.volume = volume
        self._means = means
        self._tree = tree
        self._still = still
        self._began = time.monotonic()
        self._started = names.utc_now()
        self._publication: Publishing | None = None
        self._read: _Read | None = None
        self._error: DrydockError | None = None
        self._local = False

    def begin(self, *, skip: bool) -> bool:
        """All that can be done before the containers hold still. Return whether there is something to read.

        With ``skip`` there isn't if nothing has changed since the newest backup.
        """
        with self._means.result.noting(self.volume.name):
            return self._begin(skip)
        return False

    def read(self) -> None:
        """Read the volume, once, into the repository, where it doesn't count as a backup yet."""
        try:
            if not (self._still or self._publication is None):
                self._patiently(lambda: writeback.sync_tree(self._tree))
            with self._beside() as beside:
                self._read = self._look(beside) if self._publication is None else self._store(beside, self._publication)
        except DrydockError as error:
            self._error = error  # finish, which cleans up, raises it
        points.reached("archived")

    def finish(self, consistency: Mapping[str, Any]) -> None:
        """Publish what was read, verified as is asked for; if it wasn't, leave no trace of it."""
        with self._means.result.noting(self.volume.name), self._publication or contextlib.nullcontext():
            if self._error is not None:
                raise self._error
            if self._read is None:
                return
            self._means.proceed()
            said = self._read.said
            manifest = self._manifest(consistency, self._read.found)
            path = None
            if self._publication is not None:
                publication = self._publication
                manifest["id"] = publication.id
                manifest["archive"].update(file=publication.file, bytes=publication.size, sha256=publication.sha256)
                manifest["content"].update(
                    entries=self._read.entries,
                    fingerprint=self._read.fingerprint,
                    changed_while_read=list(said.changed),
                    unreadable=list(said.unreadable),
                )
                manifest["verification"] = self._verified(publication, manifest)
                path = publication.publish(manifest)
            self._report(said, consistency)
            self._means.result.backups.append({**manifest, "path": path, "seconds": self._seconds()})

    def _begin(self, skip: bool) -> bool:
        means, name = self._means, self.volume.name
        self._patiently(self._look_first)
        earlier, problems = means.repository.backups(means.host, name)
        means.result.earlier[name] = [manifest["id"] for manifest in earlier]
        means.result.warnings += problems
        if skip and earlier and self._unchanged(earlier[0]):
            means.result.unchanged.append({"volume": name, "id": earlier[0]["id"], "seconds": self._seconds()})
            return False
        self._started = names.utc_now()
        if not means.repository.read_only:
            extension = means.codec.extension + (means.encryption.extension if means.encryption else "")
            self._publication = means.repository.begin(
                means.host, name, extension, self._started, means.lock_timeout, proceed=means.proceed
            )
            points.reached("claimed")
        return True

    def _unchanged(self, newest: Mapping[str, Any]) -> bool:
        """Whether the newest backup holds what the volume holds now, for the same keys."""
        mine = self._means.encryption.record() if self._means.encryption else None
        known = newest["content"]["fingerprint"]
        if known is None or newest["archive"].get("encryption") != mine:
            return False
        with self._beside(hasty=True) as beside:
            return bool(self._survey(beside)[0].fingerprint == known)

    def _look_first(self) -> None:
        """See that the tree is one, and whose clock its times are from."""
        name, repository = self.volume.name, self._means.repository.root
        roots.require_whole(self._tree, name)
        if nesting.holds(self._tree, repository):
            raise VolumeError(
                f"volume {name}: the repository {repository} is in the volume itself: each backup would hold all those "
                "before it, and be lost with the volume; give another repository, or leave this volume out (a selector "
                "has exclude); nothing was added to the repository"
            )
        self._local = mountinfo.file_system(self._tree) in _LOCAL

    def _patiently(self, act: Callable[[], None]) -> None:
        """Do something in the tree that may hang. Raise VolumeError if it does, or the tree can't be read."""
        name = self.volume.name
        try:
            patience.within(self._means.stall_timeout, act, self._means.proceed)
        except patience.HangingError as error:
            raise VolumeError(f"volume {name}: {error}; nothing was added to the repository") from error
        except OSError as error:
            why = f"{self._tree} can't be read: {reason(error)}"
            raise VolumeError(f"volume {name}: {why}; nothing was added to the repository") from error

    def _beside(self, *, hasty: bool = False) -> Beside:
        return Beside(self._tree, tolerant=self._means.on_read_error == "warn", hasty=hasty)

    def _look(self, beside: Beside) -> _Read:
        """What can be known without reading: that is check mode."""
        found, _steady = self._survey(beside)
        return _Read(found, None, found.entries, archive.Reading((), ()))

    def _store(self, beside: Beside, publication: Publishing) -> _Read:
        """Send the volume through the pipe into the repository. Raise DrydockError unless all of it arrived."""
        # A server's clock may be behind ours: there the fingerprint is of the time before the read, so that whatever
        # changes later makes a different one.
        ahead = None if self._local else self._survey(beside)[0]
        members = archive.Members()
        try:
            outcomes = pipeline.run(
                [archive.create(self._means.tar, self._tree), *self._means.filters],
                sink=publication.write,
                listing=members,
                gauge=progress.gauge(self._means.watch, self.volume.name, "read", lambda: beside.known),
                stall_timeout=self._means.stall_timeout,
                proceed=self._means.proceed,
                blocking=publication.blocking,
            )
        except PipelineError as error:
            raise PipelineError(f"volume {self.volume.name}: {error}; nothing was added to the repository") from error
        found, steady = (ahead, True) if ahead else self._survey(beside)
        said = reading.judge(
            outcomes,
            volume=self.volume.name,
            tree=self._tree,
            on_change=self._means.on_change,
            on_read_error=self._means.on_read_error,
            then="nothing was added to the repository",
        )
        # what couldn't be read mustn't be taken for unchanged once it can be, and the walk may have been there first
        known = steady and not said.unreadable and not said.changed
        return _Read(found, found.fingerprint if known else None, members.count, said)

    def _survey(self, beside: Beside) -> tuple[Survey, bool]:
        """Wait for a walk over the tree. Raise VolumeError if tar could store the tree but not restore it."""
        try:
            found, steady = beside.result(self._means.stall_timeout, self._means.proceed)
        except VolumeError as error:
            raise VolumeError(f"volume {self.volume.name}: {error}; nothing was added to the repository") from error
        if found.too_long:
            raise VolumeError(
                f"volume {self.volume.name}: {found.too_long} path(s) in it are longer than the "
                f"{archive.LONGEST_MEMBER} bytes that tar can restore; give their directories shorter names; nothing "
                "was added to the repository"
            )
        return found, steady

    def _verified(self, publication: Publishing, manifest: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._verify(publication, manifest)
        except DrydockError as error:
            bad = isinstance(error, (IntegrityError, PipelineError))
            what = "was verified and can't be trusted" if bad else "can't be verified"
            raise type(error)(
                f"volume {self.volume.name}: its archive {what}: {error}; nothing was added to the repository"
            ) from error

    def _verify(self, publication: Publishing, manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Read the archive back as is asked for, and return what the manifest says of that."""
        means, stored = self._means, manifest["archive"]
        began = time.monotonic()
        how = publication.arrived()
        upload = {"upload": how} if how else {}
        if means.verify == "none":
            return {"method": "none", **upload}
        pipe: dict[str, Any] = {"stall_timeout": means.stall_timeout, "proceed": means.proceed}
        method = means.verify
        if means.watch is not None:
            means.watch(self.volume.name, "verify", 0, None)
        with publication.reading() as read, contextlib.ExitStack() as stack:
            filters: list[Stage] | None = None
            if means.encryption is None or means.decryption is not None:
                decryptor = encryption.decryptor(means.decryption, stored["encryption"], read.head())
                filters = [*stack.enter_context(decryptor), *means.codec.decompressor()]
            else:
                method = "checksum"
            verification.archive_readable(
                read,
                sha256=stored["sha256"],
                size=stored["bytes"],
                entries=manifest["content"]["entries"],
                filters=filters,
                tar=means.tar,
                **pipe,
            )
            if means.verify == "restore" and filters is not None:
                verification.restorable(
                    read,
                    tree=self._tree,
                    started=int(self._started.timestamp() * 1e9),
                    scratch=means.scratch,
                    needed=manifest["content"]["allocated_bytes"],
                    filters=filters,
                    tar=means.tar,
                    **pipe,
                )
        return {"method": method, "seconds": round(time.monotonic() - began, 3), **upload}

    def _report(self, said: archive.Reading, consistency: Mapping[str, Any]) -> None:
        name, warnings = self.volume.name, self._means.result.warnings
        if said.changed:
            warnings.append(
                f"volume {name}: {reading.some(said.changed)} changed, shrank or vanished while read, so the backup "
                "may hold them in a state that never was"
            )
        if said.unreadable:
            warnings.append(f"volume {name}: {reading.some(said.unreadable)} can't be read and are not in the backup")
        if consistency.get("ran_meanwhile"):
            warnings.append(
                f"volume {name}: {', '.join(consistency['ran_meanwhile'])} ran while it was read, so the backup is "
                "kept but counts as one made without quiescing"
            )
        warnings += [f"volume {name}: {note}" for note in said.notes]

    def _manifest(self, consistency: Mapping[str, Any], found: Survey) -> dict[str, Any]:
        """The manifest as far as it is known without an archive."""
        means = self._means
        return {
            "format": FORMAT,
            "id": None,
            "host": means.host,
            "kind": "volume",
            **({"purpose": means.purpose} if means.purpose else {}),
            "volume": self.volume.description(),
            "archive": {
                "file": None,
                "bytes": None,
                "sha256": None,
                "compression": means.codec.name,
                "encryption": means.encryption.record() if means.encryption else None,
            },
            "content": {
                "bytes": found.bytes,
                "allocated_bytes": found.allocated,
                "entries": found.entries,
                "fingerprint": found.fingerprint,
                "changed_while_read": [],
                "unreadable": [],
            },
            "consistency": dict(consistency),
            "verification": {"method": means.verify},
            "started_at": names.iso(self._started),
            "finished_at": names.iso(names.utc_now()),
            "engine": dict(means.engine),
        }

    def _seconds(self) -> float:
        return round(time.monotonic() - self._began, 3)


@dataclass(frozen=True)
class _Read:
    """What a read found: the tree, its fingerprint if that is also the archive's, the archive's number of entries, and
    what tar said."""

    found: Survey
    fingerprint: str | None
    entries: int
    said: archive.Reading
