# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F71: what opens the archives is in no process's arguments or environment while a module runs, and in nothing that it
says or leaves, also when the keys are the wrong ones or no keys at all."""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import os
import pathlib
import re
import subprocess
import time
import typing as t

import pytest

from tests.support.engine import Engine
from tests.support.modules import Answer, Modules
from tests.support.processes import children

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"
# What -vvv and --diff make of a module's arguments.
TALKATIVE = {"_ansible_verbosity": 3, "_ansible_debug": True, "diff": True}
PASSPHRASE = "Tr0ub4dor-and-3-correct-horses"
LOCK = "opens-nothing-but-this-one-key"
OTHER = "another-passphrase-of-32-letters"


class Keys(t.NamedTuple):
    """The options for one way to encrypt: the program, and files that hold what must stay secret."""

    program: str
    encryption: dict[str, t.Any]
    decryption: dict[str, str]

    def secrets(self) -> set[str]:
        """What must not be seen: every part of those files but comments, and what the public key has too."""
        lines = [line for path in self.decryption.values() for line in pathlib.Path(path).read_text().splitlines()]
        public = [pathlib.Path(path).read_text() for path in self.encryption.get("recipients_file", [])]
        kept = [line for line in lines if not line.startswith(("#", "-----", "AAAA"))]
        return parts(*kept) - parts(*public, *self.encryption.get("recipients", []))


def parts(*texts: str) -> set[str]:
    """Every 12 characters in a row."""
    return {text[start : start + 12] for text in texts for start in range(len(text) - 11)}


def age(work: pathlib.Path) -> Keys:
    """An identity of age's own."""
    identity = work / "identity.age"
    subprocess.run(["age-keygen", "-o", identity], check=True, capture_output=True)
    public = subprocess.run(["age-keygen", "-y", identity], check=True, capture_output=True, text=True).stdout.strip()
    return Keys("age", {"method": "age", "recipients": [public]}, {"identity_file": str(identity)})


def ssh(work: pathlib.Path) -> Keys:
    """An SSH key that age uses."""
    identity = work / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", identity], check=True, capture_output=True)
    return Keys("age", {"method": "age", "recipients_file": [f"{identity}.pub"]}, {"identity_file": str(identity)})


def passphrase(work: pathlib.Path) -> Keys:
    """A passphrase for gpg."""
    file = secret_file(work / "passphrase", PASSPHRASE)
    return Keys("gpg", {"method": "gpg", "passphrase_file": file}, {"passphrase_file": file})


def gpg(work: pathlib.Path) -> Keys:
    """A key pair of gpg's, the secret half locked with a passphrase."""
    home = work / "gnupg"
    home.mkdir(mode=0o700)
    lock = secret_file(work / "lock", LOCK)
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--pinentry-mode", "loopback"]
    command += ["--passphrase-file", lock]
    public, secret = work / "public.gpg", work / "secret.gpg"
    try:
        subprocess.run(
            [*command, "--quick-generate-key", "drydock", "future-default", "default", "never"],
            check=True,
            capture_output=True,
        )
        for file, export in ((public, "--export"), (secret, "--export-secret-keys")):
            done = subprocess.run([*command, "--armor", export], check=True, capture_output=True)
            file.write_bytes(done.stdout)
            file.chmod(0o600)
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=True)
    return Keys(
        "gpg",
        {"method": "gpg", "recipients_file": [str(public)]},
        {"identity_file": str(secret), "passphrase_file": lock},
    )


def secret_file(path: pathlib.Path, text: str) -> str:
    """A file with a secret that nobody else can read."""
    path.touch(mode=0o600)
    path.write_text(text + "\n")
    return str(path)


def watched(modules: Modules, module: str, trace: pathlib.Path, **options: t.Any) -> tuple[Answer, set[str], str]:
    """Run a module to its end. Return its answer; the arguments that any process of the host had meanwhile, with the
    environments of those below the module; and a trace of every program started by it, with both."""
    tracer = ["strace", "-f", "-qq", "-v", "-s", "1000000", "-e", "trace=execve,execveat", "-o", str(trace)]
    process = modules.start(module, wrapper=tracer, **TALKATIVE, **options)
    seen: set[str] = set()
    while process.poll() is None:
        seen.update(_seen(children(process.pid), ("cmdline", "environ")))
        seen.update(_seen((int(name) for name in os.listdir("/proc") if name.isdigit()), ("cmdline",)))
        time.sleep(0.002)
    return modules.finish(process), seen, trace.read_text(errors="backslashreplace")


def _seen(processes: c.Iterable[int], files: c.Iterable[str]) -> c.Iterator[str]:
    for process in processes:
        for file in files:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                yield pathlib.Path(f"/proc/{process}/{file}").read_bytes().decode("utf-8", "backslashreplace")


def everything(answer: Answer) -> str:
    """All that a module said."""
    return json.dumps(answer, ensure_ascii=False) + answer.stderr


