# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F72: names that are paths, options, several lines or nothing. They are refused or kept as they are, and nothing is
made outside the repository."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import shutil
import sys
import typing as t

import pytest

from tests.support import records
from tests.support.engine import Engine
from tests.support.modules import Modules

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"
ESCAPED = f"/var/tmp/drydock-test-escaped-{os.getpid()}"

# One that is refused for each reason there may be. They start a process each time.
SOME = {
    "the parent": "..",
    "upwards": "../../escaped",
    "absolute": ESCAPED,
    "a newline at the end": "pgdata\n",
    "a substitution": "\"'; touch escaped; $(touch escaped)`touch escaped`",
    "an option": "--checkpoint-action=exec=false",
    "NUL": "pg\0data",
    "300 characters": "x" * 300,
    "not ASCII": "donn\N{LATIN SMALL LETTER E WITH ACUTE}es",
}
ALL = [
    *SOME.values(),
    *(".", "/", "a/b", "a//b", "./a", "a/", "x/../../../escaped", "back\\slash", "..\\..\\escaped"),
    *("", " ", "pg data", "two\nlines", "\n", "over\rwritten", "tab\t", "\x1b[2Jred", "\x7f", "\0"),
    *(
        "'",
        '"',
        "it's",
        "*",
        "?",
        "[a]",
        "{a,b}",
        "a;b",
        "a|b",
        "a&b",
        "$HOME",
        "~",
        "%s",
        "{0}",
        "{{ x }}",
        "#",
        "a=b",
    ),
    *("-", "-rf", "--", ".lock", ".hidden", "_", "a,b", "a:b", "C:"),
    "x" * 256,
    "\N{FULLWIDTH LATIN SMALL LETTER P}g",
    "a\N{DIVISION SLASH}b",
    "\N{RIGHT-TO-LEFT OVERRIDE}atad",
    "\N{ARABIC-INDIC DIGIT ONE}",
    "caf\N{LATIN SMALL LETTER E}\N{COMBINING ACUTE ACCENT}",
    "\N{SPOUTING WHALE}",
    "latin1 \udce9",
]
NAMES = pytest.mark.parametrize("name", SOME.values(), ids=SOME.keys())


@pytest.fixture
def repository(work: pathlib.Path) -> c.Iterator[pathlib.Path]:
    """Where a repository may be made, below several levels of something to escape to."""
    (work / "outer" / "middle" / "inner").mkdir(parents=True)
    yield work / "outer" / "middle" / "inner" / "repository"
    shutil.rmtree(ESCAPED, ignore_errors=True)


def outside(repository: pathlib.Path) -> list[str]:
    """Every path around the repository, and the one that an absolute name leads to if it is there."""
    around = [path for path in map(str, repository.parents[2].rglob("*")) if path != str(repository)]
    found = [path for path in around if not path.startswith(f"{repository}/")]
    return sorted(found + [path for path in [ESCAPED] if os.path.lexists(path)])


def clear(message: str, what: str) -> None:
    """Check that a message is one for people: about the right thing, and with nothing in it that a terminal obeys."""
    assert what in message
    assert message.isprintable(), message
    assert len(message) < 2000, message
    assert "unforeseen" not in message


@pytest.mark.parametrize("check", [True, False], ids=["check", "run"])
def test_f72_volumes_to_back_up(engine: Engine, modules: Modules, repository: pathlib.Path, check: bool) -> None:
    volume, before = engine.volume(), outside(repository)
    wanted = [*ALL, volume, *ALL]
    answer = modules.run(BACKUP, volumes=wanted, repository=str(repository), host="db1", check=check)
    assert answer["failed"]
    assert "Traceback" not in answer["msg"] + answer.stderr
    assert [made["volume"]["name"] for made in answer["backups"]] == [volume]
    assert [failure["volume"] for failure in answer["failures"]] == list(dict.fromkeys(ALL))
    for failure in answer["failures"]:
        clear(failure["error"], "volume name")
    assert outside(repository) == before
    assert engine.names() == [volume]
    if check:
        assert not repository.exists()
    else:
        assert os.listdir(repository) == ["db1"]
        assert os.listdir(repository / "db1") == [volume]


