# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back databases up, by the options of the module docker_database_backup."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .. import names, options
from ..codecs import CODECS
from ..database_backup import DIALECTS, METHODS, Result, Settings, backup
from ..encryption import Decryption, Encryption
from ..options import Report, Spec
from ..retention import Policy
from ..server import Login
from .backup import NEW, copied, copies
from .backup import SPEC as VOLUMES

#: How to log in to a server.
LOGIN: dict[str, dict[str, Any]] = {
    "user": {"type": "str"},
    "login_user": {"type": "str"},
    "password_file": {"type": "path", "no_log": False},  # a path is no secret
    "login_unix_socket": {"type": "path"},
}

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **options.REPOSITORY,
        **options.DECRYPTION,
        "container": {"type": "str", "required": True},
        "engine": {"type": "str", "choices": ["auto", *DIALECTS], "default": "auto"},
        "databases": {"type": "list", "elements": "str"},
        "globals": {"type": "bool", "default": True},
        **LOGIN,
        "verify": {"type": "str", "choices": list(METHODS), "default": "none"},
        "require_mounted": {"type": "bool", "default": False},
        "compression": {"type": "str", "choices": list(CODECS), "default": "zstd"},
        "compression_level": {"type": "int"},
        "encryption": VOLUMES.arguments["encryption"],
        "retention": VOLUMES.arguments["retention"],
        "copies": VOLUMES.arguments["copies"],
        "lock_timeout": {"type": "float", "default": 0},
        **options.STALL_TIMEOUT,
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Back the databases up. Raise DrydockError, with nothing added, if one of them can't be."""
    how = settings(params, check=check)
    result = backup(
        options.connect(params),
        options.repository(params, check=check),
        params["container"],
        host=options.host(params),
        settings=how,
    )
    return Report(
        changed=True,
        values={
            "backup": _essentials(result.manifest),
            "expired": _without_volume(result.expired),
            "copies": _without_volume(result.copies),
            "copies_expired": _without_volume(result.copies_expired),
            "failures": _without_volume(result.failures),
            "diff": _diff(result),
        },
        warnings=result.warnings,
        failure="; ".join(each["error"] for each in result.failures) or None,
    )


def settings(params: Mapping[str, Any], *, check: bool = False) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    ours, theirs = params["encryption"], params["decryption"]
    if theirs is None and ours is not None and ours["passphrase_file"]:
        theirs = {"passphrase_file": ours["passphrase_file"]}
    return Settings(
        login=Login.parse(**{name: params[name] for name in LOGIN}),
        engine=None if params["engine"] == "auto" else params["engine"],
        databases=params["databases"],
        shared=params["globals"],
        compression=params["compression"],
        compression_level=params["compression_level"],
        encryption=Encryption.parse(ours),
        decryption=Decryption.parse(theirs),
        retention=Policy.parse(params["retention"] or {}),
        copies=copies(params, check=check),
        verify=params["verify"],
        lock_timeout=params["lock_timeout"],
        stall_timeout=params["stall_timeout"],
        require_mounted=params["require_mounted"],
    )


def _without_volume(noted: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is noted of backups, which here are all of the same databases."""
    return [{name: value for name, value in each.items() if name != "volume"} for each in noted]


def _essentials(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The manifest as it is reported, without what is the same for all, or is for a restore."""
    left = {name: value for name, value in manifest.items() if name not in ("format", "kind", "engine")}
    content = {name: manifest["content"][name] for name in ("bytes", "entries")}
    database = {name: value for name, value in manifest["database"].items() if name != "character_sets"}
    return {**left, "content": content, "database": database}


def _diff(result: Result) -> dict[str, dict[str, Any]]:
    """The identifiers of the backups before and after."""
    container = result.manifest["database"]["container"]
    folder = names.DATABASE + container
    gone = {one["id"] for one in result.expired}
    after = [*sorted(result.earlier), result.manifest["id"] or NEW]
    shown: dict[str, dict[str, Any]] = {
        "before": {"backups": {container: sorted(result.earlier)}},
        "after": {"backups": {container: [one for one in after if one not in gone]}},
    }
    if result.copied_before:
        for when, copies_then in zip(shown.values(), copied(result)):
            when["copies"] = {root: {container: held[folder]} for root, held in copies_then.items()}
    return shown
