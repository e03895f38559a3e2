# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reader of tar streams: every format that GNU tar writes, told as it extracts them, and nothing else."""

from __future__ import annotations

import io
import os
import pathlib
import stat
import struct
import subprocess
import tarfile
import typing as t

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.drydock.volumes.plugins.module_utils._engine import acl, fields, members
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import IntegrityError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.members import Member
from tests.support import trees
from tests.unit.helpers import needs_root


class Bytes:
    """A stream of bytes in memory."""

    def __init__(self, data: bytes) -> None:
        self.at = 0
        self._data = data

    def take(self, count: int) -> bytes:
        taken = self._data[self.at : self.at + count]
        if len(taken) < count:
            raise IntegrityError("the archive can't be compared: it ends")
        self.at += count
        return taken

    def skip(self, count: int) -> None:
        self.take(count)


def read(data: bytes, **options: int) -> list[Member]:
    return list(members.read(Bytes(data), **options))


def header(**fields: bytes) -> bytes:
    """A header with these fields, as ustar has them, and the checksum."""
    values = {"name": b"name", "mode": b"0000644", "uid": b"0", "gid": b"0", "size": b"0", "mtime": b"17", "kind": b"0"}
    values |= {"link": b"", "magic": b"ustar\x0000", "major": b"", "minor": b"", "prefix": b"", **fields}
    order = ("name", "mode", "uid", "gid", "size", "mtime", "sum", "kind", "link", "magic", "un", "gn", "major")
    values |= {"sum": b" " * 8, "un": b"", "gn": b""}
    packed = struct.pack(
        "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x", *(values[key] for key in (*order, "minor", "prefix"))
    )
    return packed[:148] + b"%06o\0 " % sum(packed) + packed[156:]


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    """A pax header with these records, and what it is in front of."""
    data = b""
    for key, value in records:
        length = len(key) + len(value) + 3
        while length != len(key) + len(value) + 3 + len(str(length)):
            length = len(key) + len(value) + 3 + len(str(length))
        data += b"%d %s=%s\n" % (length, key, value)
    return header(kind=kind, size=b"%o" % len(data)) + data + bytes(-len(data) % 512)


END = bytes(1024)


@pytest.mark.parametrize("form", ["posix", "gnu", "oldgnu", "ustar", "v7"])
def test_each_format_of_gnu_tar(tmp_path: pathlib.Path, form: str) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    (tree / "below" / "file").write_bytes(b"x" * 1000)
    (tree / ".hidden").touch()
    (tree / "link").symlink_to("below")
    os.link(tree / "below" / "file", tree / "second")
    if form in ("posix", "gnu", "oldgnu"):
        (tree / ("n" * 200)).write_bytes(b"long")
        (tree / "far").symlink_to("t" * 150)
    data = subprocess.run(
        ["tar", "-C", tree, f"--format={form}", "--numeric-owner", "--sort=name", "-cf", "-", "."],
        capture_output=True,
        check=True,
    ).stdout
    found = {member.path: member for member in read(data)}
    assert found.keys() == {os.fsencode(path.relative_to(tree)) if path != tree else b"" for path in _walk(tree)}
    for path, member in found.items():
        facts = (tree / os.fsdecode(path)).lstat()
        if member.kind == members.HARD_LINK:
            assert {member.path, member.link} == {b"second", b"below/file"}
            continue
        assert (member.kind, member.mode) == (stat.S_IFMT(facts.st_mode), stat.S_IMODE(facts.st_mode))
        assert (member.uid, member.gid) == (facts.st_uid, facts.st_gid)
        exact = facts.st_mtime_ns
        assert member.mtime == (exact if form == "posix" else exact // 10**9 * 10**9)
        assert member.size == (facts.st_size if stat.S_ISREG(facts.st_mode) else 0)
        assert not stat.S_ISLNK(facts.st_mode) or member.link == os.fsencode(os.readlink(tree / os.fsdecode(path)))


def _walk(tree: pathlib.Path) -> list[pathlib.Path]:
    return [tree, *tree.rglob("*")]


@pytest.mark.parametrize("form", ["posix", "posix 0.1", "posix 0.0", "oldgnu"])
@pytest.mark.parametrize("pieces", [1, 2, 60])
def test_sparse_files(tmp_path: pathlib.Path, form: str, pieces: int) -> None:
    size = 1 << 20
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size + 17)
        for number in range(pieces):
            file.seek(number * 16384)
            file.write(b"data")
    name, _space, version = form.partition(" ")
    options = [f"--sparse-version={version}"] if version else []
    data = subprocess.run(
        ["tar", "-C", tmp_path, f"--format={name}", *options, "-Scf", "-", "file"], capture_output=True, check=True
    ).stdout
    (member,) = read(data)
    assert (member.path, member.size) == (b"file", size + 17)
    stream = Bytes(data)
    (got,) = [_contents(found, stream) for found in members.read(stream)]
    assert got == (tmp_path / "file").read_bytes()
    assert member.stored < size


