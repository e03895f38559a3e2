# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What benchmarks do to the machine: volumes, a busybox image, data of real files, our modules as Ansible runs them."""

from __future__ import annotations

import collections.abc as c
import contextlib
import hashlib
import json
import os
import pathlib
import secrets
import shutil
import subprocess
import sys
import tempfile
import typing as t

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
COLLECTIONS = CHECKOUT / ".venv" / "collections"
SOURCES = ("/usr/lib", "/usr/share")


class Host:
    """A scratch directory and names of our own on this machine; all of it goes away with it."""

    def __init__(self, scratch: pathlib.Path) -> None:
        self.scratch = scratch
        self.prefix = f"drydock-bench-{secrets.token_hex(4)}"
        self.image = f"{self.prefix}-busybox"

    def volume(self, name: str) -> str:
        """Return the full name of one of our volumes."""
        return f"{self.prefix}-{name}"

    def create_volume(self, name: str) -> pathlib.Path:
        """Create a volume and return where its files are."""
        command("docker", "volume", "create", self.volume(name))
        return self.mountpoint(name)

    def mountpoint(self, name: str) -> pathlib.Path:
        return pathlib.Path(command("docker", "volume", "inspect", "-f", "{{.Mountpoint}}", self.volume(name)))

    def remove_volume(self, name: str) -> None:
        command("docker", "volume", "rm", "--force", self.volume(name))

    def import_busybox(self) -> None:
        """Make an image of Debian's static busybox: what the tar habit runs in, without an image registry."""
        root = self.scratch / "busybox"
        (root / "bin").mkdir(parents=True)
        binary = shutil.which("busybox", path="/bin:/usr/bin")
        if binary is None:
            raise FileNotFoundError("busybox is missing: apt-get install busybox-static")
        shutil.copy(binary, root / "bin" / "busybox")
        for applet in ("sh", "tar", "gzip", "gunzip"):
            (root / "bin" / applet).symlink_to("busybox")
        shell(f"tar -C {root} -c . | docker import - {self.image}")

    def container(self, *arguments: str) -> None:
        """Run a command in a container of the busybox image; arguments as for docker run, without the image."""
        options = [argument for argument in arguments if argument.startswith("--volume=")]
        command("docker", "run", "--rm", *options, self.image, *(a for a in arguments if a not in options))

    def module(self, name: str, arguments: c.Mapping[str, t.Any]) -> dict[str, t.Any]:
        """Run one of our modules as a process of its own; return its result, with "peak_memory" in bytes."""
        payload = self.scratch / f"{name}.json"
        payload.write_text(json.dumps({"ANSIBLE_MODULE_ARGS": dict(arguments)}))
        report = self.scratch / f"{name}.memory"
        report.unlink(missing_ok=True)
        runner = pathlib.Path(__file__).with_name("module_process.py")
        run = subprocess.run(
            [
                sys.executable,
                str(runner),
                str(report),
                f"ansible_collections.drydock.volumes.plugins.modules.{name}",
                payload,
            ],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(COLLECTIONS)},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode:
            raise RuntimeError(f"{name} exited {run.returncode}:\n{run.stdout}{run.stderr}")
        result: dict[str, t.Any] = json.loads(run.stdout)
        return {**result, "peak_memory": int(report.read_text())}

    def playbook(self, tasks: c.Sequence[c.Mapping[str, t.Any]]) -> None:
        """Run tasks with ansible-playbook, as a user would."""
        play = {"hosts": "localhost", "connection": "local", "gather_facts": False, "tasks": list(tasks)}
        file = self.scratch / "play.yml"
        file.write_text(json.dumps([play]))  # JSON is YAML
        environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(COLLECTIONS), "ANSIBLE_LOCALHOST_WARNING": "false"}
        command(
            str(pathlib.Path(sys.executable).with_name("ansible-playbook")),
            "--inventory=localhost,",
            f"--extra-vars=ansible_python_interpreter={sys.executable}",
            str(file),
            environment=environment,
        )

    def close(self) -> None:
        """Remove every container, volume and image of ours."""
        for container in command("docker", "ps", "-aq", f"--filter=ancestor={self.image}").split():
            command("docker", "rm", "--force", container)
        for name in command("docker", "volume", "ls", "-q", f"--filter=name={self.prefix}").split():
            command("docker", "volume", "rm", "--force", name)
        for image in command("docker", "image", "ls", "-q", self.image).split():
            command("docker", "image", "rm", "--force", image)


@contextlib.contextmanager
def open_host() -> c.Iterator[Host]:
    """Give a Host on a file system with room, and leave nothing of it behind."""
    scratch = pathlib.Path(tempfile.mkdtemp(prefix="drydock-bench-", dir="/var/tmp"))
    host = Host(scratch)
    try:
        yield host
    finally:
        try:
            host.close()
        finally:
            shutil.rmtree(scratch)


#: Bytes of real files that a measurement needs at least.
LEAST = 500_000_000


def copy_real_files(target: pathlib.Path, size: int) -> tuple[int, int]:
    """Copy about size bytes of this machine's files; return (files, bytes).

    The order is that of a hash of the paths: a fair sample of sizes and kinds, and the same one on each run.
    """
    candidates = []
    for source in SOURCES:
        for folder, _folders, names in os.walk(source):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.islink(path) or os.path.isfile(path):
                    candidates.append(path)
    candidates.sort(key=lambda path: hashlib.sha256(os.fsencode(path)).digest())
    files = total = 0
    for path in candidates:
        if total >= size:
            break
        bytes_ = os.lstat(path).st_size
        if total + bytes_ > size * 1.05:
            continue
        copy = target / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, copy, follow_symlinks=False)
        files += 1
        total += bytes_
    if total < min(size * 0.95, LEAST):
        raise RuntimeError(f"only {total / 1e6:.0f} MB of files below {' and '.join(SOURCES)}, too few to measure on")
    return files, total


def command(*arguments: str, environment: c.Mapping[str, str] | None = None) -> str:
    """Run a command and return what it prints, stripped; raise with its standard error where it fails."""
    run = subprocess.run(arguments, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise RuntimeError(f"{' '.join(arguments)} exited {run.returncode}:\n{run.stdout[-4000:]}{run.stderr[-4000:]}")
    return run.stdout.strip()


def shell(script: str) -> str:
    """Run a line of bash in which the failure of any stage of a pipe counts."""
    return command("bash", "-c", f"set -euo pipefail; {script}")
