# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore databases, by the options of the module docker_database_restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options
from ..database_restore import Result, Settings, restore
from ..encryption import Decryption
from ..options import Report, Spec
from ..restore import LATEST
from ..restoring import ABSENT, Choice
from ..server import Login
from .database_backup import LOGIN
from .restore import moment

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **options.REPOSITORY,
        **options.DECRYPTION,
        "container": {"type": "str", "required": True},
        "source_container": {"type": "str"},
        "backup": {"type": "str", "default": LATEST},
        "before": {"type": "str"},
        "databases": {"type": "list", "elements": "str"},
        "target": {"type": "str"},
        "globals": {"type": "bool", "default": False},
        "when_not_empty": {"type": "str", "choices": list(options.FAIL_REPLACE), "default": "fail"},
        "disconnect": {"type": "bool", "default": False},
        **LOGIN,
        "lock_timeout": {"type": "float", "default": 0},
        **options.STALL_TIMEOUT,
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Restore databases. Raise DrydockError, with all of them as they were, if that can't be done."""
    result = restore(
        options.connect(params),
        options.repository(params, check=check),
        params["container"],
        host=options.host(params),
        source=params["source_container"],
        backup=params["backup"],
        before=moment(params["before"]),
        settings=settings(params, check=check),
    )
    return Report(
        changed=True,
        values={
            "backup": result.manifest["id"],
            "host": result.manifest["host"],
            "engine": result.manifest["database"]["engine"],
            "databases": [
                {"database": pair.database, "target": pair.target, "was": pair.was, "bytes": pair.dump.bytes}
                for pair in result.pairs
            ],
            "seconds": result.seconds,
            "diff": _diff(result),
        },
        warnings=result.warnings,
    )


def settings(params: Mapping[str, Any], *, check: bool) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    return Settings(
        login=Login.parse(**{name: params[name] for name in LOGIN}),
        databases=params["databases"],
        target=params["target"],
        shared=params["globals"],
        choice=Choice(params["when_not_empty"], params["disconnect"]),
        decryption=Decryption.parse(params["decryption"]),
        stall_timeout=params["stall_timeout"],
        lock_timeout=params["lock_timeout"],
        check=check,
    )


def _diff(result: Result) -> dict[str, dict[str, Any]]:
    """What each database was, and is."""
    restored = {"backup": result.manifest["id"], "exists": True}
    return {
        "before": {
            "databases": {pair.target: {"exists": pair.was != ABSENT, "was": pair.was} for pair in result.pairs}
        },
        "after": {"databases": {pair.target: restored for pair in result.pairs}},
    }
