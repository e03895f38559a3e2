# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each kind of fault that backups and restores promise to survive is injected by a test that is named after it."""

from __future__ import annotations

import re

import pytest

from tests.unit.helpers import CHECKOUT

ROWS = (
    *("F01", "F02", "F03", "F04", "F05", "F06", "F07", "F08"),
    *("F10", "F11", "F12", "F13", "F14", "F15", "F16", "F17", "F18"),
    *("F20", "F21", "F22", "F23", "F24", "F25"),
    *("F30", "F31", "F32", "F33"),
    *("F40", "F41", "F42", "F43", "F44"),
    *("F50", "F51", "F52", "F53", "F54", "F55", "F56", "F57", "F58"),
    *("F60", "F61", "F62", "F63", "F64"),
    *("F70", "F71", "F72"),
)
# Where the engine is a real one.
REAL = ("tests/integration", "tests/faults", "tests/hosts")
TEXTS = [path.read_text() for folder in REAL for path in (CHECKOUT / folder).rglob("*.py")]


@pytest.mark.parametrize("row", ROWS)
def test_a_row_has_a_test_that_is_found_by_its_name(row: str) -> None:
    named = re.compile(rf"def test_\w*{row.lower()}_")
    assert any(named.search(text) for text in TEXTS)
    assert any(row in text for text in TEXTS), f"grep {row} finds nothing"
