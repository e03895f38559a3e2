# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may expire: each rule by tables, and the promises by properties (F43, F44)."""

from __future__ import annotations

import calendar
import collections.abc as c
import dataclasses
import datetime as dt
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.retention import (
    Decision,
    Duration,
    Policy,
    decide,
)

NOW = dt.datetime(2027, 1, 15, 12, tzinfo=dt.UTC)
LIGHT = hypothesis.settings(max_examples=150, deadline=None, database=None)
RULES = ("keep_last", "keep_hourly", "keep_daily", "keep_weekly", "keep_monthly", "keep_yearly")


def _id(text: str) -> str:
    """An identifier from ``2026-11-23``, ``2026-11-23 10``, or ``2026-11-23 10:15:02``, with ``#2`` or without."""
    when, _mark, number = text.partition("#")
    digits = "".join(filter(str.isdigit, when)).ljust(14, "0")
    return f"{digits[:8]}T{digits[8:]}Z" + (f"-{number}" if number else "")


def _kept(ids: c.Iterable[str], policy: Policy, now: dt.datetime = NOW) -> list[str]:
    return [decision.id for decision in decide(ids, policy, now) if decision.keep]


# Tables

CASES: dict[str, tuple[dict[str, t.Any], str, str]] = {
    # options; what is there; what stays
    "last": ({"keep_last": 2}, "2026-11-21, 2026-11-22, 2026-11-23", "2026-11-23, 2026-11-22"),
    "last, more than there are": ({"keep_last": 9}, "2026-11-21, 2026-11-22", "2026-11-22, 2026-11-21"),
    "last, in one second": (
        {"keep_last": 2},
        "2026-11-21 10:15:02, 2026-11-21 10:15:02#2, 2026-11-21 10:15:02#9, 2026-11-21 10:15:02#10",
        "2026-11-21 10:15:02#10, 2026-11-21 10:15:02#9",
    ),
    "hourly keeps an hour's newest": (
        {"keep_hourly": 2},
        "2026-11-21 09:59:59, 2026-11-21 10:00:00, 2026-11-21 10:59:59, 2026-11-21 11:00:00",
        "2026-11-21 11:00:00, 2026-11-21 10:59:59",
    ),
    "the same hour of two days": (
        {"keep_hourly": 2},
        "2026-11-20 10, 2026-11-21 10",
        "2026-11-21 10, 2026-11-20 10",
    ),
    "daily keeps a day's newest": (
        {"keep_daily": 2},
        "2026-11-20 23:59:59, 2026-11-21 00:00:00, 2026-11-21 23:59:59, 2026-11-22 00:00:00, 2026-11-22 06:00:00",
        "2026-11-22 06:00:00, 2026-11-21 23:59:59",
    ),
    "daily keeps -10 rather than -9": (
        {"keep_daily": 1},
        "2026-11-21 10:15:02#9, 2026-11-21 10:15:02#10, 2026-11-21 10:15:02",
        "2026-11-21 10:15:02#10",
    ),
    "days without a backup don't count": (
        {"keep_daily": 3},
        "2025-01-01, 2026-02-03, 2026-02-04, 2026-11-23",
        "2026-11-23, 2026-02-04, 2026-02-03",
    ),
    "daily over the end of February": (
        {"keep_daily": 2},
        "2026-02-27, 2026-02-28, 2026-03-01",
        "2026-03-01, 2026-02-28",
    ),
    "daily over a leap day": ({"keep_daily": 2}, "2024-02-28, 2024-02-29, 2024-03-01", "2024-03-01, 2024-02-29"),
    "weekly: Sunday ends a week": (
        {"keep_weekly": 2},
        "2026-11-15, 2026-11-16, 2026-11-22, 2026-11-23",
        "2026-11-23, 2026-11-22",
    ),
    "weekly: week 53 goes on in January": (
        {"keep_weekly": 2},
        "2026-12-27, 2026-12-28, 2026-12-31, 2027-01-01, 2027-01-03",
        "2027-01-03, 2026-12-27",
    ),
    "weekly: week 1 begins in December": (
        {"keep_weekly": 2},
        "2024-12-29, 2024-12-30, 2024-12-31, 2025-01-01",
        "2025-01-01, 2024-12-29",
    ),
    "weekly: week 1 of a year isn't week 1 of the next": (
        {"keep_weekly": 2},
        "2024-01-01, 2024-12-30",
        "2024-12-30, 2024-01-01",
    ),
    "monthly": (
        {"keep_monthly": 2},
        "2026-09-30, 2026-10-01, 2026-10-31 23:59:59, 2026-11-01 00:00:00",
        "2026-11-01 00:00:00, 2026-10-31 23:59:59",
    ),
    "monthly: the same month of two years": (
        {"keep_monthly": 2},
        "2025-11-01, 2026-11-01, 2026-11-02",
        "2026-11-02, 2025-11-01",
    ),
    "yearly": (
        {"keep_yearly": 2},
        "2024-12-31, 2025-01-01, 2025-12-31 23:59:59, 2026-01-01 00:00:00",
        "2026-01-01 00:00:00, 2025-12-31 23:59:59",
    ),
    "within hours, the limit itself is out": (
        {"keep_within": "36h"},
        "2026-11-21 22:00:00, 2026-11-21 22:00:01, 2026-11-23 10:00:00",
        "2026-11-23 10:00:00, 2026-11-21 22:00:01",
    ),
    "within weeks": (
        {"keep_within": "2w"},
        "2026-11-08, 2026-11-09, 2026-11-10, 2026-11-23",
        "2026-11-23, 2026-11-10",
    ),
    "within a month": (
        {"keep_within": "1m"},
        "2026-10-22, 2026-10-23, 2026-10-24, 2026-11-23",
        "2026-11-23, 2026-10-24",
    ),
    "within a month of a 31st": (
        {"keep_within": "1m"},
        "2026-03-02, 2026-03-03, 2026-03-04, 2026-03-31",
        "2026-03-31, 2026-03-04",
    ),
    "within a year of a leap day": (
        {"keep_within": "1y"},
        "2023-02-28, 2023-03-01, 2023-03-02, 2024-02-29",
        "2024-02-29, 2023-03-02",
    ),
    "within counts from the newest, however old it is": (
        {"keep_within": "7d"},
        "2020-01-01, 2020-03-01, 2020-03-02, 2020-03-03",
        "2020-03-03, 2020-03-02, 2020-03-01",
    ),
    "within more time than there was": ({"keep_within": "9999y"}, "2020-01-01, 2026-11-23", "2026-11-23, 2020-01-01"),
    "within more weeks than there were": (
        {"keep_within": "999999w"},
        "2020-01-01, 2026-11-23",
        "2026-11-23, 2020-01-01",
    ),
    "what one rule keeps doesn't use up another's number": (
        {"keep_last": 1, "keep_daily": 2, "keep_monthly": 2, "keep_yearly": 2},
        "2024-05-05, 2025-06-06, 2026-10-09, 2026-10-30, 2026-11-21, 2026-11-22 01, 2026-11-22 02",
        "2026-11-22 02, 2026-11-21, 2026-10-30, 2025-06-06",
    ),
    "within and daily": (
        {"keep_within": "12h", "keep_daily": 2},
        "2026-11-20 20, 2026-11-21 08, 2026-11-21 20, 2026-11-22 06, 2026-11-22 07",
        "2026-11-22 07, 2026-11-22 06, 2026-11-21 20",
    ),
    "nothing on": (
        dict.fromkeys(RULES, 0) | {"keep_within": None},
        "2020-01-01, 2026-11-23",
        "2026-11-23, 2020-01-01",
    ),
    "nothing there": ({"keep_last": 1}, "", ""),
    "F43: one backup, years ago": ({"keep_within": "1h"}, "2003-01-01", "2003-01-01"),
    "F44: one from the future": (
        {"keep_last": 2, "keep_within": "1d"},
        "2026-11-20, 2026-11-21, 2026-11-22 12, 2026-11-23, 2099-01-01",
        "2099-01-01, 2026-11-23, 2026-11-22 12",
    ),
    "F44: each rule counts without those of the future": (
        {"keep_daily": 1, "keep_yearly": 1},
        "2025-11-23, 2026-11-23, 2027-02-01, 2028-01-01, 2029-01-01",
        "2029-01-01, 2028-01-01, 2027-02-01, 2026-11-23",
    ),
    "F44: the clock is behind all backups": (
        {"keep_last": 1},
        "2027-02-01, 2027-02-02, 2027-02-03",
        "2027-02-03, 2027-02-02, 2027-02-01",
    ),
    "F44: a backup of this second isn't of the future": (
        {"keep_last": 1},
        "2027-01-15 11:59:59, 2027-01-15 12:00:00, 2027-01-15 12:00:01",
        "2027-01-15 12:00:01, 2027-01-15 12:00:00",
    ),
    "F44: what is no date stays, and isn't counted": (
        {"keep_last": 1},
        "2026-02-30, 2026-11-23 25:00:00, 2026-11-22, 2026-11-23, 0000-01-01",
        "2026-11-23 25:00:00, 2026-11-23, 2026-02-30, 0000-01-01",
    ),
}


