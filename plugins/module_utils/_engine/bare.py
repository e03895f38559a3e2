# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An archive by itself, without a manifest: one of ours, or one that ``tar czf`` and tools around it have made.

Nobody tells how much it holds, whether it is whole, or whether whoever made it means well. So it is read to its end
once, and all its members are looked at, before anything is created or written.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass

from . import archive, codecs, encryption, keys, pipeline, roots, tools
from .errors import IntegrityError, PipelineError, UsageError, reason
from .listing import Listing, stage
from .pipeline import Stage
from .removal import remove
from .survey import Survey

_CHECKSUM = re.compile(r"(?:sha256:)?([0-9a-f]{64})", re.IGNORECASE)
# What tar says of names that it makes safe, and that come out as they were looked at.
_HARMLESS = re.compile(
    r"tar: (?:Removing leading `/+' from (?:member names|hard link targets)|Substituting `\.' for empty member name)"
)
# tar would leave the stripped directory out: with this it has a component more than that, and is the root.
_ROOT = r"--transform=s,^/*[^/]+(/+[^/]+){%d}/*$,&/.,xSH"


@dataclass(frozen=True)
class Source:
    """Which archive, and how to read its names: its ``path``, the ``sha256`` that it must have, in lower-case
    hexadecimal, or None, and how many components to ``strip`` from the front of each name."""

    path: str
    sha256: str | None = None
    strip: int = 0

    @classmethod
    def parse(cls, path: str, checksum: str | None, strip_components: int) -> Source:
        """What the options of these names ask for; ``checksum`` may have ``sha256:`` in front. Raise UsageError for
        values that won't do."""
        if not os.path.isabs(path):
            raise UsageError(f"archive {path!r} is not an absolute path")
        if strip_components < 0:
            raise UsageError(f"strip_components is {strip_components}; it must be 0 or more")
        match = None if checksum is None else _CHECKSUM.fullmatch(checksum.strip())
        if checksum is not None and match is None:
            raise UsageError(f"checksum {checksum!r} is not a SHA-256: write sha256: and 64 hexadecimal digits")
        return cls(path, match[1].lower() if match else None, strip_components)


@contextlib.contextmanager
def opened(path: str) -> Iterator[int]:
    """A descriptor of the archive. Raise UsageError if it is no file that can be read."""
    try:
        # without blocking: the open of a named pipe would wait for its writer
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else error
        raise UsageError(f"archive {path!r} can't be read: {why}; nothing was changed") from error
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UsageError(f"archive {path} is not a regular file; nothing was changed")
        yield descriptor
    finally:
        os.close(descriptor)


def verify(descriptor: int, path: str, expected: str) -> None:
    """Raise IntegrityError unless the archive has that SHA-256."""
    digest = hashlib.sha256()
    buffer = bytearray(pipeline.CHUNK)
    os.lseek(descriptor, 0, os.SEEK_SET)
    for count in iter(lambda: os.readv(descriptor, [buffer]), 0):
        digest.update(memoryview(buffer)[:count])
    if digest.hexdigest() != expected:
        raise IntegrityError(
            f"archive {path} is damaged, or another one: its SHA-256 is {digest.hexdigest()}, and checksum is "
            f"{expected}; nothing was changed"
        )


