# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup into a volume: all of it, or nothing. What the volume held before is replaced only on demand."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from . import (
    archive,
    bare,
    codecs,
    encryption,
    names,
    patience,
    pipeline,
    progress,
    recovery,
    target,
    tools,
    verification,
    volumes,
)
from .client import Client
from .errors import DrydockError, IntegrityError, PipelineError, RepositoryError, UsageError, VolumeError
from .faithful import Comparison, Following
from .progress import Watch
from .repositories import Repository
from .safety import Safety
from .stored import Stored
from .survey import Survey
from .target import Target

LATEST = "latest"
# So far may the clocks of two hosts be apart.
_SKEW = timedelta(minutes=10)


@dataclass(frozen=True)
class Settings(target.Settings):
    """How to restore: how to treat the volume, and how to read the archive. In check mode its checksum is verified.

    ``verify`` is how to make sure that a backup was restored truly: none, or compare, see faithful. ``watch`` is told
    how far the archive has been read.
    """

    decryption: encryption.Decryption | None = None
    stall_timeout: float = 600
    verify: str = "compare"
    watch: Watch | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for settings that won't do."""
        super().__post_init__()
        patience.require_seconds(stall_timeout=self.stall_timeout)


@dataclass
class Result(target.Outcome):
    """What became of the volume, how many ``entries`` it has by that, the sum of its files' sizes in ``bytes``, and the
    whole time in ``seconds``. Of a backup there is its ``manifest``, which is empty for an archive without one.
    ``verified`` is what was compared with the archive, if it was."""

    manifest: dict[str, Any] = field(default_factory=dict)
    entries: int = 0
    bytes: int = 0
    verified: Comparison | None = None
    seconds: float = 0


def restore(
    client: Client,
    repository: Repository,
    volume: str,
    *,
    host: str,
    source: str | None = None,
    backup: str = LATEST,
    before: datetime | None = None,
    settings: Settings,
) -> Result:
    """Restore a backup of the volume ``source`` of ``host``, see choose for which, into ``volume``.

    Raise DrydockError, with the volume as it was, if anything is in the way or goes wrong.
    """
    began = time.monotonic()
    volumes.require_local(client)
    names.path_component("volume", volume)
    repository.folder(host, source or volume)  # names first
    if (source or volume).startswith(names.DATABASE):
        raise UsageError(
            f"{source} holds backups of databases, which are no volume's files; restore them with "
            "docker_database_restore; nothing was changed"
        )
    repository.require_there()
    manifest, warnings = choose(repository, host, source or volume, backup, before)
    if backup == LATEST and before is None:
        _require_other_folder(settings.safety, volume, repository.folder(host, source or volume))
    content = manifest["content"]
    result = Result(manifest=manifest, entries=content["entries"], bytes=content["bytes"], warnings=warnings)
    if not settings.check:
        result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
    _require_same_owners(client, manifest)
    with repository.stored(manifest) as stored, contextlib.ExitStack() as stack:
        wanted = Target(client, volume, settings, result, stack)
        wanted.prepare(manifest["volume"])
        wanted.require_apart("the backup", repository.archive(manifest))
        _verify(stored, manifest, repository.archive(manifest))
        tree = _Archive(stored, volume, manifest, settings, stack)
        if wanted.irrevocable:
            tree.examine()
        wanted.receive(tree)
        result.verified = tree.verified
    if result.verified is not None and result.verified.coarse:
        result.warnings.append(
            f"volume {volume}: its file system keeps times less exactly than the backup: they were cut"
        )
    result.seconds = round(time.monotonic() - began, 3)
    return result


