# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a module as Ansible runs it: as a process, with its arguments as JSON."""

from __future__ import annotations

import atexit
import collections.abc as c
import functools
import json
import os
import pathlib
import subprocess
import sys
import time
import typing as t

from tests.support.zygote import Zygote

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
COLLECTIONS = CHECKOUT / ".venv" / "collections"
#: How long a module may take, in seconds.
TIMEOUT = 300
MODULES = "ansible_collections.drydock.volumes.plugins.modules"


class Answer(dict[str, t.Any]):
    """What a module returned, and how its process ended."""

    status: int
    stderr: str


class Modules:
    """The collection's modules."""

    def __init__(self, work: pathlib.Path) -> None:
        self._work = work
        self._count = 0

    def start(
        self,
        module: str,
        *,
        check: bool = False,
        diff: bool = False,
        wrapper: c.Sequence[str] = (),
        environment: c.Mapping[str, str] | None = None,
        **options: t.Any,
    ) -> subprocess.Popen[str]:
        """Start a module, in front of it ``wrapper``, a command that runs another."""
        file, variables = self._prepared(options, check=check, diff=diff)
        return subprocess.Popen(
            [*wrapper, sys.executable, "-m", f"{MODULES}.{module}", str(file)],
            cwd="/",
            env={**variables, **(environment or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self,
        module: str,
        *,
        check: bool = False,
        diff: bool = False,
        environment: c.Mapping[str, str] | None = None,
        **options: t.Any,
    ) -> Answer:
        """Run a module to its end. It must answer with JSON and nothing else, whatever happens to it."""
        if "wrapper" in options:
            return self.finish(self.start(module, check=check, diff=diff, environment=environment, **options))
        file, variables = self._prepared(options, check=check, diff=diff)
        return _answer(*_zygote().run(f"{MODULES}.{module}", file, {**variables, **(environment or {})}, TIMEOUT))

    def finish(self, process: subprocess.Popen[str]) -> Answer:
        """Wait for a module, and return what it said."""
        stdout, stderr = process.communicate(timeout=TIMEOUT)
        return _answer(process.returncode, stdout, stderr)

    def seconds(self, module: str, **options: t.Any) -> float:
        """How long a module takes that start starts; it must succeed."""
        began = time.monotonic()
        answer = self.finish(self.start(module, **options))
        assert not answer.get("failed"), answer["msg"]
        return time.monotonic() - began

    def _prepared(
        self, options: c.Mapping[str, t.Any], *, check: bool, diff: bool
    ) -> tuple[pathlib.Path, dict[str, str]]:
        """The file with a module's arguments, and the environment for it."""
        self._count += 1
        file = self._work / f"arguments-{self._count}.json"
        arguments = {**options, "_ansible_check_mode": check, "_ansible_diff": diff}
        file.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": arguments}))
        # a journal of this test's own: nobody else recovers what it leaves
        state = {"DRYDOCK_STATE_DIRECTORY": str(self._work / "state")}
        return file, {**os.environ, "PYTHONPATH": str(COLLECTIONS), **state}

    def backup(self, *volumes: str, **options: t.Any) -> Answer:
        """Back volumes up; it must succeed."""
        answer = self.run("docker_volume_backup", volumes=list(volumes), **options)
        assert not answer.get("failed"), answer["msg"]
        return answer

    def restore(self, volume: str, **options: t.Any) -> Answer:
        """Restore a volume; it must succeed."""
        answer = self.run("docker_volume_restore", volume=volume, **options)
        assert not answer.get("failed"), answer["msg"]
        return answer

    def refused(self, module: str, **options: t.Any) -> str:
        """Run a module that must fail, and return its message, which must be one for people."""
        answer = self.run(module, **options)
        assert answer.get("failed"), answer
        assert "Traceback" not in answer["msg"] + answer.stderr, answer
        assert not answer.get("changed"), answer
        return str(answer["msg"])


def _answer(status: int, stdout: str, stderr: str) -> Answer:
    """What a module said, which must be JSON and nothing else."""
    try:
        answer = Answer(json.loads(stdout))
    except ValueError:
        raise AssertionError(f"no JSON: {stdout!r}, stderr {stderr!r}") from None
    answer.status, answer.stderr = status, stderr
    assert bool(answer.get("failed")) == (status != 0), answer
    return answer


@functools.lru_cache(maxsize=1)
def _zygote() -> Zygote:
    made = Zygote(COLLECTIONS)
    atexit.register(made.close)
    return made
