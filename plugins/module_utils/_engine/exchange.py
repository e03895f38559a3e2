# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exchange a root's contents for those in its staging directory by renames: it holds its old tree or the new one.

A third directory in there is like the new root. Once all of the old tree is out, a mark says so, and from then on there
is only the way forward. From the first rename until the old tree is gone, the journal says that there is something to
finish.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Sequence

from . import points, publication, rename, roots, writeback
from .attributes import Attributes
from .errors import VolumeError
from .removal import remove

_ROOT = "root"


class LeftoverError(VolumeError):
    """The volume holds the new tree, and the old one can't be removed."""


def finish(root: str, name: str, folder: str, times: Sequence[int] = ()) -> bool:
    """Finish the exchange of a restore that died after it had begun with it. Return whether there was something to do.

    ``times`` are those that the root is to have in the end: atime and mtime, in nanoseconds. Raise VolumeError if it
    can't be done now, and LeftoverError if only what the volume held before is still there.
    """
    whole = False
    staged = os.path.join(root, folder)
    try:
        descriptor = roots.locked(root, name)
        try:
            swap = Swap(root, staged)
            begun = swap.unfinished()
            if begun:
                swap.forward()
                writeback.sync(descriptor)
                whole = True
                swap.drop()
            if times:  # the removal of the staging directory, the last thing to go, has changed them
                os.utime(root, ns=(times[0], times[1]))
        finally:
            os.close(descriptor)
    except OSError as error:
        kind = LeftoverError if whole else VolumeError
        raise kind(f"volume {name}: a restore that was interrupted can't be finished: {error}") from error
    return begun


class Swap:
    """The exchange of a root's contents for those in a staging directory, from whatever point it is at."""

    def __init__(self, root: str, folder: str) -> None:
        self._root = root
        self._new = os.path.join(folder, roots.NEW)
        self._old = os.path.join(folder, roots.OLD)
        self._like = os.path.join(folder, _ROOT)
        self._mark = os.path.join(folder, roots.ALL_OUT)
        self._folder = folder
        self._done = folder + roots.DONE
        self._moved: list[str] = []

    def prepare(self) -> None:
        """Keep what the new root is like: taking out of it changes its time. Raise OSError."""
        os.mkdir(self._like, 0o700)
        Attributes.of(self._new).give(self._like)

    def times(self) -> tuple[int, int]:
        """The new root's atime and mtime, in nanoseconds."""
        facts = os.stat(self._like)
        return facts.st_atime_ns, facts.st_mtime_ns

    def unfinished(self) -> bool:
        """Whether there is something to go forward with, or to drop."""
        return os.path.isdir(self._folder) or os.path.isdir(self._done)

    def forward(self) -> None:
        """Take the old tree out, and put the new one in. Raise OSError."""
        if not os.path.isdir(self._folder):
            return
        if not os.path.exists(self._mark):
            for entry in self._present():
                aside = os.path.join(self._old, entry)
                if os.path.lexists(aside):  # somebody has made it anew since a run before this one took it out
                    aside = os.path.join(self._old, secrets.token_hex(16))
                os.rename(os.path.join(self._root, entry), aside)
                points.reached("one-out")
            self._set_mark()
        points.reached("all-out")
        Attributes.of(self._like).give(self._root)  # nobody gets to a file whom only the old root would have let in
        for entry in os.listdir(self._new):
            target = os.path.join(self._root, entry)
            if entry == roots.LOST_FOUND and os.path.isdir(target) and not os.listdir(target):
                os.rmdir(target)
            self._moved.append(entry)
            rename.exclusively(os.path.join(self._new, entry), target)
            points.reached("one-in")
        Attributes.of(self._like).give(self._root)
        points.reached("all-in")

    def back(self) -> None:
        """Take out what forward has put in, and put back what was taken out. Raise OSError.

        Wherever that ends, forward can begin once more: all of the new tree is out before the mark goes, and the mark
        is gone before any of the old tree is in. What somebody else has put there meanwhile stays; where it is in the
        way, the old entry stays out, and the error says so when all others are back.
        """
        for entry in self._moved:
            staged = os.path.join(self._new, entry)
            if not os.path.lexists(staged):
                os.rename(os.path.join(self._root, entry), staged)
        points.reached("back-out")
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._mark)
        publication.sync(self._folder)
        points.reached("back-unmarked")
        in_the_way = None
        for entry in os.listdir(self._old):
            try:
                rename.exclusively(os.path.join(self._old, entry), os.path.join(self._root, entry))
            except FileExistsError as error:
                in_the_way = error
            points.reached("one-back")
        if in_the_way is not None:
            raise in_the_way

    def drop(self) -> None:
        """Remove the old tree, and then all else but what was put in. Raise OSError.

        From the rename on there is no way back or forward: what is being removed mustn't be taken for something whole.
        """
        if os.path.isdir(self._folder):
            os.rename(self._folder, self._done)
            points.reached("old-disowned")
        said = remove(*(os.path.join(self._done, part) for part in (roots.OLD, roots.NEW, roots.ALL_OUT)))
        like = os.path.join(self._done, _ROOT)
        after = Attributes.of(like if os.path.isdir(like) else self._root)
        points.reached("old-removed")
        remove(self._done)
        points.reached("staging-removed")
        after.give(self._root)
        if os.path.lexists(self._done):
            raise OSError(errno.ENOTEMPTY, said or os.strerror(errno.ENOTEMPTY), self._done)

    def _present(self) -> list[str]:
        """What is in the root, but for the staging directory and an empty lost+found."""
        return [
            entry
            for entry in os.listdir(self._root)
            if entry != os.path.basename(self._folder) and not roots.negligible(self._root, entry)
        ]

    def _set_mark(self) -> None:
        """Have the disk know that the old tree is out before any of the new one is in."""
        descriptor = os.open(self._mark, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            writeback.sync(descriptor)
        finally:
            os.close(descriptor)
