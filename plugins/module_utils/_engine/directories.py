# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories of the host that volumes show: looked at, made, given to their owners.

A path is walked from the root directory on, each part of it opened in the directory before it and never through a
symbolic link. So nothing is written elsewhere than the path says, whatever somebody does to it meanwhile, and a file
system that isn't mounted is noticed by the same descriptors that would be written through.
"""

from __future__ import annotations

import contextlib
import fcntl
import grp
import os
import pwd
import stat
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from . import fstab, roots
from .desired import within
from .errors import VolumeError, reason

#: The mode of a directory that is made, as Docker's own have it.
MODE = 0o755

_WALK = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# include/uapi/linux/fs.h: FS_IOC_GETFLAGS and FS_IMMUTABLE_FL
_GET_FLAGS = 2 << 30 | struct.calcsize("l") << 16 | ord("f") << 8 | 1
_IMMUTABLE = 0x10
_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True)
class Root:
    """The root of a volume: its owner and group by number, its mode, and whether nothing is in it."""

    owner: int
    group: int
    mode: int
    empty: bool


@dataclass(frozen=True)
class Ownership:
    """What a root is to have; None leaves it."""

    owner: int | None = None
    group: int | None = None
    mode: int | None = None

    @classmethod
    def resolve(cls, owner: str | None, group: str | None, mode: int | None) -> Ownership:
        """Look names up on this host. Raise VolumeError for one that it doesn't know."""
        return cls(
            _number("owner", owner, lambda name: pwd.getpwnam(name).pw_uid),
            _number("group", group, lambda name: grp.getgrnam(name).gr_gid),
            mode,
        )

    def differences(self, root: Root) -> dict[str, dict[str, str]]:
        """In what a root is otherwise."""
        found = {}
        for key, wanted, there in (
            ("owner", self.owner, root.owner),
            ("group", self.group, root.group),
            ("mode", self.mode, root.mode),
        ):
            if wanted is not None and wanted != there:
                show = octal if key == "mode" else str
                found[key] = {"is": show(there), "wanted": show(wanted)}
        return found


def octal(mode: int) -> str:
    """A mode as people write it: 0750."""
    return f"{mode:04o}"


def mount_points(path: str, required: str | None, table: Sequence[str]) -> list[str]:
    """The directories on the way to ``path`` that must have something mounted on them: what was ``required``, and what
    is in the ``table`` of the host's mount points."""
    return sorted({point for point in table if within(path, point)} | ({required} if required else set()))


def look(path: str, points: Sequence[str]) -> Root | None:
    """What a directory is like, or None if it isn't there. Raise VolumeError if it isn't a directory, if a symbolic
    link is on the way, or if nothing is mounted on one of ``points``."""
    with contextlib.ExitStack() as stack:
        descriptor = _walk(path, points, stack, make=False)
        return None if descriptor is None else _root(descriptor, path)


def look_at_own(path: str) -> Root | None:
    """What a directory is like that Docker has made for itself, or None if it isn't there."""
    try:
        descriptor = os.open(path, _OPEN)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise VolumeError(f"{path} can't be read: {reason(error)}") from error
    try:
        return _root(descriptor, path)
    finally:
        os.close(descriptor)


def make(path: str, points: Sequence[str], wanted: Ownership) -> None:
    """Make a directory, with those above it. Raise VolumeError as look() does; what was made until then is empty."""
    with contextlib.ExitStack() as stack:
        descriptor = _walk(path, points, stack, make=True)
        if descriptor is None:
            raise VolumeError(f"{path} was removed by somebody else meanwhile")
        mode = MODE if wanted.mode is None else wanted.mode
        _give(descriptor, path, Ownership(wanted.owner, wanted.group, mode))


def give(path: str, points: Sequence[str], wanted: Ownership) -> None:
    """Give a directory its owner, group and mode. Raise VolumeError as look() does."""
    with contextlib.ExitStack() as stack:
        descriptor = _walk(path, points, stack, make=False)
        if descriptor is None:
            raise VolumeError(f"{path} was removed by somebody else meanwhile")
        _give(descriptor, path, wanted)


def give_own(path: str, wanted: Ownership) -> None:
    """The same for a directory that Docker has made for itself."""
    try:
        descriptor = os.open(path, _OPEN)
    except OSError as error:
        raise VolumeError(f"{path} can't be opened: {reason(error)}") from error
    try:
        _give(descriptor, path, wanted)
    finally:
        os.close(descriptor)


