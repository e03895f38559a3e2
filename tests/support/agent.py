# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command drydock-volumes, installed by its module into a test's directory, with jobs and a state of its own."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import subprocess
import typing as t

from tests.support.modules import Answer, Modules


class Agent:
    """An installed command."""

    def __init__(self, work: pathlib.Path, modules: Modules) -> None:
        self.path = work / "bin" / "drydock-volumes"
        self.configuration = work / "etc"
        self.state = work / "state"
        self.installed: Answer = modules.run(
            "drydock_agent",
            path=str(self.path),
            bash_completion=str(work / "completions"),
            manual=str(work / "man1"),
        )
        assert self.installed.status == 0, self.installed

    @property
    def environment(self) -> dict[str, str]:
        """That of the command: its jobs and what it remembers are the test's own, and no path leads to the checkout."""
        left = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        return {
            **left,
            "DRYDOCK_STATE_DIRECTORY": str(self.state),
            "DRYDOCK_CONFIG_DIRECTORY": str(self.configuration),
        }

    def job(self, name: str, action: str = "backup", **options: t.Any) -> None:
        """Write a job."""
        folder = self.configuration / "jobs.d"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.json").write_text(json.dumps({"action": action, **options}))

    def start(self, *words: object, environment: c.Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start the command."""
        return subprocess.Popen(
            [self.path, *map(str, words)],
            cwd="/",
            env={**self.environment, **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: object, code: int = 0, **options: t.Any) -> subprocess.CompletedProcess[str]:
        """Run the command to its end, which must be this exit code, and never a traceback."""
        process = self.start(*words, **options)
        stdout, stderr = process.communicate(timeout=300)
        assert "Traceback" not in stdout + stderr, stderr
        assert process.returncode == code, (process.returncode, stdout, stderr)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def json(self, *words: object, code: int = 0, **options: t.Any) -> dict[str, t.Any]:
        """Run the command with --json, and return what it printed, which must be that and nothing else."""
        ran = self.run(*words, "--json", code=code, **options)
        found: dict[str, t.Any] = json.loads(ran.stdout)
        assert found["exit_code"] == code
        return found
