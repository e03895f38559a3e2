# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of a tree in words for people."""

from __future__ import annotations

import os
import stat

#: What an entry is, by the type in its mode.
KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "character device",
    stat.S_IFBLK: "block device",
    stat.S_IFSOCK: "socket",
}


def kind(facts: os.stat_result) -> str:
    """What an entry is."""
    return KINDS[stat.S_IFMT(facts.st_mode)]


def number(device: int) -> str:
    """A device's number."""
    return f"{os.major(device)}:{os.minor(device)}"


def shown(name: bytes) -> str:
    """A name for a line of text: what isn't UTF-8 and what can't be printed is escaped."""
    return printable(name.decode("utf-8", "backslashreplace"))


def named(path: bytes) -> str:
    """A path below a tree's root, for a line of text."""
    return shown(b"./" + path) if path else "."


def printable(text: str) -> str:
    """A text without what a terminal would obey: names of files may hold anything."""
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
