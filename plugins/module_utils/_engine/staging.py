# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Extract beside, then exchange: a volume holds its old tree or the new one, never a mix.

The staging directory lies in the volume's own root, so that the renames stay on its file system. No other user can
enter it. What is in it, and how the trees are exchanged, are the matters of roots and exchange.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator

from . import compare, journal, points, roots, termination, writeback
from .attributes import Attributes, pass_nothing_on
from .errors import StateError, VolumeError, reason
from .exchange import Swap
from .removal import remove, remove_leftovers


class Staging:
    """A directory to extract into. A context manager: what isn't committed by its end is removed.

    ``unfinished`` tells that an exchange has begun that came neither to its end nor back, so that the volume holds a
    part of each tree. Then all of it stays, and the journal has the next run finish it.
    """

    def __init__(self, root: str, name: str, *, replace: bool = False) -> None:
        """Make it in the directory ``root`` of the volume ``name``, which must be empty unless it is to ``replace``
        what is there. Raise VolumeError if that can't be done.

        While it lives it has a flock on ``root``: no other restore takes it for what a dead one left behind.
        """
        self._root = root
        self._name = name
        self._replace = replace
        self.unfinished = False
        self._left = False  # to the journal
        with contextlib.ExitStack() as stack:
            try:
                self._descriptor = roots.locked(root, name)
                stack.callback(os.close, self._descriptor)
                self._require_empty()
                roots.require_exchanged(root, name)
                self._before = Attributes.of(root)
                for entry in os.listdir(root):
                    if entry.startswith(roots.PREFIX):
                        remove(os.path.join(root, entry))
                self._folder = tempfile.mkdtemp(prefix=roots.PREFIX, dir=root)
                pass_nothing_on(self._folder)
                for part in (roots.NEW, roots.OLD):
                    os.mkdir(os.path.join(self._folder, part), 0o700)
            except OSError as error:
                why = reason(error)
                raise VolumeError(f"volume {name}: {root} can't be written: {why}; nothing was changed") from error
            self._stack = stack.pop_all()

    def __enter__(self) -> Staging:
        return self

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        with self._stack:
            if self._left or not os.path.lexists(self._folder):
                return
            try:
                remove(self._folder)
                self._before.give(self._root)
            except OSError as second:
                left = (
                    f"its file system doesn't let us clean up: {reason(second)}; a later restore removes what is left "
                    f"in {self._folder}"
                )
                if error is not None and not isinstance(error, Exception):
                    termination.but(error, left)
                    raise error from None
                raise VolumeError(f"{error or f'volume {self._name}'}; and {left}") from error

    @property
    def path(self) -> str:
        """The directory to extract into."""
        return os.path.join(self._folder, roots.NEW)

    @property
    def folder(self) -> str:
        """The name of the staging directory in the volume's root."""
        return os.path.basename(self._folder)

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

    def tidy(self) -> None:
        """Remove from the new tree what a dead restore had left in the volume that it was made of. Raise VolumeError if
        such a restore had left that one half done."""
        if os.path.lexists(os.path.join(self.path, roots.MARKER)):
            raise VolumeError(
                f"volume {self._name}: what is to be restored was made of a volume that held a part of a restore only: "
                f"it has a {roots.MARKER}; what was extracted is removed, the volume is as it was"
            )
        remove_leftovers(self.path)

    def keep_root(self) -> None:
        """Have the new tree's root be like the volume's: what was extracted doesn't say what it is like."""
        self._before.give(self.path)

    def same(self) -> bool:
        """Whether the new tree is just what the volume holds, so that there is no need to commit it."""
        own = Attributes.of(self.path)
        if (own.xattrs, own.own()) != (self._before.xattrs, self._before.own()):
            return False
        found = compare.differences(self._root, self.path, limit=1, staged=self.folder)
        return not found.differences

    def commit(self) -> None:
        """Make the new tree the volume's contents, with the root's own owner, mode, times and xattrs, safe on disk.

        Nothing that appeared in the root meanwhile is replaced unless that was asked for. Raise VolumeError or
        StateError, with the old tree in its place, if it can't be done; an interruption puts it back too.
        """
        self._require_empty()
        swap = Swap(self._root, self._folder)
        try:
            swap.prepare()
            writeback.sync(self._descriptor)
        except OSError as error:
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {reason(error)}; it is removed, the "
                "volume is as it was"
            ) from error
        undo = {"kind": "swap", "volume": self._name, "folder": self.folder, "root_times": swap.times()}
        entry = journal.write(undo)
        points.reached("swap-written")
        self.unfinished = self._left = True
        try:
            swap.forward()
            writeback.sync(self._descriptor)
        except BaseException as error:
            try:
                self._before.give(self._root)
                swap.back()
                self._before.give(self._root)
                self.unfinished = self._left = False
                entry.remove()
            except BaseException as second:
                if not self.unfinished:
                    raise
                entry.leave()
                if not isinstance(second, (OSError, StateError)):
                    raise
                raise VolumeError(
                    f"volume {self._name}: its old and its new contents can't be exchanged: {error}; and the old ones "
                    f"can't be put back: {second}; nothing is lost, all of both is in {self._folder} or in its place; "
                    "see to what is in the way, the next run finishes the restore"
                ) from error
            if not isinstance(error, OSError):
                raise
            raise VolumeError(
                f"volume {self._name}: the restored tree can't be put in place: {error}; it is removed, the "
                "volume is as it was"
            ) from error
        points.reached("swapped")
        self.unfinished = False
        try:
            swap.drop()
        except OSError as error:
            entry.leave()
            raise VolumeError(
                f"volume {self._name} holds the restored contents, but those it held before can't be removed: "
                f"{reason(error)}; see to that (lsattr shows what is immutable), the next run tries again"
            ) from error
        points.reached("old-dropped")
        entry.remove()

    def _require_empty(self) -> None:
        if not self._replace:
            roots.require_empty(self._root, self._name)
