# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program rclone, which speaks to storage elsewhere: how it is called, and what it says when it fails.

Where the storage is and what opens it is in rclone's own configuration, so none of that is ever on a command line.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import select
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import IO

from . import keys, tools
from .errors import REDACTED, RepositoryError, ToolError, UsageError, reason

#: How rclone says that a directory, or a file, isn't there (rclone.org/docs, "Exit code").
NO_DIRECTORY, NO_FILE = 3, 4

# What may reach rclone of our environment: its configuration and how to get out. The rest of RCLONE_* are options, and
# what is meant for other programs (AWS_…) would change what the configuration says.
_PASSED = re.compile(
    r"RCLONE_CONFIG(_.*)?|RCLONE_BWLIMIT|XDG_CONFIG_HOME|SSH_AUTH_SOCK|SSL_CERT_(FILE|DIR)|(?i:https?_proxy|no_proxy)"
)
# A remote's name as rclone allows it, but nothing after a comma: those are options, and could be passwords.
_NAME = re.compile(r"[A-Za-z0-9_.+@][A-Za-z0-9_.+@ -]*")
_OPTIONS = ("--ask-password=false", "--contimeout=30s", "--low-level-retries=3", "--retries=1", "--stats=0")
_PROLOGUE = re.compile(r"^\d{4}/\d\d/\d\d \d\d:\d\d:\d\d (?:[A-Z]+\s*: )?(?:: )?")
_CREDENTIALS = re.compile(r"(\w+://)[^/\s\"']*@")
_QUERY = re.compile(r"(\w+://[^\s\"'?]*\?)[^\s\"']*")
_OPTION = re.compile(r"(\b\w*(?:pass|key|token|secret|auth)\w*=)[^,:\s]*", re.IGNORECASE)
_TICK = 0.5
_SAID = 3


def split(text: str) -> tuple[str, str]:
    """The remote and the path in ``REMOTE:path``. Raise UsageError if it isn't that."""
    name, colon, path = text.partition(":")
    if not colon or not _NAME.fullmatch(name):
        raise UsageError(
            f"repository {shown(text)!r} is neither an absolute path nor REMOTE:path with a remote of rclone's "
            "configuration, whose options, passwords among them, belong there (rclone config)"
        )
    if any(ord(character) < ord(" ") for character in path) or ".." in path.split("/"):
        raise UsageError(f"repository {text!r} has a path that can't be used")
    return name, path.rstrip("/") or path[:1]


def shown(text: str) -> str:
    """What rclone, or somebody else, says, without what could be passwords."""
    for secret, kept in ((_CREDENTIALS, rf"\1{REDACTED}@"), (_QUERY, rf"\1{REDACTED}"), (_OPTION, rf"\1{REDACTED}")):
        text = secret.sub(kept, text)
    return text


class Rclone:
    """The program, with the configuration in the file ``config``, or with the one that it finds by itself.

    Raise ToolError if it isn't installed, and UsageError for a file that others can read.
    """

    def __init__(self, config: str | None = None) -> None:
        self._program = tools.need("rclone", "rclone")
        passed = {name: value for name, value in os.environ.items() if _PASSED.fullmatch(name)}
        # so that it writes under the name that it is given, as rclone before 1.63 does
        self._environment = {**tools.environment(), **passed, "RCLONE_INPLACE": "true"}
        if config is not None:
            keys.secret_file("rclone_config", config)
            self._environment["RCLONE_CONFIG"] = config

    def start(
        self,
        *arguments: str,
        stdin: int | IO[bytes] = subprocess.DEVNULL,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        keep: Sequence[int] = (),
    ) -> Process:
        """Start a command. ``keep`` are descriptors that it holds for as long as it runs: a lock."""
        command = [*_mortal(), self._program, *arguments, *_OPTIONS]
        return Process(arguments[0], command, stdin, stdout, keep, self._environment)

    def run(
        self,
        *arguments: str,
        data: bytes = b"",
        missing: bytes | None = None,
        proceed: Callable[[], object] | None = None,
    ) -> bytes:
        """Run a command to its end, on ``data``, and return what it prints; ``missing`` (None: an error) if a directory
        or a file isn't there. Raise RepositoryError if it fails."""
        with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as taken:
            given.write(data)
            given.seek(0)
            with self.start(*arguments, stdin=given, stdout=taken) as process:
                status = process.wait(proceed)
                if missing is not None and (status in (NO_DIRECTORY, NO_FILE) or process.absent()):
                    return missing
                process.require_success()
            taken.seek(0)
            return taken.read()


