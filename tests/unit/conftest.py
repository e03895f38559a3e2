# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every unit test gets."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import signal

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import journal
from tests.unit.fake_daemon import FakeDaemon

SECONDS = 60


@pytest.fixture(autouse=True)
def _deadline() -> c.Iterator[None]:
    """A test that hangs fails."""

    def late(*_arguments: object) -> None:
        raise TimeoutError(f"the test takes more than {SECONDS} seconds")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(autouse=True)
def _journal(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody recovers, with a small daemon in place of Docker, what a run on this machine has left."""
    monkeypatch.setattr(journal, "STATE", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _no_docker_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's DOCKER_HOST leads a test to a real daemon."""
    for name in [name for name in os.environ if name.startswith("DOCKER_")]:
        monkeypatch.delenv(name)


@pytest.fixture
def daemon(tmp_path: pathlib.Path) -> c.Iterator[FakeDaemon]:
    """A daemon with no volumes and no containers; change its answers at will."""
    with FakeDaemon(tmp_path / "docker.sock") as fake:
        yield fake
