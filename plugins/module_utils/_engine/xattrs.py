# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extended attributes of entries that aren't opened: a symlink, a fifo or a device can't be, or mustn't."""

from __future__ import annotations

import errno
import os

from . import archive


def xattrs_of(directory: int, name: bytes) -> dict[str, bytes]:
    """Those of an entry that archives hold. ``directory`` is a descriptor. Raise OSError."""
    path = b"/proc/self/fd/%d/%s" % (directory, name)
    try:
        keys = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        if error.errno != errno.EOPNOTSUPP:
            raise
        return {}
    return {key: os.getxattr(path, key, follow_symlinks=False) for key in keys if archive.holds(key)}
