# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""POSIX ACLs as text, which archives have, and as the kernel holds them in xattrs (linux/posix_acl_xattr.h)."""

from __future__ import annotations

import grp
import pwd
import struct

_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")
_NOBODY = 0xFFFFFFFF
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_TAGS = {
    "user": (_USER_OBJ, _USER),
    "u": (_USER_OBJ, _USER),
    "group": (_GROUP_OBJ, _GROUP),
    "g": (_GROUP_OBJ, _GROUP),
    "mask": (_MASK, _MASK),
    "m": (_MASK, _MASK),
    "other": (_OTHER, _OTHER),
    "o": (_OTHER, _OTHER),
}


def parse(text: str) -> bytes:
    """An ACL in the text form of acl(5) as the value of an xattr; b"" for one without entries.

    Names become the numbers they have on this host, as tar does it. Raise ValueError for what is no ACL.
    """
    entries = []
    for line in text.replace(",", "\n").split("\n"):
        entry = line.partition("#")[0].strip()
        if not entry:
            continue
        tag, who, letters = [*entry.split(":"), "", ""][:3]
        if tag not in _TAGS:
            raise ValueError(f"{entry!r} is no entry of one")
        entries.append((_TAGS[tag][bool(who)], _permissions(letters), _identity(tag, who)))
    if not entries:
        return b""
    return _VERSION + b"".join(_ENTRY.pack(*entry) for entry in sorted(entries, key=lambda e: (e[0], e[2])))


def trivial(value: bytes) -> bool:
    """Whether an ACL says no more than a mode does. The kernel doesn't keep such as an access ACL."""
    return all(tag in (_USER_OBJ, _GROUP_OBJ, _OTHER) for tag, _permissions, _who in _ENTRY.iter_unpack(value[4:]))


def same(left: bytes, right: bytes) -> bool:
    """Whether two values are the same ACL: not every file system gives the entries in the order that it got."""
    return left == right or (
        left[:4] == right[:4]
        and len(left) == len(right)
        and (len(left) - 4) % _ENTRY.size == 0
        and sorted(_ENTRY.iter_unpack(left[4:])) == sorted(_ENTRY.iter_unpack(right[4:]))
    )


def _permissions(letters: str) -> int:
    if not letters or set(letters) - set("rwx-"):
        raise ValueError(f"{letters!r} are no permissions")
    return ("r" in letters) * 4 + ("w" in letters) * 2 + ("x" in letters)


def _identity(tag: str, who: str) -> int:
    if not who:
        return _NOBODY
    if who.isdigit():
        return int(who)
    try:
        return pwd.getpwnam(who).pw_uid if tag.startswith("u") else grp.getgrnam(who).gr_gid
    except KeyError:
        raise ValueError(f"nobody is called {who!r} here") from None
