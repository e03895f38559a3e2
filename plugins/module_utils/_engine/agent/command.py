# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a subcommand of drydock-volumes is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..options import Report, Spec

#: Exit codes: everything was done; nothing was, or nothing that was wanted; what was asked for is malformed; some of it
#: was done and some wasn't, or something wants looking after; the same job runs already.
DONE, FAILED, USAGE, ATTENTION, BUSY = range(5)


@dataclass(frozen=True)
class Command:
    """A subcommand.

    ``spec`` has its options, ``positional`` is the one that its arguments without a name are for. ``run`` does it, as
    the functions of that name in actions, and ``show`` makes lines for people of what was done. A job with ``action``
    is what ``--job`` names; without one, only where things are is taken from a job: the repository, the keys and the
    daemon. One that ``changes`` something can tell what it would change, and one that is ``watched`` tells how far it
    has come.
    """

    name: str
    summary: str
    spec: Spec
    run: Callable[..., Report]
    show: Callable[[Report, bool], Sequence[str]]
    positional: str | None = None
    action: bool = False
    changes: bool = False
    watched: bool = False