def _contents(member: Member, stream: Bytes) -> bytes:
    made = bytearray(member.size)
    for offset, length in member.pieces:
        made[offset : offset + length] = stream.take(length)
    return bytes(made)


@needs_root
def test_a_nasty_tree_is_as_tarfile_tells_it(tmp_path: pathlib.Path) -> None:
    tree = tmp_path / "tree"
    try:
        trees.make_nasty(tree)
        trees.make_huge_sparse(tree / "huge")
        options = ["--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "--numeric-owner", "--sparse"]
        data = subprocess.run(["tar", "-C", tree, *options, "-cf", "-", "."], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(data), errors="surrogateescape") as file:
            told = [os.fsencode(info.name).removeprefix(b".").removeprefix(b"/") for info in file]
        found = read(data)
        assert [member.path for member in found] == told
        for member in found:
            path = os.path.join(os.fsencode(tree), member.path)
            if len(path) > 4000 or member.kind == members.HARD_LINK:
                continue
            facts = os.lstat(path)
            assert (member.kind, member.mode) == (stat.S_IFMT(facts.st_mode), stat.S_IMODE(facts.st_mode))
            assert (member.uid, member.gid, member.mtime) == (facts.st_uid, facts.st_gid, facts.st_mtime_ns), path
            assert member.size == (facts.st_size if stat.S_ISREG(facts.st_mode) else 0)
            names = os.listxattr(path, follow_symlinks=False)
            assert member.xattrs == {name: os.getxattr(path, name, follow_symlinks=False) for name in names}
    finally:
        trees.remove(tree)


NUMBERS = {
    b"0000644\0": 0o644,
    b"   644 \0": 0o644,
    b"\0\0\0\0\0\0\0\0": 0,
    b"77777777": 0o77777777,
    b"\x80" + bytes(6) + b"\x07": 7,
    b"\x80\xff" + bytes(6): 0xFF << 48,
    b"\xff" * 8: -1,
    b"\xff" * 7 + b"\xfe": -2,
}


@pytest.mark.parametrize(("field", "number"), NUMBERS.items(), ids=map(repr, NUMBERS))
def test_numbers(field: bytes, number: int) -> None:
    assert fields.number(field, 0) == number


TIMES = {b"1": 10**9, b"1.5": 1_500_000_000, b"-1.500000001": -1_500_000_001, b"0.0000000019": 1, b"-0.5": -500_000_000}


@pytest.mark.parametrize(("text", "time"), TIMES.items(), ids=map(repr, TIMES))
def test_times(text: bytes, time: int) -> None:
    (member,) = read(pax((b"mtime", text)) + header() + END)
    assert member.mtime == time


GOOD: dict[str, tuple[bytes, dict[str, t.Any]]] = {
    "v7 without a magic": (header(magic=b""), {"path": b"name", "kind": stat.S_IFREG}),
    "v7's directory": (header(magic=b"", name=b"name/", kind=b"\0"), {"path": b"name", "kind": stat.S_IFDIR}),
    "a prefix": (header(prefix=b"a/b"), {"path": b"a/b/name"}),
    "no prefix in GNU's": (header(prefix=b"a/b", magic=b"ustar  \0"), {"path": b"name"}),
    "slashes and dots": (header(name=b"/.//a/./b//"), {"path": b"a/b", "kind": stat.S_IFDIR}),
    "a device": (header(kind=b"3", major=b"0000001", minor=b"0000003"), {"device": os.makedev(1, 3)}),
    "a fifo": (header(kind=b"6"), {"kind": stat.S_IFIFO}),
    "a hard link with a size": (header(kind=b"1", link=b"./x", size=b"1000"), {"link": b"x", "size": 0}),
    "of all members": (pax((b"uid", b"7"), kind=b"g") + header(), {"uid": 7}),
    "of all but this": (pax((b"uid", b"7"), kind=b"g") + pax((b"uid", b"8")) + header(), {"uid": 8}),
    "of all, taken back": (pax((b"uid", b"7"), kind=b"g") + pax((b"uid", b"")) + header(uid=b"11"), {"uid": 9}),
    "keys with % and =": (
        pax((b"SCHILY.xattr.user.a%253D%3D", b"1\n2")) + header(),
        {"xattrs": {"user.a%3D=": b"1\n2"}},
    ),
    "an ACL as text": (
        pax((b"SCHILY.acl.access", b"user::rw-,user:7:r--,group::---,mask::r--,other::---")) + header(),
        {"xattrs": {"system.posix_acl_access": trees.acl(user=6, group=0, other=0, users={7: 4}, mask=4)}},
    ),
    "an ACL that is a mode": (
        pax((b"SCHILY.acl.access", b"user::rw-,group::r--,other::r--")) + header(),
        {"xattrs": {}},
    ),
    "an ACL's own numbers": (
        pax((b"SCHILY.acl.access", b"user:daemon:rw-"), (b"SCHILY.xattr.system.posix_acl_access", b"raw")) + header(),
        {"xattrs": {"system.posix_acl_access": b"raw"}},
    ),
}


@pytest.mark.parametrize(("data", "expected"), GOOD.values(), ids=GOOD)
def test_what_headers_say(data: bytes, expected: dict[str, t.Any]) -> None:
    (member,) = read(data + END)
    assert {key: getattr(member, key) for key in expected} == expected


BAD = {
    "another type": (header(kind=b"V"), "a member of the type b'V'"),
    "another volume": (header(kind=b"M"), "a member of the type b'M'"),
    "a wrong checksum": (header(magic=b"")[:-20] + b"x" * 20, "a header whose checksum is wrong"),
    "rubbish": (b"rubbish!" * 64, "the number b'ish!rubbish!'"),
    "a way out": (header(name=b"a/../../b"), "the name 'a/../../b'"),
    "no name": (header(name=b""), "the name ''"),
    "a directory with data": (header(kind=b"5", size=b"5"), "data of what isn't a file"),
    "an unknown keyword": (pax((b"RHT.security.selinux", b"x")), "the pax keyword 'RHT.security.selinux'"),
    "another charset": (pax((b"hdrcharset", b"latin1")), "the pax keyword 'hdrcharset'"),
    "a broken record": (header(kind=b"x", size=b"6") + b"99 a=b".ljust(512, b"\0"), "a pax record that makes no sense"),
    "no number": (pax((b"uid", b"seven")) + header(), "a pax record whose number is none"),
    "no time": (pax((b"mtime", b"1e9")) + header(), "a pax record whose number is none"),
    "no ACL": (pax((b"SCHILY.acl.access", b"user::rwz")) + header(), "an ACL"),
    "an ACL of nobody": (pax((b"SCHILY.acl.access", b"user:no such user:rwx")) + header(), "nobody is called"),
    "a newer sparse file": (pax((b"GNU.sparse.major", b"2"), (b"GNU.sparse.minor", b"0")) + header(), "a newer kind"),
    "an odd map": (pax((b"GNU.sparse.map", b"0,1,2"), (b"GNU.sparse.size", b"9")) + header(), "map isn't that of its"),
    "overlapping pieces": (
        pax((b"GNU.sparse.map", b"5,2,0,1"), (b"GNU.sparse.size", b"9")) + header(size=b"3") + bytes(512),
        "pieces overlap",
    ),
    "a lone block of zeros": (bytes(512) + header(), "a block of zeros between members"),
    "no end": (header(size=b"1000") + b"x" * 100, "it ends"),
}


@pytest.mark.parametrize(("data", "said"), BAD.values(), ids=BAD)
def test_what_is_not_understood_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(IntegrityError, match="the archive can't be compared: ") as caught:
        read(data + (b"" if said == "it ends" else END))
    assert said in str(caught.value)


STRIPPED = {b"./a/b": (b"a/b", b"b"), b"a/b/": (b"b", None), b"./a": (b"a", None), b"/a/b": (b"b", None)}


@pytest.mark.parametrize(("name", "paths"), STRIPPED.items(), ids=map(repr, STRIPPED))
def test_components_are_stripped_as_tar_does(name: bytes, paths: tuple[bytes, bytes | None]) -> None:
    for strip, path in enumerate(paths, start=1):
        assert [member.path for member in read(header(name=name) + END, strip=strip)] == [path] * (path is not None)


@given(
    st.dictionaries(st.binary(min_size=1, max_size=30).filter(lambda key: b"\0" not in key), st.binary(max_size=600))
)
@settings(max_examples=200, deadline=None)
def test_any_xattrs(xattrs: dict[bytes, bytes]) -> None:
    records = [
        (b"SCHILY.xattr." + key.replace(b"%", b"%25").replace(b"=", b"%3D"), value) for key, value in xattrs.items()
    ]
    (member,) = read(pax(*records) + header() + END)
    assert {os.fsencode(key): value for key, value in member.xattrs.items()} == xattrs


@given(st.binary(max_size=3000))
@settings(max_examples=300, deadline=None)
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for start in (b"", header(size=b"20"), header(kind=b"x", size=b"40"), header(kind=b"S", magic=b"ustar  \0")):
        try:
            read(start + data)
        except IntegrityError:
            continue


@given(st.integers(0, 500), st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_a_changed_byte_is_read_or_refused(place: int, byte: int) -> None:
    data = bytearray(pax((b"mtime", b"5.5"), (b"path", b"x/y")) + header(size=b"3") + b"abc".ljust(512, b"\0") + END)
    data[place * len(data) // 501] = byte
    try:
        read(bytes(data))
    except IntegrityError:
        return


ACLS = {
    "user::rw-\nuser:1:rwx\ngroup::r--\nmask::rwx\nother::---\n": trees.acl(
        user=6, group=4, other=0, users={1: 7}, mask=7
    ),
    "u::rw-,u:root:r--,g::r--,g:root:-w-,m::rw-,o::--x": trees.acl(
        user=6, group=4, other=1, users={0: 4}, groups={0: 2}, mask=6
    ),
    "user::rw- #effective:r--\ngroup::---\nother::---": trees.acl(user=6, group=0, other=0),
    "": b"",
}


@pytest.mark.parametrize(("text", "value"), ACLS.items(), ids=map(repr, ACLS))
def test_acls(text: str, value: bytes) -> None:
    assert acl.parse(text) == value


def test_acls_are_the_same_in_any_order() -> None:
    value = trees.acl(user=6, group=0, other=0, users={1: 7, 2: 6}, mask=7)
    other = value[:4] + value[-8:] + value[4:-8]
    assert acl.same(value, other)
    assert not acl.same(value, trees.acl(user=6, group=0, other=0, users={1: 7, 2: 5}, mask=7))
    assert not acl.same(value, value[:-3])
