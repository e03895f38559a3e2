# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore a volume, by the options of the module docker_volume_restore."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from .. import options
from ..bare import Source
from ..encryption import Decryption
from ..errors import UsageError
from ..options import Report, Spec
from ..progress import Watch
from ..restore import LATEST, Result, Settings, restore, restore_archive

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **options.REPOSITORY,
        "repository": {"type": "path"},
        "archive": {"type": "path"},
        "checksum": {"type": "str"},
        "strip_components": {"type": "int", "default": 0},
        "volume": {"type": "str", "required": True},
        "source_volume": {"type": "str"},
        "backup": {"type": "str", "default": LATEST},
        "before": {"type": "str"},
        "when_not_empty": {"type": "str", "choices": list(options.FAIL_REPLACE), "default": "fail"},
        "quiesce": {"type": "str", "choices": ["none", "stop"], "default": "none"},
        "staging": {"type": "bool", "default": True},
        "safety_backup": {"type": "dict", "options": options.REPOSITORY},
        **options.WAITING,
        **options.CREATION,
        "verify": {"type": "str", "choices": ["none", "compare"], "default": "compare"},
        **options.STALL_TIMEOUT,
        **options.DECRYPTION,
        **options.MOUNTS,
    },
    mutually_exclusive=[("archive", option) for option in ("repository", "host", "source_volume", "backup", "before")],
    required_one_of=[("archive", "repository")],
    required_by={"checksum": "archive"},
)


def run(params: Mapping[str, Any], *, check: bool = False, watch: Watch | None = None) -> Report:
    """Restore a backup or an archive. Raise DrydockError, with the volume as it was, if that can't be done."""
    volume = params["volume"]
    result = _restored(params, volume, settings(params, check=check, watch=watch), check=check)
    compared = result.verified
    return Report(
        changed=result.changed,
        values={
            "volume": volume,
            "backup": result.manifest.get("id"),
            "archive": params["archive"],
            "host": result.manifest.get("host"),
            "created": result.created,
            "containers": result.held,
            "downtime_seconds": result.downtime,
            "safety_backup": result.safety,
            "bytes": result.bytes,
            "entries": result.entries,
            "verified": compared and {"entries": compared.entries, "bytes": compared.bytes},
            "seconds": result.seconds,
            "diff": _diff(volume, params["archive"], result),
        },
        warnings=result.warnings,
        failure=f"volume {volume} is restored, but: {'; '.join(result.failures)}" if result.failures else None,
    )


def settings(params: Mapping[str, Any], *, check: bool, watch: Watch | None = None) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    return Settings(
        decryption=Decryption.parse(params["decryption"]),
        when_not_empty=params["when_not_empty"],
        quiesce=params["quiesce"],
        limits=options.limits(params),
        driver=params["driver"],
        driver_options=options.texts(params["driver_options"]),
        labels=options.texts(params["labels"]),
        stall_timeout=params["stall_timeout"],
        verify=params["verify"],
        watch=watch,
        helper_image=params["helper_image"],
        staging=params["staging"],
        safety=options.safety(params["safety_backup"], check=check),
        check=check,
    )


def moment(text: str | None) -> datetime | None:
    """The time that an option names, in UTC. Raise UsageError if it is none."""
    if text is None:
        return None
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    raise UsageError(f"before is {text!r}, which is no time; write it as 2026-11-23T10:15:00Z, in UTC")


def _restored(params: Mapping[str, Any], volume: str, how: Settings, *, check: bool) -> Result:
    """Call the engine: with an archive, or with a backup."""
    if params["archive"] is not None:
        source = Source.parse(params["archive"], params["checksum"], params["strip_components"])
        return restore_archive(options.connect(params), source, volume, settings=how)
    if params["strip_components"]:
        raise UsageError("strip_components is for an archive; a backup has its names as they were, so leave it out")
    before = moment(params["before"])
    return restore(
        options.connect(params),
        options.repository(params, check=check),
        volume,
        host=options.host(params),
        source=params["source_volume"],
        backup=params["backup"],
        before=before,
        settings=how,
    )


def _diff(volume: str, archive: str | None, result: Result) -> dict[str, dict[str, Any]]:
    """The volume before and after."""
    source = {"backup": result.manifest["id"]} if result.manifest else {"archive": archive}
    after = {"exists": True, **source, "entries": result.entries, "bytes": result.bytes}
    before = {"exists": not result.created, "entries in its root": result.entries_before}
    held = dict.fromkeys(result.held, "stopped meanwhile")
    return {
        "before": {volume: before if result.changed else after, "containers": {}},
        "after": {volume: after, "containers": held},
    }
