# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a tar stream member by member, much faster than tarfile, and as GNU tar extracts it.

It knows pax (POSIX.1-2001) with GNU's sparse files 0.0, 0.1 and 1.0 and the xattrs and ACLs of SCHILY, ustar, GNU's old
format with its long names and sparse files, and v7: https://www.gnu.org/software/tar/manual/html_node/Standard.html and
the two sections after it. What it doesn't know it refuses.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Iterator
from typing import Protocol

from . import acl
from .errors import IntegrityError

BLOCK = 512
#: The kind of a member that is one more name of another.
HARD_LINK = -1

_HEADER = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x").unpack
_END = bytes(BLOCK)
_KINDS = {
    b"0": stat.S_IFREG,
    b"\0": stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    b"1": HARD_LINK,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"5": stat.S_IFDIR,
    b"6": stat.S_IFIFO,
}
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
# What tells nothing that a restore would bring back.
_IDLE = {"atime", "ctime", "comment", "uname", "gname"}
_XATTR, _ACL, _SPARSE = "SCHILY.xattr.", "SCHILY.acl.", "GNU.sparse."
_ACLS = {"access": "system.posix_acl_access", "default": "system.posix_acl_default"}
_SECOND = 1_000_000_000
# The most that a header, a long name, a map of a sparse file may take: no file system holds more.
_LONGEST = 64 << 20


class Stream(Protocol):
    """Bytes in their order; ``at`` is how many were taken or skipped. Both raise IntegrityError where it ends early."""

    at: int

    def take(self, count: int) -> bytes:
        """The next bytes."""

    def skip(self, count: int) -> None:
        """Pass over the next bytes."""


class Member:
    """What an archive says of one entry.

    ``path`` is relative to the root (b"" is the root itself) and ``link`` the target of a symlink as it stands, or the
    path of the member that a HARD_LINK is another name of. ``kind`` is HARD_LINK or one of stat's S_IF. ``mtime`` is in
    nanoseconds. Of a file of ``size`` bytes the stream holds the ``stored`` ones of ``pieces``, each an offset and a
    length, in that order, and between them are holes.
    """

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime", "path", "pieces", "size", "stored", "uid", "xattrs")

    path: bytes
    kind: int
    mode: int
    uid: int
    gid: int
    mtime: int
    size: int
    stored: int
    pieces: list[tuple[int, int]]
    link: bytes
    device: int
    xattrs: dict[str, bytes]


