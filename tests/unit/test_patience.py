# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whoever asks a file system that hangs gets no answer, and goes on all the same."""

from __future__ import annotations

import collections.abc as c
import threading
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.patience import HangingError, within


@pytest.fixture
def hang() -> c.Iterator[c.Callable[[], object]]:
    """What hangs until the test is over."""
    release = threading.Event()
    yield lambda: release.wait(30)
    release.set()


@pytest.mark.parametrize("seconds", [0, 0.3, 60])
def test_an_answer_is_passed_on(seconds: float) -> None:
    assert within(seconds, lambda: "answer") == "answer"
    assert within(seconds, lambda: None) is None  # type: ignore[func-returns-value]


@pytest.mark.parametrize("error", [FileNotFoundError("x"), VolumeError("y"), KeyboardInterrupt()])
def test_so_is_an_error(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        within(5, fail)
    assert caught.value is error


def test_who_hangs_is_left_behind(hang: c.Callable[[], object]) -> None:
    began = time.monotonic()
    with pytest.raises(
        HangingError, match=r"the file system hangs: it gave no answer for 0\.3 seconds, as with an NFS"
    ):
        within(0.3, hang)
    assert time.monotonic() - began >= 0.3
    (thread,) = (thread for thread in threading.enumerate() if thread.name == "patience")
    assert thread.daemon


def test_who_is_slow_is_waited_for() -> None:
    looks: list[int] = []
    slow = threading.Event()
    threading.Timer(1.3, slow.set).start()
    assert within(0, lambda: slow.wait(30), lambda: looks.append(1))
    assert len(looks) >= 2


def test_proceed_ends_the_wait(hang: c.Callable[[], object]) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        within(0, hang, stop)
    assert "patience" in {thread.name for thread in threading.enumerate()}  # which hangs on
