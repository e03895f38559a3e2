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


#: Jobs that can't be meant, though each option is of its type: the action, options besides a repository and a volume,
#: and what is said.
UNMEANT: list[tuple[str, dict[str, t.Any], str]] = [
    ("backup", {"volumes": None, "selector": {}}, "selector: it doesn't say which volumes to take"),
    ("drill", {"volumes": None, "selector": {"all": True, "names": ["x"]}}, "selector: all takes every volume"),
    ("backup", {"repository": "backups/volumes"}, "repository 'backups/volumes' is not an absolute path"),
    ("drill", {"repository": "backups/volumes"}, "repository 'backups/volumes' is not an absolute path"),
    ("backup", {"copies": [{"repository": "backups"}]}, "repository 'backups' is not an absolute path"),
    ("backup", {"copies": [{"repository": "/var/backups/volumes/"}]}, "is named twice"),
    ("backup", {"repository": "s3:b", "copies": [{"repository": "/r"}]}, "copies are made of backups in a directory"),
    ("backup", {"retention": {"keep_within": "7 days"}}, "retention: keep_within is '7 days'"),
    ("backup", {"retention": {"keep_daily": -1}}, "retention: keep_daily is -1"),
    ("backup", {"copies": [{"repository": "/r", "retention": {"keep_last": -1}}]}, "retention: keep_last is -1"),
    ("backup", {"encryption": {"method": "age"}}, "encryption with age needs recipients or a recipients_file"),
    ("backup", {"encryption": {"method": "age", "passphrase_file": "/p"}}, "passphrase_file is for method gpg"),
    ("drill", {"decryption": {}}, "decryption needs an identity_file or a passphrase_file"),
    (
        "backup",
        {"verify": "restore", "encryption": {"method": "age", "recipients": ["x"]}},
        "verify: restore must decrypt",
    ),
    ("backup", {"parallel": 0}, "parallel is 0; it must be 1 or more"),
    ("backup", {"compression_level": 99}, "compression_level 99 is out of range for 'zstd': it takes 1 to 19"),
    ("backup", {"compression": "none", "compression_level": 1}, "compression_level 1 is for nothing"),
    ("backup", {"stop_timeout": -1}, "stop_timeout is -1; give a number of seconds, 0 or more"),
    ("backup", {"exec_before": [{"container": "a b", "command": "x"}]}, "'a b' is not the name of a container"),
    ("backup", {"host": "../db1"}, "host name '../db1' can't be used"),
    ("backup", {"volumes": ["a/b"]}, "volume name 'a/b' can't be used"),
    ("drill", {"image": "x", "mount": "data"}, "mount is 'data'; it must be an absolute path"),
    ("drill", {"image": "x", "check_timeout": 0}, "check_timeout is 0; it must be more than 0"),
    ("drill", {"stall_timeout": -1}, "stall_timeout is -1; give a number of seconds, 0 or more"),
]


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


def put(repository: Directory, data: bytes = b"archive", when: dt.datetime = WHEN, **more: str) -> str:
    """Publish a backup of db1's volume pgdata, with this in its manifest besides, and return its identifier."""
    with repository.begin("db1", "pgdata", ".tar.zst", when) as publication:
        publication.write(memoryview(data))
        manifest = {**a_manifest(data), **more}
        manifest["id"] = publication.id
        manifest["archive"].update(file=publication.file, bytes=publication.size, sha256=publication.sha256)
        publication.publish(manifest)
    return publication.id
