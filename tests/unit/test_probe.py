# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a probe does in a mounted volume where something is in its way. What it does where nothing is, is in
tests/integration/test_probe.py."""

from __future__ import annotations

import errno
import os
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import probe
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.helpers import file_size_limit, needs_root

NFS = {"type": "nfs", "o": "addr=nas.example.com,rw", "device": ":/srv/media"}
BIND = {"type": "none", "o": "bind", "device": "/srv/media"}
MARK = "mark"


def use(
    path: pathlib.Path, *, action: str = probe.TRY, read_only: bool = False, user: int = 0, **options: t.Any
) -> None:
    """Do in a directory what is done in a volume."""
    options = {"options": BIND, **options}
    wanted = probe.Wanted("v", "local", read_only=read_only, user=user, group=user, action=action, mark=MARK, **options)
    probe._use(wanted, str(path), False, 10)


def failing(monkeypatch: pytest.MonkeyPatch, function: str, number: int, what: object) -> None:
    """Have a function of the system fail for one of its first arguments, here and in processes that are forked off."""
    real = getattr(os, function)

    def fail(first: t.Any, *arguments: t.Any, **options: t.Any) -> t.Any:
        if first == what or (callable(what) and what(first)):
            raise OSError(number, os.strerror(number))
        return real(first, *arguments, **options)

    monkeypatch.setattr(os, function, fail)


@needs_root
def test_a_root_that_cannot_be_opened(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "open", errno.ESTALE, str(tmp_path))
    with pytest.raises(VolumeError, match=r"to open it as user 0 failed: Stale file handle$"):
        use(tmp_path)
    with pytest.raises(VolumeError, match="/srv/media is mounted, but the server has another directory"):
        use(tmp_path, options=NFS)


@needs_root
def test_a_root_that_does_not_tell_whose_it_is(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing(monkeypatch, "open", errno.EACCES, probe.file_name(MARK))
    with pytest.raises(VolumeError, match=r"is mounted, but the server doesn't let root in \(it belongs to 0:0, mode"):
        use(tmp_path, options=NFS)
    failing(monkeypatch, "stat", errno.ESTALE, lambda first: isinstance(first, int))
    with pytest.raises(VolumeError, match="is mounted, but the server doesn't let root in, it takes root for nobody"):
        use(tmp_path, options=NFS)


@needs_root
def test_what_is_written_in_part_is_removed(tmp_path: pathlib.Path) -> None:
    with (
        file_size_limit(1000),
        pytest.raises(VolumeError, match="to write a file in it as user 0 failed: File too large"),
    ):
        use(tmp_path, action=probe.LEAVE)
    assert list(tmp_path.iterdir()) == []


@needs_root
def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path: pathlib.Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("contents")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / probe.file_name(MARK)).symlink_to(victim)
    with pytest.raises(VolumeError, match="to write a file in it as user 0 failed: Too many levels"):
        use(tmp_path / "root")
    assert victim.read_text() == "contents"


@needs_root
def test_what_others_have_left_a_day_ago_is_removed(tmp_path: pathlib.Path) -> None:
    old, new, named, large = (tmp_path / f".drydock-probe-{name}" for name in ("0" * 24, "1" * 24, "0" * 23, "2" * 24))
    for path in (old, new, named, large):
        path.write_bytes(bytes(70000 if path == large else 10))
    (tmp_path / ".drydock-probe-333333333333333333333333").symlink_to("/nowhere")
    for path in (old, named, large):
        os.utime(path, (1, 1))
    use(tmp_path)
    assert not old.exists()
    assert len(list(tmp_path.iterdir())) == 4


@needs_root
def test_the_beginning_of_a_file_is_read(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tmp_path.chmod(0o755)
    use(tmp_path, read_only=True)
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to("/nowhere")
    (tmp_path / "folder").mkdir()
    use(tmp_path, read_only=True)
    (tmp_path / "private").write_text("private")
    (tmp_path / "private").chmod(0o600)
    use(tmp_path, read_only=True, user=65534)
    (tmp_path / "broken").write_text("contents")
    failing(monkeypatch, "open", errno.EIO, "broken")
    with pytest.raises(VolumeError, match="to read a file in it as user 65534 failed: Input/output error"):
        use(tmp_path, read_only=True, user=65534)


def test_root_is_needed(monkeypatch: pytest.MonkeyPatch, daemon: FakeDaemon) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    client = Client(Connection(docker_host=daemon.url, timeout=10))
    with pytest.raises(VolumeError, match="by root only; set become: true"):
        probe.probe(client, [], False, None)
