# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in containers whose output breaks off: how they ended is found out, or they are ended."""

from __future__ import annotations

import collections.abc as c
import subprocess
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import hooks
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import ContainerError, DaemonError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.hooks import Hook

HOOK = Hook("db", ("/bin/true",))


class Daemon:
    """Its answers about a command, the last of them for ever; what that prints breaks off at once."""

    def __init__(self, *answers: dict[str, t.Any] | DaemonError) -> None:
        self._answers = list(answers)

    def execution(self, *_arguments: object) -> tuple[str, c.Iterator[bytes]]:
        def printed() -> c.Iterator[bytes]:
            yield b"half\n"
            raise ConnectionResetError

        return "id", printed()

    def container(self, _container: str) -> dict[str, t.Any]:
        return {"State": {"Running": True, "StartedAt": "noon"}}

    def executed(self, _execution: str) -> dict[str, t.Any]:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, DaemonError):
            raise answer
        return answer


def _run(*answers: dict[str, t.Any] | DaemonError) -> None:
    daemon: t.Any = Daemon(*answers)
    hooks.run(daemon, HOOK, 60, lambda: None)


@pytest.fixture(autouse=True)
def _hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_ENDING", 0.5)


def test_a_command_that_ends_a_little_later() -> None:
    runs = {"Running": True, "ExitCode": None, "Pid": 0}
    _run(runs, DaemonError("no Docker daemon"), runs, {"Running": False, "ExitCode": 0})
    with pytest.raises(ContainerError, match="a command in the container db exited 3: half"):
        _run(runs, {"Running": False, "ExitCode": 3})


def test_a_command_that_runs_on_is_ended() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as process:
        with pytest.raises(ContainerError, match=r"broke off, .*: it still ran, and was ended: half; see to it"):
            _run({"Running": True, "ExitCode": None, "Pid": process.pid})
        assert process.wait(10) == -9


def test_a_command_that_the_daemon_does_not_know_any_more() -> None:
    with pytest.raises(ContainerError, match="isn't known: no such exec; it may still run: half; see to it"):
        _run(DaemonError("no such exec"))
