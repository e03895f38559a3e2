# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real storage elsewhere, on the loopback: OpenSSH's SFTP, WebDAV and S3, each started for a test and ended with it;
and a line to it that can be cut."""

from __future__ import annotations

import collections.abc as c
import contextlib
import dataclasses
import json
import os
import pathlib
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
import typing as t

HOST = "127.0.0.1"
#: The rclone of the environment, and the distribution's.
NEW = pathlib.Path(sys.executable).with_name("rclone")
OLD = pathlib.Path("/usr/bin/rclone")
_BUCKET = "drydock"


@dataclasses.dataclass
class Storage:
    """What can be backed up to: the ``kind``, the ``port`` that it listens on, the lines of its remote in rclone's
    configuration but for the port, the path to put a repository at, and the directory with what it holds, if that is
    one."""

    kind: str
    port: int
    settings: dict[str, str]
    path: str
    directory: pathlib.Path | None

    def section(self, name: str, port: int | None = None) -> str:
        """The remote ``name`` of rclone's configuration, reached through ``port``."""
        settings = dict(self.settings)
        if "url" in settings or "endpoint" in settings:
            key = "url" if "url" in settings else "endpoint"
            settings[key] = settings[key].replace("PORT", str(port or self.port))
        elif self.kind == "sftp":
            settings["port"] = str(port or self.port)
            known = pathlib.Path(settings["known_hosts_file"])
            host_key = known.with_name("host.pub").read_text()
            known.write_text(f"{known.read_text()}[{HOST}]:{settings['port']} {host_key}")
        return f"[{name}]\n" + "".join(f"{key} = {value}\n" for key, value in settings.items())


class Rclone:
    """An rclone configuration of a test's own, and rclone run by hand with it."""

    def __init__(self, work: pathlib.Path, program: pathlib.Path = NEW) -> None:
        self.program = program
        self.config = work / "rclone.conf"
        self.config.touch(0o600)

    def add(self, section: str) -> None:
        """Add a remote."""
        self.config.write_text(self.config.read_text() + section + "\n")

    def replace(self, section: str) -> None:
        """Have only this remote."""
        self.config.write_text(section + "\n")

    def run(self, *arguments: str | os.PathLike[str], data: bytes = b"") -> bytes:
        """Run rclone; it must succeed."""
        done = subprocess.run(
            [self.program, *arguments, "--config", self.config],
            input=data,
            capture_output=True,
            env={"PATH": os.environ["PATH"], "HOME": str(self.config.parent)},
            timeout=600,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def files(self, remote: str) -> list[str]:
        """The files at a remote, as paths."""
        listed = self.run("lsf", "--recursive", "--files-only", remote)
        return sorted(listed.decode().splitlines())


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait(process: subprocess.Popen[bytes], port: int, log: pathlib.Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while True:
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        assert time.monotonic() < deadline, f"port {port} doesn't answer: {log.read_text()[-2000:]}"
        time.sleep(0.05)


@contextlib.contextmanager
def _served(
    command: c.Sequence[str | os.PathLike[str]],
    port: int,
    work: pathlib.Path,
    environment: c.Mapping[str, str] | None = None,
) -> c.Iterator[subprocess.Popen[bytes]]:
    """A server that runs as a child of ours."""
    log = work / "server.log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, **(environment or {})},
            cwd=work,
        )
    try:
        _wait(process, port, log)
        yield process
    finally:
        process.terminate()
        try:
            process.wait(1)  # some wait for connections that their clients keep
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def sftp(work: pathlib.Path, *, shell: bool = True, directory: pathlib.Path | None = None) -> c.Iterator[Storage]:
    """An OpenSSH server that takes one key. Without ``shell`` it gives files only, so that no checksum can be had."""
    home = work / "sshd"
    home.mkdir()
    directory = directory or home / "data"
    directory.mkdir(exist_ok=True)
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", home / name], check=True)
    shutil.copy(home / "user.pub", home / "authorized_keys")
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)  # where it locks itself up before somebody has logged in
    (home / "known_hosts").touch()
    port = free_port()
    (home / "config").write_text(
        f"ListenAddress {HOST}:{port}\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized_keys\n"
        "StrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\nPidFile none\n"
        "MaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n"
        + ("" if shell else "ForceCommand internal-sftp\n")
    )
    settings = {
        "type": "sftp",
        "host": HOST,
        "user": "root",
        "key_file": str(home / "user"),
        "known_hosts_file": str(home / "known_hosts"),
        **({"shell_type": "unix", "md5sum_command": "md5sum", "sha1sum_command": "sha1sum"} if shell else {}),
        **({} if shell else {"shell_type": "none"}),
    }
    with _served(["/usr/sbin/sshd", "-D", "-e", "-f", home / "config"], port, home):
        yield Storage("sftp", port, settings, str(directory / "volumes"), directory)


