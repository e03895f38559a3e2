# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What check mode knows of a volume that may hold already what it is to hold, and what that leaves behind."""

from __future__ import annotations

import contextlib
import os
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import target
from ansible_collections.drydock.volumes.plugins.module_utils._engine.survey import Survey
from ansible_collections.drydock.volumes.plugins.module_utils._engine.target import Outcome, Settings, Target
from tests.support import trees
from tests.unit.helpers import mounted, needs_root

pytestmark = needs_root

# Deeper than Python recurses, and than a path can be.
DEPTH = 3000


class Deep:
    """A tree that is deep."""

    allocated = DEPTH * 4096
    entries = DEPTH
    rooted = False

    def fill(self, directory: str) -> None:
        descriptor = os.open(directory, os.O_RDONLY)
        for _level in range(DEPTH):
            os.mkdir("d", 0o755, dir_fd=descriptor)
            below = os.open("d", os.O_RDONLY, dir_fd=descriptor)
            os.utime(descriptor, (1, 1))
            os.close(descriptor)
            descriptor = below
        os.utime(descriptor, (1, 1))
        os.close(descriptor)

    def may_be(self, _found: Survey) -> bool:
        return True


class ThatVolume(Target):
    """A volume that is there already."""

    def __init__(self, place: pathlib.Path) -> None:
        self.outcome = Outcome()
        nobody: t.Any = None
        super().__init__(nobody, "v", Settings(check=True), self.outcome, contextlib.ExitStack())
        self._place = str(place)


@pytest.fixture
def volume(tmp_path: pathlib.Path) -> t.Iterator[ThatVolume]:
    place = tmp_path / "volume"
    place.mkdir()
    yield ThatVolume(place)
    trees.remove(place)


@pytest.fixture
def aside(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    made = tmp_path / "aside"
    made.mkdir()
    monkeypatch.setattr(target, "_ASIDE", str(made))
    return made


def test_check_mode_compares_a_deep_tree_and_removes_what_it_and_dead_runs_made(
    volume: ThatVolume, aside: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    Deep().fill(str(aside))
    os.rename(aside / "d", aside / ".drydock-verify-dead")
    volume.receive(Deep())
    assert volume.outcome.changed
    Deep().fill(str(tmp_path / "volume"))
    volume.receive(Deep())
    assert not volume.outcome.changed
    assert volume.outcome.warnings == []
    assert os.listdir(aside) == []


def test_check_mode_without_room_for_a_copy_takes_it_for_changed(volume: ThatVolume, aside: pathlib.Path) -> None:
    with mounted("tmpfs", aside, "-o", "size=64k"):
        volume.receive(Deep())
        assert volume.outcome.changed
        (warning,) = volume.outcome.warnings
        assert f"takes {DEPTH * 4096} bytes in {DEPTH} files and directories, for which {aside} has no room" in warning
        assert os.listdir(aside) == []
