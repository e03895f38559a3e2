# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which backups stay and which may go: a pure function of their identifiers, a policy, and the time.

The caller gives the identifiers of one volume's *complete* backups and nothing else; a backup's time is the one in its
identifier (UTC), whatever the file system says. The rules are those of restic's ``forget``, as far as they exist here:

- A backup stays if any rule keeps it. A policy without rules keeps everything.
- ``keep_daily`` keeps the newest backup of each of the newest N days *that have one*; so do hourly, weekly (ISO 8601
  weeks), monthly and yearly. Days without a backup don't use the number up.
- ``keep_within`` reaches back from the newest backup, not from now: while a host is off, nothing of it expires.
- The newest backup stays whatever the policy.
- What can't be placed in time stays, and doesn't count for any rule: a backup dated after now (the clock was wrong
  then, or is wrong now) and one whose digits are no date. So neither pushes a real one out.

No function can tell a clock that runs ahead *now* from a host that was off until now: a backup made then is the newest.
It takes one place of each rule that counts (``keep_last`` …), but ``keep_within`` alone then lets all older ones go: a
policy should have a rule that counts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from datetime import datetime, timedelta, timezone
from typing import Any

from . import names
from .errors import UsageError

_DURATION = re.compile(r"(?:(\d{1,6})y)?(?:(\d{1,6})m)?(?:(\d{1,6})w)?(?:(\d{1,6})d)?(?:(\d{1,6})h)?", re.ASCII)
# What a backup's time belongs to, by rule. Equal words are the same period.
_PERIODS: dict[str, Callable[[datetime], str]] = {
    "hourly": lambda when: when.isoformat()[:13],
    "daily": lambda when: when.isoformat()[:10],
    "weekly": lambda when: "{:04}-W{:02}".format(*when.isocalendar()),
    "monthly": lambda when: when.isoformat()[:7],
    "yearly": lambda when: when.isoformat()[:4],
}


@dataclass(frozen=True)
class Duration:
    """A length of time in the units it was written in, for a month has no fixed number of days."""

    years: int = 0
    months: int = 0
    weeks: int = 0
    days: int = 0
    hours: int = 0

    @classmethod
    def parse(cls, text: str) -> Duration:
        """Read ``1y2m3w4d5h`` or some of it, the greatest unit first; ``m`` is months. Raise ValueError for others."""
        match = _DURATION.fullmatch(text)
        if match is None or not text:
            raise ValueError(f"not a duration: {text!r}")
        return cls(*(int(number or 0) for number in match.groups()))

    def __str__(self) -> str:
        return "".join(f"{number}{unit}" for unit, number in zip("ymwdh", self._numbers()) if number) or "0h"

    def __bool__(self) -> bool:
        return any(self._numbers())

    def _numbers(self) -> tuple[int, ...]:
        return self.years, self.months, self.weeks, self.days, self.hours

    def before(self, when: datetime) -> datetime:
        """The time this long before ``when`` (UTC), or the earliest there is.

        As restic and Go's AddDate count: first the months, and a day that the month doesn't have runs over into the
        next one (a month before March 31st is February 31st, that is March 3rd); then days; then hours.
        """
        month = 12 * (when.year - self.years) + when.month - 1 - self.months
        try:
            first = when.replace(year=month // 12, month=month % 12 + 1, day=1)
            return first + timedelta(days=when.day - 1 - self.days, weeks=-self.weeks, hours=-self.hours)
        except (ValueError, OverflowError):
            return datetime.min.replace(tzinfo=timezone.utc)


@dataclass(frozen=True)
class Policy:
    """The rules. 0 and None (and a duration of nothing) switch a rule off. Raise UsageError for a bad number."""

    keep_last: int = 0
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    keep_within: Duration | None = None

    def __post_init__(self) -> None:
        for rule in ("last", *_PERIODS):
            number = getattr(self, f"keep_{rule}")
            if not isinstance(number, int) or isinstance(number, bool) or number < 0:
                raise UsageError(
                    f"retention: keep_{rule} is {number!r}; give a whole number from 0 on: 0 switches the rule off, "
                    "and to keep everything leave all of the rules out"
                )

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Policy:
        """The policy that ``options`` describe by the fields' names, ``keep_within`` as text; None is "not given".

        Raise UsageError for an unknown name and for a value that doesn't fit.
        """
        given = {name: value for name, value in options.items() if value is not None}
        known = [field.name for field in fields(cls)]
        unknown = ", ".join(sorted(str(name) for name in given if name not in known))
        if unknown:
            raise UsageError(f"retention: unknown option {unknown}; use {', '.join(known)}")
        if "keep_within" in given:
            try:
                given["keep_within"] = Duration.parse(given["keep_within"])
            except (ValueError, TypeError) as error:
                raise UsageError(
                    f"retention: keep_within is {given['keep_within']!r}; give a duration in years, months, weeks, "
                    "days and hours, in this order, without blanks or signs, such as 36h, 7d, 2w, 3m (months), 1y2m3d"
                ) from error
        return cls(**given)

    @property
    def empty(self) -> bool:
        """Whether no rule is on. Then everything is kept."""
        return not any(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Decision:
    """Whether the backup ``id`` is to be kept, and why, in words for the operator."""

    id: str
    keep: bool
    reasons: tuple[str, ...]


def decide(backup_ids: Iterable[str], policy: Policy, now: datetime) -> list[Decision]:
    """Decide about each of one volume's complete backups, newest first; duplicates count once.

    ``now`` (with a zone) only tells which backups are dated in the future. Raise UsageError for what isn't an
    identifier.
    """
    # The identifier itself ends the key: X and X-1 are of the same rank, and their order must not be chance.
    ids = sorted(set(backup_ids), key=lambda each: (names.backup_order(each), each), reverse=True)
    if policy.empty:
        return [Decision(each, keep=True, reasons=("the policy is empty",)) for each in ids]
    reasons: dict[str, list[str]] = {each: [] for each in ids}
    placed: list[tuple[str, datetime]] = []
    for each in ids:
        when = _time(each)
        if when is None:
            reasons[each].append("its identifier is no date, so it doesn't count")
        elif when > now:
            reasons[each].append("dated in the future, so it doesn't count")
        else:
            placed.append((each, when))
    for each, reason in _kept(placed, policy):
        reasons[each].append(reason)
    return [Decision(each, bool(why), tuple(why) or ("no rule keeps it",)) for each, why in reasons.items()]


def _time(backup_id: str) -> datetime | None:
    """The time in an identifier, or None if its digits are no date (February 30th)."""
    try:
        return names.when(backup_id)
    except ValueError:
        return None


def _kept(backups: list[tuple[str, datetime]], policy: Policy) -> Iterator[tuple[str, str]]:
    """An identifier and a reason for each rule that keeps one of ``backups``, which are newest first."""
    if not backups:
        return
    newest, newest_time = backups[0]
    yield newest, "newest complete backup"
    for each, _when in backups[: policy.keep_last]:
        yield each, f"last {policy.keep_last}"
    for rule, period in _PERIODS.items():
        limit: int = getattr(policy, f"keep_{rule}")
        seen: set[str] = set()
        for each, when in backups:
            if len(seen) < limit and period(when) not in seen:
                seen.add(period(when))
                yield each, f"{rule} {period(when)}"
    if policy.keep_within:
        start = policy.keep_within.before(newest_time)
        for each, when in backups:
            if when > start:
                yield each, f"within {policy.keep_within}"
