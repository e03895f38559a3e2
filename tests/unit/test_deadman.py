# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The dead man's switch: who may read its address, and what is said when nobody answers."""

from __future__ import annotations

import collections.abc as c
import http.server
import pathlib
import threading

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import deadman
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import DrydockError, UsageError

SECRET = "0f9c-a-secret"


@pytest.fixture
def answers() -> list[int]:
    """The statuses of the server's next answers."""
    return []


@pytest.fixture
def server(answers: list[int]) -> c.Iterator[tuple[str, list[str]]]:
    """A server's address, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(answers.pop(0) if answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{made.server_port}/{SECRET}", asked
        finally:
            made.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadman, "_PAUSES", (0, 0))


def test_it_is_asked_for_once(server: tuple[str, list[str]]) -> None:
    address, asked = server
    deadman.ping(address)
    assert asked == [f"/{SECRET}"]


def test_a_server_that_stumbles_is_asked_again(server: tuple[str, list[str]], answers: list[int]) -> None:
    address, asked = server
    answers += [503, 500]
    deadman.ping(address)
    assert len(asked) == 3


def test_f71_a_failure_names_the_host_alone(server: tuple[str, list[str]], answers: list[int]) -> None:
    address, _asked = server
    answers += [404] * 3
    with pytest.raises(DrydockError) as raised:
        deadman.ping(address)
    assert "at 127.0.0.1 can't be pinged: it answered 404" in str(raised.value)
    assert SECRET not in str(raised.value)


def test_f71_so_does_one_that_nobody_answers() -> None:
    with pytest.raises(DrydockError, match=r"at 127\.0\.0\.1 can't be pinged: Connection refused") as raised:
        deadman.ping(f"http://127.0.0.1:9/{SECRET}")
    assert SECRET not in str(raised.value)


@pytest.mark.parametrize("address", [f"http://127.0.0.1:9/{SECRET}/\u00e4", f"http://a..b/{SECRET}"])
def test_f71_nor_is_one_shown_that_cannot_be_asked_for(address: str) -> None:
    with pytest.raises(UsageError, match=r"switch at (127\.0\.0\.1|a\.\.b) is none that can be asked for") as raised:
        deadman.ping(address)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def test_the_address_is_read(tmp_path: pathlib.Path) -> None:
    file = tmp_path / "url"
    file.write_text(f"https://h/{SECRET}\n")
    file.chmod(0o600)
    assert deadman.read(str(file)) == f"https://h/{SECRET}"


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        (f"https://h/{SECRET}", 0o644, "can be read by others"),
        ("", 0o600, "must hold one http or https address"),
        (f"file:///{SECRET}", 0o600, "must hold one http or https address"),
        (f"https://h/{SECRET} x", 0o600, "must hold one http or https address"),
        (f"http://[/{SECRET}", 0o600, "must hold one http or https address"),
        (None, 0, "No such file or directory"),
    ],
)
def test_f71_a_wrong_address_is_not_shown(tmp_path: pathlib.Path, text: str | None, mode: int, why: str) -> None:
    file = tmp_path / "url"
    if text is not None:
        file.write_text(text)
        file.chmod(mode)
    with pytest.raises(UsageError, match=why) as raised:
        deadman.read(str(file))
    assert SECRET not in str(raised.value)
