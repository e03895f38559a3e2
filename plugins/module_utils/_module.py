# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of every module: shared argument specs, one way to connect, one way to fail."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import traceback
import typing as t
from collections.abc import Iterator

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ._engine.client import DEFAULT_SOCKET, Client, Connection
from ._engine.errors import DrydockError
from ._engine.repository import Directory

#: The options of the doc fragment C(_docker).
DOCKER_ARGUMENTS: dict[str, t.Any] = {
    "docker_host": {
        "type": "str",
        "default": DEFAULT_SOCKET,
        "fallback": (env_fallback, ["DOCKER_HOST"]),
        "aliases": ["docker_url"],
    },
    "tls": {"type": "bool", "default": False, "fallback": (env_fallback, ["DOCKER_TLS"])},
    "validate_certs": {
        "type": "bool",
        "default": False,
        "fallback": (env_fallback, ["DOCKER_TLS_VERIFY"]),
        "aliases": ["tls_verify"],
    },
    "tls_hostname": {"type": "str", "fallback": (env_fallback, ["DOCKER_TLS_HOSTNAME"])},
    "ca_path": {"type": "path", "aliases": ["ca_cert", "tls_ca_cert", "cacert_path"]},
    "client_cert": {"type": "path", "aliases": ["tls_client_cert", "cert_path"]},
    "client_key": {"type": "path", "aliases": ["tls_client_key", "key_path"]},
    "api_version": {
        "type": "str",
        "default": "auto",
        "fallback": (env_fallback, ["DOCKER_API_VERSION"]),
        "aliases": ["docker_api_version"],
    },
    "timeout": {"type": "int", "default": 60, "fallback": (env_fallback, ["DOCKER_TIMEOUT"])},
}

#: The option of the doc fragment C(_decryption).
DECRYPTION_ARGUMENTS: dict[str, t.Any] = {
    "decryption": {
        "type": "dict",
        "options": {"identity_file": {"type": "path"}, "passphrase_file": {"type": "path"}},
    },
}

#: The options of the doc fragment C(_mounts).
MOUNT_ARGUMENTS: dict[str, t.Any] = {"helper_image": {"type": "str"}}

#: The options of the doc fragment C(_repository).
REPOSITORY_ARGUMENTS: dict[str, t.Any] = {
    "repository": {"type": "path", "required": True},
    "host": {"type": "str"},
}


def connect(module: AnsibleModule) -> Client:
    """Connect to the daemon that the module's options name."""
    options = {name: module.params[name] for name in DOCKER_ARGUMENTS}
    options["docker_host"] = options["docker_host"] or DEFAULT_SOCKET  # DOCKER_HOST may be set and empty
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if certificates and (options["tls"] or options["validate_certs"]):
        for name, file in (("ca_path", "ca.pem"), ("client_cert", "cert.pem"), ("client_key", "key.pem")):
            options[name] = options[name] or os.path.join(certificates, file)
    return Client(Connection(**options))


def essentials(manifest: dict[str, t.Any]) -> dict[str, t.Any]:
    """A manifest as a module returns it: the number of a long list's items in its place, and not what is the same for
    all."""
    content = manifest["content"]
    counts = {name: len(content.get(name, [])) for name in ("changed_while_read", "unreadable")}
    left = {name: value for name, value in manifest.items() if name not in ("format", "kind", "engine")}
    return {**left, "content": {**content, **counts}}


def repository(module: AnsibleModule) -> Directory:
    """The repository that the module's options name; in check mode it refuses to write."""
    return Directory(module.params["repository"], read_only=module.check_mode)


def host(module: AnsibleModule) -> str:
    """The host's folder in the repository: the option, or this host's own name."""
    return module.params["host"] or socket.gethostname()


@contextlib.contextmanager
def failing(module: AnsibleModule) -> Iterator[None]:
    """Turn the engine's errors into the task's failure, with their text as the message.

    SIGTERM becomes one of them, so that what the engine does at the end of every failure is done then too.
    """
    before = signal.signal(signal.SIGTERM, _terminated)
    try:
        yield
    except (DrydockError, _Terminated) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"unforeseen: {error}", exception=traceback.format_exc())
    finally:
        signal.signal(signal.SIGTERM, before)


class _Terminated(BaseException):
    """Somebody asked the process to end."""


def _terminated(_number: int, _frame: t.Any) -> t.NoReturn:
    raise _Terminated("ended by SIGTERM; what was under way is undone")
