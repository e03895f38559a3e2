# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a policy lets go of a repository's backups, and what no policy is for."""

from __future__ import annotations

import datetime as dt
import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import copies, expiry
from ansible_collections.drydock.volumes.plugins.module_utils._engine.job import Result
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from ansible_collections.drydock.volumes.plugins.module_utils._engine.retention import Policy
from tests.unit.samples import WHEN, put

NOW = WHEN + dt.timedelta(days=1)


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Directory:
    """One of a volume that was backed up, removed, made again, and backed up since, three times at least."""
    repository = Directory(str(tmp_path / "r"))
    for hours, purpose in ((1, {}), (2, {"purpose": expiry.BEFORE_REMOVAL}), (3, {}), (4, {"purpose": "another"})):
        put(repository, when=WHEN + dt.timedelta(hours=hours), **purpose)
    return repository


def ids(repository: Directory) -> list[str]:
    return [manifest["id"][9:11] for manifest in repository.backups("db1", "pgdata")[0]]


@pytest.mark.parametrize(
    ("rules", "left"),
    [
        ({"keep_last": 1}, ["14", "12"]),
        ({"keep_last": 2}, ["14", "13", "12"]),
        ({"keep_hourly": 3}, ["14", "13", "12", "11"]),
    ],
)
def test_a_backup_of_what_was_removed_neither_goes_nor_counts(
    repository: Directory, rules: dict[str, int], left: list[str]
) -> None:
    gone = expiry.expire(repository, "db1", "pgdata", Policy(**rules), NOW)
    assert sorted(ids(repository), reverse=True) == left
    assert len(gone) == 4 - len(left)


def test_a_copy_has_it_too(repository: Directory, tmp_path: pathlib.Path) -> None:
    copy = Directory(str(tmp_path / "copy"))
    there = [copies.Copy(copy, Policy(keep_last=2))]
    for _time in range(2):
        copies.bring(repository, there, "db1", {"pgdata": None}, Result(), lock_timeout=0, proceed=lambda: None)
        assert sorted(ids(copy), reverse=True) == ["14", "13", "12"]
