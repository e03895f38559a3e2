# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine as one file that Python runs: a zip archive with a shebang in front. The same engine gives the same bytes.

The format is zipapp's, see PEP 441. What goes in is what the command imports, and what that imports.
"""

from __future__ import annotations

import ast
import importlib.util
import io
import zipfile
from collections.abc import Mapping
from importlib.machinery import ModuleSpec
from typing import Any

from .errors import ToolError

#: What the engine is called in the archive.
PACKAGE = "drydock_volumes"
#: By this path in it an archive is known as ours.
MARK = f"{PACKAGE}/agent/app.py"

# The first time that a zip archive can hold: no file has one of its own.
_THEN = (1980, 1, 1, 0, 0, 0)
_MAIN = f"""\
from {PACKAGE}.agent.app import main

if __name__ == "__main__":
    raise SystemExit(main())
"""


def sources(start: str = "agent.app") -> dict[str, bytes]:
    """The sources of the engine's module ``start`` and of all that it imports, by their paths in the archive.

    They come from wherever this one was loaded from, which may be another archive. Raise ToolError if one can't be had.
    """
    found: dict[str, bytes] = {}
    pending, seen = [start], set()
    while pending:
        name = pending.pop()
        if name in seen:
            continue
        seen.add(name)
        spec = _spec(name)
        text = _text(name, spec)
        package = spec is not None and spec.submodule_search_locations is not None
        path = "/".join([PACKAGE, *name.split(".")] if name else [PACKAGE])
        found[f"{path}/__init__.py" if package else f"{path}.py"] = text.encode()
        pending += [name.rpartition(".")[0], *_imported(name, package, text)]
    return found


def build(files: Mapping[str, bytes], interpreter: str) -> bytes:
    """The bytes of the command: ``files`` by their paths, to be run by the Python ``interpreter`` (a path)."""
    stream = io.BytesIO()
    stream.write(f"#!{interpreter}\n".encode())
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in sorted({"__main__.py": _MAIN.encode(), **files}.items()):
            entry = zipfile.ZipInfo(path, _THEN)
            entry.create_system = 3  # Unix
            entry.external_attr = 0o100644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return stream.getvalue()


def _spec(name: str) -> ModuleSpec | None:
    """Where the engine's module of that name is ("" is the engine itself), or None if there is none."""
    package = __name__.rpartition(".")[0]
    try:
        return importlib.util.find_spec(f"{package}.{name}" if name else package)
    except ModuleNotFoundError:
        return None


def _text(name: str, spec: ModuleSpec | None) -> str:
    loader: Any = None if spec is None else spec.loader
    text = loader.get_source(spec.name) if spec is not None and hasattr(loader, "get_source") else None
    if text is None:
        raise ToolError(f"the source of the engine's module {name} can't be had here; nothing was installed")
    return str(text)


def _imported(name: str, package: bool, text: str) -> list[str]:
    """The engine's modules that one of them imports."""
    parts = name.split(".") if name else []
    found = []
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.ImportFrom) or node.level == 0:
            continue
        above = parts[: len(parts) - node.level + package] + (node.module.split(".") if node.module else [])
        below = [".".join([*above, alias.name]) for alias in node.names]
        found += [one for one in below if _spec(one) is not None] + ([".".join(above)] if node.module else [])
    return found
