# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The kinds of volumes, and what options each of them takes. Pure.

Docker's own driver hands the options to mount(2) as they are, without the helpers of mount(8), and not before the first
container starts. So what would fail or be ignored then is said here, before anything is created.
"""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Callable, Mapping

from .volumes import is_bind

PLAIN, BIND, NFS, TMPFS, CIFS, BLOCK, OTHER, PLUGIN = (
    "plain",
    "bind",
    "nfs",
    "tmpfs",
    "cifs",
    "block",
    "other",
    "plugin",
)

#: What is on the device of these stays when the volume is removed.
ELSEWHERE = frozenset({BIND, NFS, CIFS, BLOCK})

# moby: volume/local/local_unix.go, validOpts and mandatoryOpts
_KNOWN = ("type", "o", "device", "size")
_NEEDS = {"device": ("type",), "type": ("device",), "o": ("device", "type")}
_SIZE = re.compile(r"\d+(\.\d+)?\s?([kmgtp]i?b?|b)?", re.IGNORECASE)

# What mount(8) and fstab(5) understand, and the kernel doesn't.
_FSTAB_ONLY = frozenset({"_netdev", "nofail", "auto", "noauto", "user", "nouser", "users", "owner", "group"})
_TYPES = {"nfs": NFS, "nfs4": NFS, "tmpfs": TMPFS, "ramfs": TMPFS, "cifs": CIFS, "smb3": CIFS}
_STABLE = ("/dev/disk/", "/dev/mapper/", "/dev/md/", "/dev/zvol/")

Problems = tuple[list[str], list[str]]


def kind(driver: str, options: Mapping[str, str]) -> str:
    """Which kind of volume these options make."""
    if driver != "local":
        return PLUGIN
    if is_bind(driver, options):
        return BIND
    if not {"type", "device"} & options.keys():
        return PLAIN
    device = options.get("device", "")
    return _TYPES.get(options.get("type", ""), BLOCK if device.startswith("/") or "=" in device else OTHER)


def words(options: Mapping[str, str]) -> list[str]:
    """The mount options in ``o``, in their order."""
    return [word for word in options.get("o", "").split(",") if word]


def value(options: Mapping[str, str], *keys: str) -> str | None:
    """The value of the last mount option ``key=value`` with one of these keys, which is the one that counts."""
    found = [word.partition("=")[2] for word in words(options) if word.partition("=")[0] in keys and "=" in word]
    return found[-1] if found else None


def place(driver: str, options: Mapping[str, str]) -> tuple[str | None, ...]:
    """What tells where a volume's data is: two volumes with the same place show the same files."""
    device = options.get("device", "")
    return (driver, kind(driver, options), device.rstrip("/") or device, value(options, "addr"))


def where(driver: str, options: Mapping[str, str]) -> str | None:
    """Where the data of a volume is that stays when the volume is removed, for people; None if it doesn't."""
    what = kind(driver, options)
    if what not in ELSEWHERE:
        return None
    address = value(options, "addr") if what == NFS else None
    device = options.get("device", "")
    return f"{address}{device}" if address and device.startswith(":") else device


def problems(driver: str, options: Mapping[str, str]) -> Problems:
    """What is wrong with a volume's options, and what may be: errors and warnings, each a sentence's part."""
    if driver != "local":
        return [], []
    errors = [f"driver option {key} isn't one: {', '.join(_KNOWN)} are" for key in options if key not in _KNOWN]
    for key, needed in _NEEDS.items():
        errors += [f"{key} needs {other} beside it" for other in needed if key in options and not options.get(other)]
    if " " in options.get("o", ""):
        errors.append("there is a space in o, which the kernel takes for a part of an option; write it without")
    if "size" in options and not _SIZE.fullmatch(options["size"]):
        errors.append(f"size {options['size']!r} isn't a number of bytes, such as 10G")
    if errors:
        return errors, []
    warnings: list[str] = []
    what = kind(driver, options)
    if what in (NFS, TMPFS, BLOCK):
        for word in words(options):
            if word in _FSTAB_ONLY or word.startswith("x-"):
                errors.append(f"{word} is for fstab, and the kernel doesn't know it; leave it out")
    rules = _RULES.get(what)
    if rules is not None:
        rules(options, errors, warnings)
    return errors, warnings


def _plain(options: Mapping[str, str], _errors: list[str], warnings: list[str]) -> None:
    if "size" in options:
        warnings.append("size is kept only where Docker's data root is on xfs with project quotas (pquota)")


def _bind(options: Mapping[str, str], errors: list[str], _warnings: list[str]) -> None:
    device = options["device"]
    if not os.path.isabs(device):
        errors.append(f"device {device!r} isn't an absolute path")
    elif os.path.normpath(f"//{device}") == "/":
        errors.append("device is the root file system")


