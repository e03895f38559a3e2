# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest, format 1: what was stored, and the proof that it was stored whole.

An archive counts as a backup only through its manifest. Readers ignore keys that they don't know and refuse formats
that they don't know.
"""

from __future__ import annotations

import json
import re
from typing import Any

from . import encryption, names
from .codecs import CODECS
from .errors import IntegrityError

FORMAT = 1
#: The kinds of backups.
VOLUME, DATABASE = "volume", "database"

# The keys that a reader relies on, by section (the top has none), with the types they must have.
_NEEDED: dict[str, dict[str, type | tuple[type, ...]]] = {
    "": {"id": str, "host": str, "kind": str, "started_at": str, "finished_at": str},
    "archive": {"file": str, "bytes": int, "sha256": str, "compression": str},
    "content": {"bytes": int, "entries": int, "fingerprint": (str, type(None)), "changed_while_read": list},
}
# The section that says what was backed up, by the kind of the backup.
_SUBJECTS: dict[str, dict[str, type | tuple[type, ...]]] = {
    VOLUME: {"name": str, "driver": str, "options": dict, "labels": dict},
    DATABASE: {"engine": str, "version": str, "container": str, "image": str, "databases": list, "dumps": list},
}
_DUMP: dict[str, type | tuple[type, ...]] = {
    "file": str,
    "database": (str, type(None)),
    "bytes": int,
    "sha256": str,
}
# Those that it takes where they are there.
_TAKEN: dict[str, dict[str, type | tuple[type, ...]]] = {
    "content": {"allocated_bytes": int, "unreadable": list},
    "consistency": {},
    "engine": {"userns": bool},
}
_MISSING = object()
# No file system is larger, in bytes or in entries.
_TOO_LARGE = 1 << 63
_SHOWN = 100
_SHA256 = re.compile(r"[0-9a-f]{64}")


def dump(manifest: dict[str, Any]) -> bytes:
    """The bytes that are stored for a manifest."""
    return (json.dumps(manifest, indent=2, sort_keys=False, ensure_ascii=True) + "\n").encode()


def load(data: bytes, *, host: str, volume: str, backup_id: str) -> dict[str, Any]:
    """Read a stored manifest, and check that it is one, and the one of this backup.

    Raise IntegrityError, saying what is wrong with it.
    """
    try:
        manifest: dict[str, Any] = json.loads(data)
        _check(manifest)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"it is not a manifest: {error}") from error
    found = (manifest["host"], subject(manifest), manifest["id"])
    if found != (host, volume, backup_id):
        raise IntegrityError(f"it is the manifest of another backup: {'/'.join(map(_shown, found))}")
    codec = CODECS.get(manifest["archive"]["compression"])
    if codec is None:
        raise IntegrityError(
            f"its archive has a compression unknown here: {_shown(manifest['archive']['compression'])}"
        )
    extension = codec.extension + encryption.extension(manifest["archive"].get("encryption"))
    if manifest["archive"]["file"] != backup_id + extension:
        raise IntegrityError(f"it names an archive that isn't its own: {_shown(manifest['archive']['file'])}")
    return manifest


def _check(manifest: Any) -> None:
    """Raise ValueError unless ``manifest`` has the shape of format 1."""
    if not isinstance(manifest, dict) or "format" not in manifest:
        raise ValueError("it has no key 'format'")
    found = manifest["format"]
    if not isinstance(found, int) or isinstance(found, bool) or found != FORMAT:
        raise ValueError(f"it has format {_shown(found)}; this version reads format {FORMAT}")
    what = manifest.get("kind")
    if not isinstance(what, str) or what not in _SUBJECTS:
        raise ValueError(f"it has kind {_shown(what)}; this version knows {', '.join(_SUBJECTS)}")
    for section, keys in {**_NEEDED, what: _SUBJECTS[what]}.items():
        content = manifest.get(section) if section else manifest
        if not isinstance(content, dict):
            raise ValueError(f"{section!r} is not an object")
        for key, kind in keys.items():
            _check_value(f"{section}.{key}".lstrip("."), content.get(key, _MISSING), kind)
    _check_taken(manifest)
    if what == DATABASE:
        _check_database(manifest["database"])
    encryption.extension(manifest["archive"].get("encryption"))
    if not _SHA256.fullmatch(manifest["archive"]["sha256"]):
        raise ValueError(f"'archive.sha256' is {_shown(manifest['archive']['sha256'])}")
    if not names.is_backup_id(manifest["id"]):
        raise ValueError(f"'id' is {_shown(manifest['id'])}")


def _check_taken(manifest: dict[str, Any]) -> None:
    """Raise ValueError for a key that needn't be there and is of the wrong type."""
    for section, keys in _TAKEN.items():
        content = manifest.get(section, {})
        if not isinstance(content, dict):
            raise ValueError(f"{section!r} is not an object")
        for key, kind in keys.items():
            if key in content:
                _check_value(f"{section}.{key}", content[key], kind)


def _check_database(database: dict[str, Any]) -> None:
    """Raise ValueError unless the lists hold names and dumps."""
    if not all(isinstance(name, str) for name in database["databases"]):
        raise ValueError("'database.databases' holds something else than strings")
    for dump in database["dumps"]:
        if not isinstance(dump, dict):
            raise ValueError("'database.dumps' holds something else than objects")
        for key, expected in _DUMP.items():
            _check_value(f"database.dumps.{key}", dump.get(key, _MISSING), expected)


def _check_value(key: str, value: Any, kind: type | tuple[type, ...]) -> None:
    if not isinstance(value, kind) or isinstance(value, bool) is not (kind is bool):
        raise ValueError(f"{key!r} is missing or of the wrong type")
    if isinstance(value, int) and value < 0:
        raise ValueError(f"{key!r} is negative")
    if isinstance(value, int) and value >= _TOO_LARGE:
        raise ValueError(f"{key!r} is larger than any file system")
    if isinstance(value, dict) and not all(isinstance(item, str) for item in value.values()):
        raise ValueError(f"{key!r} holds something else than strings")


def _shown(value: Any) -> str:
    """A value for a line of text, and not too much of it."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def subject(manifest: dict[str, Any]) -> str:
    """The name of the folder that a backup is in: that of the volume, or one of a container's databases."""
    if manifest["kind"] == DATABASE:
        return names.DATABASE + str(manifest["database"]["container"])
    return str(manifest["volume"]["name"])


def order(manifest: dict[str, Any]) -> tuple[str, int]:
    """A key that sorts manifests by the time of their backups. The time is the identifier's, not the file system's."""
    return names.backup_order(manifest["id"])


def require_size(manifest: dict[str, Any], archive: str, size: int | None) -> None:
    """Raise IntegrityError unless the archive, which ``archive`` tells the reader where to find, is there (None: it
    isn't), and has the ``size`` in bytes that its manifest says."""
    expected = manifest["archive"]["bytes"]
    if size is None:
        raise IntegrityError(f"archive {archive} can't be used: there is none")
    if size != expected:
        raise IntegrityError(f"archive {archive} has {size} bytes; its manifest says {expected}")
