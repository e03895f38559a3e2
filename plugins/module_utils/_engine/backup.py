# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Back volumes up: read each one once, publish what was read if all of it was, then let old backups expire."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from . import codecs, expiry, grouping, mounts, names, patience, publication, quiesce, recovery, sharing, tools, volumes
from .client import Client
from .copies import Copy, bring, require_apart
from .encryption import Decryption, Encryption
from .errors import DrydockError, NoAnswerError, UsageError
from .grouping import Group
from .hooks import Hook
from .job import Job, Means, Result
from .progress import Watch
from .quiesce import Limits, Window
from .repositories import Repository
from .retention import Policy
from .selection import Selector, select
from .version import VERSION
from .workers import Workers

# Unless told otherwise we read no more volumes at a time: they are often on one disk.
_DISKS_BEAR = 4


@dataclass(frozen=True)
class Settings:
    """How to back up.

    ``quiesce`` (none, pause, stop) is for the containers whose labels and whose volumes' labels say nothing; ``before``
    and ``after`` are run once, around the reads. ``on_change`` and ``on_read_error`` (warn, fail) say what files are
    that changed while they were read, or couldn't be read. ``verify`` is none, archive or restore; the last one needs
    room in the directory ``scratch``, and both need ``decryption`` where the archive is encrypted for keys that this
    host doesn't have. With ``require_mounted`` the repository mustn't be on the root file system. ``helper_image`` is
    for mounts.reach. ``copies`` are made at the end, when the containers run again. ``watch`` is told how far each
    read has come, ``purpose`` is for the manifest. Times are in seconds.
    """

    compression: str = "zstd"
    compression_level: int | None = None
    encryption: Encryption | None = None
    decryption: Decryption | None = None
    retention: Policy = field(default_factory=Policy)
    copies: Sequence[Copy] = ()
    quiesce: str = "none"
    before: Sequence[Hook] = ()
    after: Sequence[Hook] = ()
    limits: Limits = field(default_factory=Limits)
    on_change: str = "warn"
    on_read_error: str = "fail"
    skip_unchanged: bool = False
    verify: str = "none"
    scratch: str = "/var/tmp"  # noqa: S108 only a directory of our own in it is written to
    parallel: int | None = None
    lock_timeout: float = 0
    stall_timeout: float = 600
    require_match: bool = False
    require_mounted: bool = False
    helper_image: str | None = None
    purpose: str | None = None
    watch: Watch | None = None

    def __post_init__(self) -> None:
        """Raise UsageError for settings that can't go together."""
        if self.verify == "restore" and self.encryption and self.decryption is None:
            raise UsageError(
                "verify: restore must decrypt the archive; give decryption, or use verify: archive, which then checks "
                "the checksum only"
            )
        if self.verify == "restore" and not os.path.isdir(self.scratch):
            raise UsageError(f"verify_directory {self.scratch} is not a directory; create it, or give another one")
        patience.require_seconds(lock_timeout=self.lock_timeout, stall_timeout=self.stall_timeout)
        if self.parallel is not None and self.parallel < 1:
            raise UsageError(f"parallel is {self.parallel}; it must be 1 or more")


