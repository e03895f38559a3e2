# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fleet ends with whoever started it, however that ends. What it can do, Molecule's scenarios use."""

from __future__ import annotations

import pathlib
import secrets
import subprocess
import sys
import time

from tests.hosts.guest import CHECKOUT

FLEET = CHECKOUT / "tests/hosts/fleet.py"


def processes(directory: pathlib.Path) -> list[str]:
    """The processes that have the directory in their arguments."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = file.read_text("utf-8", "replace").split("\0")
        except OSError:
            continue
        if any(str(directory) in argument for argument in arguments):
            found.append(" ".join(arguments))
    return found


def links() -> set[str]:
    """The names of the network's interfaces."""
    shown = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    return {line.split("@")[0].split()[0] for line in shown.splitlines()}


def test_a_fleet_ends_with_its_keeper() -> None:
    directory = pathlib.Path(f"/var/tmp/drydock-fleet-{secrets.token_hex(4)}")
    keeper = subprocess.Popen(["sleep", "600"])
    try:
        subprocess.run(
            [sys.executable, FLEET, "start", directory, "--while", str(keeper.pid), "oak:1"], check=True, timeout=600
        )
        ssh = ["ssh", "-F", directory / "ssh_config", "oak", "blockdev --getsize64 /dev/ubdb"]
        said = subprocess.run(ssh, check=True, capture_output=True, text=True, timeout=120).stdout
        assert said == f"{320 << 20}\n"
        assert len(processes(directory)) > 1
        server = (directory / "pid").read_text().strip()
        assert f"fl{server}" in links()

        keeper.kill()  # as SIGKILL ends a runner: it can't tidy up
        keeper.wait()
        deadline = time.monotonic() + 60
        while processes(directory) or directory.exists() or f"fl{server}" in links():
            assert time.monotonic() < deadline, (processes(directory), links())
            time.sleep(0.2)
    finally:
        keeper.kill()
        keeper.wait()
        subprocess.run([sys.executable, FLEET, "stop", directory], check=True, timeout=60)
