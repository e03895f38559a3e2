# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a volume that is to hold a certain tree, where that can't be."""

from __future__ import annotations

import types
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import creation, target
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import REDACTED, StateError, VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume


def test_f71_other_options_are_told_without_passwords() -> None:
    there = Volume("v1", "sshfs", {"password": "hunter2", "sshcmd": "a@b:/c"}, {}, "local", "")
    wanted = {"password": "hunter3", "o": "username=ops,password=hunter4"}
    with pytest.raises(VolumeError) as caught:
        creation.require_same(there, None, wanted)
    assert "hunter" not in str(caught.value)
    assert REDACTED in str(caught.value)


def test_f20_an_error_tells_which_containers_are_down() -> None:
    window: t.Any = types.SimpleNamespace(failures=["container pg couldn't be started again"], notes=["web still runs"])
    with pytest.raises(StateError) as caught, target._telling(window):
        raise StateError("the journal can't be written")
    assert str(caught.value) == ("the journal can't be written; container pg couldn't be started again; web still runs")
