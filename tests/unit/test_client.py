# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The door to the daemon: what it makes of right and wrong answers, and of no answer."""

from __future__ import annotations

import json
import pathlib
import socket
import threading
import typing as t

import docker
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import hooks, server
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    ContainerError,
    DaemonError,
    NoAnswerError,
    ToolError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.hooks import Hook
from tests.unit import fake_daemon
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.helpers import BECOME_NOBODY, ENGINE, needs_root, public_directory, python


def connect(url: str, **more: t.Any) -> Client:
    return Client(Connection(docker_host=url, timeout=10, **more))


def test_it_connects_and_knows_the_version(daemon: FakeDaemon) -> None:
    client = connect(daemon.url)
    assert client.version == "20.10.24"
    assert client.connection.local
    client.close()


def test_no_socket(tmp_path: pathlib.Path) -> None:
    url = f"unix://{tmp_path}/docker.sock"
    with pytest.raises(DaemonError, match=f"no Docker daemon answers at {url} .No such file or directory.: start it"):
        connect(url)


def test_a_socket_that_nobody_listens_on(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("docker.sock")
    with pytest.raises(DaemonError, match=r"no Docker daemon answers at .*Connection refused.: start it"):
        connect(f"unix://{tmp_path}/docker.sock")


@needs_root
def test_no_permission_on_the_socket() -> None:
    code = f"""
import sys
from {ENGINE}.client import Client, Connection
{BECOME_NOBODY}
try:
    Client(Connection(docker_host=sys.argv[1]))
except Exception as error:
    print(type(error).__name__, error)
"""
    with public_directory() as folder, FakeDaemon(folder / "docker.sock") as daemon:
        (folder / "docker.sock").chmod(0o660)
        ran = python(code, daemon.url)
        url = daemon.url
    assert ran.stdout == (
        f"DaemonError no permission on the Docker socket {url}: run as root (become: true), or as a member of the "
        "socket's group\n"
    ), ran.stderr


VERSIONS: dict[str, tuple[int, t.Any]] = {
    "HTTP 500": (500, {"message": "it is broken"}),
    "HTTP 500 without JSON": (500, b"<html>"),
    "no HTTP": (0, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "nothing": (0, b""),
    "no JSON": (200, b"hello"),
    "a list": (200, []),
    "null": (200, None),
    "no version": (200, {}),
}


@pytest.mark.parametrize("answer", VERSIONS.values(), ids=VERSIONS)
def test_a_daemon_that_answers_garbage(daemon: FakeDaemon, answer: tuple[int, t.Any]) -> None:
    daemon.answers["GET /version"] = answer
    with pytest.raises(DaemonError, match=f"the Docker daemon at {daemon.url} "):
        connect(daemon.url)


@pytest.mark.parametrize("answer", [{"ApiVersion": "1.41"}, []], ids=["no version", "a list"])
def test_a_daemon_that_keeps_its_version_to_itself(daemon: FakeDaemon, answer: t.Any) -> None:
    daemon.answers["GET /version"] = (200, answer)
    with pytest.raises(DaemonError):
        connect(daemon.url, api_version="1.41")


@pytest.mark.parametrize("options", [{"api_version": "newest"}, {"url": "tcp://a:b:1"}], ids=["version", "port"])
def test_malformed_options(daemon: FakeDaemon, options: dict[str, str]) -> None:
    with pytest.raises(DaemonError):
        connect(options.pop("url", daemon.url), **options)


def test_the_name_that_a_certificate_must_have(daemon: FakeDaemon) -> None:
    if int(docker.__version__.split(".")[0]) < 7:
        connect(daemon.url, tls=True, tls_hostname="docker.example.com")
    else:
        with pytest.raises(ToolError, match=r"tls_hostname: .* can't check another name"):
            connect(daemon.url, tls=True, tls_hostname="docker.example.com")


def test_a_missing_certificate_is_an_error_of_ours(daemon: FakeDaemon) -> None:
    with pytest.raises(ToolError, match=r"client_cert /no/cert\.pem is not a file"):
        connect(daemon.url, tls=True, client_cert="/no/cert.pem", client_key="/no/key.pem")
    with pytest.raises(ToolError, match="client_cert and client_key belong together"):
        connect(daemon.url, tls=True, client_cert="/no/cert.pem")
    connect(daemon.url, client_cert="/no/cert.pem")  # without TLS nobody needs it


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("unix:///var/run/docker.sock", True),
        ("http+unix:///run/docker.sock", True),
        ("tcp://127.0.0.1:2375", False),
        ("ssh://host", False),
        ("https://host:2376", False),
    ],
)
def test_what_is_local(url: str, local: bool) -> None:
    assert Connection(docker_host=url).local is local


@pytest.mark.parametrize("url", ["foo://x", "ssh://nowhere.invalid", "tcp://127.0.0.1:1", "tcp://nowhere.invalid:1"])
def test_addresses_where_nobody_is(url: str) -> None:
    with pytest.raises(DaemonError, match=url):
        connect(url)


@pytest.mark.parametrize("answer", [{"Volumes": None}, {"Volumes": []}, {}])
def test_no_volumes(daemon: FakeDaemon, answer: dict[str, t.Any]) -> None:
    daemon.answers["GET /volumes"] = (200, answer)
    assert connect(daemon.url).volumes() == {}


def test_volumes_by_name_in_one_request(daemon: FakeDaemon) -> None:
    made = [daemon.volume("a", "/a"), daemon.volume("b", "/b")]
    client = connect(daemon.url)
    del daemon.requests[:]
    assert client.volumes() == {"a": made[0], "b": made[1]}
    assert [request for request, _query in daemon.requests] == ["GET /volumes"]


