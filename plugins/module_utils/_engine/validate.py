# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check an object out of JSON against an action's options, as Ansible does with a module's; say where it is wrong."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .errors import UsageError
from .options import ENVIRONMENT, Spec

_TRUE = {"y", "yes", "on", "1", "true", "t", "1.0"}
_FALSE = {"n", "no", "off", "0", "false", "f", "0.0"}


def validated(spec: Spec, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """All options of ``spec``, with what is ``given``, then what is in the ``environment``, then the default, or None.

    What Ansible would convert is converted. Raise UsageError that names each wrong key by its path, as in
    ``retention.keep_daily: 'x' is not an integer``.
    """
    from_environment = {
        name: environment[ENVIRONMENT[name]]
        for name in spec.arguments
        if environment is not None and environment.get(ENVIRONMENT.get(name, ""))
    }
    errors: list[str] = []
    rules = {
        "mutually_exclusive": spec.mutually_exclusive,
        "required_one_of": spec.required_one_of,
        "required_by": spec.required_by,
    }
    values = _object(spec.arguments, rules, given, "", errors, from_environment)
    if errors:
        raise UsageError("; ".join(errors))
    return values


def _object(
    arguments: Mapping[str, Mapping[str, Any]],
    rules: Mapping[str, Any],
    given: Mapping[str, Any],
    path: str,
    errors: list[str],
    otherwise: Mapping[str, Any],
) -> dict[str, Any]:
    """The options of one object, whose ``path`` is empty or ends with a dot."""
    names = {alias: name for name, option in arguments.items() for alias in (name, *option.get("aliases", ()))}
    present: dict[str, Any] = {}
    for key, value in given.items():
        name = names.get(key)
        if name is None:
            errors.append(f"{path}{key}: there is no such option{_near(key, names)}")
        elif name in present:
            errors.append(f"{path}{key}: this is {name}, which is given too")
        elif value is not None:
            present[name] = value
    _combined(rules, present, path, errors)
    values: dict[str, Any] = {}
    for name, option in arguments.items():
        value = present.get(name, otherwise.get(name, option.get("default")))
        if value is None and option.get("required"):
            errors.append(f"{path}{name}: this is required")
        values[name] = None if value is None else _value(option, value, f"{path}{name}", errors)
    return values


def _combined(rules: Mapping[str, Any], present: Mapping[str, Any], path: str, errors: list[str]) -> None:
    """See whether the options that are given go together."""
    where = f"{path[:-1]}: " if path else ""
    for group in rules.get("mutually_exclusive", ()):
        both = [name for name in group if name in present]
        if len(both) > 1:
            errors.append(f"{where}{' and '.join(both)} exclude each other")
    errors += [
        f"{where}one of these is required: {', '.join(group)}"
        for group in rules.get("required_one_of", ())
        if not any(name in present for name in group)
    ]
    for name, needed in rules.get("required_by", {}).items():
        if name in present and needed not in present:
            errors.append(f"{path}{name}: this needs {needed}")


def _value(option: Mapping[str, Any], value: Any, path: str, errors: list[str]) -> Any:
    """One option's value, converted."""
    kind = option["type"]
    if kind == "list":
        return _list(option, value, path, errors)
    if kind == "dict":
        return _dict(option, value, path, errors)
    try:
        converted = _SCALARS[kind](value)
    except (ValueError, TypeError):
        errors.append(f"{path}: {value!r} is not {_CALLED[kind]}")
        return None
    return _chosen(option, converted, path, errors)


def _chosen(option: Mapping[str, Any], value: Any, path: str, errors: list[str]) -> Any:
    choices = option.get("choices")
    if choices is not None and value not in choices:
        errors.append(f"{path}: {value!r} is none of {', '.join(map(str, choices))}")
    return value


def _list(option: Mapping[str, Any], value: Any, path: str, errors: list[str]) -> list[Any] | None:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        value = [value]
    if not isinstance(value, (list, tuple)):
        errors.append(f"{path}: {value!r} is not a list")
        return None
    element = {**option, "type": option.get("elements", "str")}
    return [_value(element, one, f"{path}[{number}]", errors) for number, one in enumerate(value)]


def _dict(option: Mapping[str, Any], value: Any, path: str, errors: list[str]) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = _pairs(value)
        except ValueError:
            errors.append(f"{path}: {value!r} is not an object: write it as JSON, or as key=value,key=value")
            return None
    if not isinstance(value, Mapping):
        errors.append(f"{path}: {value!r} is not an object")
        return None
    if "options" not in option:
        return dict(value)
    return _object(option["options"], option, value, f"{path}.", errors, {})


def _pairs(text: str) -> Any:
    """An object out of JSON or out of ``key=value,key=value``. Raise ValueError."""
    if text.lstrip().startswith("{"):
        return json.loads(text)
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    if not all(key.strip() and equals for key, equals, _value in parts):
        raise ValueError(text)
    return {key.strip(): value.strip() for key, _equals, value in parts}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError(value)
    return str(value)


def _path(value: Any) -> str:
    return os.path.expanduser(os.path.expandvars(_text(value)))


def _truth(value: Any) -> bool:
    word = str(value).strip().lower()
    if isinstance(value, (list, dict)) or word not in _TRUE | _FALSE:
        raise ValueError(value)
    return word in _TRUE


def _integer(value: Any) -> int:
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def _number(value: Any) -> float:
    if isinstance(value, bool):
        raise TypeError(value)
    return float(value)


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "str": _text,
    "path": _path,
    "bool": _truth,
    "int": _integer,
    "float": _number,
}
_CALLED = {"str": "a text", "path": "a path", "bool": "yes or no", "int": "an integer", "float": "a number"}


def _near(key: str, names: Sequence[str] | Mapping[str, str]) -> str:
    near = difflib.get_close_matches(key, list(names), 1)
    return f"; did you mean {near[0]}?" if near else ""
