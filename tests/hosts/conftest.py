# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests on a host with a kernel of its own share: the host."""

from __future__ import annotations

import collections.abc as c
import signal

import pytest

from tests.hosts.guest import Guest


@pytest.fixture(scope="session")
def guest() -> c.Iterator[Guest]:
    """A host that all of them share; what they make on it goes with it."""
    # `timeout` and make end us by SIGTERM: as after an interrupt, what was made is removed then.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Guest() as made:
            yield made
    finally:
        signal.signal(signal.SIGTERM, before)
