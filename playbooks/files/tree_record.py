# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write down everything a file tree is, and say what differs between two such records.

    tree_record.py PATH [-o FILE]        print the record of the directory PATH, or write it to FILE
    tree_record.py --compare A B         print what differs between two records; exit 1 if anything does

It shares no code with the collection's engine, so that it can witness against it: it asks the kernel (lstat, readlink,
lgetxattr, the bytes of each file) and never reads an archive. It needs Linux, Python >= 3.9 and nothing else.

A record has one JSON object a line, one line an entry, the root (".") first, then depth first in the byte order of the
names. Paths are UTF-8 with surrogate escapes, so any sequence of bytes is kept. The keys, where they apply:

    path type mode uid gid    type is file, dir, symlink, fifo, char, block or socket; mode has all 12 bits, octal
    mtime_ns                  nanoseconds, also of directories and symlinks
    size sha256               of files: the apparent size in bytes and the digest of the contents, holes read as zeros
    sparse allocated          of files: whether fewer bytes are allocated than the size, and how many are
    device                    of char and block: "major:minor"
    target                    of symlinks
    link                      the path of the first entry of the same inode (what follows in its hard link group has it)
    xattrs                    {name: value in hex}, ACLs and file capabilities among them

Not recorded, because no archive can bring it back: inode numbers, ctime, birth time, atime. Sockets are recorded but
only compared with --sockets: tar does not store them, and the process that owns one makes it anew.

Memory stays flat: what is kept is the names of the directories on the way to the current entry, and a path for each
inode with more than one link. Paths may be longer than PATH_MAX, because every step is taken relative to a directory.
"""

from __future__ import annotations

import argparse
import collections.abc as c
import hashlib
import json
import os
import stat
import sys
import typing as t

_BLOCK = 1 << 20
_TYPES = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "dir",
    stat.S_IFLNK: "symlink",
    stat.S_IFIFO: "fifo",
    stat.S_IFCHR: "char",
    stat.S_IFBLK: "block",
    stat.S_IFSOCK: "socket",
}

Entry = dict[str, t.Any]


def record(root: str | bytes | os.PathLike[str]) -> c.Iterator[str]:
    """Yield the lines (without newline) of the record of directory root; raise OSError if anything can't be read."""
    leaders: dict[tuple[int, int], str] = {}
    here = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield _line(_describe_dir(here, "."))
        # One open directory at a time, and ".." to go back: a descriptor a level would run out in a deep tree.
        levels = [_Level(here, b"")]
        while levels:
            level = levels[-1]
            name = next(level.names, None)
            if name is None:
                levels.pop()
                if levels:
                    here = _enter(here, b"..", levels[-1].identity, levels[-1].path)
                continue
            path = level.path + b"/" + name if level.path else name
            status = os.stat(name, dir_fd=here, follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode):
                here = _enter(here, name, (status.st_dev, status.st_ino), path)
                yield _line(_describe_dir(here, _text(path)))
                levels.append(_Level(here, path))
            else:
                yield _line(_describe(here, name, _text(path), status, leaders))
    finally:
        os.close(here)


class _Level:
    """A directory on the way to the current entry: who it is, and which names in it are still to come."""

    def __init__(self, descriptor: int, path: bytes) -> None:
        status = os.fstat(descriptor)
        self.identity = (status.st_dev, status.st_ino)
        self.path = path
        self.names = iter(sorted(map(os.fsencode, os.listdir(descriptor))))


def _enter(here: int, name: bytes, identity: tuple[int, int], path: bytes) -> int:
    """Move from the open directory here into name, which must be the directory of that identity."""
    there = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
    status = os.fstat(there)
    if (status.st_dev, status.st_ino) != identity:
        os.close(there)
        raise OSError(f"{_text(path)!r} was replaced while it was being recorded")
    os.close(here)
    return there


def _describe_dir(descriptor: int, path: str) -> Entry:
    entry = _common(path, os.fstat(descriptor))
    return _with_xattrs(entry, descriptor)


