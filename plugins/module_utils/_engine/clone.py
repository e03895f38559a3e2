# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clone a volume into another one of the same host: read through one pipe, put in place as by a restore."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from . import (
    archive,
    compare,
    grouping,
    kinship,
    mountinfo,
    mounts,
    names,
    patience,
    pipeline,
    quiesce,
    reading,
    recovery,
    roots,
    sharing,
    target,
    tools,
    volumes,
    writeback,
)
from .client import Client
from .errors import DrydockError, IntegrityError, PipelineError, UsageError, VolumeError, reason
from .grouping import Group
from .quiesce import Window
from .survey import Beside, Survey
from .target import Target
from .volumes import Volume

# How much earlier than the read began a change may be dated that the copy doesn't have, in nanoseconds. Some file
# systems keep times to two seconds only, or have them from a server. The local ones have them from this kernel's last
# tick, 10 ms ago at most, unless none of their times has a fraction of a second.
_COARSE, _FINE, _SECOND = 2_000_000_000, 20_000_000, 1_000_000_000
_LOCAL = ("btrfs", "ext4", "overlay", "tmpfs", "xfs")
# tar's own blocks have 10 KiB, which makes two of them in a pipe wait for each other: with 256 KiB they take a tenth
# less of the processors' time.
_BLOCKS = "--blocking-factor=512"
# A volume's labels by which Docker and Compose know it as their own, and may remove it: they aren't the clone's.
_OWN_LABELS = ("com.docker.volume.anonymous", "com.docker.compose.")


@dataclass(frozen=True)
class Settings(target.Settings):
    """How to clone: how to treat the target, and how to read the source.

    ``quiesce`` (none, pause, stop) is for both. Containers that write to the source hold still while it is read, as
    their labels and the volume's say, and as it says where they don't. Those that use the target can only stop.
    ``on_change`` (warn, fail) says what files are that changed while they were read, ``verify`` (none, compare) whether
    the copy is compared with the source before it is put in place. ``stall_timeout`` is in seconds.
    """

    on_change: str = "warn"
    verify: str = "compare"
    stall_timeout: float = 600

    def __post_init__(self) -> None:
        """Raise UsageError for settings that won't do."""
        super().__post_init__()
        patience.require_seconds(stall_timeout=self.stall_timeout)


@dataclass
class Result(target.Outcome):
    """What became of the target; the ``bytes`` and ``entries`` of the tree, and the whole time in ``seconds``.

    ``held`` and ``downtime`` are those of both volumes' containers: one that uses both is stopped twice.
    """

    bytes: int = 0
    entries: int = 0
    seconds: float = 0


def clone(client: Client, source: str, into: str, settings: Settings) -> Result:
    """Have the volume ``into`` hold what the volume ``source`` holds.

    Raise DrydockError, with both as they were, if anything is in the way or goes wrong.
    """
    began = time.monotonic()
    volumes.require_local(client)
    for name in (source, into):
        names.path_component("volume", name)
    if source == into:
        raise UsageError(f"source and target are both volume {source}; name another target; nothing was changed")
    result = Result()
    if not settings.check:
        result.warnings += recovery.recover(client, settings.limits, settings.helper_image)
    volume = _find(client, source)
    _require_target(client, volume, into, settings)
    with contextlib.ExitStack() as stack:
        places = stack.enter_context(mounts.reach(client, [volume], settings.helper_image))
        tree = _Source(client, volume, places.path(source), into, settings, result)
        # who has files open in the target would go on with the old ones after a pause
        stopping = replace(settings, quiesce="stop" if settings.quiesce == "stop" else "none")
        wanted = Target(client, into, stopping, result, stack)
        wanted.prepare({"driver": volume.driver, "options": volume.options, "labels": _labels(volume)})
        if settings.check:
            tree.measure()
        try:
            wanted.receive(tree, tree.is_in)
        except DrydockError as error:
            if tree.failures:
                raise type(error)(f"{error}; and {'; '.join(tree.failures)}") from error
            raise
        tree.report()
    result.warnings += places.notes
    result.seconds = round(time.monotonic() - began, 3)
    return result


def _find(client: Client, name: str) -> Volume:
    """The volume of that name. Raise VolumeError, with near names, if there is none."""
    listed = client.volume(name)
    return volumes.find({name: listed} if listed else client.volumes(), name)


def _group(client: Client, volume: Volume, method: str) -> Group:
    """The containers that are to hold still while the volume is read. Raise DrydockError if they couldn't come back."""
    groups, errors = grouping.groups([volume], sharing.revealed(client.all_containers(), [volume]), method)
    for error in errors.values():
        raise error
    quiesce.require_returning(client, groups[0])
    return groups[0]


