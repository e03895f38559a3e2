# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why an NFS export can't be used, in the words of who has to mend it."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
from collections.abc import Mapping

from . import kinds
from .errors import VolumeError

# Who is asked first: NFS 4 needs nothing but the server's own port, NFS 3 asks the port mapper for the others.
_PORT, _PORTMAPPER = 2049, 111
_HIGHEST = 65535
_NUMBER = re.compile(r"[0-9]{1,5}")
_TRANSPORT = re.compile(r"(proto=)?(tcp|udp|rdma)6?")
# Seconds in which a server that is there takes a connection.
_PATIENCE = 15

# What mount(2) says, as Docker passes it on, and what it means.
_MOUNT = (
    (
        "no such file or directory",
        (
            "the server doesn't export {export} to this host, or has no such directory; see 'exportfs -v' on the "
            "server. With fsid=0 in an export, paths begin there"
        ),
    ),
    (
        "connection refused",
        "the server refuses connections for NFS; see that nfs-server runs there, and the port if it isn't 2049",
    ),
    (
        "timed out",
        "the server doesn't answer; see that it runs, and that no firewall is between it and this host",
    ),
    ("no route to host", "the server can't be reached; see to the network and to addr="),
    ("no such host", "the server's name isn't known here; see to DNS, or write an address to addr="),
    (
        "permission denied",
        (
            "the server refuses this host, or exports nothing; name it, or its network, among the clients of {export} "
            "on the server (exportfs -v shows them)"
        ),
    ),
    (
        "operation not permitted",
        (
            "the server refuses this host; name it among the clients of {export}, or allow ports above 1023 there "
            "(insecure) if an address translation is in between"
        ),
    ),
    (
        "protocol not supported",
        "the server doesn't speak this version of NFS; see nfsvers= here, and /etc/nfs.conf there",
    ),
    ("no such device", "this host's kernel has no NFS; install its modules (modprobe nfsv4)"),
    ("unknown filesystem", "this host's kernel has no NFS; install its modules (modprobe nfsv4)"),
    ("invalid argument", "the kernel doesn't take these mount options; see the last line of dmesg"),
)


def place(options: Mapping[str, str]) -> tuple[str, str]:
    """The server and the path of an export, out of a volume's options."""
    device = options.get("device", "")
    return kinds.value(options, "addr") or "", device[device.find(":") + 1 :]


def why_unmounted(options: Mapping[str, str], said: str) -> str:
    """What a daemon's words about a mount that failed mean, and what to do; "" if that isn't known. Pure."""
    lowered = said.lower()
    for words, meaning in _MOUNT:
        if words in lowered:
            return meaning.format(export=place(options)[1])
    return ""


def why_unusable(number: int, user: int, owner: tuple[int, int, int] | None) -> str:
    """What an errno means that a user got from a mounted export, and what to do. Pure.

    ``owner`` are the uid, gid and mode of the export's directory, None if they can't be had.
    """
    theirs = "" if owner is None else f" (it belongs to {owner[0]}:{owner[1]}, mode {owner[2]:04o})"
    if number == errno.EROFS:
        return "the server exports it read-only to this host; export it rw, or ask for ro"
    if number in (errno.EACCES, errno.EPERM) and user == 0:
        return (
            f"the server doesn't let root in{theirs}, it takes root for nobody (root_squash); give the volume the user "
            "that its containers run as, and the directory to that user on the server, or export it with "
            "no_root_squash to hosts that you trust"
        )
    if number in (errno.EACCES, errno.EPERM):
        return f"user {user} may not{theirs}; give the directory to that user on the server"
    if number in (errno.ENOSPC, errno.EDQUOT):
        return "the server's disk, or the user's quota there, is full; make room"
    if number == errno.ESTALE:
        return "the server has another directory there than before (it was recreated, or its disk isn't mounted)"
    return "see to the server"


def require_server(options: Mapping[str, str]) -> None:
    """Raise VolumeError unless the server takes a connection. So an absent one costs seconds, not Docker's minutes.

    What is asked is TCP: a server that is to be spoken to in another way isn't.
    """
    address = kinds.value(options, "addr") or ""
    port = _port(options)
    if not _by_tcp(options):
        return
    try:
        with contextlib.closing(socket.create_connection((address, port), _PATIENCE)):
            return
    except socket.gaierror as error:
        raise VolumeError(
            f"the server {address} isn't known here ({error.strerror}); see to DNS, or write an address to addr="
        ) from error
    except (TimeoutError, socket.timeout) as error:
        raise VolumeError(
            f"the server {address} doesn't answer at port {port} within {_PATIENCE} seconds; see that it runs, that "
            "addr= is right, and that no firewall is between it and this host"
        ) from error
    except ConnectionRefusedError as error:
        raise VolumeError(
            f"the server {address} refuses connections at port {port}; see that nfs-server runs there"
        ) from error
    except OSError as error:
        raise VolumeError(
            f"the server {address} can't be reached at port {port} ({os.strerror(error.errno or 0)}); see to the "
            "network and to addr="
        ) from error


def _by_tcp(options: Mapping[str, str]) -> bool:
    """Whether the server is spoken to by TCP, as nfs(5) has it: the last word that says so counts."""
    said = [word.partition("=")[2] or word for word in kinds.words(options) if _TRANSPORT.fullmatch(word)]
    return not said or said[-1].startswith("tcp")


def _port(options: Mapping[str, str]) -> int:
    """The port that is asked first. Raise VolumeError for one that can't be."""
    version = kinds.value(options, "nfsvers", "vers") or "4"
    given = kinds.value(options, "port")
    if given is None:
        return _PORTMAPPER if version.startswith("3") else _PORT
    if not _NUMBER.fullmatch(given) or int(given) > _HIGHEST:
        raise VolumeError(
            f"port={given} in o isn't a port; write a number up to {_HIGHEST}, or leave it out for {_PORT}"
        )
    # nfs(5): the port mapper is asked for it
    return int(given) or _PORTMAPPER
