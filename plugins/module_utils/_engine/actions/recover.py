# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring to an end what runs that died have left: exchanges of files, and containers that are stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import journal, options, recovery
from ..options import Report, Spec

SPEC = Spec(arguments={**options.DOCKER, **options.WAITING, **options.MOUNTS})


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Recover all that can be. Raise DrydockError if the daemon or the journal can't be reached."""
    if not recovery.unfinished():
        return Report(changed=False, values={"notes": ["nothing was left by an interrupted run"], "left": 0})
    if check:
        return Report(
            changed=True, values={"notes": ["what an interrupted run has left would be recovered"], "left": 0}
        )
    client = options.connect(params)
    notes = list(recovery.recover(client, options.limits(params), params["helper_image"]))
    entries, problems = journal.abandoned()
    for entry in entries:
        entry.leave()
    left = len(entries) + len(problems)
    return Report(
        changed=True,
        values={"notes": notes, "left": left},
        failure=f"{left} interrupted run(s) can't be recovered yet: {'; '.join(notes)}" if left else None,
    )
