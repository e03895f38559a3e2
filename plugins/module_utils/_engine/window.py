# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A window on a stream of bytes that goes by: one thread fills it, another one reads what is in it.

A Tap fills it with what flows from one process to another, without holding that up while there is room, and knows how
far the receiving process has come. tee(2) has the kernel duplicate what is in the pipe; only our own copy is copied.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import termios
import threading
import time

from .errors import IntegrityError

#: Bytes in the window. A comparison must follow far enough behind for tar to have done its part, and may fall back.
SIZE = 16 << 20
_STEP = 1 << 20
_FIONREAD = struct.Struct("i")
_TICK = 0.001


class Stopped(Exception):  # noqa: N818 it is no error
    """Nobody wants the rest."""


class Window:
    """The bytes between the one who writes and the one who reads. ``at`` is how many were read."""

    def __init__(self) -> None:
        self.at = 0
        self._data = memoryview(bytearray(SIZE))
        self._written = 0
        self._closed = self._ignored = self._stopped = False
        self._changed = threading.Condition()
        # Nobody is woken who doesn't wait. Each side sets its own before it looks at what the other one changes.
        self._writing = self._reading = False

    def restart(self) -> None:
        """Be as new."""
        self.at = self._written = 0
        self._closed = self._ignored = self._stopped = False

    # The side that writes.

    def room(self) -> memoryview:
        """Where the next bytes go: wait until there is room for more than a few. Raise Stopped."""
        with self._changed:
            self._writing = True
            while (free := self._free()) < _STEP and not self._stopped:
                self._changed.wait()
            self._writing = False
            self.require_wanted()
        place = self._written % SIZE
        return self._data[place : place + min(free, SIZE - place, _STEP)]

    def filled(self, count: int) -> None:
        """So many bytes of the room are filled."""
        self._written += count
        if self._reading:
            self._wake()

    def feed(self, data: memoryview) -> None:
        """Write bytes that are in memory. Raise Stopped."""
        while data:
            room = self.room()
            count = min(len(room), len(data))
            room[:count] = data[:count]
            self.filled(count)
            data = data[count:]

    def close(self) -> None:
        """Nothing more comes."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()

    def _free(self) -> int:
        return SIZE if self._ignored else SIZE - (self._written - self.at)

    # The side that reads.

    def take(self, count: int) -> bytes:
        """Read so many bytes: raise IntegrityError if there are less, or Stopped."""
        place = self.at % SIZE
        if place + count <= SIZE and self._written - self.at >= count and not self._writing:
            taken = bytes(self._data[place : place + count])
            self.at += count  # whoever begins to wait just now is woken by what is read next
            return taken
        parts = []
        while count > 0:
            part = bytes(self.peek(count))
            parts.append(part)
            self.skip(len(part))
            count -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def peek(self, count: int) -> memoryview:
        """The next bytes, ``count`` of them or some less where the window ends. Raise IntegrityError or Stopped."""
        place = self.at % SIZE
        count = min(count, SIZE - place)
        self.await_bytes(count)
        return self._data[place : place + count]

    def skip(self, count: int) -> None:
        """Pass over bytes. Raise IntegrityError if there are less, or Stopped."""
        while count > 0:
            step = min(count, _STEP)
            self.await_bytes(step)
            self.at += step
            if self._writing and self._free() >= _STEP:
                self._wake()
            count -= step

    def await_bytes(self, count: int) -> None:
        """Wait until the next ``count`` bytes, SIZE at most, are there. Raise IntegrityError or Stopped."""
        if self._written - self.at >= count and not self._stopped:
            return
        with self._changed:
            self._reading = True
            while self._written - self.at < count and not self._closed and not self._stopped:
                self._changed.wait()
            self._reading = False
            self.require_wanted()
            if self._written - self.at < count:
                raise IntegrityError(f"the archive can't be compared: it ends at byte {self._written}, in the middle")

    def ignore(self) -> None:
        """Have whatever else comes pass by."""
        with self._changed:
            self._ignored = True
            self._changed.notify_all()

    def require_wanted(self) -> None:
        """Raise Stopped if nobody wants the rest."""
        if self._stopped:
            raise Stopped

    def stop(self) -> None:
        """Have both sides raise Stopped."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()


class Tap:
    """Moves what comes out of the pipe ``read`` into the pipe ``write``, and into a window. It closes both at the end.

    A thread of its own does it: the end of the one that writes, or of the one that reads, is its end too.
    """

    def __init__(self, window: Window, read: int, write: int) -> None:
        self._window = window
        self._read = read
        self._write = write
        self._moved = self._seen = self._ended = 0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.tee.restype = ctypes.c_ssize_t
        self._libc.tee.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_size_t, ctypes.c_uint)
        self._thread = threading.Thread(target=self._run, name="tap", daemon=True)
        self._thread.start()

    def await_read(self, place: int) -> int | None:
        """Wait until the process at the other end has done with the bytes up to ``place``, which must be in the window.

        It must do with what it reads all that there is to do before it reads on, in blocks of 64 KiB at most: so it has
        when it has read as much again. Near the end only the end of the process tells: then return the time (as of now)
        until which it was given bytes. Raise Stopped.
        """
        wanted = place + (64 << 10)
        while self._seen < wanted:
            self._seen = max(self._seen, self._done())
            if self._seen < wanted:
                self._window.require_wanted()
                if self._over.wait(_TICK):
                    self._thread.join()
                    return self._ended
        return None

    def over(self) -> None:
        """Say that the process at the other end has ended well."""
        self._over.set()

    def join(self) -> None:
        """Wait for the thread's end, not for ever: a process that the kernel doesn't let go may hold it."""
        self._thread.join(10)

    def _done(self) -> int:
        """How many bytes were taken out of the pipe, or a few less."""
        with self._lock:
            moved = self._moved
            if self._write < 0:
                return 0  # only the end of the process can tell now
            answer = fcntl.ioctl(self._write, termios.FIONREAD, bytes(_FIONREAD.size))
        return moved - int(_FIONREAD.unpack(answer)[0])

    def _run(self) -> None:
        try:
            while self._move():
                pass
        except (OSError, Stopped):
            pass  # who waits for the bytes finds that they end, and tar too
        finally:
            self._ended = now()
            with self._lock:
                write, self._write = self._write, -1
            os.close(write)
            os.close(self._read)
            self._window.close()

    def _move(self) -> bool:
        """Move what there is. Return whether there may be more."""
        room = self._window.room()
        count = self._libc.tee(self._read, self._write, len(room), 0)
        if count < 0:
            number = ctypes.get_errno()
            if number == errno.EINTR:
                return True
            raise OSError(number, os.strerror(number))
        self._moved += count
        left = room[:count]
        while left:
            got = os.readv(self._read, [left])
            left = left[got:]
        self._window.filled(count)
        return bool(count)


def now() -> int:
    """The time that the kernel gives a file which is changed now (CLOCK_REALTIME_COARSE, which time doesn't name)."""
    return time.clock_gettime_ns(5)
