# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Containers come back also where the daemon doesn't say what became of a request, and where they end late."""

from __future__ import annotations

import time
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import journal, quiesce
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    DaemonError,
    NoAnswerError,
    RefusedError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.grouping import Group, Member
from ansible_collections.drydock.volumes.plugins.module_utils._engine.quiesce import Limits, Window
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume

LIMITS = Limits(stop=0.3)
METHODS = ["stop", "pause"]


class Daemon:
    """One container. A request takes effect, and then it raises ``error``, if there is one."""

    def __init__(self, error: Exception | None = None, *, ends_after: float = 0) -> None:
        self.error, self.ends_after = error, ends_after
        self.running, self.paused, self.starts = True, False, 0
        self.ends_at: float | None = None

    def container(self, _name: str) -> dict[str, t.Any]:
        if self.ends_at is not None and time.monotonic() >= self.ends_at:
            self.running, self.ends_at = False, None
        state = {"Running": self.running, "Paused": self.paused, "StartedAt": f"start {self.starts}"}
        return {"State": state, "Config": {}, "HostConfig": {}}

    def signal_container(self, _name: str, _signal: str) -> None:
        if not isinstance(self.error, RefusedError):
            self.ends_at = time.monotonic() + self.ends_after
        self._answer()

    def pause_container(self, _name: str) -> None:
        self.paused = not isinstance(self.error, RefusedError)
        self._answer()

    def unpause_container(self, _name: str) -> None:
        self.paused = False

    def start_container(self, _name: str) -> None:
        if not self.running:
            self.running, self.starts = True, self.starts + 1

    def all_containers(self) -> list[dict[str, t.Any]]:
        mount = {"Type": "volume", "Name": "data", "RW": True}
        return [{"Id": "c", "Names": ["/late"], "State": "running", "Mounts": [mount]}]

    def _answer(self) -> None:
        if self.error is not None:
            raise self.error


def window(daemon: Daemon, *methods: str) -> Window:
    members = tuple(Member("c", "pg", method) for method in methods)
    group = Group(("data",), members, (), (), {"data": (*methods, "stop")[0]}, {"data": ()})
    return Window(t.cast("t.Any", daemon), group, LIMITS, lambda: None)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("error", [NoAnswerError("no answer"), DaemonError("can't be reached")])
def test_f23_a_request_without_an_answer_may_have_taken_effect(method: str, error: Exception) -> None:
    daemon = Daemon(error, ends_after=0.1)
    with pytest.raises(DaemonError):
        window(daemon, method).open()
    assert (daemon.running, daemon.paused) == (True, False)
    assert daemon.starts == (method == "stop")
    assert not journal.unfinished()


@pytest.mark.parametrize("method", METHODS)
def test_what_the_daemon_refuses_is_not_done(method: str) -> None:
    daemon = Daemon(RefusedError("no"))
    opened = window(daemon, method)
    with pytest.raises(RefusedError):
        opened.open()
    assert (opened.notes, opened.failures, daemon.starts) == ([], [], 0)


def _left(daemon: Daemon) -> dict[str, t.Any]:
    """What a run has in the journal that dies right after the signal."""
    opened = window(daemon, "stop")
    daemon.ends_after, late = 0, daemon.ends_after
    opened.open()
    assert opened._entry is not None
    left = opened._entry.undo
    opened._entry.remove()
    daemon.running, daemon.ends_at = True, time.monotonic() + late
    return left


def test_f21_a_container_that_ends_after_the_run_has_died() -> None:
    daemon = Daemon(ends_after=0.1)
    notes: list[str] = []
    assert quiesce.bring_back(t.cast("t.Any", daemon), _left(daemon), LIMITS, notes.append)
    assert (daemon.running, daemon.starts) == (True, 1)
    assert "container pg was started" in notes[0]


@pytest.mark.parametrize("ago", [0, 3600, -3600])
def test_f21_one_that_does_not_end_is_waited_for_no_longer_than_by_a_run_that_lives(ago: float) -> None:
    daemon = Daemon(ends_after=3600)  # or the run died before it could send the signal
    left, notes = _left(daemon), []
    left["containers"][0][quiesce.SIGNALLED] -= ago
    assert quiesce.bring_back(t.cast("t.Any", daemon), left, LIMITS, notes.append)
    assert (daemon.running, daemon.starts, notes) == (True, 0, [])


def test_f21_one_that_ends_late_is_started_again() -> None:
    daemon = Daemon(ends_after=1.5 * LIMITS.stop)
    notes: list[str] = []
    assert quiesce.bring_back(t.cast("t.Any", daemon), _left(daemon), LIMITS, notes.append)
    assert (daemon.running, daemon.starts) == (True, 1)


def test_who_starts_meanwhile_is_seen_where_nobody_was() -> None:
    opened = window(Daemon())
    volume = Volume("data", "local", {}, {}, "local", "/v/_data")
    opened.look([volume])
    assert opened.intruders == {"data": ["late"]}
    opened.group = Group(("data",), (), (), (), {"data": "none"}, {"data": ()})
    opened.intruders.clear()
    opened.look([volume])
    assert opened.intruders == {}
