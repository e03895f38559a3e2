# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A guide in docs/, read part by part, and somebody who follows it."""

from __future__ import annotations

import ast
import collections.abc as c
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import textwrap
import typing as t

from tests.support.engine import Engine
from tests.support.modules import CHECKOUT, COLLECTIONS

ID = re.compile(r"\d{8}T\d{6}Z(-\d+)?")


class Guide:
    """What is in a file of docs/."""

    def __init__(self, name: str) -> None:
        self.text = (CHECKOUT / "docs" / name).read_text()

    def sections(self) -> dict[str, str]:
        """The sections by their headings."""
        parts = re.split(r"^#{2,3} (.+)\n", self.text, flags=re.MULTILINE)
        return dict(zip(parts[1::2], parts[2::2], strict=True))

    def blocks(self, heading: str) -> list[str]:
        """The texts of a section's fenced blocks."""
        return [text for _kind, text in _fenced(self.sections()[heading])]

    def kinds(self) -> dict[str, list[str]]:
        """What each section that has blocks has: "yaml", "shell", "text"."""
        found = {title: [kind for kind, _text in _fenced(text)] for title, text in self.sections().items()}
        assert self.text.count("```") == 2 * sum(map(len, found.values()))
        return {title: kinds for title, kinds in found.items() if kinds}

    def rows(self, heading: str) -> list[list[str]]:
        """The cells of the rows of a section's table, without its head."""
        lines = [line for line in self.sections()[heading].splitlines() if line.startswith("|")]
        return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]

    def anchors(self) -> set[str]:
        """What a link can lead to."""
        return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in self.sections()}

    def links(self) -> set[str]:
        """The anchors of this guide that its links lead to."""
        return set(re.findall(r"\]\(#([^)]+)\)", self.text))


def _fenced(text: str) -> list[tuple[str, str]]:
    return re.findall(r"^```(\w+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


class Reader:
    """Somebody who follows a text, with names of their own, in an empty home, where ``hosts`` are all this one."""

    def __init__(self, work: pathlib.Path, names: c.Mapping[str, str], hosts: c.Sequence[str] = ("db1",)) -> None:
        self._work = work
        self._names = names
        how = f"ansible_connection=local ansible_python_interpreter={sys.executable} ansible_pipelining=true"
        (work / "inventory.ini").write_text("[docker_hosts]\n" + "".join(f"{host} {how}\n" for host in hosts))
        self._environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")},
            "HOME": str(work),
            "ANSIBLE_HOME": str(work / ".ansible"),
            "ANSIBLE_COLLECTIONS_PATH": str(work / "collections"),
            "ANSIBLE_BECOME_EXE": str(work / "sudo"),
        }
        # become: true without sudo on the machine: this is root already
        sudo = work / "sudo"
        sudo.write_text('#!/bin/sh\nwhile [ "$1" != /bin/sh ]; do shift; done\nexec "$@"\n')
        sudo.chmod(0o755)

    def playbook(self, name: str, text: str) -> None:
        """Write a playbook down."""
        for theirs, ours in self._names.items():
            text = text.replace(theirs, ours)
        (self._work / name).write_text(text)

    def shell(
        self,
        text: str,
        cwd: pathlib.Path | None = None,
        replace: c.Mapping[str, str] | None = None,
        *,
        fails: bool = False,
    ) -> str:
        """Run a block of commands, and return what it prints."""
        for theirs, ours in {"build/drydock": f"{self._work}/build/drydock", **(replace or {})}.items():
            text = text.replace(theirs, ours)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text],
            cwd=cwd or self._work,
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout


class Operator(Reader):
    """Somebody who follows a guide. ``names`` are those in the guide, and the test's own in their place."""

    def __init__(self, work: pathlib.Path, names: c.Mapping[str, str], hosts: c.Sequence[str] = ("db1",)) -> None:
        backups = str(work / "backups")
        paths = {
            "/var/backups/volumes/db1": f"{backups}/{socket.gethostname()}",
            "/var/backups/volumes": backups,
            "/mnt/backups/volumes": backups,
            "/var/lib/drydock": str(work / "state"),
        }
        super().__init__(work, {**paths, **names}, hosts)
        self._environment.update(
            ANSIBLE_COLLECTIONS_PATH=str(COLLECTIONS),
            ANSIBLE_SHOW_CUSTOM_STATS="true",
            DRYDOCK_STATE_DIRECTORY=str(work / "state"),
        )
        self.backups = work / "backups"

    def command(self, text: str, cwd: pathlib.Path | None = None, *, fails: bool = False, **replace: str) -> str:
        """Run a block of commands; it must succeed, unless it must fail."""
        return self.shell(text, cwd, {**self._names, **replace}, fails=fails)

    def tasks(self, text: str, *, fails: bool = False, **environment: str) -> str:
        """Run a block of tasks, in a play such as the guide's first one."""
        head = "- hosts: docker_hosts\n  become: true\n  gather_facts: false\n  tasks:\n"
        self.playbook("tasks.yml", head + textwrap.indent(text, "    "))
        usual = dict(self._environment)
        self._environment.update(environment)
        try:
            return self.shell("ansible-playbook -i inventory.ini tasks.yml", fails=fails)
        finally:
            self._environment = usual

    def made(self, volume: str) -> list[dict[str, t.Any]]:
        """The manifests of a volume's backups, the oldest first, each with the path of its archive."""
        found = [(file, json.loads(file.read_text())) for file in sorted(self.backups.glob(f"*/{volume}/*.json"))]
        return [{**manifest, "path": file.with_name(manifest["archive"]["file"])} for file, manifest in found]


def container(
    engine: Engine,
    name: str,
    mounts: c.Mapping[str, str],
    programs: pathlib.Path,
    labels: c.Mapping[str, str] | None = None,
) -> str:
    """Start a container that has volumes at places, and ``programs`` in its PATH; return its identifier."""
    engine.import_image()
    binds = [f"{volume}:{place}" for volume, place in mounts.items()]
    made = engine.api.create_container(
        engine.IMAGE,
        ["sleep", "3600"],
        name=name,
        labels=dict(labels or {}),
        environment={"PATH": "/opt/programs:/bin"},
        host_config=engine.api.create_host_config(
            binds=[*binds, f"{programs}:/opt/programs:ro"],
            network_mode="none",
            init=True,
            # what is stopped stays so, also with this
            restart_policy={"Name": "always", "MaximumRetryCount": 0},
        ),
    )["Id"]
    engine._containers.append(made)
    engine.api.start(made)
    return str(made)


def shape(value: object) -> object:
    """What is in an object: its keys in their order, and the types of the values."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items() if key != "labels"]
    return type(value)


def unknown(messages: c.Iterable[str]) -> list[str]:
    """Those of the messages, with … for what is filled in, that no text in the code has."""
    texts = list(_texts())
    return [message for message in messages if not any(message in text for text in texts)]


def _texts() -> c.Iterator[str]:
    """Every text in the engine, with … for what is filled in, and those of modules in which something is."""
    for file in sorted((CHECKOUT / "plugins").rglob("*.py")):
        engine = "module_utils" in file.parts
        tree = ast.parse(file.read_text())
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                yield "".join(_part(value, constants) for value in node.values)
            elif engine and isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield node.value


def _part(value: ast.expr, constants: c.Mapping[str, object]) -> str:
    if isinstance(value, ast.Constant):
        return str(value.value)
    if isinstance(value, ast.FormattedValue) and isinstance(value.value, ast.Name):
        return str(constants.get(value.value.id, "…"))
    return "…"
