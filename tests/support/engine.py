# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Volumes and containers of a test's own on the real Docker Engine."""

from __future__ import annotations

import contextlib
import pathlib
import secrets
import subprocess
import typing as t

import docker

PREFIX = "drydock-test-"
LABEL = "drydock.test"

# A busybox image is imported from Debian's busybox-static once and kept: no registry is asked.
IMAGE = "drydock-test-busybox:1"


class Engine(contextlib.AbstractContextManager["Engine"]):
    """Make volumes and containers, and remove them all at the end."""

    IMAGE = IMAGE

    def __init__(self) -> None:
        self.api = docker.APIClient(version="auto", timeout=240)
        self._prefix = f"{PREFIX}{secrets.token_hex(4)}"
        self._count = 0
        self._containers: list[str] = []

    def __exit__(self, *_exception: object) -> None:
        for container in self._containers:
            with contextlib.suppress(docker.errors.NotFound):
                self.api.remove_container(container, force=True)
        for volume in self.names():
            self.api.remove_volume(volume)
        self.api.close()

    def names(self) -> list[str]:
        """The names of this test's volumes that exist."""
        volumes = self.api.volumes()["Volumes"] or []
        return sorted(v["Name"] for v in volumes if v["Name"].startswith(self._prefix))

    def name(self) -> str:
        """A name that this test alone uses. A volume made under it is removed at the end, whoever makes it."""
        self._count += 1
        return f"{self._prefix}-{self._count}"

    def volume(self, **options: str) -> str:
        """Create a volume with these driver options, and return its name."""
        name = self.name()
        self.api.create_volume(name, driver_opts=options or None, labels={LABEL: "yes"})
        return name

    def bind(self, device: pathlib.Path) -> str:
        """Create a bind volume on ``device``, and return its name."""
        return self.volume(type="none", o="bind", device=str(device))

    def path(self, volume: str) -> pathlib.Path:
        """Where the files of a plain volume are."""
        return pathlib.Path(self.inspect(volume)["Mountpoint"])

    def inspect(self, volume: str) -> dict[str, t.Any]:
        """What the daemon knows about a volume."""
        return dict(self.api.inspect_volume(volume))

    def remove(self, volume: str) -> None:
        """Remove a volume."""
        self.api.remove_volume(volume)

    def run(
        self,
        *volumes: str,
        command: t.Sequence[str] = ("sleep", "3600"),
        name: str | None = None,
        labels: t.Mapping[str, str] | None = None,
        healthcheck: t.Mapping[str, t.Any] | None = None,
        mode: str = "rw",
        start: bool = True,
        **host_config: t.Any,
    ) -> str:
        """Start a container that has the first volume at /v, the second one at /v2, and return its id.

        A volume may be a path of the host's. Without ``init`` its program must itself listen to SIGTERM.
        """
        self.import_image()
        places = ["/v", *(f"/v{number}" for number in range(2, len(volumes) + 1))]
        binds = [f"{volume}:{place}:{mode}" for volume, place in zip(volumes, places, strict=True)]
        container = self.api.create_container(
            IMAGE,
            list(command),
            name=name or self.name(),
            labels=dict(labels or {}),
            healthcheck=healthcheck,
            host_config=self.api.create_host_config(
                binds=binds, **{"network_mode": "none", "init": True, **host_config}
            ),
        )["Id"]
        self._containers.append(container)
        if start:
            self.api.start(container)
        return str(container)

    def state(self, container: str) -> str:
        """What a container does: "running", "paused", "exited"; "removed" if there is none."""
        try:
            return str(self.api.inspect_container(container)["State"]["Status"])
        except docker.errors.NotFound:
            return "removed"

    def started_at(self, container: str) -> str:
        """When a container was started the last time."""
        return str(self.api.inspect_container(container)["State"]["StartedAt"])

    def import_image(self) -> None:
        """Make sure that there is the busybox image."""
        if self.api.images(IMAGE):
            return
        script = (
            "set -e; d=$(mktemp -d); trap 'rm -rf \"$d\"' EXIT; mkdir $d/bin $d/tmp; cp /bin/busybox $d/bin/; "
            "for a in $(/bin/busybox --list); do [ -e $d/bin/$a ] || ln -s busybox $d/bin/$a; done; "
            f"tar -C $d -c . | docker import -c 'ENV PATH=/bin' - {IMAGE}"
        )
        subprocess.run(["sh", "-c", script], check=True, capture_output=True)
