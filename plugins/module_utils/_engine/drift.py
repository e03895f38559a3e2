# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""In what a volume differs from what is asked for, option by option. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import kinds
from .desired import Desired
from .volumes import Volume, redacted

#: By option what it ``is``, and what is ``wanted``; None where there is none. Passwords are replaced.
Drift = dict[str, dict[str, Any]]


def drift(wanted: Desired, volume: Volume) -> Drift:
    """The differences in driver, options and labels. Labels that nobody asked for aren't any."""
    found: Drift = {}
    if wanted.driver != volume.driver:
        found["driver"] = {"is": volume.driver, "wanted": wanted.driver}
    for key in sorted(wanted.options.keys() | volume.options.keys()):
        one, other = volume.options.get(key), wanted.options.get(key)
        if _canonical(key, one) != _canonical(key, other):
            found[f"driver_options.{key}"] = {"is": _shown(key, one), "wanted": _shown(key, other)}
    for key, value in sorted((wanted.labels or {}).items()):
        if volume.labels.get(key) != value:
            found[f"labels.{key}"] = {"is": volume.labels.get(key), "wanted": value}
    return found


def displaced(wanted: Desired, volume: Volume) -> bool:
    """Whether the volume shows the files of another place than it should."""
    return kinds.place(volume.driver, volume.options) != kinds.place(wanted.driver, wanted.options)


def moves(wanted: Desired, volume: Volume) -> bool:
    """Whether a volume that is made anew as it is wanted would show other files than the volume does."""
    return displaced(wanted, volume) or kinds.kind(volume.driver, volume.options) not in kinds.ELSEWHERE


def told(found: Mapping[str, Mapping[str, Any]]) -> str:
    """A drift, for people."""
    return ", ".join(
        f"{option} is {_text(difference['is'])}, not {_text(difference['wanted'])}"
        for option, difference in found.items()
    )


def _canonical(key: str, value: str | None) -> object:
    """An option so that equal ones are equal: mount options have no order."""
    if key == "o":
        return sorted(set(kinds.words({"o": value or ""})))
    if key == "device" and value:
        return value.rstrip("/") or "/"
    return value


def _shown(key: str, value: str | None) -> str | None:
    return None if value is None else redacted(key, value)


def _text(value: object) -> str:
    return "not set" if value is None else repr(value)