@pytest.mark.parametrize(("options", "there", "stay"), CASES.values(), ids=CASES)
def test_what_stays(options: dict[str, t.Any], there: str, stay: str) -> None:
    ids, expected = ([_id(each) for each in text.split(", ") if each] for text in (there, stay))

    assert _kept(ids, Policy.parse(options)) == expected


def test_the_reasons_are_in_words() -> None:
    options = {
        "keep_last": 1,
        "keep_hourly": 1,
        "keep_daily": 2,
        "keep_weekly": 1,
        "keep_monthly": 1,
        "keep_yearly": 2,
        "keep_within": "2w",
    }
    ids = [
        _id(each) for each in ("2027-01-02 10", "2027-01-01", "2026-12-18", "2026-12-31", "2099-01-01", "2026-02-30")
    ]

    assert decide(ids, Policy.parse(options), NOW) == [
        Decision(_id("2099-01-01"), keep=True, reasons=("dated in the future, so it doesn't count",)),
        Decision(
            _id("2027-01-02 10"),
            keep=True,
            reasons=(
                "newest complete backup",
                "last 1",
                "hourly 2027-01-02T10",
                "daily 2027-01-02",
                "weekly 2026-W53",
                "monthly 2027-01",
                "yearly 2027",
                "within 2w",
            ),
        ),
        Decision(_id("2027-01-01"), keep=True, reasons=("daily 2027-01-01", "within 2w")),
        Decision(_id("2026-12-31"), keep=True, reasons=("yearly 2026", "within 2w")),
        Decision(_id("2026-12-18"), keep=False, reasons=("no rule keeps it",)),
        Decision(_id("2026-02-30"), keep=True, reasons=("its identifier is no date, so it doesn't count",)),
    ]


