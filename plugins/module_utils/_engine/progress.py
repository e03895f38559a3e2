# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far work has come, for whoever wants to watch it. The engine tells, and shows nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Watch(Protocol):
    """Is told of every volume's steps, from any thread."""

    def __call__(self, volume: str, step: str, done: int, total: int | None) -> None:
        """``done`` bytes of ``total`` (None: not known yet) are behind in the ``step``: "read", "verify", "restore"."""


def gauge(watch: Watch | None, volume: str, step: str, total: Callable[[], int | None]) -> Callable[[int], None] | None:
    """What is told of the bytes that are done tells ``watch`` of them; None if nobody watches."""
    if watch is None:
        return None
    watch(volume, step, 0, total())

    def tell(done: int) -> None:
        watch(volume, step, done, total())

    return tell
