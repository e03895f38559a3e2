# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests that break things share."""

from __future__ import annotations

import os
import pathlib

import pytest

from tests.support.engine import Engine

#: With this level zstd needs a second for every two megabytes of noise, time enough to break something.
SLOW = {"compression": "zstd", "compression_level": 19}


@pytest.fixture
def slow_volume(engine: Engine) -> str:
    """A volume that takes a few seconds to back up with SLOW."""
    volume = engine.volume()
    for number in range(4):
        (engine.path(volume) / f"noise-{number}").write_bytes(os.urandom(8 << 20))
    return volume


def complete(repository: pathlib.Path) -> set[str]:
    """The files in a repository that aren't locks."""
    return {path.name for path in repository.rglob("*") if path.is_file() and path.name != ".lock"}
