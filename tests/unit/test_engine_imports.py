# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine stands alone: it needs the docker SDK, a Python from 3.9 on, and nothing of Ansible."""

from __future__ import annotations

import ast
import importlib.metadata
import pathlib
import re
import subprocess
import sys

import pytest

from tests.unit.helpers import CHECKOUT

MODULE_UTILS = CHECKOUT / "plugins" / "module_utils"
ENGINE = MODULE_UTILS / "_engine"
SOURCES = sorted(ENGINE.rglob("*.py"))


def _name(source: pathlib.Path) -> str:
    """A module's name in the engine, with dots; that of a package for its __init__."""
    parts = source.relative_to(ENGINE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {_name(source) for source in SOURCES} - {""}

BARE = """
import importlib, sys

class Guard:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0].startswith("ansible"):
            raise ImportError(f"{name} is imported")

sys.meta_path.insert(0, Guard())
sys.path[:0] = sys.argv[1:3]
for name in sys.argv[3:]:
    importlib.import_module(f"_engine.{name}")
from _engine import client
assert client.SDK_ERROR is None, client.SDK_ERROR
print("imported", len(sys.argv) - 3)
"""


def _distributions(name: str) -> dict[str, importlib.metadata.Distribution]:
    """A distribution and those it needs."""
    found: dict[str, importlib.metadata.Distribution] = {}
    pending = [name]
    while pending:
        current = pending.pop()
        if current not in found:
            found[current] = importlib.metadata.distribution(current)
            needed = [line for line in found[current].requires or [] if "extra ==" not in line and "win32" not in line]
            pending += [re.split(r"[^A-Za-z0-9_.-]", line)[0] for line in needed]
    return found


@pytest.fixture
def only_the_sdk(tmp_path: pathlib.Path) -> pathlib.Path:
    for distribution in _distributions("docker").values():
        for top in {file.parts[0] for file in distribution.files or []} - {"..", "__pycache__"}:
            link = tmp_path / top
            if not link.exists():
                link.symlink_to(pathlib.Path(str(distribution.locate_file(top))))
    assert not [name for name in tmp_path.iterdir() if name.name.startswith("ansible")]
    return tmp_path


def test_it_imports_with_only_the_docker_sdk(only_the_sdk: pathlib.Path) -> None:
    command = [sys.executable, "-I", "-S", "-B", "-c", BARE, MODULE_UTILS, only_the_sdk, *sorted(NAMES)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, f"imported {len(NAMES)}\n"), ran.stderr


def test_without_the_sdk_it_imports_and_says_what_to_install(tmp_path: pathlib.Path) -> None:
    code = BARE.partition("from _engine import client")[0] + (
        "from _engine import client, errors\n"
        "try:\n    client.Client(client.Connection())\n"
        "except errors.ToolError as error:\n    print(error)\n"
    )
    command = [sys.executable, "-I", "-S", "-B", "-c", code, MODULE_UTILS, tmp_path, *sorted(NAMES)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert "install the package 'python3-docker'" in ran.stdout, ran.stderr


def _imports(source: pathlib.Path) -> set[str]:
    """The top-level modules imported from outside, and with a dot before them the engine's own."""
    found: set[str] = set()
    package = source.relative_to(ENGINE).parts[:-1]
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            found.add(str(node.module).partition(".")[0])
        elif isinstance(node, ast.ImportFrom):
            assert node.level <= len(package) + 1, f"{source} imports what is above the engine"
            above = [*package[: len(package) + 1 - node.level], *(node.module.split(".") if node.module else [])]
            names = {".".join([*above, alias.name]) for alias in node.names}
            found |= {f".{name}" for name in names} if names <= NAMES else {f".{'.'.join(above)}"}
    return found


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_it_imports_the_standard_library_the_sdk_and_itself(source: pathlib.Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"docker", "requests"} | {f".{name}" for name in NAMES}
    assert _imports(source) <= allowed


@pytest.mark.parametrize("source", SOURCES, ids=_name)
def test_it_is_python_3_9(source: pathlib.Path) -> None:
    tree = ast.parse(source.read_text(), feature_version=(3, 9))
    futures = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    assert futures or not tree.body, "annotations of a newer Python need the import from __future__"
