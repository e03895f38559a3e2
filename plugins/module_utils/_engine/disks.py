# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a block device is, what is on it and who uses it. Nothing here writes."""

from __future__ import annotations

import errno
import glob
import json
import os
import re
import stat
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from . import tools
from .errors import DiskError, reason

# blkid(8): nothing was found
_NOTHING = 2
# Bytes at the beginning and at the end of a disk, in which signatures are.
_ENDS = 1 << 20
_ESCAPE = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True)
class Device:
    """A block device. ``path`` is as it was named; ``number`` is the device's, as in st_rdev; ``size`` is in bytes.

    ``signatures`` are the types of all that says what the device holds: file systems, partition tables, RAID, LVM,
    LUKS. ``kind``, ``uuid`` and ``label`` are those of a file system. ``uses`` say in words who uses it now.
    ``rotational`` is None where the kernel doesn't tell. ``names`` are those that fstab may have for it, beside the
    file system's.
    """

    path: str
    number: int
    size: int
    signatures: tuple[str, ...] = ()
    kind: str = ""
    uuid: str = ""
    label: str = ""
    uses: tuple[str, ...] = ()
    rotational: bool | None = None
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Point:
    """What is at a mount point. ``state`` is "absent", "directory" or "something else".

    ``entries`` are the names in a directory that nothing is mounted on. ``device`` is the number of the file system
    that is mounted there, None if none is; ``on_root`` says that it is the root file system's; ``immutable`` tells
    that of the directory underneath, None where it can't be made so.
    """

    path: str
    state: str = "absent"
    entries: tuple[str, ...] = ()
    device: int | None = None
    kind: str = ""
    on_root: bool = False
    immutable: bool | None = False


def look(path: str) -> Device:
    """All about the device at ``path``. Raise DiskError if there is none, or if it can't be read."""
    real = os.path.realpath(path)
    try:
        facts = os.stat(real)
    except OSError as error:
        raise DiskError(
            f"disk {path} isn't there: {reason(error)}; see that it is plugged in and named as in /dev/disk/by-id "
            "(lsblk -o NAME,SIZE,SERIAL); nothing was changed"
        ) from error
    if not stat.S_ISBLK(facts.st_mode):
        raise DiskError(f"disk {path} is not a block device; name one of lsblk's; nothing was changed")
    number = facts.st_rdev
    signatures, found = _probe(path, real)
    return Device(
        path,
        number,
        _read_through(path, real),
        signatures,
        found.get("TYPE", ""),
        found.get("UUID", ""),
        found.get("LABEL", ""),
        tuple(_uses(real, number)),
        rotational(number),
        tuple(_aliases(real)),
    )


def rotational(number: int) -> bool | None:
    """Whether a device turns, or any of those that it is made of. None if the kernel doesn't say."""
    folder = _sysfs(number)
    if os.path.exists(f"{folder}/partition"):
        folder = os.path.dirname(folder)
    below = _names(f"{folder}/slaves")
    if below:
        answers = [rotational(_number(f"{folder}/slaves/{name}/dev")) for name in below]
        return True if True in answers else None if None in answers else False
    try:
        return _read(f"{folder}/queue/rotational") == "1"
    except OSError:
        return None


def point(path: str) -> Point:
    """All about a mount point. Nothing is looked at that could hang."""
    mounted = _mounted(path)
    if mounted is not None:
        number, kind = mounted
        root = _mounted("/")
        on_root = root is not None and number == root[0]  # btrfs has other numbers for stat(2)
        return Point(path, "directory", (), number, kind, on_root, _covered_immutable(path))
    try:
        facts = os.lstat(path)
    except FileNotFoundError:
        return Point(path)
    if not stat.S_ISDIR(facts.st_mode):
        return Point(path, "something else")
    return Point(path, "directory", tuple(sorted(os.listdir(path))), immutable=_immutable(path))


def _probe(path: str, real: str) -> tuple[tuple[str, ...], dict[str, str]]:
    """The types of all signatures that two programs find, and what blkid says of a file system, by its own names.

    Raise DiskError where one of them can't tell.
    """
    types = [one["type"] for one in json.loads(_asked(path, real, "wipefs", "--json") or "{}").get("signatures") or []]
    said = _asked(path, real, "blkid", "-p", "-o", "export")
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    types += [found[key] for key in ("TYPE", "PTTYPE") if key in found]
    return tuple(dict.fromkeys(types)), found


