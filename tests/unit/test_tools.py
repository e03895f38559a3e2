# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding programs, and the environment they get."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import ToolError


def _program(path: pathlib.Path, says: str) -> pathlib.Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_programs_are_found_without_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    assert tools.need("tar", "tar").startswith("/")


def test_the_callers_path_comes_first(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = _program(tmp_path / "zstd", "mine")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert tools.find("zstd") == str(mine)
    assert tools.find("no-such-program-anywhere") is None


def test_tar_is_gnu_tar_and_tells_its_version() -> None:
    path, version = tools.gnu_tar()
    assert path.endswith("tar")
    assert version[0].isdigit()


@pytest.mark.parametrize("says", ["tar (busybox) 1.35.0", "bsdtar 3.6.2 - libarchive 3.6.2", "", "gnu tar"])
def test_another_tar_is_refused(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, says: str) -> None:
    _program(tmp_path / "gtar", says)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match="is not GNU tar"):
        tools.gnu_tar()


def test_the_environment_holds_nothing_that_steers_a_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TAR_OPTIONS", "GZIP", "PIGZ", "ZSTD_CLEVEL", "ZSTD_NBTHREADS", "LD_PRELOAD", "LANG", "LC_MESSAGES"):
        monkeypatch.setenv(name, "x")
    found = tools.environment()
    assert found.keys() <= {"HOME", "TMPDIR", "PATH", "LC_ALL", "TZ"}
    assert (found["LC_ALL"], found["TZ"]) == ("C", "UTC")
