# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an archive that has no manifest holds, by GNU tar's listing of it: how much, and whether it may be extracted.

The same program lists and extracts, so nothing is read in two ways. Names are looked at as tar makes them: leading
slashes don't count, and components are stripped as by --strip-components.
"""

from __future__ import annotations

import os
import re

from . import archive, roots
from .errors import IntegrityError
from .pipeline import LISTING, Stage

_BLOCK = 512
_STAGING, _HALF = os.fsencode(roots.PREFIX), os.fsencode(roots.MARKER)
_TEXT = rb'"((?:[^"\\]|\\.)*)"'
# GNU tar 1.34, src/list.c: print_header, and read_and for the lines at the end. With this quoting style no name can
# look like another part of the line, and with LC_ALL=C all of it is ASCII.
_MEMBER = re.compile(
    rb'block (\d+): (.)[^\s+]*(\+?) +\S+ +(\d+)(?:,\d+)? [^"]*' + _TEXT + rb"(?: (?:->|link to) " + _TEXT + rb")?(.*)"
)
_LAST = re.compile(rb"block (\d+): \*\* (Block of NULs|End of File) \*\*")
_DIRECTORY, _SYMLINK, _HARD_LINK, _LABEL, _FILES = b"d", b"l", b"h", b"V", (b"-", b"C")
_KINDS = (_DIRECTORY, _SYMLINK, _HARD_LINK, *_FILES, b"b", b"c", b"p")


def stage(tar: str) -> Stage:
    """The stage that reads a tar stream to its end and lists it, for a Listing. It reads all of it: it doesn't seek."""
    return Stage(
        "tar",
        (
            tar,
            "--list",
            "--file=-",
            "--no-seek",
            archive.BLOCKS,
            "--verbose",
            "--numeric-owner",
            "--block-number",
            "--acls",
            "--quoting-style=c",
            f"--index-file=/dev/fd/{LISTING}",
        ),
    )


