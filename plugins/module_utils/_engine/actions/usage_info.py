# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell who uses which volumes, by the options of the module docker_volume_usage_info."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import options
from ..options import Report, Spec
from ..orphans import Policy
from ..repository import Directory
from ..selection import Selector
from ..usage import Wish, usage

_SOME: dict[str, Any] = {"type": "list", "elements": "str"}

#: The options that say which volumes are orphans.
ORPHANS: dict[str, dict[str, Any]] = {
    "selector": {"type": "dict", "options": {"names": _SOME, "labels": _SOME, "exclude": _SOME}},
    "grace": {"type": "str", "default": "7d"},
    "protect": {"type": "dict", "options": {"names": _SOME, "labels": _SOME, "projects": _SOME}},
    "gone_projects": _SOME,
}

SPEC = Spec(
    arguments={
        **options.DOCKER,
        **ORPHANS,
        "sizes": {"type": "bool", "default": False},
        "sizes_timeout": {"type": "float", "default": 60},
        "repository": {"type": "path"},
        "host": {"type": "str"},
    },
)


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:  # noqa: ARG001
    """Look. Nothing is changed, in check mode or without."""
    where = Directory(params["repository"], read_only=True) if params["repository"] else None
    wish = Wish(params["sizes"], params["sizes_timeout"], where, options.host(params))
    chosen, how = selector(params), policy(params)
    result = usage(options.connect(params), chosen, how, wish)
    return Report(changed=False, values={"volumes": result.volumes}, warnings=result.warnings)


def policy(params: Mapping[str, Any]) -> Policy:
    """Which volumes are orphans, as ORPHANS say. Raise UsageError."""
    return Policy.parse(params["grace"], params["protect"], params["gone_projects"])


def selector(params: Mapping[str, Any]) -> Selector | None:
    """The volumes that the option of ORPHANS selects, None for all. Raise UsageError."""
    given = {name: value for name, value in (params["selector"] or {}).items() if value}
    if not given:
        return None
    return Selector.parse({**given, "all": not (given.get("names") or given.get("labels"))})
