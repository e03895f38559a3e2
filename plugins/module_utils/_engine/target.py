# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A volume that is to hold a certain tree: made or refused, filled beside what it holds, exchanged for that."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import (
    compare,
    creation,
    grouping,
    holder,
    mounts,
    nesting,
    quiesce,
    roots,
    sharing,
    staging,
    survey,
    unstaged,
    verification,
    volumes,
)
from .attributes import Attributes
from .client import Client
from .errors import DrydockError, UsageError, VolumeError
from .quiesce import Limits
from .removal import remove_leftovers
from .safety import Safety
from .termination import deferred

# Where check mode makes a copy of what a volume is to hold.
_ASIDE = "/var/tmp"  # noqa: S108 nobody else can enter what is made there


class Tree(Protocol):
    """What a volume is to hold. ``allocated`` is what it takes on disk, in bytes, and ``entries`` the number of its
    files and directories; 0 where that isn't known. ``rooted`` tells whether it says what the volume's root is like,
    which otherwise stays as it is."""

    allocated: int
    entries: int
    rooted: bool

    def fill(self, directory: str) -> None:
        """Make the tree in an empty directory. Raise DrydockError unless all of it is there."""

    def may_be(self, found: survey.Survey) -> bool:
        """Whether a tree of which this much is known may be the same."""


@dataclass(frozen=True)
class Settings:
    """How to treat the volume.

    One that isn't empty is refused, or its contents are replaced (``when_not_empty`` fail or replace); the same for one
    that running containers use (``quiesce`` none or stop). One that doesn't exist is made like the one that is asked
    for, but for ``driver``, ``driver_options`` and ``labels`` where these aren't None. ``helper_image`` is for
    mounts.reach. With ``check`` everything is looked at, and nothing is changed.

    Without ``staging`` what is replaced is removed first, see unstaged; before that a ``safety`` backup is made of it.
    """

    when_not_empty: str = "fail"
    quiesce: str = "none"
    limits: Limits = field(default_factory=Limits)
    driver: str | None = None
    driver_options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    helper_image: str | None = None
    staging: bool = True
    safety: Safety | None = None
    check: bool = False

    def __post_init__(self) -> None:
        """Raise UsageError for settings that can't go together."""
        if self.staging and self.safety is not None:
            raise UsageError(
                "safety_backup is for staging: false, which removes what the volume holds; with staging that stays "
                "until the restored files have taken its place, so leave safety_backup out"
            )


@dataclass
class Outcome:
    """What became of the volume, or in check mode would.

    ``changed`` is False where it held exactly that tree already; ``created`` tells whether it was made for it; ``held``
    names the containers that were stopped for ``downtime`` seconds, and ``failures`` says which of them aren't back as
    they were. ``safety`` is the ``id`` and the ``path`` of the safety backup.
    """

    changed: bool = True
    created: bool = False
    entries_before: int = 0
    held: list[str] = field(default_factory=list)
    downtime: float = 0
    safety: dict[str, Any] | None = None
    warnings: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)


