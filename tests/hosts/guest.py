# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host with a kernel of its own, as an ordinary process: User-mode Linux, from the image that uml.sh makes.

Its disk is a copy-on-write file in front of the image, its network a tap and two addresses. All of that ends with its
process, and that ends with this one, however this one ends. Nothing waits for it without a limit.
"""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import os
import pathlib
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
import types
import typing as t

from tests.hosts.machine import Machine, free_network, new_key, tap

HERE = pathlib.Path(__file__).resolve().parent
CHECKOUT = HERE.parents[1]
BIN = CHECKOUT / ".venv" / "bin"
COLLECTIONS = CHECKOUT / ".venv" / "collections"

# Seconds. A guest is up in 20 on a machine that does nothing else.
_BUILD, _BOOT = 600, 180

_SSH = """\
Host guest
    HostName {address}
    User root
    IdentityFile {work}/key
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    ConnectTimeout 5
    ServerAliveInterval 15
    ServerAliveCountMax 8
    ControlPath {work}/ssh
"""

_ANSIBLE = """\
[defaults]
collections_path = {collections}
home = {work}/ansible
inventory = {work}/inventory.ini
nocolor = true
timeout = 60
[ssh_connection]
pipelining = true
ssh_args = -F {work}/ssh_config
"""
_INVENTORY = "guest ansible_python_interpreter=/usr/bin/python3\n"


class Guest(contextlib.AbstractContextManager["Guest"]):
    """A running guest: entered it is booted, with an engine that answers; left, nothing of it is there."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._playbooks = 0
        self._name = f"drydock{secrets.token_hex(3)}"
        self._console = pathlib.Path()

    def __enter__(self) -> t.Self:
        image = subprocess.run(
            [HERE / "uml.sh"], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD
        ).stdout.strip()
        with contextlib.ExitStack() as stack:
            # a short path: sockets are in there
            self._work = pathlib.Path(tempfile.mkdtemp(prefix="drydock-", dir="/var/tmp"))
            stack.callback(shutil.rmtree, self._work, ignore_errors=True)
            try:
                self._start(image, stack)
            except BaseException as error:
                error.add_note(f"the last words of the guest:\n{self.console()}")
                raise
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: types.TracebackType | None
    ) -> None:
        self._stack.close()

    def console(self) -> str:
        """The last lines that the guest's kernel and systemd printed."""
        with contextlib.suppress(OSError):
            text = self._console.read_text("utf-8", "replace")
            return "\n".join(text.splitlines()[-40:])
        return "(none)"

    def ssh(self, script: str, *, timeout: float = 60, data: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a shell script in the guest, with ``data`` as its input, and return how it ended."""
        return subprocess.run(
            ["ssh", "-F", self._work / "ssh_config", "guest", f"set -eu\n{script}"],
            check=False,
            capture_output=True,
            text=True,
            input=data or "",
            timeout=timeout,
        )

    def sh(self, script: str, *, timeout: float = 60, data: str | None = None) -> str:
        """Run a shell script in the guest, which must succeed, and return what it printed."""
        done = self.ssh(script, timeout=timeout, data=data)
        assert done.returncode == 0, f"{script}\nexited {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout

    def wait_for(self, condition: str, what: str, seconds: float = 60) -> None:
        """Wait in the guest until a shell command succeeds."""
        script = f"until {condition}; do sleep 0.2; done"
        done = self.ssh(f"timeout {seconds:g} sh -c {_quoted(script)}", timeout=seconds + 30)
        assert done.returncode == 0, f"waited {seconds:g} s in vain for {what}: {done.stderr}"

    @contextlib.contextmanager
    def playing(self, module: str, **options: t.Any) -> c.Iterator[c.Callable[..., dict[str, t.Any]]]:
        """Have ansible-playbook run a module of the collection on the guest meanwhile.

        What is yielded waits, so many seconds at most, for the end and returns the task's result, a failure's too.
        """
        self._playbooks += 1
        stem = f"{self._work}/{self._playbooks}"
        playbook, output = (pathlib.Path(f"{stem}-{what}") for what in ("playbook.json", "output"))
        task = {f"drydock.volumes.{module}": options, "register": "answer", "ignore_errors": True}
        show = {"ansible.builtin.debug": {"var": "answer"}}
        # YAML is a superset of JSON
        playbook.write_text(json.dumps([{"hosts": "guest", "gather_facts": False, "tasks": [task, show]}]))
        with open(output, "wb") as said:
            process = subprocess.Popen(
                [BIN / "ansible-playbook", playbook],
                cwd=self._work,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

        def wait(timeout: float = 240) -> dict[str, t.Any]:
            process.wait(timeout)
            text = output.read_text("utf-8", "replace")
            _before, shown, answer = text.rpartition("ok: [guest] => ")
            assert shown, text
            result = dict(json.JSONDecoder().raw_decode(answer)[0]["answer"])
            assert "Traceback" not in text + str(result), text
            return result

        try:
            yield wait
        finally:
            _end(process)

    def play(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Have ansible-playbook run a module of the collection on the guest, and return its result."""
        with self.playing(module, **options) as wait:
            return wait()

    def _start(self, image: str, stack: contextlib.ExitStack) -> None:
        work = self._work
        network = free_network(prefix=30)
        outside, address = (str(host) for host in network.hosts())
        key = new_key(work / "key")
        (work / "ssh_config").write_text(_SSH.format(address=address, work=work))
        (work / "ansible.cfg").write_text(_ANSIBLE.format(collections=COLLECTIONS, work=work))
        (work / "inventory.ini").write_text(_INVENTORY)
        with tap(self._name, address=f"{outside}/30") as descriptor:
            machine = Machine(self._name, work, image, descriptor, f"{address}/30", key)
            self._console = machine.console
            guest = machine.start()
        stack.callback(_kill, guest)
        deadline = time.monotonic() + _BOOT
        self._until(guest, deadline, lambda: self.ssh("true", timeout=30).returncode == 0)
        # One connection for everything: a login takes a guest a second.
        master = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", "ssh", "-F", work / "ssh_config", "-M", "-N", "guest"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        stack.callback(_kill, master)
        self._until(guest, deadline, (work / "ssh").exists)
        ready = "docker version && systemctl is-active nfs-server"
        self._until(guest, deadline, lambda: self.ssh(ready, timeout=60).returncode == 0)
        # Its blocks go with the guest, also if nobody gets to remove it.
        machine.cow.unlink()

    def _until(self, guest: subprocess.Popen[bytes], deadline: float, condition: c.Callable[[], bool]) -> None:
        """Wait for something in the course of the boot."""
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                if condition():
                    return
            assert guest.poll() is None, f"the guest ended with {guest.returncode}"
            assert time.monotonic() < deadline, f"the guest isn't up after {_BOOT} seconds"
            time.sleep(0.2)

    def _environment(self) -> dict[str, str]:
        """What ansible-playbook needs to know; it takes no settings from, and leaves nothing in, the user's home."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return {**kept, "ANSIBLE_CONFIG": str(self._work / "ansible.cfg"), "PATH": f"{BIN}:{os.environ['PATH']}"}


def _kill(process: subprocess.Popen[t.Any]) -> None:
    """Kill a process that has nothing to tidy up."""
    process.kill()
    process.wait()


def _end(process: subprocess.Popen[t.Any]) -> None:
    """End a process, and those of the session that it leads."""
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(5)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"
