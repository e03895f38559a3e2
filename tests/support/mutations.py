# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives and manifests that somebody has damaged or forged: mutations of good ones, by the dice they are given."""

from __future__ import annotations

import collections.abc as c
import copy
import json
import random
import typing as t

from tests.support import hostile

Dice = random.Random

_BLOCK = 512
# Where the fields of a ustar header are: POSIX.1-2017, pax, "ustar Interchange Format".
_FIELDS = {
    "name": (0, 100),
    "mode": (100, 8),
    "uid": (108, 8),
    "gid": (116, 8),
    "size": (124, 12),
    "mtime": (136, 12),
    "checksum": (148, 8),
    "type": (156, 1),
    "link": (157, 100),
    "magic": (257, 8),
    "major": (329, 8),
    "minor": (337, 8),
    "prefix": (345, 155),
}
_NUMBERS = (
    b"",
    b"77777777777",
    b"00000000001",
    b"-1",
    b"9",
    b"\x80\0\0\0\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\xff" * 12,
)
_TEXTS = (
    b"",
    b".",
    b"..",
    b"/",
    b"./",
    b"../../../victim/file",
    b"../../../victim/evil",
    b"/..",
    b"a/../../../../victim/evil",
    b"\xff\xfe",
    b"\n",
    b"x" * 100,
    b"-rf",
    b"folder/../..",
    b"lost+found",
    b".drydock-staging-x/old/y",
    b"@LongLink",
)
_TYPES = tuple(bytes([each]) for each in b"01234567xgLKSDMNVX\0Z\xff")
_RECORDS = (
    ("path", "../../../victim/evil"),
    ("path", ""),
    ("path", "/"),
    ("linkpath", "/etc/passwd"),
    ("size", "-1"),
    ("size", "99999999999999999999999"),
    ("size", "1"),
    ("mtime", "1e400"),
    ("mtime", "-99999999999.123456789123"),
    ("uid", "4294967296"),
    ("gid", "x"),
    ("uname", "nobody\n"),
    ("GNU.sparse.major", "1"),
    ("GNU.sparse.minor", "0"),
    ("GNU.sparse.name", "../../../victim/evil"),
    ("GNU.sparse.realsize", "9223372036854775807"),
    ("GNU.sparse.map", "0,1,99999999999999,1"),
    ("GNU.sparse.numblocks", "1000000"),
    ("GNU.volume.label", "x"),
    ("GNU.dumpdir", "Yfile\0"),
    ("SCHILY.xattr.user.x", "y"),
    ("SCHILY.xattr.", "y"),
    ("SCHILY.xattr.security.capability", "y"),
    ("SCHILY.xattr.trusted.a\n", "y"),
    ("SCHILY.acl.access", "user::rwx,nonsense"),
    ("SCHILY.acl.access", "user::rwx\ngroup::---\nother::---\n"),
    ("SCHILY.acl.default", "x" * 5000),
    ("RHT.security.selinux", "x"),
    ("hdrcharset", "BINARY"),
    ("charset", "latin1"),
    ("comment", "x" * 20_000),
    ("unknown.keyword", "x"),
)


def mangled(dice: Dice, data: bytes) -> bytes:
    """Bytes with a few bits flipped, a part cut, doubled, moved or overwritten, or something put in."""
    out = bytearray(data)
    for _time in range(dice.choice((1, 1, 1, 2, 8))):
        at = dice.randrange(len(out) + 1) if dice.random() < 0.7 else dice.randrange(min(len(out), 700) + 1)
        size = dice.choice((1, 2, 7, 64, 512, 4096))
        how = dice.randrange(8)
        if how <= 1 and out:
            out[at % len(out)] ^= 1 << dice.randrange(8)
        elif how == 2:
            del out[at:]
        elif how == 3:
            del out[at : at + size]
        elif how == 4:
            out[at:at] = dice.randbytes(size)
        elif how == 5:
            out[at : at + size] = bytes(len(out[at : at + size]))
        elif how == 6:
            out[at:at] = out[max(0, at - size) : at]
        else:
            out += dice.choice((b"\0", b"garbage", bytes(_BLOCK), bytes(out[:_BLOCK])))
    return bytes(out)


def forged(dice: Dice, tar: bytes) -> bytes:
    """A tar stream whose headers are in order by their checksums, and wrong or hostile in what they say."""
    blocks = _members(tar)
    for _time in range(dice.choice((1, 1, 2, 4))):
        number = dice.randrange(len(blocks))
        how = dice.randrange(8)
        if how <= 2:
            blocks[number] = _other_field(dice, blocks[number])
        elif how == 3:
            blocks.insert(number, blocks[dice.randrange(len(blocks))])
        elif how == 4 and len(blocks) > 1:
            del blocks[number]
        elif how == 5:
            blocks.insert(number, _extended(dice))
        elif how == 6:
            first, second = number, dice.randrange(len(blocks))
            blocks[first], blocks[second] = blocks[second], blocks[first]
        else:
            cases = list(_CASES.values())
            blocks[number:number] = _members(hostile.archive(dice.choice(cases)[0]))
    end = dice.choice((2, 2, 2, 2, 2, 2, 1, 0, 20)) * _BLOCK
    return b"".join(blocks) + bytes(end)