def _asked(path: str, real: str, program: str, *options: str) -> str:
    command = [tools.need(program, "util-linux"), *options, real]
    done = subprocess.run(command, env=tools.environment(), capture_output=True, text=True, check=False)
    if done.returncode not in ((0, _NOTHING) if program == "blkid" else (0,)):
        raise DiskError(
            f"disk {path}: {program} can't tell what is on it (it exited {done.returncode}: {done.stderr.strip()}); "
            f"look at it yourself (wipefs {real}); nothing was changed"
        )
    return done.stdout


def _read_through(path: str, real: str) -> int:
    """The size. Its beginning and its end must be readable: wipefs and blkid take what they can't read for blank."""
    try:
        descriptor = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.lseek(descriptor, 0, os.SEEK_END)
            for start in (0, max(0, size - _ENDS)):
                _read_all(descriptor, start, min(_ENDS, size))
            return size
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DiskError(f"disk {path} can't be read: {reason(error)}; see to it; nothing was changed") from error


def _read_all(descriptor: int, start: int, length: int) -> None:
    """Read so many bytes. Raise OSError if one can't be read: a read that meets a bad block ends before it."""
    end = start + length
    while start < end:
        data = os.pread(descriptor, end - start, start)
        if not data:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        start += len(data)


def _aliases(real: str) -> list[str]:
    """The paths of a device, and the tags of fstab(5) for some of them."""
    links = sorted(glob.glob("/dev/disk/by-*/*") + glob.glob("/dev/mapper/*"))
    paths = [real, *(link for link in links if os.path.realpath(link) == real)]
    part = "/dev/disk/by-partuuid/"
    return paths + [f"PARTUUID={path[len(part) :]}" for path in paths if path.startswith(part)]


def _uses(real: str, number: int) -> list[str]:
    """Who uses a device now, in words."""
    folder = _sysfs(number)
    uses = [f"is mounted at {at}" for at in _mounts_of(number)]
    uses += [f"is a part of {name}" for name in _names(f"{folder}/holders")]
    uses += [
        f"has the partition {name}"
        for name in _names(folder)
        if os.path.exists(os.path.join(folder, name, "partition"))
    ]
    with open("/proc/swaps", encoding="utf-8", errors="replace") as file:
        uses += ["is swapped to" for line in file if os.path.realpath(line.split()[0]) == real]
    if not uses:
        try:
            os.close(os.open(real, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as error:
            uses.append(f"can't be had for oneself ({reason(error)})")
    return uses


def _mounts_of(number: int) -> list[str]:
    wanted = f"{os.major(number)}:{os.minor(number)}"
    return [at for device, at, _kind in _mountinfo() if device == wanted]


def _mounted(path: str) -> tuple[int, str] | None:
    """The number and the type of what is mounted at ``path``, or None."""
    found = [(device, kind) for device, at, kind in _mountinfo() if at == path]
    if not found:
        return None
    device, kind = found[-1]
    major, minor = device.split(":")
    return os.makedev(int(major), int(minor)), kind


def _mountinfo() -> list[tuple[str, str, str]]:
    """The device's number, the mount point and the type of all that is mounted: proc(5)."""
    mounts = []
    with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            fields, _separator, rest = line.partition(" - ")
            _id, _parent, device, _root, at = fields.split(" ")[:5]
            mounts.append((device, _ESCAPE.sub(lambda match: chr(int(match[1], 8)), at), rest.split(" ")[0]))
    return mounts


def _immutable(path: str) -> bool | None:
    """Whether a directory has the attribute; None where its file system has no such thing. False if nobody can tell."""
    return _listed(path, _attributes)


def _covered_immutable(path: str) -> bool | None:
    """The same for the directory that a mount covers, seen from a mount namespace in which it doesn't."""
    return _listed(path, partial(uncovered, path))


def _listed(path: str, run: Callable[[list[str]], subprocess.CompletedProcess[str]]) -> bool | None:
    program = tools.find("lsattr")
    if program is None:
        return False
    done = run([program, "-d", "--", path])
    return None if done.returncode != 0 else "i" in done.stdout.split(" ")[0]


def uncovered(path: str, command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing is mounted at ``path``; for all others it stays mounted."""
    script = 'while mountpoint -q -- "$1"; do umount --lazy -- "$1" || exit; done; shift; exec "$@"'
    namespace = [tools.need("unshare", "util-linux"), "--mount", "--propagation", "private", "--"]
    return _attributes([*namespace, "/bin/sh", "-c", script, "sh", path, *command])


def _attributes(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=tools.environment(), capture_output=True, text=True, check=False)


def _sysfs(number: int) -> str:
    return os.path.realpath(f"/sys/dev/block/{os.major(number)}:{os.minor(number)}")


def _names(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _number(path: str) -> int:
    major, minor = _read(path).split(":")
    return os.makedev(int(major), int(minor))


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read().strip()
