# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""See whether volumes would work, before they are made: Docker mounts them, and a file is written and read in them.

Docker mounts what is asked for under a volume of our own, with another name and the same options, which a mount holder
has for a moment. Whoever makes such a volume holds a flock with its name, so that one that a dead run left is swept.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from . import child, holder, kinds, mounts, nfs, patience, volumes
from .client import Client
from .errors import DaemonError, DrydockError, VolumeError
from .termination import deferred
from .volumes import Volume

#: The label of every volume that is made for a probe.
LABEL = "drydock.volumes.probe"
#: What is done in a volume: write, read and remove a file; leave it; see one that another host left; remove that one.
TRY, LEAVE, SEE, REMOVE = "try", "leave", "see", "remove"
#: What is done in one that is read-only, and in check mode: list its files, and read the beginning of one.
LOOK = "look"

_SIZE = 64 << 10
# Of one that is read-only: how many files are tried, and how many bytes of one are read.
_FILES, _BEGINNING = 16, 4096
_FILE = re.compile(r"\.drydock-probe-[0-9a-f]{24}")
_DAY = 24 * 60 * 60


@dataclass(frozen=True)
class Wanted:
    """A volume to probe, and as whom. ``mark`` tells the file of this run from all others."""

    name: str
    driver: str
    options: Mapping[str, str]
    read_only: bool
    user: int
    group: int
    action: str
    mark: str


@dataclass
class Result:
    """Which volumes were probed, in words what is wrong with which others, and what else is worth knowing."""

    probed: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


def probe(client: Client, wanted: Sequence[Wanted], check: bool, helper_image: str | None) -> Result:
    """Probe these volumes; one that fails doesn't stop the others. In check mode nothing is written in them."""
    volumes.require_local(client)
    if os.geteuid() != 0:
        raise VolumeError("volumes are looked into, and used as other users, by root only; set become: true")
    result = Result()
    # what a dead run left mounted first: it refers to the volumes
    holder.sweep(client, result.warnings.append)
    _sweep(client, result)
    with contextlib.ExitStack() as stack:
        made: list[tuple[Wanted, Volume]] = []
        for one in wanted:
            with _noted(result, one):
                _require_sound(one)
                made.append((one, stack.enter_context(_temporary(client, one, result))))
        places = stack.enter_context(mounts.reach(client, [volume for _one, volume in made], helper_image))
        for one, volume in made:
            with _noted(result, one):
                _use(one, _place(one, volume, places), check, client.connection.timeout)
                result.probed.append(one.name)
    result.warnings += places.notes
    return result


def contents(mark: str) -> bytes:
    """What the file holds, which each host works out for itself."""
    return hashlib.shake_256(mark.encode()).digest(_SIZE)


def file_name(mark: str) -> str:
    """The name of the file, hidden, and nobody else's."""
    return f".drydock-probe-{hashlib.sha256(mark.encode()).hexdigest()[:24]}"


@contextlib.contextmanager
def _noted(result: Result, one: Wanted) -> Iterator[None]:
    try:
        yield
    except DrydockError as error:
        result.failures[one.name] = f"volume {one.name}: {error}; nothing was changed"


def _require_sound(one: Wanted) -> None:
    errors, _warnings = kinds.problems(one.driver, one.options)
    if errors:
        raise VolumeError("; ".join(errors))
    if kinds.kind(one.driver, one.options) == kinds.NFS:
        nfs.require_server(one.options)


@contextlib.contextmanager
def _temporary(client: Client, one: Wanted, result: Result) -> Iterator[Volume]:
    """A volume like the one that is wanted, for the time of the context."""
    name = f"drydock-probe-{secrets.token_hex(6)}"
    with holder.held(name), contextlib.ExitStack() as stack:
        with deferred():
            made = client.create_volume(name, one.driver, dict(one.options), {LABEL: "yes"})
            stack.callback(_remove, client, name, result)
        yield Volume.from_api(made)


def _sweep(client: Client, result: Result) -> None:
    """Remove the volumes of dead runs."""
    for name in client.labelled_volumes(LABEL):
        with holder.held(name) as free:
            if free:
                _remove(client, name, result)


def _remove(client: Client, name: str, result: Result) -> None:
    try:
        client.remove_volume(name)
    except DaemonError as error:
        result.warnings.append(f"the volume {name} of a probe isn't removed yet: {error}; a later run tries again")


def _place(one: Wanted, volume: Volume, places: mounts.Places) -> str:
    """Where it is mounted. Raise VolumeError with the reason in plain words if it isn't."""
    try:
        return places.path(volume.name)
    except DrydockError as error:
        said = str(error).replace(volume.name, one.name)
        said = said[len(f"volume {one.name}") :].lstrip(" :") if said.startswith(f"volume {one.name}") else said
        meaning = nfs.why_unmounted(one.options, said) if kinds.kind(one.driver, one.options) == kinds.NFS else ""
        raise VolumeError(f"{meaning} ({said})" if meaning else f"it {said}") from error


