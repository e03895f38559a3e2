# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fill the demo's volumes with data that is worth keeping.

    demo_data.py files DIRECTORY    about 100 MB of this machine's own files; hard links, holes, ACLs and more added
    demo_data.py media DIRECTORY    a few big files, some of them such as no compressor makes smaller
    demo_data.py shop DIRECTORY     an SQLite database of a shop with 200,000 orders
    demo_data.py ask DIRECTORY      ask that database who bought most, after a check of its integrity

It needs Linux, Python >= 3.9 and nothing else.
"""

from __future__ import annotations

import argparse
import collections.abc as c
import errno
import itertools
import os
import random
import shutil
import sqlite3
import struct
import sys

MEGABYTE = 1_000_000

#: Where real files are on any machine that can run this, and how many bytes of them to take.
SOURCES = {"/usr/share": 50 * MEGABYTE, "/usr/lib": 50 * MEGABYTE}


def fill_files(directory: str) -> None:
    """Copy files of this machine, with their times and modes, then add what simpler backups lose."""
    copied = 0
    for number, path in enumerate(machine_files()):
        target = os.path.join(directory, "machine", path.lstrip("/"))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(path, target, follow_symlinks=False)
        copied = number + 1
    print(f"copied {copied} files")
    odd = os.path.join(directory, "odd")
    os.makedirs(odd)
    add_links(odd)
    add_holes(odd)
    add_modes_and_names(odd)
    add_attributes(odd)


def machine_files() -> c.Iterator[str]:
    """Yield paths of regular files and symlinks, in a fixed order, until those of each source have about its size."""
    for source, limit in SOURCES.items():
        total = 0
        for path in walk(source):
            size = os.lstat(path).st_size
            if total + size <= limit:
                total += size
                yield path
            if total > limit * 0.98:
                break


def walk(source: str) -> c.Iterator[str]:
    """Yield the paths of all regular files and symlinks below source, sorted."""
    for folder, folders, names in os.walk(source):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if os.path.islink(path) or os.path.isfile(path):
                yield path


def add_links(odd: str) -> None:
    """Add one file under three names, two symlinks and a fifo."""
    write(os.path.join(odd, "one file, three names"), b"the same inode\n" * 5000)
    os.makedirs(os.path.join(odd, "far"))
    for name in ("second name", "far/third name"):
        os.link(os.path.join(odd, "one file, three names"), os.path.join(odd, name))
    os.symlink("one file, three names", os.path.join(odd, "symlink"))
    os.symlink("/nowhere", os.path.join(odd, "dangling symlink"))
    os.lchown(os.path.join(odd, "dangling symlink"), 70001, 70002)
    os.mkfifo(os.path.join(odd, "fifo"))


def add_holes(odd: str) -> None:
    """Add a sparse file, 16 MB of which 128 kB are real, and one with as many real zeros."""
    with open(os.path.join(odd, "sparse image"), "wb") as file:
        file.write(b"boot" * 16384)
        file.seek(8 * MEGABYTE)
        file.write(b"data" * 16384)
        file.truncate(16 * MEGABYTE)
    write(os.path.join(odd, "real zeros"), bytes(MEGABYTE))


def add_modes_and_names(odd: str) -> None:
    """Add owners nobody knows, setuid, sticky and unreadable entries, and names that break shell scripts."""
    for name, mode in (("setuid", 0o4755), ("setgid", 0o2755), ("unreadable", 0o000)):
        path = os.path.join(odd, name)
        write(path, name.encode())
        os.chown(path, 70001, 70002)
        os.chmod(path, mode)
    os.makedirs(os.path.join(odd, "sticky"))
    os.chmod(os.path.join(odd, "sticky"), 0o1777)  # noqa: S103 - as /tmp has it
    for raw in (b"-rf", b"new\nline", b"latin1 \xe9", b" blanks ", b"n" * 255):
        write(os.path.join(os.fsencode(odd), raw), raw)
    write(os.path.join(odd, "old to the nanosecond"), b"2001-09-09 01:46:40.123456789\n")
    os.utime(os.path.join(odd, "old to the nanosecond"), ns=(0, 1_000_000_000_123_456_789))


def add_attributes(odd: str) -> None:
    """Add extended attributes, a file capability, an ACL and a default ACL."""
    everyone = 0xFFFFFFFF
    # As the kernel takes it: a version, then (tag, permissions, id) for user, user 70003, group, mask and others.
    entries = ((0x01, 6, everyone), (0x02, 6, 70003), (0x04, 0, everyone), (0x10, 6, everyone), (0x20, 0, everyone))
    acl = struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)
    bind_to_low_ports = struct.pack("<5I", 0x02000001, 1 << 10, 0, 0, 0)
    folder = os.path.join(odd, "folder with a default ACL")
    os.makedirs(folder)
    for path, name, value in (
        ("private but for one user", "system.posix_acl_access", acl),
        (folder, "system.posix_acl_default", acl),
        ("with attributes", "user.comment", b"kept"),
        ("with attributes", "trusted.note", b"only root sees this"),
        ("server", "security.capability", bind_to_low_ports),
    ):
        target = os.path.join(odd, path)
        if not os.path.exists(target):
            write(target, path.encode())
        try:
            os.setxattr(target, name, value)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
            print(f"left out {name}: the file system of {odd} doesn't keep it")


def fill_media(directory: str) -> None:
    """Write two films, made of this machine's libraries, and one that looks like noise; 160 MB."""
    footage = libraries("/usr/lib")
    for name, size in (("film 1.raw", 64 * MEGABYTE), ("film 2.raw", 56 * MEGABYTE)):
        with open(os.path.join(directory, name), "wb") as film:
            while film.tell() < size:
                film.write(next(footage)[: size - film.tell()])
    noise = random.Random(2026)  # noqa: S311 - the same noise each time, nothing secret
    with open(os.path.join(directory, "film 3.compressed"), "wb") as film:
        film.writelines(noise.randbytes(MEGABYTE) for _megabyte in range(40))


