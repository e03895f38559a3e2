# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A signal that ends the process is an exception, at once or after what it has to wait for."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import termination
from ansible_collections.drydock.volumes.plugins.module_utils._engine.termination import (
    Terminated,
    deferred,
    terminating,
)


def _send(number: signal.Signals = signal.SIGTERM) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", termination.SIGNALS)
def test_a_signal_is_an_exception_and_what_was_set_before_is_set_again(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Terminated, match=f"ended by {number.name}; what was under way") as caught, terminating():
        _send(number)
    assert caught.value.number == number
    assert signal.getsignal(number) is before


def test_a_second_one_is_ignored() -> None:
    steps = []

    def run() -> None:
        try:
            _send()
        finally:
            _send(signal.SIGINT)
            steps.append("undone")

    with pytest.raises(Terminated, match="SIGTERM"), terminating():
        run()
    assert steps == ["undone"]


def test_one_that_is_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with terminating():
            _send(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_it_waits_for_the_end_of_what_defers_it() -> None:
    steps = []

    def run() -> None:
        with deferred():
            with deferred():
                _send()
                _send(signal.SIGINT)
                steps.append("made")
            steps.append("noted")
        steps.append("never")

    with pytest.raises(Terminated, match="SIGTERM"), terminating():
        run()
    assert steps == ["made", "noted"]
    with terminating(), deferred():
        steps.append("free again")


def test_an_error_does_not_hide_it() -> None:
    def refuse() -> None:
        _send()
        raise ValueError("refused")

    with pytest.raises(Terminated) as caught, terminating(), deferred():
        refuse()
    assert isinstance(caught.value.__context__, ValueError)
    with pytest.raises(ValueError, match="refused"), terminating(), deferred():
        raise ValueError("refused")


def test_nobody_else_defers_it() -> None:
    inside, over = threading.Event(), threading.Event()

    def defer() -> None:
        with deferred():
            inside.set()
            over.wait(30)

    thread = threading.Thread(target=defer)
    thread.start()
    try:
        inside.wait(30)
        with pytest.raises(Terminated), terminating():
            _send()
    finally:
        over.set()
        thread.join()


def test_what_is_left_is_told() -> None:
    error = Terminated(signal.SIGTERM)
    termination.but(error, "the volume v can't be removed")
    assert str(error) == "ended by SIGTERM; what was under way is undone; but the volume v can't be removed"
