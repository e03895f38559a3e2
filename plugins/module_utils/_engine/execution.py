# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A command in a running container, whose input, output and errors are ours: as a process, but through the daemon.

It is told when to start, by a first line on its input: what it prints before somebody listens is lost.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .client import Client
from .errors import ContainerError, DaemonError, reason, redact
from .life import Life

#: Where a command finds the lines of its ``secret``, as a regular file that has no name.
SECRET = "/proc/self/fd/9"  # noqa: S105 it is the path, not the secret

# The lines of the secret come in through the pipe, and go to a file in memory that has lost its name by then: there is
# nothing to remove, whoever is killed. libpq takes a password from regular files only.
_SCRIPT = """\
set -eu
IFS= read -r line
if [ "$line" != . ]; then
    mask=$(umask)
    umask 077
    file=$(mktemp /dev/shm/.drydock-XXXXXX 2>/dev/null) || file=$(mktemp /tmp/.drydock-XXXXXX)
    exec 9<>"$file"
    rm -f "$file"
    umask "$mask"
    while [ "$line" != . ]; do printf '%s\\n' "$line" >&9; IFS= read -r line; done
fi
programs=$1
shift
for program in $programs; do
    if command -v "$program" >/dev/null 2>&1; then
        {exports}
        exec "$program" "$@"
    fi
done
echo "the container has no program $programs" >&2
exit 127
"""
# The API's frames: which stream they are of, and how many bytes follow. Docker: "Attach to a container", stream format.
_FRAME = struct.Struct(">BxxxL")
_STDOUT, _STDERR = 1, 2
_CHUNK = 1 << 18
_SAID, _SHOWN = 1 << 16, 600
# A line with an error; psql says those of the server in the server's language.
_ERROR = re.compile(r"\b(?:error|fatal|panic)\b|^psql:", re.IGNORECASE)
# Seconds between two looks at whether to go on, and those that the daemon gets to learn that a command has ended.
_TICK = 0.5
_ENDING = 10


@dataclass(frozen=True)
class Command:
    """A program with its arguments, under the first of these names that the container has.

    ``secret`` holds lines that it can read from SECRET; ``exports`` the variables of its environment, as a shell would
    be told them. Lines of its errors that ``dull`` matches, ends included, aren't kept.
    """

    programs: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    secret: tuple[str, ...] = field(default=(), repr=False)
    exports: Mapping[str, str] = field(default_factory=dict)
    dull: re.Pattern[bytes] | None = None

    def argv(self) -> list[str]:
        """What the daemon is to run. It holds nothing of the secret."""
        exports = "".join(f"{name}={value}; export {name}; " for name, value in self.exports.items())
        return ["/bin/sh", "-c", _SCRIPT.replace("{exports}", exports), "sh", " ".join(self.programs), *self.arguments]

    def head(self) -> bytes:
        """The lines that come first on its input."""
        return "".join(f"{line}\n" for line in (*self.secret, ".")).encode("utf-8", "surrogateescape")


@dataclass(frozen=True)
class Ended:
    """How a command ended: its ``status`` (None: nobody knows, the container is gone), and the lines of its errors."""

    program: str
    status: int | None
    said: tuple[str, ...]

    def __str__(self) -> str:
        how = "went away with its container" if self.status is None else f"exited {self.status}"
        # what comes with an error may repeat statements, and with them what is in the database
        errors = [line for line in self.said if _ERROR.search(line)]
        last = redact("; ".join(errors or self.said)[-_SHOWN:], sentence=True)
        return f"{self.program} {how}" + (f": {last}" if last else "")


