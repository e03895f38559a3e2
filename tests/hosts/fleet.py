# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several hosts with kernels of their own, on one network, for as long as somebody needs them: Molecule's.

    fleet.py start DIRECTORY [--while PID] NAME[:DISKS] …   boot them, and return once all of them can be logged in to
    fleet.py cut DIRECTORY NAME                             pull a host's plug, and return once it is up again
    fleet.py stop DIRECTORY                                 end them, and leave nothing

Each host is a User-mode Linux from the image that uml.sh makes, with so many empty disks (``/dev/ubdb``, ``/dev/ubdc``)
beside its own. It is started again whenever it ends, on the same disks, as a machine is that gets its power back.

DIRECTORY holds everything that is theirs: ``ssh_config``, in which each host has its name; ``NAME.console``, the words
of its kernel; the disks. One process serves them in a network namespace of its own, so the bridge, the taps and the
rules of other people's firewalls are nobody else's. All of that ends with this process, however it ends, and it ends
with the process PID.
"""

from __future__ import annotations

import argparse
import collections.abc
import contextlib
import dataclasses
import os
import pathlib
import select
import shutil
import signal
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.hosts.machine import Machine, free_network, new_key, tap  # noqa: E402

#: Bytes of an extra disk, a hole at first. The least that mkfs.xfs takes is 300 MiB.
DISK = 320 << 20
# Seconds.
_BUILD, _BOOT, _END = 900, 300, 20

_SSH_HOST = "Host {name}\n    HostName {address}\n"
_SSH = """\
Host *
    User root
    IdentityFile {directory}/key
    IdentitiesOnly yes
    BatchMode yes
    StrictHostKeyChecking no
    UserKnownHostsFile /dev/null
    LogLevel ERROR
    ConnectTimeout 10
    ServerAliveInterval 15
    ServerAliveCountMax 8
