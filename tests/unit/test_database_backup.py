# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the backup of databases says when something goes wrong after it is published. The rest needs servers."""

from __future__ import annotations

import pathlib
import types
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import database_backup, expiry, options
from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions import database_backup as action
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import RepositoryError

FOUND = types.SimpleNamespace(container="pg", image="postgres:15", variables={})
DIALECT = types.SimpleNamespace(
    version=lambda: "15",
    databases=lambda: ["shop"],
    warnings=lambda _databases: [],
    details=lambda _databases: {},
    sources=lambda _databases, *, shared: [],
)


class Dumped:
    """A job that has stored all dumps."""

    entries = 0
    dumps: t.ClassVar[list[t.Any]] = []

    def __init__(self, *_arguments: object) -> None:
        pass

    def store(self, publication: t.Any, _filters: object) -> None:
        publication.write(memoryview(b"archive"))


def test_a_backup_that_was_added_is_reported_though_expiry_fails(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = types.SimpleNamespace(version="20.10.24", connection=types.SimpleNamespace(local=True))
    monkeypatch.setattr(options, "connect", lambda _params: client)
    monkeypatch.setattr(database_backup.server, "find", lambda *_arguments: FOUND)
    monkeypatch.setattr(database_backup, "speak", lambda *_arguments: ("postgresql", DIALECT))
    monkeypatch.setattr(database_backup, "_Job", Dumped)

    def expire(*_arguments: object, **_more: object) -> t.NoReturn:
        raise RepositoryError("another run writes to it; nothing was changed")

    monkeypatch.setattr(expiry, "_expire", expire)
    given = {"container": "pg", "repository": str(tmp_path / "r"), "host": "db1", "retention": {"keep_last": 1}}
    params = {name: argument.get("default") for name, argument in action.SPEC.arguments.items()} | given
    report = action.run(params)
    made = report.values["backup"]
    assert report.changed
    assert pathlib.Path(made["path"]).exists()
    assert report.failure == (
        f"databases in container pg: backup {made['id']} was added; what the retention policy lets go may still be "
        "there, until the next backup: another run writes to it"
    )
    assert report.values["expired"] == []
