# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role volumes, by its full name in somebody else's playbook: on a host that isn't set up yet, and with mistakes.
What it lays out is in molecule/volumes."""

from __future__ import annotations

import pathlib

import pytest

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