class Execution(contextlib.AbstractContextManager["Execution"]):
    """A command that runs in ``container``, as ``user`` (None: the container's own). At the end of the context it is
    gone.

    ``sink`` is called with what it writes. Every wait ends with ContainerError after ``stall_timeout`` seconds (0:
    never) in which no byte moved, and with whatever ``proceed``, which is called now and then, raises.
    """

    def __init__(
        self,
        client: Client,
        container: str,
        command: Command,
        *,
        user: str | None,
        sink: Callable[[memoryview], object] | None = None,
        stall_timeout: float = 0,
        proceed: Callable[[], object] | None = None,
    ) -> None:
        self._client = client
        self._program = command.programs[0]
        self._container = container
        self._demultiplexer = Demultiplexer(sink or _ignore, command.dull)
        self._stall_timeout = stall_timeout
        self._proceed = proceed
        self._over = self._ended = self._lost = False
        self._life = Life(client, container)
        self._id, self._opened = client.attached(container, command.argv(), user)
        self._socket: socket.socket = getattr(self._opened, "_sock", self._opened)
        self._socket.setblocking(False)
        try:
            self.write(memoryview(command.head()))
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_error: object) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()
            self._opened.close()
        if not self._ended:
            kill(self._client, self._id)

    def write(self, data: memoryview) -> None:
        """Give it these bytes to read. What comes after its end is not missed here: wait tells how it ended."""
        while data and not self._over:
            if self._ready(writing=True):
                try:
                    data = data[self._socket.send(data) :]
                except BlockingIOError:
                    continue
                except OSError:
                    return  # it doesn't read any more

    def wait(self) -> Ended:
        """Let its input end, read what it has to say, and return how it ended."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        while not self._over:
            self._ready(writing=False)
        return Ended(self._program, self._status(), self._demultiplexer.said())

    def _ready(self, *, writing: bool) -> bool:
        """Wait until something moves, and read what there is. Return whether it takes more to read."""
        since = time.monotonic()
        while True:
            readable, writable, _failed = select.select([self._socket], [self._socket] if writing else [], [], _TICK)
            if self._proceed is not None:
                self._proceed()
            if readable:
                self._receive()
            if readable or writable:
                return bool(writable)
            if self._stall_timeout and time.monotonic() - since >= self._stall_timeout:
                raise ContainerError(
                    f"{self._program} in the container {self._container} moved no byte for {self._stall_timeout:g} "
                    "seconds: it may wait for a lock in the database; see to it, or give a longer stall_timeout"
                )
            if self._life.over():
                self._over = self._ended = self._lost = True
                return False

    def _receive(self) -> None:
        try:
            data = self._socket.recv(_CHUNK)
        except BlockingIOError:
            return
        except OSError as error:
            raise DaemonError(f"the connection to the container {self._container} broke: {reason(error)}") from error
        if data:
            self._demultiplexer.feed(memoryview(data))
        else:
            self._over = True

    def _status(self) -> int | None:
        if self._lost or self._demultiplexer.torn:
            return None
        deadline = time.monotonic() + _ENDING
        while True:
            try:
                facts = self._client.executed(self._id)
            except DaemonError:
                return None
            if not facts["Running"] or time.monotonic() > deadline:
                self._ended = not facts["Running"]
                status: int | None = facts["ExitCode"]
                return status
            time.sleep(0.02)


class Demultiplexer:
    """Takes apart what a container's command prints: its output goes to ``sink``, of its errors the last are kept that
    ``dull`` doesn't match."""

    def __init__(self, sink: Callable[[memoryview], object], dull: re.Pattern[bytes] | None = None) -> None:
        self._sink = sink
        self._dull = dull
        self._errors = bytearray()
        self._header = bytearray()
        self._stream = 0
        self._left = 0

    @property
    def torn(self) -> bool:
        """Whether the last frame isn't whole."""
        return bool(self._left or self._header)

    def feed(self, data: memoryview) -> None:
        """Take what has arrived, in whatever pieces."""
        while data:
            if not self._left:
                taken = _FRAME.size - len(self._header)
                self._header += data[:taken]
                data = data[taken:]
                if len(self._header) == _FRAME.size:
                    self._stream, self._left = _FRAME.unpack(self._header)
                    self._header.clear()
                continue
            piece, data = data[: self._left], data[self._left :]
            self._left -= len(piece)
            if self._stream == _STDOUT:
                self._sink(piece)
            elif self._stream == _STDERR:
                self._errors += piece
                if self._dull is not None:
                    self._errors[:] = self._dull.sub(b"", self._errors)
                del self._errors[:-_SAID]

    def said(self) -> tuple[str, ...]:
        """The last lines of its errors."""
        lines = bytes(self._errors).decode("utf-8", "backslashreplace").splitlines()
        return tuple(line.strip() for line in lines if line.strip())


def kill(client: Client, execution: str) -> None:
    """End a command that may still run in a container: its process is one of this host."""
    with contextlib.suppress(DaemonError, OSError):
        facts: Mapping[str, Any] = client.executed(execution)
        if facts["Running"] and facts["Pid"]:
            os.kill(facts["Pid"], signal.SIGKILL)


def _ignore(_data: memoryview) -> None:
    """Take what nobody asked for."""
