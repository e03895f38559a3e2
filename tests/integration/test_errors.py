# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F03, F04, F10, F14, F63: what an operator does wrong, or finds broken. One clear message says what to do, and nothing
is changed."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import pytest

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


def without(*programs: str) -> list[str]:
    """A wrapper that runs a command in a mount namespace of its own, in which these programs are not there."""
    hide = " && ".join(f"mount --bind /dev/null $(readlink -f $(command -v {program}))" for program in programs)
    return ["unshare", "--mount", "sh", "-c", f'{hide} && exec "$@"', "sh"]


def test_f04_a_misspelt_volume(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    message = modules.refused("docker_volume_backup", volumes=[volume + "x"], repository=str(work / "repository"))
    assert message.startswith(f"volume {volume}x doesn't exist on this host; did you mean {volume}")
    assert engine.names() == [volume]
    assert not (work / "repository").exists()


@pytest.mark.parametrize("check", [True, False])
class TestRepository:
    """A repository that can't be written."""

    def test_its_parent_is_missing(self, engine: Engine, modules: Modules, work: pathlib.Path, check: bool) -> None:
        repository = work / "not-mounted" / "repository"
        message = modules.refused(
            "docker_volume_backup", volumes=[engine.volume()], repository=str(repository), check=check
        )
        assert f"create {repository.parent} or mount what belongs there" in message
        assert not repository.parent.exists()

    def test_it_is_a_file(self, engine: Engine, modules: Modules, work: pathlib.Path, check: bool) -> None:
        (work / "repository").write_text("mine")
        message = modules.refused(
            "docker_volume_backup", volumes=[engine.volume()], repository=str(work / "repository"), check=check
        )
        assert "is not a directory" in message
        assert (work / "repository").read_text() == "mine"

    def test_it_is_read_only(self, engine: Engine, modules: Modules, work: pathlib.Path, check: bool) -> None:
        (work / "repository").mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "drydock-test", work / "repository"], check=True)
        try:
            message = modules.refused(
                "docker_volume_backup", volumes=[engine.volume()], repository=str(work / "repository"), check=check
            )
        finally:
            subprocess.run(["umount", work / "repository"], check=True)
        assert "read-only file system" in message.lower()

    def test_it_is_relative(self, engine: Engine, modules: Modules, check: bool) -> None:
        message = modules.refused("docker_volume_backup", volumes=[engine.volume()], repository="backups", check=check)
        assert "'backups' is not an absolute path" in message


def test_f03_the_disk_is_full(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), work / "repository"
    repository.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "drydock-test", repository], check=True)
    try:
        modules.backup(volume, repository=str(repository))
        held = sorted(repository.rglob("*"))
        (engine.path(volume) / "large").write_bytes(os.urandom(3 << 20))
        message = modules.refused("docker_volume_backup", volumes=[volume], repository=str(repository))
        assert "No space left on device" in message
        assert "earlier backups are untouched" in message
        assert sorted(repository.rglob("*")) == held
    finally:
        subprocess.run(["umount", repository], check=True)


@pytest.mark.parametrize(
    ("hidden", "options", "package"),
    [(["zstd"], {}, "zstd"), (["pigz", "gzip"], {"compression": "gzip"}, "gzip"), (["tar"], {}, "tar")],
)
def test_a_missing_program(
    engine: Engine, modules: Modules, work: pathlib.Path, hidden: list[str], options: dict[str, str], package: str
) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    message = modules.refused(
        "docker_volume_backup", volumes=[volume], repository=repository, wrapper=without(*hidden), **options
    )
    assert f"install the package '{package}'" in message
    assert not (work / "repository").exists()

    modules.backup(volume, repository=repository, **options)
    engine.remove(volume)
    message = modules.refused("docker_volume_restore", volume=volume, repository=repository, wrapper=without(*hidden))
    assert f"install the package '{package}'" in message
    assert engine.names() == []


