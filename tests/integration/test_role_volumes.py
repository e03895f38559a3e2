# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role volumes, by its full name in somebody else's playbook: on a host that isn't set up yet, with mistakes, and
after ssd_volumes. What it lays out is in molecule/volumes."""

from __future__ import annotations

import json
import pathlib

import pytest

from tests.support import disks
from tests.support.engine import Engine
from tests.support.guide import Operator

PLAY = """
- hosts: docker_hosts
  gather_facts: false
  tasks:
    - name: Lay out
      ansible.builtin.import_role:
        name: drydock.volumes.volumes
      vars:
        volumes_list: [{name: VOLUME, storage_class: CLASS}]
        volumes_docker_host: SOCKET
"""
BOTH = """
- hosts: docker_hosts
  gather_facts: false
  roles:
    - role: drydock.volumes.ssd_volumes
    - role: drydock.volumes.volumes
"""
COMMAND = "ansible-playbook -i inventory.ini play.yml 2>&1"
SOCKET = "unix:///var/run/docker.sock"


@pytest.fixture
def run(work: pathlib.Path) -> Operator:
    return Operator(work, {})


def play(run: Operator, volume: str, *, kind: str = "plain", socket: str = SOCKET, check: bool, fails: bool) -> str:
    run.playbook("play.yml", PLAY.replace("VOLUME", volume).replace("CLASS", kind).replace("SOCKET", socket))
    return run.command(COMMAND + (" --check" if check else ""), fails=fails)


def test_check_mode_from_scratch_predicts(run: Operator, engine: Engine) -> None:
    volume = engine.name()
    said = play(run, volume, socket="unix:///nowhere/docker.sock", check=True, fails=False)
    assert f"would be laid out: {volume}" in said
    assert "changed=1" in said
    # for real, the host must be set up first
    said = play(run, volume, socket="unix:///nowhere/docker.sock", check=False, fails=True)
    assert "There is no Docker daemon's socket at unix:///nowhere/docker.sock" in said
    assert "run the role drydock.volumes.docker_host before" in " ".join(said.split())


def test_a_class_that_is_not_there(run: Operator, engine: Engine) -> None:
    said = play(run, engine.name(), kind="fats", check=False, fails=True)
    assert "storage class fats: there is no such class; there are block" in " ".join(said.split())
    assert engine.names() == []


def test_two_roles_with_extra_variables(run: Operator, engine: Engine, work: pathlib.Path) -> None:
    """They win over all others, also over those that a role gives to another one."""
    on_disk, other, gone = (engine.name() for _number in range(3))
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        engine.api.create_volume(gone, driver_opts={"type": "none", "o": "bind", "device": "/mnt/dead/gone"})
        given = {
            "ssd_volumes_require_ssd": False,
            "ssd_volumes_disks": [{"mount_point": str(disk)}],
            "ssd_volumes_list": [
                {"name": on_disk, "disk": str(disk), "owner": "999"},
                # its disk is dead, and no longer among those of the host
                {"name": gone, "disk": "/mnt/dead", "state": "absent"},
            ],
            "volumes_list": [{"name": other, "owner": "1000"}],
            "volumes_on_drift": "warn",
        }
        (work / "site.json").write_text(json.dumps(given))
        run.playbook("play.yml", BOTH)
        command = f"{COMMAND} -e @site.json"
        assert "changed=2" in run.command(f"{command} --check")
        assert "changed=2" in run.command(command)
        assert engine.names() == sorted([on_disk, other])
        assert (disk / on_disk).stat().st_uid == 999
        assert engine.path(other).stat().st_uid == 1000
        assert "changed=0" in run.command(command)


MOVED = """
- hosts: docker_hosts
  gather_facts: false
  roles:
    - role: drydock.volumes.ROLE
"""


def test_a_volume_with_data_moves_only_with_a_second_word(run: Operator, engine: Engine, work: pathlib.Path) -> None:
    """A plain volume with data is to be on a disk, or on a server; what it held is in its backup."""
    repository = work / "repository"
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        for role, wanted in (
            ("nfs_volumes", {"server": "192.0.2.1", "export": "/export"}),
            ("ssd_volumes", {"disk": str(disk)}),
        ):
            name = engine.volume()
            (engine.path(name) / "file").write_text("data")
            given = {
                f"{role}_list": [{"name": name, **wanted}],
                f"{role}_on_drift": "recreate",
                "nfs_volumes_probe": False,
                "ssd_volumes_require_ssd": False,
                "ssd_volumes_disks": [{"mount_point": str(disk)}],
            }
            (work / "site.json").write_text(json.dumps(given))
            run.playbook("play.yml", MOVED.replace("ROLE", role))
            # the client for NFS isn't installed on the machine that tests run on
            command = f"{COMMAND} -e @site.json" + (" --check" if role == "nfs_volumes" else "")
            assert "give recreate_with_data: true and backup_to" in " ".join(run.command(command, fails=True).split())
            word = {f"{role}_recreate_with_data": True, f"{role}_backup_to": {"repository": str(repository)}}
            (work / "site.json").write_text(json.dumps({**given, **word}))
            assert "failed=0" in run.command(command)
        assert engine.inspect(name)["Options"]["device"] == str(disk / name)
    assert len(list(repository.rglob("*.tar.*"))) == 1
