# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The collection with its real roles and filters, and with modules that do what a test says: roles are played by the
ansible-core that the tests run on, on hosts that are all this one."""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import subprocess
import sys
import typing as t

from tests.unit.helpers import CHECKOUT

Plays = c.Sequence[c.Mapping[str, t.Any]]


class FakeCollection:
    """``modules`` are action plugins by the names of the modules that they stand for, as source text."""

    def __init__(self, work: pathlib.Path, modules: c.Mapping[str, str]) -> None:
        self.work = work
        plugins = work / "ansible_collections" / "drydock" / "volumes" / "plugins"
        (plugins / "action").mkdir(parents=True)
        for name, text in modules.items():
            (plugins / "action" / f"{name}.py").write_text(text)
        for kind in ("filter", "module_utils"):
            (plugins / kind).symlink_to(CHECKOUT / "plugins" / kind)
        (plugins.parent / "roles").symlink_to(CHECKOUT / "roles")

    def play(
        self, hosts: c.Mapping[str, c.Mapping[str, t.Any]], plays: Plays, *arguments: str
    ) -> subprocess.CompletedProcess[str]:
        """Play with these hosts and their variables; everything that is said is in stdout."""
        here = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        known = {host: {**here, **variables} for host, variables in hosts.items()}
        # YAML is a superset of JSON
        (self.work / "inventory.yml").write_text(json.dumps({"all": {"hosts": known}}))
        (self.work / "play.yml").write_text(json.dumps([{"hosts": "all", "gather_facts": False, **p} for p in plays]))
        kept = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        return subprocess.run(
            [pathlib.Path(sys.executable).parent / "ansible-playbook", "-i", "inventory.yml", "play.yml", *arguments],
            cwd=self.work,
            env={**kept, "ANSIBLE_COLLECTIONS_PATH": str(self.work), "ANSIBLE_HOME": str(self.work / "home")},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
