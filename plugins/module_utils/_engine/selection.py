# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes a selector means: a pure function of what the daemon lists.

A selector takes volumes by shell globs, by labels, by both (then both must hold), or all; ``exclude`` always wins.

- A volume's labels are its own and, of the containers that have it mounted (running or not), those that begin with
  ``drydock.``: a Compose file can mark the volume or the service. Where both have a key, the volume's own label counts.
  Where containers disagree, a volume has each of their values.
- ``drydock.backup`` says whether a volume may be selected at all: where it is false, nothing else selects it.
  Where only containers say, it is false if none of them says true.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import UsageError

#: The label that takes a volume in (true) or keeps it out (false).
BACKUP = "drydock.backup"
_PREFIX = "drydock."
# What YAML 1.1 takes for a truth value often arrives in a label as it was written.
_TRUTH = {
    **dict.fromkeys(("true", "yes", "on", "1"), "true"),
    **dict.fromkeys(("false", "no", "off", "0"), "false"),
}
_ALLOWED = "true or false (or yes/no, on/off, 1/0)"
_LISTS = ("names", "labels", "exclude")

# By its key a label's values, each with the thing that carries it.
_Labels = dict[str, list[tuple[str, str]]]


@dataclass(frozen=True)
class Selector:
    """What to select. Globs are those of ``fnmatch``, labels ``key`` or ``key=value``; raise UsageError for others."""

    names: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    everything: bool = False
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.everything and (self.names or self.labels):
            raise UsageError(
                "selector: all takes every volume, so it can't stand beside names or labels; leave all out, or leave "
                "names and labels out and say with exclude which volumes not to take"
            )
        if not (self.everything or self.names or self.labels):
            raise UsageError(
                "selector: it doesn't say which volumes to take; give names (shell globs), labels (key or key=value), "
                "or all: true for every volume but those under exclude"
            )
        for option, patterns in (("names", self.names), ("exclude", self.exclude)):
            if "" in patterns:
                raise UsageError(
                    f"selector: {option} has an empty pattern, which no volume matches; give a shell glob such as pg*, "
                    "or leave it out"
                )
        for label in self.labels:
            key, value = _split(label)
            if not key:
                raise UsageError(f"selector: the label {label!r} has no key; give key or key=value, or leave it out")
            if key == BACKUP and value is not None and value.lower() not in _TRUTH:
                raise UsageError(f"selector: the label {BACKUP} is {value!r}; write {_ALLOWED}")

    @classmethod
    def parse(cls, options: Mapping[str, Any] | None) -> Selector | None:
        """The selector that ``names``, ``labels``, ``all`` and ``exclude`` describe, or None for None.

        What is None or absent is not given, nor is an empty list. Raise UsageError for an unknown name and for a value
        that doesn't fit.
        """
        if options is None:
            return None
        given = {name: value for name, value in options.items() if value is not None}
        unknown = ", ".join(sorted(str(name) for name in given if name not in (*_LISTS, "all")))
        if unknown:
            raise UsageError(f"selector: unknown option {unknown}; use names, labels, all, exclude")
        for option in _LISTS:
            value = given.get(option, [])
            # A text would be taken for a list of its characters, and one of them may be "*".
            if not isinstance(value, (list, tuple)) or not all(isinstance(each, str) for each in value):
                raise UsageError(f"selector: {option} is {value!r}; give a list of texts")
        everything = given.get("all", False)
        if not isinstance(everything, bool):
            raise UsageError(f"selector: all is {everything!r}; give true or false")
        return cls(
            names=tuple(given.get("names", ())),
            labels=tuple(given.get("labels", ())),
            everything=everything,
            exclude=tuple(given.get("exclude", ())),
        )


def select(known: Mapping[str, dict[str, Any]], containers: Sequence[dict[str, Any]], selector: Selector) -> list[str]:
    """The names of the volumes that ``selector`` means, sorted.

    ``known`` are the volumes by name and ``containers`` all containers in any state, both as the Docker API lists them.
    Raise UsageError where ``drydock.backup`` is neither true nor false and decides whether a volume is selected.
    """
    users = _users(containers)
    wanted = [_split(label) for label in selector.labels]
    return [
        name
        for name in sorted(known)
        if _named(name, selector) and _marked(name, _labels(known[name], users.get(name, [])), wanted)
    ]


def matches(name: str, labels: Mapping[str, str], selector: Selector) -> bool:
    """Whether ``selector`` means a volume by its name and its own labels, whatever ``drydock.backup`` says of it."""
    wanted = [_split(label) for label in selector.labels]
    return _named(name, selector) and all(key in labels and value in (None, labels[key]) for key, value in wanted)


def _split(label: str) -> tuple[str, str | None]:
    """A label's key and its value, None if only the key is asked for."""
    key, equals, value = label.partition("=")
    return key, value if equals else None


def _named(name: str, selector: Selector) -> bool:
    """Whether ``names`` and ``exclude`` let a volume through."""
    if any(fnmatch.fnmatchcase(name, pattern) for pattern in selector.exclude):
        return False
    return not selector.names or any(fnmatch.fnmatchcase(name, pattern) for pattern in selector.names)


def _users(containers: Iterable[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """By the exact name of a volume the containers that have it mounted."""
    users: dict[str, list[dict[str, Any]]] = {}
    for container in containers:
        mounts = container.get("Mounts") or []
        for name in {mount.get("Name") for mount in mounts if mount.get("Type") == "volume"}:
            users.setdefault(name, []).append(container)
    return users


def _labels(volume: dict[str, Any], users: Iterable[dict[str, Any]]) -> _Labels:
    """A volume's labels: its own, and for keys that it doesn't have those of its containers that are meant for us."""
    found: _Labels = {}
    for container in users:
        names = container.get("Names") or [container["Id"][:12]]
        for key, value in (container.get("Labels") or {}).items():
            if key.startswith(_PREFIX):
                found.setdefault(key, []).append((value, "container " + names[0].lstrip("/")))
    for key, value in (volume.get("Labels") or {}).items():
        found[key] = [(value, "the volume")]
    return found


def _marked(name: str, labels: _Labels, wanted: Iterable[tuple[str, str | None]]) -> bool:
    """Whether a volume's labels let it through. Raise UsageError where a malformed mark decides that."""
    if not all(_has(labels.get(key, []), value) for key, value in wanted if key != BACKUP):
        return False  # whatever its mark is
    marks = [(_truth(name, value, where), where) for value, where in sorted(labels.get(BACKUP, []))]
    if marks and not _has(marks, "true"):
        return False
    asked = [None if value is None else _TRUTH[value.lower()] for key, value in wanted if key == BACKUP]
    return all(_has(marks, value) for value in asked)


def _has(values: Iterable[tuple[str, str]], wanted: str | None) -> bool:
    """Whether one of a label's values is the wanted one; None stands for any."""
    return any(wanted in (None, value) for value, _where in values)


def _truth(volume: str, value: str, where: str) -> str:
    """``true`` or ``false`` for what ``drydock.backup`` is. Raise UsageError if it is neither."""
    if value.lower() not in _TRUTH:
        raise UsageError(
            f"volume {volume}: the label {BACKUP} of {where} is {value!r}; write {_ALLOWED} where it is set, and "
            "until that has taken effect keep the volume out with exclude"
        )
    return _TRUTH[value.lower()]
