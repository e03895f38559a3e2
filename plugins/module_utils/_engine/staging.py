# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extract beside, then rename: how a tree becomes the contents of an empty volume, or leaves no trace.

The staging directory lies in the volume's own root, so that the renames stay on its file system. No other user can
enter it.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass

from . import tools
from .errors import VolumeError, reason

_PREFIX = ".drydock-staging-"
_DEFAULT_ACL = "system.posix_acl_default"


def require_empty(root: str, name: str) -> None:
    """Raise VolumeError unless the directory is empty, but for what a new file system or a dead restore left in it."""
    found = sorted(entry for entry in os.listdir(root) if not _negligible(root, entry))
    if found:
        some = ", ".join(map(repr, found[:3])) + (", …" if len(found) > 3 else "")
        raise VolumeError(
            f"volume {name} is not empty: {root} holds {len(found)} entries ({some}); restore into a new volume, or "
            "empty this one first; nothing was changed"
        )


class Staging:
    """A directory to extract into. A context manager: what isn't committed by its end is removed."""

    def __init__(self, root: str, name: str) -> None:
        """Make it in the volume's directory ``root``, which must be empty. Raise VolumeError if that can't be done."""
        require_empty(root, name)
        self._root = root
        self._name = name
        try:
            for entry in os.listdir(root):
                if entry.startswith(_PREFIX):
                    _remove(os.path.join(root, entry))
            self.path = tempfile.mkdtemp(prefix=_PREFIX, dir=root)
            with contextlib.suppress(OSError):
                os.removexattr(self.path, _DEFAULT_ACL)  # the archive's own ACLs count, not an inherited one
        except OSError as error:
            why = reason(error)
            raise VolumeError(f"volume {name}: {root} can't be written: {why}; nothing was changed") from error

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, *_exception: object) -> None:
        if os.path.lexists(self.path):
            _remove(self.path)

    def commit(self) -> None:
        """Make the staged tree the volume's contents, with the root's own owner, mode, times and xattrs, safe on disk.

        Raise VolumeError, with everything back in staging, if it can't be done.
        """
        before, wanted = _Attributes.of(self._root), _Attributes.of(self.path)
        moved: list[str] = []
        try:
            _sync_file_system(self.path)
            for entry in os.listdir(self.path):
                os.rename(os.path.join(self.path, entry), os.path.join(self._root, entry))
                moved.append(entry)
            os.rmdir(self.path)
            wanted.give(self._root)
            _sync_file_system(self._root)
        except (OSError, subprocess.CalledProcessError) as error:
            os.makedirs(self.path, mode=0o700, exist_ok=True)
            for entry in moved:
                os.rename(os.path.join(self._root, entry), os.path.join(self.path, entry))
            before.give(self._root)
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {error}; it is removed, the "
                "volume is empty"
            ) from error


@dataclass(frozen=True)
class _Attributes:
    """What a directory has of its own: mode, owner, times and xattrs, ACLs among them."""

    facts: os.stat_result
    xattrs: Mapping[str, bytes]

    @classmethod
    def of(cls, path: str) -> _Attributes:
        return cls(os.stat(path), {name: os.getxattr(path, name) for name in os.listxattr(path)})

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


def _negligible(root: str, entry: str) -> bool:
    path = os.path.join(root, entry)
    if entry.startswith(_PREFIX):
        return True
    return entry == "lost+found" and os.path.isdir(path) and not os.listdir(path)


def _remove(path: str) -> None:
    """Remove a tree however deep it is."""
    subprocess.run(
        [tools.need("rm", "coreutils"), "--recursive", "--force", "--one-file-system", "--", path],
        env=tools.environment(),
        stderr=subprocess.DEVNULL,
        check=False,
    )


def _sync_file_system(path: str) -> None:
    subprocess.run([tools.need("sync", "coreutils"), "--file-system", path], env=tools.environment(), check=True)