class Process:
    """A command of rclone's that runs. A context manager: it has ended by its end."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        stdin: int | IO[bytes],
        stdout: int | IO[bytes],
        keep: Sequence[int],
        environment: dict[str, str],
    ) -> None:
        self._name = name
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115 end closes it
        try:
            self._process = subprocess.Popen(
                command, stdin=stdin, stdout=stdout, stderr=self._stderr, pass_fds=keep, env=environment
            )
        except OSError as error:
            self._stderr.close()
            raise ToolError(f"rclone can't be started: {reason(error)}") from error
        self.stdin, self.stdout = self._process.stdin, self._process.stdout

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.end()

    def kill(self) -> None:
        """Have it end, but keep our ends of its pipes: somebody may be about to read."""
        if self._process.poll() is None:
            self._process.kill()

    def end(self) -> None:
        """Have it end now, whatever it does."""
        self.kill()
        for pipe in (self.stdin, self.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        self._process.wait()
        self._stderr.close()

    def wait(self, proceed: Callable[[], object] | None = None) -> int:
        """Wait for its end, and return its exit status. ``proceed`` is called now and then."""
        end = -1
        if not self.ended():
            with contextlib.suppress(AttributeError, OSError):  # a kernel before 5.3, or a Python built for one
                end = os.pidfd_open(self._process.pid)
        try:
            while True:
                # Python's own wait looks 20 times a second: of a backup's handful of short commands that takes a tenth
                if end >= 0 and not self.ended():
                    select.select([end], [], [], _TICK)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return self._process.wait(0 if end >= 0 else _TICK)
                if proceed is not None:
                    proceed()
        finally:
            if end >= 0:
                os.close(end)

    def ended(self) -> bool:
        """Whether it has ended."""
        return self._process.poll() is not None

    def require_success(self) -> None:
        """Raise RepositoryError, with its own words, unless it ended well."""
        status = self.wait()
        if status != 0:
            raise RepositoryError(
                f"rclone {self._name} exited {status}: {'; '.join(self._said()) or 'it said nothing'}"
            )

    def absent(self) -> bool:
        """Whether it failed because what it was to work on isn't there: not all versions have a status for that."""
        said = " ".join(self._said())
        return self.wait() != 0 and ("object not found" in said or "is a directory or doesn't exist" in said)

    def _said(self) -> list[str]:
        self._stderr.seek(0)
        lines = self._stderr.read().decode("utf-8", "backslashreplace").splitlines()
        words = [shown(_PROLOGUE.sub("", line)).strip() for line in lines]
        return list(dict.fromkeys(word for word in words if word and not word.startswith("Attempt ")))[-_SAID:]


def patiently(
    act: Callable[[], None], waits: Sequence[float], proceed: Callable[[], object] | None = None
) -> RepositoryError | None:
    """Do ``act`` until it works, after each failure so many seconds later; return the last error if it never does."""
    error: RepositoryError | None = None
    for wait in (*waits, None):
        try:
            act()
            return None
        except RepositoryError as failure:
            error = failure
        until = time.monotonic() + (wait or 0)
        while time.monotonic() < until:
            time.sleep(max(0.0, min(_TICK, until - time.monotonic())))
            if proceed is not None:
                proceed()
    return error


@functools.lru_cache(maxsize=1)
def _mortal() -> tuple[str, ...]:
    """What to put in front of a command so that it doesn't outlive us: killed, we would leave it to go on uploading."""
    program = tools.find("setpriv")
    words = (program or "", "--pdeathsig", "KILL", "--")
    # util-linux before 2.33 doesn't know it
    if program is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode != 0:
        return ()
    return words
