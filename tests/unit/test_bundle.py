# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as one file: all that it needs is in it, and the same engine gives the same bytes."""

from __future__ import annotations

import ast
import io
import os
import pathlib
import subprocess
import sys
import time
import zipfile

import pytest
from ansible.executor.module_common import ModuleDepFinder

from ansible_collections.drydock.volumes.plugins.module_utils._engine import bundle
from ansible_collections.drydock.volumes.plugins.module_utils._engine.version import VERSION
from tests.unit.helpers import CHECKOUT

ENGINE = CHECKOUT / "plugins" / "module_utils" / "_engine"


def _carried() -> set[str]:
    """The engine's files that Ansible carries to a target with the module, as it finds them: by what is imported."""
    plugins = "ansible_collections.drydock.volumes.plugins"
    base = f"{plugins}.module_utils._engine"
    found: set[str] = set()
    pending = [(CHECKOUT / "plugins/modules/drydock_agent.py", f"{plugins}.modules.drydock_agent")]
    while pending:
        path, name = pending.pop()
        finder = ModuleDepFinder(name, ast.parse(path.read_text()), is_pkg_init=path.name == "__init__.py")
        for parts in finder.submodules:
            dotted = ".".join(parts)
            if not dotted.startswith(f"{base}."):
                continue
            for tail in (parts, parts[:-1]):
                file = ENGINE.joinpath(*tail[len(base.split(".")) :])
                source = file.with_suffix(".py") if file.with_suffix(".py").exists() else file / "__init__.py"
                if source.exists() and str(source) not in found:
                    found.add(str(source))
                    pending.append((source, ".".join(tail)))
                    break
    return found


def test_ansible_carries_all_that_is_bundled() -> None:
    carried = {os.path.relpath(path, ENGINE) for path in _carried()} | {"__init__.py"}
    bundled = {path.partition("/")[2] for path in bundle.sources()}
    packages = {path for path in bundled if path.endswith("__init__.py")}
    assert bundled - packages <= carried
    assert {"client.py", "agent/app.py", "actions/backup.py", "recovery.py"} <= bundled


def test_all_that_the_command_imports_is_bundled(tmp_path: pathlib.Path) -> None:
    """Every module of the archive can be imported from it, and nothing of the engine from anywhere else."""
    files = bundle.sources()
    (tmp_path / "it").write_bytes(bundle.build(files, sys.executable))
    names = sorted(path[: -len(".py")].replace("/", ".").removesuffix(".__init__") for path in files)
    code = f"import sys, importlib; sys.path.insert(0, sys.argv[1]); [importlib.import_module(n) for n in {names!r}]"
    subprocess.run([sys.executable, "-c", code, tmp_path / "it"], check=True, cwd="/")


def test_the_same_engine_gives_the_same_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    first = bundle.build(bundle.sources(), "/usr/bin/python3")
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    monkeypatch.setattr(time, "time", lambda: 2_000_000_000.0)
    assert bundle.build(dict(reversed(bundle.sources().items())), "/usr/bin/python3") == first
    assert bundle.build({**bundle.sources(), "x": b""}, "/usr/bin/python3") != first
    assert bundle.MARK.encode() in first


def test_it_runs_and_its_members_are_nobodys() -> None:
    built = bundle.build(bundle.sources(), "/usr/bin/python3")
    assert built.startswith(b"#!/usr/bin/python3\n")
    with zipfile.ZipFile(io.BytesIO(built)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == sorted(archive.namelist())
        assert {entry.date_time for entry in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_a_bundle_can_bundle_itself(tmp_path: pathlib.Path) -> None:
    """As on a target, where the engine is in an archive already."""
    built = bundle.build({**bundle.sources(), **bundle.sources("bundle")}, sys.executable)
    (tmp_path / "it").write_bytes(built)
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from drydock_volumes import bundle; "
        "sys.stdout.buffer.write(bundle.build({**bundle.sources(), **bundle.sources('bundle')}, sys.executable))"
    )
    again = subprocess.run([sys.executable, "-c", code, tmp_path / "it"], check=True, capture_output=True).stdout
    assert again == built
    (tmp_path / "it").chmod(0o755)
    said = subprocess.run([tmp_path / "it", "--version"], check=True, capture_output=True, text=True).stdout
    assert said == f"drydock-volumes {VERSION}\n"
