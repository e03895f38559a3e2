# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""File trees that are hard to back up and restore: F60 to F64 of faults.md, made as root on a Linux file system.

    make_nasty(path)                  everything at once, about 20 MB
    make_sparse, make_links, …        one kind each: make_nasty makes each in a folder of its own
    make_deep(path, length)           a path of that many bytes; above 4075 GNU tar loses some of it
    make_tiny(path, count)            many tiny files, 1,000 a folder
    make_huge_sparse(path, size)      one file beyond what a ustar header can say (8 GiB)
    remove(path)                      whatever these made, at any depth

Each makes its folder where it is missing. Attributes are set as the kernel takes them, without tools.
"""

from __future__ import annotations

import collections.abc as c
import errno
import os
import pathlib
import socket
import stat
import struct
import subprocess

#: The longest member, in bytes, that GNU tar 1.34 restores whole. From 4080 on it drops extended attributes with a
#: warning and exit 0; from 4096 (PATH_MAX) on it can store the member but not extract it.
LONGEST_MEMBER = 4075

#: A time with every digit of the nanoseconds in use: 2001-09-09 01:46:40.123456789 UTC.
NANOSECONDS = 1_000_000_000_123_456_789

#: An owner and a group that no host knows.
STRANGER = (70001, 70002)

StrPath = str | os.PathLike[str]


def make_nasty(path: StrPath, *, sockets: bool = False) -> None:
    """Fill the directory path with every kind of entry that backups lose, and make its root an odd one (F15).

    All of it survives GNU tar 1.34 with the flags of facts.md. What does not is left to those who test for it: with
    sockets there is one of those too, which tar skips with a warning; and make_deep makes longer paths.
    """
    root = _folder(path)
    makers = (
        make_sparse,
        make_links,
        make_symlinks,
        make_specials,
        make_modes,
        make_xattrs,
        make_acls,
        make_times,
        make_owners,
        make_names,
        make_sizes,
        make_deep,
    )
    for maker in makers:
        maker(root / maker.__name__.replace("make_", ""))
    if sockets:
        make_socket(root / "sockets")
    _folder(root / "empty folder")
    os.setxattr(root, "user.drydock.root", b"the root has attributes too")
    os.setxattr(root, "system.posix_acl_default", acl(user=7, group=5, other=0, users={70003: 6}, mask=7))
    os.chown(root, *STRANGER)
    os.chmod(root, 0o2751)
    os.utime(root, ns=(NANOSECONDS, NANOSECONDS))


def remove(path: StrPath) -> None:
    """Remove a tree of any depth; shutil.rmtree keeps a descriptor a level and recurses."""
    subprocess.run(["rm", "-rf", "--", os.fspath(path)], check=True)


def make_sparse(path: StrPath) -> None:
    """Make files with holes: in front, behind, everywhere, in hundreds of places; and two with real zeros."""
    folder = _folder(path)
    mebibyte = 1 << 20
    _pieces(folder / "hole in front", 8 * mebibyte, [(8 * mebibyte - 5, b"tail!")])
    _pieces(folder / "hole behind", 8 * mebibyte, [(0, b"head!")])
    _pieces(folder / "hole amid", 9 * mebibyte + 3, [(0, b"\x01" * mebibyte), (8 * mebibyte, b"\x02" * 70_000)])
    _pieces(folder / "nothing but a hole", 16 * mebibyte, [])
    _pieces(folder / "a hole of one block", 12288, [(0, b"a" * 4096), (8192, b"b" * 4096)])
    _pieces(folder / "many holes", 500 * 65536, [(index * 65536, b"%08d" % index) for index in range(500)])
    (folder / "zeros, not a hole").write_bytes(bytes(mebibyte))
    (folder / "zeros amid").write_bytes(b"a" * mebibyte + bytes(mebibyte) + b"b" * mebibyte)
    _pieces(folder / "linked", mebibyte, [(mebibyte // 2, b"x")])
    os.link(folder / "linked", folder / "linked too")
    os.setxattr(folder / "linked", "user.sparse", b"yes")


def make_links(path: StrPath) -> None:
    """Make hard links: across folders, of an empty file, of a symlink, with attributes; and two equal files.

    None of a fifo or a device node: tar makes two of those.
    """
    folder = _folder(path)
    near, far = _folder(folder / "near"), _folder(folder / "far" / "away")
    (near / "file").write_bytes(b"one inode, three names\n" * 1000)
    os.setxattr(near / "file", "user.linked", b"once")
    (near / "empty").touch()
    os.symlink("../nowhere", near / "symlink")
    os.lchown(near / "symlink", *STRANGER)
    for name in ("file", "empty", "symlink"):
        os.link(near / name, far / f"{name} again", follow_symlinks=False)
    os.link(near / "file", folder / "first of the three")
    for name in ("equal 1", "equal 2"):
        (near / name).write_bytes(b"equal contents, two inodes\n")


def make_symlinks(path: StrPath) -> None:
    """Make symlinks that lead nowhere, outside, to a folder and in a circle, each with an owner of its own."""
    folder = _folder(path)
    targets: dict[str, bytes] = {
        "dangling": b"no/such/file",
        "absolute": b"/etc/passwd",
        "outward": b"../../../../../../etc/passwd",
        "to a folder": b"folder",
        "to itself": b"to itself",
        "dot": b".",
        "odd target": b" -x\n\xff\t'\"\\",
        "100 bytes": b"x" * 100,
        "101 bytes": b"y" * 101,
        "long": b"z/" * 500 + b"end",  # XFS and small ext4 take about a thousand bytes
    }
    _folder(folder / "folder").joinpath("inside").write_text("inside\n")
    for number, (name, target) in enumerate(targets.items()):
        link = os.fsencode(folder / name)
        os.symlink(target, link)
        os.lchown(link, 70010 + number, 70020 + number)
    os.setxattr(folder / "dangling", "trusted.drydock", b"on the link itself", follow_symlinks=False)


def make_specials(path: StrPath) -> None:
    """Make a fifo, and device nodes with small and large numbers. They are never opened."""
    folder = _folder(path)
    os.mkfifo(folder / "fifo", 0o640)
    nodes = {"null": (stat.S_IFCHR, 1, 3), "loop": (stat.S_IFBLK, 7, 200), "large": (stat.S_IFCHR, 300, 100_000)}
    for name, (kind, major, minor) in nodes.items():
        os.mknod(folder / name, kind | 0o620, os.makedev(major, minor))
        os.chown(folder / name, 0, 70005)
    os.setxattr(folder / "fifo", "trusted.fifo", b"a fifo too")


def make_socket(path: StrPath) -> None:
    """Make a socket that nobody listens on."""
    folder = _folder(path)
    # The name in the address holds 107 bytes at most, so it is relative to the folder's descriptor.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(f"/proc/self/fd/{descriptor}/socket")
    finally:
        os.close(descriptor)
    (folder / "beside").write_text("a plain file beside the socket\n")


def make_modes(path: StrPath) -> None:
    """Make files and folders of every telling mode: unreadable, setuid, setgid, sticky, all bits."""
    folder = _folder(path)
    modes = (0o0000, 0o0400, 0o0200, 0o0111, 0o0666, 0o1644, 0o2755, 0o2644, 0o4755, 0o4711, 0o6755, 0o7777)
    for mode in modes:
        target = folder / f"file {mode:04o}"
        target.write_text(f"{mode:04o}\n")
        os.chown(target, *STRANGER)  # before chmod: it takes the setuid and setgid bits away
        os.chmod(target, mode)
    for mode in (0o0000, 0o0500, 0o0555, 0o0711, 0o1777, 0o2775, 0o3770):
        target = _folder(folder / f"folder {mode:04o}")
        (target / "inside").write_text("inside\n")
        _folder(target / "deeper").joinpath("inside").write_text("deeper inside\n")
        os.chown(target, *STRANGER)
        os.chmod(target, mode)


def make_xattrs(path: StrPath) -> None:
    """Set user.*, trusted.* and security.* attributes: empty, binary, long, many, with odd names."""
    folder = _folder(path)
    sets: dict[str, dict[bytes, bytes]] = {
        "plain": {b"user.comment": b"hello"},
        "empty value": {b"user.empty": b""},
        "binary": {b"user.binary": bytes(range(256))},
        "newline": {b"user.lines": b"one\ntwo\n", b"user.zero": b"a\0b\0"},
        "long": {b"user.long": b"0123456789" * 300},
        "many": {b"user.n%03d" % number: b"%d" % number for number in range(60)},
        "odd names": {b"user.a b": b"1", b"user.a=b": b"2", b"user.\xff": b"3", b"user.-x": b"4", b"user.100%": b"5"},
        "trusted": {b"trusted.drydock": b"root only"},
        "capability": {b"security.capability": capability(13, 10)},  # cap_net_raw, cap_net_bind_service
        "empty file": {b"user.on.empty": b"yes"},
    }
    for name, attributes in sets.items():
        target = folder / name
        target.write_bytes(b"" if name == "empty file" else b"contents\n")
        os.chown(target, 0, 70004)  # before the capability: it takes that away
        for key, value in attributes.items():
            os.setxattr(target, key, value)
    os.chmod(folder / "capability", 0o755)
    inner = _folder(folder / "a folder")
    os.setxattr(inner, "user.on.folder", b"yes")
    os.setxattr(inner, "trusted.on.folder", b"yes")
    (folder / "read only").write_text("0444\n")
    os.setxattr(folder / "read only", "user.kept", b"although read only")
    os.chmod(folder / "read only", 0o444)


def make_acls(path: StrPath) -> None:
    """Set POSIX ACLs: for people unknown here, with a mask that narrows, on folders, as defaults, beside setgid."""
    folder = _folder(path)
    private = folder / "private but for one"
    private.write_text("losing the ACL would open this to the group: the mask becomes the group bits\n")
    os.chown(private, *STRANGER)
    os.setxattr(private, "system.posix_acl_access", acl(user=6, group=0, other=0, users={70003: 6}, mask=6))
    masked = folder / "masked"
    masked.write_text("the mask takes most of it back\n")
    wide = acl(user=7, group=7, other=4, users={1: 7, 4294967293: 7}, groups={70002: 7, 70009: 5}, mask=4)
    os.setxattr(masked, "system.posix_acl_access", wide)
    shared = _folder(folder / "shared")
    os.chown(shared, *STRANGER)
    os.chmod(shared, 0o2770)
    os.setxattr(shared, "system.posix_acl_access", acl(user=7, group=7, other=0, groups={70009: 7}, mask=7))
    os.setxattr(shared, "system.posix_acl_default", acl(user=7, group=5, other=0, groups={70009: 7}, mask=7))
    # These inherit the default ACL where they are made; a restore must neither lose nor multiply it.
    (shared / "heir").write_text("inherited\n")
    _folder(shared / "heir folder").joinpath("heir").write_text("inherited twice\n")
    plain = shared / "disinherited"
    plain.write_text("made in a folder with a default ACL, but has none itself\n")
    os.removexattr(plain, "system.posix_acl_access")
    os.chmod(plain, 0o604)
    default = _folder(folder / "default only")
    os.setxattr(default, "system.posix_acl_default", acl(user=7, group=0, other=0))


def make_times(path: StrPath) -> None:
    """Set modification times, of folders and symlinks too: to the nanosecond, before 1970, after 2038."""
    folder = _folder(path)
    second = 1_000_000_000
    times = {
        "nanoseconds": NANOSECONDS,
        "one nanosecond": 1,
        "nearly a second": second - 1,
        "epoch": 0,
        "before 1970": -1_500_000_001,
        "1902": -2_145_000_000 * second + 7,
        "after 2038": (1 << 31) * second + 5,
        "2400": 13_569_465_600 * second + 999_999_999,
        "whole second": 1_600_000_000 * second,
        "microseconds": 1_600_000_000_123_456_000,
    }
    for name, time in times.items():
        target = folder / name
        target.write_text(f"{time}\n")
        inner = _folder(folder / f"folder {name}")
        (inner / "made later than its folder says").touch()
        os.symlink(name, folder / f"symlink {name}")
    for name, time in times.items():
        for target in (folder / name, folder / f"folder {name}", folder / f"symlink {name}"):
            os.utime(target, ns=(time, time), follow_symlinks=False)


def make_owners(path: StrPath) -> None:
    """Give files to owners and groups that this host doesn't know, up to the largest number."""
    folder = _folder(path)
    for number in (1, 1000, 65534, 70001, 2097151, 2097152, 2147483648, 4294967294):
        target = folder / f"owner {number}"
        target.write_text(f"{number}\n")
        os.chown(target, number, 4294967295 - number)
        os.chown(_folder(folder / f"folder {number}"), number, number)


