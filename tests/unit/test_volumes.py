# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where a volume's files are, and where they can't be reached."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import volumes
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError, VolumeError
from tests.unit.helpers import BECOME_NOBODY, ENGINE, needs_root, python


def volume(mountpoint: object = "", *, driver: str = "local", **options: str) -> volumes.Volume:
    return volumes.Volume("data", driver, options, {}, "local", str(mountpoint))


KNOWN: dict[str, dict[str, t.Any]] = {
    name: {"Name": name, "Driver": "local"} for name in ("pgdata", "pgdata2", "uploads", "a" * 64)
}


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("pgdat", "did you mean pgdata or pgdata2?"),
        ("upload", "did you mean uploads?"),
        ("zzz", "docker volume ls shows"),
        ("", "docker volume ls shows"),
    ],
)
def test_f04_a_misspelt_name_gets_a_suggestion(name: str, hint: str) -> None:
    with pytest.raises(VolumeError) as caught:
        volumes.find(KNOWN, name)
    assert f"volume {name} doesn't exist on this host; {hint}" in str(caught.value)


def test_f53_the_exact_name_is_found() -> None:
    assert volumes.find(KNOWN, "pgdata").name == "pgdata"


@pytest.mark.parametrize("empty", [{}, {"Options": None, "Labels": None, "Mountpoint": None, "Scope": ""}])
def test_what_the_api_leaves_empty(empty: dict[str, t.Any]) -> None:
    found = volumes.Volume.from_api({"Name": "a", "Driver": "local", **empty})
    assert found == volumes.Volume("a", "local", {}, {}, "local", "")
    assert found.description() == {"name": "a", "driver": "local", "options": {}, "labels": {}, "scope": "local"}


@needs_root
def test_a_plain_volume_is_at_its_mount_point(tmp_path: pathlib.Path) -> None:
    assert volumes.direct(volume(tmp_path)) == str(tmp_path)


@needs_root
@pytest.mark.parametrize("o", ["bind", "rbind", "bind,rw", "ro,bind"])
def test_a_bind_volume_is_at_its_device(tmp_path: pathlib.Path, o: str) -> None:
    assert volumes.direct(volume("/elsewhere", type="none", o=o, device=str(tmp_path))) == str(tmp_path)


MOUNTED_BY_DOCKER = {
    "nfs": {"type": "nfs", "o": "addr=10.0.0.1,rw", "device": ":/export"},
    "tmpfs": {"type": "tmpfs", "device": "tmpfs"},
    "block device": {"type": "ext4", "device": "/dev/sdb1"},
    "bind as a part of a word": {"type": "none", "o": "binding", "device": "/tmp"},
}


@needs_root
@pytest.mark.parametrize("options", MOUNTED_BY_DOCKER.values(), ids=MOUNTED_BY_DOCKER)
def test_f05_a_mount_point_that_may_be_empty_is_not_read(tmp_path: pathlib.Path, options: dict[str, str]) -> None:
    assert volumes.direct(volume(tmp_path, **options)) is None


@needs_root
def test_f05_nor_is_that_of_a_plugin(tmp_path: pathlib.Path) -> None:
    assert volumes.direct(volume(tmp_path, driver="rclone")) is None
    assert volumes.direct(volume(tmp_path, driver="rclone", o="bind", device=str(tmp_path))) is None


MISSING = {
    "relative device": {"type": "none", "o": "bind", "device": "srv/data"},
    "no device": {"type": "none", "o": "bind"},
    "missing device": {"o": "bind", "device": "/no/such"},
    "a file": {"o": "bind", "device": "/etc/passwd"},
}


@needs_root
@pytest.mark.parametrize("options", MISSING.values(), ids=MISSING)
def test_f05_a_device_that_is_not_there_is_refused(tmp_path: pathlib.Path, options: dict[str, str]) -> None:
    device = options.get("device", "")
    with pytest.raises(VolumeError, match=f"volume data: its device '{device}' is not a directory .*; mount or create"):
        volumes.direct(volume(tmp_path, **options))


@needs_root
@pytest.mark.parametrize("mountpoint", ["", "/no/such", "relative"])
def test_f05_a_mount_point_that_is_not_here_is_refused(mountpoint: str) -> None:
    with pytest.raises(VolumeError, match=f"its mount point '{mountpoint}' is not a directory .*; run this on the"):
        volumes.direct(volume(mountpoint))


@needs_root
def test_without_root_it_says_become() -> None:
    code = f"from {ENGINE} import volumes\n{BECOME_NOBODY}\n"
    code += "volumes.direct(volumes.Volume('a', 'local', {}, {}, 'local', '/tmp'))"
    assert "its files can be read by root only; set become: true" in python(code).stderr


class _Remote:
    connection = Connection(docker_host="tcp://10.0.0.1:2376")


def test_a_remote_daemon_is_refused() -> None:
    with pytest.raises(UsageError, match=r"docker_host is tcp://10\.0\.0\.1:2376: .* run this task on that host"):
        volumes.require_local(t.cast(t.Any, _Remote()))
