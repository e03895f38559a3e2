# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Repositories elsewhere, on real SFTP, WebDAV and S3 servers, through both the newest rclone and Debian's."""

from __future__ import annotations

import collections.abc as c
import contextlib
import functools
import json
import os
import pathlib
import tempfile

import pytest

from tests.support import disks, remotes
from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import children, wait_for
from tests.support.records import differences, record
from tests.support.remotes import NEW, OLD, Offsite, Storage

BACKUP, INFO = "docker_volume_backup", "docker_volume_backup_info"
ENDS: dict[str, c.Callable[[pathlib.Path], contextlib.AbstractContextManager[Storage]]] = {
    **remotes.KINDS,
    "sftp without a shell": functools.partial(remotes.sftp, shell=False),
}
CONFIRMED = {"sftp": "sha1", "sftp without a shell": "size", "webdav": "size", "s3": "md5"}


#: Each end with one rclone or the other.
BOTH = [("sftp", NEW), ("sftp", OLD), ("sftp without a shell", OLD), ("webdav", OLD), ("s3", NEW), ("s3", OLD)]


@pytest.fixture(scope="module", params=ENDS)
def end(request: pytest.FixtureRequest) -> c.Iterator[tuple[str, Storage]]:
    """A server, once for all tests of this file."""
    home = tempfile.TemporaryDirectory(prefix="drydock-test-", dir="/var/tmp")
    with home as path, ENDS[request.param](pathlib.Path(path)) as storage:
        yield request.param, storage


@pytest.fixture
def near(work: pathlib.Path) -> Offsite:
    """A remote that is a directory of this machine."""
    return Offsite(work, remotes.alias(work / "elsewhere"), NEW)


def filled(engine: Engine) -> str:
    """A volume with a few files."""
    volume = engine.volume()
    path = engine.path(volume)
    (path / "noise").write_bytes(os.urandom(3 << 20))
    (path / "folder").mkdir()
    (path / "folder" / "text").write_text("something\n")
    os.chown(path / "folder" / "text", 1234, 4321)
    (path / "empty").touch()
    return volume


@pytest.mark.parametrize(("end", "program"), BOTH, ids=lambda one: getattr(one, "parent", one), indirect=["end"])
def test_a_backup_goes_there_is_listed_verified_restored_and_expires(
    engine: Engine, modules: Modules, work: pathlib.Path, end: tuple[str, Storage], program: pathlib.Path
) -> None:
    _name, storage = end
    offsite = Offsite(work, storage, program)
    volume = filled(engine)
    before = record(engine.path(volume))
    first = modules.backup(volume, **offsite.options, verify="archive", host="h")
    (made,) = first["backups"]
    assert made["path"] == f"{offsite.repository}/h/{volume}/{made['id']}.tar.zst"
    assert made["verification"]["method"] == "archive"
    assert made["verification"]["upload"] in ("sha1", "md5", "size")
    assert offsite.files() == [f"h/{volume}/{made['id']}.json", f"h/{volume}/{made['id']}.tar.zst"]

    found = modules.run(INFO, **offsite.options, host="h", volumes=[volume], verify="archive")
    assert not found.get("failed"), found["msg"]
    assert [(each["id"], each["path"], each["verified"]) for each in found["backups"]] == [
        (made["id"], made["path"], "archive")
    ]
    assert (found["incomplete"], found["foreign"]) == ([], [])

    target = engine.volume()
    done = modules.restore(target, source_volume=volume, host="h", **offsite.options)
    assert done["verified"]["entries"]
    assert differences(before, record(engine.path(target))) == []

    again = modules.backup(volume, **offsite.options, host="h", retention={"keep_last": 1})
    assert [gone["id"] for gone in again["expired"]] == [made["id"]]
    (second,) = again["backups"]
    assert offsite.files() == [f"h/{volume}/{second['id']}.json", f"h/{volume}/{second['id']}.tar.zst"]


def test_copies_are_confirmed_by_the_other_end_and_made_up_for(
    engine: Engine, modules: Modules, work: pathlib.Path, end: tuple[str, Storage]
) -> None:
    name, storage = end
    offsite, local = Offsite(work, storage, NEW), work / "local"
    volume = filled(engine)
    missed = [modules.backup(volume, repository=str(local), host="h")["backups"][0]["id"] for _one in range(2)]
    answer = modules.backup(volume, **offsite.copying(local), host="h")
    (made,) = answer["backups"]
    assert [copy["id"] for copy in answer["copies"]] == [made["id"], *reversed(missed)]
    assert {copy["verified"] for copy in answer["copies"]} == {CONFIRMED[name]}
    assert offsite.files() == sorted(f"h/{volume}/{file.name}" for file in (local / "h" / volume).glob("2*"))
    for backup_id in (*missed, made["id"]):
        where = f"h/{volume}/{backup_id}.json"
        assert offsite.rclone.run("cat", f"{offsite.repository}/{where}") == (local / where).read_bytes()

    # what isn't whole there is no copy, and is made again
    victim = f"{offsite.repository}/h/{volume}/{missed[0]}.tar.zst"
    offsite.rclone.run("deletefile", victim)
    offsite.rclone.run("rcat", victim, data=b"not it")
    answer = modules.backup(volume, **offsite.copying(local), host="h", skip_unchanged=True)
    assert [copy["id"] for copy in answer["copies"]] == [missed[0]]
    assert answer["changed"]
    found = modules.run(INFO, **offsite.options, verify="archive")
    assert sorted(each["id"] for each in found["backups"]) == [*missed, made["id"]]
    assert not found.get("failed"), found["msg"]


