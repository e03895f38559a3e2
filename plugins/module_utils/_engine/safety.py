# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back a volume up before what it holds is removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from . import backup
from .client import Client
from .errors import DrydockError, VolumeError
from .quiesce import Limits
from .repositories import Repository


@dataclass(frozen=True)
class Safety:
    """Where such a backup goes: the ``repository``, and the ``host`` in it. A read-only one predicts."""

    repository: Repository
    host: str

    def take(
        self, client: Client, volume: str, limits: Limits, helper_image: str | None
    ) -> tuple[dict[str, Any], list[str]]:
        """Back the volume up as it is, and read the archive back. Return the backup's ``id`` and ``path``, which are
        None in check mode, and warnings. Raise VolumeError, with the volume as it was, if there is no good backup."""
        settings = backup.Settings(verify="archive", limits=limits, helper_image=helper_image)
        try:
            result = backup.backup(client, self.repository, [volume], host=self.host, settings=settings)
        except DrydockError as error:
            raise VolumeError(f"volume {volume}: no safety backup was made: {error}; nothing was removed") from error
        if result.failures or len(result.backups) != 1:
            why = "; ".join(failure["error"] for failure in result.failures) or "there is none"
            raise VolumeError(f"volume {volume}: no safety backup was made: {why}; nothing was removed")
        (made,) = result.backups
        return {"id": made["id"], "path": made["path"]}, result.warnings
