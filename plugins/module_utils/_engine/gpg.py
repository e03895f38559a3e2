# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GnuPG: encryption to public keys or with a passphrase, without its agent, its trust database or anybody's options.

The listing's format is that of doc/DETAILS in GnuPG's source. It is the same in GnuPG 2.2 and 2.4.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from . import keys, tools
from .errors import ToolError, UsageError, reason
from .pipeline import Stage

# No file of options, nobody to ask, no file written beside the output.
_COMMON = ("--no-options", "--batch", "--no-tty", "--quiet", "--no-random-seed-file")
_NO_AGENT = ("--no-autostart",)
# A home that isn't there: nothing is read from it and nothing is written to it.
_HOMELESS = ("--homedir=/nonexistent", "--no-keyring", *_NO_AGENT)
# The keyring of the user that we run as, without the lock files that mere reading would make.
_KEYRING = ("--lock-never", "--no-auto-check-trustdb", *_NO_AGENT)
# Who names a key has decided to trust it. The compressor was there already. GnuPG 2.4 reads /etc/gnupg/gpg.conf all the
# same, but nobody gets to read the archive whom the manifest doesn't name.
_ENCRYPT = ("--trust-model=always", "--compress-algo=none", "--no-encrypt-to", "--no-armor")
# A count of its own keeps gpg from asking its agent for one.
_SYMMETRIC = ("--cipher-algo=AES256", "--s2k-digest-algo=SHA512", "--s2k-count=65011712", "--symmetric")
# Who signed another tool's archive is not what we are asked for, and gpg would fail without the signer's key.
_DECRYPT = ("--skip-verify", "--decrypt")

_NAME = re.compile(r"(?:0x)?(?P<id>[0-9A-Fa-f]{16}|[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64})|<?(?P<mail>[^\s<>@]+@[^\s<>@]+)>?")

# Ends the agent and removes the home as soon as nobody holds the other end of its input: at the end, or when we are
# killed, so that no secret key outlives us.
_CLEANER = """
trap '' HUP INT TERM
read -r end
"$2" --homedir "$1" --kill all
"$2" --homedir "$1" --remove-socketdir
rm -rf -- "$1"
"""


@dataclass(frozen=True)
class _Key:
    """A key: its fingerprint, whether its secret half is there, and why it can't encrypt (None: it can)."""

    fingerprint: str
    secret: bool
    unfit: str | None


def encryptor(recipients: Sequence[str], files: Sequence[str]) -> tuple[Stage, tuple[str, ...]]:
    """The stage that encrypts to the keys called ``recipients`` in the keyring and those in ``files``, and their
    fingerprints.

    Raise UsageError, naming it, for a key that isn't there, that could be several, or that can't encrypt now.
    """
    if not recipients and not files:
        raise UsageError("encryption with gpg needs recipients, a recipients_file or a passphrase_file")
    chosen: dict[str, tuple[str, ...]] = {}
    for path in files:
        chosen.setdefault(_in_file(path), ("--recipient-file", path))
    for number, text in enumerate(recipients):
        fingerprint = _in_keyring(f"encryption.recipients[{number}]", text.strip())
        chosen.setdefault(fingerprint, ("--recipient", fingerprint))
    home = _KEYRING if recipients else _HOMELESS
    options = [option for pair in chosen.values() for option in pair]
    return _gpg(*home, *_ENCRYPT, *options, "--encrypt"), tuple(chosen)


def symmetric_encryptor(passphrase_file: str) -> Stage:
    """The stage that encrypts with the passphrase in the first line of ``passphrase_file``, by AES-256."""
    return _gpg(*_HOMELESS, *_unlock(passphrase_file), *_ENCRYPT, *_SYMMETRIC)


@contextlib.contextmanager
def decryptor(identity_file: str | None, passphrase_file: str | None) -> Iterator[Stage]:
    """The stage that decrypts: with the secret keys exported to ``identity_file``, with the passphrase, or with keys
    that the passphrase unlocks.

    The keys live in a directory of their own, in memory where the host has a place for that, and an agent that serves
    them; both are gone afterwards. Raise UsageError if the file holds no secret key.
    """
    unlock = _unlock(passphrase_file)
    if identity_file is None:
        yield _gpg(*_HOMELESS, *unlock, *_DECRYPT)
        return
    with _home() as home:
        here = f"--homedir={home}"
        outcome, _out = keys.tried(_gpg(here, *unlock, "--import", "--", identity_file))
        if not _keys(keys.tried(_gpg(here, "--with-colons", "--list-secret-keys"))[1]):
            why = f": {outcome}" if outcome.status else "; export one: gpg --armor --export-secret-keys FINGERPRINT"
            raise UsageError(f"decryption.identity_file {identity_file} holds no secret key for gpg{why}")
        yield _gpg(here, *unlock, *_DECRYPT)


def _gpg(*arguments: str) -> Stage:
    return Stage("gpg", (tools.need("gpg", "gnupg"), *_COMMON, *arguments))


