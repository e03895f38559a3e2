# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every encryption method needs: files with keys that nobody else can touch, and programs tried out beforehand."""

from __future__ import annotations

import os
import stat
import subprocess

from . import tools
from .errors import ToolError, UsageError, reason
from .pipeline import Outcome, Stage

#: Seconds that a program may take over a few bytes; one that asks somebody for something takes longer.
PATIENCE = 60


def secret_file(option: str, path: str) -> bytes:
    """The bytes of a file that holds a secret. Raise UsageError if it can't be read, or others can reach it."""
    return _read(option, path, 0o077, "holds a secret and can be reached by others than its owner", "chmod 600")


def public_file(option: str, path: str) -> bytes:
    """The bytes of a file with public keys. Raise UsageError if it can't be read, or others can put keys into it."""
    return _read(option, path, 0o022, "decides who can read the backups and can be changed by others", "chmod go-w")


def _read(option: str, path: str, forbidden: int, why: str, remedy: str) -> bytes:
    if not os.path.isabs(path):
        raise UsageError(f"{option} {path!r} is not an absolute path")
    try:
        # without blocking: the open of a named pipe would wait for its writer
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as opened:
            found = os.fstat(opened.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise UsageError(f"{option} {path} is not a regular file")
            if found.st_mode & forbidden:
                mode = stat.S_IMODE(found.st_mode)
                raise UsageError(f"{option} {path} {why} (its mode is {mode:04o}); run: {remedy} {path}")
            return opened.read()
    except OSError as error:
        raise UsageError(f"{option} {path} can't be read: {reason(error)}") from error


def tried(stage: Stage, data: bytes = b"") -> tuple[Outcome, bytes]:
    """Run one stage by itself on ``data``, and return how it ended and what it wrote.

    It runs without a terminal: a program that wants to ask for a passphrase fails and says so. Raise ToolError if it
    can't be started or doesn't end.
    """
    try:
        ran = subprocess.run(
            [stage.name, *stage.argv[1:]],
            executable=stage.argv[0],
            input=data,
            capture_output=True,
            env=tools.environment(),
            start_new_session=True,
            timeout=PATIENCE,
            check=False,
        )
    except OSError as error:
        raise ToolError(f"{stage.name} ({stage.argv[0]}) can't be started: {reason(error)}") from error
    except subprocess.TimeoutExpired as error:
        raise ToolError(f"{stage.name} ({stage.argv[0]}) did not end within {PATIENCE} seconds") from error
    said = [line for line in ran.stderr.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    # what age adds to each of its errors
    said = [line for line in said if not line.startswith("age: report unexpected")]
    return Outcome(stage.name, ran.returncode, tuple(said)), ran.stdout
