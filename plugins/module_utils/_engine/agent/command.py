# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a subcommand of drydock-volumes is."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from ..options import Report, Spec

#: Exit codes: everything was done; nothing was, or nothing that was wanted; what was asked for is malformed; some of it
#: was done and some wasn't, or something wants looking after; the same job runs already.
DONE, FAILED, USAGE, ATTENTION, BUSY = range(5)


class Run(Protocol):
    """Does what a subcommand is for."""

    def __call__(self, params: Mapping[str, Any], *, check: bool = False) -> Report:
        """With ``check`` tell what would be done. Raise DrydockError where nothing can be."""


@dataclass(frozen=True)
class Command:
    """A subcommand.

    ``spec`` has its options, ``positional`` is the one that its arguments without a name are for. ``show`` makes lines
    for people of what was done. A job with ``action`` is what ``--job`` names; without one, only where things are is
    taken from a job: the repository, the keys and the daemon.
    """

    name: str
    summary: str
    spec: Spec
    run: Run
    show: Callable[[Report, bool], Sequence[str]]
    positional: str | None = None
    action: bool = False
    changes: bool = False
