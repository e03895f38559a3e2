# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Get written files to the disk while more are being written, instead of waiting for all of them at the end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

# Seconds between two rounds. Measured on 800 MB of files: a sync at the end took 0.5 s after 3.5 s of writing; with
# rounds it takes 0.03 s, and the writing no longer than before.
_PERIOD = 0.1


def sync(descriptor: int) -> None:
    """Wait until all that was written to the file system of ``descriptor`` is on disk: syncfs(2). Raise OSError."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(descriptor):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sync_tree(path: str) -> None:
    """Have memory and disk hold the same where ``path`` is, as far as that can be done.

    What a process writes through memory into a page that waits for the disk already changes no file's time: who tells
    by times what has changed since must have that page written out first.
    """
    with contextlib.suppress(OSError):  # who reads the tree then is told of its errors
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            sync(descriptor)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def meanwhile(descriptor: int) -> Iterator[None]:
    """Sync the file system of ``descriptor`` again and again for the time of the context.

    Raise OSError at the end if one of them failed: the kernel reports what couldn't be written once for each open file,
    so a later sync of the same descriptor would know nothing of it.
    """
    ended = threading.Event()
    errors: list[OSError] = []

    def rounds() -> None:
        while not ended.wait(_PERIOD):
            try:
                sync(descriptor)
            except OSError as error:
                errors.append(error)
                return

    thread = threading.Thread(target=rounds, name="writeback")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
    if errors:
        raise errors[0]
