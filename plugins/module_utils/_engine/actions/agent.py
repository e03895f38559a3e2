# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the command drydock-volumes, or remove it, by the options of the module drydock_agent."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .. import bundle, publication
from ..agent import completion, manual, page
from ..agent.commands import COMMANDS
from ..errors import StateError, UsageError, reason
from ..options import Report, Spec
from ..version import VERSION

SPEC = Spec(
    arguments={
        "path": {"type": "path", "default": f"/usr/local/bin/{manual.PROGRAM}"},
        "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
        "interpreter": {"type": "path"},
        "bash_completion": {"type": "path", "default": "/usr/local/share/bash-completion/completions"},
        "manual": {"type": "path", "default": "/usr/local/share/man/man1"},
    },
)

# The kernel reads no more of a file's first line.
_LONGEST_SHEBANG = 127


@dataclass(frozen=True)
class _File:
    """A file that belongs to the agent: its ``content``, and the ``mark`` by which one that is there is known."""

    path: str
    content: bytes
    mode: int
    mark: bytes


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Have the files there as they should be, or not at all. Raise DrydockError, naming the file, if that can't be."""
    path, absent = params["path"], params["state"] == "absent"
    if not os.path.isabs(path):
        raise UsageError(f"path {path!r} is not absolute; nothing was changed")
    files = _files(params)
    before = {file.path: _present(file) for file in files}  # all are looked at before one is changed
    wanted = {file.path: None if absent else _state(file.content, file.mode) for file in files}
    changed = [file for file in files if before[file.path] != wanted[file.path]]
    for file in [] if check else changed:
        if absent:
            _remove(file.path)
        else:
            _write(file)
    digest = hashlib.sha256(files[0].content).hexdigest()
    return Report(
        changed=bool(changed),
        values={
            "path": path,
            "version": None if absent else VERSION,
            "digest": None if absent else digest,
            "diff": {
                "before": {name: state for name, state in before.items() if state is not None},
                "after": {name: state for name, state in wanted.items() if state is not None},
            },
        },
    )


def _files(params: Mapping[str, Any]) -> list[_File]:
    """The command first, as the others tell of it."""
    path = params["path"]
    interpreter = params["interpreter"] or sys.executable
    if not os.path.isabs(interpreter) or any(letter.isspace() for letter in interpreter):
        raise UsageError(f"interpreter {interpreter!r} can't start a file: it must be a path without spaces")
    if len(os.fsencode(interpreter)) + 2 > _LONGEST_SHEBANG:
        raise UsageError(f"interpreter {interpreter!r} can't start a file: its path is longer than 125 bytes")
    name = os.path.basename(path)
    found = [_File(path, bundle.build(bundle.sources(), interpreter), 0o755, bundle.MARK.encode())]
    if params["bash_completion"]:
        script = completion.script(COMMANDS, name).encode()
        found.append(_File(os.path.join(params["bash_completion"], name), script, 0o644, completion.MARK.encode()))
    if params["manual"]:
        text = page.page(COMMANDS, VERSION).encode()
        found.append(_File(os.path.join(params["manual"], f"{name}.1"), text, 0o644, page.MARK.encode()))
    return found


def _state(content: bytes, mode: int) -> dict[str, str]:
    return {"mode": f"{mode:04o}", "sha256": hashlib.sha256(content).hexdigest()}


def _present(file: _File) -> dict[str, str] | None:
    """What is in a file's place. Raise StateError if it is somebody else's."""
    try:
        facts = os.lstat(file.path)
        if not stat.S_ISREG(facts.st_mode):
            raise StateError(
                f"{file.path} is there and is no file; remove it, or give another path; nothing was changed"
            )
        with open(file.path, "rb") as there:
            content = there.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StateError(f"{file.path} can't be read: {reason(error)}; nothing was changed") from error
    if file.mark not in content:
        raise StateError(
            f"{file.path} is there and is not the agent's; remove it, or give another path; nothing was changed"
        )
    return _state(content, stat.S_IMODE(facts.st_mode))


def _write(file: _File) -> None:
    """Put a file in its place, at one instant."""
    folder, name = os.path.split(file.path)
    partial = os.path.join(folder, f".{name}.partial")
    try:
        os.makedirs(folder, mode=0o755, exist_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as stream:
            stream.write(file.content)
            os.fchmod(descriptor, file.mode)
            stream.flush()
            os.fsync(descriptor)
        os.rename(partial, file.path)
        publication.sync(folder)
    except OSError as error:
        raise StateError(f"{file.path} can't be written: {reason(error)}") from error


def _remove(path: str) -> None:
    try:
        os.unlink(path)
        publication.sync(os.path.dirname(path))
    except OSError as error:
        raise StateError(f"{path} can't be removed: {reason(error)}") from error
