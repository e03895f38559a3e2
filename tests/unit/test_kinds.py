# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of volumes, and what is wrong with options before Docker sees them."""

from __future__ import annotations

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import kinds

BIND = {"type": "none", "o": "bind", "device": "/mnt/x"}
NFS = {"type": "nfs", "o": "addr=nas,rw,nfsvers=4.2,hard", "device": ":/export"}
TMPFS = {"type": "tmpfs", "o": "size=64m,mode=0700,uid=1", "device": "tmpfs"}
CIFS = {"type": "cifs", "o": "sec=krb5", "device": "//server/share"}
BLOCK = {"type": "xfs", "device": "/dev/disk/by-uuid/1"}

KINDS: list[tuple[str, dict[str, str], str]] = [
    ("local", {}, "plain"),
    ("local", {"size": "10G"}, "plain"),
    ("local", BIND, "bind"),
    ("local", {**BIND, "o": "rbind,ro"}, "bind"),
    ("local", NFS, "nfs"),
    ("local", {**NFS, "type": "nfs4"}, "nfs"),
    ("local", TMPFS, "tmpfs"),
    ("local", CIFS, "cifs"),
    ("local", BLOCK, "block"),
    ("local", {"type": "9p", "device": "share"}, "other"),
    ("rclone", {}, "plugin"),
    ("rclone", BIND, "plugin"),
]


@pytest.mark.parametrize(("driver", "options", "kind"), KINDS)
def test_kinds(driver: str, options: dict[str, str], kind: str) -> None:
    assert kinds.kind(driver, options) == kind


@pytest.mark.parametrize("options", [{}, BIND, NFS, TMPFS, CIFS, BLOCK, {**CIFS, "o": "username=,sec=ntlmssp"}])
def test_nothing_is_wrong(options: dict[str, str]) -> None:
    assert kinds.problems("local", options) == ([], [])


def test_the_options_of_a_plugin_are_its_own() -> None:
    assert kinds.problems("rclone", {"o": "a, b", "x": ""}) == ([], [])


ERRORS: dict[str, tuple[dict[str, str], str]] = {
    "unknown": ({"mountpoint": "/x"}, "driver option mountpoint isn't one: type, o, device, size are"),
    "device alone": ({"device": "/dev/disk/by-id/1"}, "device needs type beside it"),
    "type alone": ({"type": "tmpfs"}, "type needs device beside it"),
    "o alone": ({"o": "bind"}, "o needs device beside it"),
    "empty device": ({**BIND, "device": ""}, "type needs device beside it"),
    "a space": ({**NFS, "o": "addr=nas, rw"}, "there is a space in o"),
    "size": ({"size": "big"}, "size 'big' isn't a number of bytes"),
    "relative bind": ({**BIND, "device": "mnt"}, "device 'mnt' isn't an absolute path"),
    "root": ({**BIND, "device": "//"}, "device is the root file system"),
    "no addr": ({**NFS, "o": "rw"}, "addr= is missing in o"),
    "empty addr": ({**NFS, "o": "addr="}, "addr= is missing in o"),
    "nfs4 and a name": ({**NFS, "type": "nfs4"}, "Docker looks up names for type nfs only, not for nfs4"),
    "no export": ({**NFS, "device": "/export"}, "device '/export' isn't an export; write ':/path'"),
    "NFS 2": ({**NFS, "o": "addr=nas,vers=2"}, "nfsvers=2 isn't in today's kernels"),
    "nconnect": ({**NFS, "o": f"{NFS['o']},nconnect=32"}, "nconnect=32: the kernel takes 1 to 16"),
    "fstab's": ({**NFS, "o": f"{NFS['o']},_netdev"}, "_netdev is for fstab"),
    "systemd's": ({**BLOCK, "o": "x-systemd.automount"}, "x-systemd.automount is for fstab"),
    "size of tmpfs": ({**TMPFS, "o": "size=64mb"}, "size=64mb isn't a size"),
    "mode of tmpfs": ({**TMPFS, "o": "size=1m,mode=rwx"}, "mode=rwx isn't octal"),
    "user of tmpfs": ({**TMPFS, "o": "size=1m,uid=postgres"}, "uid=postgres isn't a number"),
    "no share": ({**CIFS, "device": "server/share"}, "isn't a share; write //server/share"),
    "a password": ({**CIFS, "o": "username=u,PassWord=p"}, "a password in o is shown to all"),
    "a password beside krb5": ({**CIFS, "o": "sec=krb5,pass=p"}, "a password in o is shown to all"),
    "credentials": ({**CIFS, "o": "credentials=/etc/c"}, "the kernel ignores the option"),
    "guest": ({**CIFS, "o": "guest"}, "there is no sec=krb5 and no sec=none in o"),
    "none without bind": ({**BIND, "o": "ro"}, "type none shows a directory, and needs bind in o"),
    "UUID=": ({**BLOCK, "device": "UUID=1"}, "isn't a path; write /dev/disk/by-uuid"),
}


@pytest.mark.parametrize(("options", "text"), ERRORS.values(), ids=ERRORS)
def test_what_is_refused(options: dict[str, str], text: str) -> None:
    errors, _warnings = kinds.problems("local", options)
    assert text in "; ".join(errors)


WARNINGS: dict[str, tuple[dict[str, str], str]] = {
    "quota": ({"size": "10G"}, "xfs with project quotas"),
    "no version": ({**NFS, "o": "addr=nas"}, "nfsvers isn't set"),
    "4.0": ({**NFS, "o": "addr=nas,nfsvers=4"}, "nfsvers=4 is 4.0"),
    "soft": ({**NFS, "o": f"{NFS['o']},soft"}, "data may be lost silently"),
    "nolock": ({**NFS, "o": f"{NFS['o']},nolock"}, "with NFS 4 locks need no service"),
    "nolock on 3": ({**NFS, "o": "addr=nas,nfsvers=3,nolock"}, "each host see its own locks only"),
    "mount.nfs": ({**NFS, "o": f"{NFS['o']},bg,retry=2"}, "bg is for mount.nfs, and has no effect"),
    "half the memory": ({**TMPFS, "o": "mode=0700"}, "may take half of the memory"),
    "a name that moves": ({**BLOCK, "device": "/dev/sdb1"}, "/dev/sdb1 may be another disk after the next boot"),
}


@pytest.mark.parametrize(("options", "text"), WARNINGS.values(), ids=WARNINGS)
def test_what_is_warned_of(options: dict[str, str], text: str) -> None:
    errors, warnings = kinds.problems("local", options)
    assert errors == []
    assert text in "; ".join(warnings)


def test_where_data_stays() -> None:
    assert kinds.where("local", BIND) == "/mnt/x"
    assert kinds.where("local", NFS) == "nas:/export"
    assert kinds.where("local", {**NFS, "device": "other:/export"}) == "other:/export"
    assert kinds.where("local", BLOCK) == "/dev/disk/by-uuid/1"
    for driver, options in (("local", {}), ("local", TMPFS), ("rclone", {})):
        assert kinds.where(driver, options) is None


def test_places_are_the_same_whatever_the_options() -> None:
    assert kinds.place("local", NFS) == kinds.place("local", {**NFS, "o": "ro,addr=nas"})
    assert kinds.place("local", NFS) != kinds.place("local", {**NFS, "o": "addr=other"})
    assert kinds.place("local", BIND) == kinds.place("local", {**BIND, "device": "/mnt/x/"})
    assert kinds.place("local", {}) != kinds.place("local", BIND)
