# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy elsewhere, beside ``rclone copy`` of the same file; a stream there, beside a backup that is copied then."""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import shutil
import statistics
import subprocess

from tests.support import remotes

from . import harness
from .harness import Contestant
from .host import command, open_host
from .registry import Bar, Options, benchmark

# The first one of each is what the others are compared with.
HABIT = "rclone copy of the archive"
OURS = "drydock.volumes, a copy of the backup"
THEN = "drydock.volumes, a directory, then a copy"
STREAM = "drydock.volumes, straight to the remote"
# What can't be compressed, so that the archive is as large as the data.
CHUNK = 1 << 20


@benchmark("upload")
def upload(options: Options) -> c.Sequence[Bar]:
    """Measure over the loopback, to an OpenSSH server that checks what arrived, print the tables, return the bar of
    issue 7.

    The bar is on the copy's own time, as the module returns it: from the lock to the manifest's name, with the upload
    and its verification. A task's start is there once for any number of copies. The table shows the whole processes.
    """
    with open_host() as host, remotes.sftp(host.scratch) as storage:
        assert storage.directory is not None
        elsewhere, local = storage.directory, host.scratch / "local"
        rclone = remotes.Rclone(host.scratch)
        rclone.add(storage.section("off"))
        os.environ["PATH"] = f"{rclone.program.parent}:{os.environ['PATH']}"
        harness.progress(f"writing {options.size / 1e6:.0f} MB of noise into a volume")
        data = host.create_volume("data")
        with (data / "noise").open("wb") as file:
            for _chunk in range(options.size // CHUNK):
                file.write(os.urandom(CHUNK))
        common = {"volumes": [host.volume("data")], "host": "bench", "compression": "none"}
        copies = {"copies": [{"repository": f"off:{storage.path}"}], "rclone_config": str(rclone.config)}
        host.module("docker_volume_backup", {**common, "repository": str(local)})
        (archive,) = local.rglob("*.tar")
        scratch = host.scratch / "again"
        own: list[float] = []

        def clear() -> None:
            for directory in (*elsewhere.iterdir(), scratch):
                shutil.rmtree(directory, ignore_errors=True)
            subprocess.run(["sync"], check=True)

        def warm() -> None:
            clear()
            harness.read_all(archive)
            harness.read_all(data)

        def habit() -> None:
            rclone.run("copy", archive, f"off:{elsewhere}/habit")

        def ours() -> None:
            again = {**common, **copies, "repository": str(local), "skip_unchanged": True}
            own.append(host.module("docker_volume_backup", again)["copies"][0]["seconds"])

        def stream() -> None:
            remote = {"repository": f"off:{storage.path}", "rclone_config": str(rclone.config)}
            host.module("docker_volume_backup", {**common, **remote})

        def then() -> None:
            host.module("docker_volume_backup", {**common, **copies, "repository": str(scratch)})

        copied = [Contestant(HABIT, warm, habit, clear), Contestant(OURS, warm, ours, clear)]
        streamed = [Contestant(THEN, warm, then, clear), Contestant(STREAM, warm, stream, clear)]
        harness.interleave("upload", [*copied, *streamed], options.rounds)
        version = command(str(rclone.program), "version").splitlines()[0]
        size = pathlib.Path(archive).stat().st_size
    print(f"\n{harness.machine()}, {version}")
    print(f"one file of {size / 1e6:.0f} MB over SFTP on the loopback; {options.rounds} rounds, interleaved\n")
    for job, contestants in (("copy", copied), ("backup", streamed)):
        for line in harness.rows(job, contestants, size / 1e6):
            print(line)
    print("\nAll of them have the server take the checksum of what arrived.")
    print(f"The copy alone, without the start of a task and the look at what is there: {statistics.median(own):.2f} s")
    ratio, streams = statistics.median(own) / copied[0].median, streamed[1].median / streamed[0].median
    return [
        Bar("upload: time of a copy / time of rclone copy", ratio, 1.15, at_least=False),
        Bar("upload: time of a stream / time of a directory, then a copy", streams, 1, at_least=False),
    ]