def _use(one: Wanted, path: str, check: bool, seconds: float) -> None:
    """Do in a mounted volume what is asked for, as who is asked for. No step of it waits longer than ``seconds``."""
    try:
        directory = patience.within(seconds, partial(os.open, path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise VolumeError(_explained(one, "open it", error.errno or errno.EIO, 0, None)) from error
    try:
        action = one.action if one.action == SEE or not (check or one.read_only) else LOOK
        child.run(lambda: _act(directory, one.mark, action), one.user, one.group, seconds)
    except child.ChildError as error:
        if error.number is None:
            raise VolumeError(str(error)) from error
        owner = _owner(directory, seconds)
        raise VolumeError(_explained(one, str(error), error.number, one.user, owner)) from error
    finally:
        os.close(directory)


def _owner(directory: int, seconds: float) -> tuple[int, int, int] | None:
    """The uid, gid and mode of a volume's root; None if its file system doesn't tell any more."""
    try:
        facts = patience.within(seconds, partial(os.stat, directory))
    except (OSError, VolumeError):
        return None
    return facts.st_uid, facts.st_gid, facts.st_mode & 0o7777


def _explained(one: Wanted, what: str, number: int, user: int, owner: tuple[int, int, int] | None) -> str:
    """Why ``what`` failed with this errno for this user, and what to do. Pure."""
    doing = f"to {what} as user {user} failed: {os.strerror(number)}"
    if kinds.kind(one.driver, one.options) != kinds.NFS:
        return doing
    server, export = nfs.place(one.options)
    return f"{doing}: {server}:{export} is mounted, but {nfs.why_unusable(number, user, owner)}"


def _act(directory: int, mark: str, action: str) -> None:
    """What is done, in a process of its own. Raise ChildError."""
    name = file_name(mark)
    if action == LOOK:
        _look(directory)
        return
    try:
        if action in (TRY, LEAVE):
            with child.doing("write a file in it"):
                _write(directory, name, contents(mark))
            _sweep_files(directory, name)
        if action in (TRY, LEAVE, SEE):
            _compare(directory, name, mark, action)
    except BaseException:
        # also what was written in part, as on a full disk
        if action in (TRY, LEAVE):
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=directory)
        raise
    if action in (TRY, REMOVE):
        with child.doing("remove a file in it"), contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=directory)


def _look(directory: int) -> None:
    """List the files, and read the beginning of the first that may be read, if there is one.

    Files that this user may not read, or that are gone meanwhile, say nothing about the mount.
    """
    with child.doing("list its files"):
        listed = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)
        with os.scandir(listed) as entries:
            names = [entry.name for entry in entries if entry.is_file(follow_symlinks=False)]
    for name in names[:_FILES]:
        with child.doing("read a file in it"), contextlib.suppress(PermissionError, FileNotFoundError):
            if _begins(listed, name):
                return


def _begins(directory: int, name: str) -> bool:
    """Read the beginning of a regular file. Return whether it still is one: nothing else is read, or waited for."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(name, flags, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO):
            return False
        raise
    with open(descriptor, "rb", buffering=0) as file:
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        if regular:
            file.read(_BEGINNING)
        return regular


def _write(directory: int, name: str, data: bytes) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(name, flags, 0o644, dir_fd=directory)
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(data)
        os.fchmod(descriptor, 0o644)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sweep_files(directory: int, own: str) -> None:
    """Remove what runs have left that were cut off, or whose server was gone, a day ago by the server's own clock."""
    with contextlib.suppress(OSError):
        now = os.stat(own, dir_fd=directory).st_mtime
        for name in os.listdir(os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=directory)):
            if not _FILE.fullmatch(name) or name == own:
                continue
            facts = os.stat(name, dir_fd=directory, follow_symlinks=False)
            if stat.S_ISREG(facts.st_mode) and facts.st_size <= _SIZE and now - facts.st_mtime > _DAY:
                os.unlink(name, dir_fd=directory)


def _compare(directory: int, name: str, mark: str, action: str) -> None:
    with child.doing("read a file in it"):
        try:
            with open(os.open(name, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=directory), "rb") as file:
                found = file.read()
        except FileNotFoundError:
            if action != SEE:
                raise
            raise child.ChildError(
                "it doesn't show the file that another host has just written there, so this host shows another "
                "directory; compare addr= and device on both, and what the server exports to each (exportfs -v)"
            ) from None
    if found != contents(mark):
        raise child.ChildError(
            "it doesn't show the bytes that were written there; see whether a cache or another server is in between"
        )
