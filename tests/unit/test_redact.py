# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F71: passwords among mount options are replaced, in options and in what the daemon says about them."""

from __future__ import annotations

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("bind,username=ops,password=a: b,ro", "bind,username=ops,password=(not recorded),ro"),
        ("password=x", "password=(not recorded)"),
        ("addr=h,SECRET=x y", "addr=h,SECRET=(not recorded)"),
        ("compass=north", "compass=north"),
    ],
)
def test_options(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("data: password=x y,addr=h: no such device", "data: password=(not recorded),addr=h: no such device"),
        ("data: addr=h,password=x: no such device", "data: addr=h,password=(not recorded): no such device"),
    ],
)
def test_a_sentence(text: str, shown: str) -> None:
    assert redact(text, sentence=True) == shown