class Bare:
    """What an archive holds, for a target.Target. Made, it has been read once."""

    def __init__(
        self,
        descriptor: int,
        source: Source,
        volume: str,
        *,
        decryption: encryption.Decryption | None,
        stall_timeout: float,
        stack: contextlib.ExitStack,
    ) -> None:
        """Read it all. Raise DrydockError if it isn't whole, is empty, or would write elsewhere than it seems to, and
        if there is no program or no key to read it."""
        self._descriptor = descriptor
        self._path = source.path
        self._volume = volume
        self._strip = source.strip
        self._stall_timeout = stall_timeout
        self._tar, _version = tools.gnu_tar()
        self._filters = self._reader(decryption, stack)
        self._found = Listing(source.strip)
        self._look()
        self.allocated = self._found.allocated
        self.rooted = self._found.rooted
        self.entries = self._found.entries
        self.bytes = self._found.bytes

    def warnings(self) -> list[str]:
        """What the operator should know of it."""
        said = []
        if self._found.single:
            directory, depth = self._found.single
            said.append(
                f"archive {self._path}: everything in it is below {directory}/, and so it is in volume {self._volume}; "
                f"strip_components: {depth} may be meant"
            )
        if self._found.leftovers:
            said.append(
                f"archive {self._path}: {self._found.leftovers} members below {roots.PREFIX}* are what a dead "
                "restore has left there; they are left out"
            )
        return said

    def may_be(self, found: Survey) -> bool:
        """Whether a tree of which this much is known may be the same."""
        return self._found.repeated or (found.entries, found.bytes) == (self.entries, self.bytes)

    def fill(self, directory: str) -> None:
        """Extract it. Raise PipelineError or IntegrityError unless all of it arrived."""
        options = [archive.IN_ANY_ORDER]
        if self._strip:
            options.append(f"--strip-components={self._strip}")
        if self._found.stripped_root:
            options.append(_ROOT % (self._strip - 1))
        members = archive.Members()
        bad = self._run(archive.extract(self._tar, directory, *options), members)
        if bad is None and self._acls_missing(directory):
            for entry in os.listdir(directory):
                remove(os.path.join(directory, entry))
            members = archive.Members()
            bad = self._run(archive.extract(self._tar, directory, *options, *archive.acls(directory)), members)
        as_it_was = "what was extracted is removed, the volume is as it was"
        if bad is not None:
            raise PipelineError(f"volume {self._volume}: archive {self._path}: {bad}; {as_it_was}")
        if members.count != self._found.extracted:
            raise IntegrityError(
                f"volume {self._volume}: archive {self._path} held {members.count} members, and "
                f"{self._found.extracted} when it was looked at; {as_it_was}"
            )

    def _acls_missing(self, directory: str) -> bool:
        """Whether the archive has ACLs as text only, and not also as xattrs, which are the better: text has names, and
        a name may be another user's here."""
        path = self._found.with_acl
        if path is None:
            return False
        found = os.listxattr(os.path.join(os.fsencode(directory), path), follow_symlinks=False)
        return not any(name.startswith("system.posix_acl_") for name in found)

    def _reader(self, decryption: encryption.Decryption | None, stack: contextlib.ExitStack) -> list[Stage]:
        """The stages that decrypt and decompress it."""
        head = os.pread(self._descriptor, encryption.HEAD, 0)
        if not head:
            raise IntegrityError(f"archive {self._path} is empty: it has 0 bytes; nothing was changed")
        record = encryption.recognized(self._path, head)
        decryptor = stack.enter_context(encryption.decryptor(decryption, record, head))
        for each in decryptor:
            _outcome, head = keys.tried(each, head)
        decompressor = codecs.recognized(head)
        if decompressor is None:
            inside = " inside of its encryption" if decryptor else ""
            raise IntegrityError(
                f"archive {self._path} is no tar archive{inside}, whole or compressed with gzip, bzip2, xz or zstd; "
                "nothing was changed"
            )
        return [*decryptor, *decompressor]

    def _look(self) -> None:
        try:
            bad = self._run(stage(self._tar), self._found)
            if bad is None:
                self._found.judge()
        except IntegrityError as error:
            raise IntegrityError(f"archive {self._path} can't be restored: {error}; nothing was changed") from error
        if bad is not None:
            raise IntegrityError(f"archive {self._path} is damaged: {bad}; nothing was changed")

    def _run(self, tar: Stage, listing: Listing | archive.Members) -> pipeline.Outcome | None:
        """Run tar on it, and return the outcome of the stage that failed, or said what it shouldn't."""
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        outcomes = pipeline.run(
            [*self._filters, tar], source=self._descriptor, listing=listing, stall_timeout=self._stall_timeout
        )
        *_others, last = outcomes
        if all(_HARMLESS.fullmatch(line) for line in last.said):
            last = pipeline.Outcome(last.stage, last.status, ())
        bad = pipeline.failed(outcomes)
        return bad or (last if last.said else None)
