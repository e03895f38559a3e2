# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What names a remote, what is shown of what rclone says, and what a copy lacks. The program itself is real in
tests/integration/test_offsite.py; here a script says what servers say that are hard to come by."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import os
import pathlib
import threading
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import (
    copies,
    download,
    publication,
    rclone,
    repositories,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    RepositoryError,
    ToolError,
    UsageError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.remote import Remote
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from ansible_collections.drydock.volumes.plugins.module_utils._engine.retention import Policy

NOW = dt.datetime(2026, 11, 26, 12, tzinfo=dt.UTC)
DAYS = [f"202611{day:02}T030000Z" for day in range(1, 11)]

Fake = c.Callable[[str], None]


@pytest.fixture
def fake(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Fake:
    """Have a shell script be rclone."""

    def fake(script: str) -> None:
        program = tmp_path / "rclone"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))

    return fake


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("offsite:backups", ("offsite", "backups")),
        ("offsite:/srv/backups/", ("offsite", "/srv/backups")),
        ("offsite:/", ("offsite", "/")),
        ("offsite:", ("offsite", "")),
        ("my remote.2:a b", ("my remote.2", "a b")),
    ],
)
def test_a_remote_and_a_path(text: str, parts: tuple[str, str]) -> None:
    assert rclone.split(text) == parts


@pytest.mark.parametrize(
    "text",
    [
        "backups",
        ":sftp,host=h,pass=hunter2:x",
        "offsite,pass=hunter2:x",
        "-x:y",
        "off:a/../b",
        "off:a\nb",
        ":x",
        "\n:x",
    ],
)
def test_what_is_no_remote(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        rclone.split(text)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("https://ops:hunter2@host/x failed", "https://(not recorded)@host/x failed"),
        (
            'Put "https://b.s3.example/x?X-Amz-Signature=abc&y=1": EOF',
            'Put "https://b.s3.example/x?(not recorded)": EOF',
        ),
        ("off,pass=hunter2,user=u: no", "off,pass=(not recorded),user=u: no"),
        ("secret_access_key=hunter2", "secret_access_key=(not recorded)"),
        ("https://host/x?a=1, sas_token=hunter2", "https://host/x?(not recorded) sas_token=(not recorded)"),
        ("directory not found", "directory not found"),
    ],
)
def test_what_is_shown_of_what_it_says(said: str, shown: str) -> None:
    assert rclone.shown(said) == shown


@pytest.mark.parametrize(
    ("root", "path"),
    [("off:b", "off:b/h/v"), ("off:", "off:h/v"), ("off:/", "off:/h/v"), ("off:/srv/", "off:/srv/h/v")],
)
def test_where_a_folder_is(fake: Fake, root: str, path: str) -> None:
    fake("exit 0")
    assert Remote(root).folder("h", "v") == path


@pytest.mark.parametrize(
    ("ours", "theirs", "rules", "lacking"),
    [
        ([], DAYS, {}, []),
        (DAYS[:3], [], {}, [DAYS[2], DAYS[1], DAYS[0]]),
        (DAYS[:3], [DAYS[1]], {}, [DAYS[2], DAYS[0]]),
        (DAYS, [], {"keep_last": 2}, [DAYS[9], DAYS[8]]),
        # what is there already counts
        (DAYS[:5], DAYS[5:], {"keep_last": 3}, []),
        (DAYS[:5], DAYS[8:], {"keep_last": 3}, [DAYS[4]]),
        (DAYS, DAYS, {"keep_last": 1}, []),
    ],
)
def test_what_a_copy_lacks(ours: list[str], theirs: list[str], rules: dict[str, int], lacking: list[str]) -> None:
    assert copies.lacking(ours, theirs, Policy(**rules), NOW) == lacking


def test_repositories_of_both_kinds(fake: Fake, tmp_path: pathlib.Path) -> None:
    fake("exit 0")
    assert isinstance(repositories.open_repository(str(tmp_path)), Directory)
    assert isinstance(repositories.open_repository("/with:colon"), Directory)
    assert isinstance(repositories.open_repository("off:x"), Remote)
    with pytest.raises(UsageError, match="is not an absolute path, and not REMOTE:path"):
        repositories.open_repository("relative/path")