def forged_manifest(dice: Dice, manifest: dict[str, t.Any]) -> bytes:
    """A manifest's bytes in which something is of another type, huge, missing, doubled, badly encoded or nested."""
    forged_one = copy.deepcopy(manifest)
    for _time in range(dice.choice((1, 1, 1, 3))):
        holder, key = dice.choice(list(_places(forged_one)))
        if dice.random() < 0.1:
            holder.pop(key, None)
        else:
            holder[key] = _value(dice, holder.get(key))
    text = json.dumps(forged_one)
    how = dice.randrange(12)
    if how == 0:
        return mangled(dice, text.encode())
    if how == 1:
        return text.encode(dice.choice(("utf-16", "utf-32", "utf-8-sig", "utf-16-be")))
    if how == 2:
        return text.replace('"id"', f'"id": {json.dumps(_value(dice, "x"))}, "id"', 1).encode()
    if how == 3:
        return (
            text[:-1] + ', "deep": ' + "[" * (depth := dice.choice((500, 5000, 200_000))) + "]" * depth + "}"
        ).encode()
    if how == 4:
        return text.encode().replace(b"db1", dice.choice((b"db\xff", b"d\0b1", b"\\ud800", b"db1\\n")), 1)
    if how == 5:
        return text.replace(
            ": 1,", ": " + dice.choice(("1e999", "NaN", "-Infinity", "9" * 6000, "1.0", "01")) + ",", 1
        ).encode()
    return text.encode()


def _places(value: t.Any) -> c.Iterator[tuple[t.Any, t.Any]]:
    """Every place in a manifest: what it is in, and its key."""
    for key, inner in list(value.items()):
        yield value, key
        if isinstance(inner, dict):
            yield from _places(inner)


def _value(dice: Dice, before: t.Any) -> t.Any:
    values: list[t.Any] = [
        None, True, False, 0, 1, -1, 1 << 63, 1 << 64, 10**400, -(10**30), 0.5, 1e308, float("nan"), float("inf"),
        "", "x", "../../../victim/evil", "/etc/passwd", "x" * 70_000, "a\0b", "a\nb\nc", "\ud800", "\U0001f433",
        [], {}, [[]], {"": ""}, {"a": 1}, {"a": {"b": []}}, ["x"] * 1000, [before], {"a": before},
        "20261123T101502Z", "20269999T999999Z", "0" * 64, "zstd", "gzip", "none", "age",
        {"method": "age", "recipients": []}, {"method": "gpg", "recipients": [], "symmetric": True}, {"method": []},
        {"method": "age", "recipients": ["x\ny"]},
    ]  # fmt: skip
    if isinstance(before, int):
        values += [before + 1, before - 1, before * 10, str(before), before / 3 if before < 1 << 64 else 0.5]
    if isinstance(before, str):
        values += [
            before + "x",
            before[:-1],
            before.upper(),
            [before],
            before.encode("utf-16", "surrogatepass").decode("latin1"),
        ]
    return dice.choice(values)


_CASES: dict[str, t.Any] = {}


def aim(victim: t.Any) -> None:
    """Have the hostile members aim at this directory."""
    _CASES.update(hostile.cases(victim))


def _members(tar: bytes) -> list[bytes]:
    """The members of a good tar stream, each with the extended headers before it and its contents."""
    found, at, start = [], 0, 0
    while at + _BLOCK <= len(tar) and any(tar[at : at + _BLOCK]):
        size = int(tar[at + 124 : at + 135].strip(b" \0") or b"0", 8)
        kind = tar[at + 156 : at + 157]
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
        if kind not in b"xgLK":
            found.append(tar[start:at])
            start = at
    return found


def _other_field(dice: Dice, member: bytes) -> bytes:
    """A member with another value in one field of one of its headers, and the checksum that belongs to that."""
    headers = [at for at in range(0, len(member), _BLOCK) if member[at + 257 : at + 262] == b"ustar"]
    at = dice.choice(headers or [0])
    header = bytearray(member[at : at + _BLOCK])
    field = dice.choice(list(_FIELDS))
    start, length = _FIELDS[field]
    if field == "type":
        value = dice.choice(_TYPES)
    elif field in ("name", "link", "prefix", "magic"):
        value = dice.choice(_TEXTS)
    else:
        value = dice.choice((*_NUMBERS, dice.randbytes(length)))
    header[start : start + length] = value[:length].ljust(length, b"\0")
    fixed = bytes(header) if field == "checksum" else hostile.checked(header)
    return member[:at] + fixed + member[at + _BLOCK :]


def _extended(dice: Dice) -> bytes:
    """An extended header for the next member, or for all that follow."""
    records = b""
    for key, value in dice.sample(_RECORDS, dice.choice((1, 1, 2, 5))):
        text = f" {key}={value}\n".encode()
        length = len(text) + len(str(len(text)))
        length = len(text) + len(str(length))
        stated = length if dice.random() < 0.85 else dice.choice((0, 1, length - 1, length + 1, 10**20))
        records += str(stated).encode() + text
    header = bytearray(_BLOCK)
    header[:8] = b"PaxHeads"
    header[124:135] = b"%011o" % len(records)
    header[156:157] = dice.choice((b"x", b"x", b"x", b"g"))
    header[257:265] = b"ustar\x0000"
    for start, length in ((100, 8), (108, 8), (116, 8), (136, 12)):
        header[start : start + length - 1] = b"0" * (length - 1)
    return hostile.checked(header) + records.ljust(-(-len(records) // _BLOCK) * _BLOCK, b"\0")
