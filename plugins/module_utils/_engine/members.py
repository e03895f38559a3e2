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

from . import acl, holes
from .fields import BLOCK, SECOND, Stream, number, text, time, unknown

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
_XATTR, _ACL = "SCHILY.xattr.", "SCHILY.acl."
_ACLS = {"access": "system.posix_acl_access", "default": "system.posix_acl_default"}
# The most that a header, a long name, a map of a sparse file may take: no file system holds more.
_LONGEST = 64 << 20


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
                raise unknown("a block of zeros between members", stream.at)
            return
        fields = _HEADER(header)
        kind, magic, size = fields[7], fields[9], number(fields[4], stream.at)
        if magic not in (b"ustar\x0000", b"ustar  \0") and number(fields[6], stream.at) != _sum(header):
            raise unknown("a header whose checksum is wrong", stream.at)
        if kind in (b"x", b"g"):
            data = _data(stream, size)
            if kind == b"g":
                defaults = _Records.parse(data, stream.at, defaults)
            else:
                records = _Records.parse(data, stream.at, defaults)
            continue
        if kind == b"L":
            long_name = text(_data(stream, size))
            continue
        if kind == b"K":
            long_link = text(_data(stream, size))
            continue
        name = long_name if long_name is not None else _name(fields, magic)
        link = long_link if long_link is not None else text(fields[8])
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
            raise unknown("a pax record that makes no sense", at) from None
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
        elif key.startswith(holes.KEYS):
            self.texts[key] = value
        elif key == "hdrcharset" and value == b"BINARY":
            pass
        elif key not in _IDLE:
            raise unknown(f"the pax keyword {key!r}", at)


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
    size = made.size = number(fields[4], at)
    made.mtime = number(fields[5], at) * SECOND
    made.uid, made.gid = number(fields[2], at), number(fields[3], at)
    if texts:
        name, link = texts.get("GNU.sparse.name", texts.get("path", name)), texts.get("linkpath", link)
        _take_numbers(made, texts, at)
        size = made.size
    if kind == stat.S_IFREG and name.endswith(b"/"):
        kind = stat.S_IFDIR  # in v7 nothing else says so
    if kind == HARD_LINK:
        size = 0
    elif kind != stat.S_IFREG and size:
        raise unknown(f"data of what isn't a file ({os.fsdecode(name)!r})", at)
    made.kind = kind
    made.mode = number(fields[1], at) & 0o7777
    made.size = made.stored = size
    made.link, made.device, made.xattrs = link, 0, records.xattrs
    if records.acls:
        made.xattrs = dict(records.xattrs)
        for which, said in records.acls.items():
            _take_acl(made.xattrs, _ACLS[which], said, at)
    if kind in _DEVICES:
        made.device = os.makedev(number(fields[12], at), number(fields[13], at))
    made.pieces = [(0, size)] if kind == stat.S_IFREG else []
    if fields[7] == b"S":
        made.size, made.stored, made.pieces = holes.old(stream, header, made.stored)
    elif made.pieces and (records.pieces or any(key.startswith(holes.KEYS) for key in texts)):
        made.size, made.stored, made.pieces = holes.pax(stream, texts, records.pieces, made.stored)
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
        raise unknown(f"a member of the type {flag!r}", at)
    return kind


def _take_numbers(member: Member, texts: dict[str, bytes], at: int) -> None:
    """Have the numbers of pax records in place of the header's, which has no room for some."""
    try:
        member.size = int(texts.get("size", member.size))
        member.uid, member.gid = int(texts.get("uid", member.uid)), int(texts.get("gid", member.gid))
        if "mtime" in texts:
            member.mtime = time(texts["mtime"])
    except ValueError:
        raise unknown("a pax record whose number is none", at) from None


def _take_acl(xattrs: dict[str, bytes], key: str, said: bytes, at: int) -> None:
    """Have the ACL that a text tells among the xattrs, unless its numbers are there already."""
    if key in xattrs:
        return
    try:
        value = acl.parse(os.fsdecode(said))
    except ValueError as error:
        raise unknown(f"an ACL ({str(error)[:200]})", at) from None
    if value and (key.endswith("default") or not acl.trivial(value)):
        xattrs[key] = value


def _path(name: bytes, at: int, strip: int) -> bytes | None:
    """The path below the root, or None where stripping leaves nothing."""
    if strip == 0 and name[:2] == b"./" and b"//" not in name and b"/." not in name[1:] and b"\0" not in name:
        return name[2:-1] if name.endswith(b"/") else name[2:]
    parts = name.lstrip(b"/").split(b"/")
    if b".." in parts or b"\0" in name or not name:
        raise unknown(f"the name {os.fsdecode(name)!r}", at)
    if strip:
        # as tar counts: "./" is one
        parts = [part for part in parts if part][strip:]
        if not parts:
            return None
    return b"/".join(part for part in parts if part not in (b"", b"."))


def _name(fields: tuple[bytes, ...], magic: bytes) -> bytes:
    name = text(fields[0])
    if magic == b"ustar\x0000" and fields[14][0]:
        return text(fields[14]) + b"/" + name
    return name


def _data(stream: Stream, size: int) -> bytes:
    if not 0 <= size <= _LONGEST:
        raise unknown(f"a header of {size} bytes", stream.at)
    data = stream.take(size)
    stream.skip(-size % BLOCK)
    return data


def _sum(header: bytes) -> int:
    return sum(header) - sum(header[148:156]) + 8 * 0x20
