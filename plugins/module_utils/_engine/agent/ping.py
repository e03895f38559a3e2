# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Say to the dead man's switch that this host is safe, if it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import deadman
from ..options import Report, Spec
from . import status

SPEC = Spec(arguments={**status.SPEC.arguments, "url_file": {"type": "path", "default": deadman.ADDRESS}})


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Ping, unless something wants looking after. Raise DrydockError if the address can't be read or isn't answered."""
    address = deadman.read(params["url_file"])
    problems = status.run(params, check=check).values["problems"]
    if problems:
        return Report(
            changed=False, values={"notes": ["this host is not safe, so nobody is told that it is:", *problems]}
        )
    if check:
        return Report(changed=True, values={"notes": ["the dead man's switch would be pinged"]})
    deadman.ping(address)
    return Report(changed=True, values={"notes": ["the dead man's switch was pinged"]})
