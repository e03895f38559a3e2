# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Jobs: files in /etc/drydock/jobs.d that say what is to be done, and the lock by which one is never run twice at once.

A job is a JSON object with an ``action``, a subcommand's name, and that subcommand's options. It may have a
``max_age``, how old the newest backup may get before ``status`` complains.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .. import journal, options, publication
from ..errors import StateError, UsageError, reason
from .command import Command

#: Where the configuration is. Tests have one of their own.
CONFIGURATION = os.environ.get("DRYDOCK_CONFIG_DIRECTORY", "/etc/drydock")
ACTION, MAX_AGE = "action", "max_age"

_SUFFIX = ".json"
_AGE = re.compile(r"(\d{1,6})([hdw])")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
# What a subcommand that isn't the job's own takes from it: where things are.
_PLACE = {*options.DOCKER, *options.REPOSITORY, *options.DECRYPTION, *options.MOUNTS}


class BusyError(StateError):
    """The same job runs already."""


@dataclass(frozen=True)
class Job:
    """One job: its ``name``, the ``path`` of its file, its ``action``, the ``options`` as they stand there, and its
    ``max_age`` in seconds, if it has one."""

    name: str
    path: str
    action: str
    options: Mapping[str, Any]
    max_age: float | None = None

    @property
    def where(self) -> str:
        """The file, for messages."""
        folder, name = os.path.split(self.path)
        return os.path.join(os.path.basename(folder), name)


def read(name: str) -> Job:
    """The job of that name, or, where it has a slash, in the file of that name. Raise UsageError."""
    if "/" in name:
        path, name = name, os.path.basename(name)
        name = name.removesuffix(_SUFFIX)
    else:
        if not _NAME.fullmatch(name):
            raise UsageError(f"{name!r} is no name of a job: letters, digits, ., - and _, a letter or a digit first")
        path = os.path.join(_folder(), name + _SUFFIX)
    job = Job(name, path, "", {})
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
    except FileNotFoundError as error:
        known = ", ".join(names()) or "none"
        raise UsageError(f"there is no job {name}: {path} doesn't exist; there are: {known}") from error
    except OSError as error:
        raise UsageError(f"{job.where} can't be read: {reason(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{job.where}: it is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise UsageError(f"{job.where}: it is not an object")
    action = found.pop(ACTION, None)
    if not isinstance(action, str):
        raise UsageError(f"{job.where}: {ACTION}: this is required: backup or drill")
    limit = found.pop(MAX_AGE, None)
    try:
        return Job(name, path, action, found, None if limit is None else seconds(limit))
    except ValueError as error:
        raise UsageError(f"{job.where}: {MAX_AGE}: {error}") from error


def seconds(text: Any) -> float:
    """How long ``36h``, ``2d`` or ``1w`` is. Raise ValueError for anything else."""
    match = _AGE.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{text!r} is no age: write a number with h, d or w, such as 36h")
    return int(match[1]) * {"h": 3600.0, "d": 86400.0, "w": 604800.0}[match[2]]


def names() -> list[str]:
    """The names of all jobs, in alphabetical order. Raise StateError if they can't be listed."""
    try:
        found = os.listdir(_folder())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StateError(f"the jobs in {_folder()} can't be listed: {reason(error)}") from error
    cut = (name[: -len(_SUFFIX)] for name in found if name.endswith(_SUFFIX))
    return sorted(name for name in cut if _NAME.fullmatch(name))


def taken(job: Job, command: Command, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a subcommand with a job: the job's, but for what was ``given`` besides. Raise UsageError."""
    if job.action == command.name:
        base = dict(job.options)
    elif command.action:
        raise UsageError(f"{job.where}: its {ACTION} is {job.action}, so it is for: {job.action} --job {job.name}")
    else:
        known = set(command.spec.arguments)
        base = {name: value for name, value in job.options.items() if name in _PLACE & known}
    for group in command.spec.mutually_exclusive:
        if any(name in given for name in group):
            base = {name: value for name, value in base.items() if name not in group}
    for name, value in given.items():
        both = isinstance(value, dict) and isinstance(base.get(name), dict)
        base[name] = {**base[name], **value} if both else value
    return base


@contextlib.contextmanager
def running(job: Job) -> Iterator[None]:
    """Have nobody else run the job meanwhile. The kernel frees the lock if we die. Raise BusyError if somebody does."""
    folder = os.path.join(journal.STATE, "jobs")
    path = os.path.join(folder, f"{job.name}.lock")
    try:
        os.makedirs(journal.STATE, mode=0o700, exist_ok=True)
        publication.make_directory(folder)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise StateError(f"job {job.name}: its lock {path} can't be had: {reason(error)}; nothing was done") from error
    try:
        if not _locked(descriptor):
            raise BusyError(f"job {job.name} runs already; nothing was done")
        yield
    finally:
        os.close(descriptor)


def is_of_this_host(job: Job) -> bool:
    """Whether a job's file is among those of this host, and not one of the same name elsewhere."""
    return os.path.realpath(job.path) == os.path.realpath(os.path.join(_folder(), job.name + _SUFFIX))


def _locked(descriptor: int) -> bool:
    """Take the lock, if nobody has it for more than the instant that is_running does."""
    for _time in range(10):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(0.05)
        else:
            return True
    return False


def is_running(name: str) -> bool:
    """Whether a run of the job of that name is going."""
    try:
        descriptor = os.open(os.path.join(journal.STATE, "jobs", f"{name}.lock"), os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _folder() -> str:
    return os.path.join(CONFIGURATION, "jobs.d")