def restore_archive(client: Client, source: bare.Source, volume: str, *, settings: Settings) -> Result:
    """Restore an archive without a manifest into ``volume``.

    Raise DrydockError, with the volume as it was, if anything is in the way or goes wrong.
    """
    began = time.monotonic()
    volumes.require_local(client)
    names.path_component("volume", volume)
    result = Result()
    with bare.opened(source.path) as descriptor, contextlib.ExitStack() as stack:
        if not settings.check:
            result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
        wanted = Target(client, volume, settings, result, stack)
        wanted.prepare({"driver": "local", "options": {}, "labels": {}})
        wanted.require_apart("the archive", source.path)
        if source.sha256 is not None:
            bare.verify(descriptor, source.path, source.sha256)
        tree = bare.Bare(
            descriptor,
            source,
            volume,
            decryption=settings.decryption,
            stall_timeout=settings.stall_timeout,
            stack=stack,
        )
        result.entries, result.bytes = tree.entries, tree.bytes
        result.warnings += tree.warnings()
        wanted.receive(tree)
    result.seconds = round(time.monotonic() - began, 3)
    return result


def choose(
    repository: Repository, host: str, source: str, backup: str, before: datetime | None = None
) -> tuple[dict[str, Any], list[str]]:
    """The manifest of the backup that is asked for, and warnings about those that can't be used.

    ``backup`` is an identifier, or ``latest``: the newest complete backup, with ``before`` the newest one that began no
    later than that.
    """
    if backup != LATEST:
        if before is not None:
            raise UsageError("before is for the newest backup up to a time; leave it out, or backup")
        return repository.backup(host, source, backup), []
    complete, problems = repository.backups(host, source)
    found = [manifest for manifest in complete if before is None or _began_by(manifest["id"], before)]
    if not found:
        why = f" ({'; '.join(problems)})" if problems else ""
        when = f" from before {names.iso(before)}" if before is not None else ""
        raise RepositoryError(
            f"repository {repository.root} has no complete backup of {names.described(source)} from host "
            f"{host}{when}{why}; check the repository, host and {_option(source)}; nothing was changed"
        )
    return found[0], problems + _of_the_future(found, names.utc_now())


def _of_the_future(found: list[dict[str, Any]], now: datetime) -> list[str]:
    """A warning if the first of the backups is dated after now: it may be older than those after it."""
    past = [manifest["id"] for manifest in found if _began_by(manifest["id"], now + _SKEW)]
    newest = found[0]["id"]
    if newest in past:
        return []
    instead = f"; the newest one that isn't: {past[0]}" if past else ""
    what = f"backup {newest} is restored as the newest one, and is dated in the future"
    return [f"{what}: a clock was wrong when it was made, or is wrong now{instead}"]


def _option(source: str) -> str:
    """The option that names the source of a restore."""
    return "source_container" if source.startswith(names.DATABASE) else "source_volume"


def _require_other_folder(safety: Safety | None, volume: str, folder: str) -> None:
    """Raise UsageError if the safety backup would be the newest one among those that the newest is restored of."""
    if safety is not None and safety.repository.folder(safety.host, volume) == folder:
        raise UsageError(
            f"the safety backup would become the newest backup in {folder}, and this task, run again, would restore "
            "it; give it another repository or host, or say which backup to restore; nothing was changed"
        )


def _began_by(backup_id: str, moment: datetime) -> bool:
    with contextlib.suppress(ValueError):
        return names.when(backup_id) <= moment
    return False


