# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compression: the filters that a tar stream goes through on its way to the repository and back.

A new codec is one more entry in CODECS.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from . import tools
from .errors import UsageError
from .pipeline import Stage


@dataclass(frozen=True)
class Codec:
    """One compression format.

    ``compress`` takes a level and a number of threads (0: one for each processor) and returns the stage that reads a
    tar stream and writes the compressed one; ``decompress`` is its reverse. Both are None for the codec that does
    nothing. ``levels`` are the lowest and the highest level, ``default`` is the one used when none is asked for.
    """

    name: str
    extension: str
    levels: tuple[int, int]
    default: int
    compress: Callable[[int, int], Stage] | None
    decompress: Callable[[], Stage] | None

    def require_level(self, level: int | None) -> None:
        """Raise UsageError for a level out of range; None is the default."""
        if level is None:
            return
        if self.compress is None:
            raise UsageError(f"compression_level {level} is for nothing with compression {self.name!r}; leave it out")
        low, high = self.levels
        if not low <= level <= high:
            raise UsageError(f"compression_level {level} is out of range for {self.name!r}: it takes {low} to {high}")

    def compressor(self, level: int | None, threads: int = 0) -> list[Stage]:
        """The stages that compress at ``level`` (None: the default) in so many threads (0: all).

        Raise UsageError for a level out of range.
        """
        self.require_level(level)
        if self.compress is None:
            return []
        return [self.compress(self.default if level is None else level, threads)]

    def decompressor(self) -> list[Stage]:
        """The stages that decompress."""
        return [] if self.decompress is None else [self.decompress()]


def _zstd(*options: str) -> Stage:
    return Stage("zstd", (tools.need("zstd", "zstd"), "--quiet", *options, "--stdout"))


def _gzip(*options: str) -> Stage:
    return Stage("gzip", (tools.find("pigz") or tools.need("gzip", "gzip"), *options, "--stdout"))


def _gzip_compressor(level: int, threads: int) -> Stage:
    # pigz makes the same format on every core; gzip is on every host.
    several = [f"-p{threads}"] if threads and tools.find("pigz") else []
    return _gzip(f"-{level}", "--no-name", *several)


CODECS = {
    codec.name: codec
    for codec in (
        # Level 2 rather than zstd's own 3: a fifth less processor time for archives that are 4 % larger, measured on
        # 2 GB of programs, libraries and documents.
        Codec("zstd", ".tar.zst", (1, 19), 2, lambda n, m: _zstd(f"-{n}", f"-T{m}"), lambda: _zstd("--decompress")),
        Codec("gzip", ".tar.gz", (1, 9), 6, _gzip_compressor, lambda: _gzip("--decompress")),
        Codec("none", ".tar", (0, 0), 0, None, None),
    )
}


# What the archives of other programs begin with, and the filter that reads them: RFC 8878, RFC 1952, and what magic(5)
# has for bzip2 and xz.
_RECOGNIZED: tuple[tuple[bytes, Callable[[], Stage]], ...] = (
    (b"\x28\xb5\x2f\xfd", lambda: _zstd("--decompress")),
    (b"\x1f\x8b", lambda: _gzip("--decompress")),
    (b"BZh", lambda: _plain("bzip2", "bzip2")),
    (b"\xfd7zXZ\x00", lambda: _plain("xz", "xz-utils")),
)
# The header of a member: the sum of its bytes is in it, in octal digits, with spaces in place of the digits themselves.
_HEADER, _SUM = 512, slice(148, 156)


def recognized(head: bytes) -> list[Stage] | None:
    """The stages that decompress an archive which begins with ``head``, whatever its name is; None if it is none."""
    for magic, stage in _RECOGNIZED:
        if head.startswith(magic):
            return [stage()]
    return [] if _is_tar(head) else None


def _is_tar(head: bytes) -> bool:
    block = head[:_HEADER]
    if len(block) < _HEADER:
        return False
    if not any(block):
        return True  # the end, before anything else
    try:
        return int(block[_SUM].strip(b" \0"), 8) == sum(block) - sum(block[_SUM]) + 8 * ord(" ")
    except ValueError:
        return False


def _plain(program: str, package: str) -> Stage:
    return Stage(program, (tools.need(program, package), "--decompress", "--stdout"))


def codec(name: str) -> Codec:
    """The codec called ``name``. Raise UsageError, listing those there are, for an unknown one."""
    try:
        return CODECS[name]
    except KeyError:
        raise UsageError(f"unknown compression {name!r}; this version knows {', '.join(sorted(CODECS))}") from None
