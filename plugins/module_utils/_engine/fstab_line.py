# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One line of fstab(5): found, compared, and put in place of the one that was. No other line changes."""

from __future__ import annotations

import os
import re
import tempfile
from dataclasses import dataclass

from . import fstab, publication
from .errors import DiskError, reason

_ESCAPE = re.compile(r"\\([0-7]{3})")
_TO_ESCAPE = re.compile(r"[\s\\#]")


@dataclass(frozen=True)
class Entry:
    """A line: ``source`` is a device, ``UUID=…`` or ``LABEL=…``; ``options`` are joined by commas."""

    source: str
    mount_point: str
    kind: str
    options: str
    check: int

    def line(self) -> str:
        """The line, without its end."""
        fields = (self.source, self.mount_point, self.kind, self.options)
        return " ".join([*(_escaped(field) for field in fields), "0", str(self.check)])


def find(text: str, mount_point: str) -> Entry | None:
    """The entry for a mount point, the last one if there are several, or None."""
    found = None
    for line in text.splitlines():
        entry = _parse(line)
        if entry is not None and os.path.normpath(entry.mount_point) == mount_point:
            found = entry
    return found


def replaced(text: str, entry: Entry) -> str:
    """The text with this entry in place of the one for its mount point, or at the end."""
    lines = text.splitlines()
    numbers = [
        number
        for number, line in enumerate(lines)
        if (other := _parse(line)) is not None and os.path.normpath(other.mount_point) == entry.mount_point
    ]
    if numbers:
        lines[numbers[-1]] = entry.line()
    else:
        lines.append(entry.line())
    return "".join(f"{line}\n" for line in lines)


def read(path: str = fstab.PATH) -> str:
    """The whole file; "" where there is none."""
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(text: str, path: str = fstab.PATH) -> None:
    """Have the file say this, at one instant. Raise DiskError if it can't; then it says what it said."""
    folder = os.path.dirname(path)
    new = ""
    try:
        descriptor, new = tempfile.mkstemp(prefix=".fstab.", dir=folder)
        with open(descriptor, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.rename(new, path)
        publication.sync(folder)
    except OSError as error:
        if new and os.path.exists(new):
            os.unlink(new)
        raise DiskError(f"{path} can't be written: {reason(error)}; it is as it was") from error


def _parse(line: str) -> Entry | None:
    fields = line.split()
    if len(fields) < 4 or fields[0].startswith("#"):
        return None
    source, point, kind, options = (_ESCAPE.sub(lambda match: chr(int(match[1], 8)), field) for field in fields[:4])
    check = fields[5] if len(fields) > 5 else "0"
    return Entry(source, point, kind, options, int(check) if check.isdigit() else 0)


def _escaped(field: str) -> str:
    return _TO_ESCAPE.sub(lambda match: f"\\{ord(match[0]):03o}", field)
