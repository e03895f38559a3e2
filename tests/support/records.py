# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The demo's tree_record.py, for tests: record a tree, and list what differs between two records."""

from __future__ import annotations

import collections.abc as c
import importlib.util
import os
import pathlib
import types

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "playbooks" / "files" / "tree_record.py"


def _load() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("drydock_tree_record", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_tree_record = _load()


def record(path: str | bytes | os.PathLike[str]) -> list[str]:
    """Return the record of a directory, a line an entry. Compare two with differences(), not with ==."""
    return list(_tree_record.record(path))


def differences(before: c.Iterable[str], after: c.Iterable[str], sockets: bool = False) -> list[str]:
    """Return one readable line for each thing that differs; sockets are left out unless asked for."""
    return list(_tree_record.differences(before, after, sockets))
