# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Docker daemon on a real socket: it answers what it is told to, right or wrong."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import pathlib
import re
import socketserver
import threading
import typing as t
import urllib.parse


class FakeDaemon(contextlib.AbstractContextManager["FakeDaemon"]):
    """``answers`` maps a method and path to a status and a body: JSON, or bytes that are sent as they are.

    ``requests`` holds what was asked: the method and path, and the query.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self.answers: dict[str, tuple[int, t.Any]] = {
            "GET /version": (200, {"Version": "20.10.24", "ApiVersion": "1.41", "MinAPIVersion": "1.12"}),
            "GET /info": (200, {"SecurityOptions": ["name=seccomp,profile=default"]}),
            "GET /volumes": (200, {"Volumes": None, "Warnings": None}),
            "GET /containers/json": (200, []),
        }
        self.requests: list[tuple[str, dict[str, list[str]]]] = []
        self.url = f"unix://{path}"
        # An address has room for 107 bytes: bind by a name in the folder.
        here = os.getcwd()
        os.chdir(path.parent)
        try:
            self._server = _Server(path.name, self)
        finally:
            os.chdir(here)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def volume(self, name: str, mountpoint: pathlib.Path | str, **more: t.Any) -> dict[str, t.Any]:
        """Add a volume."""
        made = {"Name": name, "Driver": "local", "Options": None, "Labels": None, "Scope": "local"}
        made |= {"Mountpoint": str(mountpoint), **more}
        known = self.answers["GET /volumes"][1]
        known["Volumes"] = [*(known["Volumes"] or []), made]
        return made


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, name: str, daemon: FakeDaemon) -> None:
        self.daemon = daemon
        super().__init__(name, _Handler)


class _Handler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urllib.parse.urlsplit(self.path)
        request = f"{self.command} {re.sub(r'^/v[0-9.]+', '', url.path)}"
        self.server.daemon.requests.append((request, urllib.parse.parse_qs(url.query)))
        status, body = self.server.daemon.answers.get(request, (404, {"message": "page not found"}))
        if status == 0:
            self.wfile.write(body)
            self.close_connection = True
            return
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain" if isinstance(body, bytes) else "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815

    def address_string(self) -> str:
        return "local"

    def log_message(self, *_arguments: object) -> None:
        pass
