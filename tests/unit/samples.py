# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A manifest, and backups in a repository."""

from __future__ import annotations

import datetime as dt
import hashlib
import typing as t

from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory

ID = "20261123T101502Z"
WHEN = dt.datetime(2026, 11, 23, 10, 15, 2, tzinfo=dt.UTC)


def a_manifest(data: bytes = b"archive") -> dict[str, t.Any]:
    """The manifest of the archive ``data`` of db1's volume pgdata."""
    return {
        "format": 1,
        "id": ID,
        "host": "db1",
        "kind": "volume",
        "volume": {"name": "pgdata", "driver": "local", "options": {}, "labels": {"a": "b"}, "scope": "local"},
        "archive": {
            "file": f"{ID}.tar.zst",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
            "compression": "zstd",
            "encryption": None,
        },
        "content": {"bytes": 1, "entries": 1, "fingerprint": "0" * 32, "changed_while_read": []},
        "consistency": {"quiesce": "none", "containers": [], "downtime_seconds": 0},
        "started_at": "2026-11-23T10:15:02Z",
        "finished_at": "2026-11-23T10:15:03Z",
        "engine": {"docker": "20.10.24", "drydock": "0.1.0", "tar": "1.34", "userns": False},
    }


def put(repository: Directory, data: bytes = b"archive", when: dt.datetime = WHEN) -> str:
    """Publish a backup of db1's volume pgdata, and return its identifier."""
    with repository.begin("db1", "pgdata", ".tar.zst", when) as publication:
        publication.write(memoryview(data))
        manifest = a_manifest(data)
        manifest["id"] = publication.id
        manifest["archive"].update(file=publication.file, bytes=publication.size, sha256=publication.sha256)
        publication.publish(manifest)
    return publication.id