def _require_target(client: Client, source: Volume, into: str, settings: Settings) -> None:
    """Raise VolumeError if the volume ``into``, as it is or will be made, is no place for a clone of ``source``."""
    listed = client.volume(into)
    if listed:
        wanted = Volume.from_api(listed)
    elif settings.driver is not None or settings.driver_options is not None:
        wanted = Volume(into, settings.driver or "local", settings.driver_options or {}, {}, "local", "")
    else:
        wanted = replace(source, name=into, mountpoint="")
    kinship.require_apart(source, wanted)
    if kinship.is_fleeting(wanted) and not (listed and grouping.users(wanted, client.all_containers()).members):
        raise VolumeError(
            f"volume {into} {'is' if listed else 'would be'} a {wanted.options['type']}, and no running container uses "
            "it: what it holds is gone as soon as it isn't mounted; start a container that uses it and clone with "
            "quiesce: stop, or make a plain volume with driver_options: {}; nothing was changed"
        )


def _labels(volume: Volume) -> dict[str, str]:
    """The labels of its clone."""
    return {key: value for key, value in volume.labels.items() if not key.startswith(_OWN_LABELS)}


class _Source:
    """What a volume holds, whose files are in the directory ``path``, for a target.Target with the name ``into``."""

    rooted = True

    def __init__(
        self, client: Client, volume: Volume, path: str, into: str, settings: Settings, result: Result
    ) -> None:
        self._client = client
        self._volume = volume
        self._path = path
        self._into = into
        self._group = _group(client, volume, settings.quiesce)
        self._settings = settings
        self._result = result
        self._window: Window | None = None
        self._tar, _version = tools.gnu_tar()
        self._patiently(lambda: roots.require_whole(self._path, volume.name))
        self._found: Survey | None = None
        self._copied = 0
        self._began = 0
        self.allocated = self.entries = 0  # until it is measured

    def may_be(self, found: Survey) -> bool:
        """Whether a tree of which this much is known may be the same."""
        if found.entries == 1 and os.listdir(self._path):
            return False
        mine = self._look()
        return (found.entries, found.bytes) == (mine.entries, mine.bytes)

    def is_in(self, directory: str) -> bool:
        """Whether a directory holds just the same, and did so for as long as this took."""
        found = compare.differences(self._path, directory, limit=1)
        return not found.differences and not found.changed

    def fill(self, directory: str) -> None:
        """Copy it into an empty directory, with its containers holding still. Raise DrydockError unless all of it is
        there."""
        self._require_outside(directory)
        if not self._has_plenty(directory):
            self.measure()
            roots.require_room(directory, self._into, self.allocated, self.entries)
        try:
            self._read(directory)
        except PipelineError:
            self._look()  # it may know better why
            raise
        if self._settings.verify == "compare":
            self._compare(directory)

    def measure(self) -> None:
        """Find out what it takes, which fill otherwise does where it matters. Raise VolumeError."""
        found = self._look()
        self.allocated, self.entries = found.allocated, found.entries

    @property
    def failures(self) -> list[str]:
        """What went wrong in bringing the source's containers back."""
        return self._window.failures if self._window is not None else []

    def report(self) -> None:
        """Wait for the source's containers to be healthy again, and add to the result what became of them."""
        result, window, found = self._result, self._window, self._look()
        result.bytes, result.entries = found.bytes, self._copied or found.entries
        if window is not None:
            window.await_health()
            result.downtime = round(result.downtime + window.downtime, 3)
            result.warnings += [f"volume {self._volume.name}: {note}" for note in window.notes]
            result.failures += window.failures
        if window is not None or (self._settings.check and result.changed):
            result.held = sorted({*result.held, *(member.name for member in self._group.members)})

    def _read(self, directory: str) -> None:
        """Copy it with its containers holding still, and count meanwhile what there is."""
        window = self._window = Window(self._client, self._group, self._settings.limits, _go_on)
        with contextlib.ExitStack() as stack:
            window.open()
            try:
                self._began = time.time_ns()
                beside = stack.enter_context(Beside(self._path))
                self._copy(directory)
                self._look_around(window)
            finally:
                window.close()
            self._found = self._counted(beside)

    def _look(self) -> Survey:
        """How much there is. Raise VolumeError if it can't be copied."""
        if self._found is None:
            with Beside(self._path) as beside:
                self._found = self._counted(beside)
        return self._found

    def _counted(self, beside: Beside) -> Survey:
        """Wait for a walk. Raise VolumeError if what it has found can't be copied."""
        name = self._volume.name
        try:
            found, _steady = beside.result(self._settings.stall_timeout, _go_on)
        except VolumeError as error:
            raise VolumeError(f"volume {name}: {error}; nothing was changed") from error
        if found.too_long:
            raise VolumeError(
                f"volume {name}: {found.too_long} path(s) in it are longer than the {archive.LONGEST_MEMBER} bytes "
                "that tar can copy; give their directories shorter names; nothing was changed"
            )
        return found

    def _has_plenty(self, directory: str) -> bool:
        """Whether a directory has room for all that the source's file system holds: then nothing need be counted first,
        which would take a tenth of the time."""
        here, there = os.statvfs(self._path), os.statvfs(directory)
        used = (here.f_blocks - here.f_bfree) * here.f_frsize
        inodes = here.f_files - here.f_ffree
        return bool(here.f_blocks) and used <= there.f_bavail * there.f_frsize and inodes <= there.f_favail

    def _require_outside(self, directory: str) -> None:
        """Raise VolumeError if a directory is in the source, by whatever way it was reached: it would be copied too."""
        above, root = os.path.dirname(directory), os.stat(self._path)
        found = os.path.lexists(os.path.join(self._path, os.path.basename(above)))
        while not found and above != os.path.dirname(above):
            above = os.path.dirname(above)
            found = os.path.samestat(os.stat(above), root)
        if found:
            raise VolumeError(
                f"volume {self._into} has its files where volume {self._volume.name} has them, or below; give "
                "driver_options with a device of its own; nothing was changed"
            )

    def _copy(self, directory: str) -> None:
        """Send the tree through the pipe. Raise DrydockError unless all of it arrived."""
        name, settings, then = self._volume.name, self._settings, self._then
        if settings.verify == "compare" and self._group.method[name] != "stop":
            self._patiently(lambda: writeback.sync_tree(self._path))
        read, written = archive.Members(), archive.Members()
        create = archive.create(self._tar, self._path)
        create = replace(create, argv=(create.argv[0], _BLOCKS, *create.argv[1:]))
        extract = archive.extract(self._tar, directory, _BLOCKS)
        try:
            outcomes = pipeline.run(
                [replace(create, listing=read), replace(extract, listing=written)], stall_timeout=settings.stall_timeout
            )
        except PipelineError as error:
            raise PipelineError(f"volume {name}: {error}; {then}") from error
        said = reading.judge(outcomes, volume=name, tree=self._path, on_change=settings.on_change, then=then)
        if outcomes[-1].said:
            raise PipelineError(f"volume {self._into}: {outcomes[-1]}; {then}")
        if read.count != written.count:
            raise IntegrityError(
                f"volume {self._into}: {read.count} entries were read and {written.count} were written; {then}"
            )
        self._copied = read.count
        warnings = self._result.warnings
        if said.changed:
            warnings.append(
                f"volume {name}: {reading.some(said.changed)} changed, shrank or vanished while read, so volume "
                f"{self._into} may hold them in a state that never was"
            )
        warnings += [f"volume {name}: {note}" for note in said.notes]

    def _patiently(self, act: Callable[[], None]) -> None:
        """Do something in the source that may hang. Raise VolumeError if it does, or the source can't be read."""
        name = self._volume.name
        try:
            patience.within(self._settings.stall_timeout, act)
        except patience.HangingError as error:
            raise VolumeError(f"volume {name}: {error}; nothing was changed") from error
        except OSError as error:
            why = f"{self._path} can't be read: {reason(error)}"
            raise VolumeError(f"volume {name}: {why}; nothing was changed") from error

    def _look_around(self, window: Window) -> None:
        """Note which containers ran although they should have held still."""
        name = self._volume.name
        try:
            window.look([self._volume])
        except DrydockError as error:
            window.failures.append(f"which containers ran meanwhile is not known: {error}")
        for ran in window.intruders.values():
            self._result.warnings.append(
                f"volume {name}: {', '.join(sorted(set(ran)))} ran while it was read, so the clone counts as one made "
                "without quiescing"
            )

    def _compare(self, directory: str) -> None:
        """Compare the copy with what hasn't changed in the source since before the read."""
        fine = self._look().latest % _SECOND and mountinfo.file_system(self._path) in _LOCAL
        since = self._began - (_FINE if fine else _COARSE)
        found = compare.differences(self._path, directory, changed_since=since)
        if found.differences:
            more = f" and {found.more} more" if found.more else ""
            raise IntegrityError(
                f"volume {self._into}: what was copied isn't what is in volume {self._volume.name} since before the "
                f"read: {'; '.join(found.differences)}{more}; {self._then}"
            )

    @property
    def _then(self) -> str:
        return f"what was copied is removed, volume {self._into} is as it was"


def _go_on() -> None:
    """A signal interrupts the work by itself: it is done in the main thread."""
