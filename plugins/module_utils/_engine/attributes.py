# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a directory has of its own, to be given to another one."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass

_DEFAULT_ACL = "system.posix_acl_default"


@dataclass(frozen=True)
class Attributes:
    """What a directory has of its own: mode, owner, times and xattrs, ACLs among them."""

    facts: os.stat_result
    xattrs: Mapping[str, bytes]

    @classmethod
    def of(cls, path: str) -> Attributes:
        """Those of ``path``. Raise OSError."""
        return cls(os.stat(path), {name: os.getxattr(path, name) for name in os.listxattr(path)})

    def own(self) -> tuple[int, int, int, int]:
        """What makes it this directory's, but for its contents and xattrs."""
        return self.facts.st_mode, self.facts.st_uid, self.facts.st_gid, self.facts.st_mtime_ns

    def give(self, path: str) -> None:
        """Make ``path`` have these, and no others. The ACL comes after the mode, which would change its mask."""
        os.chown(path, self.facts.st_uid, self.facts.st_gid)
        os.chmod(path, stat.S_IMODE(self.facts.st_mode))
        for name in os.listxattr(path):
            if name not in self.xattrs:
                os.removexattr(path, name)
        for name, value in self.xattrs.items():
            os.setxattr(path, name, value)
        os.utime(path, ns=(self.facts.st_atime_ns, self.facts.st_mtime_ns))


def pass_nothing_on(folder: str) -> None:
    """Have a directory, ours alone, give nothing to what is made in it: no ACL, and not its group's bit, which tar
    leaves to a directory that its owner can't write to. The archive's own count. Raise OSError."""
    with contextlib.suppress(OSError):
        os.removexattr(folder, _DEFAULT_ACL)
    os.chmod(folder, 0o700)
