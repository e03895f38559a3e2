# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume driver plugin, and a Docker Engine of a test's own that has it.

The plugin is a real one: it speaks the protocol of docs.docker.com/engine/extend/plugins_volume over a socket, and
mounts. The engine is a second dockerd, because one never forgets a plugin of this kind that it has seen: until it is
restarted, it spends 15 s on the dead one whenever anybody lists volumes. In a mount namespace of its own that engine
looks for plugins in a directory that the host's engine doesn't know. It starts in half a second.
"""

from __future__ import annotations

import contextlib
import http.server
import json
import pathlib
import secrets
import shutil
import socketserver
import subprocess
import tempfile
import threading
import time
import typing as t

import docker

from tests.support.engine import LABEL, PREFIX, Engine
from tests.support.processes import wait_for


class Daemon(contextlib.AbstractContextManager["Daemon"]):
    """A running dockerd. What is mounted below ``mounts`` is mounted for it too."""

    def __enter__(self) -> Daemon:
        with contextlib.ExitStack() as stack:
            self.root = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir="/var/tmp"))
            stack.callback(shutil.rmtree, self.root)
            self.mounts, self.plugins = self.root / "mounts", self.root / "plugins"
            for folder in (self.mounts, self.plugins):
                folder.mkdir()
            subprocess.run(["mount", "--bind", self.mounts, self.mounts], check=True)
            stack.callback(lambda: subprocess.run(["umount", "--lazy", self.mounts], check=True))
            subprocess.run(["mount", "--make-shared", self.mounts], check=True)
            self.url = f"unix://{self.root}/docker.sock"
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def _start(self, stack: contextlib.ExitStack) -> None:
        script = 'mkdir -p /run/docker/plugins; mount --bind "$1" /run/docker/plugins; shift; exec "$@"'
        folders = {"data-root": "data", "exec-root": "exec", "pidfile": "pid", "config-file": "config"}
        (self.root / "config").write_text("{}")
        command = [
            # a network of its own: without a bridge it would remove that of the first engine
            *("unshare", "--net", "--mount", "--propagation", "slave"),
            *("setpriv", "--pdeathsig", "TERM"),  # also when the tests are killed
            *("sh", "-ec", script, "sh", str(self.plugins)),
            *("dockerd", "--host", self.url, "--bridge", "none"),
            *("--iptables=false", "--ip-forward=false", "--ip-masq=false"),
            *(f"--{option}={self.root / name}" for option, name in folders.items()),
        ]
        with open(self.root / "log", "wb") as log:
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        stack.callback(self._stop, process)
        wait_for(lambda: process.poll() is not None or self._answers(), "the second dockerd")
        assert process.poll() is None, (self.root / "log").read_text()

    def _answers(self) -> bool:
        try:
            docker.APIClient(base_url=self.url, version="auto", timeout=5).close()
        except docker.errors.DockerException:
            return False
        return True

    @staticmethod
    def _stop(process: subprocess.Popen[bytes]) -> None:
        process.terminate()
        try:
            process.wait(timeout=120)
        finally:
            process.kill()
            process.wait()


class Plugin(contextlib.AbstractContextManager["Plugin"]):
    """A volume driver that an engine finds under ``name``. A volume's files are at ``point`` only while it is mounted.

    As with storage that is far away, Create finds the files that a volume of the name already has, and Remove removes
    them. What goes wrong is injected: ``refusals`` holds messages by a method ("Mount") and a volume, ``delay`` is how
    many seconds a request of the method that is ``slow`` takes. ``tells`` says who is told the mount point: "always"
    (Get and List; the directory is there, and empty, while it isn't mounted), "mounted" (the same, but only then),
    "get" (Get alone, only then) or "never" (only who mounts it). With ``below`` the files are in a directory of that
    name below what is mounted.
    """

    def __init__(self, daemon: Daemon, *, scope: str = "local", tells: str = "always", below: str = "") -> None:
        self.name = f"{PREFIX}{secrets.token_hex(4)}"
        self.volumes: dict[str, dict[str, str]] = {}  # the options of each
        self.mounted: dict[str, list[str]] = {}  # who has it: the daemon's identifiers
        self.waiting: list[str] = []  # whose slow request is under way
        self.calls: list[tuple[str, str]] = []
        self.refusals: dict[tuple[str, str], str] = {}
        self.slow, self.delay = "Mount", 0.0
        self._scope, self._tells, self._below = scope, tells, below
        self._socket = daemon.plugins / f"{self.name}.sock"
        self._points = daemon.mounts / self.name
        self._data = daemon.root / f"{self.name}.data"
        self._lock = threading.Lock()

    def __enter__(self) -> Plugin:
        self._points.mkdir()
        self._data.mkdir()
        self.appear()
        return self

    def __exit__(self, *_exception: object) -> None:
        self.vanish()
        for volume in list(self.mounted):
            self._unmount(volume)

    def appear(self) -> None:
        """Listen."""
        self._server = _Server(str(self._socket), _handler(self))
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self._thread.start()

    def vanish(self) -> None:
        """Be gone, as a plugin that crashed; what is mounted stays so."""
        self._socket.unlink(missing_ok=True)
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def data(self, volume: str) -> pathlib.Path:
        """Where the files of a volume are kept, mounted or not."""
        return self._data / volume / self._below

    def point(self, volume: str) -> pathlib.Path:
        """What the plugin tells the daemon, and the daemon everybody, of where a volume's files are."""
        return self._points / volume / self._below

    def is_mounted(self, volume: str) -> bool:
        """Whether the kernel has it mounted; of a bind mount os.path.ismount() says that it isn't one."""
        lines = pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
        return str(self._points / volume) in [line.split()[4] for line in lines]

    def count(self, method: str, volume: str) -> int:
        """How often a method was called for a volume, and succeeded."""
        return self.calls.count((method, volume))

    def forget(self, volume: str) -> None:
        """Not know a volume any more whose files stay on the storage, as on a host that was set up anew."""
        with self._lock:
            del self.volumes[volume]
            (self._points / volume).rmdir()

    def answer(self, method: str, question: dict[str, t.Any]) -> dict[str, t.Any]:
        """What the plugin answers to a request, which is the name of a method and its JSON."""
        volume = str(question.get("Name", ""))
        if self.delay and method == self.slow:
            self.waiting.append(volume)
            time.sleep(self.delay)
            self.waiting.remove(volume)
        with self._lock:
            if (method, volume) in self.refusals:
                return {"Err": self.refusals[method, volume]}
            if method not in ("Create", "List", "Capabilities") and volume not in self.volumes:
                return {"Err": f"no volume {volume} here"}
            try:
                answer = getattr(self, f"_on_{method.lower()}")(volume, question)
            except (OSError, subprocess.SubprocessError) as error:
                return {"Err": str(error)}
            self.calls.append((method, volume))
        return {"Err": "", **answer}

    def _on_create(self, volume: str, question: dict[str, t.Any]) -> dict[str, t.Any]:
        self.volumes[volume] = question.get("Opts") or {}
        self.data(volume).mkdir(parents=True, exist_ok=True)
        (self._points / volume).mkdir(exist_ok=True)
        return {}

    def _on_remove(self, volume: str, _question: object) -> dict[str, t.Any]:
        del self.volumes[volume]
        (self._points / volume).rmdir()
        shutil.rmtree(self._data / volume)
        return {}

    def _on_mount(self, volume: str, question: dict[str, t.Any]) -> dict[str, t.Any]:
        if volume not in self.mounted:
            subprocess.run(["mount", "--bind", self._data / volume, self._points / volume], check=True)
        self.mounted.setdefault(volume, []).append(question["ID"])
        return {"Mountpoint": str(self.point(volume))}

    def _on_unmount(self, volume: str, question: dict[str, t.Any]) -> dict[str, t.Any]:
        self.mounted[volume].remove(question["ID"])
        if not self.mounted[volume]:
            self._unmount(volume)
        return {}

    def _on_get(self, volume: str, _question: object) -> dict[str, t.Any]:
        return {"Volume": {"Name": volume, **self._told(volume, "mounted", "get")}}

    def _on_list(self, _volume: str, _question: object) -> dict[str, t.Any]:
        return {"Volumes": [{"Name": volume, **self._told(volume, "mounted")} for volume in self.volumes]}

    def _on_path(self, volume: str, _question: object) -> dict[str, t.Any]:
        return self._told(volume, "mounted", "get")

    def _on_capabilities(self, _volume: str, _question: object) -> dict[str, t.Any]:
        return {"Capabilities": {"Scope": self._scope}}

    def _told(self, volume: str, *when_mounted: str) -> dict[str, str]:
        told = self._tells == "always" or (self._tells in when_mounted and volume in self.mounted)
        return {"Mountpoint": str(self.point(volume))} if told else {}

    def _unmount(self, volume: str) -> None:
        subprocess.run(["umount", self._points / volume], check=True)
        del self.mounted[volume]


class PluginEngine(Engine):
    """Volumes and containers of a test's own on another daemon than the host's; some of them are a plugin's."""

    def __init__(self, daemon: Daemon) -> None:
        super().__init__()
        self.api.close()
        self.api = docker.APIClient(base_url=daemon.url, version="auto", timeout=240)

    def volume_of(self, plugin: Plugin, **options: str) -> str:
        """Create a volume of the plugin's with these driver options, and return its name."""
        name = self.name()
        self.api.create_volume(name, driver=plugin.name, driver_opts=options or None, labels={LABEL: "yes"})
        return name


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def _handler(plugin: Plugin) -> type[http.server.BaseHTTPRequestHandler]:
    """The plugin as a handler of requests. It speaks HTTP/1.0, so that no connection outlives its answer."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            kind, _dot, method = self.path.strip("/").partition(".")
            if kind == "Plugin":
                answer: dict[str, t.Any] = {"Implements": ["VolumeDriver"]}
            else:
                answer = plugin.answer(method, json.loads(body or b"{}"))
            self.send_response(500 if answer.get("Err") else 200)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    return Handler