class Listing:
    """Takes a listing, and judges it when it is complete.

    ``strip`` components are taken off each member's name. ``bytes`` is the sum of the files' sizes. ``repeated`` tells
    that a name comes twice, so that the numbers aren't exact; ``leftovers`` how many members a dead restore has left in
    the volume that the archive was made of, which aren't part of what it holds; ``with_acl`` is the path of the first
    member that has an ACL as text.
    """

    def __init__(self, strip: int) -> None:
        self._strip = strip
        self._rest = b""
        self._end = b""
        self._odd: bytes | None = None
        self._streamed = 0
        self._parent: bytes | None = b""
        # Names are kept as numbers, because there may be millions; a wrong guess, one in 2**64, is tar's to find.
        self._known = {hash(b"")}
        self._beyond: set[int] = set()
        self._symlinks: set[bytes] = set()
        self._tops: dict[bytes, int] = {}
        self._first: bytes | None = None
        self._several = self._own_root = self._dotted = False
        self._members = 0
        self.bytes = self.leftovers = 0
        self.repeated = False
        self.with_acl: bytes | None = None

    def __call__(self, data: memoryview) -> None:
        """Take the next bytes of the listing. Raise IntegrityError for a member that must not be extracted."""
        *lines, self._rest = (self._rest + bytes(data)).split(b"\n")
        for line in lines:
            found = _MEMBER.fullmatch(line)
            if found is not None:
                self._member(found)
                continue
            last = _LAST.fullmatch(line)
            if last is None:
                self._odd = line  # also half a line, which tar leaves where it finds something wrong
                continue
            self._streamed, self._end = int(last[1]) * _BLOCK, last[2]

    def judge(self) -> None:
        """Raise IntegrityError unless the archive has an end, and something in it. tar has ended well."""
        if self._odd is not None:
            raise IntegrityError(f"tar lists something that isn't understood here: {_shown(self._odd)}")
        if self._end != b"Block of NULs":
            raise IntegrityError("it has no end: the two blocks of zeros that every tar archive ends with are missing")
        if not self.extracted:
            why = f", with strip_components: {self._strip}" if self._strip else ""
            raise IntegrityError(f"it is empty: it holds no file and no directory{why}")

    @property
    def extracted(self) -> int:
        """How many members are extracted."""
        return self._members + (sum(self._tops.values()) if self.stripped_root else 0)

    @property
    def rooted(self) -> bool:
        """Whether a member says what the root is like."""
        return self._own_root or self.stripped_root

    @property
    def stripped_root(self) -> bool:
        """Whether that is the directory which is stripped from the others' names: there is just one."""
        return not self._own_root and len(self._tops) == 1

    @property
    def entries(self) -> int:
        """How many there are after the extraction: the root counts, and so do directories that have no member."""
        return len(self._known) - len(self._beyond)

    @property
    def allocated(self) -> int:
        """What the files take on disk, in bytes: not more than there is in the archive, because files have holes."""
        return min(self.bytes, self._streamed)

    @property
    def single(self) -> tuple[str, int] | None:
        """The directory that all is in, and how many components must be stripped to be rid of it; None if there is no
        such, or if a member tells that it is part of the volume."""
        if self._strip or self._own_root or self._several or self._first is None or self.entries <= 2:
            return None
        return _shown(self._first), 2 if self._dotted else 1

    def _member(self, found: re.Match[bytes]) -> None:
        kind, quoted = found[2], found[5]
        if kind == _LABEL:
            return
        if kind not in _KINDS or found[7]:
            raise IntegrityError(f"its member {_shown(quoted)} is of a kind that isn't known here")
        parts = _parts(_unquoted(quoted), quoted)
        left = parts[self._strip :]
        if self._strip and not left:
            self._stripped(kind, parts, quoted)
            return
        path = b"/".join([part for part in left if part != b"."])
        self._members += 1
        if found[3] and self.with_acl is None:
            self.with_acl = path
        if not path:
            self._root(kind, quoted)
            return
        if path == _HALF:
            raise IntegrityError(f"it was made of a volume that held a part of a restore only: it has a {_shown(path)}")
        self._enter(path.rpartition(b"/")[0], quoted)
        if kind == _HARD_LINK:
            self._linked(path, _unquoted(found[6] or b""), quoted)
        elif kind == _SYMLINK:
            self._symlinks.add(path)
            self._parent = None
        self._count(kind, path, parts, int(found[4]) if kind in _FILES else 0)

    def _count(self, kind: bytes, path: bytes, parts: list[bytes], size: int) -> None:
        number = hash(path)
        if kind != _DIRECTORY and number in self._known:
            self.repeated = True
        self._known.add(number)
        first = path.partition(b"/")[0]
        if self._first is None:
            self._first, self._dotted = first, parts[0] == b"."
        elif first != self._first:
            self._several = True
        if first.startswith(_STAGING):
            self._beyond.add(number)
            self.leftovers += 1
        else:
            self.bytes += size

    def _stripped(self, kind: bytes, parts: list[bytes], quoted: bytes) -> None:
        """Take a member that has no more components than are stripped."""
        if kind != _DIRECTORY:
            raise IntegrityError(
                f"strip_components: {self._strip} leaves nothing of the name of its member {_shown(quoted)}, which is "
                "no directory"
            )
        if len(parts) == self._strip:
            top = b"/".join(parts)
            self._tops[top] = self._tops.get(top, 0) + 1

    def _root(self, kind: bytes, quoted: bytes) -> None:
        if kind != _DIRECTORY:
            raise IntegrityError(f"its root is no directory: that is what its member {_shown(quoted)} would make of it")
        self._own_root = True

    def _enter(self, parent: bytes, quoted: bytes) -> None:
        """See that a directory may have something in it, and count it and those above."""
        if parent == self._parent:
            return
        path = parent
        while path:
            if path in self._symlinks:
                raise IntegrityError(f"its member {_shown(quoted)} is below a symlink, {_shown(path)}")
            number = hash(path)
            self._known.add(number)
            if path.startswith(_STAGING):
                self._beyond.add(number)
            path = path.rpartition(b"/")[0]
        self._parent = parent

    def _linked(self, path: bytes, target: bytes, quoted: bytes) -> None:
        """See that a hard link leads to a member before it."""
        parts = _parts(target, quoted)[self._strip :]
        other = b"/".join([part for part in parts if part != b"."])
        if hash(other) not in self._known or not other:
            raise IntegrityError(
                f"its member {_shown(quoted)} is a hard link to {_shown(target)}, which isn't in the archive before it"
            )
        self._enter(other.rpartition(b"/")[0], quoted)
        if other in self._symlinks:
            self._symlinks.add(path)
            self._parent = None


def _parts(name: bytes, quoted: bytes) -> list[bytes]:
    """The components of a name."""
    parts = [part for part in name.split(b"/") if part]
    if b".." in parts:
        raise IntegrityError(f"its member {_shown(quoted)} leads out: there is a '..' in a name")
    return parts


def _unquoted(quoted: bytes) -> bytes:
    return archive.unquoted(os.fsdecode(quoted)) if b"\\" in quoted else quoted


def _shown(name: bytes) -> str:
    """A name for a line of text, and not too much of it."""
    text = name.decode("ascii", "backslashreplace")
    return text if text.isprintable() and len(text) <= 200 else repr(text[:200])