def _unlock(passphrase_file: str | None) -> tuple[str, ...]:
    if passphrase_file is None:
        return ("--pinentry-mode=error",)
    return ("--pinentry-mode=loopback", "--passphrase-file", passphrase_file)


def _in_file(path: str) -> str:
    """The fingerprint of the key in an exported file."""
    name = f"encryption.recipients_file {path}"
    found, said = _shown(keys.public_file("encryption.recipients_file", path))
    if any(key.secret for key in found):
        raise UsageError(f"{name} holds a secret key, which must not be on this host; export the public one instead")
    if len(found) != 1:
        holds = f"holds {len(found)} keys" if found else f"holds no public key for gpg ({said})"
        raise UsageError(f"{name} {holds}; each file holds one: gpg --armor --export FINGERPRINT")
    if found[0].unfit:
        raise UsageError(f"{name}: the key {found[0].fingerprint} {found[0].unfit}")
    return found[0].fingerprint


def _in_keyring(name: str, text: str) -> str:
    """The fingerprint of the one key in the keyring that ``text`` means."""
    match = _NAME.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{name} ({text[:16]!r}…) doesn't name a key for gpg; it should be a fingerprint (40 hexadecimal digits, "
            "gpg --fingerprint prints it), a key's 16-digit identifier or an e-mail address"
        )
    # in angle brackets an address means itself, and no part of another one
    outcome, exported = keys.tried(_gpg(*_KEYRING, "--export", "--", match["id"] or f"<{match['mail']}>"))
    found, _said = _shown(exported) if exported else ([], "")
    if not found:
        raise UsageError(
            f"{name} ({text}) is not in the keyring of the user that the backup runs as"
            + (f" ({'; '.join(outcome.said)})" if outcome.said else "")
            + "; import the key there, or give it as a recipients_file"
        )
    fit = [key.fingerprint for key in found if key.unfit is None]
    if not fit:
        raise UsageError(f"{name} ({text}): " + "; ".join(f"the key {key.fingerprint} {key.unfit}" for key in found))
    if len(fit) > 1:
        raise UsageError(f"{name} ({text}) is the name of several keys ({', '.join(fit)}); give a fingerprint")
    return fit[0]


def _shown(data: bytes) -> tuple[list[_Key], str]:
    """The keys in exported data, and what gpg says of it if there are none."""
    try:
        with tempfile.TemporaryDirectory(prefix="drydock-gpg-") as home:
            outcome, out = keys.tried(_gpg(f"--homedir={home}", *_NO_AGENT, "--with-colons", "--show-keys"), data)
    except OSError as error:
        raise ToolError(f"gpg needs a directory to work in: {reason(error)}") from error
    return _keys(out), str(outcome)


def _keys(listing: bytes) -> list[_Key]:
    """The keys in a listing with colons."""
    blocks: list[list[list[str]]] = []
    for line in listing.decode("utf-8", "replace").splitlines():
        fields = line.split(":")
        if fields[0] in ("pub", "sec"):
            blocks.append([])
        if blocks:
            blocks[-1].append(fields)
    return [
        _Key(next(fields[9] for fields in block if fields[0] == "fpr"), block[0][0] == "sec", _unfit(block))
        for block in blocks
    ]


def _unfit(block: list[list[str]]) -> str | None:
    """Why nothing can be encrypted to this key, or None if it can."""
    primary = block[0]
    if _bad(primary):
        return _bad(primary)
    if "D" in primary[11]:
        return "is disabled"
    if "E" in primary[11]:
        return None
    subkeys = [fields for fields in block[1:] if fields[0] in ("sub", "ssb") and "e" in fields[11]]
    return next((f"has an encryption subkey that {bad}" for bad in map(_bad, subkeys) if bad), "is not for encryption")


def _bad(fields: list[str]) -> str | None:
    if fields[1] == "e":
        # seconds since 1970, or from 2038 on perhaps ISO 8601 without separators
        when = fields[6]
        return f"expired on {time.strftime('%Y-%m-%d', time.gmtime(int(when))) if when.isdigit() else when}"
    return {"r": "is revoked", "i": "is invalid", "n": "is not valid"}.get(fields[1])


@contextlib.contextmanager
def _home() -> Iterator[str]:
    """A directory for gpg that nobody else can enter; it and its agent are gone afterwards, whatever happens to us."""
    gpgconf = tools.need("gpgconf", "gnupg")
    tools.need("gpg-agent", "gnupg")
    memory = next((path for path in ("/run", "/dev/shm") if os.access(path, os.W_OK | os.X_OK)), None)  # noqa: S108
    try:
        home = tempfile.mkdtemp(prefix="drydock-gpg-", dir=memory)
    except OSError as error:
        raise ToolError(f"gpg needs a directory for its keys: {reason(error)}") from error
    with subprocess.Popen(
        ["/bin/sh", "-c", _CLEANER, "sh", home, gpgconf],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=tools.environment(),
        start_new_session=True,
    ):
        yield home
