# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The archive of a database backup: dumps of which nobody knows the size before they are there, in a tar stream.

tar wants each member's size ahead of it, so a dump is cut into pieces: ``shop.dump/000001``, ``shop.dump/000002`` and
so on. ``tar --extract --to-stdout --file=… shop.dump`` puts them together again.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from .errors import IntegrityError

#: Bytes in each piece of a dump but its last one.
PIECE = 16 << 20

_BLOCK = 512
_LONGEST = 80
_MEMBER = re.compile(r"(.+)/(\d{6,})", re.DOTALL)


@dataclass(frozen=True)
class Dump:
    """One dump in an archive: the name of its ``file``, the ``database`` that it is of (None: it is of what belongs to
    no database), its ``bytes`` and its checksum ``sha256`` (hex)."""

    file: str
    database: str | None
    bytes: int
    sha256: str

    def record(self) -> dict[str, Any]:
        """What a manifest says of it."""
        return {"file": self.file, "database": self.database, "bytes": self.bytes, "sha256": self.sha256}


def file_name(database: str, number: int, extension: str) -> str:
    """The name of a database's file, which is harmless everywhere; ``number`` tells those apart that are cut."""
    stem = quote(database, safe="")
    return (stem if len(stem) <= _LONGEST else f"{stem[: _LONGEST - 20]}~{number}") + extension


class Writer:
    """Makes a tar stream of dumps, one after the other, and gives it to ``sink``. ``entries`` counts its members."""

    def __init__(self, sink: Callable[[memoryview], object], when: datetime) -> None:
        self.entries = 0
        self._sink = sink
        self._mtime = int(when.timestamp())
        self._written = 0
        self._piece = bytearray()
        self._number = 0
        self._file = ""
        self._bytes = 0
        self._digest = hashlib.sha256()

    def begin(self, file: str) -> None:
        """Begin a dump."""
        self._file, self._number, self._bytes, self._digest = file, 0, 0, hashlib.sha256()

    def write(self, data: memoryview) -> None:
        """Add to the dump."""
        self._digest.update(data)
        self._bytes += len(data)
        while data:
            room = PIECE - len(self._piece)
            self._piece += data[:room]
            data = data[room:]
            if len(self._piece) == PIECE:
                self._put()

    def end(self, database: str | None) -> Dump:
        """End the dump."""
        if self._piece or not self._number:
            self._put()
        return Dump(self._file, database, self._bytes, self._digest.hexdigest())

    def close(self) -> None:
        """End the archive, as tar does: two empty blocks, and as many as it takes to fill a record."""
        end = 2 * _BLOCK
        self._give(bytes(end + -(self._written + end) % tarfile.RECORDSIZE))

    def _put(self) -> None:
        self._number += 1
        member = tarfile.TarInfo(f"{self._file}/{self._number:06}")
        member.size, member.mode, member.mtime = len(self._piece), 0o600, self._mtime
        self._give(member.tobuf(tarfile.USTAR_FORMAT))
        self._give(self._piece)
        self._give(bytes(-len(self._piece) % _BLOCK))
        self._piece = bytearray()
        self.entries += 1

    def _give(self, data: bytes | bytearray) -> None:
        self._written += len(data)
        if data:
            self._sink(memoryview(data))


class Receiver(Protocol):
    """What takes the dumps of an archive, one after the other."""

    def begin(self, dump: Dump) -> None:
        """A dump begins."""

    def write(self, data: memoryview) -> None:
        """More of it."""

    def end(self) -> None:
        """It was whole, as its size and its checksum tell."""


class Reader:
    """Takes an archive apart that must hold these dumps, in this order, and gives them to a receiver.

    ``write`` is the sink for the tar stream, ``close`` tells that all of it was there. Both raise IntegrityError for
    what isn't as the manifest says.
    """

    def __init__(self, dumps: list[Dump], receiver: Receiver) -> None:
        self._dumps = dumps
        self._receiver = receiver
        self._buffer = bytearray()
        self._left = self._padding = 0
        self._at = -1
        self._number = 0
        self._bytes = 0
        self._digest = hashlib.sha256()
        self._over = False

    def write(self, data: memoryview) -> None:
        """Take the next bytes of the stream."""
        while data and not self._over:
            if self._left:
                piece, data = data[: self._left], data[self._left :]
                self._left -= len(piece)
                self._digest.update(piece)
                self._bytes += len(piece)
                self._receiver.write(piece)
            elif self._padding:
                skipped = min(self._padding, len(data))
                self._padding -= skipped
                data = data[skipped:]
            else:
                room = _BLOCK - len(self._buffer)
                self._buffer += data[:room]
                data = data[room:]
                if len(self._buffer) == _BLOCK:
                    self._header(bytes(self._buffer))
                    self._buffer.clear()

    def close(self) -> None:
        """See that this was all."""
        if not self._over:
            raise IntegrityError("the archive ends before its end")
        if self._at + 1 != len(self._dumps):
            raise IntegrityError(f"the archive has {self._at + 1} dumps, its manifest says {len(self._dumps)}")

    def _header(self, block: bytes) -> None:
        if not any(block):
            self._finish()
            self._over = True
            return
        try:
            member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.HeaderError as error:
            raise IntegrityError(f"the archive isn't one: {error}") from error
        match = _MEMBER.fullmatch(member.name)
        if match is None or not member.isreg():
            raise IntegrityError(f"the archive holds {member.name!r}, which no dump has")
        file, number = match[1], int(match[2])
        if number == 1:
            self._finish()
            self._begin(file)
        elif self._at < 0 or (file, number) != (self._dumps[self._at].file, self._number + 1):
            raise IntegrityError(f"the archive holds {member.name!r} out of its turn")
        self._number = number
        self._left, self._padding = member.size, -member.size % _BLOCK

    def _begin(self, file: str) -> None:
        self._at += 1
        if self._at >= len(self._dumps) or self._dumps[self._at].file != file:
            raise IntegrityError(f"the archive holds {file!r}, its manifest doesn't say so")
        self._bytes, self._digest = 0, hashlib.sha256()
        self._receiver.begin(self._dumps[self._at])

    def _finish(self) -> None:
        """See that the dump is whole."""
        if self._at < 0:
            return
        dump = self._dumps[self._at]
        if (self._bytes, self._digest.hexdigest()) != (dump.bytes, dump.sha256):
            raise IntegrityError(
                f"{dump.file} in the archive ({self._bytes} bytes) isn't what its manifest says ({dump.bytes} bytes)"
            )
        self._receiver.end()
