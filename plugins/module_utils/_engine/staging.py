# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extract beside, then rename: how a tree becomes the contents of an empty volume, or leaves no trace.

The staging directory lies in the volume's own root, so that the renames stay on its file system. No other user can
enter it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from . import rename, tools, writeback
from .errors import VolumeError, reason

_PREFIX = ".drydock-staging-"
_LOST_FOUND = "lost+found"
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
        """Make it in the volume's directory ``root``, which must be empty. Raise VolumeError if that can't be done.

        While it lives it has a flock on ``root``: no other restore takes it for what a dead one left behind.
        """
        self._root = root
        self._name = name
        with contextlib.ExitStack() as stack:
            try:
                self._descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
                stack.callback(os.close, self._descriptor)
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                require_empty(root, name)
                self._before = _Attributes.of(root)
                for entry in os.listdir(root):
                    if entry.startswith(_PREFIX):
                        remove(os.path.join(root, entry))
                self.path = tempfile.mkdtemp(prefix=_PREFIX, dir=root)
                with contextlib.suppress(OSError):
                    os.removexattr(self.path, _DEFAULT_ACL)  # the archive's own ACLs count, not an inherited one
            except BlockingIOError:
                raise VolumeError(
                    f"volume {name}: another restore writes to it right now; nothing was changed"
                ) from None
            except OSError as error:
                why = reason(error)
                raise VolumeError(f"volume {name}: {root} can't be written: {why}; nothing was changed") from error
            self._stack = stack.pop_all()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:
            if not os.path.lexists(self.path):
                return
            try:
                remove(self.path)
                self._before.give(self._root)
            except OSError as second:
                if error is not None and not isinstance(error, Exception):
                    raise error from None
                raise VolumeError(
                    f"{error or f'volume {self._name}'}; and its file system doesn't let us clean up: {reason(second)}"
                    f"; a later restore removes what is left in {self.path}"
                ) from error

    @contextlib.contextmanager
    def filling(self) -> Iterator[None]:
        """The time in which files are written into it: they go to disk meanwhile. Raise VolumeError if they can't."""
        try:
            with writeback.meanwhile(self._descriptor):
                yield
        except OSError as error:
            raise VolumeError(
                f"volume {self._name}: what was extracted can't be written to disk: {reason(error)}; it is removed, "
                "the volume is as it was"
            ) from error

    def commit(self) -> None:
        """Make the staged tree the volume's contents, with the root's own owner, mode, times and xattrs, safe on disk.

        Nothing that appeared in the root meanwhile is replaced. Raise VolumeError, with everything back in staging, if
        it can't be done; an interruption takes everything back too.
        """
        moved: list[str] = []
        try:
            writeback.sync(self._descriptor)
            require_empty(self._root, self._name)
            wanted = _Attributes.of(self.path)
            for entry in os.listdir(self.path):
                moved.append(entry)
                target = os.path.join(self._root, entry)
                if entry == _LOST_FOUND and os.path.lexists(target):
                    os.rmdir(target)
                rename.exclusively(os.path.join(self.path, entry), target)
            os.rmdir(self.path)
            wanted.give(self._root)
            writeback.sync(self._descriptor)
        except BaseException as error:
            self._take_back(moved)
            if not isinstance(error, OSError):
                raise
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {error}; it is removed, the "
                "volume is as it was"
            ) from error

    def _take_back(self, moved: Sequence[str]) -> None:
        """Move what commit moved, or was about to move, back into staging."""
        os.makedirs(self.path, mode=0o700, exist_ok=True)
        for entry in moved:
            staged = os.path.join(self.path, entry)
            if not os.path.lexists(staged):
                os.rename(os.path.join(self._root, entry), staged)


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
    return entry == _LOST_FOUND and os.path.isdir(path) and not os.listdir(path)


def remove(path: str) -> None:
    """Remove a tree however deep it is."""
    subprocess.run(
        [tools.need("rm", "coreutils"), "--recursive", "--force", "--one-file-system", "--", path],
        env=tools.environment(),
        stderr=subprocess.DEVNULL,
        check=False,
    )
