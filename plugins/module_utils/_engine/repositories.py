# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where backups are kept: what a repository must be able to do, and which kind a text names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from .errors import UsageError
from .rclone import split
from .remote import Remote
from .repository import Directory
from .stored import Stored


class Publishing(Protocol):
    """A backup on its way into a repository: publication.Publication, upload.Upload. What isn't published by the end of
    the context is removed."""

    id: str
    file: str
    size: int

    def __enter__(self) -> Publishing:
        """Begin."""

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        """End: remove what isn't published."""

    @property
    def blocking(self) -> str | None:
        """The file that write may wait for without an end; None if there is none."""

    @property
    def sha256(self) -> str:
        """The checksum of all that was written (hex)."""

    def write(self, data: memoryview) -> None:
        """Add to the archive."""

    def take(self, path: str, proceed: Callable[[], object]) -> None:
        """Have the archive be what is in a file."""

    def reading(self) -> AbstractContextManager[Stored]:
        """What was written, to be read back."""

    def arrived(self) -> str | None:
        """By what it was made sure that all is there; None where nothing but the writes told."""

    def publish(self, manifest: dict[str, Any], stored: bytes | None = None) -> str:
        """Make archive and manifest appear, and return where the archive is."""


class View(Protocol):
    """What a repository holds now."""

    def entries(self, *parts: str) -> Mapping[str, bool]:
        """The names of what is at a place below the root, and whether each is a folder."""

    def backup(self, host: str, volume: str, backup_id: str) -> dict[str, Any]:
        """The manifest of one complete backup."""


class Repository(Protocol):
    """A place for backups: repository.Directory, remote.Remote. Directory says what each of these does and raises."""

    root: str
    read_only: bool

    def folder(self, host: str, volume: str) -> str:
        """Where one volume's backups are, as messages name it."""

    def path(self, *parts: str) -> str:
        """A place below the root, as messages name it."""

    def check(self) -> bool:
        """Whether it exists yet."""

    def notes(self) -> list[str]:
        """What is worth a warning."""

    def require_there(self) -> None:
        """See that there is something to read from."""

    def require_mounted(self) -> None:
        """See that it isn't on the root file system."""

    def backups(self, host: str, volume: str) -> tuple[list[dict[str, Any]], list[str]]:
        """A volume's complete backups, the newest first, and what is wrong with others."""

    def backup(self, host: str, volume: str, backup_id: str) -> dict[str, Any]:
        """The manifest of one complete backup."""

    def view(self, host: str | None = None) -> AbstractContextManager[View]:
        """What it holds now."""

    def archive(self, manifest: dict[str, Any]) -> str:
        """Where a backup's archive is."""

    def stored(self, manifest: dict[str, Any]) -> AbstractContextManager[Stored]:
        """A backup's archive, to be read."""

    def begin(
        self,
        host: str,
        volume: str,
        extension: str,
        when: datetime,
        lock_timeout: float = 0,
        *,
        backup_id: str | None = None,
        proceed: Callable[[], object] | None = None,
    ) -> Publishing:
        """Take the volume's lock, and claim an identifier."""

    def lock(self, host: str, volume: str, timeout: float = 0) -> AbstractContextManager[None]:
        """Hold the lock of a volume's backups."""

    def remove(self, manifest: dict[str, Any]) -> None:
        """Remove a backup."""


def root_of(text: str) -> str:
    """The root of the repository that ``text`` names, without opening it: equal ones are the same place. Raise
    UsageError as open_repository does."""
    if os.path.isabs(text):
        return Directory(text, read_only=True).root
    if ":" in text:
        return ":".join(split(text))
    raise _malformed(text)


def open_repository(text: str, *, read_only: bool = False, rclone_config: str | None = None) -> Repository:
    """The repository that ``text`` names: an absolute path, or ``REMOTE:path`` for a remote of rclone's configuration,
    which is in the file ``rclone_config`` if it isn't where rclone looks by itself.

    Raise UsageError for anything else, and ToolError if rclone is needed and isn't there.
    """
    if os.path.isabs(text):
        return Directory(text, read_only=read_only)
    if ":" in text:
        return Remote(text, read_only=read_only, config=rclone_config)
    raise _malformed(text)


def _malformed(text: str) -> UsageError:
    return UsageError(
        f"repository {text!r} is not an absolute path, and not REMOTE:path with a remote of rclone's configuration"
    )
