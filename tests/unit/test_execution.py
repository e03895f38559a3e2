# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands in containers: what the daemon is told of them, what it sends back, and which database an image holds."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import socket
import struct
import subprocess
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import (
    life,
    mariadb,
    postgresql,
    postgresql_restore,
    server,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    ContainerError,
    DaemonError,
    IntegrityError,
    UsageError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.execution import (
    SECRET,
    Command,
    Demultiplexer,
    Ended,
    Execution,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.server import LastLine, Login

SECRETS = ["line", "a'b\"c\\d $e `f`", "  two  ", "-n", "%s"]


def frame(stream: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", stream, len(data)) + data


@hypothesis.given(
    frames=st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=30)), max_size=6), step=st.integers(1, 40)
)
def test_output_and_errors_are_told_apart_in_whatever_pieces(frames: list[tuple[int, bytes]], step: int) -> None:
    out = bytearray()
    demultiplexer = Demultiplexer(out.extend)
    stream = b"".join(frame(*one) for one in frames)
    for start in range(0, len(stream), step):
        demultiplexer.feed(memoryview(stream)[start : start + step])
    assert bytes(out) == b"".join(data for number, data in frames if number == 1)
    assert not demultiplexer.torn
    assert Demultiplexer(out.extend).said() == ()


@pytest.mark.parametrize("cut", range(1, 12))
def test_a_frame_that_is_cut_is_noticed(cut: int) -> None:
    demultiplexer = Demultiplexer(bytearray().extend)
    demultiplexer.feed(memoryview(frame(1, b"abcd")[:-cut]))
    assert demultiplexer.torn


def test_errors_that_tell_nothing_do_not_push_out_those_that_do() -> None:
    """Of thousands of roles most are there already."""
    lines = ["psql:<stdin>:1: ERROR:  42501", *(f"psql:<stdin>:{n}: ERROR:  42710" for n in range(2, 5000)), "and this"]
    said = "\n".join(lines).encode()
    demultiplexer = Demultiplexer(bytearray().extend, postgresql_restore._THERE)
    for start in range(0, len(said), 4001):
        demultiplexer.feed(memoryview(frame(2, said[start : start + 4001])))
    assert demultiplexer.said() == (lines[0], lines[-1])


class Attached:
    """A daemon that has a command's socket, which nobody reads."""

    def __init__(self) -> None:
        self.ours, self.theirs = socket.socketpair()
        self.asked: list[str] = []
        self.lives: str | None = "since noon"

    def attached(self, _container: str, _argv: list[str], _user: str | None) -> tuple[str, socket.socket]:
        return "e1", self.ours

    def executed(self, execution: str) -> dict[str, t.Any]:
        self.asked.append(execution)
        return {"Running": False, "Pid": 0}

    def container(self, _container: str) -> dict[str, t.Any]:
        if self.lives is None:
            raise DaemonError("no answer")
        return {"State": {"Running": bool(self.lives), "StartedAt": self.lives}}


def _stop() -> None:
    raise ContainerError("enough")


@pytest.mark.parametrize(
    ("proceed", "secret", "why"), [(_stop, "", "enough"), (None, "x" * (1 << 22), "moved no byte for 0.1 seconds")]
)
def test_what_fails_at_once_leaves_nothing(proceed: c.Callable[[], None] | None, secret: str, why: str) -> None:
    daemon = Attached()
    command = Command(("cat",), secret=(secret,))
    with pytest.raises(ContainerError, match=why):
        Execution(
            t.cast("t.Any", daemon), "db", command, user=None, stall_timeout=0.1 if secret else 0, proceed=proceed
        )
    assert daemon.ours.fileno() == -1
    assert daemon.asked == ["e1"]
    daemon.theirs.close()


@pytest.mark.parametrize("lives", ["", "since one o'clock"])
def test_a_command_whose_container_is_gone_is_not_waited_for(monkeypatch: pytest.MonkeyPatch, lives: str) -> None:
    """Docker has lost its end; and nobody else gets its process's number."""
    monkeypatch.setattr(life, "_LOOK", 0.1)
    daemon = Attached()
    with Execution(t.cast("t.Any", daemon), "db", Command(("cat",)), user=None) as command:
        daemon.lives = lives
        ended = command.wait()
    assert ended.status is None
    assert "cat went away with its container" in str(ended)
    assert daemon.asked == []
    daemon.theirs.close()


@pytest.mark.parametrize("lives", ["since noon", None])
def test_a_command_that_is_silent_is_waited_for(monkeypatch: pytest.MonkeyPatch, lives: str | None) -> None:
    monkeypatch.setattr(life, "_LOOK", 0.1)
    daemon = Attached()
    with Execution(t.cast("t.Any", daemon), "db", Command(("cat",)), user=None, stall_timeout=3) as command:
        daemon.lives = lives
        with pytest.raises(ContainerError, match="moved no byte for 3 seconds"):
            command.wait()
    daemon.theirs.close()


class Answers:
    """A server that answers with these rows, one answer after the other."""

    login = Login()
    variables: t.ClassVar[dict[str, str]] = {}

    def __init__(self, *answers: list[str]) -> None:
        self._answers = list(answers)

    def answer(self, _command: Command, _sql: str) -> str:
        return "".join(f"{row}\0" for row in self._answers.pop(0))


def test_a_database_that_takes_no_connections_is_told_of() -> None:
    there, closed = ["postgres", "shop"], ["__drydock_old_1_0", "archive"]
    (warning,) = postgresql.PostgreSQL(t.cast("server.Server", Answers(there, closed))).warnings(there)
    assert warning.startswith("database archive is left out, as it takes no connections")
    # whoever names databases knows what is left out
    assert postgresql.PostgreSQL(t.cast("server.Server", Answers(there))).warnings(["shop"]) == []


