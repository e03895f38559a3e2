# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks pass on every option that their variables promise."""

from __future__ import annotations

import pathlib

import pytest
import yaml

from ansible_collections.drydock.volumes.plugins.module_utils._engine import options
from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions import backup, backup_info, drill, restore
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import Spec

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "module", "spec"),
    [
        ("backup", "docker_volume_backup", backup.SPEC),
        ("restore", "docker_volume_restore", restore.SPEC),
        ("drill", "docker_volume_drill", drill.SPEC),
        ("verify", "docker_volume_backup_info", backup_info.SPEC),
    ],
)
def test_every_option_is_passed_on(name: str, module: str, spec: Spec) -> None:
    (play,) = yaml.safe_load((ROOT / "playbooks" / f"{name}.yml").read_text())
    (given,) = [task[key] for task in play["tasks"] for key in task if key == f"drydock.volumes.{module}"]
    assert given.keys() == spec.arguments.keys() - options.DOCKER.keys()
    for option, value in given.items():
        if name != "verify":  # which reads all archives, and looks for the host's name and the volumes itself
            assert f"{name}_{option}" in value
    for option, argument in spec.arguments.items():
        # a value that is false is one, where the module has another default
        if option in given and argument.get("default") and argument["type"] in ("bool", "int", "float"):
            assert ", true)" not in given[option], option
