# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be undone if we die: on disk, and synced, before it is done.

Each undertaking has a file of its own, which its process has a flock on. The kernel frees that when the process dies,
so a file that nobody has locked is left from one that didn't come to its end. It is removed when all is undone.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import time
from collections.abc import Iterator
from typing import Any

from . import publication
from .errors import StateError, reason

#: Where the journal is on a host. A reboot must not empty it.
STATE = os.environ.get("DRYDOCK_STATE_DIRECTORY", "/var/lib/drydock")
FORMAT = 1

_ENTRY = ".json"
_PARTIAL = ".partial"
# Seconds between looks at an entry that is locked: it may be by one who only looks, too, for an instant.
_PAUSES = (0.01, 0.03, 0.06, 0)


class Entry:
    """One undertaking: ``undo`` says, as JSON, what must be undone."""

    def __init__(self, path: str, descriptor: int, undo: dict[str, Any]) -> None:
        self.path = path
        self.undo = undo
        self._descriptor = descriptor

    def replace(self, undo: dict[str, Any]) -> None:
        """Have it say something else, at one instant: after a crash it says the one or the other.

        Raise StateError if that can't be had; then it may say either.
        """
        try:
            descriptor = _put(self.path, undo)
            self.leave()
            self._descriptor, self.undo = descriptor, undo
            publication.sync(os.path.dirname(self.path))
        except OSError as error:
            raise StateError(f"the journal's entry {self.path} can't be written: {reason(error)}") from error

    def remove(self) -> None:
        """All is undone: forget it. Raise StateError if the disk doesn't let go of it."""
        try:
            os.unlink(self.path)
            publication.sync(os.path.dirname(self.path))
        except OSError as error:
            raise StateError(f"the journal's entry {self.path} can't be removed: {reason(error)}") from error
        finally:
            self.leave()

    def leave(self) -> None:
        """Leave it to a later run to undo this."""
        os.close(self._descriptor)


def write(undo: dict[str, Any]) -> Entry:
    """Have the journal remember ``undo`` over a crash. Raise StateError if it can't; then nothing must be begun."""
    folder = _folder()
    path = os.path.join(folder, secrets.token_hex(8) + _ENTRY)
    descriptor = -1
    try:
        make_state()
        publication.make_directory(folder)
        descriptor = _put(path, undo)
        publication.sync(folder)
    except OSError as error:
        if descriptor >= 0:
            os.close(descriptor)
            with contextlib.suppress(OSError):
                os.unlink(path)
        raise StateError(f"the journal in {folder} can't be written: {reason(error)}; nothing was begun") from error
    return Entry(path, descriptor, undo)


def make_state() -> None:
    """Make the directory that all state is in, over a crash too. Raise OSError if that can't be had."""
    if not os.path.isdir(STATE):
        os.makedirs(STATE, mode=0o700, exist_ok=True)
        publication.sync(os.path.dirname(os.path.abspath(STATE)))


def _put(path: str, undo: dict[str, Any]) -> int:
    """Write an entry under its name, and return its descriptor, which has the flock. Raise OSError, with none made."""
    folder, name = os.path.split(path)
    partial = os.path.join(folder, f".{name}{_PARTIAL}")  # one that a crash leaves is small, and nobody reads it
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with open(descriptor, "wb", closefd=False) as file:
            file.write(json.dumps({"format": FORMAT, **undo}).encode())
        os.fsync(descriptor)
        os.rename(partial, path)
    except BaseException:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(partial)
        raise
    return descriptor


def unfinished() -> bool:
    """Whether there is an entry whose process has died."""
    entries, problems = abandoned()
    for entry in entries:
        entry.leave()
    return bool(entries or problems)


def abandoned() -> tuple[list[Entry], list[str]]:
    """The entries of dead processes, each locked for us: remove it or leave it; and what is wrong with others.

    Raise StateError if the journal's directory can't be read.
    """
    entries, problems = [], []
    for path in _entries():
        try:
            entry = _take(path)
        except StateError as error:
            problems.append(str(error))
        else:
            entries += [entry] if entry else []
    return entries, problems


def _take(path: str) -> Entry | None:
    """The entry in ``path``, locked for us, if its process has died. Raise StateError if it can't be read."""
    with contextlib.ExitStack() as stack:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, descriptor)
            if not _dead(descriptor):
                return None
            entry = Entry(path, descriptor, _read(descriptor))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            why = reason(error) if isinstance(error, OSError) else error
            raise StateError(
                f"the journal's entry {path}, of a run that was interrupted, can't be read: {why}; see which "
                "containers that run left stopped, start them, and remove the file"
            ) from error
        stack.pop_all()
        return entry


def _dead(descriptor: int) -> bool:
    """Whether the process that wrote this entry has died, and nobody else has removed the entry meanwhile."""
    for pause in _PAUSES:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return os.fstat(descriptor).st_nlink > 0
        except BlockingIOError:
            time.sleep(pause)
    return False


def _entries() -> Iterator[str]:
    folder = _folder()
    try:
        found = sorted(os.listdir(folder))
    except FileNotFoundError:
        return
    except OSError as error:
        raise StateError(f"the journal in {folder} can't be read: {reason(error)}") from error
    for name in found:
        if name.endswith(_ENTRY):
            yield os.path.join(folder, name)


def _read(descriptor: int) -> dict[str, Any]:
    with open(descriptor, "rb", closefd=False) as file:
        undo: dict[str, Any] = json.load(file)
    if not isinstance(undo, dict) or undo.get("format") != FORMAT:
        raise ValueError(f"it isn't of format {FORMAT}")
    return undo


def _folder() -> str:
    return os.path.join(STATE, "journal")
