# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup into a volume that is new or empty: all of it, or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from . import archive, codecs, encryption, mounts, names, pipeline, staging, tools, volumes
from .client import Client
from .errors import REDACTED, DrydockError, IntegrityError, PipelineError, RepositoryError, VolumeError
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
    decryption: encryption.Decryption | None = None,
    helper_image: str | None = None,
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
    listed = known.get(target) or client.volume(target)
    if listed:
        known[target] = listed
    exists = target in known
    recorded = manifest["volume"]
    with contextlib.ExitStack() as stack:
        if exists:
            place = _existing(client, volumes.find(known, target), helper_image, stack)
        else:
            _require_creatable(known, target, recorded)
        stored = stack.enter_context(open(repository.archive(manifest), "rb", buffering=0))
        _verify(stored.fileno(), manifest, stored.name)
        head = os.pread(stored.fileno(), encryption.HEAD, 0)
        cipher = manifest["archive"].get("encryption")
        decryptor = stack.enter_context(encryption.decryptor(decryption, cipher, head))
        if not check:
            if not exists:
                place = _create(client, target, recorded, helper_image, stack)
            _extract(stored.fileno(), manifest, target, place, [*decryptor, *decompressor], tar)
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


def _existing(client: Client, volume: volumes.Volume, helper_image: str | None, stack: contextlib.ExitStack) -> str:
    """Where an existing volume's files are. Raise VolumeError unless it is empty and no running container has it."""
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
    path = stack.enter_context(mounts.reach(client, [volume], helper_image)).path(volume.name)
    staging.require_empty(path, volume.name)
    return path


def _require_creatable(known: dict[str, dict[str, Any]], target: str, recorded: dict[str, Any]) -> None:
    """Raise VolumeError if the volume that the manifest records can't be made here, or not without harm."""
    options = recorded["options"]
    if any(REDACTED in value for value in options.values()):
        raise VolumeError(
            f"volume {target} doesn't exist, and the backup doesn't record the passwords in its driver options; create "
            "the volume first; nothing was changed"
        )
    if not volumes.is_bind(recorded["driver"], options):
        return
    planned = {"Name": target, "Driver": recorded["driver"], "Options": options}
    path = volumes.direct(volumes.Volume.from_api(planned))
    for other in map(volumes.Volume.from_api, known.values()):
        if volumes.is_bind(other.driver, other.options) and other.options.get("device") == path:
            raise VolumeError(
                f"volume {target} can't be created as it was: its device {path} belongs to volume {other.name}; create "
                f"{target} with a device of its own first; nothing was changed"
            )
    staging.require_empty(str(path), target)


def _create(
    client: Client, name: str, recorded: dict[str, Any], helper_image: str | None, stack: contextlib.ExitStack
) -> str:
    """Make the volume as recorded, to be removed again if anything fails later, and return where its files are."""
    if name in client.volumes():
        raise VolumeError(f"volume {name} was created by somebody else meanwhile; nothing was changed")
    made = client.create_volume(name, recorded["driver"], recorded["options"], recorded["labels"])
    volume = volumes.Volume.from_api(made)
    if volume.driver == "local":
        stack.push(_removing(client, name))
        return stack.enter_context(mounts.reach(client, [volume], helper_image)).path(name)
    # A plugin may have found files that it knew of, and would remove them with the volume.
    try:
        place = stack.enter_context(mounts.reach(client, [volume], helper_image)).path(name)
        staging.require_empty(place, name)
    except DrydockError as error:
        raise VolumeError(
            f"volume {name} was created by its driver {volume.driver}, which may have found files of that name, so it "
            f"isn't removed again: {error}"
        ) from error
    stack.push(_removing(client, name))
    return place


def _removing(client: Client, name: str) -> Callable[..., None]:
    """An exit of a context that removes the volume if the context failed."""

    def leave(_kind: object, error: BaseException | None, _trace: object) -> None:
        if error is None:
            return
        try:
            path = volumes.direct(volumes.find(client.volumes(), name))
            if path is None or not os.listdir(path):  # what has files by now isn't what was made here
                client.remove_volume(name)
        except (DrydockError, OSError) as second:
            raise VolumeError(f"{error}; and volume {name}, made for it, can't be removed: {second}") from error

    return leave


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
    descriptor: int, manifest: dict[str, Any], name: str, place: str, filters: list[pipeline.Stage], tar: str
) -> None:
    """Extract the archive next to nothing else, and make it the volume's contents if all of it arrived."""
    with staging.Staging(place, name) as staged:
        members = archive.Members()
        stages = [*filters, archive.extract(tar, staged.path)]
        with staged.filling():
            os.lseek(descriptor, 0, os.SEEK_SET)
            outcomes = pipeline.run(stages, source=descriptor, listing=members)
        bad = pipeline.failed(outcomes) or outcomes[-1]
        if bad.status != 0 or bad.said:
            raise PipelineError(f"volume {name}: {bad}; what was extracted is removed, the volume is as it was")
        expected = manifest["content"]["entries"]
        if members.count != expected:
            raise IntegrityError(
                f"volume {name}: the archive held {members.count} entries, its manifest says {expected}; what was "
                "extracted is removed, the volume is as it was"
            )
        staged.commit()
