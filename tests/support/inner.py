# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A Docker Engine on another host: a container with its own systemd and engine (tests/hosts/image.sh), as Molecule's
hosts are. It listens on TCP. What a test does to a whole engine, such as to make a swarm of it, it does to this one."""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import subprocess
import time
import typing as t

import docker

IMAGE = pathlib.Path(__file__).resolve().parents[1] / "hosts" / "image.sh"
# Its client is this test alone, on a network of its own.
_LISTEN = """
mkdir -p /etc/systemd/system/docker.service.d
printf '[Service]\\nExecStart=\\nExecStart=/usr/sbin/dockerd -H fd:// -H tcp://0.0.0.0:2375\\n' \
    >/etc/systemd/system/docker.service.d/tcp.conf
systemctl daemon-reload
systemctl restart docker
"""
_BUILD, _BOOT = 600, 120


class InnerEngine(contextlib.AbstractContextManager["InnerEngine"]):
    """Entered, it answers at ``url``; left, nothing of it is there."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._name = f"drydock-test-host-{secrets.token_hex(4)}"
        self.url = ""
        self.address = ""
        self.api: t.Any = None

    def __enter__(self) -> t.Self:
        image = subprocess.run([IMAGE], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD).stdout.strip()
        with contextlib.ExitStack() as stack:
            for made, removed in (
                (["network", "create", self._name], ["network", "rm", self._name]),
                (["volume", "create", self._name], ["volume", "rm", self._name]),
                (self._boot(image), ["rm", "--force", self._name]),
            ):
                stack.callback(subprocess.run, ["docker", *removed], capture_output=True, check=False, timeout=240)
                subprocess.run(["docker", *made], check=True, capture_output=True, timeout=240)
            # as in molecule/resources/create.yml: a degraded host fails here
            self._until("systemctl is-system-running --wait && docker version")
            self.sh(_LISTEN)
            self.address = self._inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")
            self.url = f"tcp://{self.address}:2375"
            self._until("docker --host tcp://127.0.0.1:2375 version")
            self.api = docker.APIClient(base_url=self.url, version="auto", timeout=240)
            stack.callback(self.api.close)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._stack.close()

    def sh(self, script: str) -> str:
        """Run a shell script on the host, which must succeed, and return what it printed."""
        done = self._run(script)
        assert done.returncode == 0, f"{script}\nexited {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def _boot(self, image: str) -> list[str]:
        return [
            *("run", "--detach", "--name", self._name, "--hostname", "inner", "--network", self._name),
            *("--volume", f"{self._name}:/var/lib/docker", "--cap-add", "ALL", "--cap-drop", "SYS_RESOURCE"),
            *("--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined"),
            *("--device-cgroup-rule", "a *:* rwm", "--cgroupns", "private", "--stop-signal", "SIGRTMIN+3"),
            *("--tmpfs", "/run:exec", "--tmpfs", "/run/lock", "--tmpfs", "/tmp:exec", image),
        ]

    def _run(self, script: str) -> subprocess.CompletedProcess[str]:
        command = ["docker", "exec", self._name, "sh", "-euc", script]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=_BOOT)

    def _until(self, script: str) -> None:
        deadline = time.monotonic() + _BOOT
        while (done := self._run(script)).returncode:
            assert time.monotonic() < deadline, f"{script}: {done.stdout}{done.stderr}"
            time.sleep(0.5)

    def _inspect(self, what: str) -> str:
        command = ["docker", "inspect", "--format", what, self._name]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=240).stdout.strip()