def test_each_copy_keeps_what_its_own_rules_say(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    volume, local, second = filled(engine), work / "local", work / "second"
    options = {
        **near.options,
        "repository": str(local),
        "retention": {"keep_last": 3},
        "copies": [
            {"repository": near.repository, "retention": {"keep_last": 1}},
            {"repository": str(second), "retention": {"keep_last": 2}},
        ],
        "host": "h",
    }
    ids = [modules.backup(volume, repository=str(local), host="h")["backups"][0]["id"] for _one in range(3)]
    predicted = modules.run(BACKUP, volumes=[volume], **options, check=True, diff=True)
    assert [(copy["repository"], copy["id"]) for copy in predicted["copies"]] == [
        (near.repository, None),
        (str(second), None),
        (str(second), ids[2]),
    ]
    assert predicted["diff"]["after"]["copies"][near.repository] == {volume: ["(a new backup)"]}
    assert not second.exists()
    assert not near.storage.directory or not list(near.storage.directory.iterdir())

    answer = modules.backup(volume, **options)
    (made,) = answer["backups"]
    assert [(copy["repository"], copy["id"]) for copy in answer["copies"]] == [
        (near.repository, made["id"]),
        (str(second), made["id"]),
        (str(second), ids[2]),
    ]
    assert answer["copies_expired"] == []
    answer = modules.run(BACKUP, volumes=[volume], **options, diff=True)
    (newest,) = answer["backups"]
    assert [(gone["repository"], gone["id"]) for gone in answer["copies_expired"]] == [
        (near.repository, made["id"]),
        (str(second), ids[2]),
    ]
    assert answer["diff"]["before"]["copies"][str(second)] == {volume: [ids[2], made["id"]]}
    assert answer["diff"]["after"]["copies"] == {
        near.repository: {volume: [newest["id"]]},
        str(second): {volume: [made["id"], newest["id"]]},
    }
    assert sorted(file.stem for file in second.rglob("*.json")) == [made["id"], newest["id"]]
    assert len(list(local.rglob("*.json"))) == 3
    for file in second.rglob("2*"):
        assert file.read_bytes() == (local / "h" / volume / file.name).read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600


def test_containers_run_again_while_it_uploads(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    volume = filled(engine)
    container = engine.run(volume)
    options = near.copying(work / "local")
    slowly = {**options["environment"], "RCLONE_BWLIMIT": "20k"}
    process = modules.start(BACKUP, volumes=[volume], quiesce="stop", **{**options, "environment": slowly})
    wait_for(lambda: list((work / "elsewhere").rglob(".*.partial")), "an upload", 120)
    assert "rclone" in children(process.pid).values()
    assert engine.state(container) == "running"
    process.terminate()
    assert "ended by SIGTERM" in modules.finish(process)["msg"]
    assert not children(process.pid)
    assert near.files() == []

    again = modules.backup(volume, quiesce="stop", skip_unchanged=True, **options)
    assert [copy["id"] for copy in again["copies"]] == [left["id"] for left in again["unchanged"]]


def test_many_backups_are_listed_by_a_few_calls(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    volume = filled(engine)
    (made,) = modules.backup(volume, **near.options, host="h")["backups"]
    folder = work / "elsewhere" / near.repository.partition(":")[2] / "h" / volume
    manifest = json.loads((folder / f"{made['id']}.json").read_text())
    archive = folder / manifest["archive"]["file"]
    for number in range(1000):
        each = f"2020{number % 12 + 1:02}{number % 28 + 1:02}T{number // 60 % 24:02}{number % 60:02}00Z-{number + 2}"
        os.link(archive, folder / f"{each}.tar.zst")
        described = {**manifest, "id": each, "archive": {**manifest["archive"], "file": f"{each}.tar.zst"}}
        (folder / f"{each}.json").write_text(json.dumps(described))
    before = len(near.calls())
    found = modules.run(INFO, **near.options)
    assert len(found["backups"]) == 1001
    assert len(near.calls()) - before == 3


def test_a_restore_without_room_for_the_archive_reads_it_twice(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    volume, target = filled(engine), engine.volume()
    modules.backup(volume, **near.options)
    options = near.options
    with disks.mounted(work, 2, options=disks.EXT4) as small:
        environment = {**options.pop("environment"), "TMPDIR": str(small)}
        before = len(near.calls())
        modules.restore(target, source_volume=volume, **options, environment=environment)
    assert differences(record(engine.path(volume)), record(engine.path(target))) == []
    assert sum(call.startswith("cat ") and "--head" not in call for call in near.calls()[before:]) >= 2


def test_encrypted_archives_go_there_and_come_back(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    phrase = work / "phrase"
    phrase.write_text("a passphrase of this test\n")
    phrase.chmod(0o600)
    volume, target = filled(engine), engine.volume()
    keys = {"method": "gpg", "passphrase_file": str(phrase)}
    modules.backup(volume, **near.options, encryption=keys, verify="restore")
    modules.restore(target, source_volume=volume, **near.options, decryption={"passphrase_file": str(phrase)})
    assert differences(record(engine.path(volume)), record(engine.path(target))) == []
    assert "passphrase" not in " ".join(near.calls())


def test_a_damaged_archive_of_a_remote_is_refused(
    engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite
) -> None:
    volume, target = filled(engine), engine.volume()
    modules.backup(volume, **near.options)
    (archive,) = (work / "elsewhere").rglob("*.tar.zst")
    data = bytearray(archive.read_bytes())
    data[len(data) // 2] ^= 1
    archive.write_bytes(data)
    text = modules.refused("docker_volume_restore", volume=target, source_volume=volume, **near.options)
    assert "is damaged: its SHA-256 is" in text
    assert os.listdir(engine.path(target)) == []
    found = modules.run(INFO, **near.options, verify="archive")
    assert found["failed"]
    assert "is damaged" in found["backups"][0]["error"]


def test_nothing_is_written_in_check_mode(engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite) -> None:
    volume = filled(engine)
    answer = modules.run(BACKUP, volumes=[volume], **near.options, check=True)
    assert not answer.get("failed"), answer["msg"]
    assert answer["changed"]
    assert list((work / "elsewhere").iterdir()) == []
    assert "doesn't exist yet and would be created" in str(answer["warnings"])


def test_what_cannot_be_asked_for(engine: Engine, modules: Modules, work: pathlib.Path, near: Offsite) -> None:
    volume = filled(engine)
    config = str(near.rclone.config)
    common = {"volumes": [volume], "rclone_config": config, "environment": near.environment}
    text = modules.refused(BACKUP, repository="off,pass=hunter2:backups", **common)
    assert "neither an absolute path nor REMOTE:path" in text
    assert "hunter2" not in text
    assert "is not an absolute path, and not REMOTE:path" in modules.refused(BACKUP, repository="backups", **common)
    text = modules.refused(BACKUP, repository="elsewhere:backups", **common)
    assert "didn't find section in config file" in text
    assert "see to the remote and to what rclone's configuration says" in text
    text = modules.refused(BACKUP, repository=near.repository, require_mounted=True, **common)
    assert "require_mounted is for a repository in a directory" in text
    copies = [{"repository": str(work / "second")}]
    text = modules.refused(BACKUP, repository=near.repository, copies=copies, **common)
    assert "back up into a directory and name the remote among the copies" in text
    copies = [{"repository": near.repository}] * 2
    assert "is named twice" in modules.refused(BACKUP, repository=str(work / "r"), copies=copies, **common)
    near.rclone.config.chmod(0o644)
    assert f"rclone_config {config}" in modules.refused(BACKUP, repository=near.repository, **common)
    assert not (work / "r").exists()


@pytest.mark.parametrize("end", ["webdav", "s3"], indirect=True)
def test_passwords_and_keys_are_in_rclones_configuration_only(
    engine: Engine, modules: Modules, work: pathlib.Path, end: tuple[str, Storage]
) -> None:
    _name, storage = end
    offsite, volume = Offsite(work, storage, NEW), filled(engine)
    answers = [modules.backup(volume, **offsite.copying(work / "local"), quiesce="none", diff=True)]
    secrets = [value for key, value in storage.settings.items() if key in ("pass", "secret_access_key")]
    wrong = "dGVzdHRlc3R0ZXN0dGVzdA"
    section = storage.section("off")
    for secret in secrets:
        section = section.replace(secret, wrong)
    offsite.rclone.replace(section)
    answers.append(modules.run(BACKUP, volumes=[volume], **offsite.copying(work / "local")))
    said = json.dumps(answers) + "".join(offsite.calls()) + "".join(answer.stderr for answer in answers)
    for secret in (*secrets, wrong):
        assert secret not in said
    assert answers[1]["failed"]
    assert "are not up to date" in answers[1]["msg"]
    assert len(answers[1]["backups"]) == 1
