# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back volumes up: read each one once, publish what was read if all of it was, then let old backups expire."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import archive, codecs, expiry, mounts, names, pipeline, tools, volumes
from .client import Client
from .encryption import Encryption
from .errors import DrydockError, PipelineError, VolumeError
from .manifest import FORMAT
from .repository import Directory
from .retention import Policy
from .survey import Survey, survey
from .version import VERSION


@dataclass
class Result:
    """What a run did. ``backups`` holds a manifest each, with ``path`` (of the archive; None in check mode) and
    ``seconds`` added; ``expired`` what the retention policy let go, see expiry.expire; ``failures`` a volume's name and
    the error each; ``earlier`` the identifiers that were there before, by volume."""

    backups: list[dict[str, Any]] = field(default_factory=list)
    expired: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    earlier: dict[str, list[str]] = field(default_factory=dict)


def backup(
    client: Client,
    repository: Directory,
    wanted: Sequence[str],
    *,
    host: str,
    compression: str = "zstd",
    compression_level: int | None = None,
    encryption: Encryption | None = None,
    retention: Policy | None = None,
    lock_timeout: float = 0,
    helper_image: str | None = None,
) -> Result:
    """Back up the volumes called ``wanted`` under ``host``, one after the other.

    One volume's failure doesn't stop the others; it is in the result, and nothing of that volume's expires.
    ``helper_image`` is for mounts.reach. Raise DrydockError, with nothing changed, for what concerns all of them. With
    a read-only repository (check mode) everything happens but the reading and the writing: the result holds the
    manifests as far as they can be known.
    """
    volumes.require_local(client)
    run = _Run(client, repository, host, compression, compression_level, encryption, lock_timeout)
    policy = retention or Policy()
    if not repository.check():
        what = "would be" if repository.read_only else "is"
        run.result.warnings.append(f"repository {repository.root} doesn't exist yet and {what} created")
    known = client.volumes()
    found = []
    for name in dict.fromkeys(wanted):
        with run.noting(name):
            names.path_component("volume", name)
            found.append(volumes.find(known, name))
    with mounts.reach(client, found, helper_image) as places:
        for volume in found:
            with run.noting(volume.name):
                run.one(volume, places.path(volume.name))
    for made in run.result.backups:
        with run.noting(made["volume"]["name"]):
            run.expire(made, policy)
    return run.result


class _Run:
    """What all volumes of a run share."""

    def __init__(
        self,
        client: Client,
        repository: Directory,
        host: str,
        compression: str,
        compression_level: int | None,
        encryption: Encryption | None,
        lock_timeout: float,
    ) -> None:
        self.result = Result()
        self._repository = repository
        self._host = names.path_component("host", host)
        self._codec = codecs.codec(compression)
        self._encryption = encryption
        self._filters = self._codec.compressor(compression_level) + ([encryption.stage] if encryption else [])
        self._extension = self._codec.extension + (encryption.extension if encryption else "")
        self._lock_timeout = lock_timeout
        self._tar, tar_version = tools.gnu_tar()
        self._engine = {
            "docker": client.version,
            "drydock": VERSION,
            "tar": tar_version,
            "userns": client.user_namespaces(),
        }

    @contextlib.contextmanager
    def noting(self, name: str) -> Iterator[None]:
        """Note an error as the failure of the volume ``name``, and go on."""
        try:
            yield
        except DrydockError as error:
            self.result.failures.append({"volume": name, "error": str(error)})

    def one(self, volume: volumes.Volume, tree: str) -> None:
        """Back up one volume, whose files are in the directory ``tree``, and add it to the result."""
        began = time.monotonic()
        earlier, problems = self._repository.backups(self._host, volume.name)
        self.result.earlier[volume.name] = [manifest["id"] for manifest in earlier]
        self.result.warnings += problems
        if self._repository.read_only:
            manifest, path = self._manifest(volume, names.iso(names.utc_now()), _survey(volume.name, tree)), None
        else:
            manifest, path = self._store(volume, tree)
        seconds = round(time.monotonic() - began, 3)
        self.result.backups.append({**manifest, "path": path, "seconds": seconds})

    def expire(self, made: dict[str, Any], policy: Policy) -> None:
        """Let go what the policy doesn't keep any more, now that there is a good new backup."""
        now = names.utc_now()
        self.result.expired += expiry.expire(
            self._repository,
            self._host,
            made["volume"]["name"],
            policy,
            now,
            planned=None if made["id"] else names.stamp(now),
            lock_timeout=self._lock_timeout,
        )

    def _store(self, volume: volumes.Volume, tree: str) -> tuple[dict[str, Any], str]:
        started = names.utc_now()
        # The fingerprint is of the time before the read: whatever changes later makes a different one.
        found = _survey(volume.name, tree)
        with self._repository.begin(
            self._host, volume.name, self._extension, started, self._lock_timeout
        ) as publication:
            members = archive.Members()
            outcomes = pipeline.run(
                [archive.create(self._tar, tree), *self._filters], sink=publication.write, listing=members
            )
            reading = archive.reading(outcomes[0])
            bad = pipeline.failed(outcomes if reading is None else outcomes[1:])
            if reading is None or bad is not None:
                raise PipelineError(f"volume {volume.name}: {bad}; nothing was added to the repository")
            manifest = self._manifest(volume, names.iso(started), found)
            manifest["id"] = publication.id
            manifest["archive"].update(file=publication.file, bytes=publication.size, sha256=publication.sha256)
            manifest["content"].update(entries=members.count, changed_while_read=list(reading.changed))
            path = publication.publish(manifest)
        self._report(volume.name, reading)
        return manifest, path

    def _report(self, name: str, reading: archive.Reading) -> None:
        if reading.changed:
            some = ", ".join(reading.changed[:5]) + (", …" if len(reading.changed) > 5 else "")
            self.result.warnings.append(
                f"volume {name}: {len(reading.changed)} file(s) changed, shrank or vanished while they were read, so "
                f"the backup may hold them in a state that never was: {some}"
            )
        self.result.warnings += [f"volume {name}: {note}" for note in reading.notes]

    def _manifest(self, volume: volumes.Volume, started: str, found: Survey) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "id": None,
            "host": self._host,
            "kind": "volume",
            "volume": volume.description(),
            "archive": {
                "file": None,
                "bytes": None,
                "sha256": None,
                "compression": self._codec.name,
                "encryption": self._encryption.record() if self._encryption else None,
            },
            "content": {
                "bytes": found.bytes,
                "allocated_bytes": found.allocated,
                "entries": found.entries,
                "fingerprint": found.fingerprint,
                "changed_while_read": [],
            },
            "consistency": {"quiesce": "none", "containers": [], "downtime_seconds": 0},
            "started_at": started,
            "finished_at": names.iso(names.utc_now()),
            "engine": self._engine,
        }


def _survey(name: str, tree: str) -> Survey:
    """Walk the tree. Raise VolumeError if tar could store it but not restore it."""
    found = survey(tree)
    if found.too_long:
        raise VolumeError(
            f"volume {name}: {found.too_long} path(s) in it are longer than the {archive.LONGEST_MEMBER} bytes that "
            "tar can restore; give their directories shorter names; nothing was added to the repository"
        )
    return found
