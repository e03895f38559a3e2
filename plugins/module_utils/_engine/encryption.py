# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption: the stage between the compressor and the repository, and the way back.

Everything that can be wrong with a key is found by trying it before anything else starts: an empty input is encrypted,
the head of the archive is decrypted. A new method is one more module like ``age`` and ``gpg``, and an entry here.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import age, codecs, gpg, keys
from .errors import UsageError
from .pipeline import Stage

#: The methods, and what each appends to the name of an archive.
EXTENSIONS = {"age": ".age", "gpg": ".gpg"}
#: Bytes of an archive's head that are enough to try a key: both programs write something after reading as much.
HEAD = 1 << 18

# Other names of what gpg writes, on archives that others made.
_FOREIGN = {**{extension: method for method, extension in EXTENSIONS.items()}, ".pgp": "gpg", ".asc": "gpg"}
# What gpg writes without armour begins with nothing in particular.
_MAGIC = (
    (b"age-encryption.org/", "age"),
    (b"-----BEGIN AGE ENCRYPTED FILE-----", "age"),
    (b"-----BEGIN PGP MESSAGE-----", "gpg"),
)


@dataclass(frozen=True)
class Encryption:
    """How archives get encrypted: made by ``parse``, which has tried it.

    ``recipients`` are the fingerprints of the public keys, none if a passphrase is the key: for age the key itself (for
    an SSH key SHA256:… as ssh-keygen prints it), for gpg that of the primary key in hexadecimal.
    """

    method: str
    recipients: tuple[str, ...]
    stage: Stage

    @classmethod
    def parse(cls, options: Mapping[str, Any] | None) -> Encryption | None:
        """The encryption that the options ask for, or None without options.

        ``method`` is age or gpg; ``recipients`` a list of public keys (age) or of names of keys in the keyring (gpg);
        ``recipients_file`` one path, or a list, of files with public keys; ``passphrase_file`` the path of a passphrase
        (gpg) instead of these. What is None counts as left out. Raise UsageError, saying which and why, for options or
        keys that won't do, and ToolError for a missing program.
        """
        if options is None:
            return None
        require_encryption(options)
        method, passphrase_file = options["method"], options.get("passphrase_file")
        recipients, files = _list(options.get("recipients")), _list(options.get("recipients_file"))
        fingerprints: tuple[str, ...] = ()
        if passphrase_file is not None:
            _passphrase("encryption.passphrase_file", passphrase_file)
            stage = gpg.symmetric_encryptor(passphrase_file)
        else:
            stage, fingerprints = (age if method == "age" else gpg).encryptor(recipients, files)
        outcome, _out = keys.tried(stage)
        if outcome.status != 0:
            raise UsageError(f"encryption with {method} fails: {outcome}")
        return cls(method, fingerprints, stage)

    @property
    def extension(self) -> str:
        """What is appended to an archive's name, after the codec's extension."""
        return EXTENSIONS[self.method]

    def record(self) -> dict[str, Any]:
        """What a manifest says of it: ``archive.encryption``."""
        symmetric = {} if self.recipients else {"symmetric": True}
        return {"method": self.method, "recipients": list(self.recipients), **symmetric}


@dataclass(frozen=True)
class Decryption:
    """The keys to read archives with: the paths of files that only their owner can read."""

    identity_file: str | None
    passphrase_file: str | None

    @classmethod
    def parse(cls, options: Mapping[str, Any] | None) -> Decryption | None:
        """The keys that the options name, or None without options.

        ``identity_file`` holds age identities, an SSH private key, or an exported secret key for gpg;
        ``passphrase_file`` a passphrase for gpg: the archive's, or that of the secret key. What is None counts as left
        out. Raise UsageError for a file that is missing, or that others can read.
        """
        if options is None:
            return None
        require_decryption(options)
        identity_file, passphrase_file = options.get("identity_file"), options.get("passphrase_file")
        if identity_file is not None:
            keys.secret_file("decryption.identity_file", identity_file)
        if passphrase_file is not None:
            _passphrase("decryption.passphrase_file", passphrase_file)
        return cls(identity_file, passphrase_file)


