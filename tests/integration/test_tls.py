# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The connection options for a daemon behind TLS, with real certificates before the real engine."""

from __future__ import annotations

import collections.abc as c
import pathlib
import socket
import ssl
import subprocess
import threading

import pytest

from tests.support.engine import Engine
from tests.support.modules import Modules

BACKUP = "docker_volume_backup"
#: How a daemon is known to be reached: it lists volumes, but volumes' files are not on another host.
REACHED = "volumes' files are read and written on the Docker host itself"


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """An authority, and what it has signed for a server, localhost, and for a client; and another authority."""
    folder = tmp_path_factory.mktemp("tls")
    script = """
set -e
for ca in ca other; do
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$ca -days 2 \\
        -keyout $ca.key -out $ca.pem
done
printf 'subjectAltName=DNS:localhost' >names
for who in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=$who -keyout $who.key -out $who.csr
    openssl x509 -req -in $who.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names -out $who.pem
done
"""
    subprocess.run(["bash", "-c", script], cwd=folder, check=True, capture_output=True)
    return folder


@pytest.fixture
def port(certificates: pathlib.Path) -> c.Iterator[int]:
    """The port of localhost at which the engine's socket is behind TLS, for clients of the authority."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    listening = socket.create_server(("localhost", 0))

    def serve() -> None:
        while True:
            try:
                accepted, _address = listening.accept()
            except OSError:
                return
            threading.Thread(target=_pass_on, args=(context, accepted), daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    yield int(listening.getsockname()[1])
    listening.close()


def _pass_on(context: ssl.SSLContext, accepted: socket.socket) -> None:
    try:
        with context.wrap_socket(accepted, server_side=True) as theirs, socket.socket(socket.AF_UNIX) as ours:
            ours.connect("/var/run/docker.sock")
            back = threading.Thread(target=_copy, args=(ours, theirs), daemon=True)
            back.start()
            _copy(theirs, ours)
            back.join()
    except OSError:
        pass  # who has no certificate, or doesn't like ours


def _copy(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


@pytest.mark.parametrize(
    ("options", "said"),
    [
        pytest.param({"validate_certs": True, "ca_path": "ca.pem"}, REACHED, id="validated"),
        pytest.param({"tls": True}, REACHED, id="not validated"),
        pytest.param({"validate_certs": True, "ca_path": "other.pem"}, "certificate verify failed", id="another one"),
        pytest.param({"validate_certs": True, "ca_path": "none.pem"}, "none.pem is not a file", id="no authority"),
        pytest.param({"tls": True, "client_cert": None}, "belong together", id="half a client certificate"),
        pytest.param({"tls": True, "client_cert": None, "client_key": None}, "can't be reached", id="no certificate"),
        pytest.param({"tls": True, "client_key": "none.key"}, "none.key is not a file", id="no key"),
        pytest.param({"tls": True, "api_version": "1.41"}, REACHED, id="a version"),
        pytest.param({"tls": True, "api_version": "9.99"}, "too new", id="no such version"),
        pytest.param({}, "can't be reached", id="without TLS"),
    ],
)
def test_a_daemon_behind_tls(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    certificates: pathlib.Path,
    port: int,
    options: dict[str, object],
    said: str,
) -> None:
    given = {"client_cert": "client.pem", "client_key": "client.key", **options}
    for name in ("client_cert", "client_key", "ca_path"):
        if given.get(name):
            given[name] = str(certificates / str(given[name]))
    message = modules.refused(
        BACKUP,
        environment={"REQUESTS_CA_BUNDLE": str(certificates / "other.pem")},  # it isn't to overrule ca_path
        volumes=[engine.volume()],
        repository=str(work / "r"),
        docker_host=f"tcp://localhost:{port}",
        **{name: value for name, value in given.items() if value is not None},
    )
    assert said in message
    assert not (work / "r").exists()
