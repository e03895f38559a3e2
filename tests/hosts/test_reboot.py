# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F21: the power is cut in the middle of a scheduled backup that has stopped a container. The boot brings it back.

The host is one of tests/hosts/fleet.py: its disk outlives its machine, as a real one's does.
"""

from __future__ import annotations

import collections.abc as c
import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import tempfile

import pytest

from tests.hosts.guest import CHECKOUT
from tests.support.units import VARIABLES, unit

FLEET = CHECKOUT / "tests" / "hosts" / "fleet.py"
NAME = "yew"
# Seconds: for a boot, and for what takes moments on a machine that does nothing else.
BOOT, MOMENT = 400, 120

# A container that Docker doesn't start again by itself after it was stopped; and a compressor that never ends, so that
# the container is stopped for as long as it takes to pull the plug.
_SET_UP = """
mkdir -p /root/image/bin
cp /bin/busybox /root/image/bin
tar -C /root/image -c . | docker import - busybox
docker volume create data
echo contents >/var/lib/docker/volumes/data/_data/file
docker run --detach --name db --init --network none --restart unless-stopped --volume data:/v busybox \
    /bin/busybox sleep 36000
printf '#!/bin/sh\\n[ "$1" = --version ] || sleep 3600\\nexec /usr/bin/zstd "$@"\\n' >/usr/local/bin/zstd
chmod 755 /usr/local/bin/zstd
"""
_TELL = "journalctl --no-pager -n 60 -u 'drydock-*'; docker ps -a; ls -lR /var/lib/drydock"
_JOB = {"action": "backup", "volumes": ["data"], "repository": "/srv/backups", "quiesce": "stop"}
_BUNDLE = """
import sys
from _engine import bundle
sys.stdout.buffer.write(bundle.build(bundle.sources(), "/usr/bin/python3"))
"""


class Host:
    """A host that can lose its power."""

    def __init__(self, directory: pathlib.Path) -> None:
        self._directory = directory
        self._ssh = ["ssh", "-F", str(directory / "ssh_config")]

    def sh(self, script: str, content: bytes = b"") -> str:
        """Run a shell script, which must succeed, with this input, and return what it printed."""
        done = subprocess.run(
            [*self._ssh, NAME, f"set -eu\n{script}"],
            check=False,
            input=content,
            capture_output=True,
            timeout=2 * MOMENT,
        )
        said = (done.stdout + done.stderr).decode("utf-8", "replace")
        assert done.returncode == 0, f"{script[:500]}\nexited {done.returncode}: {said}"
        return done.stdout.decode()

    def wait_for(self, condition: str) -> None:
        """Wait until a shell command succeeds."""
        # the loop is there, not here: a login takes the host a second
        script = f"until {condition}; do sleep 0.25; done"
        said = self.sh(f"timeout {MOMENT} sh -c {shlex.quote(script)} >&2 || echo in vain")
        assert not said, f"waited in vain for: {condition}\n{self.sh(_TELL)}"

    def install(self, agent: bytes) -> None:
        """Have what the role scheduled_backups writes for the job. The role itself is played in molecule/."""
        path = VARIABLES["__scheduled_backups_agent_path"]
        service = unit("job.service.j2", command=[path, "backup", "--job", "nightly"])
        self.put("/usr/local/bin/drydock-volumes", agent, 0o755)
        self.put("/etc/drydock/jobs.d/nightly.json", json.dumps(_JOB).encode(), 0o600)
        self.put("/etc/systemd/system/drydock-backup-nightly.service", service.encode(), 0o644)
        self.put("/etc/systemd/system/drydock-recover.service", unit("drydock-recover.service.j2").encode(), 0o644)
        self.sh("systemctl daemon-reload; systemctl enable drydock-recover.service")

    def put(self, path: str, content: bytes, mode: int) -> None:
        """Write a file."""
        self.sh(f"mkdir -p {os.path.dirname(path)}; cat >{path}; chmod {mode:o} {path}", content)

    def cut(self) -> None:
        """Pull the plug, put it in again, and wait until the host is up."""
        _fleet("cut", self._directory, NAME)


def _fleet(command: str, directory: pathlib.Path, *arguments: str) -> None:
    ran = subprocess.run(
        [sys.executable, FLEET, command, directory, *arguments],
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=BOOT,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture
def host() -> c.Iterator[Host]:
    """A host, for this test."""
    # a short path: sockets are in there
    work = pathlib.Path(tempfile.mkdtemp(prefix="drydock-", dir="/var/tmp"))
    directory = work / "fleet"
    try:
        _fleet("start", directory, "--while", str(os.getpid()), NAME)
        yield Host(directory)
    finally:
        _fleet("stop", directory)
        shutil.rmtree(work, ignore_errors=True)


@pytest.fixture(scope="module")
def agent() -> bytes:
    """The command drydock-volumes, as drydock_agent installs it."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT / "plugins" / "module_utils")}
    return subprocess.run([sys.executable, "-c", _BUNDLE], env=environment, check=True, capture_output=True).stdout


def test_f21_a_power_cut_in_the_middle_of_a_scheduled_backup(host: Host, agent: bytes) -> None:
    host.sh(_SET_UP)
    host.install(agent)
    host.sh("systemctl start --no-block drydock-backup-nightly.service")
    host.wait_for('[ "$(docker inspect -f "{{.State.Running}}" db)" = false ]')
    assert host.sh("ls /var/lib/drydock/journal/*.json")
    host.cut()

    # Docker alone leaves it stopped: the unit that runs at boot brings it back.
    host.wait_for('[ "$(docker inspect -f "{{.State.Running}}" db)" = true ]')
    host.wait_for("! ls /var/lib/drydock/journal/*.json >/dev/null 2>&1")
    said = host.sh("journalctl -b -u drydock-recover.service")
    assert "db" in said, said
    assert host.sh("systemctl show -p Result --value drydock-recover.service").strip() == "success"

    # Nothing incomplete is taken for a backup, and the next run is none the worse for what the last one has left.
    assert host.sh("find /srv/backups -name '*.json'") == ""
    host.sh("rm /usr/local/bin/zstd; systemctl start drydock-backup-nightly.service")
    assert len(host.sh("find /srv/backups -name '*.json'").split()) == 1
    assert host.sh('docker inspect -f "{{.State.Running}}" db').strip() == "true"