def test_an_empty_policy_says_so() -> None:
    ids = [_id("2026-11-23")]

    assert decide(ids, Policy(), NOW) == [Decision(ids[0], keep=True, reasons=("the policy is empty",))]


@pytest.mark.parametrize("options", [{}, {"keep_last": 1}])
@pytest.mark.parametrize("bad", ["latest", "", "20261123T101502", "20261123T101502Z-0"])
def test_what_is_no_identifier_is_refused(bad: str, options: dict[str, t.Any]) -> None:
    with pytest.raises(UsageError, match="not an identifier"):
        decide([_id("2026-11-23"), bad], Policy.parse(options), NOW)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("36h", Duration(hours=36)),
        ("7d", Duration(days=7)),
        ("2w", Duration(weeks=2)),
        ("3m", Duration(months=3)),
        ("1y", Duration(years=1)),
        ("1y2m3d", Duration(1, 2, 0, 3, 0)),
        ("1y2m3w4d5h", Duration(1, 2, 3, 4, 5)),
    ],
)
def test_durations(text: str, duration: Duration) -> None:
    assert Policy.parse({"keep_within": text}) == Policy(keep_within=duration)
    assert str(duration) == text


@pytest.mark.parametrize("text", ["0d", "0y0h"])
def test_a_duration_of_nothing_is_off(text: str) -> None:
    assert Policy.parse({"keep_within": text}).empty
    assert str(Duration.parse(text)) == "0h"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        " ",
        "7",
        "d",
        "7D",
        "7 d",
        " 7d",
        "7d\n",
        "-7d",
        "+7d",
        "1.5d",
        "3d1y",
        "1d1d",
        "1s",
        "\u0667d",
        7,
        "9" * 7 + "d",
    ],
)
def test_bad_durations_are_refused(bad: object) -> None:
    with pytest.raises(UsageError) as caught:
        Policy.parse({"keep_within": bad})

    assert f"keep_within is {bad!r}; give a duration" in str(caught.value)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("bad", [-1, True, "3", 1.0, [1]])
