# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encryption by the real programs: who can read, who can't, what is seen from outside, and what is left behind."""

from __future__ import annotations

import collections.abc as c
import contextlib
import gzip
import itertools
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import time
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import encryption, gpg, keys, pipeline, tools
from ansible_collections.drydock.volumes.plugins.module_utils._engine.encryption import Decryption, Encryption
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import ToolError, UsageError
from tests.unit.helpers import ENGINE, needs_root, python, started

DATA = random.Random(3).randbytes(3 << 20)
PASSPHRASE = "correct horse battery staple"
UNLOCK = "the passphrase of a secret key"
# Seconds until a key expires: a busy machine must get to make its subkey, and to encrypt for it.
LATE = 8


def _gpg(home: pathlib.Path, *arguments: str, data: bytes = b"") -> bytes:
    command = [
        "gpg",
        "--homedir",
        str(home),
        "--batch",
        "--quiet",
        "--no-tty",
        "--pinentry-mode",
        "loopback",
        *arguments,
    ]
    return subprocess.run(command, input=data, capture_output=True, check=True).stdout


class Keyring:
    """Keys of many kinds, and the files that they are exported to."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.home = root / ".gnupg"
        self.home.mkdir(mode=0o700)
        self.fingerprints: dict[str, str] = {}
        self.make("alice")
        self.make("bob")
        self.make("locked", passphrase=UNLOCK)
        self.make("signer", encrypts=False)
        self.make("late", expires=f"seconds={LATE}")
        self.make("stale", subkey_expires="seconds=1")
        self.make("lost")
        # two keys with one address
        self.make("twin-1", mail="twin@example.org")
        self.make("twin-2", mail="twin@example.org")
        certificate = (self.home / "openpgp-revocs.d" / f"{self.fingerprints['lost']}.rev").read_bytes()
        _gpg(self.home, "--import", data=certificate.replace(b":-----BEGIN", b"-----BEGIN"))
        for name, fingerprint in self.fingerprints.items():
            self.write(f"{name}.asc", _gpg(self.home, "--armor", "--export", fingerprint), 0o644)
        for name, passphrase in {"alice": "", "bob": "", "locked": UNLOCK, "late": ""}.items():
            secret = _gpg(
                self.home, "--armor", "--passphrase", passphrase, "--export-secret-keys", self.fingerprints[name]
            )
            self.write(f"{name}.sec", secret)
        self.write("alice.gpg", _gpg(self.home, "--export", self.fingerprints["alice"]), 0o644)
        self.write("both.asc", self.path("alice.asc").read_bytes() + self.path("bob.asc").read_bytes(), 0o644)
        always = ("--trust-model", "always", "--passphrase", "")
        signed = ("--local-user", self.fingerprints["bob"], "--sign", "-r", self.fingerprints["alice"], "--encrypt")
        self.write("signed.gpg", _gpg(self.home, *always, *signed, data=DATA))
        # as of the second in which the key was made, the subkey after the key
        made = _gpg(self.home, "--with-colons", "--list-keys", self.fingerprints["late"]).decode()
        then = next(line.split(":")[5] for line in made.splitlines() if line.startswith("sub:"))
        early = ("--faked-system-time", then, "-r", self.fingerprints["late"], "--encrypt")
        self.write("late.gpg", _gpg(self.home, *always, *early, data=b"early"))
        # the host that writes backups holds no secret
        shutil.rmtree(self.home / "private-keys-v1.d")
        subprocess.run(["gpgconf", "--homedir", str(self.home), "--kill", "all"], check=True)
        time.sleep(max(1.1, int(then) + LATE + 1.1 - time.time()))

    def make(
        self,
        name: str,
        *,
        mail: str | None = None,
        passphrase: str = "",
        encrypts: bool = True,
        expires: str = "never",
        subkey_expires: str = "never",
    ) -> None:
        common = ("--passphrase", passphrase)
        before = self._listed()
        user = f"{name} <{mail or f'{name}@example.org'}>"
        _gpg(self.home, *common, "--quick-gen-key", user, "ed25519", "cert,sign", expires)
        (fingerprint,) = self._listed() - before
        if encrypts:
            subkey_expires = expires if expires != "never" else subkey_expires
            _gpg(self.home, *common, "--quick-add-key", fingerprint, "cv25519", "encr", subkey_expires)
        self.fingerprints[name] = fingerprint

    def _listed(self) -> set[str]:
        lines = [line.split(":") for line in _gpg(self.home, "--with-colons", "--list-keys").decode().splitlines()]
        return {second[9] for first, second in itertools.pairwise(lines) if first[0] == "pub"}

    def path(self, name: str) -> pathlib.Path:
        return self.root / name

    def write(self, name: str, data: bytes, mode: int = 0o600) -> str:
        path = self.path(name)
        path.write_bytes(data)
        path.chmod(mode)
        return str(path)


@pytest.fixture(scope="module")
def ring() -> c.Iterator[Keyring]:
    # gpg's sockets have short paths, which pytest's directories haven't
    with tempfile.TemporaryDirectory(prefix="gpgt-") as made:
        yield Keyring(pathlib.Path(made))


class AgeKeys:
    """Age's own keys and SSH keys."""

    def __init__(self, root: pathlib.Path) -> None:
        self.root = root
        self.public: dict[str, str] = {}
        for name in ("carol", "dave"):
            subprocess.run(["age-keygen", "-o", str(root / name)], check=True, capture_output=True)
            shown = subprocess.run(["age-keygen", "-y", str(root / name)], check=True, capture_output=True, text=True)
            self.public[name] = shown.stdout.strip()
        for name, kind, passphrase in (("ed", "ed25519", ""), ("rsa", "rsa", ""), ("guarded", "ed25519", UNLOCK)):
            path = root / name
            command = ["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-C", "root@vault", "-f", str(path)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
            self.public[name] = (root / f"{name}.pub").read_text().strip()

    def secret(self, name: str) -> str:
        return str(self.root / name)


@pytest.fixture(scope="module")
def age(tmp_path_factory: pytest.TempPathFactory) -> AgeKeys:
    return AgeKeys(tmp_path_factory.mktemp("age"))


def _agents(home: str) -> list[str]:
    """The programs that serve a home: zombies, which have no command line, don't count."""
    found = [line.replace("\0", " ") for line in _seen("cmdline").values()]
    return [line for line in found if home in line and "pytest" not in line]


def _seen(what: str) -> dict[str, str]:
    """The command lines or environments of all processes, by process."""
    seen = {}
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            seen[process] = pathlib.Path("/proc", process, what).read_bytes().decode("utf-8", "replace")
    return seen


def _soon(condition: c.Callable[[], bool]) -> bool:
    """Whether it comes true within a few seconds."""
    until = time.monotonic() + 10
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture(autouse=True)
def homes(monkeypatch: pytest.MonkeyPatch) -> c.Iterator[list[str]]:
    """Every directory that gpg worked in is gone, and so are its agents and our descriptors and processes."""
    made: list[str] = []
    mkdtemp = tempfile.mkdtemp

    def record(*arguments: t.Any, **options: t.Any) -> str:
        made.append(mkdtemp(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(tempfile, "mkdtemp", record)
    before = len(os.listdir("/proc/self/fd"))
    yield made
    monkeypatch.undo()
    assert [home for home in made if "drydock-gpg-" in home and os.path.lexists(home)] == []
    assert _soon(lambda: not any(_agents(home) for home in made if "drydock-gpg-" in home))
    assert not os.path.lexists("/nonexistent")
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


@pytest.fixture
def at_home(ring: Keyring, monkeypatch: pytest.MonkeyPatch) -> c.Iterator[Keyring]:
    """A user who has the keyring, in which nothing may change."""

    def state() -> dict[str, tuple[int, int]]:
        stats = {path.name: path.stat() for path in ring.home.iterdir()}
        return {name: (found.st_mtime_ns, found.st_size) for name, found in stats.items()}

    monkeypatch.setenv("HOME", str(ring.root))
    before = state()
    yield ring
    assert state() == before


@contextlib.contextmanager
def _source(data: bytes) -> c.Iterator[int]:
    """A descriptor from which a first stage reads the data."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.seek(0)
        yield file.fileno()


def _run(stages: list[pipeline.Stage], data: bytes) -> tuple[pipeline.Outcome | None, bytes]:
    """Run stages that have nothing to say as long as all goes well."""
    out = bytearray()
    with _source(data) as source:
        outcomes = pipeline.run([*stages, pipeline.Stage("cat", ("/bin/cat",))], source=source, sink=out.extend)
    assert pipeline.failed(outcomes) or [outcome.said for outcome in outcomes if outcome.said] == []
    return pipeline.failed(outcomes), bytes(out)


def _encryption(**options: t.Any) -> Encryption:
    made = Encryption.parse(options)
    assert made is not None
    return made


def _encrypted(made: Encryption, data: bytes = DATA) -> bytes:
    bad, out = _run([made.stage], data)
    assert bad is None
    assert len(out) > len(data)
    return out


def _decrypted(
    archive: bytes, record: dict[str, t.Any] | None, **options: str
) -> tuple[pipeline.Outcome | None, bytes]:
    with encryption.decryptor(Decryption.parse(options or None), record, archive[: encryption.HEAD]) as stages:
        return _run(stages, archive)


@pytest.fixture
def secret(tmp_path: pathlib.Path) -> c.Callable[..., str]:
    """A function that writes a file, for its owner only unless told otherwise."""

    def write(text: str, name: str = "passphrase", mode: int = 0o600) -> str:
        path = tmp_path / name
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return write


# The ways there and back


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["nothing", "a byte", "3 MiB"])
@pytest.mark.parametrize("name", ["carol", "ed", "rsa"])
def test_age_round_trip(age: AgeKeys, name: str, data: bytes) -> None:
    made = _encryption(method="age", recipients=[age.public[name]])
    assert made.extension == ".age"
    assert _decrypted(_encrypted(made, data), made.record(), identity_file=age.secret(name)) == (None, data)


def test_age_each_of_several_recipients_can_read(age: AgeKeys, secret: c.Callable[..., str]) -> None:
    listed = secret(f"# the vault\n\n{age.public['rsa']}\n{age.public['dave']}\n", "recipients", 0o644)
    made = _encryption(method="age", recipients=[age.public["carol"], age.public["dave"]], recipients_file=listed)
    archive = _encrypted(made)
    for name in ("carol", "dave", "rsa"):
        assert _decrypted(archive, made.record(), identity_file=age.secret(name)) == (None, DATA)
    with pytest.raises(
        UsageError, match=r"can't be decrypted with .*/ed: age exited 1: age: error: no identity matched"
    ):
        _decrypted(archive, made.record(), identity_file=age.secret("ed"))


def test_age_fingerprints(age: AgeKeys) -> None:
    made = _encryption(method="age", recipients=[age.public[name] for name in ("carol", "ed", "rsa")])
    shown = [
        subprocess.run(
            ["ssh-keygen", "-l", "-f", age.secret(f"{name}.pub")], capture_output=True, text=True, check=True
        )
        for name in ("ed", "rsa")
    ]
    expected = [age.public["carol"], *(one.stdout.split()[1] for one in shown)]
    assert made.record() == {"method": "age", "recipients": expected}


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["nothing", "a byte", "3 MiB"])
@pytest.mark.parametrize("name", ["alice.asc", "alice.gpg"])
def test_gpg_round_trip_by_files(ring: Keyring, name: str, data: bytes) -> None:
    made = _encryption(method="gpg", recipients_file=str(ring.path(name)))
    assert made.extension == ".gpg"
    assert made.record() == {"method": "gpg", "recipients": [ring.fingerprints["alice"]]}
    back = _decrypted(_encrypted(made, data), made.record(), identity_file=str(ring.path("alice.sec")))
    assert back == (None, data)


@pytest.mark.parametrize(
    "named",
    [
        lambda print_: print_,
        lambda print_: f"0x{print_.lower()}",
        lambda print_: print_[-16:],
        lambda _: "alice@example.org",
        lambda _: "<alice@example.org>",
    ],
)
def test_gpg_round_trip_by_the_keyring(at_home: Keyring, named: c.Callable[[str], str]) -> None:
    fingerprint = at_home.fingerprints["alice"]
    made = _encryption(method="gpg", recipients=[named(fingerprint)])
    assert made.recipients == (fingerprint,)
    back = _decrypted(_encrypted(made), made.record(), identity_file=str(at_home.path("alice.sec")))
    assert back == (None, DATA)


def test_gpg_each_of_several_recipients_can_read(at_home: Keyring) -> None:
    file = str(at_home.path("alice.asc"))
    made = _encryption(method="gpg", recipients=["bob@example.org", "alice@example.org"], recipients_file=[file])
    assert sorted(made.recipients) == sorted(at_home.fingerprints[name] for name in ("alice", "bob"))
    archive = _encrypted(made)
    for name in ("alice", "bob"):
        back = _decrypted(archive, made.record(), identity_file=str(at_home.path(f"{name}.sec")))
        assert back == (None, DATA)
    with pytest.raises(UsageError, match=r"can't be decrypted with .*/locked.sec: gpg exited 2: .*No secret key"):
        _decrypted(archive, made.record(), identity_file=str(at_home.path("locked.sec")))


def test_gpg_with_a_secret_key_that_a_passphrase_unlocks(ring: Keyring, secret: c.Callable[..., str]) -> None:
    made = _encryption(method="gpg", recipients_file=str(ring.path("locked.asc")))
    archive = _encrypted(made)
    identity = {"identity_file": str(ring.path("locked.sec"))}
    unlocked = _decrypted(archive, made.record(), passphrase_file=secret(UNLOCK + "\n"), **identity)
    assert unlocked == (None, DATA)
    for wrong in ({}, {"passphrase_file": secret("wrong")}):
        with pytest.raises(UsageError, match=r"can't be decrypted with .*locked.sec"):
            _decrypted(archive, made.record(), **identity, **wrong)


@pytest.mark.parametrize("data", [b"", b"x", DATA], ids=["nothing", "a byte", "3 MiB"])
def test_gpg_round_trip_by_a_passphrase(secret: c.Callable[..., str], data: bytes) -> None:
    path = secret(PASSPHRASE + "\n")
    made = _encryption(method="gpg", passphrase_file=path)
    assert made.record() == {"method": "gpg", "recipients": [], "symmetric": True}
    archive = _encrypted(made, data)
    assert _decrypted(archive, made.record(), passphrase_file=path) == (None, data)
    with pytest.raises(
        UsageError, match=r"encrypted with gpg and a passphrase and can't be decrypted with .*/wrong: gpg"
    ):
        _decrypted(archive, made.record(), passphrase_file=secret("wrong", "wrong"))


def test_the_passphrase_makes_an_aes256_key_slowly(secret: c.Callable[..., str], tmp_path: pathlib.Path) -> None:
    path = secret(PASSPHRASE)
    archive = _encrypted(_encryption(method="gpg", passphrase_file=path))
    tmp_path.chmod(0o700)
    packets = _gpg(tmp_path, "--no-autostart", "--passphrase-file", path, "--list-packets", data=archive).decode()
    assert "cipher 9," in packets
    assert "hash 10" in packets
    assert "count 65011712" in packets
    assert "mdc_method: 2" in packets
    assert "compressed packet" not in packets


def test_anyone_can_read_it_by_hand(age: AgeKeys, ring: Keyring, tmp_path: pathlib.Path) -> None:
    (tmp_path / "a").write_bytes(_encrypted(_encryption(method="age", recipients=[age.public["carol"]])))
    command = ["age", "-d", "-i", age.secret("carol"), str(tmp_path / "a")]
    assert subprocess.run(command, capture_output=True, check=True).stdout == DATA
    made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
    with tempfile.TemporaryDirectory(prefix="gpgt-") as home:
        where = pathlib.Path(home)
        _gpg(where, "--import", str(ring.path("alice.sec")))
        assert _gpg(where, "--decrypt", data=_encrypted(made)) == DATA
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True)


def test_archives_that_others_made(age: AgeKeys, ring: Keyring, secret: c.Callable[..., str]) -> None:
    def written(*command: str) -> bytes:
        return subprocess.run(command, input=DATA, capture_output=True, check=True).stdout

    armored = written("age", "--armor", "-r", age.public["carol"])
    record = encryption.recognized("/old.tar.gz", armored)
    assert _decrypted(armored, record, identity_file=age.secret("carol")) == (None, DATA)
    record = encryption.recognized("/old.tar.gz.gpg", b"\x84 and so on")
    path = secret(PASSPHRASE)
    with tempfile.TemporaryDirectory(prefix="gpgt-") as home:
        where = pathlib.Path(home)
        lean = ("--no-autostart", "--s2k-count", "65536", "--cipher-algo", "AES")
        weak = _gpg(where, *lean, "--armor", "--passphrase-file", path, "-c", data=DATA)
        public = ("--trust-model", "always", "-f", str(ring.path("alice.asc")), "-e")
        signed_for = _gpg(where, "--no-autostart", *public, data=DATA)
    assert _decrypted(weak, record, passphrase_file=path) == (None, DATA)
    assert _decrypted(signed_for, record, identity_file=str(ring.path("alice.sec"))) == (None, DATA)
    with pytest.raises(UsageError, match=r"give decryption.identity_file or decryption.passphrase_file$"):
        _decrypted(weak, record)
    with pytest.raises(UsageError, match="encrypted with gpg and can't be decrypted with"):
        _decrypted(b"not encrypted at all", record, passphrase_file=path)


def test_a_key_that_expired_since_still_reads(ring: Keyring) -> None:
    archive = ring.path("late.gpg").read_bytes()
    identity = Decryption.parse({"identity_file": str(ring.path("late.sec"))})
    with encryption.decryptor(identity, {"method": "gpg"}, archive) as stages, _source(archive) as source:
        out = bytearray()
        (outcome,) = pipeline.run(stages, source=source, sink=out.extend)
    assert (outcome.status, bytes(out)) == (0, b"early")
    assert "expired" in outcome.said[0]


def test_who_signed_an_archive_does_not_matter(ring: Keyring) -> None:
    archive = ring.path("signed.gpg").read_bytes()
    identity = Decryption.parse({"identity_file": str(ring.path("alice.sec"))})
    with encryption.decryptor(identity, {"method": "gpg"}, archive[: encryption.HEAD]) as stages:
        out = bytearray()
        with _source(archive) as source:
            (outcome,) = pipeline.run(stages, source=source, sink=out.extend)
        assert (outcome.status, bytes(out)) == (0, DATA)
        with _source(archive[:-1]) as source:
            (outcome,) = pipeline.run(stages, source=source)
        assert outcome.status == 2


GZIPPED = gzip.compress(DATA)


@pytest.mark.parametrize(
    ("name", "head", "method"),
    [
        ("/a.tar.zst", b"\x84\x01", None),
        ("/a.tar.zst.age", b"\x84\x01", "age"),
        ("/a.tar.gz.gpg", b"\x84\x01", "gpg"),
        ("/a.tar.asc", b"\x84\x01", "gpg"),
        ("/a.tgz.pgp", b"\x84\x01", "gpg"),
        ("/age", b"\x84\x01", None),
        ("/a.tar", b"age-encryption.org/v1\n", "age"),
        ("/a.tar.gpg", b"-----BEGIN AGE ENCRYPTED FILE-----\n", "age"),
        ("/a.tar", b"-----BEGIN PGP MESSAGE-----\n", "gpg"),
        ("/a.tar.gz.gpg", GZIPPED, None),
        ("/a.tar.age", b"", "age"),
    ],
)
def test_what_a_foreign_archive_tells_of_its_encryption(name: str, head: bytes, method: str | None) -> None:
    assert encryption.recognized(name, head) == (method and {"method": method})


def test_without_encryption_there_is_no_stage() -> None:
    assert Encryption.parse(None) is None
    assert Decryption.parse(None) is None
    assert _decrypted(b"plain", None) == (None, b"plain")


# What is damaged


@pytest.fixture(params=["age", "gpg", "symmetric"])
def way(
    request: pytest.FixtureRequest, age: AgeKeys, ring: Keyring, secret: c.Callable[..., str]
) -> tuple[Encryption, dict[str, str]]:
    if request.param == "age":
        made, back = _encryption(method="age", recipients=[age.public["carol"]]), {"identity_file": age.secret("carol")}
    elif request.param == "gpg":
        made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
        back = {"identity_file": str(ring.path("alice.sec"))}
    else:
        back = {"passphrase_file": secret(PASSPHRASE)}
        made = _encryption(method="gpg", **back)
    return made, back


def test_f10_what_is_cut_or_changed_fails(way: tuple[Encryption, dict[str, str]]) -> None:
    made, back = way
    archive = _encrypted(made)
    with encryption.decryptor(Decryption.parse(back), made.record(), archive[: encryption.HEAD]) as stages:
        # age's chunks are 64 KiB and 16 bytes: a cut at the end of one is the hardest to see
        chunk = (1 << 16) + 16
        whole_chunks = len(archive) - (len(DATA) % (1 << 16) + 16 or chunk)
        for size in (len(archive) - 1, len(archive) - 22, len(archive) - chunk, whole_chunks, encryption.HEAD):
            bad, out = _run(stages, archive[:size])
            assert bad is not None, size
            assert bad.stage == made.method
            assert len(out) < len(DATA) or made.method == "gpg"
        for place in (encryption.HEAD + 1, len(archive) // 2, len(archive) - 1):
            changed = bytearray(archive)
            changed[place] ^= 1
            bad, _out = _run(stages, bytes(changed))
            assert bad is not None, place
        assert _run(stages, archive) == (None, DATA)


def test_f02_the_cause_is_the_reader_that_left(way: tuple[Encryption, dict[str, str]]) -> None:
    made, back = way
    archive = _encrypted(made)
    left = pipeline.Stage("left", ("/bin/sh", "-c", "head -c 10 >/dev/null; exit 3"))
    with encryption.decryptor(Decryption.parse(back), made.record(), archive[: encryption.HEAD]) as stages:
        for stage, data in ((made.stage, DATA), (stages[0], archive)):
            with _source(data) as source:
                outcomes = pipeline.run([stage, left], source=source)
            # age dies of SIGPIPE; gpg exits and says why
            assert outcomes[0].status == -signal.SIGPIPE or "Broken pipe" in outcomes[0].said[-1]
            assert outcomes[1].status == 3


# Keys that won't do


@pytest.mark.parametrize(
    ("recipient", "text"),
    [
        ("age1zzzz", "malformed recipient .age1zzzz"),
        ("hello", "is not a public key for age; it looks like age1"),
        ("-o/tmp/x", "is not a public key for age"),
        ("github:me", "is not a public key for age"),
        ("ecdsa-sha2-nistp256 AAAA", "is not a public key for age"),
        ("ssh-ed25519 AAAA", "malformed SSH recipient"),
        ("ssh-rsa AAAAB", "is not a whole SSH public key"),
        ("", "is not a public key for age"),
    ],
)
def test_age_recipients_that_will_not_do(age: AgeKeys, secret: c.Callable[..., str], recipient: str, text: str) -> None:
    with pytest.raises(UsageError, match=text) as caught:
        Encryption.parse({"method": "age", "recipients": [age.public["carol"], recipient]})
    if "malformed" not in text:
        assert "encryption.recipients[1]" in str(caught.value)
        # it may be a secret that was pasted in the wrong place
        assert not recipient or recipient not in str(caught.value)
    if recipient:
        with pytest.raises(UsageError, match=text):
            Encryption.parse({"method": "age", "recipients_file": secret(f"# one\n{recipient}\n", "them")})


def test_f71_a_secret_key_given_as_a_recipient_is_told_to_nobody(age: AgeKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "tried", lambda *_: pytest.fail("it was given to a program"))
    line = pathlib.Path(age.secret("carol")).read_text().splitlines()[-1]
    for secret in (line, line.lower(), pathlib.Path(age.secret("ed")).read_text()):
        with pytest.raises(UsageError, match=r"recipients\[0\] is a secret key") as caught:
            Encryption.parse({"method": "age", "recipients": [secret]})
        assert not any(word in str(caught.value) for word in secret.split() if len(word) > 12)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("late", r"the key \w{40} expired on 20\d\d-\d\d-\d\d"),
        ("stale", r"the key \w{40} has an encryption subkey that expired on 20\d\d-\d\d-\d\d"),
        ("lost", r"the key \w{40} is revoked"),
        ("signer", r"the key \w{40} is not for encryption"),
    ],
)
def test_gpg_keys_that_will_not_do(at_home: Keyring, name: str, text: str) -> None:
    with pytest.raises(UsageError, match=rf"encryption.recipients\[1\] \({name}@example.org\): {text}"):
        Encryption.parse({"method": "gpg", "recipients": ["alice@example.org", f"{name}@example.org"]})
    with pytest.raises(UsageError, match=rf"encryption.recipients_file \S+/{name}.asc: {text}"):
        Encryption.parse({"method": "gpg", "recipients_file": str(at_home.path(f"{name}.asc"))})


@pytest.mark.parametrize("name", ["late", "stale", "lost", "signer"])
def test_gpg_itself_has_the_last_word(ring: Keyring, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(gpg, "_unfit", lambda _block: None)
    with pytest.raises(UsageError, match=r"encryption with gpg fails: gpg exited 2: .*Unusable public key"):
        Encryption.parse({"method": "gpg", "recipients_file": str(ring.path(f"{name}.asc"))})


@pytest.mark.parametrize(
    ("recipient", "text"),
    [
        ("nobody@example.org", r"\(nobody@example.org\) is not in the keyring of the user that the backup runs as"),
        ("lice@example.org", "is not in the keyring"),
        ("0123456789ABCDEF", "is not in the keyring"),
        ("twin@example.org", r"is the name of several keys \(\w{40}, \w{40}\); give a fingerprint"),
        ("01234567", "doesn't name a key for gpg"),
        ("alice", "doesn't name a key for gpg"),
        ("", "doesn't name a key for gpg"),
        ("--yes", "doesn't name a key for gpg"),
    ],
)
def test_gpg_names_that_mean_no_key(at_home: Keyring, recipient: str, text: str) -> None:
    with pytest.raises(UsageError, match=rf"encryption.recipients\[0\] .*{text}"):
        Encryption.parse({"method": "gpg", "recipients": [recipient]})


def test_gpg_without_a_keyring_makes_none(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, ring: Keyring
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UsageError, match="is not in the keyring"):
        Encryption.parse({"method": "gpg", "recipients": ["alice@example.org"]})
    made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
    _decrypted(_encrypted(made), made.record(), identity_file=str(ring.path("alice.sec")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("both.asc", "holds 2 keys; each file holds one"),
        ("alice.sec", "holds a secret key, which must not be on this host"),
        ("junk", "holds no public key for gpg .*no valid OpenPGP data"),
        ("gone", "can't be read: No such file or directory"),
    ],
)
def test_gpg_files_that_will_not_do(ring: Keyring, name: str, text: str) -> None:
    ring.write("junk", b"hello\n")
    with pytest.raises(UsageError, match=rf"encryption.recipients_file \S+/{name} {text}"):
        Encryption.parse({"method": "gpg", "recipients_file": str(ring.path(name))})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"method": "rot13"}, "unknown encryption.method 'rot13'; this version knows age, gpg"),
        ({"recipients": ["x"]}, "unknown encryption.method None"),
        ({"method": "age", "recipient": "x"}, "unknown encryption option 'recipient'"),
        ({"method": "age"}, "encryption with age needs recipients"),
        ({"method": "age", "recipients": [], "passphrase_file": None}, "encryption with age needs recipients"),
        ({"method": "gpg"}, "encryption with gpg needs recipients, a recipients_file or a passphrase_file"),
        ({"method": "age", "passphrase_file": "/x"}, "is for method gpg, and without any recipients"),
        ({"method": "gpg", "passphrase_file": "/x", "recipients": ["a@b"]}, "is for method gpg, and without any"),
        ({"method": "gpg", "passphrase_file": "x"}, "'x' is not an absolute path"),
        ({"method": "gpg", "passphrase_file": "/dev/null"}, "is not a regular file"),
        ({"method": "age", "recipients_file": "/no/such"}, "can't be read: No such file or directory"),
    ],
)
def test_options_that_do_not_fit(options: dict[str, t.Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Encryption.parse(options)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({}, "needs an identity_file or a passphrase_file"),
        ({"identity_file": None, "passphrase_file": None}, "needs an identity_file or a passphrase_file"),
        ({"identity": "/x"}, "unknown decryption option 'identity'"),
        ({"identity_file": "x"}, "decryption.identity_file 'x' is not an absolute path"),
        ({"identity_file": "/no/such"}, "decryption.identity_file /no/such can't be read: No such file"),
        ({"passphrase_file": "/no/such"}, "decryption.passphrase_file /no/such can't be read: No such file"),
    ],
)
def test_decryption_options_that_do_not_fit(options: dict[str, t.Any], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        Decryption.parse(options)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601])
def test_f70_secrets_that_others_can_reach_are_refused(secret: c.Callable[..., str], mode: int) -> None:
    path = secret(PASSPHRASE, mode=mode)
    for options in ({"identity_file": path}, {"passphrase_file": path}):
        with pytest.raises(UsageError, match=rf"\(its mode is {mode:04o}\); run: chmod 600 {path}"):
            Decryption.parse(options)
    with pytest.raises(UsageError, match="chmod 600"):
        Encryption.parse({"method": "gpg", "passphrase_file": path})


@pytest.mark.parametrize("mode", [0o664, 0o646])
def test_f70_recipients_that_others_can_add_to_are_refused(
    age: AgeKeys, secret: c.Callable[..., str], mode: int
) -> None:
    with pytest.raises(UsageError, match=r"decides who can read the backups .* run: chmod go-w"):
        Encryption.parse({"method": "age", "recipients_file": secret(age.public["carol"], mode=mode)})


@pytest.mark.parametrize("text", ["", "\n", "\nsecond line\n"])
def test_an_empty_passphrase_is_refused(secret: c.Callable[..., str], text: str) -> None:
    with pytest.raises(UsageError, match="holds no passphrase in its first line"):
        Encryption.parse({"method": "gpg", "passphrase_file": secret(text)})


def test_a_pipe_in_place_of_a_file_does_not_block(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="is not a regular file"):
        Decryption.parse({"identity_file": str(tmp_path / "pipe")})


def test_keys_that_are_missing_or_of_the_wrong_kind(age: AgeKeys, ring: Keyring, secret: c.Callable[..., str]) -> None:
    made = _encryption(method="age", recipients=[age.public["carol"]])
    archive = _encrypted(made)
    passphrase = secret(PASSPHRASE)
    for options in ({}, {"passphrase_file": passphrase}):
        with pytest.raises(
            UsageError, match=f"encrypted with age to {age.public['carol']}; give decryption.identity_file$"
        ):
            _decrypted(archive, made.record(), **options)
    with pytest.raises(UsageError, match="unknown identity type"):
        _decrypted(archive, made.record(), identity_file=passphrase)
    made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
    with pytest.raises(UsageError, match=f"gpg to {ring.fingerprints['alice']}; give decryption.identity_file$"):
        _decrypted(_encrypted(made), made.record(), passphrase_file=passphrase)
    public = secret(ring.path("alice.asc").read_text(), "public")
    with pytest.raises(
        UsageError, match=r"public holds no secret key for gpg; export one: gpg --armor --export-secret"
    ):
        _decrypted(_encrypted(made), made.record(), identity_file=public)
    with pytest.raises(UsageError, match="holds no secret key for gpg: gpg exited 2: gpg: no valid OpenPGP data"):
        _decrypted(_encrypted(made), made.record(), identity_file=passphrase)
    made = _encryption(method="gpg", passphrase_file=passphrase)
    with pytest.raises(UsageError, match=r"and a passphrase; give decryption.passphrase_file$"):
        _decrypted(_encrypted(made), made.record(), identity_file=str(ring.path("alice.sec")))


def test_nobody_is_asked_for_a_passphrase(age: AgeKeys) -> None:
    made = _encryption(method="age", recipients=[age.public["guarded"]])
    with pytest.raises(UsageError, match="could not read passphrase"):
        _decrypted(_encrypted(made), made.record(), identity_file=age.secret("guarded"))


@pytest.mark.parametrize("program", ["age", "gpg"])
def test_a_missing_program_names_its_package(
    monkeypatch: pytest.MonkeyPatch, age: AgeKeys, ring: Keyring, program: str
) -> None:
    monkeypatch.setattr(tools, "find", lambda _program: None)
    options: dict[str, t.Any] = {"method": "age", "recipients": [age.public["carol"]]}
    identity = age.secret("carol")
    if program == "gpg":
        options = {"method": "gpg", "recipients_file": str(ring.path("alice.asc"))}
        identity = str(ring.path("alice.sec"))
    package = {"age": "age", "gpg": "gnupg"}[program]
    with pytest.raises(ToolError, match=f"'{program}.*' is not on this host; install the package '{package}'"):
        Encryption.parse(options)
    with pytest.raises(ToolError, match=f"'{program}.*' is not on this host; install the package '{package}'"):
        _decrypted(b"x", {"method": program}, identity_file=identity)


def test_a_program_that_waits_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "PATIENCE", 0.1)
    with pytest.raises(ToolError, match="did not end within"):
        keys.tried(pipeline.Stage("sleep", ("/bin/sleep", "3600")))
    with pytest.raises(ToolError, match="can't be started: No such file"):
        keys.tried(pipeline.Stage("age", ("/no/such/age",)))


# The manifest's record


def test_the_record_gives_the_archives_extension() -> None:
    assert encryption.extension(None) == ""
    assert encryption.extension({"method": "age", "recipients": ["age1x"]}) == ".age"
    assert encryption.extension({"method": "gpg", "recipients": [], "symmetric": True, "later": 1}) == ".gpg"


@pytest.mark.parametrize(
    "record",
    [
        *("", "age", [], {}, 0, False, {"method": "age"}, {"method": "age", "recipients": [1]}),
        *({"method": method, "recipients": []} for method in ("x", ["age"], None)),
    ],
)
def test_a_record_that_is_none(record: object) -> None:
    with pytest.raises(ValueError, match="encryption"):
        encryption.extension(record)


# What is seen from outside, and what is left


def _secrets(ring: Keyring, age: AgeKeys) -> list[str]:
    """Passphrases, and the long lines of the files with secret keys."""
    files = [pathlib.Path(age.secret("carol")), pathlib.Path(age.secret("ed")), ring.path("alice.sec")]
    lines = [line for file in files for line in file.read_text().splitlines()]
    return [PASSPHRASE, UNLOCK, *(line for line in lines if len(line) > 30 and " " not in line)]


def test_f71_no_secret_is_on_a_command_line_or_in_an_environment(
    way: tuple[Encryption, dict[str, str]], ring: Keyring, age: AgeKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, back = way
    secrets = _secrets(ring, age)
    assert len(secrets) > 10
    seen: list[str] = []

    def look(_data: object) -> None:
        seen.extend([*_seen("cmdline").values(), *_seen("environ").values()])

    def tried(stage: pipeline.Stage, data: bytes = b"") -> tuple[pipeline.Outcome, bytes]:
        seen.extend(stage.argv)
        ended: tuple[pipeline.Outcome, bytes] = real(stage, data)
        return ended

    real = keys.tried
    monkeypatch.setattr(keys, "tried", tried)
    archive = _encrypted(made)
    with _source(DATA) as source:
        pipeline.run([made.stage], source=source, sink=look)
    with encryption.decryptor(Decryption.parse(back), made.record(), archive[: encryption.HEAD]) as stages:
        look(None)
        with _source(archive) as source:
            pipeline.run(stages, source=source, sink=look)
    texts = "\n".join(seen)
    assert made.stage.argv[-1] in texts
    assert "--decrypt" in texts
    assert [secret for secret in secrets if secret in texts] == []
    assert not any(secret in repr((made, back, made.record())) for secret in secrets)


def test_writing_needs_no_agent_and_no_directory(
    way: tuple[Encryption, dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made, _back = way
    monkeypatch.setattr(tempfile, "mkdtemp", lambda *_, **__: pytest.fail("a directory is made"))
    agents: list[str] = []

    def look(_data: object) -> None:
        agents.extend(line for line in _agents("/nonexistent") if "gpg-agent" in line)

    with _source(DATA) as source:
        pipeline.run([made.stage], source=source, sink=look)
    assert agents == []


def test_the_secret_keys_are_in_memory_and_the_owners_alone(ring: Keyring, homes: list[str]) -> None:
    made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
    archive = _encrypted(made)
    keyring = Decryption.parse({"identity_file": str(ring.path("alice.sec"))})
    with encryption.decryptor(keyring, made.record(), archive[: encryption.HEAD]):
        home = pathlib.Path(homes[-1])
        assert home.stat().st_mode & 0o777 == 0o700
        assert list(home.glob("private-keys-v1.d/*.key"))
        assert str(home.parent) in ("/run", "/dev/shm")
        assert any("gpg-agent" in line for line in _agents(str(home)))
    assert not home.exists()


def test_nothing_is_left_after_an_exception(ring: Keyring) -> None:
    made = _encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))
    archive = _encrypted(made)
    keyring = Decryption.parse({"identity_file": str(ring.path("alice.sec"))})

    def stop(_data: object) -> None:
        raise KeyboardInterrupt

    head = archive[: encryption.HEAD]
    with (
        pytest.raises(KeyboardInterrupt),
        _source(archive) as source,
        encryption.decryptor(keyring, made.record(), head) as stages,
    ):
        pipeline.run(stages, source=source, sink=stop)
    time.sleep(0.5)  # Popen doesn't wait for its child after a KeyboardInterrupt
    with contextlib.suppress(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


HOLD = f"""
import sys, time, os
from {ENGINE} import encryption
keys = encryption.Decryption.parse({{"identity_file": sys.argv[1]}})
archive = open(sys.argv[2], "rb").read()
with encryption.decryptor(keys, {{"method": "gpg"}}, archive[:encryption.HEAD]) as stages:
    home = [option for option in stages[0].argv if option.startswith("--homedir=")][0].partition("=")[2]
    print(home, flush=True)
    if len(sys.argv) > 3:
        assert os.listdir("/run/user/0/gnupg"), "the sockets are elsewhere"
    else:
        time.sleep(3600)
assert not os.path.exists(home)
if len(sys.argv) > 3:
    assert not os.listdir("/run/user/0/gnupg"), os.listdir("/run/user/0/gnupg")
"""


def test_nothing_is_left_when_we_are_killed(ring: Keyring, tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "a.gpg"
    archive.write_bytes(_encrypted(_encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))))
    with started(HOLD.replace("print(home", "print(home + chr(10) + home"), ring.path("alice.sec"), archive) as process:
        assert process.stdout is not None
        home = process.stdout.readline().strip()
        assert os.path.isdir(home)
        assert _agents(home)
        process.send_signal(signal.SIGKILL)
        assert _soon(lambda: not os.path.lexists(home) and not _agents(home))


@needs_root
def test_nothing_is_left_where_gpg_puts_its_sockets_elsewhere(ring: Keyring, tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "a.gpg"
    archive.write_bytes(_encrypted(_encryption(method="gpg", recipients_file=str(ring.path("alice.asc")))))
    script = 'mount -t tmpfs -o mode=755 none /run && mkdir -p -m 700 /run/user/0 && exec "$@"'
    wrapper = ("unshare", "--mount", "/bin/sh", "-c", script, "sh")
    ran = python(HOLD, ring.path("alice.sec"), archive, "sockets", wrapper=wrapper)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("/run/drydock-gpg-")
