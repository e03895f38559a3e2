# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that several actions share, in the words of Ansible's argument specs, and what the engine makes of them.

The modules and the command take their options from here and from ``actions``, so that one name means one thing.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .client import DEFAULT_SOCKET, Client, Connection
from .encryption import EXTENSIONS
from .errors import UsageError
from .quiesce import Limits
from .repositories import Repository, open_repository
from .safety import Safety


@dataclass(frozen=True)
class Spec:
    """What an action takes: ``arguments`` is an argument spec, and the rest are the rules that go with one.

    Everything is plain data. Where an option that isn't given comes from the environment, ENVIRONMENT has its name.
    """

    arguments: Mapping[str, dict[str, Any]]
    mutually_exclusive: Sequence[tuple[str, ...]] = ()
    required_one_of: Sequence[tuple[str, ...]] = ()
    required_by: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Report:
    """How an action ended. ``values`` is what a module returns besides ``changed``; ``failure`` the message of what
    went wrong although something was done, or None; ``partly`` tells that something was good in spite of it, which
    ``changed`` tells already."""

    changed: bool
    values: dict[str, Any]
    warnings: Sequence[str] = ()
    failure: str | None = None
    partly: bool = False


#: Where options that aren't given come from.
ENVIRONMENT = {
    "docker_host": "DOCKER_HOST",
    "tls": "DOCKER_TLS",
    "validate_certs": "DOCKER_TLS_VERIFY",
    "tls_hostname": "DOCKER_TLS_HOSTNAME",
    "api_version": "DOCKER_API_VERSION",
    "timeout": "DOCKER_TIMEOUT",
}

#: The options of the doc fragment C(_docker).
DOCKER: dict[str, dict[str, Any]] = {
    "docker_host": {"type": "str", "default": DEFAULT_SOCKET, "aliases": ["docker_url"]},
    "tls": {"type": "bool", "default": False},
    "validate_certs": {"type": "bool", "default": False, "aliases": ["tls_verify"]},
    "tls_hostname": {"type": "str"},
    "ca_path": {"type": "path", "aliases": ["ca_cert", "tls_ca_cert", "cacert_path"]},
    "client_cert": {"type": "path", "aliases": ["tls_client_cert", "cert_path"]},
    "client_key": {"type": "path", "aliases": ["tls_client_key", "key_path"]},
    "api_version": {"type": "str", "default": "auto", "aliases": ["docker_api_version"]},
    "timeout": {"type": "int", "default": 60},
}

#: The option of the doc fragment C(_decryption).
DECRYPTION: dict[str, dict[str, Any]] = {
    "decryption": {
        "type": "dict",
        "options": {"identity_file": {"type": "path"}, "passphrase_file": {"type": "path"}},
    },
}

#: How archives are encrypted. Modules document it themselves.
ENCRYPTION: dict[str, dict[str, Any]] = {
    "encryption": {
        "type": "dict",
        "options": {
            "method": {"type": "str", "choices": list(EXTENSIONS), "required": True},
            "recipients": {"type": "list", "elements": "str"},
            "recipients_file": {"type": "list", "elements": "path"},
            "passphrase_file": {"type": "path"},
        },
    },
}

#: The option of the doc fragment C(_mounts).
MOUNTS: dict[str, dict[str, Any]] = {"helper_image": {"type": "str"}}

#: The options of the doc fragment C(_repository).
REPOSITORY: dict[str, dict[str, Any]] = {
    "repository": {"type": "path", "required": True},
    "rclone_config": {"type": "path"},
    "host": {"type": "str"},
}

#: The options of actions that stop containers.
WAITING: dict[str, dict[str, Any]] = {
    "stop_timeout": {"type": "float", "default": 60},
    "health_timeout": {"type": "float", "default": 60},
}

#: The options of a volume that may have to be created.
CREATION: dict[str, dict[str, Any]] = {
    "driver": {"type": "str"},
    "driver_options": {"type": "dict"},
    "labels": {"type": "dict"},
}

STALL_TIMEOUT: dict[str, dict[str, Any]] = {"stall_timeout": {"type": "float", "default": 600}}

WARN_FAIL = ("warn", "fail")
FAIL_REPLACE = ("fail", "replace")


def connect(params: Mapping[str, Any]) -> Client:
    """Connect to the daemon that the options name. Raise DaemonError where none answers."""
    options = {name: params[name] for name in DOCKER}
    options["docker_host"] = options["docker_host"] or DEFAULT_SOCKET  # DOCKER_HOST may be set and empty
    certificates = os.environ.get("DOCKER_CERT_PATH")
    if certificates and (options["tls"] or options["validate_certs"]):
        for name, file in (("ca_path", "ca.pem"), ("client_cert", "cert.pem"), ("client_key", "key.pem")):
            options[name] = options[name] or os.path.join(certificates, file)
    return Client(Connection(**options))


def repository(params: Mapping[str, Any], *, check: bool, named: str | None = None) -> Repository:
    """The repository that the options name, or the one ``named`` elsewhere in them; in check mode it refuses to
    write."""
    text = params["repository"] if named is None else named
    return open_repository(text, read_only=check, rclone_config=params.get("rclone_config"))


def host(params: Mapping[str, Any]) -> str:
    """The host's folder in the repository: the option, or this host's own name."""
    return params["host"] or socket.gethostname()


def safety(wanted: Mapping[str, Any] | None, *, check: bool) -> Safety | None:
    """Where a backup goes before something is removed, if one is wanted."""
    if wanted is None:
        return None
    return Safety(repository(wanted, check=check), host(wanted))


def limits(params: Mapping[str, Any]) -> Limits:
    """How long containers may take."""
    execution = params.get("exec_timeout")
    wait = Limits(params["stop_timeout"], params["health_timeout"])
    return wait if execution is None else Limits(wait.stop, wait.health, execution)


def texts(options: Mapping[str, Any] | None) -> dict[str, str] | None:
    """Options as Docker has them: YAML's and JSON's numbers and truth values become text. Raise UsageError for one
    without a value, of which YAML makes a null."""
    if options is None:
        return None
    empty = [key for key, value in options.items() if value is None]
    if empty:
        raise UsageError(f'{empty[0]} has no value; give it one, or "" for an empty one; nothing was changed')
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}


def essentials(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """A manifest as it is reported: the number of a long list's items in its place, and not what is the same for
    all."""
    content = manifest["content"]
    counts = {name: len(content.get(name, [])) for name in ("changed_while_read", "unreadable")}
    left = {name: value for name, value in manifest.items() if name not in ("format", "kind", "engine")}
    return {**left, "content": {**content, **counts}}
