# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prepare a disk: do what was planned, in an order in which a crash between any two steps is finished by the next run.

That a file system is being made on a disk is written down until it is complete. The next run after a crash checks it
before it is mounted. It is never made anew: whoever cut the run off may have used it since.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
import uuid
from dataclasses import dataclass
from urllib.parse import quote

from . import disks, fstab_line, journal, preparation, publication, tools
from .errors import DiskError, DrydockError, reason
from .preparation import Plan, Wanted

_FOLDER = "disks"
# Seconds that udev may take for one device.
_UDEV = 30
_PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}
# What looks at a whole file system and changes nothing.
_CHECKERS = {"ext4": ["e2fsck", "-fn"], "xfs": ["xfs_repair", "-n"]}


@dataclass
class Result:
    """What was done, or in check mode would be (``steps``), and what the disk is."""

    steps: tuple[str, ...]
    uuid: str
    kind: str
    rotational: bool | None
    size: int
    fstab_before: str
    fstab_after: str
    warnings: list[str]


def prepare(wanted: Wanted, check: bool) -> Result:
    """Have a disk at its mount point, or only see that it is there.

    Raise DiskError or UsageError where that can't be or mustn't be.
    """
    preparation.validate(wanted)
    if os.geteuid() != 0:
        raise DiskError("disks are looked at and prepared by root only; set become: true; nothing was changed")
    real = os.path.realpath(wanted.mount_point)
    if real != wanted.mount_point:
        raise DiskError(f"mount_point {wanted.mount_point} leads through a symbolic link; give {real}")
    point = disks.point(wanted.mount_point)
    if wanted.device is None:
        turns = None if point.device is None else disks.rotational(point.device)
        preparation.check(wanted, point, turns)
        return Result((), "", point.kind, turns, 0, "", "", [])
    device = disks.look(wanted.device)
    before = fstab_line.read()
    planned = preparation.plan(wanted, device, point, before, str(uuid.uuid4()), _unfinished(wanted.device))
    line = fstab_line.find(before, wanted.mount_point)
    result = Result(
        planned.steps,
        planned.uuid,
        wanted.filesystem,
        device.rotational,
        device.size,
        line.line() if line else "",
        planned.entry.line(),
        list(planned.warnings),
    )
    if not check:
        _do(wanted, planned, before, result)
    return result


def _do(wanted: Wanted, planned: Plan, fstab: str, result: Result) -> None:
    done: list[str] = []
    for step in planned.steps:
        try:
            if step == preparation.FSTAB:
                fstab_line.write(fstab_line.replaced(fstab, planned.entry))
                _reload()
            else:
                _STEPS[step](wanted, planned, result)
        except (DrydockError, OSError) as error:
            why = reason(error) if isinstance(error, OSError) else error
            before = f"before that: {', '.join(done)}" if done else "nothing was changed before"
            raise DiskError(
                f"disk {wanted.device}: to {step} for {wanted.mount_point} failed: {why}; {before}; the next run goes "
                "on from there"
            ) from error
        done.append(step)
    mounted = disks.point(wanted.mount_point).device
    if mounted is None or mounted != os.stat(wanted.device or "").st_rdev:
        raise DiskError(
            f"disk {wanted.device} isn't mounted at {wanted.mount_point} after mounting it; look into the kernel's log "
            "(dmesg)"
        )


def _directory(wanted: Wanted, _planned: Plan, _result: Result) -> None:
    os.makedirs(wanted.mount_point, mode=0o755)


def _protect(wanted: Wanted, _planned: Plan, result: Result) -> None:
    """Make the directory below the mount immutable: nothing is ever written there while nothing is mounted."""
    command = [tools.need("chattr", "e2fsprogs"), "+i", "--", wanted.mount_point]
    done = disks.uncovered(wanted.mount_point, command)
    if done.returncode != 0:
        result.steps = tuple(step for step in result.steps if step != preparation.PROTECT)
        result.warnings.append(
            f"{wanted.mount_point} can't be made immutable ({done.stderr.strip()}); while the disk isn't mounted "
            "there, what is written there lands below it"
        )


def _format(wanted: Wanted, planned: Plan, _result: Result) -> None:
    kind, device = wanted.filesystem, wanted.device or ""
    known = ["-U", planned.uuid] if kind == "ext4" else ["-m", f"uuid={planned.uuid}"]
    program = tools.need(f"mkfs.{kind}", _PACKAGES[kind])
    _remember(device)
    _run([program, "-q", "-L", wanted.label, *known, device])
    descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _forget(device)
    _await_udev(device, planned.uuid)
    made = disks.look(device)
    if (made.kind, made.uuid) != (kind, planned.uuid):
        raise DiskError(f"mkfs.{kind} has made something else than asked for ({made.kind} {made.uuid})")


def _await_udev(device: str, made: str) -> None:
    """Wait until udev knows the file system, where udev runs. What keeps it from that doesn't stop us.

    Before that, systemd takes the device that fstab names for one that isn't plugged in, and unmounts it again.
    """
    program = tools.find("udevadm")
    if program is None or not os.path.exists("/run/udev/control"):
        return
    deadline = time.monotonic() + _UDEV
    with contextlib.suppress(DiskError):
        _run([program, "trigger", "--action=change", os.path.realpath(device)])
    while not os.path.exists(f"/dev/disk/by-uuid/{made}") and time.monotonic() < deadline:
        time.sleep(0.1)


def _check(wanted: Wanted, _planned: Plan, _result: Result) -> None:
    device = wanted.device or ""
    program, option = _CHECKERS[wanted.filesystem]
    try:
        _run([tools.need(program, _PACKAGES[wanted.filesystem]), option, device])
    except DiskError as error:
        raise DiskError(
            f"the run that made its file system was cut off, and it isn't complete ({error}); if you haven't used it, "
            f"erase it (wipefs --all {device})"
        ) from error
    _forget(device)


def _mount(wanted: Wanted, _planned: Plan, _result: Result) -> None:
    _run([tools.need("mount", "mount"), wanted.mount_point])


def _remount(wanted: Wanted, _planned: Plan, _result: Result) -> None:
    _run([tools.need("mount", "mount"), "-o", "remount", wanted.mount_point])


_STEPS = {
    preparation.DIRECTORY: _directory,
    preparation.PROTECT: _protect,
    preparation.FORMAT: _format,
    preparation.CHECK: _check,
    preparation.MOUNT: _mount,
    preparation.REMOUNT: _remount,
}


def _reload() -> None:
    """Have systemd read fstab, where it runs: it would mount, or unmount, by the old one."""
    if os.path.isdir("/run/systemd/system"):
        _run([tools.need("systemctl", "systemd"), "daemon-reload"])


def _run(command: list[str]) -> None:
    done = subprocess.run(
        command, env=tools.environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise DiskError(
            f"{os.path.basename(command[0])} exited {done.returncode}: {(done.stderr or done.stdout).strip()}"
        )


def _note(device: str) -> str:
    return os.path.join(journal.STATE, _FOLDER, quote(device, safe=""))


def _unfinished(device: str) -> bool:
    """Whether a run began to make a file system on this device, and didn't come to the end."""
    return os.path.exists(_note(device))


def _remember(device: str) -> None:
    path = _note(device)
    folder = os.path.dirname(path)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    for directory in (folder, journal.STATE, os.path.dirname(os.path.abspath(journal.STATE))):
        publication.sync(directory)


def _forget(device: str) -> None:
    path = _note(device)
    os.unlink(path)
    publication.sync(os.path.dirname(path))
