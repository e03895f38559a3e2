# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have containers hold still while their volumes are read, and bring them back whatever happens.

A container that is to stop gets its stop signal and time to end; we never kill it, as a database that is killed may
lose data. What was done to which container is in the journal before it is done.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from . import hooks, journal, patience, points, sharing
from .client import Client
from .errors import ContainerError, DaemonError, DrydockError, RefusedError
from .grouping import Group, Member, name_of, running, writes
from .hooks import Hook
from .volumes import Volume

#: In the journal, when a container got its stop signal, in seconds since the epoch.
SIGNALLED = "signalled"
_POLL = 0.02


@dataclass(frozen=True)
class Limits:
    """How long we wait, in seconds: for a container to stop, for it to be healthy again, for a command in one."""

    stop: float = 60
    health: float = 60
    execution: float = 600

    def __post_init__(self) -> None:
        """Raise UsageError for what isn't a time."""
        patience.require_seconds(stop_timeout=self.stop, health_timeout=self.health, exec_timeout=self.execution)


@dataclass
class Window:
    """The time in which the containers of a group hold still.

    ``downtime`` is how long they did, in seconds; ``failures`` and ``notes`` say what went wrong in bringing them back,
    and what else is worth knowing; ``intruders`` are those, by volume, that ran although they should not have.
    """

    client: Client
    group: Group
    limits: Limits
    proceed: Callable[[], object]
    downtime: float = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    intruders: dict[str, list[str]] = field(default_factory=dict)
    _entry: journal.Entry | None = None
    _before: dict[str, dict[str, Any]] = field(default_factory=dict)
    _held: list[Member] = field(default_factory=list)
    _began: float = 0

    def open(self) -> None:
        """Run the commands that come before, and have the containers hold still.

        Raise DrydockError, with everything brought back as in close, if that can't be done.
        """
        members = _order(self.group.members)
        if not members and not self.group.before and not self.group.after:
            return
        try:
            for member in members:
                self._before[member.id] = _require_returning(self.client, member)
            self._entry = journal.write(self._undo(members))
            points.reached("journal-written")
            for hook in self.group.before:
                hooks.run(self.client, hook, self.limits.execution, self.proceed)
            points.reached("hooks-run")
            self._began = time.monotonic()
            self._hold(members)
        except BaseException:
            self.close()
            raise
        points.reached("containers-stopped")

    def look(self, volumes: Sequence[Volume]) -> None:
        """After the read: note which containers ran meanwhile and could write, although they should have held still."""
        if all(method == "none" for method in self.group.method.values()):
            return
        for container in sharing.revealed(self.client.all_containers(), volumes):
            if not running(container):
                continue
            for volume in volumes:
                if self.group.method[volume.name] != "none" and writes(container, volume):
                    self.intruders.setdefault(volume.name, []).append(name_of(container))

    def close(self) -> None:
        """Bring all containers back, and run the commands that come after. Errors go to ``failures``."""
        if self._entry is None:
            return
        points.reached("read")
        before = len(self.failures)
        for member in reversed(self._held):
            self._noting(self._bring_back_or_say, member)
        if self._held:
            self.downtime = time.monotonic() - self._began
        points.reached("containers-started")
        for hook in self.group.after:
            self._noting(hooks.run, self.client, hook, self.limits.execution, _go_on)
        points.reached("hooks-after-run")
        entry, self._entry = self._entry, None
        if len(self.failures) > before:
            entry.leave()  # a later run tries again
        else:
            self._noting(entry.remove)

    def await_health(self) -> None:
        """Wait until the containers that were healthy before are so again. Errors go to ``failures``."""
        deadline = time.monotonic() + self.limits.health
        for member in self._held:
            if member.method == "stop" and _health(self._before[member.id]) == "healthy":
                self._noting(_await_health, self.client, member, deadline)

    def _undo(self, members: Sequence[Member]) -> dict[str, Any]:
        return {
            "kind": "quiesce",
            "volumes": list(self.group.volumes),
            "containers": [
                {
                    "id": member.id,
                    "name": member.name,
                    "method": member.method,
                    "started_at": self._before[member.id]["State"]["StartedAt"],
                }
                for member in reversed(members)
            ],
            "after": [hook.record() for hook in self.group.after],
        }

    def _hold(self, members: Sequence[Member]) -> None:
        """Stop and pause them, those first that others don't need."""
        waiting: list[Member] = []
        for member in members:
            if waiting and any(member.id in other.after for other in waiting):
                self._await_end(waiting)
                waiting = []
            self.proceed()
            self._note(member)
            self._held.append(member)
            try:
                self._hold_one(member)
            except RefusedError:  # after any other error nobody knows whether it was done
                self._held.remove(member)
                raise
            if member.method == "stop":
                waiting.append(member)
            points.reached("container-stopped")
        self._await_end(waiting)

    def _note(self, member: Member) -> None:
        """Have the journal know that a container gets its stop signal: it may end long after we have died."""
        if self._entry is None or member.method != "stop":
            return
        containers = [
            {**one, SIGNALLED: time.time()} if one["id"] == member.id else one for one in self._entry.undo["containers"]
        ]
        self._entry.replace({**self._entry.undo, "containers": containers})

    def _hold_one(self, member: Member) -> None:
        if member.method == "pause":
            self.client.pause_container(member.id)
            return
        signal = self._before[member.id]["Config"].get("StopSignal") or "SIGTERM"
        deadline = time.monotonic() + self.limits.stop
        while True:
            try:
                self.client.signal_container(member.id, signal)
                return
            except DaemonError:
                facts = self.client.container(member.id)
                if facts is None or not facts["State"]["Running"]:
                    return
                # one that restarts again and again has no process for a while
                if not facts["State"].get("Restarting") or time.monotonic() > deadline:
                    raise
            self.proceed()
            time.sleep(_POLL)

    def _await_end(self, waiting: Sequence[Member]) -> None:
        deadline = time.monotonic() + self.limits.stop
        for member in waiting:
            while not _ended(self.client, member):
                self.proceed()
                if time.monotonic() > deadline:
                    raise ContainerError(
                        f"container {member.name} didn't end within {self.limits.stop:g} seconds of its stop signal; "
                        "it was not killed, and nothing was done to the volume; give a longer stop_timeout, or see to "
                        "what keeps it from ending"
                    )
                time.sleep(_POLL)

    def _bring_back_or_say(self, member: Member) -> None:
        """Bring a container back. Raise ContainerError if Docker doesn't."""
        try:
            self._bring_back(member)
        except DaemonError as error:
            done, undone = {"pause": ("paused", "unpaused"), "stop": ("stopped", "started")}[member.method]
            raise ContainerError(
                f"container {member.name} was {done} and couldn't be {undone} again: {error}; the next run tries again"
            ) from error

    def _bring_back(self, member: Member) -> None:
        facts = self.client.container(member.id)
        if facts is None:
            self.notes.append(f"container {member.name} was removed meanwhile, so it was not started again")
            return
        state = facts["State"]
        if member.method == "pause":
            if state.get("Paused"):
                self.client.unpause_container(member.id)
            return
        if state["Running"] and state["StartedAt"] == self._before[member.id]["State"]["StartedAt"]:
            self._await_late_end(member)
        for other in self._held:
            if other.id in member.healthy and _health(self._before[other.id]) == "healthy":
                self._noting(_await_health, self.client, other, time.monotonic() + self.limits.health)
        self.client.start_container(member.id)  # which says nothing if somebody else has started it

    def _await_late_end(self, member: Member) -> None:
        """A container has its stop signal, but didn't end in time: it may still do so, and must run afterwards."""
        deadline = time.monotonic() + self.limits.stop
        while not _ended(self.client, member):
            if time.monotonic() > deadline:
                self.notes.append(
                    f"container {member.name} still runs {2 * self.limits.stop:g} seconds after its stop signal; if it "
                    "ends after all, it must be started by hand"
                )
                return
            time.sleep(_POLL)

    def _noting(self, act: Callable[..., object], *arguments: Any) -> None:
        try:
            act(*arguments)
        except DrydockError as error:
            self.failures.append(str(error))


