# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that become paths, and identifiers."""

from __future__ import annotations

import datetime as dt

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import names
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError

GOOD = ["a", "0", "pgdata", "My_Volume-1.2", "a..b", "a" * 255, "0" * 64, "db1.example.com", "A."]
BAD = {
    "nothing": "",
    "parent": "..",
    "here": ".",
    "slash": "/",
    "path": "a/b",
    "climbing": "../a",
    "climbing later": "a/../b",
    "newline": "a\nb",
    "newline at the end": "a\n",
    "NUL": "a\0",
    "quotes": "a'b",
    "double quotes": 'a"b',
    "space": "a b",
    "leading dash": "-rf",
    "leading dot": ".hidden",
    "leading underscore": "_a",
    "256 characters": "a" * 256,
    "Arabic digit": "a\u0661",
    "leading Arabic digit": "\u0661",
    "accent": "é",
    "surrogate": "a\udcff",
    "shell": "a;b",
    "backslash": "a\\b",
}
IDS = ["20261123T101502Z", "20261123T101502Z-2", "20261123T101502Z-10", "20261123T101502Z-999999"]
NOT_IDS = [
    "",
    "latest",
    "20261123T101502",
    "20261123T101502Z\n",
    " 20261123T101502Z",
    "20261123T101502Z-",
    "20261123T101502Z-0",
    "20261123T101502Z-02",
    "20261123T101502Z-1000000",
    "20261123T101502Z--2",
    "20261123T101502Z.json",
    "../20261123T101502Z",
    "2026112\u0663T101502Z",
]


@pytest.mark.parametrize("name", GOOD)
def test_safe_names_pass_unchanged(name: str) -> None:
    assert names.path_component("volume", name) == name


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_f72_unsafe_names_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"host name .* can't be used") as caught:
        names.path_component("host", name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", IDS)
def test_identifiers(text: str) -> None:
    assert names.is_backup_id(text)
    assert names.backup_order(text)[0] == "20261123T101502Z"


@pytest.mark.parametrize("text", NOT_IDS)
def test_no_identifiers(text: str) -> None:
    assert not names.is_backup_id(text)
    with pytest.raises(UsageError, match="is not an identifier"):
        names.backup_order(text)


def test_two_identifiers_are_never_equal_in_time() -> None:
    assert not names.is_backup_id("20261123T101502Z-1")


def test_order_is_that_of_time_and_number() -> None:
    wanted = [
        "20251231T235959Z",
        "20260101T000000Z",
        "20260101T000000Z-2",
        "20260101T000000Z-9",
        "20260101T000000Z-10",
        "20260101T000001Z",
    ]
    shuffled = [wanted[index] for index in (4, 1, 5, 0, 3, 2)]
    assert sorted(shuffled, key=names.backup_order) == wanted


def test_stamps_are_identifiers_and_times_are_utc() -> None:
    when = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
    assert names.stamp(when) == "20260102T030405Z"
    assert names.iso(when) == "2026-01-02T03:04:05Z"
    now = names.utc_now()
    assert now.utcoffset() == dt.timedelta(0)
    assert now.microsecond == 0
    assert abs(now - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=5)
    assert names.is_backup_id(names.stamp(now))


@pytest.mark.parametrize("name", GOOD)
def test_a_folder_is_a_volumes_or_that_of_databases(name: str) -> None:
    assert names.folder(name) == name
    if len(name) < 200:
        assert names.folder(f"database@{name}") == f"database@{name}"
        # and no volume can have it
        with pytest.raises(UsageError):
            names.path_component("volume", f"database@{name}")


@pytest.mark.parametrize("name", BAD.values(), ids=BAD)
def test_no_other_folder_has_backups(name: str) -> None:
    for folder in (name, f"database@{name}", f"database@{'a' * 247}"):
        with pytest.raises(UsageError):
            names.folder(folder)
