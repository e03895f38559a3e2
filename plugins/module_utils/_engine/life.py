# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a container still lives in which a command was started: Docker loses the end of a command now and then whose
container is killed, and its output has no end then."""

from __future__ import annotations

import time

from .client import Client
from .errors import DaemonError

# Seconds between two looks, and how many in a row must find it gone. What a command has printed has arrived by then.
_LOOK, _LOOKS = 5, 2


class Life:
    """That of ``container`` as it runs now: when it is started again, that is another one."""

    def __init__(self, client: Client, container: str) -> None:
        self._client = client
        self._container = container
        self._since: str | None = None
        self._since = self._running_since()
        self._missing = 0
        self._looked = time.monotonic()

    def over(self) -> bool:
        """Look now and then, for one who waits; return whether it has ended."""
        if time.monotonic() - self._looked >= _LOOK:
            self._looked = time.monotonic()
            self._missing = self._missing + 1 if self._running_since() != self._since else 0
        return self._missing >= _LOOKS

    def _running_since(self) -> str | None:
        """None if it doesn't run. Where the daemon doesn't answer, it is taken to live."""
        try:
            state = (self._client.container(self._container) or {}).get("State") or {}
        except DaemonError:
            return self._since
        return str(state.get("StartedAt")) if state.get("Running") else None