def _nfs(options: Mapping[str, str], errors: list[str], warnings: list[str]) -> None:
    present = set(words(options))
    address = value(options, "addr")
    if not address:
        errors.append("addr= is missing in o: Docker mounts without mount.nfs, which would find it in the device")
    elif options["type"] != "nfs" and not _is_address(address):
        errors.append(f"Docker looks up names for type nfs only, not for {options['type']}: write type: nfs")
    if not re.fullmatch(r"[^/:]*:/.*|\[[^]]+\]:/.*", options["device"]):
        errors.append(f"device {options['device']!r} isn't an export; write ':/path'")
    version = value(options, "nfsvers", "vers")
    if version is None and options["type"] == "nfs":
        warnings.append("nfsvers isn't set, so that the version is what kernel and server agree on; write nfsvers=4.2")
    elif version == "2":
        errors.append("nfsvers=2 isn't in today's kernels; write nfsvers=4.2")
    elif version == "4":
        warnings.append("nfsvers=4 is 4.0, the oldest of them; write nfsvers=4.2")
    if {"soft", "softerr"} & present:
        warnings.append(
            "soft has a write fail when the server is slow, and most programs don't look: data may be lost silently; "
            "write hard"
        )
    if {"nolock", "local_lock=all"} & present:
        warnings.append(
            "nolock has each host see its own locks only, so that two of them may write to one file; "
            + ("leave it out" if version == "3" else "with NFS 4 locks need no service beside it: leave it out")
        )
    for word in words(options):
        key, _equals, number = word.partition("=")
        if key in ("bg", "fg", "retry"):
            warnings.append(f"{key} is for mount.nfs, and has no effect: Docker mounts without it; leave it out")
        if key == "nconnect" and not (number.isdigit() and 1 <= int(number) <= 16):
            errors.append(f"nconnect={number}: the kernel takes 1 to 16")


def _tmpfs(options: Mapping[str, str], errors: list[str], warnings: list[str]) -> None:
    size = value(options, "size")
    if options["type"] == "tmpfs" and size is None and value(options, "nr_blocks") is None:
        warnings.append("size isn't set, so that it may take half of the memory; write size=64m")
    elif size is not None and not re.fullmatch(r"\d+[kmgt%]?", size, re.IGNORECASE):
        errors.append(f"size={size} isn't a size; write size=64m, or a share of the memory as size=5%")
    mode = value(options, "mode")
    if mode is not None and not re.fullmatch(r"[0-7]{3,4}", mode):
        errors.append(f"mode={mode} isn't octal; write mode=0700")
    for key in ("uid", "gid"):
        number = value(options, key)
        if number is not None and not number.isdigit():
            errors.append(f"{key}={number} isn't a number; the kernel knows no names")


def _cifs(options: Mapping[str, str], errors: list[str], _warnings: list[str]) -> None:
    instead = (
        "mount the share on the host with a credentials file that root alone can read, and show a directory of it with "
        "device_path and require_mounted (storage class cifs of the role volumes does)"
    )
    if not re.fullmatch(r"//[^/]+/.+", options["device"]):
        errors.append(f"device {options['device']!r} isn't a share; write //server/share")
    keys = {word.partition("=")[0].lower() for word in words(options)}
    if keys & {"password", "password2", "pass", "passwd"}:
        errors.append(f"a password in o is shown to all who may call docker volume inspect; {instead}")
    elif keys & {"credentials", "cred"}:
        errors.append(
            "credentials= is read by mount.cifs only; Docker mounts without it, and the kernel ignores the option; "
            + instead
        )
    elif not (value(options, "sec") in ("krb5", "krb5i", "none") or value(options, "username", "user") == ""):
        errors.append(f"there is no sec=krb5 and no sec=none in o, so a password would be needed; {instead}")


def _block(options: Mapping[str, str], errors: list[str], warnings: list[str]) -> None:
    device = options["device"]
    if options["type"] in ("none", "bind"):
        errors.append("type none shows a directory, and needs bind in o")
    elif not device.startswith("/"):
        errors.append(f"device {device!r} isn't a path; write /dev/disk/by-uuid/…")
    elif device.startswith("/dev/") and not device.startswith(_STABLE):
        warnings.append(f"{device} may be another disk after the next boot; write /dev/disk/by-uuid/…")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


_RULES: dict[str, Callable[[Mapping[str, str], list[str], list[str]], None]] = {
    PLAIN: _plain,
    BIND: _bind,
    NFS: _nfs,
    TMPFS: _tmpfs,
    CIFS: _cifs,
    BLOCK: _block,
}