class _Archive:
    """What the archive of a backup holds, for a target.Target."""

    def __init__(
        self,
        stored: Stored,
        volume: str,
        manifest: dict[str, Any],
        settings: Settings,
        stack: contextlib.ExitStack,
    ) -> None:
        """Find all that it takes to read it: programs and keys. Raise DrydockError if something isn't there."""
        self._stored = stored
        self._volume = volume
        self._manifest = manifest
        self._content = manifest["content"]
        self._stall_timeout = settings.stall_timeout
        size = manifest["archive"]["bytes"]
        self._gauge = progress.gauge(settings.watch, manifest["volume"]["name"], "restore", lambda: size)
        self._compare = settings.verify == "compare" and not settings.check
        self._tar, _version = tools.gnu_tar()
        cipher = manifest["archive"].get("encryption")
        decryptor = stack.enter_context(
            encryption.decryptor(settings.decryption, cipher, stored.head() if cipher else b"")
        )
        self._filters = [*decryptor, *codecs.codec(manifest["archive"]["compression"]).decompressor()]
        self.allocated: int = self._content.get("allocated_bytes", 0)
        self.rooted = True
        self.entries: int = self._content["entries"]
        self.verified: Comparison | None = None

    def may_be(self, found: Survey) -> bool:
        """Whether a tree of which this much is known may be the same."""
        return (found.entries, found.bytes) == (self._content["entries"], self._content["bytes"])

    def examine(self) -> None:
        """Read all of the archive as for an extraction. Raise IntegrityError or PipelineError unless it is whole."""
        stored = self._manifest["archive"]
        try:
            verification.archive_readable(
                self._stored,
                sha256=stored["sha256"],
                size=stored["bytes"],
                entries=self._content["entries"],
                filters=self._filters,
                tar=self._tar,
                stall_timeout=self._stall_timeout,
            )
        except DrydockError as error:
            raise type(error)(f"volume {self._volume}: {error}; nothing was changed") from error

    def fill(self, directory: str) -> None:
        """Extract the archive. Raise PipelineError or IntegrityError unless all of it arrived, as it is in there."""
        members = archive.Members()
        as_it_was = "what was extracted is removed, the volume is as it was"
        with contextlib.ExitStack() as stack:
            following = stack.enter_context(Following(directory)) if self._compare else None
            try:
                outcomes = self._read(archive.extract(self._tar, directory), listing=members, following=following)
            except (IntegrityError, RepositoryError) as error:
                raise type(error)(f"volume {self._volume}: {error}; {as_it_was}") from error
            bad = pipeline.failed(outcomes) or outcomes[-1]
            if bad.status != 0 or bad.said:
                raise PipelineError(f"volume {self._volume}: {bad}; {as_it_was}")
            if members.count != self._content["entries"]:
                raise IntegrityError(
                    f"volume {self._volume}: the archive held {members.count} entries, its manifest says "
                    f"{self._content['entries']}; {as_it_was}"
                )
            if following is not None:
                try:
                    self.verified = following.finish(lambda sink: self._read(sink=sink))
                    self.verified.require_none()
                except (IntegrityError, RepositoryError, VolumeError) as error:
                    raise type(error)(f"volume {self._volume}: {error}; {as_it_was}") from error

    def _read(
        self,
        *tar: pipeline.Stage,
        listing: archive.Members | None = None,
        following: Following | None = None,
        sink: Callable[[memoryview], object] | None = None,
    ) -> list[pipeline.Outcome]:
        """Read the archive from its start, with tar at the end or into ``sink``."""
        # a pipe is what can be followed, and what has an end to read from
        plain = [] if self._filters or (sink is None and following is None) else [_plain()]
        with self._stored.reading() as descriptor:
            return pipeline.run(
                [*self._filters, *plain, *tar],
                source=descriptor,
                sink=sink,
                listing=listing,
                tap=None if following is None else following.tap,
                gauge=self._gauge,
                stall_timeout=self._stall_timeout,
            )


def _plain() -> pipeline.Stage:
    """The stage that passes on an archive which is neither encrypted nor compressed."""
    return pipeline.Stage("cat", (tools.need("cat", "coreutils"),))


def _require_same_owners(client: Client, manifest: dict[str, Any]) -> None:
    """Raise VolumeError if the numbers of owners on disk mean others here than where the backup was made."""
    then = bool(manifest.get("engine", {}).get("userns"))
    now = client.user_namespaces()
    if then != now:
        words = {True: "remaps user ids (userns-remap)", False: "doesn't remap user ids"}
        raise VolumeError(
            f"backup {manifest['id']} of volume {manifest['volume']['name']} was made where Docker {words[then]}, and "
            f"here it {words[now]}: the files would belong to others; nothing was changed"
        )


def _verify(stored: Stored, manifest: dict[str, Any], path: str) -> None:
    """Raise IntegrityError unless the archive has the manifest's checksum."""
    try:
        found, _size = stored.digest()
    except RepositoryError as error:
        raise RepositoryError(f"{error}; nothing was changed") from error
    expected = manifest["archive"]["sha256"]
    if found != expected:
        raise IntegrityError(
            f"archive {path} is damaged: its SHA-256 is {found}, its manifest says {expected}; restore another backup; "
            "nothing was changed"
        )
