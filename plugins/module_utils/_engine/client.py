# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The only door to the Docker daemon, over the docker SDK (5.0 and later)."""

from __future__ import annotations

import contextlib
import inspect
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DaemonError, NoAnswerError, RefusedError, ToolError, redact
from .termination import deferred

try:
    import docker
    import docker.errors
    import requests.exceptions

    class _Api(docker.APIClient):
        """An API client whose own certificate authority isn't overruled by REQUESTS_CA_BUNDLE in the environment."""

        def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
            mine = self.verify if verify is None else verify
            return super().merge_environment_settings(url, proxies, stream, mine, cert)

    SDK_ERROR: str | None = None
except ImportError as _error:
    SDK_ERROR = str(_error)

DEFAULT_SOCKET = "unix:///var/run/docker.sock"
# How many names go into one request: the daemon tries each of them on each of its volumes.
_NAMES = 50


@dataclass(frozen=True)
class Connection:
    """Where the daemon is. Paths are those of PEM files; ``timeout`` is in seconds."""

    docker_host: str = DEFAULT_SOCKET
    tls: bool = False
    validate_certs: bool = False
    tls_hostname: str | None = None
    ca_path: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    api_version: str = "auto"
    timeout: int = 60

    @property
    def local(self) -> bool:
        """Whether the daemon is reached by a socket of this host, so that its volumes' files are here too."""
        return self.docker_host.startswith(("unix://", "http+unix://"))


