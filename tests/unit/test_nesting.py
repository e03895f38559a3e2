# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is inside a directory, by whatever way it is named."""

from __future__ import annotations

import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import nesting
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from tests.unit.helpers import mounted, needs_root


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("{0}/v", True),
        ("{0}/v/", True),
        ("{0}/v/not/there/yet", True),
        ("{0}/v/file", True),
        ("{0}/v/file/below", True),
        ("{0}/link/x", True),
        ("{0}/v/out", False),
        ("{0}/v/../v2", False),
        ("{0}/v2", False),
        ("{0}", False),
        ("{0}/gone/v", False),
        ("/", False),
        ("v", False),
        ("remote:v", False),
    ],
)
def test_what_a_directory_holds(tmp_path: pathlib.Path, path: str, expected: bool) -> None:
    for folder in ("v", "v2"):
        (tmp_path / folder).mkdir()
    (tmp_path / "v" / "file").touch()
    (tmp_path / "link").symlink_to("v")
    (tmp_path / "v" / "out").symlink_to(tmp_path / "v2")
    (tmp_path / "gone").symlink_to("nowhere")
    assert nesting.holds(str(tmp_path / "v"), path.format(tmp_path)) is expected
    assert nesting.holds(str(tmp_path / "link"), path.format(tmp_path)) is expected


@needs_root
def test_it_holds_what_a_mount_shows_again(tmp_path: pathlib.Path) -> None:
    with mounted("ramfs", tmp_path / "outer") as outer:
        (outer / "v" / "below").mkdir(parents=True)
        nesting.require_nothing_mounted(str(outer / "v"), "pgdata")
        with mounted("ramfs", outer / "v" / "below"), pytest.raises(VolumeError, match=r"mounted inside, at .*below"):
            nesting.require_nothing_mounted(str(outer / "v"), "pgdata")
        nesting.require_nothing_mounted(str(outer / "v"), "pgdata")
        assert not nesting.holds(str(outer / "v"), str(outer))
