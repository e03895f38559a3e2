# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the daemon has the drivers that volumes ask for."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from .client import Client
from .desired import Desired
from .errors import UsageError

# docs.docker.com/engine/extend/plugin_api: where plugins of the old kind are looked for when they are first used
_SOCKETS = "/run/docker/plugins"
_SPECS = ("/etc/docker/plugins", "/usr/lib/docker/plugins")


def require(client: Client, wanted: Sequence[Desired]) -> None:
    """Raise UsageError, with all that is missing, unless the daemon has each driver. Only plugins are asked for."""
    asked = {one.driver: one.name for one in reversed(wanted) if one.present and one.driver != "local"}
    if not asked:
        return
    known = client.volume_drivers()
    errors = [
        f"volume {name}: {why}" for driver, name in asked.items() for why in [lacking(driver, known, _found())] if why
    ]
    if errors:
        raise UsageError("; ".join(sorted(errors)) + "; nothing was changed")


def lacking(driver: str, known: Mapping[str, bool], found: Sequence[str]) -> str | None:
    """Why a driver can't be used, and what to do, or None if it can. Pure.

    ``known`` are the daemon's own, and whether they are enabled; ``found`` are those that it would find.
    """
    states = [enabled for name, enabled in known.items() if driver in (name, name.partition(":")[0], f"{name}:latest")]
    if any(states) or driver in found:
        return None
    if states:
        return f"the plugin {driver} is installed and not enabled: docker plugin enable {driver}"
    return (
        f"the daemon has no driver {driver}: install the plugin (docker plugin install {driver}), or correct the name"
    )


def _found() -> list[str]:
    """The plugins of the old kind that this host has."""
    names = []
    for folder in (_SOCKETS, *_SPECS):
        if os.path.isdir(folder):
            names += [os.path.splitext(entry)[0] for entry in os.listdir(folder)]
    return names
