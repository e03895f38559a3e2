# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Members of archives that try to get out of the directory into which they are extracted (F16)."""

from __future__ import annotations

import dataclasses
import io
import os
import pathlib
import tarfile

#: What a member's file holds.
EVIL = b"written by an archive\n"

#: From a staging directory (VOLUME/.drydock-staging-x/new) to what is beside the volume's own directory.
UP = "../../../"

FILE, DIRECTORY, SYMLINK, LINK = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


@dataclasses.dataclass(frozen=True)
class Member:
    """A member: ``raw`` is a type that tarfile doesn't know, ``pax`` are records of its header."""

    name: str
    kind: bytes = FILE
    link: str = ""
    mode: int = 0o755
    raw: bytes = b""
    pax: tuple[tuple[str, str], ...] = ()


def cases(victim: pathlib.Path) -> dict[str, tuple[list[Member], str]]:
    """The members by what they try, and what a restore of the bare archive says to that, or "" where it takes them.

    ``victim`` is a directory beside the volume's, which has a file of the name ``file``.
    """
    there, file = str(victim), str(victim / "file")
    beside = UP + victim.name
    leads_out, below = "leads out: there is a '..' in a name", "is below a symlink"
    no_member = "which isn't in the archive before it"
    through = Member("s/evil")
    return {
        "..": ([Member(f"{beside}/evil")], leads_out),
        ".. later": ([Member("a", DIRECTORY), Member(f"a/../{beside}/evil")], leads_out),
        ".. at the end": ([Member("a/..", DIRECTORY)], leads_out),
        "absolute": ([Member(f"{there}/evil"), Member(file)], ""),
        "absolute and ..": ([Member(f"/../..{there}/evil")], leads_out),
        "a symlink to an absolute path, and below": ([Member("s", SYMLINK, there), through], below),
        "a symlink up, and below": ([Member("s", SYMLINK, beside), through], below),
        "a symlink up, with detours": ([Member("./s", SYMLINK, beside), Member(".//s/./evil")], below),
        "a directory below a symlink": ([Member("s", SYMLINK, there), Member("s/evil", DIRECTORY)], below),
        "a symlink below a symlink": (
            [Member("s", SYMLINK, "."), Member("s/up", SYMLINK, beside), Member("up/evil")],
            below,
        ),
        "symlinks to symlinks": ([Member("a", SYMLINK, beside), Member("b", SYMLINK, "a"), Member("b/evil")], below),
        "a directory, then a symlink": (
            [Member("s", DIRECTORY), Member("s", SYMLINK, there), through],
            below,
        ),
        "a symlink, then a directory": (
            [Member("s", SYMLINK, there), Member("s", DIRECTORY, mode=0o777), through],
            below,
        ),
        "a directory's mode for a symlink": ([Member("s", DIRECTORY, mode=0o777), Member("s", SYMLINK, there)], ""),
        "a file in place of a symlink": ([Member("s", SYMLINK, file), Member("s")], ""),
        "a hard link to an absolute path": ([Member("h", LINK, file), Member("h")], no_member),
        "a hard link up": ([Member("h", LINK, f"{beside}/file"), Member("h")], no_member),
        "a hard link up, to what is a member": (
            [Member(f"{victim.name}/file"), Member("h", LINK, f"{beside}/file")],
            "Removing leading",
        ),
        "a hard link up and down": ([Member("a"), Member("h", LINK, f"a/../{beside}/file")], no_member),
        "a hard link through a symlink": ([Member("s", SYMLINK, there), Member("h", LINK, "s/file")], no_member),
        "a hard link to a symlink, and below": (
            [Member("s", SYMLINK, there), Member("t", LINK, "s"), Member("t/evil")],
            below,
        ),
        "a hard link to a symlink, and over it": (
            [Member("s", SYMLINK, file), Member("t", LINK, "s"), Member("t")],
            "",
        ),
        "a hard link to the root": ([Member("h", LINK, ".")], no_member),
        "a hard link to a later one": ([Member("h", LINK, "later"), Member("later")], no_member),
        "the root is a symlink": ([Member(".", SYMLINK, there), Member("./evil")], "its root is no directory"),
        "the root is a file": ([Member("./")], ""),  # tar takes it for a directory, by the slash
        "the root is a fifo": ([Member(".", tarfile.FIFOTYPE)], "its root is no directory"),
        "the root is a hard link": ([Member("a"), Member(".", LINK, "a")], "its root is no directory"),
        "the root is a device": ([Member("/", tarfile.CHRTYPE)], "its root is no directory"),
        "a pax path": ([Member("a", pax=(("path", f"{beside}/evil"),))], leads_out),
        "a pax link path": ([Member("h", LINK, "a", pax=(("linkpath", f"{beside}/file"),))], no_member),
        "a pax sparse name": (
            [
                Member(
                    "a",
                    pax=(("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.name", f"{beside}/evil")),
                )
            ],
            leads_out,
        ),
        "a long name": ([Member(f"{'d/' * 60}{'../' * 60}{beside}/evil")], leads_out),
        "of several volumes": ([Member("a", raw=b"M")], "of a kind that isn't known here"),
        "of an incremental dump": ([Member("a", raw=b"D"), Member("a/evil")], ""),
        "of an unknown kind": ([Member("a", raw=b"Y")], "of a kind that isn't known here"),
        "a half restored volume": ([Member("a"), Member(".drydock-restore-incomplete")], "a part of a restore only"),
        "a staging directory": ([Member(".drydock-staging-evil/old/evil"), Member("a")], ""),
        "a staging directory as a symlink": (
            [Member(".drydock-staging-evil", SYMLINK, there), Member("a")],
            "",
        ),
    }


def archive(members: list[Member], *, root: bool = False) -> bytes:
    """A tar archive of these members, with a directory for its root in front or without."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as made:
        if root:
            made.addfile(_info(Member(".", DIRECTORY, mode=0o700)))
        for member in members:
            info = _info(member)
            content = EVIL if member.kind == FILE and not member.raw and not member.name.endswith("/") else b""
            info.size = len(content)
            start = out.tell()
            made.addfile(info, io.BytesIO(content))
            if member.raw:
                _set_type(out, start, member.raw)
    return out.getvalue()


def _info(member: Member) -> tarfile.TarInfo:
    info = tarfile.TarInfo(member.name)
    info.type, info.mode, info.linkname, info.mtime = member.kind, member.mode, member.link, 1_500_000_000
    info.pax_headers = dict(member.pax)
    return info


def _set_type(out: io.BytesIO, at: int, kind: bytes) -> None:
    """Change the type of the member whose header is at that place."""
    out.seek(at)
    header = bytearray(out.read(512))
    header[156:157] = kind
    out.seek(at)
    out.write(checked(header))
    out.seek(0, os.SEEK_END)


def checked(header: bytearray) -> bytes:
    """A header with the checksum that belongs to it."""
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)