class Client:
    """A connected client. Everything it returns is the API's own JSON; every error it raises is a DaemonError."""

    def __init__(self, connection: Connection) -> None:
        """Connect. Raise ToolError without the SDK, DaemonError where no daemon answers."""
        if SDK_ERROR is not None:
            raise ToolError(
                f"the Python package 'docker' is not there for this interpreter ({SDK_ERROR}); install the package "
                "'python3-docker', or 'docker' with pip"
            )
        self.connection = connection
        #: Why the last list of volumes may lack some: the words of plugins that couldn't list theirs.
        self.unlisted: list[str] = []
        with self._explained("connect"):
            self._api = self._connected(connection.api_version, connection.timeout)
            self.version: str = str(self._api.version()["Version"])

    def volumes(self, names: Sequence[str] | None = None) -> dict[str, dict[str, Any]]:
        """Every volume by its name, in one request, or those of these ``names``.

        For each that it shows the daemon looks at the mount point. Where one hangs there is no answer: ask for no more
        than you need.
        """
        if names is None:
            return self._listed(None, set())
        found: dict[str, dict[str, Any]] = {}
        warnings: set[str] = set()
        for start in range(0, len(names), _NAMES):
            some = names[start : start + _NAMES]
            listed = self._listed([f"^{re.escape(name)}$" for name in some], warnings)
            found.update({name: listed[name] for name in some if name in listed})
        return found

    def _listed(self, patterns: list[str] | None, warnings: set[str]) -> dict[str, dict[str, Any]]:
        """The volumes with names that match; what plugins say is added to ``warnings``."""
        with self._explained("list volumes"):
            answer = self._api.volumes(filters=None if patterns is None else {"name": patterns})
        warnings.update(redact(warning, sentence=True) for warning in answer.get("Warnings") or [])
        self.unlisted = sorted(warnings)
        return {volume["Name"]: volume for volume in answer.get("Volumes") or []}

    def volume(self, name: str) -> dict[str, Any] | None:
        """One volume, or None if there is none of this name. Some that a plugin can't list it knows by name."""
        with self._explained(f"inspect volume {name}"), contextlib.suppress(docker.errors.NotFound):
            return dict(self._api.inspect_volume(name))
        return None

    def create_volume(self, name: str, driver: str, options: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
        """Create a volume. The daemon returns an existing one silently: look before.

        Whoever is to remove it again if something fails does this within termination.deferred.
        """
        with self._explained(f"create volume {name}"):
            return dict(self._api.create_volume(name, driver=driver, driver_opts=options, labels=labels))

    def remove_volume(self, name: str) -> None:
        """Remove a volume that nothing refers to, without force."""
        with self._explained(f"remove volume {name}"):
            self._api.remove_volume(name)

    def containers(self, *, volume: str) -> list[dict[str, Any]]:
        """The containers in any state that refer to ``volume``, as the list endpoint shows them."""
        with self._explained("list containers"):
            found = self._api.containers(all=True, filters={"volume": volume})
        # the filter also matches a mount's destination, hence the second look
        return [c for c in found if any(mount.get("Name") == volume for mount in c.get("Mounts") or [])]

    def all_containers(self) -> list[dict[str, Any]]:
        """Every container in any state, as the list endpoint shows them, in one request."""
        with self._explained("list containers"):
            return list(self._api.containers(all=True))

    def container(self, container: str) -> dict[str, Any] | None:
        """All about one container, or None if there is none of this name or whole identifier."""
        with self._explained(f"inspect the container {container}"), contextlib.suppress(docker.errors.NotFound):
            facts = dict(self._api.inspect_container(container))
            # where no container has the name, Docker takes one whose identifier begins with it
            return facts if container in (str(facts.get("Name")).lstrip("/"), facts.get("Id")) else None
        return None

    def signal_container(self, container: str, signal: str) -> None:
        """Send a signal to a container's first process, and see the container as ended by hand when that ends."""
        with self._explained(f"send {signal} to the container {container}"):
            self._api.kill(container, signal)

    def start_container(self, container: str) -> None:
        """Start a container that exists."""
        with self._explained(f"start the container {container}"):
            self._api.start(container)

    def pause_container(self, container: str) -> None:
        """Freeze the processes of a container."""
        with self._explained(f"pause the container {container}"):
            self._api.pause(container)

    def unpause_container(self, container: str) -> None:
        """Let the processes of a container go on."""
        with self._explained(f"unpause the container {container}"):
            self._api.unpause(container)

    def execution(self, container: str, argv: Sequence[str], user: str | None) -> tuple[str, Iterator[bytes]]:
        """Start a command in the running container of this name or whole identifier; return the identifier of the
        execution, and what it prints."""
        facts = self.container(container)
        if facts is None:
            raise DaemonError("no container on this host has this name; docker ps shows those that run")
        with self._explained(f"run a command in the container {container}"):
            made = self._api.exec_create(facts["Id"], list(argv), user=user or "")["Id"]
            return made, self._api.exec_start(made, stream=True)

    def attached(self, container: str, argv: Sequence[str], user: str | None) -> tuple[str, Any]:
        """Start a command in a running container; return the identifier of the execution, and the SDK's object around
        the socket that leads to it: what is sent is its input, its output and errors come back in the API's frames."""
        with self._explained(f"run a command in the container {container}"):
            made = self._api.exec_create(container, list(argv), stdin=True, user=user or "")["Id"]
            return made, self._api.exec_start(made, socket=True)

    def executed(self, execution: str) -> dict[str, Any]:
        """All about an execution: ``Running``, ``ExitCode``, ``Pid`` (on the host)."""
        with self._explained("inspect an execution"):
            return dict(self._api.exec_inspect(execution))

    def import_empty_image(self, image: str, label: str) -> None:
        """Make sure that there is an image with nothing in it."""
        with self._explained(f"import the image {image}"):
            if not self._api.images(image):
                name, tag = image.split(":")
                self._api.import_image_from_data(bytes(1024), name, tag, changes=[f"LABEL {label}=yes"])

    def run_holder(self, name: str, image: str, command: list[str], binds: list[str], label: str) -> None:
        """Create and start a container that only holds mounts. Raise DaemonError with the daemon's reason."""
        with self._explained("mount volumes"):
            host_config = self._api.create_host_config(
                binds=binds,
                network_mode="none",
                read_only=True,
                log_config=docker.types.LogConfig(type="none"),
                security_opt=["label=disable", "no-new-privileges"],
            )
            with deferred():
                self._api.create_container(
                    image, command, name=name, host_config=host_config, labels={label: "yes"}, entrypoint=[]
                )
            self._api.start(name)

    def image(self, image: str) -> dict[str, Any] | None:
        """All about an image of this host, or None if it isn't here."""
        with self._explained(f"inspect the image {image}"), contextlib.suppress(docker.errors.NotFound):
            return dict(self._api.inspect_image(image))
        return None

    def run_container(
        self,
        name: str,
        image: str,
        command: Sequence[str] | None,
        *,
        binds: Sequence[str],
        network: str,
        environment: Mapping[str, str],
        user: str | None,
        labels: Mapping[str, str],
    ) -> None:
        """Create and start a container of an image that is here. It is never started again by itself."""
        with self._explained(f"start a container of the image {image}"):
            host_config = self._api.create_host_config(
                binds=list(binds), network_mode=network, security_opt=["no-new-privileges"]
            )
            with deferred():
                self._api.create_container(
                    image,
                    command and list(command),
                    name=name,
                    host_config=host_config,
                    environment=dict(environment),
                    user=user,
                    labels=dict(labels),
                )
            self._api.start(name)

    def logs(self, container: str, lines: int) -> str:
        """The last lines that a container has printed."""
        with self._explained(f"read what the container {container} has printed"):
            return bytes(self._api.logs(container, tail=lines)).decode("utf-8", "backslashreplace")

    def remove_container(self, name: str, timeout: int | None = None, *, anonymous: bool = False) -> None:
        """End and remove a container, but none of its volumes, or the ``anonymous`` ones. One that doesn't exist, or is
        being removed, is fine.

        ``timeout`` is for who won't wait as long as usual (seconds): the daemon goes on without us, as soon as it can.
        """
        seconds = min(timeout or self.connection.timeout, self.connection.timeout)
        with self._explained(f"remove the container {name}", seconds), contextlib.suppress(docker.errors.NotFound):
            api = self._connected(self._api.api_version, seconds) if timeout else self._api
            try:
                api.remove_container(name, force=True, v=anonymous)
            except docker.errors.APIError as error:
                if "already in progress" not in str(error.explanation):
                    raise
            finally:
                if timeout:
                    api.close()

    def labelled(self, label: str) -> list[str]:
        """The names of the containers, in any state, that have ``label``."""
        with self._explained("list containers"):
            found = self._api.containers(all=True, filters={"label": label})
        return [container["Names"][0].lstrip("/") for container in found]

    def volume_drivers(self) -> dict[str, bool]:
        """The drivers that the daemon has for volumes, by name, and whether they are enabled.

        A plugin of the old kind, a socket in /run/docker/plugins, isn't there before somebody has used it.
        """
        with self._explained("list plugins"):
            found = {str(name): True for name in (self._api.info().get("Plugins") or {}).get("Volume") or []}
            for plugin in self._api.plugins():
                found[str(plugin["Name"])] = bool(plugin.get("Enabled"))
        return found

    def information(self) -> dict[str, Any]:
        """What the daemon says of itself: ``ID``, ``Swarm``, ``SecurityOptions`` and more."""
        with self._explained("read the daemon's information"):
            return dict(self._api.info())

    def services(self) -> list[dict[str, Any]]:
        """Every service of the swarm. Only its managers answer."""
        with self._explained("list services"):
            return list(self._api.services())

    def labelled_volumes(self, label: str) -> list[str]:
        """The names of the volumes that have ``label``."""
        with self._explained("list volumes"):
            answer = self._api.volumes(filters={"label": label})
        return [volume["Name"] for volume in answer.get("Volumes") or []]

    def user_namespaces(self) -> bool:
        """Whether the daemon remaps user ids (userns-remap), so that owners on disk are shifted."""
        return any("userns" in option for option in self.information().get("SecurityOptions") or [])

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    def _connected(self, version: str, timeout: int) -> Any:
        connection = self.connection
        return _Api(base_url=connection.docker_host, version=version, timeout=timeout, tls=_tls(connection))

    @contextlib.contextmanager
    def _explained(self, doing: str, timeout: int | None = None) -> Iterator[None]:
        where = self.connection.docker_host
        try:
            yield
        except docker.errors.APIError as error:
            said = redact(str(error.explanation or error), sentence=True)  # it may repeat a volume's mount options
            raise RefusedError(f"the Docker daemon at {where} refused to {doing}: {said}") from error
        except requests.exceptions.ReadTimeout as error:
            raise NoAnswerError(
                f"the Docker daemon at {where} was asked to {doing}, and didn't answer within "
                f"{timeout or self.connection.timeout} seconds; a file system that hangs, as with an NFS server "
                "that is gone, keeps it waiting: see to that, or give a longer timeout"
            ) from error
        except (docker.errors.DockerException, requests.exceptions.RequestException) as error:
            raise DaemonError(_unreachable(where, error)) from error
        except (ValueError, KeyError, TypeError) as error:
            # the SDK's way to say that an option is malformed, or that what answers is no Docker daemon
            raise DaemonError(f"failed to {doing} at {where}: {error!r}; check docker_host and api_version") from error


def _tls(connection: Connection) -> Any:
    """The TLS settings in the SDK's terms, or False where no TLS is asked for."""
    if not (connection.tls or connection.validate_certs):
        return False
    pair = (connection.client_cert, connection.client_key)
    if any(pair) and not all(pair):
        raise ToolError("client_cert and client_key belong together: give both, or none")
    for name in ("ca_path", "client_cert", "client_key"):
        path = getattr(connection, name)
        if path and not os.path.isfile(path):
            raise ToolError(f"{name} {path} is not a file; check the path")
    settings: dict[str, Any] = {
        "client_cert": pair if all(pair) else None,
        "verify": connection.validate_certs,
        "ca_cert": connection.ca_path,
    }
    if connection.tls_hostname is not None:
        if "assert_hostname" not in inspect.signature(docker.tls.TLSConfig).parameters:
            raise ToolError(
                f"tls_hostname: the Python package 'docker' {docker.__version__} can't check another name than the "
                "one in docker_host; use a certificate with that name, or a version of the package before 7"
            )
        settings["assert_hostname"] = connection.tls_hostname
    return docker.tls.TLSConfig(**settings)


def _unreachable(where: str, error: BaseException) -> str:
    """Say why no daemon answers, and what to do, out of the SDK's nested errors."""
    cause = _system_error(error)
    if isinstance(cause, PermissionError):
        return (
            f"no permission on the Docker socket {where}: run as root (become: true), or as a member of the socket's "
            "group"
        )
    if isinstance(cause, (FileNotFoundError, ConnectionRefusedError)):
        return (
            f"no Docker daemon answers at {where} ({cause.strerror}): start it (systemctl start docker), or set "
            "docker_host to where it listens"
        )
    return f"the Docker daemon at {where} can't be reached: {error}"


def _system_error(error: BaseException) -> OSError | None:
    """The innermost system error in a chain of causes and arguments."""
    pending: list[Any] = [error]
    seen: list[BaseException] = []
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or any(current is one for one in seen):
            continue
        seen.append(current)
        if isinstance(current, (PermissionError, FileNotFoundError, ConnectionRefusedError)):
            return current
        pending += [*current.args, current.__cause__, current.__context__, getattr(current, "reason", None)]
    return None
