# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Docker Engine behind a socket that holds one kind of request back, or the ends of the answers, as a busy engine
does."""

from __future__ import annotations

import contextlib
import pathlib
import socket
import threading

ENGINE = "/var/run/docker.sock"


class Delayed(contextlib.AbstractContextManager["Delayed"]):
    """A socket ``host`` of the engine's, where requests that have ``path`` in their first line aren't passed on before
    ``go`` is called; or without one, the ends of what the engine answers from ``hold`` on. ``seen`` is set when there
    is such a request."""

    def __init__(self, work: pathlib.Path, path: str | None = None) -> None:
        self.seen = threading.Event()
        self._free = threading.Event()
        self._holding = threading.Event()
        self._path = path and path.encode()
        place = work / "delayed.sock"
        self.host = f"unix://{place}"
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(place))
        self._listening.listen(64)
        threading.Thread(target=self._serve, daemon=True).start()

    def __exit__(self, *_exception: object) -> None:
        self.go()
        self._listening.close()

    def go(self) -> None:
        """Let pass what is held back, and all that comes."""
        self._free.set()

    def hold(self) -> None:
        """Hold back all ends from now on."""
        self._holding.set()

    def _serve(self) -> None:
        while True:
            try:
                accepted, _address = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(accepted,), daemon=True).start()

    def _pass_on(self, theirs: socket.socket) -> None:
        with theirs, socket.socket(socket.AF_UNIX) as ours:
            ours.connect(ENGINE)
            back = threading.Thread(target=self._answer, args=(ours, theirs), daemon=True)
            back.start()
            with contextlib.suppress(OSError):
                while data := theirs.recv(65536):
                    if self._path and self._path in data.partition(b"\r\n")[0]:
                        self.seen.set()
                        self._free.wait(60)
                    ours.sendall(data)
                ours.shutdown(socket.SHUT_WR)
            back.join(60)

    def _answer(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := ours.recv(65536):
                theirs.sendall(data)
            if self._holding.is_set():
                self._free.wait(60)
            theirs.shutdown(socket.SHUT_WR)
