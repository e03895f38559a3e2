# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a disk that fails in part, and a udev that does, make of a preparation. All else is in tests/integration."""

from __future__ import annotations

import os
import pathlib

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import disks, prepare


def test_a_read_that_ends_early_is_one_that_failed(tmp_path: pathlib.Path) -> None:
    """As the kernel has it where a later block is bad: what came before it is read, and there is no error."""
    (tmp_path / "disk").write_bytes(bytes(4096))
    descriptor = os.open(tmp_path / "disk", os.O_RDONLY)
    try:
        disks._read_all(descriptor, 0, 4096)
        with pytest.raises(OSError, match="Input/output error"):
            disks._read_all(descriptor, 0, 8192)
    finally:
        os.close(descriptor)


def test_a_file_system_is_made_though_udev_does_not_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepare.tools, "find", lambda _program: "/bin/false")
    monkeypatch.setattr(prepare.os.path, "exists", lambda _path: True)
    prepare._await_udev("/dev/null", "a-uuid")