def bring_back(client: Client, left: dict[str, Any], limits: Limits, note: Callable[[str], object]) -> bool:
    """Bring back what a run that died has left stopped or paused, and ``note`` what was done and what couldn't be.

    Return whether all of it is back.
    """
    undone = True
    for container in left["containers"]:
        try:
            done = _recover(client, container, limits)
        except DrydockError as error:
            undone = False
            note(f"container {container['name']}, left by a run that was interrupted, can't be brought back: {error}")
        else:
            if done:
                note(f"container {container['name']} was {done}: a run that was interrupted had left it so")
    for options in left["after"]:
        try:
            hooks.run(client, Hook.parse(options), limits.execution, _go_on)
        except DrydockError as error:
            note(f"after a run that was interrupted: {error}")
    return undone


def _recover(client: Client, left: dict[str, Any], limits: Limits) -> str | None:
    """Bring one container back unless somebody else had it in hand since. Return what was done.

    One that may have its stop signal gets as long to end as a run that lives gives it, from the signal on.
    """
    wait = 2 * limits.stop
    wait = min(wait, left.get(SIGNALLED, 0) + wait - time.time())  # the clock may have been set back since
    deadline = time.monotonic() + wait
    while True:
        facts = client.container(left["id"])
        if facts is None or facts["State"]["StartedAt"] != left["started_at"]:
            return None
        if left["method"] == "pause" or not facts["State"]["Running"] or time.monotonic() > deadline:
            break
        time.sleep(_POLL)
    if left["method"] == "pause":
        if not facts["State"].get("Paused"):
            return None
        client.unpause_container(left["id"])
        return "unpaused"
    if facts["State"]["Running"]:
        return None
    client.start_container(left["id"])
    return "started"