def run(command: Command, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run a command as the daemon does, on this host."""
    return subprocess.run(command.argv(), input=command.head() + data, capture_output=True, check=False)


def test_a_command_reads_its_secret_and_its_input() -> None:
    command = Command(("no-such-program", "cat"), (SECRET, "-"), tuple(SECRETS))
    assert not [secret for secret in SECRETS[1:3] if secret in str(command.argv()) + str(command)]
    done = run(command, b"and\0this")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == "".join(f"{secret}\n" for secret in SECRETS).encode() + b"and\0this"


def test_the_secret_is_private_and_has_no_name() -> None:
    script = f"stat -Lc '%a %h %F' {SECRET}; umask; readlink {SECRET}; test -e \"$(readlink {SECRET})\""
    done = run(Command(("sh",), ("-c", script), ("x",)))
    mode, mask, name = done.stdout.decode().splitlines()
    assert mode == "600 0 regular file"
    assert mask == f"{_umask():04o}"
    assert name.endswith(" (deleted)")
    assert done.returncode == 1
    assert not list(pathlib.Path("/dev/shm").glob(".drydock-*"))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_without_a_secret_there_is_no_file() -> None:
    done = run(Command(("sh",), ("-c", f"test -e {SECRET} || echo none; cat; echo $x"), exports={"x": "7"}), b"in")
    assert done.stdout == b"none\nin7\n"


def test_a_program_that_is_not_there_is_named() -> None:
    done = run(Command(("no-such-program", "nor-this")))
    assert (done.returncode, done.stderr) == (127, b"the container has no program no-such-program nor-this\n")


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ((), "x exited 1"),
        (("a", "b"), "x exited 1: a; b"),
        # what comes with an error may hold what is in the database
        (("x: error: no", "Command was: INSERT private", "DETAIL: private"), "x exited 1: x: error: no"),
        (
            ("--------------", "INSERT private", "ERROR 1146 (42S02) at line 1"),
            "x exited 1: ERROR 1146 (42S02) at line 1",
        ),
    ],
)
def test_the_words_of_an_error_are_passed_on_alone(said: tuple[str, ...], text: str) -> None:
    assert str(Ended("x", 1, said)) == text
    assert str(Ended("x", None, ())) == "x went away with its container"


@pytest.mark.parametrize(
    ("image", "variables", "engine"),
    [
        ("postgres:15", {}, "postgresql"),
        ("registry.example:5000/team/postgis:16-3.4", {}, "postgresql"),
        ("timescale/timescaledb:latest-pg16", {}, "postgresql"),
        ("mariadb", {}, "mariadb"),
        ("ours:1", {"PG_MAJOR": "15"}, "postgresql"),
        ("ours:1", {"MARIADB_VERSION": "11"}, "mariadb"),
        ("postgres-to-mariadb", {"PG_MAJOR": "15"}, "postgresql"),
        ("postgres.example/web", {"MARIADB_VERSION": "11"}, "mariadb"),
    ],
)
def test_the_image_tells_the_engine(image: str, variables: dict[str, str], engine: str) -> None:
    assert server.engine(image, variables) == engine


@pytest.mark.parametrize("image", ["ours", "mysql:8", "postgres-to-mariadb", "sha256:00"])
def test_where_nothing_tells_the_engine_is_asked_for(image: str) -> None:
    with pytest.raises(UsageError, match="give engine"):
        server.engine(image, {})


def test_names_are_quoted() -> None:
    assert postgresql.conninfo("a'b\\c=d") == "dbname='a\\'b\\\\c=d'"
    assert postgresql.identifier('a"b') == '"a""b"'
    assert postgresql.literal("a'b") == "'a''b'"
    assert mariadb.identifier("a`b") == "`a``b`"
    assert mariadb.literal("a'é") == "CONVERT(0x6127c3a9 USING utf8mb4)"
    assert mariadb.literal("") == "''"


@pytest.mark.parametrize(
    ("data", "whole"),
    [
        (b"x\n-- Dump completed on 2026-11-26\n", True),
        (b"x" * 9000 + b"\n-- Dump completed\n\n", True),
        (b"x\n-- Dump complete", False),
        (b"x -- Dump completed\n", False),
        (b"\n-- Dump completed\n" + b"x" * 9000, False),
        (b"", False),
    ],
)
@pytest.mark.parametrize("step", [1, 7, 100000])
def test_the_last_line_tells(data: bytes, whole: bool, step: int) -> None:
    with LastLine("shop.sql", "-- Dump completed") as check:
        for start in range(0, len(data), step):
            check.write(memoryview(data)[start : start + step])
        if whole:
            check.finish()
        else:
            with pytest.raises(IntegrityError, match=r"shop\.sql is not whole"):
                check.finish()


@pytest.mark.parametrize("text", ["", "\n", "a\nb\n", "a\0\n"])
def test_a_password_file_has_one_line(tmp_path: pathlib.Path, text: str) -> None:
    file = tmp_path / "password"
    file.write_text(text)
    file.chmod(0o600)
    with pytest.raises(UsageError, match="only line"):
        Login.parse(user=None, login_user=None, password_file=str(file), login_unix_socket=None)
    file.write_text("a b \n")
    login = Login.parse(user=None, login_user=None, password_file=str(file), login_unix_socket=None)
    assert login.password == "a b "
    assert "a b" not in repr(login)
