# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F60, F61, F62, F63: encrypted backups. A round trip by each kind of key, and what is wrong with a key is said before
anything happens."""

from __future__ import annotations

import os
import pathlib
import subprocess

import pytest

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules

PASSPHRASE = "correct horse battery staple"


def age_keys(work: pathlib.Path) -> tuple[str, pathlib.Path]:
    """A new key pair: the public key, and the file with the secret one."""
    identity = work / "identity"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout
    return public.strip(), identity


def gpg_keys(work: pathlib.Path) -> tuple[pathlib.Path, pathlib.Path]:
    """A new key pair: files with the exported public and secret keys."""
    home = work / "gnupg"
    home.mkdir(mode=0o700)
    gpg = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback", "--passphrase", ""]
    try:
        subprocess.run(
            [*gpg, "--quick-generate-key", "drydock test", "default", "default", "never"],
            check=True,
            capture_output=True,
        )
        public, secret = work / "public", work / "secret"
        for file, export in ((public, "--export"), (secret, "--export-secret-keys")):
            file.write_bytes(subprocess.run([*gpg, export], check=True, capture_output=True).stdout)
            file.chmod(0o600)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return public, secret


def keys(work: pathlib.Path, way: str) -> tuple[dict[str, object], dict[str, object]]:
    """The options ``encryption`` and ``decryption``."""
    if way == "age":
        public, identity = age_keys(work)
        return {"method": "age", "recipients": [public]}, {"identity_file": str(identity)}
    if way == "gpg":
        exported, secret = gpg_keys(work)
        return {"method": "gpg", "recipients_file": [str(exported)]}, {"identity_file": str(secret)}
    (work / "passphrase").write_text(PASSPHRASE + "\n")
    (work / "passphrase").chmod(0o600)
    return (
        {"method": "gpg", "passphrase_file": str(work / "passphrase")},
        {"passphrase_file": str(work / "passphrase")},
    )


@pytest.mark.parametrize("compression", ["zstd", "none"])
@pytest.mark.parametrize("way", ["age", "gpg", "passphrase"])
def test_f60_f61_f62_f63_a_tree_with_everything_in_it(
    engine: Engine, modules: Modules, work: pathlib.Path, way: str, compression: str
) -> None:
    volume, target, repository = engine.volume(), engine.volume(), str(work / "repository")
    trees.make_nasty(engine.path(volume))
    encryption, decryption = keys(work, way)
    answer = modules.backup(volume, repository=repository, compression=compression, encryption=encryption)
    made = answer["backups"][0]
    assert made["archive"]["encryption"]["method"] == encryption["method"]
    assert made["path"].endswith(".age" if way == "age" else ".gpg")
    assert b"ustar" not in pathlib.Path(made["path"]).read_bytes()

    options = {"source_volume": volume, "repository": repository}
    empty = records.record(engine.path(target))
    for check in (True, False):
        message = modules.refused("docker_volume_restore", volume=target, check=check, **options)
        assert "is encrypted with" in message
        assert "give decryption." in message
    assert records.differences(empty, records.record(engine.path(target))) == []
    modules.restore(target, decryption=decryption, **options)
    before = records.record(engine.path(volume))
    assert records.differences(before, records.record(engine.path(target))) == []

    manifest = pathlib.Path(made["path"].partition(".tar")[0] + ".json").read_text()
    secret = pathlib.Path(next(iter(decryption.values()))).read_bytes().strip()  # type: ignore[call-overload]
    assert secret not in (manifest + str(answer)).encode()


def test_another_key_restores_nothing(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    (engine.path(volume) / "noise").write_bytes(os.urandom(1 << 20))
    (work / "other").mkdir()
    encryption, _decryption = keys(work, "age")
    _other, wrong = keys(work / "other", "age")
    modules.backup(volume, repository=repository, encryption=encryption)
    engine.remove(volume)
    message = modules.refused("docker_volume_restore", volume=volume, repository=repository, decryption=wrong)
    assert "can't be decrypted with" in message
    assert engine.names() == []


@pytest.mark.parametrize(
    ("encryption", "said"),
    [
        ({"method": "age", "recipients": ["age1nonsense"]}, "age1nonsense"),
        ({"method": "age"}, "recipients"),
        ({"method": "gpg", "recipients_file": ["/no/such/key"]}, "/no/such/key can't be read"),
        ({"method": "gpg", "passphrase_file": "/no/such/passphrase"}, "/no/such/passphrase can't be read"),
    ],
)
def test_a_bad_key_stops_before_the_backup(
    engine: Engine, modules: Modules, work: pathlib.Path, encryption: dict[str, object], said: str
) -> None:
    message = modules.refused(
        "docker_volume_backup",
        volumes=[engine.volume()],
        repository=str(work / "repository"),
        encryption=encryption,
    )
    assert said in message
    assert not (work / "repository").exists()