def require_returning(client: Client, group: Group) -> None:
    """Raise ContainerError if a container of the group couldn't be brought back after what is to be done to it."""
    for member in group.members:
        _require_returning(client, member)


def _require_returning(client: Client, member: Member) -> dict[str, Any]:
    """All about a container. Raise ContainerError if it couldn't be brought back after what is to be done to it."""
    facts = client.container(member.id)
    if facts is None:
        raise ContainerError(f"container {member.name} was removed right now; run this again")
    if member.method == "stop" and facts["HostConfig"].get("AutoRemove"):
        raise ContainerError(
            f"container {member.name} was started with --rm: Docker would remove it once it stops; run it "
            "without --rm, or stop it yourself"
        )
    return facts


def _order(members: Sequence[Member]) -> list[Member]:
    """The order in which to stop: each before those that it starts after."""
    waiting = sorted(members, key=lambda member: member.name)
    ordered: list[Member] = []
    while waiting:
        free = [one for one in waiting if not any(one.id in other.after for other in waiting)]
        ordered += free or waiting[:1]  # where they depend on each other in a circle, any is as good
        waiting = [one for one in waiting if one not in ordered]
    return ordered


def _ended(client: Client, member: Member) -> bool:
    facts = client.container(member.id)
    return facts is None or not facts["State"]["Running"]


def _health(facts: dict[str, Any]) -> str:
    return (facts["State"].get("Health") or {}).get("Status") or ""


def _await_health(client: Client, member: Member, deadline: float) -> None:
    while True:
        facts = client.container(member.id)
        if facts is None or _health(facts) == "healthy":
            return
        if time.monotonic() > deadline or not facts["State"]["Running"]:
            raise ContainerError(
                f"container {member.name} was healthy before it was stopped and is not healthy again since it was "
                f"started (it is {facts['State']['Status']}, its health {_health(facts)!r}); look at docker logs"
            )
        time.sleep(0.2)


def _go_on() -> None:
    """Let nothing keep us from bringing back what we stopped."""