def test_some_volumes_in_as_few_requests_as_may_be(daemon: FakeDaemon) -> None:
    made = {name: daemon.volume(name, f"/{name}") for name in ("a.b", "axb", *map(str, range(60)))}
    wanted = ["a.b", "missing", *map(str, range(60))]
    client = connect(daemon.url)
    del daemon.requests[:]
    # a daemon that doesn't know the filter shows more
    assert client.volumes(wanted) == {name: made[name] for name in wanted if name != "missing"}
    assert [request for request, _query in daemon.requests] == ["GET /volumes"] * 2
    asked = [json.loads(query["filters"][0])["name"] for _request, query in daemon.requests]
    assert asked[0][:3] == ["^a\\.b$", "^missing$", "^0$"]
    assert list(map(len, asked)) == [50, 12]
    assert client.volumes([]) == {}


def test_what_plugins_say_is_kept(daemon: FakeDaemon) -> None:
    daemon.answers["GET /volumes"] = (200, {"Volumes": None, "Warnings": ["one is dead: password=x"]})
    client = connect(daemon.url)
    for names in (None, ["a"], list(map(str, range(60)))):
        client.volumes(names)
        assert client.unlisted == ["one is dead: password=(not recorded)"]


def test_a_daemon_that_gives_no_answer_in_time(daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client(Connection(docker_host=daemon.url, timeout=1))
    release = threading.Event()
    monkeypatch.setattr(fake_daemon._Handler, "do_POST", lambda _self: release.wait(20))
    try:
        with pytest.raises(NoAnswerError) as caught:
            client.start_container("web")
    finally:
        release.set()
    assert str(caught.value) == (
        f"the Docker daemon at {daemon.url} was asked to start the container web, and didn't answer within 1 seconds; "
        "a file system that hangs, as with an NFS server that is gone, keeps it waiting: see to that, or give a longer "
        "timeout"
    )


def test_a_refusal_is_told_in_the_daemons_words(daemon: FakeDaemon) -> None:
    client = connect(daemon.url)
    daemon.answers["GET /volumes"] = (500, {"message": "plugin is dead"})
    with pytest.raises(DaemonError, match="refused to list volumes: plugin is dead"):
        client.volumes()
    daemon.answers["DELETE /volumes/a"] = (409, {"message": "volume is in use"})
    with pytest.raises(DaemonError, match="refused to remove volume a: volume is in use"):
        client.remove_volume("a")


ID = "db" + "1" * 62


@pytest.mark.parametrize(("word", "found"), [("web", True), (ID, True), ("db", False), (ID[:12], False)])
def test_the_beginning_of_an_identifier_is_no_name(daemon: FakeDaemon, word: str, found: bool) -> None:
    """Docker finds the container all the same: somebody else's, once the one of that name is gone."""
    client = connect(daemon.url)
    facts = {"Name": "/web", "Id": ID, "State": {"Status": "running"}, "Config": {"Image": "postgres"}}
    daemon.answers[f"GET /containers/{word}/json"] = (200, facts)
    daemon.answers[f"POST /containers/{ID}/exec"] = (201, {"Id": "e1"})
    daemon.answers["POST /exec/e1/start"] = (200, b"")
    assert client.container(word) == (facts if found else None)
    if found:
        assert client.execution(word, ["true"], None)[0] == "e1"
        return
    with pytest.raises(ContainerError, match=f"in the container {word}: no container on this host has this name"):
        hooks.run(client, Hook(word, ("true",)), 1, lambda: None)
    with pytest.raises(ContainerError, match=f"container {word} doesn't exist on this host; give the name"):
        server.find(client, word, server.Login(), 0, lambda: None)
    assert not [request for request, _query in daemon.requests if request.startswith("POST")]


def test_databases_are_found_by_the_name_of_their_container(daemon: FakeDaemon) -> None:
    facts = {"Name": "/pg", "Id": ID, "State": {"Status": "running"}, "Config": {"Image": "postgres"}}
    for word in ("pg", ID):
        daemon.answers[f"GET /containers/{word}/json"] = (200, facts)
    client = connect(daemon.url)
    assert server.find(client, "pg", server.Login(), 0, lambda: None).identifier == ID
    with pytest.raises(ContainerError, match="this is a container's identifier; give its name, pg, by which its"):
        server.find(client, ID, server.Login(), 0, lambda: None)


def _container(name: str, **mount: str) -> dict[str, t.Any]:
    return {"Id": name, "Names": [f"/{name}"], "State": "running", "Mounts": [mount]}


def test_f53_containers_that_the_filter_matches_by_chance_are_dropped(daemon: FakeDaemon) -> None:
    found = [
        _container("real", Type="volume", Name="data", Destination="/x"),
        _container("longer", Type="volume", Name="data2", Destination="/x"),
        _container("shorter", Type="volume", Name="dat", Destination="/x"),
        _container("destination", Type="volume", Name="other", Destination="data"),
        _container("bind", Type="bind", Source="/data", Destination="/data"),
        {"Id": "none", "Names": ["/none"], "State": "running", "Mounts": None},
    ]
    daemon.answers["GET /containers/json"] = (200, found)
    client = connect(daemon.url)
    assert [container["Id"] for container in client.containers(volume="data")] == ["real"]
    request, query = daemon.requests[-1]
    assert (request, query["all"]) == ("GET /containers/json", ["1"])


@pytest.mark.parametrize(
    ("options", "expected"), [(["name=userns"], True), (["name=seccomp,profile=default"], False), (None, False)]
)
def test_user_namespaces(daemon: FakeDaemon, options: list[str] | None, expected: bool) -> None:
    daemon.answers["GET /info"] = (200, {"SecurityOptions": options})
    assert connect(daemon.url).user_namespaces() is expected
