# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup into a volume: all of it, or nothing. What the volume held before is replaced only on demand."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import archive, bare, codecs, encryption, names, pipeline, recovery, target, tools, volumes
from .client import Client
from .errors import IntegrityError, PipelineError, RepositoryError, UsageError, VolumeError
from .repository import Directory
from .survey import Survey
from .target import Target

LATEST = "latest"


@dataclass(frozen=True)
class Settings(target.Settings):
    """How to restore: how to treat the volume, and how to read the archive. In check mode its checksum is verified."""

    decryption: encryption.Decryption | None = None
    stall_timeout: float = 600


@dataclass
class Result(target.Outcome):
    """What became of the volume, how many ``entries`` it has by that, the sum of its files' sizes in ``bytes``, and the
    whole time in ``seconds``. Of a backup there is its ``manifest``, which is empty for an archive without one."""

    manifest: dict[str, Any] = field(default_factory=dict)
    entries: int = 0
    bytes: int = 0
    seconds: float = 0


def restore(
    client: Client,
    repository: Directory,
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
    manifest, warnings = choose(repository, host, source or volume, backup, before)
    content = manifest["content"]
    result = Result(manifest=manifest, entries=content["entries"], bytes=content["bytes"], warnings=warnings)
    if not settings.check:
        result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
    _require_same_owners(client, manifest)
    with open(repository.archive(manifest), "rb", buffering=0) as stored, contextlib.ExitStack() as stack:
        wanted = Target(client, volume, settings, result, stack)
        wanted.prepare(manifest["volume"])
        _verify(stored.fileno(), manifest, stored.name)
        wanted.receive(_Archive(stored.fileno(), volume, manifest, settings, stack))
    result.seconds = round(time.monotonic() - began, 3)
    return result


def restore_archive(
    client: Client,
    path: str,
    volume: str,
    *,
    checksum: str | None = None,
    strip_components: int = 0,
    settings: Settings,
) -> Result:
    """Restore the archive at ``path``, which has no manifest, into ``volume``.

    ``checksum`` is its SHA-256 in hexadecimal, perhaps with ``sha256:`` in front. So many components as
    ``strip_components`` says are taken off each member's name. Raise DrydockError, with the volume as it was, if
    anything is in the way or goes wrong.
    """
    began = time.monotonic()
    expected = None if checksum is None else bare.checksum(checksum)
    if strip_components < 0:
        raise UsageError(f"strip_components is {strip_components}; it must be 0 or more")
    volumes.require_local(client)
    names.path_component("volume", volume)
    result = Result()
    with bare.opened(path) as descriptor, contextlib.ExitStack() as stack:
        if not settings.check:
            result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
        wanted = Target(client, volume, settings, result, stack)
        wanted.prepare({"driver": "local", "options": {}, "labels": {}})
        if expected is not None:
            bare.verify(descriptor, path, expected)
        tree = bare.Bare(
            descriptor,
            path,
            volume,
            strip_components=strip_components,
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
    repository: Directory, host: str, source: str, backup: str, before: datetime | None = None
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
            f"repository {repository.root} has no complete backup of volume {source} from host {host}{when}{why}; "
            "check the repository, host and source_volume; nothing was changed"
        )
    return found[0], problems


def _began_by(backup_id: str, moment: datetime) -> bool:
    with contextlib.suppress(ValueError):
        return names.when(backup_id) <= moment
    return False


class _Archive:
    """What the archive of a backup holds, for a target.Target."""

    def __init__(
        self,
        descriptor: int,
        volume: str,
        manifest: dict[str, Any],
        settings: Settings,
        stack: contextlib.ExitStack,
    ) -> None:
        """Find all that it takes to read it: programs and keys. Raise DrydockError if something isn't there."""
        self._descriptor = descriptor
        self._volume = volume
        self._content = manifest["content"]
        self._stall_timeout = settings.stall_timeout
        self._tar, _version = tools.gnu_tar()
        head = os.pread(descriptor, encryption.HEAD, 0)
        cipher = manifest["archive"].get("encryption")
        decryptor = stack.enter_context(encryption.decryptor(settings.decryption, cipher, head))
        self._filters = [*decryptor, *codecs.codec(manifest["archive"]["compression"]).decompressor()]
        self.allocated: int = self._content.get("allocated_bytes", 0)
        self.rooted = True
        self.entries: int = self._content["entries"]

    def may_be(self, found: Survey) -> bool:
        """Whether a tree of which this much is known may be the same."""
        return (found.entries, found.bytes) == (self._content["entries"], self._content["bytes"])

    def fill(self, directory: str) -> None:
        """Extract the archive. Raise PipelineError or IntegrityError unless all of it arrived."""
        members = archive.Members()
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        outcomes = pipeline.run(
            [*self._filters, archive.extract(self._tar, directory)],
            source=self._descriptor,
            listing=members,
            stall_timeout=self._stall_timeout,
        )
        bad = pipeline.failed(outcomes) or outcomes[-1]
        if bad.status != 0 or bad.said:
            raise PipelineError(f"volume {self._volume}: {bad}; what was extracted is removed, the volume is as it was")
        if members.count != self._content["entries"]:
            raise IntegrityError(
                f"volume {self._volume}: the archive held {members.count} entries, its manifest says "
                f"{self._content['entries']}; what was extracted is removed, the volume is as it was"
            )


def _require_same_owners(client: Client, manifest: dict[str, Any]) -> None:
    """Raise VolumeError if the numbers of owners on disk mean others here than where the backup was made."""
    then = bool(manifest.get("engine", {}).get("userns"))
    now = client.user_namespaces()
    if then != now:
        words = {True: "remaps user ids (userns-remap)", False: "doesn't remap user ids"}
        raise VolumeError(
            f"backup {manifest['id']} was made where Docker {words[then]}, and here it {words[now]}: the files would "
            "belong to others; nothing was changed"
        )


def _verify(descriptor: int, manifest: dict[str, Any], path: str) -> None:
    """Raise IntegrityError unless the archive has the manifest's checksum."""
    digest = hashlib.sha256()
    for data in iter(_feed(descriptor), b""):
        digest.update(data)
    expected = manifest["archive"]["sha256"]
    if digest.hexdigest() != expected:
        raise IntegrityError(
            f"archive {path} is damaged: its SHA-256 is {digest.hexdigest()}, its manifest says {expected}; restore "
            "another backup; nothing was changed"
        )


def _feed(descriptor: int) -> Callable[[], memoryview]:
    """A function that gives the file's bytes from its start, chunk by chunk, and nothing at the end."""
    os.lseek(descriptor, 0, os.SEEK_SET)
    buffer = bytearray(pipeline.CHUNK)
    return lambda: memoryview(buffer)[: os.readv(descriptor, [buffer])]