def test_gzip_serves_where_pigz_is_missing(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    options = {"repository": str(work / "repository"), "compression": "gzip", "wrapper": without("pigz")}
    assert modules.backup(engine.volume(), **options)["changed"]


def test_another_tar(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    busybox = ["unshare", "--mount", "sh", "-c", 'mount --bind /bin/busybox /usr/bin/tar && exec "$@"', "sh"]
    message = modules.refused(
        "docker_volume_backup", volumes=[engine.volume()], repository=str(work / "repository"), wrapper=busybox
    )
    assert "is not GNU tar" in message
    assert "install the package 'tar'" in message


def test_no_daemon(modules: Modules, work: pathlib.Path) -> None:
    message = modules.refused(
        "docker_volume_backup",
        volumes=["any"],
        repository=str(work / "repository"),
        docker_host=f"unix://{work}/docker.sock",
    )
    assert f"no Docker daemon answers at unix://{work}/docker.sock (No such file or directory)" in message
    assert "systemctl start docker" in message


def test_a_daemon_on_another_host(modules: Modules, work: pathlib.Path) -> None:
    message = modules.refused(
        "docker_volume_backup", volumes=["any"], repository=str(work / "r"), docker_host="tcp://127.0.0.1:1"
    )
    assert "127.0.0.1:1" in message


def test_no_permission_on_the_socket(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    work.chmod(0o777)
    python = pathlib.Path(sys.executable)
    if subprocess.run([*NOBODY, python, "-c", ""], check=False, capture_output=True).returncode:
        # a Python below root's home is out of reach for others: this one runs it and drops its privileges then
        wrapper = [sys.executable, "-c", _DROP]
    else:
        wrapper = NOBODY
    message = modules.refused(
        "docker_volume_backup", volumes=[engine.volume()], repository=str(work / "repository"), wrapper=wrapper
    )
    assert "no permission on the Docker socket" in message
    assert "become: true" in message


def test_f10_a_corrupt_archive(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, repository = engine.volume(), str(work / "repository")
    (engine.path(volume) / "file").write_bytes(os.urandom(100_000))
    archive = pathlib.Path(modules.backup(volume, repository=repository)["backups"][0]["path"])
    good = archive.read_bytes()
    engine.remove(volume)
    target = engine.volume()
    before = records.record(engine.path(target))
    options = {"source_volume": volume, "repository": repository}

    archive.write_bytes(good[:50_000] + bytes([good[50_000] ^ 1]) + good[50_001:])
    for check in (True, False):
        for name in (volume, target):
            message = modules.refused("docker_volume_restore", volume=name, check=check, **options)
            assert f"archive {archive} is damaged: its SHA-256 is" in message
            assert "restore another backup" in message
    archive.write_bytes(good[:-1])
    message = modules.refused("docker_volume_restore", volume=volume, **options)
    assert f"has {len(good) - 1} bytes; its manifest says {len(good)}" in message
    archive.unlink()
    message = modules.refused("docker_volume_restore", volume=volume, **options)
    assert "No such file or directory" in message

    assert engine.names() == [target]
    assert records.differences(before, records.record(engine.path(target))) == []


def test_f14_a_running_container_has_the_empty_volume(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.volume()
    modules.backup(volume, repository=str(work / "repository"))
    engine.run(target)
    message = modules.refused(
        "docker_volume_restore", volume=target, source_volume=volume, repository=str(work / "repository")
    )
    assert "is used by running containers" in message


def test_a_bind_volume_whose_device_is_gone(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (work / "ssd").mkdir()
    volume = engine.bind(work / "ssd")
    modules.backup(volume, repository=str(work / "repository"))
    (work / "ssd").rmdir()
    message = modules.refused("docker_volume_backup", volumes=[volume], repository=str(work / "repository"))
    assert f"its device '{work}/ssd' is not a directory on this host; mount or create it" in message
    engine.remove(volume)
    message = modules.refused("docker_volume_restore", volume=volume, repository=str(work / "repository"))
    assert f"its device '{work}/ssd' is not a directory on this host; mount or create it" in message
    assert engine.names() == []


def test_two_bind_volumes_never_share_a_device_by_a_restore(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    (work / "ssd").mkdir()
    volume, copy = engine.bind(work / "ssd"), engine.name()
    modules.backup(volume, repository=str(work / "repository"))
    message = modules.refused(
        "docker_volume_restore", volume=copy, source_volume=volume, repository=str(work / "repository")
    )
    assert f"belongs to volume {volume}" in message
    assert engine.names() == [volume]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"host": "../other"}, "host name '../other' can't be used"),
        ({"source_volume": "a/b"}, "volume name 'a/b' can't be used"),
        ({"backup": "yesterday"}, "'yesterday' is not an identifier such as"),
        ({"backup": "20200101T000000Z"}, "has no backup 20200101T000000Z of volume"),
        ({}, "has no complete backup of volume"),
    ],
)
def test_a_backup_that_is_not_there(
    engine: Engine, modules: Modules, work: pathlib.Path, options: dict[str, str], said: str
) -> None:
    (work / "repository").mkdir()
    name = engine.name()
    message = modules.refused("docker_volume_restore", volume=name, repository=str(work / "repository"), **options)
    assert said in message
    assert engine.names() == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"stop_timeout": -1}, "stop_timeout is -1; give a number of seconds"),
        ({"health_timeout": "nan"}, "health_timeout is nan"),
        ({"exec_timeout": -0.5}, "exec_timeout is -0.5"),
        ({"lock_timeout": -1}, "lock_timeout is -1"),
        ({"stall_timeout": -5}, "stall_timeout is -5"),
        ({"verify": "restore", "verify_directory": "/no/such"}, "verify_directory /no/such is not a directory"),
    ],
)
def test_what_is_no_time_or_no_place(
    engine: Engine, modules: Modules, work: pathlib.Path, options: dict[str, object], said: str
) -> None:
    volume = engine.volume()
    message = modules.refused(
        "docker_volume_backup", volumes=[volume], repository=str(work / "repository"), quiesce="stop", **options
    )
    assert said in message
    assert not (work / "repository").exists()


