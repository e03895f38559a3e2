# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The maps of files with holes in a tar stream, in the four ways in which GNU tar writes them.

https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from .fields import BLOCK, Stream, number, unknown

#: What the keys of such a map begin with in a pax header.
KEYS = "GNU.sparse."


class Holes(NamedTuple):
    """A file of ``size`` bytes: the stream holds the ``stored`` ones of ``pieces``, each an offset and a length."""

    size: int
    stored: int
    pieces: list[tuple[int, int]]


def pax(stream: Stream, texts: Mapping[str, bytes], pairs: Sequence[int], stored: int) -> Holes:
    """The map that a pax header tells in one of three ways: in the data, in a text, or in records of their own, whose
    numbers are ``pairs``. ``stored`` is what the stream holds of the member. Raise IntegrityError."""
    at = stream.at
    try:
        if texts.get("GNU.sparse.major") == b"1" and texts.get("GNU.sparse.minor") == b"0":
            numbers, taken = _in_front(stream, stored)
            stored -= taken
            size = int(texts["GNU.sparse.realsize"])
        elif "GNU.sparse.major" in texts:
            raise unknown("a sparse file of a newer kind", at)
        elif "GNU.sparse.map" in texts:
            numbers = [int(each) for each in texts["GNU.sparse.map"].split(b",")]
            size = int(texts["GNU.sparse.size"])
        else:
            numbers = list(pairs)
            size = int(texts["GNU.sparse.size"])
    except (KeyError, ValueError):
        raise unknown("a sparse file whose map makes no sense", at) from None
    if len(numbers) % 2:
        raise unknown("a sparse file whose map isn't that of its data", at)
    return _checked(Holes(size, stored, list(zip(numbers[::2], numbers[1::2]))), at)


def _in_front(stream: Stream, stored: int) -> tuple[list[int], int]:
    """The numbers in front of the data, and the bytes they take: how many pieces there are, then offset and length of
    each, a line a number."""
    lines: list[bytes] = [b""]
    wanted = None
    taken = 0
    while wanted is None or len(lines) <= wanted:
        block = stream.take(BLOCK)
        taken += BLOCK
        first, *more = block.split(b"\n")
        lines[-1] += first
        lines += more
        if wanted is None and len(lines) > 1:
            wanted = 2 * int(lines[0]) + 1
        if taken > stored:
            raise ValueError
    return [int(line) for line in lines[1:wanted]], taken


def old(stream: Stream, header: bytes, stored: int) -> Holes:
    """The map in GNU's old format: four pieces in the header, 21 in each block after it. Raise IntegrityError."""
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
        pieces.append((number(whole[place : place + 12], at), number(whole[place + 12 : place + 24], at)))
    return _checked(Holes(number(header[483:495], at), stored, pieces), at)


def _checked(found: Holes, at: int) -> Holes:
    """Raise IntegrityError unless the pieces follow each other in the file and are what is stored."""
    end = 0
    for offset, length in found.pieces:
        if offset < end or length < 0:
            raise unknown("a sparse file whose pieces overlap", at)
        end = offset + length
    if end > found.size or sum(length for _offset, length in found.pieces) != found.stored:
        raise unknown("a sparse file whose map isn't that of its data", at)
    return found
