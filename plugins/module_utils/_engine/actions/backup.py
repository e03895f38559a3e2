# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back volumes up, by the options of the module docker_volume_backup."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options, verification
from ..backup import Settings, backup
from ..codecs import CODECS
from ..copies import Copy, Notes
from ..encryption import Decryption, Encryption
from ..grouping import METHODS
from ..hooks import Hook
from ..job import Result
from ..options import Report, Spec
from ..progress import Watch
from ..retention import Policy
from ..selection import Selector

#: The options that say which volumes.
CHOICE: dict[str, dict[str, Any]] = {
    "volumes": {"type": "list", "elements": "str"},
    "selector": {
        "type": "dict",
        "options": {
            "names": {"type": "list", "elements": "str"},
            "labels": {"type": "list", "elements": "str"},
            "all": {"type": "bool", "default": False},
            "exclude": {"type": "list", "elements": "str"},
        },
    },
    "require_match": {"type": "bool", "default": False},
}

_RULES = ("last", "hourly", "daily", "weekly", "monthly", "yearly")
RETENTION: dict[str, Any] = {
    "type": "dict",
    "options": {**{f"keep_{rule}": {"type": "int"} for rule in _RULES}, "keep_within": {"type": "str"}},
}

#: What a diff calls a backup that check mode doesn't make.
NEW = "(a new backup)"

#: The option that names further repositories.
COPIES: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {"repository": {"type": "path", "required": True}, "retention": RETENTION},
}

_HOOKS: dict[str, Any] = {
    "type": "list",
    "elements": "dict",
    "options": {
        "container": {"type": "str", "required": True},
        "command": {"type": "str"},
        "argv": {"type": "list", "elements": "str"},
        "user": {"type": "str"},
    },
    "mutually_exclusive": [("command", "argv")],
    "required_one_of": [("command", "argv")],
}

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **options.REPOSITORY,
        **options.DECRYPTION,
        **CHOICE,
        "require_mounted": {"type": "bool", "default": False},
        "quiesce": {"type": "str", "choices": list(METHODS), "default": "none"},
        **options.WAITING,
        "exec_before": _HOOKS,
        "exec_after": _HOOKS,
        "exec_timeout": {"type": "float", "default": 600},
        "on_change": {"type": "str", "choices": list(options.WARN_FAIL), "default": "warn"},
        "on_read_error": {"type": "str", "choices": list(options.WARN_FAIL), "default": "fail"},
        "skip_unchanged": {"type": "bool", "default": False},
        "verify": {"type": "str", "choices": list(verification.METHODS), "default": "none"},
        "verify_directory": {"type": "path", "default": "/var/tmp"},  # noqa: S108 a directory of our own in it
        "parallel": {"type": "int"},
        **options.STALL_TIMEOUT,
        "compression": {"type": "str", "choices": list(CODECS), "default": "zstd"},
        "compression_level": {"type": "int"},
        **options.ENCRYPTION,
        "retention": RETENTION,
        "copies": COPIES,
        "lock_timeout": {"type": "float", "default": 0},
        **options.MOUNTS,
    },
    mutually_exclusive=[("volumes", "selector")],
    required_one_of=[("volumes", "selector")],
)


def run(params: Mapping[str, Any], *, check: bool = False, watch: Watch | None = None) -> Report:
    """Back up. Raise DrydockError for what concerns all volumes."""
    selector = Selector.parse(params["selector"])
    how = settings(params, check=check, watch=watch)
    result = backup(
        options.connect(params),
        options.repository(params, check=check),
        params["volumes"] or [] if selector is None else selector,
        host=options.host(params),
        settings=how,
    )
    return report(result)


def copies(params: Mapping[str, Any], *, check: bool) -> list[Copy]:
    """The further repositories that the options name. Raise UsageError."""
    return [
        Copy(
            options.repository(params, check=check, named=each["repository"]),
            Policy.parse(each.get("retention") or {}),
        )
        for each in params["copies"] or []
    ]


def settings(params: Mapping[str, Any], *, check: bool = False, watch: Watch | None = None) -> Settings:
    """The engine's settings out of the options. Raise UsageError."""
    ours, theirs = params["encryption"], params["decryption"]
    if theirs is None and ours is not None and ours["passphrase_file"]:
        theirs = {"passphrase_file": ours["passphrase_file"]}
    return Settings(
        compression=params["compression"],
        compression_level=params["compression_level"],
        encryption=Encryption.parse(ours),
        decryption=Decryption.parse(theirs),
        retention=Policy.parse(params["retention"] or {}),
        copies=copies(params, check=check),
        quiesce=params["quiesce"],
        before=[Hook.parse(hook) for hook in params["exec_before"] or []],
        after=[Hook.parse(hook) for hook in params["exec_after"] or []],
        limits=options.limits(params),
        on_change=params["on_change"],
        on_read_error=params["on_read_error"],
        skip_unchanged=params["skip_unchanged"],
        verify=params["verify"],
        scratch=params["verify_directory"],
        parallel=params["parallel"],
        lock_timeout=params["lock_timeout"],
        stall_timeout=params["stall_timeout"],
        require_match=params["require_match"],
        require_mounted=params["require_mounted"],
        helper_image=params["helper_image"],
        watch=watch,
    )


def report(result: Result) -> Report:
    """What the module returns."""
    return Report(
        changed=bool(result.backups or result.copies or result.copies_expired),
        values={
            "backups": [options.essentials(made) for made in result.backups],
            "unchanged": result.unchanged,
            "expired": result.expired,
            "copies": result.copies,
            "copies_expired": result.copies_expired,
            "failures": result.failures,
            "diff": _diff(result),
        },
        warnings=result.warnings,
        failure="; ".join(dict.fromkeys(each["error"] for each in result.failures)) or None,
    )


def _diff(result: Result) -> dict[str, dict[str, Any]]:
    """The identifiers of each volume's backups before and after, and the containers that hold still in between."""
    before = {name: sorted(ids) for name, ids in result.earlier.items()}
    after = {name: list(ids) for name, ids in before.items()}
    for made in result.backups:
        after[made["volume"]["name"]].append(made["id"] or NEW)
    for gone in result.expired:
        after[gone["volume"]] = [each for each in after[gone["volume"]] if each != gone["id"]]
    held = {name: {"pause": "paused meanwhile", "stop": "stopped meanwhile"}[how] for name, how in result.held.items()}
    shown: dict[str, dict[str, Any]] = {
        "before": {"backups": before, "containers": {}},
        "after": {"backups": after, "containers": held},
    }
    if result.copied_before:
        shown["before"]["copies"], shown["after"]["copies"] = copied(result)
    return shown


def copied(result: Notes) -> tuple[dict[str, dict[str, list[str]]], dict[str, dict[str, list[str]]]]:
    """The identifiers of the backups in each further repository, by volume: before and after."""
    before = {root: {name: sorted(ids) for name, ids in held.items()} for root, held in result.copied_before.items()}
    after = {root: {name: list(ids) for name, ids in held.items()} for root, held in before.items()}
    for made in result.copies:
        after[made["repository"]][made["volume"]].append(made["id"] or NEW)
    for gone in result.copies_expired:
        after[gone["repository"]][gone["volume"]].remove(gone["id"])
    for held in after.values():
        for ids in held.values():
            ids.sort(key=lambda one: (one == NEW, one))
    return before, after