def _describe(here: int, name: bytes, path: str, status: os.stat_result, leaders: dict[tuple[int, int], str]) -> Entry:
    """Describe anything but a directory; leaders remembers the first path of each inode with several links."""
    entry = _common(path, status)
    if status.st_nlink > 1:
        leader = leaders.setdefault((status.st_dev, status.st_ino), path)
        if leader != path:
            # The inode is described where it came first. What is repeated here makes a broken link readable.
            entry["link"] = leader
            return entry
    kind = entry["type"]
    if kind == "file":
        allocated = status.st_blocks * 512
        entry.update(size=status.st_size, sha256=_digest(here, name, path, status))
        entry.update(sparse=allocated < status.st_size, allocated=allocated)
    elif kind == "symlink":
        entry["target"] = _text(os.readlink(name, dir_fd=here))
    elif kind in ("char", "block"):
        entry["device"] = f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    # There is no lgetxattrat(2) yet: /proc/self/fd stands for the directory, however long its path is.
    return _with_xattrs(entry, b"/proc/self/fd/%d/%s" % (here, name))


def _common(path: str, status: os.stat_result) -> Entry:
    return {
        "path": path,
        "type": _TYPES.get(stat.S_IFMT(status.st_mode), "unknown"),
        "mode": f"{stat.S_IMODE(status.st_mode):04o}",
        "uid": status.st_uid,
        "gid": status.st_gid,
        "mtime_ns": status.st_mtime_ns,
    }


def _with_xattrs(entry: Entry, target: int | bytes) -> Entry:
    """Add the extended attributes of an open file, or of a path whose last component is not followed."""
    follow = isinstance(target, int)
    names = os.listxattr(target, follow_symlinks=follow)
    if names:
        values = {name: os.getxattr(target, name, follow_symlinks=follow) for name in names}
        entry["xattrs"] = {_text(os.fsencode(name)): values[name].hex() for name in sorted(values)}
    return entry


def _digest(here: int, name: bytes, path: str, status: os.stat_result) -> str:
    digest = hashlib.sha256()
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        descriptor = os.open(name, flags | os.O_NOATIME, dir_fd=here)
    except PermissionError:  # O_NOATIME is for the owner and for root
        descriptor = os.open(name, flags, dir_fd=here)
    try:
        opened = os.fstat(descriptor)
        if (opened.st_dev, opened.st_ino) != (status.st_dev, status.st_ino):
            raise OSError(f"{path!r} was replaced while it was being recorded")
        seen = 0
        while chunk := os.read(descriptor, _BLOCK):
            digest.update(chunk)
            seen += len(chunk)
    finally:
        os.close(descriptor)
    if seen != status.st_size:
        raise OSError(f"{path!r} changed while it was being recorded: {status.st_size} bytes became {seen}")
    return digest.hexdigest()


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _line(entry: Entry) -> str:
    return json.dumps(entry, sort_keys=False, separators=(",", ":"))


def differences(before: c.Iterable[str], after: c.Iterable[str], sockets: bool = False) -> c.Iterator[str]:
    """Yield one readable line for each thing that differs between two records, reading both once and in step."""
    left, right = _entries(before, sockets), _entries(after, sockets)
    old, new = next(left, None), next(right, None)
    while old or new:
        if old and (not new or _key(old) < _key(new)):
            yield f"{_shown(old)}: missing (it was a {old['type']})"
            old = next(left, None)
        elif new and (not old or _key(new) < _key(old)):
            yield f"{_shown(new)}: added (it is a {new['type']})"
            new = next(right, None)
        elif old and new:
            yield from (f"{_shown(old)}: {what}" for what in _changes(old, new))
            old, new = next(left, None), next(right, None)


def _entries(lines: c.Iterable[str], sockets: bool) -> c.Iterator[Entry]:
    """Parse a record, which must start with its root and be in order: a cut or shuffled one must not compare equal."""
    last: list[bytes] | None = None
    for line in lines:
        entry: Entry = json.loads(line)
        key = _key(entry)
        if last is None and entry["path"] != ".":
            raise ValueError(f"not a whole record: it starts with {_shown(entry)}, not with the root '.'")
        if last is not None and key <= last:
            raise ValueError(f"not a record in order: {_shown(entry)} comes too late")
        last = key
        if sockets or entry["type"] != "socket":
            yield entry
    if last is None:
        raise ValueError("not a record: it is empty")


