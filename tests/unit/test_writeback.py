# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Syncing meanwhile: an error of a round is the context's, because the kernel tells it once."""

from __future__ import annotations

import errno
import os
import pathlib
import time

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import writeback


def test_an_error_of_a_round_is_raised_at_the_end(tmp_path: pathlib.Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.close(descriptor)
    with pytest.raises(OSError, match="Bad file descriptor") as caught, writeback.meanwhile(descriptor):
        time.sleep(0.3)
    assert caught.value.errno == errno.EBADF


def test_without_an_error_there_is_none(tmp_path: pathlib.Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        with writeback.meanwhile(descriptor):
            (tmp_path / "file").write_bytes(b"x" * 1000)
            time.sleep(0.2)
        writeback.sync(descriptor)
    finally:
        os.close(descriptor)