def require_encryption(options: Mapping[str, Any] | None) -> None:
    """Raise UsageError for options of Encryption.parse that can't be meant, whatever the keys are."""
    if options is None:
        return
    given = _given("encryption", options, {"method", "recipients", "recipients_file", "passphrase_file"})
    method, recipients = given.get("method"), given.get("recipients") or given.get("recipients_file")
    if method not in EXTENSIONS:
        raise UsageError(f"unknown encryption.method {method!r}; this version knows {', '.join(EXTENSIONS)}")
    if "passphrase_file" in given:
        if method != "gpg" or recipients:
            raise UsageError("encryption.passphrase_file is for method gpg, and without any recipients")
    elif not recipients:
        what = ", a recipients_file or a passphrase_file" if method == "gpg" else " or a recipients_file"
        raise UsageError(f"encryption with {method} needs recipients{what}")


def require_decryption(options: Mapping[str, Any] | None) -> None:
    """Raise UsageError for options of Decryption.parse that can't be meant, whatever the keys are."""
    if options is not None and not _given("decryption", options, {"identity_file", "passphrase_file"}):
        raise UsageError("decryption needs an identity_file or a passphrase_file")


@contextlib.contextmanager
def decryptor(decryption: Decryption | None, record: Mapping[str, Any] | None, head: bytes) -> Iterator[list[Stage]]:
    """The stages that decrypt an archive: none if it isn't encrypted, and one that works while the context lasts.

    ``record`` is what the archive's manifest says of its encryption, or ``recognized``'s answer; ``head`` the first
    HEAD bytes of the archive. Raise UsageError, before anything starts, if the keys are missing or aren't this
    archive's.
    """
    if record is None:
        yield []
        return
    what = f"the archive is encrypted with {record['method']}{_to(record)}"
    wanted = ["identity_file", "passphrase_file"]
    if record["method"] == "age" or record.get("recipients"):
        wanted = ["identity_file"]
    elif record.get("symmetric"):
        wanted = ["passphrase_file"]
    if decryption is None or not any(getattr(decryption, option) for option in wanted):
        raise UsageError(f"{what}; give decryption.{' or decryption.'.join(wanted)}")
    with contextlib.ExitStack() as stack:
        if record["method"] == "age":
            stage = age.decryptor(str(decryption.identity_file))
        else:
            identity_file = decryption.identity_file if "identity_file" in wanted else None
            stage = stack.enter_context(gpg.decryptor(identity_file, decryption.passphrase_file))
        outcome, out = keys.tried(stage, head)
        # The head of a longer archive always ends in an error, but only with its key something comes out before.
        if outcome.status != 0 and not out:
            given = " and ".join(filter(None, (decryption.identity_file, decryption.passphrase_file)))
            raise UsageError(f"{what} and can't be decrypted with {given}: {outcome}")
        yield [stage]


def recognized(name: str, head: bytes) -> dict[str, Any] | None:
    """What an archive without a manifest tells of its encryption, by how it begins, or else by its name; None for one
    that isn't encrypted."""
    for magic, method in _MAGIC:
        if head.startswith(magic):
            return {"method": method}
    if codecs.recognized(head) is not None:
        return None
    return next(({"method": method} for end, method in _FOREIGN.items() if name.endswith(end)), None)


def extension(record: Any) -> str:
    """What the name of an archive with this ``archive.encryption`` in its manifest ends in after the codec's extension.

    Raise ValueError if it isn't such a record, or one of a method that this version doesn't know.
    """
    if record is None:
        return ""
    if not isinstance(record, dict) or not isinstance(record.get("recipients"), list):
        raise ValueError("'archive.encryption' is not an object with 'method' and 'recipients'")
    if not all(isinstance(recipient, str) for recipient in record["recipients"]):
        raise ValueError("'archive.encryption.recipients' holds something else than strings")
    if record.get("method") not in list(EXTENSIONS):
        raise ValueError(f"its archive has an encryption unknown here: {str(record.get('method'))[:100]!r}")
    return EXTENSIONS[record["method"]]


def _to(record: Mapping[str, Any]) -> str:
    """Who can read the archive, for a message."""
    if record.get("symmetric"):
        return " and a passphrase"
    return f" to {', '.join(record['recipients'])}" if record.get("recipients") else ""


def _given(option: str, options: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    """The options that are not None. Raise UsageError for others than the known ones."""
    unknown = sorted(set(options) - known)
    if unknown:
        raise UsageError(f"unknown {option} option {unknown[0]!r}; it takes {', '.join(sorted(known))}")
    return {name: value for name, value in options.items() if value is not None}


def _list(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _passphrase(option: str, path: str) -> None:
    """Raise UsageError unless the file's first line, which is what gpg takes, holds something."""
    if not keys.secret_file(option, path).partition(b"\n")[0].strip():
        raise UsageError(f"{option} {path} holds no passphrase in its first line")
