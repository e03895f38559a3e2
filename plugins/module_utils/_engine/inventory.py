# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a repository holds: its complete backups, what is left of incomplete ones, and what isn't ours. Only reads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from . import codecs, encryption, names, publication, tools, verification
from . import manifest as manifests
from .encryption import Decryption
from .errors import DrydockError, RepositoryError
from .pipeline import Stage
from .publication import MANIFEST
from .repositories import Repository, View
from .stored import Stored


@dataclass
class Inventory:
    """``backups`` are manifests with ``path`` and ``age_seconds`` (since the backup began) added, the newest first, and
    with ``verified`` and ``error`` where that was asked for; ``databases`` the same for the backups of databases;
    ``incomplete`` are files of backups that don't count as
    such, ``foreign`` those that no backup has: each a ``path`` and a ``reason``."""

    backups: list[dict[str, Any]] = field(default_factory=list)
    databases: list[dict[str, Any]] = field(default_factory=list)
    incomplete: list[dict[str, str]] = field(default_factory=list)
    foreign: list[dict[str, str]] = field(default_factory=list)


def inventory(
    repository: Repository,
    *,
    host: str | None = None,
    volumes: Sequence[str] | None = None,
    now: datetime | None = None,
) -> Inventory:
    """Look at all backups of ``host`` (None: of all hosts) of these volumes (None: of all).

    Raise RepositoryError if the repository or a folder in it can't be read, and UsageError for a malformed name.
    """
    found = Inventory()
    for name in [host] if host is not None else []:
        names.path_component("host", name)
    for name in volumes or []:
        names.path_component("volume", name)
    repository.require_there()
    with repository.view(host) as view:
        for host_name in _folders(repository, view, (), found, None if host is None else [host]):
            for volume in _folders(repository, view, (host_name,), found, volumes):
                _folder(repository, view, host_name, volume, found)
    moment = now or datetime.now(timezone.utc)
    for manifest in found.backups + found.databases:
        manifest["path"] = repository.archive(manifest)
        manifest["age_seconds"] = _age(manifest["id"], moment)
    for some in (found.backups, found.databases):
        some.sort(key=lambda one: (names.backup_order(one["id"]), one["host"], manifests.subject(one)), reverse=True)
    return found


def verify(repository: Repository, manifest: dict[str, Any], decryption: Decryption | None) -> None:
    """Read a backup's archive to its end, and add to the manifest how it was ``verified``: "archive"; "checksum" where
    there is no key to decrypt it with; None where it is damaged, and then the ``error``."""
    cipher = manifest["archive"].get("encryption")
    without_key = cipher is not None and decryption is None
    manifest.update(verified="checksum" if without_key else "archive", error=None)
    try:
        with repository.stored(manifest) as stored:
            if without_key:
                _read(stored, manifest, None)
                return
            with encryption.decryptor(decryption, cipher, stored.head() if cipher else b"") as stages:
                decompressor = codecs.codec(manifest["archive"]["compression"]).decompressor()
                _read(stored, manifest, [*stages, *decompressor])
    except RepositoryError as error:
        manifest.update(verified=None, error=str(error))
    except DrydockError as error:
        manifest.update(verified=None, error=f"archive {manifest['path']}: {error}")


def _read(stored: Stored, manifest: dict[str, Any], filters: list[Stage] | None) -> None:
    said = manifest["archive"]
    verification.archive_readable(
        stored,
        sha256=said["sha256"],
        size=said["bytes"],
        entries=manifest["content"]["entries"],
        filters=filters,
        tar=tools.gnu_tar()[0],
    )


def _folders(
    repository: Repository, view: View, above: tuple[str, ...], found: Inventory, wanted: Sequence[str] | None
) -> Iterator[str]:
    """The folders of hosts or volumes at a place; what else is there is foreign."""
    for name, folder in sorted(view.entries(*above).items()):
        if wanted is not None and name not in wanted:
            continue
        if not folder:
            found.foreign.append({"path": repository.path(*above, name), "reason": "not a folder of backups"})
        else:
            yield name


def _folder(repository: Repository, view: View, host: str, volume: str, found: Inventory) -> None:
    """Sort what is in one volume's folder."""
    present = {name: repository.path(host, volume, name) for name in view.entries(host, volume)}
    archives = set()
    for name in sorted(present):
        backup_id = name[: -len(MANIFEST)]
        if not (name.endswith(MANIFEST) and names.is_backup_id(backup_id)):
            continue
        try:
            manifest = view.backup(host, volume, backup_id)
        except DrydockError as error:
            found.incomplete.append({"path": present[name], "reason": str(error)})
            archives |= {other for other in present if other.startswith(f"{backup_id}.")}
        else:
            kind = found.databases if manifest["kind"] == manifests.DATABASE else found.backups
            kind.append(manifest)
            archives |= {name, manifest["archive"]["file"]}
    for name in sorted(present.keys() - archives - {publication.LOCK}):
        _backup_id, part = publication.split(name)
        if part is None:
            found.foreign.append({"path": present[name], "reason": "not a file that a backup has"})
        elif part == publication.UNFINISHED:
            found.incomplete.append({"path": present[name], "reason": "a run writes it now, or died"})
        else:
            found.incomplete.append({"path": present[name], "reason": "an archive without a manifest"})


def _age(backup_id: str, moment: datetime) -> int | None:
    """The seconds since a backup began; None where its identifier is no date."""
    try:
        return round((moment - names.when(backup_id)).total_seconds())
    except ValueError:
        return None
