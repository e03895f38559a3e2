# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove what the retention policy lets go, after a good backup and under the volume's lock."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from . import retention
from .errors import RepositoryError
from .repositories import Repository

#: What the manifest of a backup says that was made because its volume was about to be removed.
BEFORE_REMOVAL = "before_removal"


def expire(
    repository: Repository,
    host: str,
    volume: str,
    policy: retention.Policy,
    now: datetime,
    *,
    planned: Sequence[str] = (),
    added: str | None = None,
    lock_timeout: float = 0,
) -> list[dict[str, Any]]:
    """Remove the volume's backups that ``policy`` doesn't keep, and return each with the reason, oldest first.

    Only complete backups are looked at: what isn't one neither counts nor goes, nor does one that stays. With a
    read-only repository (check mode) nothing is removed, and ``planned`` are the identifiers of backups that would be
    there by then, too. Raise RepositoryError if it can't be done; what is left then is complete. ``added`` says which
    backup was added before, so that the error doesn't say that nothing was changed.
    """
    if policy.empty:
        return []
    try:
        return _expire(repository, host, volume, policy, now, planned, lock_timeout)
    except RepositoryError as error:
        if added is None:
            raise
        raise RepositoryError(
            f"{added} was added; what the retention policy lets go may still be there, until the next backup: "
            f"{str(error).removesuffix('; nothing was changed')}"
        ) from error


def _expire(
    repository: Repository,
    host: str,
    volume: str,
    policy: retention.Policy,
    now: datetime,
    planned: Sequence[str],
    lock_timeout: float,
) -> list[dict[str, Any]]:
    expired = []
    with contextlib.ExitStack() as stack:
        if not repository.read_only:
            stack.enter_context(repository.lock(host, volume, lock_timeout))
        complete, _problems = repository.backups(host, volume)
        manifests = {manifest["id"]: manifest for manifest in complete if not stays(manifest)}
        ids = [*manifests, *planned]
        for decision in reversed(retention.decide(ids, policy, now)):
            if decision.keep:
                continue
            manifest = manifests[decision.id]
            if not repository.read_only:
                repository.remove(manifest)
            expired.append(
                {
                    "volume": volume,
                    "id": decision.id,
                    "bytes": manifest["archive"]["bytes"],
                    "reason": "; ".join(decision.reasons),
                }
            )
    return expired


def stays(manifest: Mapping[str, Any]) -> bool:
    """Whether no policy is for this backup: one of a volume that was removed stays until somebody removes it."""
    return manifest.get("purpose") == BEFORE_REMOVAL
