# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests against the real engine share: volumes that are theirs, and modules run as Ansible runs them."""

from __future__ import annotations

import collections.abc as c
import pathlib
import tempfile

import pytest

from tests.support.engine import Engine
from tests.support.modules import Modules


@pytest.fixture
def engine() -> c.Iterator[Engine]:
    """The Docker Engine, and volumes and containers with names of this test's own, removed at its end."""
    with Engine() as made:
        yield made


@pytest.fixture
def work() -> c.Iterator[pathlib.Path]:
    """A directory on the disk that volumes are on; pytest's own may be on a file system without xattrs."""
    with tempfile.TemporaryDirectory(prefix="drydock-test-", dir="/var/tmp") as made:
        yield pathlib.Path(made)


@pytest.fixture
def modules(work: pathlib.Path) -> Modules:
    """The modules, each run in a process of its own."""
    return Modules(work)