"""


@dataclasses.dataclass(frozen=True)
class Host:
    """A host of the fleet: its name, and the number of its extra disks."""

    name: str
    disks: int

    @classmethod
    def parse(cls, text: str) -> Host:
        """``NAME`` or ``NAME:DISKS``."""
        name, _colon, disks = text.partition(":")
        return cls(name, int(disks or 0))


def start(directory: pathlib.Path, hosts: list[Host], keeper: int | None) -> None:
    """Boot a fleet. Nothing of it is left where one of its hosts doesn't come up."""
    image = subprocess.run(
        [HERE / "uml.sh"], check=True, stdout=subprocess.PIPE, text=True, timeout=_BUILD
    ).stdout.strip()
    directory.mkdir(mode=0o700)
    try:
        key = new_key(directory / "key")
        network = free_network(prefix=26)
        ours, *theirs = (str(address) for address in network.hosts())
        addresses = dict(zip((host.name for host in hosts), theirs, strict=False))
        config = "".join(_SSH_HOST.format(name=name, address=address) for name, address in addresses.items())
        (directory / "ssh_config").write_text(config + _SSH.format(directory=directory))
        (directory / "hosts").write_text("".join(f"{at} {name}\n" for name, at in addresses.items()))
        with open(directory / "server.log", "wb") as log:
            server = subprocess.Popen(
                [
                    *("unshare", "--net", "--", sys.executable, __file__, "serve", directory),
                    *("--image", image, "--key", key, "--prefix", str(network.prefixlen), "--ours", ours),
                    *("--outside", str(os.getpid())),
                    *(("--while", str(keeper)) if keeper else ()),
                    *(f"{host.name}:{host.disks}:{addresses[host.name]}" for host in hosts),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (directory / "pid").write_text(f"{server.pid}\n")
        deadline = time.monotonic() + _BOOT
        for host in hosts:
            _await(directory, host.name, deadline, lambda: server.poll() is None)
    except BaseException:
        for console in sorted(directory.glob("*.console")) + sorted(directory.glob("server.log")):
            lines = console.read_text("utf-8", "replace").splitlines()[-20:]
            print(f"--- {console.name}", *lines, sep="\n", file=sys.stderr)
        stop(directory)
        raise


def stop(directory: pathlib.Path) -> None:
    """End a fleet, if it is there, and remove what is left of one that was."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, ValueError):
        pid = int((directory / "pid").read_text())
        if str(directory) in _arguments(pid):
            server = os.pidfd_open(pid)
            signal.pidfd_send_signal(server, signal.SIGTERM)
            select.select([server], [], [], _END)
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(server, signal.SIGKILL)
            os.close(server)
    shutil.rmtree(directory, ignore_errors=True)


def cut(directory: pathlib.Path, name: str) -> None:
    """Kill a host's machine as it stands, and wait until it is up again."""
    file = directory / f"{name}.pid"
    before = file.read_text()
    os.kill(int(before), signal.SIGKILL)
    deadline = time.monotonic() + _BOOT
    _until(deadline, lambda: file.read_text() != before, f"{name} to be started again")
    _await(directory, name, deadline, lambda: True)


def serve(arguments: argparse.Namespace) -> None:
    """Be the process that a fleet lives in, until SIGTERM or until the keeper ends."""
    directory = arguments.directory
    ended = [False]
    signal.signal(signal.SIGTERM, lambda *_: ended.__setitem__(0, True))
    _plug_in(arguments)
    keeper = os.pidfd_open(arguments.keeper) if arguments.keeper else None
    machines: dict[str, Machine] = {}
    running: dict[str, subprocess.Popen[bytes]] = {}
    with contextlib.ExitStack() as stack:
        for text in arguments.hosts:
            name, disks, address = text.split(":")
            descriptor = stack.enter_context(tap(f"tap-{name}", bridge="fleet"))
            paths = [directory / f"{name}.disk{number + 1}" for number in range(int(disks))]
            for path in paths:
                with open(path, "wb") as file:
                    file.truncate(DISK)
            machines[name] = Machine(
                name=name,
                work=directory,
                image=arguments.image,
                tap=descriptor,
                address=f"{address}/{arguments.prefix}",
                key=arguments.key,
                disks=paths,
            )
        try:
            while not ended[0] and not (keeper is not None and select.select([keeper], [], [], 0)[0]):
                for name, machine in machines.items():
                    if name not in running or running[name].poll() is not None:
                        running[name] = machine.start()
                        fresh = directory / f"{name}.pid.new"
                        fresh.write_text(f"{running[name].pid}\n")
                        fresh.rename(directory / f"{name}.pid")
                time.sleep(0.2)
        finally:
            for process in running.values():
                process.kill()
            for process in running.values():
                process.wait()
            if keeper is not None and not ended[0]:  # nobody else tidies up
                shutil.rmtree(directory, ignore_errors=True)


def _plug_in(arguments: argparse.Namespace) -> None:
    """Join the taps of this network namespace to the one outside: a bridge here, an address there, a cable between."""
    outside = ("nsenter", f"--net=/proc/{arguments.outside}/ns/net")
    cable = f"fl{os.getpid()}"
    for command in (
        ("ip", "link", "add", "fleet", "type", "bridge"),
        ("ip", "link", "set", "fleet", "up"),
        ("ip", "link", "add", "outside", "type", "veth", "peer", "name", cable, "netns", str(arguments.outside)),
        ("ip", "link", "set", "outside", "master", "fleet", "up"),
        (*outside, "ip", "address", "add", f"{arguments.ours}/{arguments.prefix}", "dev", cable),
        (*outside, "ip", "link", "set", cable, "up"),
    ):
        subprocess.run(command, check=True)


def _await(directory: pathlib.Path, name: str, deadline: float, alive: collections.abc.Callable[[], bool]) -> None:
    """Wait until a host can be logged in to, and has done booting."""
    ready = "systemctl is-system-running --wait || systemctl is-active docker"

    def up() -> bool:
        assert alive(), "the process that serves the fleet ended"
        command = ["ssh", "-F", directory / "ssh_config", name, ready]
        with contextlib.suppress(subprocess.TimeoutExpired):
            return subprocess.run(command, check=False, capture_output=True, timeout=60).returncode == 0
        return False

    _until(deadline, up, f"{name} to be up")


def _until(deadline: float, condition: collections.abc.Callable[[], bool], what: str) -> None:
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.3)


def _arguments(pid: int) -> list[str]:
    with contextlib.suppress(FileNotFoundError):
        return pathlib.Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return []


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    commands = parser.add_subparsers(dest="command", required=True)
    for command in ("start", "stop", "cut", "serve"):
        sub = commands.add_parser(command)
        sub.add_argument("directory", type=pathlib.Path)
        if command in ("start", "serve"):
            sub.add_argument("--while", dest="keeper", type=int)
            sub.add_argument("hosts", nargs="+")
        if command == "cut":
            sub.add_argument("name")
        if command == "serve":
            for option in ("--image", "--key", "--prefix", "--ours", "--outside"):
                sub.add_argument(option, required=True)
    arguments = parser.parse_args()
    if arguments.command == "start":
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        start(arguments.directory, [Host.parse(text) for text in arguments.hosts], arguments.keeper)
    elif arguments.command == "stop":
        stop(arguments.directory)
    elif arguments.command == "cut":
        cut(arguments.directory, arguments.name)
    else:
        serve(arguments)


if __name__ == "__main__":
    main()