def libraries(source: str) -> c.Iterator[bytes]:
    """Yield the contents of the larger files below source, over and over."""
    larger = (path for path in walk(source) if not os.path.islink(path) and os.path.getsize(path) > 100_000)
    for path in itertools.cycle(larger):
        with open(path, "rb") as file:
            while chunk := file.read(8 * MEGABYTE):
                yield chunk
    raise FileNotFoundError(errno.ENOENT, "no file of more than 100 kB", source)


def fill_shop(directory: str) -> None:
    """Make the database: customers, and what they ordered."""
    chance = random.Random(2026)  # noqa: S311 - the same shop each time, nothing secret
    goods = ("anchor", "bollard", "chart", "compass", "fender", "hawser", "lantern", "sextant", "tarpaulin", "winch")
    orders = (
        (number, chance.randrange(1, 5001), chance.choice(goods), chance.randrange(199, 99_900))
        for number in range(1, 200_001)
    )
    with sqlite3.connect(os.path.join(directory, "shop.sqlite")) as database:
        database.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT NOT NULL)")
        database.execute("CREATE TABLE purchase (id INTEGER PRIMARY KEY, customer INTEGER, item TEXT, cents INTEGER)")
        names = ((number, f"customer {number}") for number in range(1, 5001))
        database.executemany("INSERT INTO customer VALUES (?, ?)", names)
        database.executemany("INSERT INTO purchase VALUES (?, ?, ?, ?)", orders)
        database.execute("CREATE INDEX purchase_by_customer ON purchase (customer, cents)")
    database.close()
    os.chown(os.path.join(directory, "shop.sqlite"), 999, 999)
    os.chmod(os.path.join(directory, "shop.sqlite"), 0o640)
    os.chown(directory, 999, 999)
    os.chmod(directory, 0o700)


def ask_shop(directory: str) -> None:
    """Print the answer to one query; raise sqlite3.DatabaseError where the database is damaged."""
    path = os.path.abspath(os.path.join(directory, "shop.sqlite"))
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        (verdict,) = database.execute("PRAGMA integrity_check").fetchone()
        if verdict != "ok":
            raise sqlite3.DatabaseError(f"{path}: {verdict}")
        count, cents = database.execute("SELECT count(*), sum(cents) FROM purchase").fetchone()
        best, spent = database.execute(
            "SELECT name, sum(cents) FROM purchase JOIN customer ON customer.id = customer"
            " GROUP BY customer ORDER BY 2 DESC, 1 LIMIT 1"
        ).fetchone()
    finally:
        database.close()
    print(f"{count:,} orders for {cents / 100:,.2f} in all; {best} bought most, for {spent / 100:,.2f}")


def write(path: str | bytes, contents: bytes) -> None:
    """Write a new file."""
    with open(path, "xb") as file:
        file.write(contents)


def main() -> int:
    """Run the command line."""
    actions = {"files": fill_files, "media": fill_media, "shop": fill_shop, "ask": ask_shop}
    parser = argparse.ArgumentParser(description="Fill the demo's volumes with data that is worth keeping.")
    parser.add_argument("action", choices=actions)
    parser.add_argument("directory")
    options = parser.parse_args()
    if not os.path.isdir(options.directory):
        print(f"demo_data: there is no directory {options.directory}; is the engine on this machine?", file=sys.stderr)
        return 1
    try:
        actions[options.action](options.directory)
    except (OSError, sqlite3.Error) as error:
        print(f"demo_data: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