def _key(entry: Entry) -> list[bytes]:
    """Return what entries are ordered by: the names on the way, so that a directory comes just before its contents."""
    path = entry["path"].encode("utf-8", "surrogateescape")
    return [] if path == b"." else path.split(b"/")


def _shown(entry: Entry) -> str:
    return ascii(entry["path"])


def _changes(old: Entry, new: Entry) -> c.Iterator[str]:
    """Yield what differs between two entries of the same path."""
    for field in ("type", "mode", "uid", "gid", "mtime_ns", "size", "sha256", "sparse", "device", "target", "link"):
        if old.get(field) != new.get(field) and not _follows_from_link(field, old, new):
            yield f"{field} {_value(old.get(field))} -> {_value(new.get(field))}"
    if old.get("sparse") and new.get("sparse"):
        # How holes are rounded, and the blocks of the map of extents, are the file system's affair.
        tolerance = (64 << 10) + old["allocated"] // 64
        if abs(old["allocated"] - new["allocated"]) > tolerance:
            yield f"allocated {old['allocated']} -> {new['allocated']} (beyond the tolerance of {tolerance})"
    if old.get("link") is not None or new.get("link") is not None:
        return  # the attributes are those of the first entry of the group
    was, now = old.get("xattrs", {}), new.get("xattrs", {})
    for name in sorted(was.keys() | now.keys()):
        if was.get(name) != now.get(name):
            yield f"xattr {name!a} {_value(was.get(name))} -> {_value(now.get(name))}"


def _follows_from_link(field: str, old: Entry, new: Entry) -> bool:
    """Say whether a field is there on one side only because the other side is a link that is described elsewhere."""
    described_once = ("size", "sha256", "sparse", "device", "target")
    return field in described_once and (old.get("link") is None) != (new.get("link") is None)


def _value(value: t.Any) -> str:
    if value is None:
        return "none"
    text = ascii(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 100 else f"{text[:80]}... ({len(text)} characters)"


def main(arguments: c.Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a difference, 2 for an error."""
    parser = argparse.ArgumentParser(description="Record a file tree, or compare two records.")
    parser.add_argument("path", nargs="?", help="the directory to record")
    parser.add_argument("-o", "--output", metavar="FILE", help="write the record to FILE")
    parser.add_argument("--compare", nargs=2, metavar=("A", "B"), help="two files that hold records")
    parser.add_argument("--sockets", action="store_true", help="compare sockets too")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="print the first N differences only")
    options = parser.parse_args(arguments)
    if (options.path is None) == (options.compare is None):
        parser.error("give either PATH or --compare A B")
    try:
        if options.path is not None:
            _write(record(options.path), options.output)
            return 0
        with open(options.compare[0], encoding="ascii") as before, open(options.compare[1], encoding="ascii") as after:
            return _print_differences(differences(before, after, options.sockets), options.limit)
    except (OSError, ValueError) as error:
        print(f"tree_record: {error}", file=sys.stderr)
        return 2


def _write(lines: c.Iterator[str], output: str | None) -> None:
    """Write lines to the file output, which is whole or absent, or to standard output."""
    if output is None:
        sys.stdout.writelines(f"{line}\n" for line in lines)
        sys.stdout.flush()
        return
    partial = f"{output}.partial"
    with open(partial, "w", encoding="ascii") as file:
        file.writelines(f"{line}\n" for line in lines)
    os.replace(partial, output)


def _print_differences(found: c.Iterator[str], limit: int) -> int:
    count = 0
    for count, difference in enumerate(found, start=1):
        if not limit or count <= limit:
            print(difference)
    if limit and count > limit:
        print(f"and {count - limit} more")
    return 1 if count else 0


if __name__ == "__main__":
    sys.exit(main())
