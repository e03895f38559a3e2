# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the roles docker_host and host_packages make of hosts that Molecule has none of: by their variables, in a play.
What they do is in molecule/docker_host."""

from __future__ import annotations

import json
import pathlib
import typing as t

from tests.support.guide import Operator
from tests.support.modules import CHECKOUT

ENGINE = {"DockerRootDir": "/var/lib/docker", "Driver": "overlay2", "Containers": 1}
USERNS = {**ENGINE, "DockerRootDir": "/mnt/ssd/docker/100000.100000"}
PODMAN = {"host": {"arch": "amd64"}, "store": {"graphRoot": "/var/lib/containers/storage"}}
BASE: dict[str, t.Any] = {
    "docker_host_storage_driver": "",
    "docker_host_log_driver": "",
    "docker_host_daemon_options": {},
    "docker_host_packages": [],
    "__docker_host_kept": {"rc": 1, "stdout": ""},
    "__docker_host_read": {"rc": 0, "stdout": "{}"},
    "__docker_host_place": {"stdout_lines": ["/var/lib/docker"]},
}


def host(what: str, expected: object, *, file: object = None, info: object = None, **rest: object) -> dict[str, t.Any]:
    said = json.dumps(ENGINE if info is None else info)
    asked = {"rc": 0, "stdout": said, "stdout_lines": [said]}
    read = {"rc": 0, "stdout": json.dumps(file or {})}
    variables = {**BASE, "__docker_host_read": read, "__docker_host_asked": asked, **rest}
    return {"what": what, "expected": expected, "variables": variables}


def place(path: str) -> dict[str, list[str]]:
    return {"stdout_lines": [path]}


JSON_FILE = {"log-driver": "json-file", "log-opts": {"max-size": "10m", "tag": "x"}}
CASES = [
    # Docker runs, or Podman by its name
    host("__docker_host_runs", True),
    host("__docker_host_runs", False, info=PODMAN),
    host("__docker_host_hides", [], info=PODMAN, docker_host_data_root="/srv/docker"),
    # another data root, and the same one by other names
    host("__docker_host_hides", ["data-root"], docker_host_data_root="/srv", __docker_host_place=place("/srv")),
    host("__docker_host_hides", [], docker_host_data_root="/link", __docker_host_place=place("/var/lib/docker")),
    host(
        "__docker_host_hides", [], info=USERNS, file={"data-root": "/mnt/ssd/docker"}, __docker_host_place=place("/x")
    ),
    host(
        "__docker_host_hides",
        [],
        info=USERNS,
        docker_host_data_root="/mnt/ssd/docker",
        __docker_host_place=place("/mnt/ssd/docker"),
    ),
    host("__docker_host_hides", ["storage-driver"], docker_host_storage_driver="btrfs"),
    host("__docker_host_hides", ["userns-remap"], docker_host_daemon_options={"userns-remap": "default"}),
    # log options follow their driver
    host("__docker_host_merged", {"log-driver": "journald"}, file=JSON_FILE, docker_host_log_driver="journald"),
    host(
        "__docker_host_merged",
        {"log-driver": "local", "log-opts": {"max-size": "10m", "max-file": "3"}},
        file=JSON_FILE,
        docker_host_log_driver="local",
    ),
    host(
        "__docker_host_merged",
        {"log-driver": "json-file", "log-opts": {"max-size": "10m", "max-file": "3", "tag": "x"}},
        file=JSON_FILE,
    ),
    host("__docker_host_merged", {"log-driver": "syslog"}, file={"log-driver": "syslog"}),
    # packages by versions
    host("__docker_host_named", ["docker-ce"], docker_host_packages=["docker-ce-3:27*", "podman-docker"]),
    host("__docker_host_named", ["docker.io"], docker_host_packages=["docker.io=20.10*"]),
    host(
        "__host_packages_plain",
        ["docker-ce", "tar", "python3-docker", "age"],
        host_packages_names=["docker-ce-3:27*", "tar-1.34", "python3-docker", "age >= 1"],
        ansible_facts={"pkg_mgr": "dnf"},
    ),
    host(
        "__host_packages_plain",
        ["docker.io", "g++-12"],
        host_packages_names=["docker.io=20.10*", "g++-12"],
        ansible_facts={"pkg_mgr": "apt"},
    ),
]
REFUSED = """
- hosts: docker_hosts
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: drydock.volumes.host_packages}
      vars:
        host_packages_names: [age]
        ansible_facts: {pkg_mgr: zypper}
"""


def test_what_is_made_of_a_host(work: pathlib.Path) -> None:
    run = Operator(work, {})
    files = [CHECKOUT / "roles" / role / "vars/main.yml" for role in ("docker_host", "host_packages")]
    tasks = [
        {
            "ansible.builtin.assert": {
                "that": f"{case['what']} == expected",
                "fail_msg": f"{case['what']}: {{{{ {case['what']} }}}} and not {case['expected']}",
            },
            "vars": {**case["variables"], "expected": case["expected"]},
        }
        for case in CASES
    ]
    play = {"hosts": "docker_hosts", "gather_facts": False, "vars_files": [str(file) for file in files], "tasks": tasks}
    run.playbook("play.yml", json.dumps([play]))
    run.command("ansible-playbook -i inventory.ini play.yml 2>&1", fails=False)


def test_another_package_manager(work: pathlib.Path) -> None:
    run = Operator(work, {})
    run.playbook("play.yml", REFUSED)
    said = run.command("ansible-playbook -i inventory.ini play.yml 2>&1", fails=True)
    assert "installs packages with zypper, and the role knows apt and dnf only; install age by hand" in " ".join(
        said.split()
    )
