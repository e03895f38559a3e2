# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small real disks: files with a file system, mounted through a loop device; filled, and broken while in use."""

from __future__ import annotations

import collections.abc as c
import contextlib
import errno
import fcntl
import itertools
import os
import pathlib
import struct
import subprocess
import time

# A disk on which every block that is free can be used, and which is small on purpose.
EXT4 = ("-m", "0", "-b", "4096")

# include/uapi/linux/ext4.h: EXT4_IOC_SHUTDOWN and EXT4_GOING_FLAGS_NOLOGFLUSH
_SHUTDOWN = 0x8004587D
_NO_LOG_FLUSH = struct.pack("I", 2)
_FILLER = "filler"
# Seconds.
_BUSY = 30
# include/uapi/linux/fs.h
_FIBMAP = 1


def make(image: pathlib.Path, megabytes: int, *, kind: str = "ext4", options: c.Sequence[str] = ()) -> pathlib.Path:
    """A file of that size with a new file system in it, made with these options of mkfs."""
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run([f"mkfs.{kind}", "-q", *options, image], check=True)
    return image


@contextlib.contextmanager
def mounted(
    work: pathlib.Path, megabytes: int, *, kind: str = "ext4", options: c.Sequence[str] = ()
) -> c.Iterator[pathlib.Path]:
    """A disk of that size with a new file system, mounted; its image is ``disk.img`` in ``work``."""
    image = make(work / "disk.img", megabytes, kind=kind, options=options)
    with attached(image, work / "disk") as point:
        yield point


@contextlib.contextmanager
def attached(device: pathlib.Path | str, point: pathlib.Path) -> c.Iterator[pathlib.Path]:
    """The file system on a device or in an image, mounted."""
    point.mkdir(exist_ok=True)
    _mount(device, point)
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)


def _mount(device: pathlib.Path | str, point: pathlib.Path) -> None:
    """Mount it, when nobody else has it any more: a container that starts elsewhere keeps other mounts for a moment."""
    deadline = time.monotonic() + _BUSY
    while True:
        done = subprocess.run(["mount", device, point], check=False, capture_output=True, text=True)
        if done.returncode == 0:
            return
        assert "busy" in done.stderr, done.stderr
        assert time.monotonic() < deadline, done.stderr
        time.sleep(0.2)


@contextlib.contextmanager
def device(image: pathlib.Path) -> c.Iterator[str]:
    """The block device that an image is."""
    done = subprocess.run(["losetup", "--find", "--show", image], check=True, capture_output=True, text=True)
    path = done.stdout.strip()
    try:
        yield path
    finally:
        subprocess.run(["losetup", "--detach", path], check=True)


def fill(disk: pathlib.Path, *, left: int = 0) -> None:
    """Take every block of an ext4 made with EXT4 but ``left``, by a file that unfill() removes."""
    descriptor = os.open(disk / _FILLER, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        while True:
            # what is only promised to a file isn't counted yet
            subprocess.run(["sync", "--file-system", disk], check=True)
            facts = os.fstatvfs(descriptor)
            blocks = facts.f_bavail - left
            size = os.fstat(descriptor).st_size
            if blocks == 0:
                return
            if blocks < 0:
                os.ftruncate(descriptor, size + blocks * facts.f_frsize)
                continue
            with _no_space_is_fine():
                os.posix_fallocate(descriptor, size, blocks * facts.f_frsize)
    finally:
        os.close(descriptor)


def fill_inodes(disk: pathlib.Path, *, left: int = 0) -> None:
    """Take every inode of a disk but ``left``, by empty files that unfill() removes."""
    fillers = disk / f"{_FILLER}s"
    os.makedirs(fillers, exist_ok=True)
    for number in itertools.count():  # what statvfs(2) says of a disk in use isn't exact
        try:
            (fillers / str(number)).touch()
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise
            break
    for filler in itertools.islice(fillers.iterdir(), left):
        filler.unlink()


def unfill(disk: pathlib.Path) -> None:
    """Remove what fill() and fill_inodes() made."""
    subprocess.run(["rm", "-rf", disk / _FILLER, disk / f"{_FILLER}s"], check=True)


def make_read_only(disk: pathlib.Path) -> None:
    """Have an ext4 turn read-only under its users, as after an error of the device: mount(8), "abort"."""
    subprocess.run(["mount", "-o", "remount,abort", disk], check=True)


def unplug(disk: pathlib.Path) -> None:
    """Have an ext4 fail at everything from now on, as if its device were gone."""
    descriptor = os.open(disk, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.ioctl(descriptor, _SHUTDOWN, _NO_LOG_FLUSH)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def frozen(disk: pathlib.Path) -> c.Iterator[None]:
    """Have everybody who writes to a file system wait, as for a server that is gone: ioctl_fsfreeze(2)."""
    subprocess.run(["fsfreeze", "--freeze", disk], check=True)
    try:
        yield
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)


def blocks(file: pathlib.Path) -> list[int]:
    """Which blocks of its disk hold a file's data; it has been synced, and has no holes."""
    with open(file, "rb") as opened:
        facts = os.fstat(opened.fileno())
        count = -(-facts.st_size // facts.st_blksize)
        answers = [fcntl.ioctl(opened, _FIBMAP, struct.pack("i", number)) for number in range(count)]
    return [struct.unpack("i", answer)[0] for answer in answers]


def forget(file: pathlib.Path) -> None:
    """Have the kernel read a file from its disk the next time; it has been synced."""
    with open(file, "rb") as opened:
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def repair(image: pathlib.Path) -> None:
    """Check an ext4 that isn't mounted, and repair it."""
    done = subprocess.run(["e2fsck", "-fy", image], check=False, capture_output=True)
    assert done.returncode in (0, 1), done


@contextlib.contextmanager
def _no_space_is_fine() -> c.Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