def test_bad_numbers_are_refused(rule: str, bad: object) -> None:
    with pytest.raises(UsageError) as caught:
        Policy.parse({rule: bad})

    assert f"{rule} is {bad!r}; give a whole number" in str(caught.value)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown option keep_fortnightly; use keep_last, .*, keep_within"):
        Policy.parse({"keep_fortnightly": 1})


def test_what_is_not_given_is_off() -> None:
    assert Policy.parse(dict.fromkeys((*RULES, "keep_within"))) == Policy()
    assert Policy().empty


@pytest.mark.parametrize("rule", RULES)
def test_any_rule_makes_a_policy(rule: str) -> None:
    assert not Policy.parse({rule: 1}).empty


# An independent oracle: each rule asked of each backup alone, by counting those that are newer.

Fields = tuple[int, ...]


def _fields(backup_id: str) -> Fields:
    """Year, month, day, hour, minute, second, number."""
    stamp, _dash, number = backup_id.partition("-")
    cuts = (stamp[0:4], stamp[4:6], stamp[6:8], stamp[9:11], stamp[11:13], stamp[13:15], number or "1")
    return tuple(map(int, cuts))


def _seconds(fields: Fields) -> int:
    return calendar.timegm(fields[:6])


def _week(fields: Fields) -> int:
    """The number of the Monday that begins the week: 1970-01-01 was a Thursday."""
    return (_seconds(fields) // 86400 + 3) // 7


PERIODS: dict[str, c.Callable[[Fields], object]] = {
    "keep_last": lambda fields: fields,
    "keep_hourly": lambda fields: fields[:4],
    "keep_daily": lambda fields: fields[:3],
    "keep_weekly": _week,
    "keep_monthly": lambda fields: fields[:2],
    "keep_yearly": lambda fields: fields[:1],
}


def _limit(newest: Fields, duration: Duration) -> int:
    """The second that ``duration`` before ``newest`` is."""
    year, month = newest[0] - duration.years, newest[1]
    for _month in range(duration.months):
        year, month = (year, month - 1) if month > 1 else (year - 1, 12)
    days = newest[2] - 1 - duration.days - 7 * duration.weeks
    rest = _seconds(newest) % 86400 - 3600 * duration.hours
    return calendar.timegm((year, month, 1, 0, 0, 0)) + 86400 * days + rest


def _oracle(ids: c.Iterable[str], policy: Policy, now: dt.datetime) -> set[str]:
    every = {each: _fields(each) for each in ids}
    real = {each: fields for each, fields in every.items() if _seconds(fields) <= now.timestamp()}
    stay = set(every) - set(real)

    def wanted(mine: Fields) -> bool:
        newer = [other for other in real.values() if other > mine]
        if not newer:
            return True
        for rule, period in PERIODS.items():
            periods = {period(other) for other in newer}
            if period(mine) not in periods and len(periods) < getattr(policy, rule):
                return True
        within = policy.keep_within
        return within is not None and bool(within) and _seconds(mine) > _limit(max(newer), within)

    return set(every) if policy == Policy() else stay | {each for each, fields in real.items() if wanted(fields)}


# Properties

# Days around the ends of months, years and ISO weeks; anywhen; and close together, so that periods hold several.
_EDGES = [(2020, 12, 31), (2021, 1, 3), (2024, 2, 29), (2024, 12, 30), (2026, 3, 31), (2026, 12, 28), (2027, 1, 1)]
_MOMENTS = st.one_of(
    st.builds(
        lambda day, hours, minutes: dt.datetime(*day, tzinfo=dt.UTC) + dt.timedelta(hours=hours, minutes=minutes),
        st.sampled_from(_EDGES),
        st.integers(-72, 72),
        st.sampled_from([0, 0, 1, 59]),
    ),
    st.integers(1_546_300_800, 1_893_455_999).map(lambda when: dt.datetime.fromtimestamp(when, dt.UTC)),
)
_IDS = st.builds(
    lambda when, suffix: when.strftime("%Y%m%dT%H%M%SZ") + suffix,
    _MOMENTS,
    st.sampled_from(["", "", "-2", "-9", "-10"]),
)
BACKUPS = st.lists(_IDS, max_size=25)
NUMBERS = st.integers(0, 5)
DURATIONS = st.builds(
    Duration, st.integers(0, 2), st.integers(0, 14), st.integers(0, 5), st.integers(0, 40), st.integers(0, 50)
)
POLICIES = st.builds(
    Policy,
    keep_last=NUMBERS,
    keep_hourly=NUMBERS,
    keep_daily=NUMBERS,
    keep_weekly=NUMBERS,
    keep_monthly=NUMBERS,
    keep_yearly=NUMBERS,
    keep_within=st.none() | DURATIONS.filter(bool),
)
SPARSE = st.one_of(
    POLICIES,
    st.builds(lambda rule, number: Policy(**{rule: number}), st.sampled_from(RULES), st.integers(1, 5)),
    st.builds(lambda duration: Policy(keep_within=duration), DURATIONS.filter(bool)),
)
TIMES = st.one_of(
    st.just(dt.datetime(2030, 1, 1, tzinfo=dt.UTC)),
    _MOMENTS,
)


@hypothesis.settings(LIGHT, max_examples=500)
@hypothesis.given(BACKUPS, SPARSE, TIMES)
def test_the_oracle_agrees(ids: list[str], policy: Policy, now: dt.datetime) -> None:
    assert set(_kept(ids, policy, now)) == _oracle(ids, policy, now)


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES)
def test_every_backup_is_decided_once_newest_first(ids: list[str], policy: Policy, now: dt.datetime) -> None:
    decisions = decide(ids, policy, now)

    assert [each.id for each in decisions] == sorted(set(ids), key=_fields, reverse=True)
    assert all(each.reasons for each in decisions)
    assert all(each.keep != (each.reasons == ("no rule keeps it",)) for each in decisions)


