# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore of databases may do, and what it does with each."""

from __future__ import annotations

from dataclasses import dataclass

from .dumps import Dump

#: What a target was before: it wasn't there, it held nothing, something that was replaced, or a part of a restore that
#: was interrupted.
ABSENT, EMPTY, REPLACED, PART = "absent", "empty", "replaced", "interrupted"


@dataclass(frozen=True)
class Choice:
    """What may be done to databases that hold something (``when_not_empty``: fail, replace), and whether those who are
    connected to them are disconnected."""

    when_not_empty: str = "fail"
    disconnect: bool = False


@dataclass
class Pair:
    """The ``dump`` of the ``database`` is restored as ``target``, which was as ``was`` says. ``extra`` is what the
    manifest has besides: for MariaDB the character set and the collation."""

    dump: Dump
    database: str
    target: str
    extra: tuple[str, ...] = ()
    was: str = ABSENT
