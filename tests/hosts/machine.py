# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hardware of a host with a kernel of its own: a User-mode Linux process, its disks, its network card."""

from __future__ import annotations

import collections.abc as c
import contextlib
import dataclasses
import fcntl
import ipaddress
import json
import os
import pathlib
import random
import shutil
import struct
import subprocess

MEMORY = "768M"
# include/uapi/linux/if_tun.h: TUNSETIFF, and IFF_TAP | IFF_NO_PI
_TUNSETIFF, _TAP = 0x400454CA, 0x1002
# For tests between networks (RFC 2544): nobody routes these addresses.
_ADDRESSES = ipaddress.ip_network("198.18.0.0/15")


@dataclasses.dataclass(frozen=True)
class Machine:
    """What a host is started with, again and again: its name, a directory for what is its own, the image in front of
    which its disk is, a tap's descriptor, its address with the network's prefix, the key that may log in, more disks.
    """

    name: str
    work: pathlib.Path
    image: str
    tap: int
    address: str
    key: str
    disks: c.Sequence[pathlib.Path] = ()

    @property
    def console(self) -> pathlib.Path:
        """The file with what its kernel and systemd print."""
        return self.work / f"{self.name}.console"

    @property
    def cow(self) -> pathlib.Path:
        """The file with what its disk holds that the image doesn't."""
        return self.work / f"{self.name}.cow"

    def start(self) -> subprocess.Popen[bytes]:
        """Switch it on. It goes with this process, by the kernel's hand, and its helpers go with it."""
        disks = [f"ubd{number}={path}" for number, path in enumerate(self.disks, 1)]
        with open(self.console, "ab") as console:
            return subprocess.Popen(
                [
                    *("setpriv", "--pdeathsig", "KILL", "unshare", "--pid", "--fork", "--kill-child", "linux.uml"),
                    *(f"mem={MEMORY}", f"umid={self.name}", f"uml_dir={self.work}"),
                    *(f"ubd0={self.cow},{self.image}", *disks, "root=/dev/ubda", "rw"),
                    *("con=null", "con0=null,fd:1", "ssl=null"),
                    f"vec0:transport=fd,fd={self.tap},vec=0",
                    *(f"drydock.address={self.address}", f"drydock.key={self.key}", f"systemd.hostname={self.name}"),
                ],
                cwd=self.work,
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=subprocess.STDOUT,
                env={**os.environ, "TMPDIR": _memory(self.work)},
                pass_fds=[self.tap],
                start_new_session=True,
            )


def new_key(path: pathlib.Path) -> str:
    """Make a key to log in with; return its public half, as boot.sh wants it."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path], check=True)
    return path.with_name(f"{path.name}.pub").read_text().split()[1]


def free_network(prefix: int) -> ipaddress.IPv4Network:
    """A network with such a prefix that no interface here has."""
    shown = subprocess.run(["ip", "-json", "-4", "address"], check=True, capture_output=True, text=True).stdout
    taken = [
        ipaddress.ip_network(f"{address['local']}/{address['prefixlen']}", strict=False)
        for link in json.loads(shown)
        for address in link["addr_info"]
    ]
    size = 1 << (32 - prefix)
    while True:
        first = int(_ADDRESSES.network_address) + size * random.randrange(_ADDRESSES.num_addresses // size)
        network = ipaddress.IPv4Network((first, prefix))
        if not any(network.overlaps(other) for other in taken):
            return network


@contextlib.contextmanager
def tap(name: str, *, address: str | None = None, bridge: str | None = None) -> c.Iterator[int]:
    """A tap, with an address or in a bridge, as a descriptor. It is there until the last process that has the
    descriptor ends."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR)
    try:
        fcntl.ioctl(descriptor, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _TAP))
        # The guest takes an interface that is down for a broken one.
        if address:
            subprocess.run(["ip", "address", "add", address, "dev", name], check=True)
        joined = ["master", bridge] if bridge else []
        subprocess.run(["ip", "link", "set", name, *joined, "up"], check=True)
        yield descriptor
    finally:
        os.close(descriptor)


def _memory(work: pathlib.Path) -> str:
    """A directory for the file that is the guest's memory: in memory, where there is room for it."""
    with contextlib.suppress(FileNotFoundError):
        if shutil.disk_usage("/dev/shm").free > 1 << 30:
            return "/dev/shm"
    return str(work)
