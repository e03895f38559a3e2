# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The fields of a tar header: text, numbers, times; and how to say that one isn't understood."""

from __future__ import annotations

from typing import Protocol

from .errors import IntegrityError

BLOCK = 512
SECOND = 1_000_000_000

_SMALL: dict[bytes, int] = {}


class Stream(Protocol):
    """Bytes in their order; ``at`` is how many were taken or skipped. Both raise IntegrityError where it ends early."""

    at: int

    def take(self, count: int) -> bytes:
        """The next bytes."""

    def skip(self, count: int) -> None:
        """Pass over the next bytes."""


def text(field: bytes) -> bytes:
    """What is before the first zero byte."""
    return field.partition(b"\0")[0]


def number(field: bytes, at: int) -> int:
    """A number in octal digits, or where its first bit is set in base 256, of two's complement. Most come again."""
    known = _SMALL.get(field)
    if known is not None:
        return known
    if field[0] & 0x80:
        found = int.from_bytes(field, "big") - (1 << 8 * len(field) - 1)
        if field[0] & 0x40:
            found -= 1 << 8 * len(field) - 1
    else:
        try:
            found = int(field.rstrip(b"\0 ") or b"0", 8)
        except ValueError:
            raise unknown(f"a header with the number {field!r}", at) from None
    if len(_SMALL) > 10_000:
        _SMALL.clear()
    _SMALL[field] = found
    return found


def time(value: bytes) -> int:
    """Nanoseconds out of seconds with a fraction of any length: -1.500000001 is before 1970. Raise ValueError."""
    whole, _point, fraction = value.partition(b".")
    negative = whole.startswith(b"-")
    if not whole.lstrip(b"-").isdigit() or (fraction and not fraction.isdigit()):
        raise ValueError
    found = abs(int(whole)) * SECOND + int(fraction[:9].ljust(9, b"0"))
    return -found - (fraction[9:].strip(b"0") != b"") if negative else found


def unknown(what: str, at: int) -> IntegrityError:
    """The error for ``what`` isn't understood, in the bytes up to ``at``."""
    return IntegrityError(
        f"the archive can't be compared: it has {what}, up to byte {at}; with verify: none it is restored all the same"
    )
