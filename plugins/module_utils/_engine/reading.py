# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judge how tar has read a tree: all of it, all but what was in use, or not well enough."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Sequence
from dataclasses import replace

from . import archive, pipeline
from .errors import PipelineError
from .survey import open_below


def judge(
    outcomes: Sequence[pipeline.Outcome],
    *,
    volume: str,
    tree: str,
    on_change: str,
    on_read_error: str | None = None,
    then: str,
) -> archive.Reading:
    """What tar, the first of the stages that ended like this, said while it read the directory ``tree`` of ``volume``.

    Raise PipelineError if that, or another stage, won't do: a file that couldn't be read, unless ``on_read_error`` is
    "warn" (None: the user can't choose), or with ``on_change`` "fail" one that changed meanwhile. ``then`` ends the
    error: what was left as it was.
    """
    tolerant = on_read_error == "warn"
    reading = _told_apart(tree, archive.reading(outcomes[0], tolerant=tolerant))
    bad = pipeline.failed(outcomes if reading is None else outcomes[1:])
    if reading is None or bad is not None:
        raise PipelineError(f"volume {volume}: {bad}; {then}")
    if reading.unreadable and not tolerant:
        way_out = "" if on_read_error is None else ", or go on without with on_read_error: warn"
        raise PipelineError(
            f"volume {volume}: {some(reading.unreadable)} can't be read to the end: Input/output error; see to the "
            f"disk{way_out}; {then}"
        )
    if reading.changed and on_change == "fail":
        raise PipelineError(
            f"volume {volume}: {some(reading.changed)} changed, shrank or vanished while read; quiesce what writes "
            f"there, or allow it with on_change: warn; {then}"
        )
    return reading


def some(files: Sequence[str]) -> str:
    """The number of files, and the names of the first ones."""
    return f"{len(files)} file(s) ({', '.join(files[:5])}{', …' if len(files) > 5 else ''})"


def _told_apart(tree: str, reading: archive.Reading | None) -> archive.Reading | None:
    """Move those among the files that shrank to the unreadable ones which a disk doesn't give: tar doesn't tell."""
    if reading is None or not reading.shrank:
        return reading
    lost = {name for name in reading.shrank if not _readable(tree, archive.unquoted(name))}
    changed = tuple(name for name in reading.changed if name not in lost)
    return replace(reading, changed=changed, unreadable=(*reading.unreadable, *lost))


def _readable(tree: str, path: bytes) -> bool:
    """Whether a file can be read to its end; one that has vanished can."""
    folder, _slash, name = path.rpartition(b"/")
    with contextlib.ExitStack() as stack:
        try:
            root = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, root)
            below = open_below(root, folder)
            stack.callback(os.close, below)
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=below)
            stack.callback(os.close, file)
            while os.read(file, pipeline.CHUNK):
                pass
        except OSError as error:
            return error.errno in (errno.ENOENT, errno.ELOOP)
    return True
