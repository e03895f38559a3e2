# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes are probed before they are made: mounted by Docker, written, read, and left as they were. NFS itself is
tested on hosts whose kernel has it: molecule/nfs_volumes."""

from __future__ import annotations

import os
import pathlib
import secrets
import socket
import typing as t

import pytest

from tests.support.engine import Engine
from tests.support.modules import Modules

LABEL = "drydock.volumes.probe"


def bind(path: pathlib.Path) -> dict[str, str]:
    return {"type": "none", "o": "bind", "device": str(path)}


@pytest.fixture
def modules(tmp_path: pathlib.Path) -> Modules:
    return Modules(tmp_path)


def test_each_action(modules: Modules, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    mark = secrets.token_hex(8)

    def probe(action: str, **options: t.Any) -> t.Any:
        volume = {"name": "v", "driver_options": bind(place), "action": action}
        return modules.run("docker_volume_probe", volumes=[volume], mark=mark, **options)

    answer = probe("try")
    assert (answer["changed"], answer["probed"], answer["failures"]) == (False, ["v"], [])
    assert list(place.iterdir()) == []
    answer = probe("see")
    assert "another directory" in answer["msg"]
    assert probe("leave", check=True)["changed"] is False
    assert list(place.iterdir()) == []

    assert probe("leave")["changed"] is True
    (file,) = place.iterdir()
    assert file.name.startswith(".drydock-probe-")
    assert file.stat().st_size == 65536
    # a host that tries whether it may write leaves alone what another one has left
    assert probe("try")["probed"] == ["v"]
    assert probe("see")["probed"] == ["v"]
    assert probe("see", check=True)["probed"] == ["v"]
    file.write_bytes(bytes(65536))
    answer = probe("see")
    assert "doesn't show the bytes" in answer["msg"]
    assert probe("remove", check=True)["changed"] is False
    assert probe("remove")["changed"] is True
    assert list(place.iterdir()) == []


def test_as_who_it_is_used(modules: Modules, tmp_path: pathlib.Path) -> None:
    place = tmp_path / "place"
    place.mkdir(mode=0o700)
    os.chown(place, 4321, 4321)
    volume = {"name": "v", "driver_options": bind(place), "user": 4321, "group": 4321}
    assert modules.run("docker_volume_probe", volumes=[volume])["probed"] == ["v"]
    said = modules.refused("docker_volume_probe", volumes=[{**volume, "user": 1234}])
    assert "volume v: to write a file in it as user 1234 failed: Permission denied; nothing was changed" in said
    assert modules.run("docker_volume_probe", volumes=[{**volume, "read_only": True}])["probed"] == ["v"]


def test_one_that_fails_stops_no_other(modules: Modules, tmp_path: pathlib.Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        options = {"type": "nfs", "device": ":/srv/media"}
        volumes = [
            {"name": "tmpfs", "driver_options": {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}},
            {"name": "lost", "driver_options": bind(tmp_path / "lost")},
            {"name": "wrong", "driver_options": {**options, "o": "rw"}},
            {"name": "closed", "driver_options": {**options, "o": "addr=127.0.0.1,nfsvers=4.2,port=1"}},
            {"name": "port", "driver_options": {**options, "o": "addr=127.0.0.1,nfsvers=4.2,port=abc"}},
            # what takes the connection is no NFS server; a kernel without NFS says so before it asks
            {
                "name": "none",
                "driver_options": {**options, "o": f"addr=127.0.0.1,nfsvers=4.2,port={port},soft,timeo=1"},
            },
        ]
        answer = modules.run("docker_volume_probe", volumes=volumes, timeout=20)
        warned = modules.run("docker_volume_probe", volumes=volumes[2:4], on_failure="warn")
    assert answer["failed"]
    assert answer["probed"] == ["tmpfs"]
    errors = {failure["volume"]: failure["error"] for failure in answer["failures"]}
    assert list(errors) == ["wrong", "closed", "port", "lost", "none"]
    assert "volume lost: " in errors["lost"]
    assert "is not a directory on this host" in errors["lost"]
    assert "addr= is missing" in errors["wrong"]
    assert "refuses connections at port 1;" in errors["closed"]
    assert "port=abc in o isn't a port" in errors["port"]
    assert "can't be mounted" in errors["none"] or "didn't answer" in errors["none"]
    assert all(error.endswith("nothing was changed") for error in errors.values())
    assert not warned.get("failed")
    assert [failure["volume"] for failure in warned["failures"]] == ["wrong", "closed"]
    assert "addr= is missing" in str(warned["warnings"])


def test_nothing_is_left_of_a_run_that_was_killed(modules: Modules, tmp_path: pathlib.Path) -> None:
    with Engine() as engine:
        name = engine.name()
        engine.api.create_volume(name, labels={LABEL: "yes"})
        assert modules.run("docker_volume_probe", volumes=[{"name": "v", "driver_options": bind(tmp_path)}])["probed"]
        assert name not in engine.names()


def test_a_mark_is_needed(modules: Modules, tmp_path: pathlib.Path) -> None:
    volume = {"name": "v", "driver_options": bind(tmp_path), "action": "see"}
    assert "mark is missing" in modules.refused("docker_volume_probe", volumes=[volume])
