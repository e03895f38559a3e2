# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups' identifiers tell how old they are: not those that a clock gave that was ahead, nor those that are no
dates. Pure.

One of them would be the newest for as long as it takes the time to get there, and hide that none is made any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from . import names

#: How much two clocks may differ.
SKEW = timedelta(minutes=10)


def ahead(backup_id: str, now: datetime) -> bool:
    """Whether an identifier is of a time to come."""
    when = _time(backup_id)
    return when is not None and when > now + SKEW


def placed(backup_id: str, now: datetime) -> bool:
    """Whether an identifier tells how old its backup is."""
    when = _time(backup_id)
    return when is not None and when <= now + SKEW


def newest(ids: Iterable[str], now: datetime) -> str | None:
    """The newest of those that tell how old they are; None if none does."""
    return max((one for one in ids if placed(one, now)), key=names.backup_order, default=None)


def age(backup_id: str, now: datetime) -> float:
    """The seconds since a backup began that is placed."""
    return max(0.0, (now - names.when(backup_id)).total_seconds())


def _time(backup_id: str) -> datetime | None:
    try:
        return names.when(backup_id) if names.is_backup_id(backup_id) else None
    except ValueError:
        return None