@LIGHT
@hypothesis.given(BACKUPS.filter(bool), SPARSE, TIMES)
def test_the_newest_stays(ids: list[str], policy: Policy, now: dt.datetime) -> None:
    kept = _kept(ids, policy, now)
    past = [each for each in ids if _seconds(_fields(each)) <= now.timestamp()]

    assert max(ids, key=_fields) in kept
    assert not past or max(past, key=_fields) in kept


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES, st.data())
def test_order_and_duplicates_do_not_matter(
    ids: list[str], policy: Policy, now: dt.datetime, data: st.DataObject
) -> None:
    more = ids + (data.draw(st.lists(st.sampled_from(ids))) if ids else [])
    mixed = data.draw(st.permutations(more))

    assert decide(iter(mixed), policy, now) == decide(ids, policy, now)


def test_two_identifiers_of_the_same_rank_have_an_order() -> None:
    ids = [_id(f"2026-11-{day}{number}") for day in range(10, 24) for number in ("", "#2")]

    assert [each.id for each in decide(ids, Policy(keep_last=1), NOW)] == ids[::-1]


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES)
def test_what_was_kept_stays_kept(ids: list[str], policy: Policy, now: dt.datetime) -> None:
    kept = _kept(ids, policy, now)

    assert _kept(kept, policy, now) == kept


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES, st.sampled_from(RULES), st.integers(1, 4))
def test_a_greater_number_keeps_no_less(ids: list[str], policy: Policy, now: dt.datetime, rule: str, more: int) -> None:
    hypothesis.assume(not policy.empty)  # no rule at all keeps everything
    greater = dataclasses.replace(policy, **{rule: getattr(policy, rule) + more})

    assert set(_kept(ids, policy, now)) <= set(_kept(ids, greater, now))


