# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The built collection, installed into an empty path: the demo runs from there, from nothing of the checkout."""

from __future__ import annotations

import os
import pathlib
import subprocess

from tests.support.modules import CHECKOUT


def test_the_demo_runs_from_an_install(work: pathlib.Path) -> None:
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith(("ANSIBLE_", "PYTHON"))},
        "HOME": str(work),
        "ANSIBLE_HOME": str(work / ".ansible"),
        "ANSIBLE_COLLECTIONS_PATH": str(work / "installed"),
    }

    def galaxy(*arguments: str | pathlib.Path) -> None:
        subprocess.run(
            ["ansible-galaxy", "collection", *arguments], cwd=CHECKOUT, env=environment, check=True, capture_output=True
        )

    galaxy("build", "--output-path", work / "build")
    (built,) = (work / "build").iterdir()
    galaxy("install", built, "--collections-path", work / "installed")
    top = {path.name for path in (work / "installed/ansible_collections/drydock/volumes").iterdir()}
    assert {"plugins", "playbooks", "README.md", "COPYING", "MANIFEST.json"} <= top
    assert not top & {".venv", ".git", "build", "tools", "Makefile"}

    for _time in range(2):
        demo = subprocess.run(
            ["ansible-playbook", "drydock.volumes.demo"],
            cwd=work,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert demo.returncode == 0, demo.stdout + demo.stderr
        assert demo.stdout.count("identical") >= 3
        assert "failed=0" in demo.stdout
    left = subprocess.run(["docker", "volume", "ls", "-q"], capture_output=True, text=True, check=True).stdout
    assert "drydock-demo" not in left