@contextlib.contextmanager
def webdav(work: pathlib.Path, *, directory: pathlib.Path | None = None) -> c.Iterator[Storage]:
    """A WebDAV server with a user and a password."""
    home = work / "webdav"
    home.mkdir()
    directory = directory or home / "data"
    directory.mkdir(exist_ok=True)
    port, password = free_port(), secrets.token_hex(8)
    secret = {"RCLONE_USER": "drydock", "RCLONE_PASS": password, "RCLONE_CONFIG": str(home / "none")}
    obscured = subprocess.run([NEW, "obscure", "-"], input=password.encode(), capture_output=True, check=True)
    settings = {
        "type": "webdav",
        "url": f"http://{HOST}:PORT",
        "vendor": "other",
        "user": "drydock",
        "pass": obscured.stdout.decode().strip(),
    }
    with _served([NEW, "serve", "webdav", directory, f"--addr={HOST}:{port}"], port, home, secret):
        yield Storage("webdav", port, settings, "volumes", directory)


@contextlib.contextmanager
def s3(work: pathlib.Path) -> c.Iterator[Storage]:
    """SeaweedFS's S3, with a bucket and an access key."""
    home = work / "s3"
    (home / "data").mkdir(parents=True)
    key, secret = secrets.token_hex(8), secrets.token_hex(16)
    identity = {
        "name": "drydock",
        "credentials": [{"accessKey": key, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    (home / "identities.json").write_text(json.dumps({"identities": [identity]}))
    ports = {name: free_port() for name in (*_WEED, *(f"{name}.grpc" for name in _WEED))}
    options = [
        f"-{name.replace('.grpc', '.port.grpc') if '.grpc' in name else name + '.port'}={port}"
        for name, port in ports.items()
    ]
    command: list[str | os.PathLike[str]] = [
        NEW.with_name("weed"),
        "server",
        f"-dir={home / 'data'}",
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        "-s3",
        f"-s3.config={home / 'identities.json'}",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=0",
        # these have fixed ports, where another test's server may be
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.volumePreallocate=false",
        *options,
    ]
    settings = {
        "type": "s3",
        "provider": "SeaweedFS",
        "access_key_id": key,
        "secret_access_key": secret,
        "endpoint": f"http://{HOST}:PORT",
        "region": "us-east-1",
    }
    storage = Storage("s3", ports["s3"], settings, f"{_BUCKET}/volumes", None)
    with _served(command, ports["s3"], home):
        rclone = Rclone(home)
        rclone.add(storage.section("made"))
        once = ("--retries=1", "--low-level-retries=1")
        _until(lambda: rclone.run("mkdir", f"made:{_BUCKET}", *once))
        _until(lambda: rclone.run("rcat", f"made:{_BUCKET}/ready", *once, data=b"x" * 10))
        rclone.run("deletefile", f"made:{_BUCKET}/ready")
        yield storage


_WEED = ("master", "volume", "filer", "s3")


def _until(act: c.Callable[[], object], seconds: float = 60) -> None:
    """Do something until it works."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            act()
            return
        except AssertionError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


class Line:
    """A line to a port that can be cut: once so many bytes have gone to the server, what is open is closed, and what is
    opened from then on too."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._limit: int | None = None
        self._sent = 0
        self.cuts = 0
        self._listener = socket.create_server((HOST, 0))
        self.port = int(self._listener.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._peers: dict[socket.socket, socket.socket] = {}
        self._upward: set[socket.socket] = set()
        self._over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Line:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._over = True
        self._thread.join()
        for end in list(self._peers):
            end.close()
        self._listener.close()
        self._selector.close()

    def cut_after(self, limit: int | None) -> None:
        """From now on let so many bytes pass, or all."""
        self._sent, self._limit = 0, limit

    def _run(self) -> None:
        while not self._over:
            for key, _events in self._selector.select(0.1):
                end = key.fileobj
                if end is self._listener:
                    self._accept()
                elif isinstance(end, socket.socket) and end in self._peers:
                    self._move(end)

    def _accept(self) -> None:
        client, _address = self._listener.accept()
        if self._limit is not None and self._sent >= self._limit:
            client.close()
            return
        server = socket.create_connection((HOST, self._target))
        self._upward.add(client)
        self._peers.update({client: server, server: client})
        for end in (client, server):
            self._selector.register(end, selectors.EVENT_READ)

    def _move(self, end: socket.socket) -> None:
        try:
            data = end.recv(1 << 16)
            if data and end in self._upward:
                self._sent += len(data)
                if self._limit is not None and self._sent > self._limit:
                    self.cuts += 1
                    data = b""
            if data:
                self._peers[end].sendall(data)
                return
        except OSError:
            pass
        for each in (end, self._peers[end]):
            self._selector.unregister(each)
            self._peers.pop(each)
            self._upward.discard(each)
            each.close()


class Offsite:
    """A storage as a test has it: a remote ``off`` with a folder of the test's own, and what the modules need for it.

    ``calls`` are the command lines of rclone so far.
    """

    def __init__(self, work: pathlib.Path, storage: Storage, program: pathlib.Path, port: int | None = None) -> None:
        self.storage = storage
        self.rclone = Rclone(work, program)
        self.rclone.add(storage.section("off", port))
        self.repository = f"off:{storage.path}-{secrets.token_hex(4)}"
        self._log = work / "calls"
        self._log.touch()
        tools = work / "tools"
        tools.mkdir()
        wrapper = tools / "rclone"
        wrapper.write_text(f'#!/bin/sh\necho "$@" >>{self._log}\nexec {program} "$@"\n')
        wrapper.chmod(0o755)
        self.environment = {"PATH": f"{tools}:{os.environ['PATH']}"}

    @property
    def options(self) -> dict[str, t.Any]:
        """The options of a module that say where its repository is."""
        return {
            "repository": self.repository,
            "rclone_config": str(self.rclone.config),
            "environment": self.environment,
        }

    def copying(self, local: pathlib.Path, **retention: int) -> dict[str, t.Any]:
        """The options of a module that backs up into a directory, and copies that here."""
        return {
            **self.options,
            "repository": str(local),
            "copies": [{"repository": self.repository, "retention": retention}],
        }

    def files(self) -> list[str]:
        """The files here, as paths."""
        return self.rclone.files(self.repository)

    def calls(self) -> list[str]:
        """What rclone was called with so far."""
        return self._log.read_text().splitlines()


def alias(directory: pathlib.Path) -> Storage:
    """A directory as if it were elsewhere: quick, and nothing is started."""
    directory.mkdir(exist_ok=True)
    return Storage("alias", 0, {"type": "alias", "remote": str(directory)}, "volumes", directory)


KINDS: dict[str, c.Callable[[pathlib.Path], contextlib.AbstractContextManager[Storage]]] = {
    "sftp": sftp,
    "webdav": webdav,
    "s3": s3,
}