class Target:
    """The volume ``name``, in the context ``stack``: what is made or mounted for it and isn't needed goes with that."""

    def __init__(
        self, client: Client, name: str, settings: Settings, outcome: Outcome, stack: contextlib.ExitStack
    ) -> None:
        self._client = client
        self._name = name
        self._settings = settings
        self._outcome = outcome
        self._stack = stack
        self._place = ""
        self._marked = False
        self._window: unstaged.Window | None = None
        self._volume: volumes.Volume | None = None
        self._planned: dict[str, Any] = {}

    def prepare(self, like: Mapping[str, Any]) -> None:
        """Look whether it can be had: the volume as it is, or one ``like`` that (``driver``, ``options``, ``labels``).

        Raise DrydockError, with nothing changed, for what is in the way.
        """
        listed = self._client.volume(self._name)
        if listed:
            self._existing(volumes.Volume.from_api(listed))
            return
        self._planned = creation.planned(
            self._name, like, self._settings.driver, self._settings.driver_options, self._settings.labels
        )
        creation.require_possible(self._client, self._planned)
        self._outcome.created = True

    @property
    def irrevocable(self) -> bool:
        """Whether the volume's contents are removed before the tree is made. An empty one has none to remove."""
        return not self._settings.staging and self._outcome.entries_before > 0

    def require_apart(self, what: str, path: str) -> None:
        """Raise VolumeError if ``path``, where ``what`` is, is in the volume: it would go with what is replaced."""
        if self._outcome.entries_before and nesting.holds(self._place, path):
            raise VolumeError(
                f"volume {self._name}: {what}, {path}, is in the volume itself, and would be removed with what is "
                "replaced; move it, or give another one; nothing was changed"
            )

    def receive(self, tree: Tree, holds: Callable[[str], bool] | None = None) -> None:
        """Have the volume hold the tree, if it doesn't already. Raise DrydockError, with the volume as it was unless it
        is ``irrevocable``.

        ``holds`` tells of a directory whether it holds just the tree. Without it only a copy of the tree tells.
        """
        if self.irrevocable and self._window is not None:
            self._remake(tree, self._window)
            return
        if (
            holds is not None
            and self._place
            and tree.may_be(survey.survey(self._place, hasty=True))
            and holds(self._place)
        ):
            self._outcome.changed = False
            self._outcome.held = []
            return
        if not (self._place or self._settings.check):
            self._create()
        if self._place:
            replacing = self._outcome.entries_before > 0
            roots.require_room(self._place, self._name, tree.allocated, tree.entries, removable=replacing)
        if not self._settings.check:
            self._exchange(tree, different=holds is not None)
        elif self._place and holds is None and self._holds_already(tree):
            self._outcome.changed = False
            self._outcome.held = []

    def _existing(self, volume: volumes.Volume) -> None:
        settings, outcome = self._settings, self._outcome
        self._volume = volume
        creation.require_same(volume, settings.driver, settings.driver_options)
        group = grouping.users(volume, sharing.revealed(self._client.all_containers(), [volume]))
        outcome.held = sorted(member.name for member in group.members)
        if group.members and settings.quiesce != "stop":
            raise VolumeError(
                f"volume {volume.name} is used by running containers ({', '.join(outcome.held)}); stop them first, or "
                "have them stopped with quiesce: stop; nothing was changed"
            )
        quiesce.require_returning(self._client, group)
        places = self._stack.enter_context(mounts.reach(self._client, [volume], settings.helper_image))
        self._place = places.path(volume.name)
        self._marked = roots.unfinished(self._place)
        if settings.when_not_empty != "replace":
            roots.require_finished(self._place, volume.name)
            roots.require_empty(self._place, volume.name)
        outcome.entries_before = len(roots.contents(self._place))
        if outcome.entries_before:
            nesting.require_nothing_mounted(self._place, volume.name)
        self._window = unstaged.Window(self._client, group, settings.limits, _go_on)

    def _create(self) -> None:
        """Make the volume, to be removed again if anything fails later."""
        name, planned = self._name, self._planned
        if self._client.volume(name):
            raise VolumeError(f"volume {name} was created by somebody else meanwhile; nothing was changed")
        with deferred():
            made = self._client.create_volume(name, planned["Driver"], planned["Options"], planned["Labels"])
            self._volume = volume = volumes.Volume.from_api(made)
            if volume.driver == "local":
                self._stack.push(creation.undoing(self._client, name))
        try:
            places = self._stack.enter_context(mounts.reach(self._client, [volume], self._settings.helper_image))
            self._place = places.path(name)
            roots.require_empty(self._place, name)
        except DrydockError as error:
            if volume.driver == "local":
                raise
            # A plugin may have found files that it knew of, and would remove them with the volume.
            raise VolumeError(
                f"volume {name} was created by its driver {volume.driver}, which may have found files of that name, so "
                f"it isn't removed again: {error}"
            ) from error
        if volume.driver != "local":
            self._stack.push(creation.undoing(self._client, name))

    def _exchange(self, tree: Tree, *, different: bool) -> None:
        """Make the tree beside the volume's contents, and put it in their place unless they are the same; they aren't
        if they are known to be ``different``."""
        outcome, window = self._outcome, self._window
        replacing = outcome.entries_before > 0
        with staging.Staging(self._place, self._name, replace=replacing) as staged:
            with staged.filling():
                tree.fill(staged.path)
                staged.tidy()
                if not tree.rooted:
                    staged.keep_root()
            if replacing and not different and staged.same():
                outcome.changed = False
                outcome.held = []
                return
            if window is None:
                self._require_unused()
                staged.commit()
                return
            with _telling(window):
                window.open()
                try:
                    self._require_unused()
                    staged.commit()
                finally:
                    if staged.unfinished:
                        window.seal(self._outcome.held)
                    window.close()
        self._look_back(window)

    def _remake(self, tree: Tree, window: unstaged.Window) -> None:
        """Make the tree where the volume's contents were."""
        settings, safety = self._settings, self._settings.safety
        unstaged.require_possible(self._place, self._name, tree.allocated, tree.entries)
        if safety is not None:
            self.require_apart("the repository of the safety backup", safety.repository.root)
        if settings.check:
            self._save()
            return

        def fill(directory: str) -> None:
            tree.fill(directory)
            remove_leftovers(directory)

        def ahead() -> str:
            self._require_unused()
            return self._save()

        with _telling(window):
            unstaged.replace(self._place, self._name, window, fill, rooted=tree.rooted, ahead=ahead)
        self._look_back(window)

    def _require_unused(self) -> None:
        """Raise VolumeError if a container uses the volume that was started since that was looked at."""
        volume = self._volume
        if volume is None:
            return
        containers = sharing.revealed(self._client.all_containers(), [volume])
        names = sorted(
            grouping.name_of(one)
            for one in containers
            if grouping.running(one) and grouping.refers(one, volume) and not holder.is_one(one)
        )
        if names:
            raise VolumeError(
                f"volume {volume.name} is used by containers that were started meanwhile ({', '.join(names)}); stop "
                "them, and what starts them, or have them stopped with quiesce: stop; nothing was changed"
            )

    def _save(self) -> str:
        """Make the safety backup if one is wanted, and say where it is."""
        settings, outcome = self._settings, self._outcome
        if settings.safety is None:
            return ""
        if self._marked:
            outcome.warnings.append(f"volume {self._name} holds no whole tree, so no safety backup is made of it")
            return ""
        made, warnings = settings.safety.take(self._client, self._name, settings.limits, settings.helper_image)
        outcome.safety = made
        outcome.warnings += [warning for warning in warnings if warning not in outcome.warnings]
        return f"; what it held is in the safety backup {made['path']}"

    def _look_back(self, window: unstaged.Window) -> None:
        """See how the containers are, now that the volume is whole."""
        outcome = self._outcome
        window.await_health()
        outcome.downtime = round(window.downtime, 3)
        outcome.warnings += [f"volume {self._name}: {note}" for note in window.notes]
        outcome.failures += window.failures
        if self._marked:
            outcome.failures += unstaged.settle(
                self._client, self._name, self._settings.limits, outcome.warnings.append
            )

    def _holds_already(self, tree: Tree) -> bool:
        """Whether the volume holds just that tree. Nothing in it is touched to find that out."""
        if not tree.may_be(survey.survey(self._place, hasty=True)):
            return False
        with verification.aside(_ASIDE) as aside:
            try:
                roots.require_room(aside, self._name, tree.allocated, tree.entries)
            except VolumeError:
                self._outcome.warnings.append(
                    f"volume {self._name}: whether it holds all this already isn't known: a copy to compare it with "
                    f"takes {tree.allocated} bytes in {tree.entries} files and directories, for which {_ASIDE} has no "
                    "room; it counts as changed"
                )
                return False
            tree.fill(aside)
            remove_leftovers(aside)
            if not tree.rooted:
                Attributes.of(self._place).give(aside)
            return not compare.differences(self._place, aside).differences


@contextlib.contextmanager
def _telling(window: unstaged.Window) -> Iterator[None]:
    """Have an error tell, too, which containers aren't back."""
    try:
        yield
    except DrydockError as error:
        aside = [*window.failures, *window.notes]
        if not aside:
            raise
        raise type(error)("; ".join([str(error), *aside])) from error


def _go_on() -> None:
    """A signal interrupts the work by itself: it is done in the main thread."""