@NAMES
def test_f72_hosts(engine: Engine, modules: Modules, repository: pathlib.Path, name: str) -> None:
    volume, before = engine.volume(), outside(repository)
    for module, option in ((BACKUP, {"volumes": [volume]}), (RESTORE, {"volume": engine.name()})):
        clear(modules.refused(module, repository=str(repository), host=name, **option), "host name")
    assert outside(repository) == before
    assert not repository.exists()
    assert engine.names() == [volume]


@pytest.mark.parametrize("name", [b"../../escaped", b"two\nlines", b"-rf", b"latin1 \xe9", b""])
def test_f72_the_hosts_own_name(engine: Engine, modules: Modules, repository: pathlib.Path, name: bytes) -> None:
    renamed = (
        "import os, socket, sys; socket.sethostname(bytes.fromhex(sys.argv[1])); os.execv(sys.argv[2], sys.argv[2:])"
    )
    wrapper = ["unshare", "--uts", sys.executable, "-c", renamed, name.hex()]
    before = outside(repository)
    message = modules.refused(BACKUP, volumes=[engine.volume()], repository=str(repository), wrapper=wrapper)
    clear(message, "host name")
    assert outside(repository) == before
    assert not repository.exists()


def test_f72_what_to_restore(engine: Engine, modules: Modules, repository: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.name()
    options: dict[str, t.Any] = {"repository": str(repository), "host": "db1"}
    modules.backup(volume, **options)
    # something to find for those who follow a path
    shutil.copytree(repository / "db1" / volume, repository.parents[1] / "escaped")
    shutil.copytree(repository / "db1" / volume, ESCAPED)
    before = outside(repository)
    for name in SOME.values():
        clear(modules.refused(RESTORE, volume=name, source_volume=volume, **options), "volume name")
        clear(modules.refused(RESTORE, volume=target, source_volume=name, **options), "volume name")
        clear(modules.refused(RESTORE, volume=target, source_volume=volume, backup=name, **options), "identifier")
        assert outside(repository) == before
        assert engine.names() == [volume]


def test_f72_backups(engine: Engine, modules: Modules, repository: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.name()
    made = modules.backup(volume, repository=str(repository))["backups"][0]
    backup = made["id"]
    for text in (
        f"{backup}/../{backup}",
        f"../{volume}/{backup}",
        f"./{backup}",
        f"{backup}.json",
        f"{backup}\n",
        f"{backup}-02",
        f"{backup}-\N{ARABIC-INDIC DIGIT TWO}",
        "LATEST",
        "",
    ):
        message = modules.refused(RESTORE, volume=target, source_volume=volume, repository=str(repository), backup=text)
        clear(message, "is not an identifier such as")
        assert engine.names() == [volume]


@NAMES
def test_f72_helper_images(engine: Engine, modules: Modules, repository: pathlib.Path, name: str) -> None:
    volume, before = engine.volume(type="tmpfs", device="tmpfs"), outside(repository)
    message = modules.refused(BACKUP, volumes=[volume], repository=str(repository), helper_image=name)
    clear(message, f"volume {volume} can't be mounted")
    assert outside(repository) == before


# Docker's names for containers follow the rule for volumes: nothing else may become another request to the daemon.
REQUESTS = {
    "images": "../images",
    "a query": "../volumes/prune?x=",
    "the daemon": "x/../../info",
    "an argument": "?all=1",
}


@pytest.mark.parametrize("name", [*SOME.values(), *REQUESTS.values()], ids=[*SOME, *REQUESTS])
def test_f72_containers(engine: Engine, modules: Modules, repository: pathlib.Path, name: str) -> None:
    volume, before = engine.volume(), outside(repository)
    message = modules.refused(
        BACKUP,
        volumes=[volume],
        repository=str(repository),
        exec_before=[{"container": name, "command": "true"}],
    )
    clear(message, "container")
    assert outside(repository) == before
    assert engine.names() == [volume]


def test_f72_the_longest_name_that_is_allowed(engine: Engine, modules: Modules, repository: pathlib.Path) -> None:
    volume = engine.name().ljust(255, "x")
    engine.api.create_volume(volume)
    (engine.path(volume) / "file").write_text("contents")
    before, host = records.record(engine.path(volume)), "h" * 255
    modules.backup(volume, repository=str(repository), host=host)
    engine.remove(volume)
    modules.restore(volume, repository=str(repository), host=host)
    assert records.differences(before, records.record(engine.path(volume))) == []


def test_f72_an_odd_path_to_the_repository(engine: Engine, modules: Modules, repository: pathlib.Path) -> None:
    volume = engine.volume()
    (engine.path(volume) / "file").write_text("contents")
    before = records.record(engine.path(volume))
    folder = repository.parent / "-rf --\n'\"; touch escaped; {0} %s \N{SPOUTING WHALE}"
    folder.mkdir()
    around = outside(folder)
    options = {"repository": f"{folder}//.hidden/../\x1b[31m", "host": "db1"}
    modules.backup(volume, **options)
    engine.remove(volume)
    modules.restore(volume, **options)
    assert records.differences(before, records.record(engine.path(volume))) == []
    assert os.listdir(folder) == ["\x1b[31m"]
    assert outside(folder) == around


# What Docker takes: a volume's own labels and options may hold anything.

ODD_LABELS = {
    "quotes": 'it\'s "quoted" \\ `back`',
    "two\nlines": "two\nlines\r\n",
    "control": "\x01\x1b[31m\x7f\0end",
    "\N{SPOUTING WHALE}": "caf\N{LATIN SMALL LETTER E WITH ACUTE} \N{RIGHT-TO-LEFT OVERRIDE}\N{BYTE ORDER MARK}",
    "long": "0123456789" * 1000,
    "l" * 10_000: "a long key",
    "empty": "",
    "a=b,c": "{{ not_a_variable }} %s {0} ${HOME}",
    "json": '{"format": 2, "volume": {"name": "../.."}}',
    "a path": "../../escaped",
    " ": " ",
    "": "without a key",
}


def test_f72_odd_labels_and_options(
    engine: Engine, modules: Modules, work: pathlib.Path, repository: pathlib.Path
) -> None:
    device = work / 'it\'s a "device"\nin two lines \N{SPOUTING WHALE} -rf'
    device.mkdir()
    (device / "file").write_text("contents")
    volume = engine.name()
    # a bind volume takes any mount options: the kernel ignores them for a bind
    driver_options = {"type": "none", "device": str(device), "o": "bind,x='\"\\\n\N{SPOUTING WHALE}," + "y" * 10_000}
    engine.api.create_volume(volume, driver_opts=driver_options, labels=ODD_LABELS)
    known, before = engine.inspect(volume), records.record(device)
    assert known["Labels"] == ODD_LABELS
    assert known["Options"] == driver_options
    around = outside(repository)

    made = modules.backup(volume, repository=str(repository))["backups"][0]
    assert made["volume"]["labels"] == ODD_LABELS
    assert made["volume"]["options"] == driver_options
    stored = next(repository.rglob("*.json")).read_bytes()
    assert stored.isascii()
    assert json.loads(stored)["volume"] == made["volume"]
    engine.remove(volume)
    (device / "file").unlink()
    modules.restore(volume, repository=str(repository))

    restored = engine.inspect(volume)
    assert {key: restored[key] for key in ("Driver", "Labels", "Options", "Scope")} == {
        key: known[key] for key in ("Driver", "Labels", "Options", "Scope")
    }
    assert records.differences(before, records.record(device)) == []
    assert outside(repository) == around