def test_without_rclone_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rclone.tools, "find", lambda _program: None)
    with pytest.raises(ToolError, match="install the package 'rclone'"):
        repositories.open_repository("off:x")


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (
            "echo '2026/11/26 00:47:14 Failed to lsf: couldn'\\''t connect: https://u:hunter2@h: no route' >&2; exit 1",
            "rclone lsf exited 1: Failed to lsf: couldn't connect: https://(not recorded)@h: no route",
        ),
        ("exit 7", "rclone lsf exited 7: it said nothing"),
        (
            'for n in 1 2 3 4 5; do echo "2026/11/26 00:47:14 ERROR : x: line $n" >&2; done; exit 2',
            "rclone lsf exited 2: x: line 3; x: line 4; x: line 5",
        ),
    ],
)
def test_an_error_is_in_its_own_words(fake: Fake, script: str, text: str) -> None:
    fake(script)
    with pytest.raises(RepositoryError) as caught:
        Remote("off:x").check()
    assert text in str(caught.value)
    assert str(caught.value).startswith("repository off:x can't be reached, or not read: ")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("status", [3, 4])
def test_what_is_not_there_is_no_error(fake: Fake, status: int) -> None:
    fake(f"exit {status}")
    assert Remote("off:x").check() is False
    assert Remote("off:x").backups("h", "v") == ([], [])
    with pytest.raises(RepositoryError, match="doesn't exist; check the path"):
        Remote("off:x").require_there()


def test_an_answer_that_is_none_is_an_error(fake: Fake) -> None:
    fake("echo '<html>'")
    with pytest.raises(RepositoryError, match="can't be reached, or not read"):
        Remote("off:x").backups("h", "v")


def test_a_download_that_nobody_wants_any_more_ends_before_its_pipe_is_closed(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the descriptor's number may be somebody else's pipe next
    fake("echo first\nexec /bin/sleep 60")
    end, reading = rclone.Process.end, []

    def watched(process: rclone.Process) -> None:
        reading.append([thread for thread in threading.enumerate() if thread.name == "download"])
        end(process)

    monkeypatch.setattr(rclone.Process, "end", watched)
    stored = download.Downloaded(rclone.Rclone(), "r:a", "0" * 64, 1)
    with pytest.raises(ZeroDivisionError), stored.reading() as descriptor:  # noqa: PT012
        assert os.read(descriptor, 6) == b"first\n"
        raise ZeroDivisionError
    assert reading == [[]]


def test_only_its_own_part_of_the_environment_reaches_it(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    fake("/usr/bin/env")
    for name in ("RCLONE_CONFIG", "RCLONE_CONFIG_PASS", "RCLONE_DRY_RUN", "AWS_SECRET_ACCESS_KEY", "https_proxy"):
        monkeypatch.setenv(name, "here")
    given = rclone.Rclone().run("x").decode()
    for name in ("RCLONE_CONFIG", "RCLONE_CONFIG_PASS", "https_proxy"):
        assert f"\n{name}=here\n" in f"\n{given}"
    for name in ("RCLONE_DRY_RUN", "AWS_SECRET_ACCESS_KEY"):
        assert name not in given


def test_it_is_tried_again_and_at_last_given_up() -> None:
    tries: list[int] = []

    def act(works_at: int) -> None:
        tries.append(1)
        if len(tries) < works_at:
            raise RepositoryError("no")

    assert rclone.patiently(lambda: act(3), (0, 0)) is None
    tries.clear()
    assert str(rclone.patiently(lambda: act(4), (0, 0))) == "no"
    assert len(tries) == 3


def test_a_wait_ends_when_all_is_to_end() -> None:
    def act() -> None:
        raise RepositoryError("no")

    def proceed() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rclone.patiently(act, (3600,), proceed)


@pytest.mark.parametrize(
    ("present", "left"),
    [
        ({".20261126T030000Z.tar.zst.partial": 1.0}, [".20261126T030000Z.tar.zst.partial"]),
        ({"20261126T030000Z.tar.zst": 90000.0}, ["20261126T030000Z.tar.zst"]),
        ({"20261126T030000Z.tar.zst": 80000.0}, []),
        ({"20261126T030000Z.tar.zst": 90000.0, "20261126T030000Z.json": 90000.0}, []),
        ({"20261126T030000Z.json": 90000.0, "notes.txt": 90000.0, ".x.partial": 90000.0}, []),
    ],
)
def test_what_dead_runs_left(present: dict[str, float], left: list[t.Any]) -> None:
    assert publication.abandoned(present) == left