@pytest.mark.parametrize("way", [age, ssh, passphrase, gpg])
def test_f71_keys_are_seen_nowhere(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str, way: c.Callable[[pathlib.Path], Keys]
) -> None:
    keys, target, repository = way(work), engine.volume(), work / "repository"
    secrets = keys.secrets()
    assert secrets
    options = {"repository": str(repository)}
    for module, more in (
        (BACKUP, {"volumes": [slow_volume], "encryption": keys.encryption}),
        (RESTORE, {"volume": target, "source_volume": slow_volume, "decryption": keys.decryption}),
    ):
        answer, seen, trace = watched(modules, module, work / f"trace-{module}", **options, **more)
        assert not answer.get("failed"), answer["msg"]
        assert "invocation" in answer  # -vvv
        # it was looked at while the program with the keys ran
        assert any(arguments.startswith(f"{keys.program}\0") for arguments in seen)
        assert f'execve("/usr/bin/{keys.program}", ["{keys.program}",' in trace
        assert "PATH=" in trace
        assert secrets & parts(*seen) == set()
        assert secrets & parts(trace) == set()
        assert secrets & parts(everything(answer)) == set()
        for home in re.findall(r"--homedir=(/[^\"]*drydock-gpg-[^\"]*)", trace):
            assert not os.path.exists(home)
    for manifest in repository.rglob("*.json"):
        assert secrets & parts(manifest.read_text()) == set()


# The wrong keys


def refused(modules: Modules, module: str, secrets: set[str], **options: t.Any) -> str:
    """Run a module that must fail, and tell nothing of these secrets."""
    answer = modules.run(module, **TALKATIVE, **options)
    assert answer.get("failed"), answer
    assert not answer.get("changed")
    assert "Traceback" not in answer["msg"] + answer.stderr
    assert secrets & parts(everything(answer)) == set()
    return str(answer["msg"])


@pytest.mark.parametrize("way", [age, ssh, passphrase, gpg])
def test_f71_wrong_keys_are_not_repeated(
    engine: Engine, modules: Modules, work: pathlib.Path, way: c.Callable[[pathlib.Path], Keys]
) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    (engine.path(volume) / "file").write_text("contents")
    (work / "other").mkdir()
    keys, others = way(work), way(work / "other")
    if way in (passphrase, gpg):
        secret_file(pathlib.Path(others.decryption["passphrase_file"]), OTHER)
    modules.backup(volume, repository=repository, encryption=keys.encryption)
    target = engine.volume()
    options = {"volume": target, "source_volume": volume, "repository": repository}
    both = keys.secrets() | others.secrets()
    message = refused(modules, RESTORE, both, decryption=others.decryption, **options)
    assert "can't be decrypted with" in message or "holds no secret key" in message

    # a key that was cut off, mistyped, or came with something else
    secrets = both | parts(OTHER)
    for name, path in keys.decryption.items():
        text = pathlib.Path(path).read_text()
        lines = [line for line in text.splitlines() if not line.startswith(("#", "-----"))]
        middle = lines[len(lines) // 2]
        damage = [text[: len(text) * 2 // 3], f"{OTHER}\n{text}"]
        if keys.program == "age":
            damage += [text.replace(middle, middle[:-5] + middle[-5:].swapcase()), text.replace("-", "_")]
        for damaged in damage:
            wrong = secret_file(work / "wrong", damaged.rstrip("\n"))
            answer = modules.run(RESTORE, **TALKATIVE, decryption={**keys.decryption, name: wrong}, **options)
            assert secrets & parts(everything(answer)) == set()
            assert "Traceback" not in str(answer.get("msg")) + answer.stderr
            if not answer.get("failed"):  # some damage does no harm: what stands before a key in PEM, for one
                engine.remove(target)
                engine.api.create_volume(target)
    assert os.listdir(engine.path(target)) == []


def test_f71_files_in_each_others_place(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "repository"
    all_keys = {way.__name__: way(work) for way in (age, ssh, passphrase, gpg)}
    files = {path for keys in all_keys.values() for path in keys.decryption.values()}
    secrets = {secret for keys in all_keys.values() for secret in keys.secrets()}
    assert len(files) == 5

    # given as what should be public
    for method in ("age", "gpg"):
        for path in files:
            refused(
                modules,
                BACKUP,
                secrets,
                volumes=[volume],
                repository=str(repository),
                encryption={"method": method, "recipients_file": [path]},
            )
    assert not repository.exists()

    # given as another kind of key
    target, keys = engine.volume(), all_keys["age"]
    modules.backup(volume, repository=str(repository), encryption=keys.encryption)
    for path in files - set(keys.decryption.values()):
        refused(
            modules,
            RESTORE,
            secrets,
            volume=target,
            source_volume=volume,
            repository=str(repository),
            decryption={"identity_file": path},
        )
    assert os.listdir(engine.path(target)) == []
