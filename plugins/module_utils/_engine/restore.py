# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a backup into a volume: all of it, or nothing. What the volume held before is replaced only on demand."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from . import (
    archive,
    codecs,
    compare,
    encryption,
    grouping,
    mounts,
    names,
    pipeline,
    quiesce,
    recovery,
    staging,
    survey,
    tools,
    volumes,
)
from .client import Client
from .errors import (
    REDACTED,
    DrydockError,
    IntegrityError,
    PipelineError,
    RepositoryError,
    UsageError,
    VolumeError,
    redact,
)
from .quiesce import Limits, Window
from .repository import Directory

LATEST = "latest"


@dataclass(frozen=True)
class Settings:
    """How to restore.

    A volume that isn't empty is refused, or its contents are replaced (``when_not_empty`` fail or replace); the same
    for one that running containers use (``quiesce`` none or stop). A volume that doesn't exist is made as the manifest
    records it, but for ``driver``, ``driver_options`` and ``labels`` where these aren't None. ``helper_image`` is for
    mounts.reach. With ``check`` everything is looked at, the archive's checksum too, and nothing is changed.
    """

    decryption: encryption.Decryption | None = None
    when_not_empty: str = "fail"
    quiesce: str = "none"
    limits: Limits = field(default_factory=Limits)
    driver: str | None = None
    driver_options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    stall_timeout: float = 600
    helper_image: str | None = None
    check: bool = False


@dataclass
class Result:
    """What a restore did, or in check mode would do.

    ``manifest`` is the backup's; ``changed`` is False where the volume held exactly that already; ``created`` tells
    whether the volume was made for it; ``held`` names the containers that were stopped for ``downtime`` seconds, and
    ``failures`` says which of them aren't back as they were; ``seconds`` is the whole time.
    """

    manifest: dict[str, Any]
    changed: bool = True
    created: bool = False
    entries_before: int = 0
    held: list[str] = field(default_factory=list)
    downtime: float = 0
    seconds: float = 0
    warnings: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


def restore(
    client: Client,
    repository: Directory,
    target: str,
    *,
    host: str,
    source: str | None = None,
    backup: str = LATEST,
    before: datetime | None = None,
    settings: Settings,
) -> Result:
    """Restore a backup of the volume ``source`` of ``host``, see choose for which, into the volume ``target``.

    Raise DrydockError, with the volume as it was, if anything is in the way or goes wrong.
    """
    began = time.monotonic()
    volumes.require_local(client)
    names.path_component("volume", target)
    manifest, warnings = choose(repository, host, source or target, backup, before)
    result = Result(manifest, warnings=warnings)
    if not settings.check:
        result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
    run = _Restore(client, target, manifest, settings, result)
    with open(repository.archive(manifest), "rb", buffering=0) as stored:
        run.run(stored.fileno(), stored.name)
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


