# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the unit tests share."""

from __future__ import annotations

import collections.abc as c
import contextlib
import os
import pathlib
import resource
import subprocess
import sys
import tempfile

import pytest

ENGINE = "ansible_collections.drydock.volumes.plugins.module_utils._engine"
CHECKOUT = pathlib.Path(__file__).resolve().parents[2]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

#: In front of a command: run it as a user who owns nothing.
NOBODY = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")

#: In Python code, after its imports: go on as that user, who may not be able to enter the checkout.
BECOME_NOBODY = "import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)"


def python(code: str, *arguments: object, wrapper: c.Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own, with this one's import path."""
    command = [*wrapper, sys.executable, "-B", "-c", code, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextlib.contextmanager
def started(code: str, *arguments: object) -> c.Iterator[subprocess.Popen[str]]:
    """Start Python code that says a line when it is ready, and kill it at the end."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-B", "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def file_size_limit(size: int) -> c.Iterator[None]:
    """Let no file of this process grow beyond ``size`` bytes: a write fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextlib.contextmanager
def umask(mask: int) -> c.Iterator[None]:
    """Have another umask."""
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextlib.contextmanager
def public_directory() -> c.Iterator[pathlib.Path]:
    """A directory that every user can enter, which pytest's own isn't."""
    with tempfile.TemporaryDirectory(prefix="drydock-unit-", dir="/var/tmp") as made:
        os.chmod(made, 0o755)
        yield pathlib.Path(made)


@contextlib.contextmanager
def mounted(kind: str, where: pathlib.Path, *options: str) -> c.Iterator[pathlib.Path]:
    """Mount a new file system on ``where`` for a while."""
    where.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", kind, *options, "none", where], check=True)
    try:
        yield where
    finally:
        subprocess.run(["umount", where], check=True)
