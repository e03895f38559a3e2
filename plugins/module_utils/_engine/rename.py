# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rename that never replaces anything."""

from __future__ import annotations

import ctypes
import errno
import os

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1  # linux/fs.h
_UNSUPPORTED = (errno.ENOSYS, errno.EINVAL)


def exclusively(old: str, new: str) -> None:
    """Rename ``old`` to ``new`` by renameat2(2). Raise FileExistsError if there is a ``new``.

    Where the kernel or the file system can't do that (NFS), a look before the rename takes its place.
    """
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.renameat2(_AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), _RENAME_NOREPLACE)
        number = ctypes.get_errno() if failed else 0
    except AttributeError:
        number = errno.ENOSYS
    if number in _UNSUPPORTED:
        if os.path.lexists(new):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
        os.rename(old, new)
    elif number:
        raise OSError(number, os.strerror(number), new)
