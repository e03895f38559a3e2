# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said about an NFS export that can't be used; and what is done as another user, in a process of its own."""

from __future__ import annotations

import errno
import os
import pathlib
import re
import socket
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import child, nfs
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from tests.unit.helpers import needs_root

OPTIONS = {"type": "nfs", "o": "addr=192.0.2.1,rw,nfsvers=4.2,hard", "device": ":/srv/media"}
SAID = "error while mounting volume '/x/_data': failed to mount local volume: mount :/srv/media:/x/_data: {}"


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("no such file or directory", "doesn't export /srv/media to this host"),
        ("permission denied", "the server refuses this host, or exports nothing"),
        ("operation not permitted", "insecure"),
        ("connection refused", "nfs-server runs there"),
        ("Connection timed out", "firewall"),
        ("no route to host", "network"),
        ("lookup nas.example.com: no such host", "DNS"),
        ("protocol not supported", "nfsvers="),
        ("no such device", "kernel has no NFS"),
        ("invalid argument", "dmesg"),
        ("something nobody has seen yet", ""),
    ],
)
def test_what_a_mount_that_failed_means(said: str, meant: str) -> None:
    why = nfs.why_unmounted(OPTIONS, SAID.format(said))
    assert (meant in why) if meant else why == ""


@pytest.mark.parametrize(
    ("number", "user", "meant"),
    [
        (errno.EACCES, 0, "belongs to 1000:1000, mode 0750.*root_squash"),
        (errno.EPERM, 0, "no_root_squash to hosts that you trust"),
        (errno.EACCES, 999, "user 999 may not .*give the directory to that user"),
        (errno.EROFS, 0, "read-only to this host"),
        (errno.ENOSPC, 0, "is full"),
        (errno.EDQUOT, 0, "quota"),
        (errno.ESTALE, 0, "another directory there than before"),
        (errno.EIO, 0, "see to the server"),
    ],
)
def test_what_an_error_on_a_mounted_export_means(number: int, user: int, meant: str) -> None:
    assert re.search(meant, nfs.why_unusable(number, user, (1000, 1000, 0o750)))
    assert nfs.why_unusable(number, user, None)


def test_where_an_export_is() -> None:
    assert nfs.place(OPTIONS) == ("192.0.2.1", "/srv/media")
    assert nfs.place({**OPTIONS, "device": "nas:/srv/media"}) == ("192.0.2.1", "/srv/media")


def test_a_server_must_take_a_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        here = {**OPTIONS, "o": f"addr=127.0.0.1,port={port}"}
        nfs.require_server(here)
    with pytest.raises(VolumeError, match=f"the server 127.0.0.1 refuses connections at port {port}"):
        nfs.require_server(here)
    with pytest.raises(VolumeError, match="port 2049"):
        nfs.require_server({**OPTIONS, "o": "addr=127.0.0.2"})
    with pytest.raises(VolumeError, match=r"nas.invalid isn't known here"):
        nfs.require_server({**OPTIONS, "o": "addr=nas.invalid"})


@pytest.mark.parametrize("words", ["proto=rdma,port=20049", "rdma,port=1", "proto=tcp,proto=udp,port=1", "udp6,port=1"])
def test_what_is_not_tcp_is_not_asked(words: str) -> None:
    nfs.require_server({**OPTIONS, "o": f"addr=127.0.0.1,nfsvers=4.2,{words}"})
    with pytest.raises(VolumeError, match="refuses connections at port 1;"):
        nfs.require_server({**OPTIONS, "o": f"addr=127.0.0.1,{words},port=1,proto=tcp"})


@pytest.mark.parametrize("port", ["abc", "", "-1", "65536", "²"])
def test_a_port_is_a_number(port: str) -> None:
    with pytest.raises(VolumeError, match=f"port={port} in o isn't a port; write a number up to 65535"):
        nfs.require_server({**OPTIONS, "o": f"addr=127.0.0.1,port={port}"})


@needs_root
def test_a_child_is_another_user(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "file"
    tmp_path.chmod(0o777)
    directory = os.open(tmp_path, os.O_PATH | os.O_DIRECTORY)

    def write() -> None:
        os.close(os.open("file", os.O_WRONLY | os.O_CREAT, 0o600, dir_fd=directory))

    child.run(write, 4321, 1234, 10)
    facts = file.stat()
    assert (facts.st_uid, facts.st_gid) == (4321, 1234)
    assert os.geteuid() == 0
    os.close(directory)


def test_what_a_child_raises_is_raised_here() -> None:
    def fail() -> None:
        with child.doing("open it"):
            os.open("/nowhere/file", os.O_RDONLY)

    with pytest.raises(child.ChildError, match="open it") as failed:
        child.run(fail, os.geteuid(), os.getegid(), 10)
    assert failed.value.number == errno.ENOENT

    with pytest.raises(child.ChildError, match="it failed: ZeroDivisionError") as failed:
        child.run(lambda: print(1 // 0), os.geteuid(), os.getegid(), 10)
    assert failed.value.number is None


def test_a_child_that_hangs_is_left_behind() -> None:
    began = time.monotonic()
    with pytest.raises(child.ChildError, match=r"the file system hangs: it gave no answer for 0.2 seconds"):
        child.run(lambda: time.sleep(60), os.geteuid(), os.getegid(), 0.2)
    assert time.monotonic() - began < 30