def _walk(path: str, points: Sequence[str], stack: contextlib.ExitStack, *, make: bool) -> int | None:
    """Open a directory, from the root directory on, for as long as the stack is. None if it isn't there."""
    here = _kept(stack, os.open("/", _WALK))
    at = ""
    parts = path.strip("/").split("/")
    for number, part in enumerate(parts):
        at = f"{at}/{part}"
        last = number == len(parts) - 1
        flags = _OPEN if last else _WALK
        with _explained(at, "opened"):
            try:
                there = os.open(part, flags, dir_fd=here)
            except FileNotFoundError:
                _require_no_mount(at, points)
                _require_makeable(here, at)
                if not make:
                    return None
                there = _made(here, part, at, flags)
            except NotADirectoryError:
                raise _no_directory(here, part, at) from None
        _kept(stack, there)
        if at in points and _mount(there) == _mount(here):
            raise VolumeError(f"{at} is a mount point, and nothing is mounted on it; {fstab.HINT}")
        here = there
    return here


def _made(folder: int, part: str, at: str, flags: int) -> int:
    """Make a directory of root's, and open it."""
    with _explained(at, "made"):
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, 0o700, dir_fd=folder)
        descriptor = os.open(part, _OPEN, dir_fd=folder)
        try:
            os.fchmod(descriptor, MODE)
            if flags == _OPEN:
                return os.dup(descriptor)
            return os.open(part, flags, dir_fd=folder)
        finally:
            os.close(descriptor)


def _require_no_mount(missing: str, points: Sequence[str]) -> None:
    for point in points:
        if within(point, missing):
            raise VolumeError(f"{point} is a mount point, and it isn't there; {fstab.HINT}")


def _require_makeable(folder: int, at: str) -> None:
    """Raise VolumeError where nothing can be made, as in a mount point that is immutable while nothing is mounted."""
    if os.fstatvfs(folder).f_flag & os.ST_RDONLY:
        raise VolumeError(f"{at} can't be made: the file system is read-only")
    descriptor = os.open(".", _OPEN, dir_fd=folder)
    try:
        flags = bytearray(struct.calcsize("l"))
        with contextlib.suppress(OSError):  # a file system without such flags
            fcntl.ioctl(descriptor, _GET_FLAGS, flags)
        if struct.unpack("l", flags)[0] & _IMMUTABLE:
            raise VolumeError(
                f"{at} can't be made: {os.path.dirname(at)} is immutable, as a mount point is on purpose while nothing "
                f"is mounted on it; {fstab.HINT}"
            )
    finally:
        os.close(descriptor)


def _no_directory(folder: int, part: str, at: str) -> VolumeError:
    if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
        where = os.readlink(part, dir_fd=folder)
        return VolumeError(f"{at} is a symbolic link to {where}; give the path that has none in it")
    return VolumeError(f"{at} isn't a directory")


def _mount(descriptor: int) -> str:
    """Which mount a descriptor is on: proc(5), mnt_id."""
    with open(f"/proc/self/fdinfo/{descriptor}", encoding="ascii") as file:
        return next(line for line in file if line.startswith("mnt_id:"))


def _root(descriptor: int, path: str) -> Root:
    with _explained(path, "read"):
        facts = os.fstat(descriptor)
        empty = not roots.contents(f"/proc/self/fd/{descriptor}")
    return Root(facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode), empty)


def _give(descriptor: int, path: str, wanted: Ownership) -> None:
    """The owner first: chown(2) takes the bits for setuid and setgid away."""
    with _explained(path, "given its owner and mode"):
        if wanted.owner is not None or wanted.group is not None:
            nobody = -1
            owner = nobody if wanted.owner is None else wanted.owner
            os.fchown(descriptor, owner, nobody if wanted.group is None else wanted.group)
        if wanted.mode is not None:
            os.fchmod(descriptor, wanted.mode)


@contextlib.contextmanager
def _explained(path: str, done: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise VolumeError(f"{path} can't be {done}: {reason(error)}") from error


def _kept(stack: contextlib.ExitStack, descriptor: int) -> int:
    stack.callback(os.close, descriptor)
    return descriptor


def _number(what: str, name: str | None, find: Callable[[str], int]) -> int | None:
    if name is None:
        return None
    if name.isdecimal() and name.isascii():
        number = int(name)
        if number >= 2**32 - 1:
            raise VolumeError(f"{what} {name} is too large a number")
        return number
    try:
        return find(name)
    except KeyError:
        raise VolumeError(
            f"{what} {name!r} isn't known to this host; give the number that it has in the container"
        ) from None
