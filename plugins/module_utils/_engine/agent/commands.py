# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The subcommands of drydock-volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..actions import backup, backup_info, drill, recover, restore
from ..options import Report, Spec
from . import metrics, notify, orphaned, ping, show, status
from .command import Command


def _without(spec: Spec, *names: str) -> Spec:
    arguments = {name: option for name, option in spec.arguments.items() if name not in names}
    return replace(spec, arguments=arguments)


def _list(params: Mapping[str, Any], *, check: bool = False) -> Report:
    return backup_info.run({**params, "decryption": None, "verify": "none"}, check=check)


def _verify(params: Mapping[str, Any], *, check: bool = False) -> Report:
    return backup_info.run({**params, "verify": "archive"}, check=check)


COMMANDS = (
    Command(
        "backup",
        "Back volumes up",
        backup.SPEC,
        backup.run,
        show.backup,
        positional="volumes",
        action=True,
        changes=True,
        watched=True,
    ),
    Command(
        "restore",
        "Restore a volume from its backup, or from an archive",
        restore.SPEC,
        restore.run,
        show.restore,
        positional="volume",
        changes=True,
        watched=True,
    ),
    Command(
        "list",
        "List the backups in a repository",
        _without(backup_info.SPEC, "verify", "decryption"),
        _list,
        show.listing,
        positional="volumes",
    ),
    Command(
        "verify",
        "Read backups to their end to prove that they are whole",
        _without(backup_info.SPEC, "verify"),
        _verify,
        show.listing,
        positional="volumes",
    ),
    Command(
        "drill",
        "Prove that the newest backups restore, on scratch volumes",
        drill.SPEC,
        drill.run,
        show.drill,
        positional="volumes",
        action=True,
        changes=True,
        watched=True,
    ),
    Command(
        "orphans",
        "List the volumes that nobody will miss, or remove them",
        orphaned.SPEC,
        orphaned.run,
        orphaned.show_orphans,
        changes=True,
    ),
    Command(
        "recover",
        "Bring to an end what interrupted runs have left",
        recover.SPEC,
        recover.run,
        show.notes,
        changes=True,
    ),
    Command("status", "Tell whether this host is safe", status.SPEC, status.run, status.show_status, positional="jobs"),
    Command("metrics", "Write metrics for Prometheus", metrics.SPEC, metrics.run, metrics.show_metrics),
    Command(
        "notify",
        "Tell whoever is to be told that a scheduled run has failed",
        notify.SPEC,
        notify.run,
        show.notes,
        changes=True,
    ),
    Command(
        "ping",
        "Say to a dead man's switch that this host is safe, if it is",
        ping.SPEC,
        ping.run,
        show.notes,
        changes=True,
    ),
)