def make_names(path: StrPath) -> None:
    """Make files and folders whose names break shells, archives and decoders."""
    folder = os.fsencode(_folder(path))
    names = (
        b" leading",
        b"trailing ",
        b"two  spaces",
        b" ",
        b"new\nline",
        b"\n",
        b"tab\t",
        b"\x01\x1b[31m\x7f",
        b"-rf",
        b"--checkpoint-action=exec=false",
        b"-",
        b"...",
        b".hidden",
        b"~",
        b"#",
        b"*",
        b"?[a-z]{b,c}",
        b"$(false)`false`$HOME",
        b"quote'double\"back\\slash",
        b"back\\n",
        b"\\",
        b"C:\\windows",
        b"host:path",
        b"a=b",
        b"100%s",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",  # the same word to a reader, another name to the kernel
        "\u65e5\u672c\u8a9e \U0001f433".encode(),
        b"latin1 \xe9",
        b"\xff\xfe",
        b"\xed\xa0\x80 surrogate",
        b"@LongLink",
        b"GNUSparseFile.0",
        b"PaxHeaders.1",
        b"99 bytes " + b"9" * 90,
        b"100 bytes " + b"0" * 90,
        b"101 bytes " + b"1" * 91,
        b"255 bytes " + b"f" * 245,
        b"255 odd bytes " + b"\xff" * 241,
    )
    for name in names:
        with open(os.path.join(folder, name), "wb") as file:
            file.write(name)
        inner = os.path.join(folder, b"folders", name)
        os.makedirs(inner)
        with open(os.path.join(inner, name), "wb") as file:
            file.write(b"inside " + name)
    # Member paths around the limits of a ustar header: 100 for the name, 155 for the prefix, 256 in all.
    for length in (*range(99, 103), *range(154, 158), *range(254, 259)):
        for inner in (b"length", b"length/" + b"d" * 60):
            os.makedirs(os.path.join(folder, inner), exist_ok=True)
            member = os.path.join(b".", os.path.basename(folder), inner, b"")
            with open(os.path.join(folder, inner, b"n" * (length - len(member))), "wb") as file:
                file.write(b"%d" % length)