@pytest.mark.parametrize("module", ["docker_volume_restore", "docker_volume_clone"])
@pytest.mark.parametrize("name", ["stop_timeout", "health_timeout", "stall_timeout"])
def test_what_is_no_time_elsewhere(
    engine: Engine, modules: Modules, work: pathlib.Path, module: str, name: str
) -> None:
    options = {"volume": engine.name(), "repository": str(work)}
    if module == "docker_volume_clone":
        options = {"source": engine.volume(), "target": engine.name()}
    assert f"{name} is -1" in modules.refused(module, **{name: -1}, **options)


def test_an_empty_list_of_volumes(modules: Modules, work: pathlib.Path) -> None:
    """As from a variable that went wrong: it isn't passed over in silence."""
    options = {"volumes": [], "repository": str(work / "repository")}
    answer = modules.run("docker_volume_backup", **options)
    assert not answer.get("failed")
    assert "the list of volumes is empty: nothing was backed up" in str(answer["warnings"])
    message = modules.refused("docker_volume_backup", require_match=True, **options)
    assert "the list of volumes is empty, and require_match is set" in message


_DROP = """
import os, runpy, sys
sys.path.insert(0, os.environ["PYTHONPATH"])
import docker, ansible.module_utils.basic
sys.argv = sys.argv[3:]
import ansible_collections.drydock.volumes.plugins.modules.docker_volume_backup as module
os.setgroups([]); os.setgid(65534); os.setuid(65534)
module.main()
"""


def test_f63_a_tree_too_deep_to_be_restored(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    trees.make_deep(engine.path(volume) / "deep", trees.LONGEST_MEMBER + 10)
    try:
        for check in (True, False):
            message = modules.refused(
                "docker_volume_backup", volumes=[volume], repository=str(work / "repository"), check=check
            )
            assert "longer than the 4079 bytes that tar can restore" in message
            assert "give their directories shorter names" in message
            left = [path.name for path in (work / "repository").rglob("*") if path.is_file()]
            assert left == ([] if check else [".lock"])
    finally:
        trees.remove(engine.path(volume) / "deep")


def test_two_restores_at_once(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, target = engine.volume(), engine.volume()
    (engine.path(volume) / "noise").write_bytes(os.urandom(64 << 20))
    modules.backup(volume, repository=str(work / "repository"))
    options = {"volume": target, "source_volume": volume, "repository": str(work / "repository")}
    running = [modules.start("docker_volume_restore", **options) for _time in range(2)]
    answers = [modules.finish(process) for process in running]
    assert sorted(bool(answer.get("failed")) for answer in answers) == [False, True]
    differences = records.differences(records.record(engine.path(volume)), records.record(engine.path(target)))
    assert differences == []
