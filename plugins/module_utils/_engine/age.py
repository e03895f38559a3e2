# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program age: encryption to public keys, so that the host that writes backups can't read them.

Formats: https://age-encryption.org/v1 and, for SSH keys, RFC 4253 section 6.6.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence

from . import keys, tools
from .errors import UsageError
from .pipeline import Stage

# An age key, or a plugin's, in Bech32; age itself checks the rest. Or a line of a .pub or authorized_keys file.
_NATIVE = re.compile(r"age1[a-z0-9-]+")
_SSH = re.compile(r"(?P<key>ssh-(?:ed25519|rsa) (?P<blob>[A-Za-z0-9+/]+={0,2}))(?: .*)?")


def encryptor(recipients: Sequence[str], files: Sequence[str]) -> tuple[Stage, tuple[str, ...]]:
    """The stage that encrypts to the public keys given and those in ``files``, and the keys' fingerprints.

    Raise UsageError, naming it, for a recipient that isn't a public key.
    """
    named = [(f"recipients[{number}]", text) for number, text in enumerate(recipients)]
    for path in files:
        lines = keys.public_file("encryption.recipients_file", path).decode("utf-8", "replace").splitlines()
        numbered = [(f"recipients_file {path} line {number}", line) for number, line in enumerate(lines, 1)]
        named += [(name, line) for name, line in numbered if line.strip() and not line.startswith("#")]
    if not named:
        raise UsageError("encryption with age needs recipients, or a recipients_file that holds at least one")
    found = dict(_parsed(f"encryption.{name}", text.strip()) for name, text in named)
    argv = [tools.need("age", "age"), "--encrypt"]
    for key in found.values():
        argv += ["--recipient", key]
    return Stage("age", tuple(argv)), tuple(found)


def _parsed(name: str, text: str) -> tuple[str, str]:
    """A recipient's fingerprint, and the recipient as age is told it. An age key is its own fingerprint."""
    if _NATIVE.fullmatch(text):
        return text, text
    ssh = _SSH.fullmatch(text)
    if ssh:
        try:
            blob = base64.b64decode(ssh["blob"], validate=True)
        except binascii.Error as error:
            raise UsageError(f"{name} is not a whole SSH public key: {error}") from error
        digest = base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}", ssh["key"]
    if "SECRET" in text.upper() or "PRIVATE" in text.upper():
        raise UsageError(
            f"{name} is a secret key, which must not be on this host: make a new pair where you restore "
            "(age-keygen -o FILE) and give its public key here"
        )
    raise UsageError(
        f"{name} is not a public key for age; it looks like age1… (age-keygen -y FILE prints it), "
        "ssh-ed25519 AAAA… or ssh-rsa AAAA…"
    )


def decryptor(identity_file: str) -> Stage:
    """The stage that decrypts with the secret keys in ``identity_file``: age's own, or an SSH key."""
    return Stage("age", (tools.need("age", "age"), "--decrypt", "--identity", identity_file))
