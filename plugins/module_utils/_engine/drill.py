# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prove that backups restore: into a scratch volume, compared with the archive, with an image started on it.

The volume that was backed up is not touched: nothing here knows more of it than its name.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import hooks, names, records, recovery, scratch, volumes
from .client import Client
from .encryption import Decryption
from .errors import ContainerError, DrydockError, UsageError, VolumeError, redact
from .hooks import Hook
from .progress import Watch
from .quiesce import Limits
from .repositories import Repository
from .restore import LATEST, choose, restore
from .restore import Settings as Restoring
from .selection import Selector, select

# Seconds between two tries of a check, and how much of what a container printed is told.
_POLL = 0.5
_LINES, _SHOWN = 5, 400
# In characters; what a record's file has around its name is shorter than the rest of the 255.
_LONGEST_NAME = 200


@dataclass(frozen=True)
class Check:
    """What is started on the scratch volume, and when it is content.

    A container of ``image``, which must be on the host, has the volume at ``mount``. ``argv`` (as ``user``) is run
    there again and again until it exits 0; without one the container itself must end, and exit 0. Either has
    ``timeout`` seconds. ``command`` is the container's own in place of the image's, ``environment`` its variables,
    ``network`` its network.
    """

    image: str
    mount: str = "/data"
    command: Sequence[str] | None = None
    environment: Mapping[str, str] = field(default_factory=dict)
    network: str = "none"
    argv: tuple[str, ...] = ()
    user: str | None = None
    timeout: float = 120

    def __post_init__(self) -> None:
        """Raise UsageError for what can't be meant."""
        if not self.mount.startswith("/") or self.mount == "/" or ":" in self.mount:
            raise UsageError(f"mount is {self.mount!r}; it must be an absolute path in the container, without a colon")
        if self.timeout <= 0:
            raise UsageError(f"check_timeout is {self.timeout:g}; it must be more than 0")


@dataclass(frozen=True)
class Settings:
    """How to drill. ``check_mode`` only tells what would be restored; ``watch`` is told how far a restore has come."""

    decryption: Decryption | None = None
    check: Check | None = None
    stall_timeout: float = 600
    require_match: bool = False
    check_mode: bool = False
    watch: Watch | None = None


@dataclass
class Result:
    """A record each for the ``drills`` that were good, see _record; and ``failures``, ``volume`` and ``error`` each."""

    drills: list[dict[str, Any]] = field(default_factory=list)
    failures: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def drill(
    client: Client, repository: Repository, wanted: Sequence[str] | Selector, *, host: str, settings: Settings
) -> Result:
    """Restore the newest backups of volumes of ``host``, by their names or by a selector, one after the other.

    One failure doesn't stop the others. Raise DrydockError, with nothing done, for what concerns all of them.
    """
    volumes.require_local(client)
    names.path_component("host", host)
    repository.require_there()
    result = Result()
    if settings.check is not None and client.image(settings.check.image) is None:
        raise UsageError(
            f"the image {settings.check.image} is not on this host, and a drill pulls nothing: pull or load it first"
        )
    if not settings.check_mode:
        result.warnings += recovery.recover(client, Limits())
    for name in dict.fromkeys(_names(client, wanted, settings, result)):
        _one(client, repository, host, name, settings, result)
    return result


def _names(client: Client, wanted: Sequence[str] | Selector, settings: Settings, result: Result) -> Sequence[str]:
    """The volumes that are wanted."""
    if not isinstance(wanted, Selector):
        return wanted
    selected = select(client.volumes(), client.all_containers(), wanted)
    if not selected:
        if settings.require_match:
            raise UsageError("the selector matches no volume of this host, and require_match is set")
        result.warnings.append("the selector matches no volume of this host: nothing was restored")
    return selected