class _Restore:
    """One restore under way."""

    def __init__(
        self, client: Client, target: str, manifest: dict[str, Any], settings: Settings, result: Result
    ) -> None:
        self._client = client
        self._target = target
        self._manifest = manifest
        self._settings = settings
        self._result = result
        self._decompressor = codecs.codec(manifest["archive"]["compression"]).decompressor()
        self._tar, _version = tools.gnu_tar()

    def run(self, descriptor: int, path: str) -> None:
        """Restore from the archive that is open as ``descriptor``."""
        known = self._client.volumes()
        listed = known.get(self._target) or self._client.volume(self._target)  # a plugin may not list it
        if listed:
            known[self._target] = listed
        self._require_same_owners()
        with contextlib.ExitStack() as stack:
            place, window = "", None
            if self._target in known:
                place, window = self._existing(volumes.find(known, self._target), stack)
            else:
                planned = self._planned()
                _require_creatable(known, planned)
                self._result.created = True
            _verify(descriptor, self._manifest, path)
            head = os.pread(descriptor, encryption.HEAD, 0)
            cipher = self._manifest["archive"].get("encryption")
            decryptor = stack.enter_context(encryption.decryptor(self._settings.decryption, cipher, head))
            filters = [*decryptor, *self._decompressor]
            if self._settings.check:
                if place and self._holds_already(descriptor, place, filters):
                    self._result.changed = False
                    self._result.held = []
                return
            if not place:
                place = self._create(planned, stack)
            self._exchange(descriptor, place, filters, window)

    def _existing(self, volume: volumes.Volume, stack: contextlib.ExitStack) -> tuple[str, Window]:
        """Where an existing volume's files are, and the window in which its containers hold still. Raise DrydockError
        for what is in the way."""
        settings = self._settings
        _require_as_wanted(volume, settings)
        group = grouping.users(volume, self._client.all_containers())
        self._result.held = sorted(member.name for member in group.members)
        if group.members and settings.quiesce != "stop":
            raise VolumeError(
                f"volume {volume.name} is used by running containers ({', '.join(self._result.held)}); stop them "
                "first, or have them stopped with quiesce: stop; nothing was changed"
            )
        quiesce.require_returning(self._client, group)
        path = stack.enter_context(mounts.reach(self._client, [volume], settings.helper_image)).path(volume.name)
        if settings.when_not_empty != "replace":
            staging.require_empty(path, volume.name)
        self._result.entries_before = len(staging.contents(path))
        return path, Window(self._client, group, settings.limits, _go_on)

    def _require_same_owners(self) -> None:
        """Raise VolumeError if the numbers of owners on disk mean others here than where the backup was made."""
        then = bool(self._manifest.get("engine", {}).get("userns"))
        now = self._client.user_namespaces()
        if then != now:
            words = {True: "remaps user ids (userns-remap)", False: "doesn't remap user ids"}
            raise VolumeError(
                f"backup {self._manifest['id']} was made where Docker {words[then]}, and here it {words[now]}: the "
                "files would belong to others; nothing was changed"
            )

    def _planned(self) -> dict[str, Any]:
        """The volume to create, as the daemon would show it."""
        recorded, settings = self._manifest["volume"], self._settings
        own = settings.driver is not None or settings.driver_options is not None
        options = settings.driver_options if own else recorded["options"]
        labels = recorded["labels"] if settings.labels is None else settings.labels
        driver = (settings.driver or "local") if own else recorded["driver"]
        return {"Name": self._target, "Driver": driver, "Options": dict(options or {}), "Labels": dict(labels)}

    def _create(self, planned: Mapping[str, Any], stack: contextlib.ExitStack) -> str:
        """Make the volume, to be removed again if anything fails later, and return where its files are."""
        name = self._target
        if name in self._client.volumes():
            raise VolumeError(f"volume {name} was created by somebody else meanwhile; nothing was changed")
        made = self._client.create_volume(name, planned["Driver"], planned["Options"], planned["Labels"])
        volume = volumes.Volume.from_api(made)
        if volume.driver == "local":
            stack.push(_removing(self._client, name))
        try:
            place = stack.enter_context(mounts.reach(self._client, [volume], self._settings.helper_image)).path(name)
            staging.require_empty(place, name)
        except DrydockError as error:
            if volume.driver == "local":
                raise
            # A plugin may have found files that it knew of, and would remove them with the volume.
            raise VolumeError(
                f"volume {name} was created by its driver {volume.driver}, which may have found files of that name, so "
                f"it isn't removed again: {error}"
            ) from error
        if volume.driver != "local":
            stack.push(_removing(self._client, name))
        return place

    def _exchange(self, descriptor: int, place: str, filters: list[pipeline.Stage], window: Window | None) -> None:
        """Extract beside the volume's contents, and put what was extracted in their place if all of it arrived."""
        name = self._target
        staging.require_room(place, name, self._manifest["content"].get("allocated_bytes", 0))
        replacing = self._result.entries_before > 0
        with staging.Staging(place, name, replace=replacing) as staged:
            with staged.filling():
                self._extract(descriptor, staged.path, filters)
            if replacing and staged.same():
                self._result.changed = False
                self._result.held = []
                return
            if window is None:
                staged.commit()
                return
            window.open()
            try:
                staged.commit()
            finally:
                window.close()
        if window is not None:
            window.await_health()
            self._result.downtime = round(window.downtime, 3)
            self._result.warnings += [f"volume {name}: {note}" for note in window.notes]
            self._result.failures += window.failures

    def _holds_already(self, descriptor: int, place: str, filters: list[pipeline.Stage]) -> bool:
        """Whether the volume holds just what the backup holds. Nothing in it is touched to find that out."""
        content = self._manifest["content"]
        found = survey.survey(place)
        if (found.entries, found.bytes) != (content["entries"], content["bytes"]):
            return False
        with tempfile.TemporaryDirectory(prefix=".drydock-check-", dir="/var/tmp") as scratch:
            tree = os.path.join(scratch, "tree")
            os.mkdir(tree, 0o700)
            staging.require_room(scratch, self._target, content.get("allocated_bytes", 0))
            self._extract(descriptor, tree, filters)
            return not compare.differences(place, tree).differences

    def _extract(self, descriptor: int, into: str, filters: list[pipeline.Stage]) -> None:
        """Extract the archive. Raise PipelineError or IntegrityError unless all of it arrived."""
        name = self._target
        members = archive.Members()
        os.lseek(descriptor, 0, os.SEEK_SET)
        outcomes = pipeline.run(
            [*filters, archive.extract(self._tar, into)],
            source=descriptor,
            listing=members,
            stall_timeout=self._settings.stall_timeout,
        )
        bad = pipeline.failed(outcomes) or outcomes[-1]
        if bad.status != 0 or bad.said:
            raise PipelineError(f"volume {name}: {bad}; what was extracted is removed, the volume is as it was")
        expected = self._manifest["content"]["entries"]
        if members.count != expected:
            raise IntegrityError(
                f"volume {name}: the archive held {members.count} entries, its manifest says {expected}; what was "
                "extracted is removed, the volume is as it was"
            )