def read(stream: Stream, *, strip: int = 0) -> Iterator[Member]:
    """The members of a tar stream, without the first ``strip`` parts of their paths, as tar's --strip-components.

    When one is returned, the stream is at its stored bytes; take as many of them as you like before the next one.
    Raise IntegrityError for what can't be understood.
    """
    defaults = _Records()
    records: _Records | None = None
    long_name = long_link = None
    while True:
        header = stream.take(BLOCK)
        if header == _END:
            if stream.take(BLOCK) != _END:
                raise _unknown("a block of zeros between members", stream.at)
            return
        fields = _HEADER(header)
        kind, magic, size = fields[7], fields[9], _number(fields[4], stream.at)
        if magic not in (b"ustar\x0000", b"ustar  \0") and _number(fields[6], stream.at) != _sum(header):
            raise _unknown("a header whose checksum is wrong", stream.at)
        if kind in (b"x", b"g"):
            data = _data(stream, size)
            if kind == b"g":
                defaults = _Records.parse(data, stream.at, defaults)
            else:
                records = _Records.parse(data, stream.at, defaults)
            continue
        if kind == b"L":
            long_name = _text(_data(stream, size))
            continue
        if kind == b"K":
            long_link = _text(_data(stream, size))
            continue
        name = long_name if long_name is not None else _name(fields, magic)
        link = long_link if long_link is not None else _text(fields[8])
        member = _member(stream, header, fields, name, link, records if records is not None else defaults, strip)
        records = long_name = long_link = None
        if member is None:
            stream.skip(-(-size // BLOCK) * BLOCK)
            continue
        end = stream.at + -(-member.stored // BLOCK) * BLOCK
        yield member
        stream.skip(end - stream.at)


class _Records:
    """What the records of a pax header say."""

    __slots__ = ("acls", "pieces", "texts", "xattrs")

    def __init__(self) -> None:
        self.texts: dict[str, bytes] = {}
        self.xattrs: dict[str, bytes] = {}
        self.acls: dict[str, bytes] = {}
        self.pieces: list[int] = []

    @classmethod
    def parse(cls, data: bytes, at: int, defaults: _Records) -> _Records:
        made = cls()
        if defaults.texts or defaults.xattrs or defaults.acls:
            made.texts, made.xattrs, made.acls = dict(defaults.texts), dict(defaults.xattrs), dict(defaults.acls)
        place, length = 0, len(data)
        try:
            while place < length:
                space = data.index(b" ", place, place + 20)
                end = place + int(data[place:space])
                equals = data.index(b"=", space, end)
                if data[end - 1] != 10 or end > length:  # a newline
                    raise ValueError
                made._add(os.fsdecode(data[space + 1 : equals]), data[equals + 1 : end - 1], at)
                place = end
        except (ValueError, IndexError):
            raise _unknown("a pax record that makes no sense", at) from None
        return made

    def _add(self, key: str, value: bytes, at: int) -> None:
        if key in ("mtime", "path", "linkpath", "size", "uid", "gid"):
            if value:
                self.texts[key] = value
            else:
                self.texts.pop(key, None)
        elif key.startswith(_XATTR):
            # tar has no other way to have these two in a key
            self.xattrs[key[len(_XATTR) :].replace("%3D", "=").replace("%25", "%")] = value
        elif key.startswith(_ACL) and key[len(_ACL) :] in _ACLS:
            self.acls[key[len(_ACL) :]] = value
        elif key in ("GNU.sparse.offset", "GNU.sparse.numbytes"):
            self.pieces.append(int(value))
        elif key.startswith(_SPARSE):
            self.texts[key] = value
        elif key == "hdrcharset" and value == b"BINARY":
            pass
        elif key not in _IDLE:
            raise _unknown(f"the pax keyword {key!r}", at)


def _member(
    stream: Stream,
    header: bytes,
    fields: tuple[bytes, ...],
    name: bytes,
    link: bytes,
    records: _Records,
    strip: int,
) -> Member | None:
    """What the headers together say, or None for a member of which nothing is left."""
    at, texts = stream.at, records.texts
    kind = _kind(fields[7], at)
    made = Member()
    size = made.size = _number(fields[4], at)
    made.mtime = _number(fields[5], at) * _SECOND
    made.uid, made.gid = _number(fields[2], at), _number(fields[3], at)
    if texts:
        name, link = texts.get("GNU.sparse.name", texts.get("path", name)), texts.get("linkpath", link)
        _take_numbers(made, texts, at)
        size = made.size
    if kind == stat.S_IFREG and name.endswith(b"/"):
        kind = stat.S_IFDIR  # in v7 nothing else says so
    if kind == HARD_LINK:
        size = 0
    elif kind != stat.S_IFREG and size:
        raise _unknown(f"data of what isn't a file ({os.fsdecode(name)!r})", at)
    made.kind = kind
    made.mode = _number(fields[1], at) & 0o7777
    made.size = made.stored = size
    made.link, made.device, made.xattrs = link, 0, records.xattrs
    if records.acls:
        made.xattrs = dict(records.xattrs)
        for which, text in records.acls.items():
            _take_acl(made.xattrs, _ACLS[which], text, at)
    if kind in _DEVICES:
        made.device = os.makedev(_number(fields[12], at), _number(fields[13], at))
    made.pieces = [(0, size)] if kind == stat.S_IFREG else []
    if fields[7] == b"S":
        _old_sparse(stream, header, made)
    elif made.pieces and (records.pieces or any(key.startswith(_SPARSE) for key in texts)):
        _pax_sparse(stream, records, made)
    path = _path(name, at, strip)
    if path is None:
        return None
    made.path = path
    if kind == HARD_LINK:
        made.link = _path(link, at, strip) or b""
    return made


def _kind(flag: bytes, at: int) -> int:
    kind = _KINDS.get(flag)
    if kind is None:
        raise _unknown(f"a member of the type {flag!r}", at)
    return kind


def _take_numbers(member: Member, texts: dict[str, bytes], at: int) -> None:
    """Have the numbers of pax records in place of the header's, which has no room for some."""
    try:
        member.size = int(texts.get("size", member.size))
        member.uid, member.gid = int(texts.get("uid", member.uid)), int(texts.get("gid", member.gid))
        if "mtime" in texts:
            member.mtime = _time(texts["mtime"])
    except ValueError:
        raise _unknown("a pax record whose number is none", at) from None


def _take_acl(xattrs: dict[str, bytes], key: str, text: bytes, at: int) -> None:
    """Have the ACL that a text tells among the xattrs, unless its numbers are there already."""
    if key in xattrs:
        return
    try:
        value = acl.parse(os.fsdecode(text))
    except ValueError as error:
        raise _unknown(f"an ACL ({str(error)[:200]})", at) from None
    if value and (key.endswith("default") or not acl.trivial(value)):
        xattrs[key] = value


def _path(name: bytes, at: int, strip: int) -> bytes | None:
    """The path below the root, or None where stripping leaves nothing."""
    if strip == 0 and name[:2] == b"./" and b"//" not in name and b"/." not in name[1:] and b"\0" not in name:
        return name[2:-1] if name.endswith(b"/") else name[2:]
    parts = name.lstrip(b"/").split(b"/")
    if b".." in parts or b"\0" in name or not name:
        raise _unknown(f"the name {os.fsdecode(name)!r}", at)
    if strip:
        # as tar counts: "./" is one
        parts = [part for part in parts if part][strip:]
        if not parts:
            return None
    return b"/".join(part for part in parts if part not in (b"", b"."))


def _pax_sparse(stream: Stream, records: _Records, member: Member) -> None:
    """Take the map of a file with holes in one of GNU's three ways."""
    texts, at = records.texts, stream.at
    try:
        if texts.get("GNU.sparse.major") == b"1" and texts.get("GNU.sparse.minor") == b"0":
            numbers = _numbers_of_map(stream, member)
            member.size = int(texts["GNU.sparse.realsize"])
        elif "GNU.sparse.major" in texts:
            raise _unknown("a sparse file of a newer kind", at)
        elif "GNU.sparse.map" in texts:
            numbers = [int(number) for number in texts["GNU.sparse.map"].split(b",")]
            member.size = int(texts["GNU.sparse.size"])
        else:
            numbers = records.pieces
            member.size = int(texts["GNU.sparse.size"])
    except (KeyError, ValueError):
        raise _unknown("a sparse file whose map makes no sense", at) from None
    member.pieces = list(zip(numbers[::2], numbers[1::2]))
    _check_pieces(member, len(numbers), at)


def _numbers_of_map(stream: Stream, member: Member) -> list[int]:
    """The numbers in front of the data: how many pieces there are, then offset and length of each, a line a number."""
    lines: list[bytes] = [b""]
    wanted = None
    while wanted is None or len(lines) <= wanted:
        block = stream.take(BLOCK)
        member.stored -= BLOCK
        first, *more = block.split(b"\n")
        lines[-1] += first
        lines += more
        if wanted is None and len(lines) > 1:
            wanted = 2 * int(lines[0]) + 1
        if member.stored < 0:
            raise ValueError
    return [int(line) for line in lines[1:wanted]]


def _old_sparse(stream: Stream, header: bytes, member: Member) -> None:
    """Take the map of a file with holes in GNU's old format: four pieces in the header, 21 in each block after it."""
    at = stream.at
    parts, more = [header[386:482]], header[482]
    while more:
        block = stream.take(BLOCK)
        parts.append(block[:504])
        more = block[504]
    whole = b"".join(parts)
    pieces = []
    for place in range(0, len(whole), 24):
        if whole[place] == 0:
            break
        pieces.append((_number(whole[place : place + 12], at), _number(whole[place + 12 : place + 24], at)))
    member.pieces = pieces
    member.size = _number(header[483:495], at)
    _check_pieces(member, 2 * len(pieces), at)


def _check_pieces(member: Member, numbers: int, at: int) -> None:
    """Raise IntegrityError unless the pieces follow each other in the file and are what is stored."""
    end = 0
    for offset, length in member.pieces:
        if offset < end or length < 0:
            raise _unknown("a sparse file whose pieces overlap", at)
        end = offset + length
    if numbers % 2 or end > member.size or sum(length for _offset, length in member.pieces) != member.stored:
        raise _unknown("a sparse file whose map isn't that of its data", at)


def _name(fields: tuple[bytes, ...], magic: bytes) -> bytes:
    name = _text(fields[0])
    if magic == b"ustar\x0000" and fields[14][0]:
        return _text(fields[14]) + b"/" + name
    return name


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _data(stream: Stream, size: int) -> bytes:
    if not 0 <= size <= _LONGEST:
        raise _unknown(f"a header of {size} bytes", stream.at)
    data = stream.take(size)
    stream.skip(-size % BLOCK)
    return data


_SMALL: dict[bytes, int] = {}


def _number(field: bytes, at: int) -> int:
    """A number in octal digits, or where its first bit is set in base 256, of two's complement. Most come again."""
    known = _SMALL.get(field)
    if known is not None:
        return known
    if field[0] & 0x80:
        number = int.from_bytes(field, "big") - (1 << 8 * len(field) - 1)
        if field[0] & 0x40:
            number -= 1 << 8 * len(field) - 1
    else:
        try:
            number = int(field.rstrip(b"\0 ") or b"0", 8)
        except ValueError:
            raise _unknown(f"a header with the number {field!r}", at) from None
    if len(_SMALL) > 10_000:
        _SMALL.clear()
    _SMALL[field] = number
    return number


def _time(text: bytes) -> int:
    """Nanoseconds out of seconds with a fraction of any length: -1.500000001 is before 1970."""
    whole, _point, fraction = text.partition(b".")
    negative = whole.startswith(b"-")
    if not whole.lstrip(b"-").isdigit() or (fraction and not fraction.isdigit()):
        raise ValueError
    number = abs(int(whole)) * _SECOND + int(fraction[:9].ljust(9, b"0"))
    return -number - (fraction[9:].strip(b"0") != b"") if negative else number


def _sum(header: bytes) -> int:
    return sum(header) - sum(header[148:156]) + 8 * 0x20


def _unknown(what: str, at: int) -> IntegrityError:
    return IntegrityError(
        f"the archive can't be compared: it has {what}, up to byte {at}; with verify: none it is restored all the same"
    )
