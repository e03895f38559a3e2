# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup into a volume that is new or empty: all of it, or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from . import archive, codecs, names, pipeline, staging, tools, volumes
from .client import Client
from .errors import DrydockError, IntegrityError, PipelineError, RepositoryError, VolumeError
from .repository import Directory

LATEST = "latest"


@dataclass(frozen=True)
class Result:
    """What a restore did, or in check mode would do. ``manifest`` is the backup's; ``created`` tells whether the volume
    was made for it; ``seconds`` is the whole time."""

    manifest: dict[str, Any]
    created: bool
    seconds: float
    warnings: list[str]


def restore(
    client: Client,
    repository: Directory,
    target: str,
    *,
    host: str,
    source: str | None = None,
    backup: str = LATEST,
    check: bool = False,
) -> Result:
    """Restore ``backup`` (``latest`` or an identifier) of the volume ``source`` of ``host`` into the volume ``target``.

    ``target`` is created as the manifest records it where it doesn't exist, and must be empty and unused where it does.
    Raise DrydockError, with the volume as it was, if anything is in the way or goes wrong. With ``check`` everything is
    looked at, the archive's checksum too, and nothing is changed.
    """
    began = time.monotonic()
    volumes.require_local(client)
    names.path_component("volume", target)
    manifest, warnings = _choose(repository, host, source or target, backup)
    codec = codecs.codec(manifest["archive"]["compression"])
    decompressor = codec.decompressor()
    tar, _version = tools.gnu_tar()
    known = client.volumes()
    exists = target in known
    recorded = manifest["volume"]
    if exists:
        _require_free(client, volumes.find(known, target))
    else:
        _require_creatable(known, target, recorded)
    with open(repository.archive(manifest), "rb", buffering=0) as stored:
        _verify(stored.fileno(), manifest, stored.name)
        if not check:
            if exists:
                _extract(stored.fileno(), manifest, volumes.find(known, target), decompressor, tar)
            else:
                with _created(client, target, recorded) as volume:
                    _extract(stored.fileno(), manifest, volume, decompressor, tar)
    return Result(manifest, not exists, round(time.monotonic() - began, 3), warnings)


def _choose(repository: Directory, host: str, source: str, backup: str) -> tuple[dict[str, Any], list[str]]:
    """The manifest of the backup that is asked for, and warnings about those that can't be used."""
    if backup != LATEST:
        return repository.backup(host, source, backup), []
    complete, problems = repository.backups(host, source)
    if not complete:
        why = f" ({'; '.join(problems)})" if problems else ""
        raise RepositoryError(
            f"repository {repository.root} has no complete backup of volume {source} from host {host}{why}; check the "
            "repository, host and source_volume; nothing was changed"
        )
    return complete[0], problems


def _require_free(client: Client, volume: volumes.Volume) -> None:
    """Raise VolumeError unless the volume's directory is empty and no running container uses it."""
    staging.require_empty(volumes.files(volume), volume.name)
    running = [
        container["Names"][0].lstrip("/")
        for container in client.containers(volume=volume.name)
        if container["State"] in ("running", "paused", "restarting")
    ]
    if running:
        raise VolumeError(
            f"volume {volume.name} is used by running containers ({', '.join(sorted(running))}); stop them first; "
            "nothing was changed"
        )


def _require_creatable(known: dict[str, dict[str, Any]], target: str, recorded: dict[str, Any]) -> None:
    """Raise VolumeError if the volume that the manifest records can't be made here, or not without harm."""
    planned = volumes.Volume.from_api(
        {"Name": target, "Driver": recorded["driver"], "Options": recorded["options"], "Mountpoint": "/"}
    )
    path = volumes.files(planned)
    if not planned.options:
        return
    for other in map(volumes.Volume.from_api, known.values()):
        if volumes.is_bind(other.driver, other.options) and other.options.get("device") == path:
            raise VolumeError(
                f"volume {target} can't be created as it was: its device {path} belongs to volume {other.name}; create "
                f"{target} with a device of its own first; nothing was changed"
            )
    staging.require_empty(path, target)


@contextlib.contextmanager
def _created(client: Client, name: str, recorded: dict[str, Any]) -> Iterator[volumes.Volume]:
    """The volume made as recorded, and removed again if what happens with it fails."""
    made = client.create_volume(name, recorded["driver"], recorded["options"], recorded["labels"])
    try:
        yield volumes.Volume.from_api(made)
    except BaseException as error:
        try:
            client.remove_volume(name)
        except DrydockError as second:
            raise VolumeError(f"{error}; and volume {name}, made for it, is still there: {second}") from error
        raise


def _verify(descriptor: int, manifest: dict[str, Any], path: str) -> None:
    """Raise IntegrityError unless the archive has the manifest's checksum."""
    digest = hashlib.sha256()
    feed = _feed(descriptor)
    for data in iter(feed, b""):
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


def _extract(
    descriptor: int, manifest: dict[str, Any], volume: volumes.Volume, decompressor: list[pipeline.Stage], tar: str
) -> None:
    """Extract the archive next to nothing else, and make it the volume's contents if all of it arrived."""
    with staging.Staging(volumes.files(volume), volume.name) as staged:
        members = archive.Members()
        stages = [*decompressor, archive.extract(tar, staged.path)]
        bad = pipeline.failed(pipeline.run(stages, feed=_feed(descriptor), listing=members))
        if bad is not None:
            raise PipelineError(f"volume {volume.name}: {bad}; what was extracted is removed, the volume is empty")
        expected = manifest["content"]["entries"]
        if members.count != expected:
            raise IntegrityError(
                f"volume {volume.name}: the archive held {members.count} entries, its manifest says {expected}; what "
                "was extracted is removed, the volume is empty"
            )
        staged.commit()
