# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start modules from a process that has imported already what each of them imports of others: Ansible and the SDK.

A module is still a process of its own, with its arguments as JSON, and imports all of ours itself. What it saves is
most of the half second that a start takes, thousands of times.

    zygote.py SOCKET
"""

from __future__ import annotations

import array
import contextlib
import json
import os
import pathlib
import runpy
import socket
import subprocess
import sys
import tempfile
import typing as t


class Zygote:
    """The client's side: runs that process, and has it start modules."""

    def __init__(self, collections: pathlib.Path) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="drydock-zygote-")
        self._path = str(pathlib.Path(self._folder.name) / "socket")
        self._process = subprocess.Popen(
            [sys.executable, __file__, self._path],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(collections)},
            stdin=subprocess.PIPE,  # its end is our end
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"

    def run(
        self, module: str, arguments: pathlib.Path, environment: dict[str, str], timeout: float
    ) -> tuple[int, str, str]:
        """Run a module. Return its exit status (as of subprocess), and what it wrote to stdout and stderr."""
        with (
            tempfile.TemporaryFile() as stdout,
            tempfile.TemporaryFile() as stderr,
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection,
        ):
            connection.settimeout(timeout)
            connection.connect(self._path)
            descriptors = array.array("i", [stdout.fileno(), stderr.fileno()])
            connection.sendmsg([b"."], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)])
            request = {"module": module, "arguments": str(arguments), "environment": environment}
            with connection.makefile("rw", encoding="utf-8") as file:
                file.write(json.dumps(request) + "\n")
                file.flush()
                status = int(file.readline() or -1)
            said = []
            for stream in (stdout, stderr):
                stream.seek(0)
                said.append(stream.read().decode())
            return status, said[0], said[1]

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._folder.cleanup()


def _serve(path: str) -> None:
    """Start what is asked for, until nobody is there to ask."""
    import ansible.module_utils.basic  # noqa: F401
    import docker  # noqa: F401

    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(path)
        listening.listen(64)
        print("ready", flush=True)
        if os.fork() == 0:
            # waits for the end of the tests, and ends the other one
            os.read(0, 1)
            with contextlib.suppress(ProcessLookupError):
                os.kill(os.getppid(), 9)
            os._exit(0)
        while True:
            connection, _address = listening.accept()
            pid = os.fork()
            if pid == 0:
                if os.fork() == 0:
                    listening.close()
                    _attend(connection)
                os._exit(0)
            connection.close()
            os.waitpid(pid, 0)


def _attend(connection: socket.socket) -> t.NoReturn:
    """Start one module, and say how it ended."""
    try:
        _data, ancillary, _flags, _address = connection.recvmsg(1, socket.CMSG_SPACE(2 * array.array("i").itemsize))
        descriptors = array.array("i")
        descriptors.frombytes(ancillary[0][2])
        with connection.makefile("rw", encoding="utf-8") as file:
            request = json.loads(file.readline())
            pid = os.fork()
            if pid == 0:
                _be_the_module(request, *descriptors)
            file.write(f"{os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])}\n")
    finally:
        os._exit(0)


def _be_the_module(request: dict[str, t.Any], stdout: int, stderr: int) -> t.NoReturn:
    """Do what ``python -m MODULE ARGUMENTS`` does, once Python has started."""
    status: object = 1
    try:
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((null, stdout, stderr)):
            os.dup2(descriptor, number)
        os.closerange(3, 256)
        os.environ.clear()
        os.environ.update(request["environment"])
        sys.argv = [request["module"], request["arguments"]]
        runpy.run_module(request["module"], run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code
    except BaseException:
        sys.excepthook(*t.cast(t.Any, sys.exc_info()))
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status if isinstance(status, int) else 1)


if __name__ == "__main__":
    # Not this script's folder but the working directory, as with -m.
    sys.path[0] = os.getcwd()
    _serve(sys.argv[1])