def make_sizes(path: StrPath) -> None:
    """Make files around the sizes of blocks, records and buffers."""
    folder = _folder(path)
    for size in (0, 1, 511, 512, 513, 4095, 4096, 4097, 10239, 10240, 10241, 65536, 131071, 131073, (1 << 20) + 1):
        (folder / f"{size} bytes").write_bytes((b"%07d." % size * (size // 8 + 1))[:size])


def make_deep(path: StrPath, length: int = LONGEST_MEMBER) -> None:
    """Make a tree whose deepest path, relative to the parent of path and with "./" in front, has length bytes.

    So a tar of the parent has a member of that length. Every step is made relative to the one before.
    """
    folder = _folder(path)
    here = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    left = length - len(f"./{folder.name}/leaf")
    level = 0
    try:
        while left > 0:
            # The size of a name and its slash. What is left must never be room for a slash alone.
            size = 150 if left == 152 else min(left, 151)
            name = f"{level:03d}".ljust(size - 1, "d")[: size - 1]
            os.mkdir(name, dir_fd=here)
            here = _step(here, name)
            os.setxattr(here, "user.level", b"%d" % level)
            left -= size
            level += 1
        leaf = os.open("leaf", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=here)
        try:
            os.write(leaf, b"at the bottom\n")
            os.setxattr(leaf, "user.leaf", b"at the bottom")
            os.fchown(leaf, *STRANGER)
        finally:
            os.close(leaf)
        os.symlink("leaf", "link", dir_fd=here)
        os.mkfifo("fifo", dir_fd=here)
    finally:
        os.close(here)


def _step(here: int, name: str) -> int:
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
    os.close(here)
    return there


def make_tiny(path: StrPath, count: int = 1_000_000) -> None:
    """Make count files of a few bytes, 1,000 a folder (F64)."""
    folder = _folder(path)
    for start in range(0, count, 1000):
        inner = os.fspath(_folder(folder / f"{start // 1000:06d}"))
        for number in range(start, min(start + 1000, count)):
            descriptor = os.open(f"{inner}/{number % 1000:03d}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            os.write(descriptor, b"%d" % number)
            os.close(descriptor)


def make_huge_sparse(path: StrPath, size: int = 9 << 30) -> None:
    """Make one sparse file of size bytes: more than the 8 GiB that the octal field of a ustar header holds (F64)."""
    folder = _folder(path)
    _pieces(folder / "huge", size, [(0, b"first"), (size // 2, b"middle"), (size - 4, b"last")])


def acl(
    *,
    user: int,
    group: int,
    other: int,
    users: c.Mapping[int, int] | None = None,
    groups: c.Mapping[int, int] | None = None,
    mask: int | None = None,
) -> bytes:
    """Return a POSIX ACL as the kernel takes it in system.posix_acl_*: struct posix_acl_xattr_header, then entries.

    Permissions are 0 to 7; named users and groups need a mask. See include/uapi/linux/posix_acl_xattr.h.
    """
    nobody = 0xFFFFFFFF
    entries = [(0x01, user, nobody)]
    entries += [(0x02, permission, name) for name, permission in sorted((users or {}).items())]
    entries += [(0x04, group, nobody)]
    entries += [(0x08, permission, name) for name, permission in sorted((groups or {}).items())]
    if mask is not None:
        entries += [(0x10, mask, nobody)]
    entries += [(0x20, other, nobody)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def capability(*bits: int) -> bytes:
    """Return file capabilities, permitted and effective, as security.capability holds them: struct vfs_cap_data, v2."""
    permitted = sum(1 << bit for bit in bits)
    return struct.pack("<5I", 0x02000001, permitted & 0xFFFFFFFF, 0, permitted >> 32, 0)


def _folder(path: StrPath) -> pathlib.Path:
    folder = pathlib.Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _pieces(path: pathlib.Path, size: int, pieces: c.Iterable[tuple[int, bytes]]) -> None:
    """Write a file of size bytes that has data at some offsets and holes between; insist on the holes."""
    with open(path, "wb") as file:
        file.truncate(size)  # first: XFS allocates ahead of a file that grows
        for offset, data in pieces:
            file.seek(offset)
            file.write(data)
        file.flush()
        os.fsync(file.fileno())
        if os.fstat(file.fileno()).st_blocks * 512 >= size:
            raise OSError(errno.EOPNOTSUPP, "this file system keeps no holes", os.fspath(path))