def _require_as_wanted(volume: volumes.Volume, settings: Settings) -> None:
    """Raise VolumeError if a volume exists with another driver or other options than those that are asked for."""
    wanted = {"driver": settings.driver, "driver_options": settings.driver_options}
    present = {"driver": volume.driver, "driver_options": volume.options}
    for key, value in wanted.items():
        if value is not None and value != present[key]:
            raise VolumeError(
                f"volume {volume.name} exists, and its {key} is {_shown(present[key])}, not {_shown(value)}; remove "
                f"it, or leave {key} out; nothing was changed"
            )


def _shown(value: Any) -> Any:
    return value if isinstance(value, str) else {key: redact(text) for key, text in value.items()}


def _require_creatable(known: Mapping[str, dict[str, Any]], planned: Mapping[str, Any]) -> None:
    """Raise VolumeError if a volume can't be made here, or not without harm."""
    target, options = planned["Name"], planned["Options"]
    if any(REDACTED in value for value in options.values()):
        raise VolumeError(
            f"volume {target} doesn't exist, and the backup doesn't record the passwords in its driver options; give "
            "driver_options, or create the volume first; nothing was changed"
        )
    if not volumes.is_bind(planned["Driver"], options):
        return
    path = volumes.direct(volumes.Volume.from_api(dict(planned)))
    for other in map(volumes.Volume.from_api, known.values()):
        if volumes.is_bind(other.driver, other.options) and other.options.get("device") == path:
            raise VolumeError(
                f"volume {target} can't be created as it was: its device {path} belongs to volume {other.name}; create "
                f"{target} with a device of its own first; nothing was changed"
            )
    staging.require_empty(str(path), target)


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


def _go_on() -> None:
    """A signal interrupts the work by itself: it is done in the main thread."""
