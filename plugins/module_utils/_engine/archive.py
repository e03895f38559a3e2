# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar as a pair of stages, and what tar says.

The options and the messages are those of GNU tar 1.34 (its manual, and the measurements that docs/architecture.md
names). An archive holds the volume's root as ``./`` and everything else below it.
"""

from __future__ import annotations

import errno
import fnmatch
import os
import re
from dataclasses import dataclass

from .pipeline import LISTING, Outcome, Stage

# A file system's own view of permissions, which it makes up for whoever asks (system.nfs4_acl, system.cifs_acl,
# system.ntfs_acl), and which no other one takes. What stays of system.* are POSIX ACLs: system.posix_acl_*.
_MADE_UP = "system.[!p]*"

# The same on both sides: without them on extraction, tar drops xattrs silently, and ACLs among them.
_METADATA = ("--xattrs", "--xattrs-include=*", f"--xattrs-exclude={_MADE_UP}", "--numeric-owner")

#: For a stream that isn't ours: tar gives directories what is theirs at the end, and not as soon as it leaves them. It
#: keeps them in a list that it searches for each: 60,000 directories took it five times as long.
IN_ANY_ORDER = "--delay-directory-restore"
#: The size of a reader's blocks: a multiple of those that archives are padded to, which are 20 of 512 bytes. Otherwise
#: an end marker may be at the end of a block, and padding after it, which tar leaves in the pipe.
BLOCKS = "--blocking-factor=120"
# A listing on a descriptor of its own, one line a member whatever is in its name.
_LIST = ("--verbose", f"--index-file=/dev/fd/{LISTING}", "--quoting-style=escape")

_CHANGED = re.compile(
    r"tar: (?P<name>.+): (?:file changed as we read it|File removed before we read it|"
    r"File (?P<shrank>shrank) by \d+ bytes?; padding with zeros)"
)
_UNREADABLE = re.compile(
    r"tar: (?P<name>.+): (?:Cannot (?:open|read|stat|readlink|savedir|change to)|Read error at byte \d+, while reading "
    r"\d+ bytes?): .+"
)
_ESCAPE = re.compile(rb"\\([0-7]{3}|.)", re.DOTALL)
_ESCAPED = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
# tar says at its end that it will exit 1 because of what it said before.
_EPILOGUE = re.compile(r"tar: Exiting with failure status due to previous errors")
_SOCKET = re.compile(r"tar: .+: socket ignored")


@dataclass(frozen=True)
class Reading:
    """What tar said while it read a tree.

    ``changed`` are the names, quoted as tar quotes them, of the files that changed, shrank or vanished meanwhile;
    ``shrank`` those among them that had an end before the one that they should have: a disk that doesn't give the rest
    looks the same to tar. ``unreadable`` are those of the files that it couldn't read. ``notes`` is whatever else it
    said while it still did its work: a file system mounted inside, for instance.
    """

    changed: tuple[str, ...]
    notes: tuple[str, ...]
    unreadable: tuple[str, ...] = ()
    shrank: tuple[str, ...] = ()


def create(tar: str, tree: str) -> Stage:
    """The stage that reads ``tree`` and writes a tar stream with everything that a file system can hold.

    ACLs are in it as the xattrs that they are. As text, with users' names, ``--acls`` would add them again, and have
    tar open each file another time: of 200,000 small ones it took 3.3 s instead of 2.4.

    The blocking factor stays tar's own: a reader with a smaller one would leave padding in the pipe, and the
    decompressor before it would die of SIGPIPE.
    """
    return Stage(
        "tar",
        (
            tar,
            "--create",
            "--file=-",
            f"--directory={tree}",
            "--format=posix",
            # tar's own number and the times that reading changes stay out, so that the same tree gives the same bytes
            # (but for sparse files, whose headers hold the number all the same)
            "--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime",
            *_METADATA,
            "--sparse",
            "--one-file-system",
            *_LIST,
            "--",
            ".",
        ),
    )


def extract(tar: str, target: str, *options: str) -> Stage:
    """The stage that reads a tar stream and makes its tree in the directory ``target``, owners and all. ``options`` are
    more of tar's own.

    tar exits 0 where it couldn't set an xattr or an ACL, and only says so: what it says is a failure too. ACLs come
    from the xattrs that they are, with numeric ids; from the text with users' names, which older archives hold too,
    ``--acls`` would give them to whoever has the name here. It reads and writes in blocks of 60 KiB: with its own
    10 KiB a restore of real files took a fifth longer. Of a stream in which a directory's members don't follow it at
    once, directories have their times only with IN_ANY_ORDER.
    """
    return Stage(
        "tar",
        (
            tar,
            "--extract",
            "--file=-",
            BLOCKS,
            f"--directory={target}",
            *_METADATA,
            "--preserve-permissions",
            "--same-owner",
            "--warning=no-timestamp",
            *options,
            *_LIST,
        ),
    )


def reading(outcome: Outcome, *, tolerant: bool = False) -> Reading | None:
    """Sort what tar said while it read, or return None if it failed.

    Exit status 1 stands for files that changed meanwhile, and for nothing else that we accept. Status 2 stands, among
    others, for files that can't be read, which only a ``tolerant`` caller accepts.
    """
    if outcome.status not in (0, 1, 2) or (outcome.status == 2 and not tolerant):
        return None
    changed, shrank, unreadable, notes = [], [], [], []
    for line in outcome.said:
        match, failure = _CHANGED.fullmatch(line), _UNREADABLE.fullmatch(line)
        if match is not None:
            changed.append(match["name"])
            shrank += [match["name"]] if match["shrank"] else []
        elif failure is not None:
            unreadable.append(failure["name"])
        elif not _SOCKET.fullmatch(line) and not _EPILOGUE.fullmatch(line):
            notes.append(line)
    if (outcome.status == 1 and not changed) or (outcome.status == 2 and (notes or not unreadable)):
        return None
    return Reading(tuple(dict.fromkeys(changed)), tuple(notes), tuple(dict.fromkeys(unreadable)), tuple(shrank))


def acls(target: str) -> tuple[str, ...]:
    """The option of extract for archives that hold ACLs as text only. File systems without ACLs (NFS) don't take it:
    tar would say of each directory that it has none to drop."""
    try:
        os.getxattr(target, "system.posix_acl_access")
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return ()
    return ("--acls",)


def holds(xattr: str) -> bool:
    """Whether an archive holds xattrs of this name."""
    return not fnmatch.fnmatchcase(xattr, _MADE_UP)


def unquoted(name: str) -> bytes:
    """The bytes of a name in which tar has escaped what isn't printable, and the backslash."""
    return _ESCAPE.sub(lambda match: _unescaped(match[1]), os.fsencode(name))


def _unescaped(code: bytes) -> bytes:
    return bytes([int(code, 8) & 0xFF]) if len(code) == 3 else _ESCAPED.get(code, code)


#: A member with a longer name, in bytes, can be stored but not extracted with its xattrs, or not at all.
LONGEST_MEMBER = 4079


class Members:
    """Counts the members in a listing."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, data: memoryview) -> None:
        """Take the next bytes of the listing."""
        self.count += bytes(data).count(b"\n")