@LIGHT
@hypothesis.given(
    BACKUPS, DURATIONS.filter(bool), TIMES, st.sampled_from([each.name for each in dataclasses.fields(Duration)])
)
def test_a_longer_time_keeps_no_less(ids: list[str], short: Duration, now: dt.datetime, unit: str) -> None:
    longer = dataclasses.replace(short, **{unit: getattr(short, unit) + 1})

    assert set(_kept(ids, Policy(keep_within=short), now)) <= set(_kept(ids, Policy(keep_within=longer), now))


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES)
def test_each_rule_is_satisfied_as_far_as_it_can_be(ids: list[str], policy: Policy, now: dt.datetime) -> None:
    past = {_fields(each) for each in ids if _seconds(_fields(each)) <= now.timestamp()}
    kept = {_fields(each) for each in _kept(ids, policy, now)} & past

    for rule, period in PERIODS.items():
        wanted = min(getattr(policy, rule), len({period(each) for each in past}))
        assert len({period(each) for each in kept}) >= wanted, rule


@LIGHT
@hypothesis.given(BACKUPS, TIMES)
def test_an_empty_policy_keeps_everything(ids: list[str], now: dt.datetime) -> None:
    assert set(_kept(ids, Policy(), now)) == set(ids)
    assert set(_kept(ids, Policy(keep_within=Duration()), now)) == set(ids)


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES, BACKUPS)
def test_bogus_dates_push_nothing_out(ids: list[str], policy: Policy, now: dt.datetime, others: list[str]) -> None:
    """F44: backups of the future make no difference to the decision about any other."""
    bogus = [each for each in others if _seconds(_fields(each)) > now.timestamp()] + [
        "99991231T235959Z",
        "20260230T000000Z",
    ]
    alone = {each.id: each for each in decide(ids, policy, now)}

    together = {each.id: each for each in decide(ids + bogus, policy, now)}

    assert {each: together[each] for each in alone} == alone
    assert all(together[each].keep for each in bogus)


@LIGHT
@hypothesis.given(BACKUPS, SPARSE, TIMES, st.integers(0, 10**6))
def test_nothing_expires_by_waiting(ids: list[str], policy: Policy, now: dt.datetime, hours: int) -> None:
    """F43: with no new backups, the decision doesn't change as time goes by."""
    past = [each for each in ids if _seconds(_fields(each)) <= now.timestamp()]

    assert decide(past, policy, now + dt.timedelta(hours=hours)) == decide(past, policy, now)