def _one(client: Client, repository: Repository, host: str, volume: str, settings: Settings, result: Result) -> None:
    """Drill one volume, and keep what came of it."""
    began = names.utc_now()
    record: dict[str, Any] = {"volume": volume, "host": host, "repository": repository.root}
    start = time.monotonic()
    error: DrydockError | None = None
    try:
        names.path_component("volume", volume)
        manifest, warnings = choose(repository, host, volume, LATEST)
        result.warnings += warnings
        record.update(_planned(manifest))
        if not settings.check_mode:
            record.update(_proven(client, repository, host, volume, settings, result, manifest["id"]))
    except DrydockError as caught:
        error = caught
        result.failures.append({"volume": volume, "error": _told(volume, caught)})
    record.update(
        success=error is None,
        error=None if error is None else str(error),
        started_at=names.iso(began),
        finished_at=names.iso(names.utc_now()),
        seconds=round(time.monotonic() - start, 3),
    )
    if error is None:
        result.drills.append(record)
    if settings.check_mode or isinstance(error, UsageError):
        return
    try:
        records.write(records.DRILLS, _record_name(host, volume), record)
    except DrydockError as caught:
        result.warnings.append(f"volume {volume}: {caught}")


def _record_name(host: str, volume: str) -> str:
    """Under which name the record of a volume's last drill is kept: one of its own for each pair, and short enough for
    a file, whatever the two are."""
    name = f"{host}@{volume}"  # neither may have an @
    return name if len(name) <= _LONGEST_NAME else hashlib.sha256(name.encode()).hexdigest()


def _planned(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of a drill before it."""
    return {
        "backup": manifest["id"],
        "bytes": manifest["content"]["bytes"],
        "entries": manifest["content"]["entries"],
        "compared": False,
        "restore_seconds": None,
        "check_seconds": None,
    }


def _proven(
    client: Client,
    repository: Repository,
    host: str,
    volume: str,
    settings: Settings,
    result: Result,
    backup: str,
) -> dict[str, Any]:
    """Restore a backup and check it. Return what the record says of that. Raise DrydockError."""
    with scratch.scratch(client) as name:
        how = Restoring(
            decryption=settings.decryption,
            stall_timeout=settings.stall_timeout,
            driver="local",
            driver_options={},
            labels=scratch.labels(volume),
            watch=settings.watch,
        )
        restored = restore(client, repository, name, host=host, source=volume, backup=backup, settings=how)
        result.warnings += [f"drill of volume {volume}: {warning}" for warning in restored.warnings]
        checked = None
        if settings.check is not None:
            checked = _checked(client, name, volume, settings.check)
        return {
            "compared": restored.verified is not None,
            "restore_seconds": restored.seconds,
            "check_seconds": checked,
        }


def _checked(client: Client, name: str, volume: str, check: Check) -> float:
    """Start the image on the scratch volume, and wait for it to be content. Return the seconds. Raise DrydockError."""
    began = time.monotonic()
    client.run_container(
        name,
        check.image,
        check.command,
        binds=[f"{name}:{check.mount}:nocopy"],
        network=check.network,
        environment=check.environment,
        user=None,
        labels=scratch.labels(volume),
    )
    deadline = began + check.timeout
    while True:
        running, status = _state(client, name)
        said = ""
        if not running:
            if not check.argv and status == 0:
                break
            raise VolumeError(f"its container of {check.image} exited {status}{_printed(client, name)}")
        if check.argv:
            try:
                left = max(_POLL, deadline - time.monotonic())
                hooks.run(client, Hook(name, check.argv, check.user), left, _go_on)
                break
            except ContainerError as error:
                said = f"; the last time, {error}"
        if time.monotonic() >= deadline:
            what = "its check didn't pass" if check.argv else f"its container of {check.image} didn't end"
            raise VolumeError(f"{what} within {check.timeout:g} seconds{said or _printed(client, name)}")
        time.sleep(_POLL)
    return round(time.monotonic() - began, 3)


def _state(client: Client, name: str) -> tuple[bool, int]:
    """Whether the container runs, and its exit status."""
    state = (client.container(name) or {}).get("State") or {}
    return bool(state.get("Running")), int(state.get("ExitCode", -1))


def _printed(client: Client, name: str) -> str:
    """The last that a container has printed, for a message."""
    lines = [line.strip() for line in client.logs(name, _LINES).splitlines() if line.strip()]
    return f": {redact('; '.join(lines)[-_SHOWN:], sentence=True)}" if lines else ""


def _told(volume: str, error: DrydockError) -> str:
    """An error as that of the volume: a restore names the scratch volume."""
    return f"volume {volume}: the drill failed: {error}; the volume itself was not touched"


def _go_on() -> None:
    """A signal interrupts the work by itself: it is done in the main thread."""