def backup(
    client: Client, repository: Repository, wanted: Sequence[str] | Selector, *, host: str, settings: Settings
) -> Result:
    """Back up volumes, by their names or by a selector, under ``host``.

    One volume's failure doesn't stop the others; it is in the result, and nothing of that volume's expires. Raise
    DrydockError, with nothing changed, for what concerns all of them. With a read-only repository (check mode)
    everything happens but stopping, reading and writing: the result holds the manifests as far as they can be known.
    """
    volumes.require_local(client)
    result = Result()
    names.path_component("host", host)
    require_apart(repository, settings.copies)
    tar, tar_version = tools.gnu_tar()
    codec = codecs.codec(settings.compression)
    codec.compressor(settings.compression_level)
    if not repository.read_only:
        result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
    elif recovery.unfinished():
        result.warnings.append(
            "a run was interrupted; what it left would be finished, and what it stopped started again"
        )
    if settings.require_mounted:
        repository.require_mounted()
    if not repository.check():
        what = "would be" if repository.read_only else "is"
        result.warnings.append(f"repository {repository.root} doesn't exist yet and {what} created")
    result.warnings += repository.notes()
    known, containers = _known(client, wanted), client.all_containers()
    result.warnings += [f"not all volumes could be listed: {why}" for why in client.unlisted]
    found = _find(client, known, containers, wanted, settings, result)
    workers = Workers(min(settings.parallel or min(_processors(), _DISKS_BEAR), max(1, len(found))))
    threads = -(-_processors() // workers.number) if workers.number > 1 else 0
    compressor = codec.compressor(settings.compression_level, threads)
    means = Means(
        repository=repository,
        host=host,
        tar=tar,
        codec=codec,
        encryption=settings.encryption,
        decryption=settings.decryption,
        filters=compressor + ([settings.encryption.stage] if settings.encryption else []),
        engine={
            "docker": client.version,
            "drydock": VERSION,
            "tar": tar_version,
            "userns": client.user_namespaces(),
        },
        on_change=settings.on_change,
        on_read_error=settings.on_read_error,
        verify=settings.verify,
        scratch=settings.scratch,
        lock_timeout=settings.lock_timeout,
        stall_timeout=settings.stall_timeout,
        proceed=workers.proceed,
        purpose=settings.purpose,
        result=result,
        watch=settings.watch,
    )
    with mounts.reach(client, found, settings.helper_image) as places:
        reached = []
        for volume in found:
            with result.noting(volume.name):
                places.path(volume.name)
                reached.append(volume)
        containers = sharing.revealed(containers, reached)
        groups, errors = grouping.groups(reached, containers, settings.quiesce, settings.before, settings.after)
        for name, error in errors.items():
            result.failures.append({"volume": name, "error": str(error)})
        by_name = {volume.name: volume for volume in reached}
        made = [_Group(client, means, group, settings, by_name, places) for group in groups]
        workers.run(made)
    result.warnings += places.notes
    for window in made:
        window.await_health()
    _in_order(result, [volume.name for volume in found])
    predicted = [made["volume"]["name"] for made in result.backups if made["id"] is None]
    planned = {name: _planned(result.earlier[name]) for name in predicted}
    bring(
        repository,
        settings.copies,
        host,
        {volume.name: planned.get(volume.name) for volume in found},
        result,
        lock_timeout=settings.lock_timeout,
        proceed=workers.proceed,
    )
    for done in result.backups:
        with result.noting(done["volume"]["name"]):
            result.expired += _expire(repository, host, done, settings, result.earlier)
    return result


class _Group:
    """Volumes that are read in one window: what the workers open, do and close."""

    def __init__(
        self,
        client: Client,
        means: Means,
        group: Group,
        settings: Settings,
        by_name: dict[str, volumes.Volume],
        places: mounts.Places,
    ) -> None:
        self._means = means
        self._client = client
        self._group = group
        self._settings = settings
        self._window = Window(client, group, settings.limits, means.proceed)
        self._volumes = [by_name[name] for name in group.volumes]
        self._places = places
        self._jobs: list[Job] = []

    def open(self) -> Sequence[Any]:
        """Begin each backup, and have the containers hold still if there is anything to read."""
        jobs = [self._job(volume) for volume in self._volumes]
        # A command that comes before may be what makes the data: a dump.
        skip = self._settings.skip_unchanged and not self._group.before
        try:
            for job in jobs:
                if job.begin(skip=skip):
                    self._jobs.append(job)
            if self._jobs:
                self._hold()
        except BaseException as error:
            for job in self._jobs:
                job.finish({})
            if not isinstance(error, DrydockError):
                raise
            for job in self._jobs:
                self._fail(job.volume.name, error)
            self._note()
            return []
        return [job.read for job in self._jobs]

    def close(self) -> Sequence[Any]:
        """See who ran meanwhile, bring the containers back, and leave the rest of the work for later."""
        if not self._means.repository.read_only:  # in check mode they all run
            try:
                self._window.look(self._volumes)
            except DrydockError as error:
                self._window.failures.append(f"which containers ran meanwhile is not known: {error}")
        self._window.close()
        self._note()
        return [partial(job.finish, self._consistency(job.volume.name)) for job in self._jobs]

    def await_health(self) -> None:
        """Wait for the containers to be healthy again, as they were."""
        self._window.await_health()
        self._note()

    def _job(self, volume: volumes.Volume) -> Job:
        still = self._group.method[volume.name] == "stop"
        return Job(self._means, volume, self._places.path(volume.name), still=still)

    def _hold(self) -> None:
        for member in self._group.members:
            self._means.result.held[member.name] = member.method
        if self._means.repository.read_only:
            quiesce.require_returning(self._client, self._group)
        else:
            self._window.open()

    def _note(self) -> None:
        """Pass on what the window has to say, once."""
        for failure in self._window.failures:
            for name in self._group.volumes:
                self._fail(name, failure)
        self._means.result.warnings += self._window.notes
        self._window.failures.clear()
        self._window.notes.clear()

    def _fail(self, name: str, error: object) -> None:
        self._means.result.failures.append({"volume": name, "error": str(error)})

    def _consistency(self, name: str) -> dict[str, Any]:
        """What the manifest says about how the volume was read."""
        ran = self._window.intruders.get(name)
        held = self._group.names[name]
        return {
            "quiesce": "none" if ran else self._group.method[name],
            "containers": list(held),
            "downtime_seconds": round(self._window.downtime, 3) if held else 0,
            **({"ran_meanwhile": sorted(set(ran))} if ran else {}),
        }


def _known(client: Client, wanted: Sequence[str] | Selector) -> dict[str, dict[str, Any]]:
    """The volumes that the daemon shows, as far as they are needed to find those that are wanted."""
    if isinstance(wanted, Selector):
        return client.volumes()
    try:
        return client.volumes(wanted)
    except NoAnswerError:
        return {}  # one of them hangs: each is asked for alone


def _find(
    client: Client,
    known: dict[str, dict[str, Any]],
    containers: Sequence[dict[str, Any]],
    wanted: Sequence[str] | Selector,
    settings: Settings,
    result: Result,
) -> list[volumes.Volume]:
    """The volumes that are wanted. Those that don't exist are noted as failures."""
    why = "the list of volumes is empty"
    if isinstance(wanted, Selector):
        wanted, why = select(known, containers, wanted), "the selector matches no volume of this host"
    if not wanted:
        if settings.require_match:
            raise UsageError(f"{why}, and require_match is set")
        result.warnings.append(f"{why}: nothing was backed up")
    found = []
    for name in dict.fromkeys(wanted):
        with result.noting(name):
            names.path_component("volume", name)
            listed = known.get(name) or client.volume(name)
            found.append(volumes.find({name: listed} if listed else _near(client), name))
    return found


def _near(client: Client) -> dict[str, dict[str, Any]]:
    """The volumes that there are, if the daemon tells."""
    try:
        return client.volumes()
    except NoAnswerError:
        return {}


def _expire(
    repository: Repository, host: str, made: dict[str, Any], settings: Settings, earlier: Mapping[str, Sequence[str]]
) -> list[dict[str, Any]]:
    """Let go what the policy doesn't keep any more, now that there is a good new backup."""
    volume, new = made["volume"]["name"], made["id"]
    return expiry.expire(
        repository,
        host,
        volume,
        settings.retention,
        names.utc_now(),
        planned=[] if new else [_planned(earlier[volume])],
        added=f"volume {volume}: backup {new}" if new else None,
        lock_timeout=settings.lock_timeout,
    )


def _planned(earlier: Sequence[str]) -> str:
    """The identifier that a backup would have now."""
    return publication.free_id(earlier, names.stamp(names.utc_now()))


def _in_order(result: Result, order: Sequence[str]) -> None:
    """Bring what the workers noted into the order in which it was asked for."""
    place = {name: number for number, name in enumerate(order)}
    result.backups.sort(key=lambda made: place[made["volume"]["name"]])
    result.unchanged.sort(key=lambda left: place[left["volume"]])
    result.failures.sort(key=lambda failure: place.get(failure["volume"], -1))


def _processors() -> int:
    """How many processors this process may use."""
    return len(os.sched_getaffinity(0))
