# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small real disks: files with a file system, mounted through a loop device."""

from __future__ import annotations

import collections.abc as c
import contextlib
import pathlib
import subprocess


@contextlib.contextmanager
def mounted(work: pathlib.Path, megabytes: int, *, kind: str = "ext4") -> c.Iterator[pathlib.Path]:
    """A disk of that size with a new file system, mounted; its image is ``disk.img`` in ``work``."""
    image = work / "disk.img"
    with open(image, "wb") as file:
        file.truncate(megabytes << 20)
    subprocess.run([f"mkfs.{kind}", "-q", image], check=True)
    with attached(image, work / "disk") as point:
        yield point


@contextlib.contextmanager
def attached(device: pathlib.Path | str, point: pathlib.Path) -> c.Iterator[pathlib.Path]:
    """The file system on a device or in an image, mounted."""
    point.mkdir(exist_ok=True)
    subprocess.run(["mount", device, point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", "--lazy", point], check=True)
