# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""List what a repository holds, by the options of the module docker_volume_backup_info."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options
from ..encryption import Decryption
from ..inventory import inventory, verify
from ..options import Report, Spec

SPEC = Spec(
    arguments={
        **options.REPOSITORY,
        **options.DECRYPTION,
        "volumes": {"type": "list", "elements": "str"},
        "verify": {"type": "str", "choices": ["none", "archive"], "default": "none"},
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """List, and read the archives back if that is asked for. Raise DrydockError if the repository can't be read."""
    decryption = Decryption.parse(params["decryption"])
    repository = options.repository(params, check=check)
    found = inventory(repository, host=params["host"], volumes=params["volumes"])
    if params["verify"] == "archive":
        for manifest in found.backups + found.databases:
            verify(repository, manifest, decryption)
    return Report(
        changed=False,
        values={
            "backups": [options.essentials(manifest) for manifest in found.backups],
            "databases": [options.essentials(manifest) for manifest in found.databases],
            "incomplete": found.incomplete,
            "foreign": found.foreign,
        },
        failure="; ".join(one["error"] for one in found.backups + found.databases if one.get("error")) or None,
        partly=any(one.get("verified") for one in found.backups + found.databases),
    )
