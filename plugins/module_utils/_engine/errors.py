# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as the operator is told it.

Every error's text names the thing it is about, the cause, and the next step, and says what was left behind. The
front ends print it as it is.
"""

from __future__ import annotations

import re

#: Stands for a secret where it can't be shown.
REDACTED = "(not recorded)"

# Options end at a comma; where they stand in a sentence, at its next part too.
_NAMED = r"\b((?:password2?|passwd|pass|secret)=)"
_IN_OPTIONS = re.compile(_NAMED + "[^,]*", re.IGNORECASE)
_IN_SENTENCE = re.compile(_NAMED + "(?:(?!: )[^,])*", re.IGNORECASE)


class DrydockError(Exception):
    """The base of every error that the engine raises on purpose."""


class UsageError(DrydockError):
    """What was asked for can't be asked for: a malformed name, a relative path, an option that doesn't fit."""


class ToolError(DrydockError):
    """A program or a Python package that the engine needs is not on this host, or is the wrong one."""


class DaemonError(DrydockError):
    """The Docker daemon can't be reached, or refused a request."""


class RefusedError(DaemonError):
    """The Docker daemon refused a request, and did nothing."""


class NoAnswerError(DaemonError):
    """The Docker daemon took a request, and didn't answer it in time."""


class VolumeError(DrydockError):
    """A volume doesn't exist, or its files can't be reached or used as asked."""


class DiskError(DrydockError):
    """A disk isn't there, or can't be prepared as asked."""


class RepositoryError(DrydockError):
    """The repository can't be read or written, or doesn't hold what was asked for."""


class IntegrityError(DrydockError):
    """Stored data is not what its manifest says it is."""


class ContainerError(DrydockError):
    """A container can't be stopped, paused or brought back, or a command in it failed."""


class DatabaseError(DrydockError):
    """A database server can't do what is asked of it, or what is asked for isn't there."""


class StateError(DrydockError):
    """The journal, or other state that we keep on the host, can't be read or written."""


class PipelineError(DrydockError):
    """A process of a pipe failed."""


def redact(text: str, *, sentence: bool = False) -> str:
    """``text`` without the passwords among mount options (``username=ops,password=…``), in a ``sentence`` or alone."""
    return (_IN_SENTENCE if sentence else _IN_OPTIONS).sub(rf"\g<1>{REDACTED}", text)


def reason(error: OSError) -> str:
    """The system's own words for an OSError, without the errno and the file name: "No space left on device"."""
    return error.strerror or str(error)
