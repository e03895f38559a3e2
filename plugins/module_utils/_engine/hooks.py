# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in containers, before and after their volumes are read."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .client import Client
from .errors import ContainerError, DaemonError, UsageError, redact
from .execution import kill
from .life import Life

_KEPT = 4096
# Seconds that the daemon gets to learn that a command has ended.
_ENDING = 10
# Docker's own rule for the names of containers.
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Hook:
    """A command and its arguments, to be run in the container of this name or whole identifier, as ``user`` (None: as
    the container's own)."""

    container: str
    argv: tuple[str, ...]
    user: str | None = None

    @classmethod
    def parse(cls, options: Mapping[str, Any]) -> Hook:
        """Read a module's or a journal's options. Raise UsageError unless there is either a command or an argv."""
        command, argv = options.get("command"), options.get("argv")
        if bool(command) == bool(argv) or not options.get("container"):
            raise UsageError(
                "a command in a container needs 'container' and either 'command' (a line for its shell) or 'argv' "
                "(a program and its arguments)"
            )
        container, user = options["container"], options.get("user") or None
        if not _NAME.fullmatch(container):
            raise UsageError(f"{container!r} is not the name of a container")
        return shell(container, command, user) if command else cls(container, tuple(argv or ()), user)

    def record(self) -> dict[str, Any]:
        """What parse reads."""
        return {"container": self.container, "argv": list(self.argv), "user": self.user}


def shell(container: str, command: str, user: str | None = None) -> Hook:
    """A hook that has the container's shell run a command line."""
    return Hook(container, ("/bin/sh", "-c", command), user)


def run(client: Client, hook: Hook, timeout: float, proceed: Callable[[], object]) -> None:
    """Run a hook to its end. Raise ContainerError, with the last of what it printed, unless it exits 0 in time.

    ``proceed`` is called now and then; an exception out of it ends the command. So does the time running out: it runs
    on this host, where its process can be killed.
    """
    life = Life(client, hook.container)
    try:
        execution, printed = client.execution(hook.container, hook.argv, hook.user)
    except DaemonError as error:
        raise ContainerError(f"a command can't be run in the container {hook.container}: {error}") from error
    said = bytearray()
    reader = threading.Thread(target=_collect, args=(printed, said), name="hook", daemon=True)
    reader.start()
    deadline = time.monotonic() + timeout
    try:
        while reader.is_alive():
            reader.join(0.2)
            proceed()
            if life.over():
                raise ContainerError(
                    f"a command in the container {hook.container} went away with its container{_quoted(said)}"
                )
            if time.monotonic() > deadline:
                raise ContainerError(
                    f"a command in the container {hook.container} took longer than {timeout:g} seconds and was ended"
                    f"{_quoted(said)}; give a longer exec_timeout"
                )
        status = _status(client, hook, execution, said, proceed)
    except BaseException:
        if not life.over():  # else its process's number may be another one's by now
            kill(client, execution)
        raise
    if status != 0:
        raise ContainerError(f"a command in the container {hook.container} exited {status}{_quoted(said)}")


def _status(client: Client, hook: Hook, execution: str, said: bytearray, proceed: Callable[[], object]) -> int:
    """The exit status of a command that prints no more. Raise ContainerError if it isn't known before long."""
    deadline = time.monotonic() + _ENDING
    while True:
        try:
            facts = client.executed(execution)
            if not facts["Running"] and facts["ExitCode"] is not None:
                return int(facts["ExitCode"])
            why = "it still ran, and was ended" if facts["Running"] else "the daemon has no exit status of it"
        except DaemonError as error:
            why = f"{error}; it may still run"
        if time.monotonic() >= deadline:
            raise ContainerError(
                f"the output of a command in the container {hook.container} broke off, as when the Docker daemon is "
                f"restarted, and how it ended isn't known: {why}{_quoted(said)}; see to it and run this again"
            )
        time.sleep(0.02)
        proceed()


def _collect(printed: Sequence[bytes], said: bytearray) -> None:
    # a connection that breaks ends it too; the exit status tells
    with contextlib.suppress(Exception):
        for piece in printed:
            said += piece
            del said[:-_KEPT]


def _quoted(said: bytearray) -> str:
    lines = bytes(said).decode("utf-8", "backslashreplace").split("\n")
    last = "; ".join(line.strip() for line in lines if line.strip())[-300:]
    return f": {redact(last, sentence=True)}" if last else ""
