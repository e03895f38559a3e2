# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore mutated archives and manifests with the engine in this process, and see that each comes to a good end.

    python -m tests.support.fuzz SEED FIRST STEP CASES WORK

runs each STEP-th of CASES from FIRST on, and prints a JSON object: how many ended how, and what was wrong. A case is
made of its seed and its number alone. WORK is an empty directory; DRYDOCK_STATE_DIRECTORY must be set.
"""

from __future__ import annotations

import bz2
import collections
import contextlib
import gzip
import hashlib
import json
import lzma
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import traceback
import typing as t

from ansible_collections.drydock.volumes.plugins.module_utils._engine.bare import Source
from ansible_collections.drydock.volumes.plugins.module_utils._engine.client import Client, Connection
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import DrydockError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from ansible_collections.drydock.volumes.plugins.module_utils._engine.restore import Settings, restore, restore_archive
from tests.support import disks, mutations, records, trees
from tests.support.engine import Engine

HOST = "db1"
ID = "20261123T101502Z"
#: No file grows beyond this, in bytes: some mutations say that a file is larger than any disk.
LARGEST = 8 << 20
#: A case that takes longer than this hangs, in seconds.
PATIENCE = 60
#: So many findings of a worker are enough.
WRONG = 20
#: An error has no more lines than that.
LINES = 12

_TAR = ("--format=posix", "--xattrs", "--xattrs-include=*", "--acls", "--sparse", "--numeric-owner")
_NEW_TIMES = re.compile(r": mtime_ns 1[7-9]\d{17} -> 1[7-9]\d{17}$")
_BY_HAND = (
    "tar",
    "--xattrs",
    "--xattrs-include=*",
    "--numeric-owner",
    "--delay-directory-restore",
    "-xpf",
    "-",
)


def zstd(data: bytes) -> bytes:
    return subprocess.run(["zstd", "-q", "-1", "-c"], input=data, capture_output=True, check=True).stdout


WRITE: dict[str, t.Callable[[bytes], bytes]] = {
    "none": bytes,
    "zstd": zstd,
    "gzip": lambda data: gzip.compress(data, 1),
    "bzip2": bz2.compress,
    "xz": lambda data: lzma.compress(data, preset=0),
}
EXTENSIONS = {"none": ".tar", "zstd": ".tar.zst", "gzip": ".tar.gz"}


def make_tree(path: pathlib.Path) -> None:
    """A small tree with a bit of everything that headers can say."""
    (path / "folder").mkdir()
    (path / "folder" / "file").write_bytes(b"contents\n" * 300)
    (path / "folder" / ("long" * 60)).write_bytes(b"a long name")
    os.link(path / "folder" / "file", path / "hard link")
    os.symlink("folder/file", path / "symlink")
    os.symlink("/etc/passwd", path / "folder" / "outward")
    os.mkfifo(path / "fifo", 0o640)
    (path / "\n\udcff odd").write_bytes(b"x")
    with open(path / "sparse", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"amid")
    os.setxattr(path / "folder" / "file", "user.comment", b"a=b\nc\0d")
    os.setxattr(
        path / "folder", "system.posix_acl_default", trees.acl(user=7, group=5, other=0, users={70003: 6}, mask=7)
    )
    os.chown(path / "folder", 70001, 70002)
    os.chmod(path, 0o2751)
    for at, folders, files in os.walk(path, topdown=False):
        for name in (*folders, *files, "."):
            os.utime(os.path.join(at, name), ns=(1_500_000_000_123_456_789,) * 2, follow_symlinks=False)


class Rig:
    """A volume on a disk of its own, a directory beside it, and a repository."""

    def __init__(self, engine: Engine, disk: pathlib.Path, work: pathlib.Path) -> None:
        self.engine = engine
        self.client = Client(Connection())
        self.outer, self.data, self.victim = disk, disk / "data", disk / "victim"
        self.data.mkdir()
        self.victim.mkdir()
        (self.victim / "file").write_text("not the volume's")
        self.volume = engine.bind(self.data)
        self.repository = Directory(str(work / "repository"), read_only=True)
        self.folder = work / "repository" / HOST / self.volume
        self.folder.mkdir(parents=True)
        self.bare = work / "bare.tar"
        tree, self.by_hand = work / "tree", disk.parent / f"{disk.name}-by-hand"
        tree.mkdir()
        make_tree(tree)
        self.wanted = records.record(tree)
        self.tar = subprocess.run(["tar", *_TAR, "-C", tree, "-c", "."], check=True, capture_output=True).stdout
        self.entries = len(self.wanted)
        self.reset()
        mutations.aim(self.victim)
        self.around = self.surroundings()

    def reset(self) -> None:
        """Have the volume hold what it holds before each restore."""
        for entry in os.scandir(self.data):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        for name in os.listxattr(self.data):
            os.removexattr(self.data, name)
        (self.data / "old").mkdir()
        (self.data / "old" / "state").write_text("as before")
        os.chown(self.data, 1234, 4321)
        os.chmod(self.data, 0o751)
        os.utime(self.data, ns=(1_400_000_000_000_000_001,) * 2)
        self.before = records.record(self.data)

    def surroundings(self) -> list[str]:
        """All that is beside the volume."""
        return [line for line in records.record(self.outer) if not line.startswith('{"path":"data')]

    def manifest(self, archive: bytes, compression: str, entries: int) -> dict[str, t.Any]:
        """A manifest as our own backup writes it, for these bytes."""
        return {
            "format": 1, "id": ID, "host": HOST, "kind": "volume",
            "volume": {"name": self.volume, "driver": "local", "options": {}, "labels": {}, "scope": "local"},
            "archive": {
                "file": ID + EXTENSIONS[compression], "bytes": len(archive),
                "sha256": hashlib.sha256(archive).hexdigest(), "compression": compression, "encryption": None,
            },
            "content": {
                "bytes": 2700 + 11 + 1 + (1 << 20), "entries": entries, "allocated_bytes": 16384,
                "fingerprint": "0" * 32, "changed_while_read": [], "unreadable": [],
            },
            "consistency": {"quiesce": "none", "containers": [], "downtime_seconds": 0},
            "started_at": "2026-11-23T10:15:02Z", "finished_at": "2026-11-23T10:15:03Z",
            "engine": {"docker": "20.10.24", "drydock": "0.1.0", "tar": "1.34", "userns": False},
        }  # fmt: skip


class Case:
    """One mutation, made of its dice."""

    def __init__(self, rig: Rig, dice: random.Random) -> None:
        self.rig = rig
        self.what = dice.choices(("manifest", "backup", "archive"), (3, 4, 4))[0]
        self.compression = dice.choice(list(EXTENSIONS if self.what != "archive" else WRITE))
        self.strip = dice.choice((0, 0, 0, 1)) if self.what == "archive" else 0
        self.new = dice.random() < 0.05
        self.latest = dice.random() < 0.3
        self.check = dice.random() < 0.05
        for leftover in self.rig.folder.iterdir():
            leftover.unlink()
        how = "untouched" if self.what == "manifest" else dice.choices(("outside", "inside", "forged"), (4, 2, 6))[0]
        tar = rig.tar
        if how == "forged":
            tar = mutations.forged(dice, tar)
        elif how == "inside":
            tar = mutations.mangled(dice, tar)
        self.archive = WRITE[self.compression](tar)
        if how == "outside":
            self.archive = mutations.mangled(dice, self.archive)
        self.how = f"{self.what} {how} {self.compression}"
        rig.bare.write_bytes(self.archive)
        if self.what != "archive":
            self._publish(dice, tar)

    def _publish(self, dice: random.Random, tar: bytes) -> None:
        rig = self.rig
        entries = rig.entries
        if self.what == "backup" and dice.random() < 0.7:
            listed = subprocess.run(["tar", "-t"], input=tar, capture_output=True, check=False).stdout.count(b"\n")
            entries = listed + dice.choice((0, 0, 0, 0, 1, -1))
        manifest = rig.manifest(self.archive, self.compression, max(0, entries))
        data = json.dumps(manifest).encode()
        if self.what == "manifest":
            data = mutations.forged_manifest(dice, manifest)
        (rig.folder / f"{ID}.json").write_bytes(data)
        (rig.folder / f"{ID}{EXTENSIONS[self.compression]}").write_bytes(self.archive)

    def run(self) -> str:
        """Restore it. Return how it ended, in a word; raise AssertionError if that is bad."""
        rig = self.rig
        target = rig.engine.name() if self.new else rig.volume
        settings = Settings(when_not_empty="replace", stall_timeout=30, check=self.check)
        said = ""
        signal.alarm(PATIENCE)
        try:
            if self.what == "archive":
                source = Source.parse(str(rig.bare), None, self.strip)
                result = restore_archive(rig.client, source, target, settings=settings)
            else:
                result = restore(
                    rig.client,
                    rig.repository,
                    target,
                    host=HOST,
                    source=rig.volume,
                    backup="latest" if self.latest else ID,
                    settings=settings,
                )
            assert result.failures == []
        except DrydockError as error:
            said = str(error)
        finally:
            signal.alarm(0)
        differences = records.differences(rig.around, rig.surroundings())
        assert differences == [], f"written outside: {differences[:5]}"
        left = [name for name in os.listdir(rig.data) if name.startswith(".drydock")]
        assert left == [], f"left in the volume: {left}"
        if said:
            self._failed(said, target)
            return "refused"
        return "predicted" if self.check else self._succeeded(target)

    def _failed(self, said: str, target: str) -> None:
        rig = self.rig
        places = (target, rig.volume, str(rig.bare), rig.repository.root)
        assert any(place in said for place in places), f"names nothing: {said}"
        assert said.count("\n") < LINES, f"{said.count(chr(10))} lines: {said[:2000]}"
        assert len(said) < 4000, f"{len(said)} characters: {said[:2000]}"
        assert "Traceback" not in said
        assert said.isprintable() or not set(said) & set("\0\x1b"), f"control characters: {said!r}"
        assert not self.new or target not in rig.engine.names(), f"the volume {target} was left: {said}"
        differences = records.differences(rig.before, records.record(rig.data))
        assert differences == [], f"the volume isn't as it was: {differences[:5]}"

    def _succeeded(self, target: str) -> str:
        rig = self.rig
        path = rig.engine.path(target) if self.new else rig.data
        found = records.record(path)
        if self.new:
            rig.engine.remove(target)
        else:
            rig.reset()
        if records.differences(rig.wanted, found) == []:
            return "identical"
        assert self.what != "manifest", f"another tree: {records.differences(rig.wanted, found)[:5]}"
        self._as_by_hand(found)
        return "as by hand"

    def _as_by_hand(self, found: list[str]) -> None:
        """Compare with what the two commands of the README make of the archive.

        A backup of ours has its ACLs as xattrs, and a forged text that says something else doesn't count. Of an archive
        of others that was forged to say one thing as xattrs and in its headers, and another as text, either will do.
        """
        ways = [["--acls"], []] if self.what == "archive" else [[]]
        differences = [self._by_hand(found, way) for way in ways]
        assert [] in differences, f"another tree than by hand: {differences[0][:5]}"

    def _by_hand(self, found: list[str], options: list[str]) -> list[str]:
        """The differences to what tar makes of the archive with these options."""
        place = self.rig.by_hand
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        before = os.stat(place)
        data = self.rig.bare.read_bytes()
        if self.compression != "none":
            program = [self.compression, "--decompress", "--stdout"]
            data = subprocess.run(program, input=data, check=True, capture_output=True).stdout
        if self.strip:
            options = [*options, f"--strip-components={self.strip}"]
        done = subprocess.run(
            [*_BY_HAND, "-C", place, *options],
            input=data,
            check=False,
            capture_output=True,
            env={**os.environ, "LC_ALL": "C"},
        )
        assert done.returncode == 0, f"by hand it fails: {done.stderr!r}"
        root = os.stat(place)
        for left in place.glob(".drydock-staging-*"):
            subprocess.run(["rm", "-rf", left], check=True)
        os.utime(place, ns=(root.st_atime_ns, root.st_mtime_ns))
        expected = records.record(place)
        now = os.stat(place)
        if self.strip or (now.st_mode, now.st_uid, now.st_gid) == (before.st_mode, before.st_uid, before.st_gid):
            expected[0] = found[0]  # tar wasn't told what the root is like
        # the times of directories that have no member are those of the extraction
        return [line for line in records.differences(expected, found) if not _NEW_TIMES.search(line)]


def main(seed: int, first: int, step: int, cases: int, work: pathlib.Path) -> dict[str, t.Any]:
    """Run the cases, and say how they ended."""
    ends: collections.Counter[str] = collections.Counter()
    wrong: list[str] = []
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(disks.mounted(work, 64, options=disks.EXT4))
        (disk / "lost+found").rmdir()
        engine = stack.enter_context(Engine())
        rig = Rig(engine, disk, work)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LARGEST, LARGEST))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        signal.signal(signal.SIGALRM, _late)
        for number in range(first, cases, step):
            case = Case(rig, random.Random(f"{seed}-{number}"))
            try:
                ends[f"{case.what} {case.run()}"] += 1
            except Exception:  # whatever it is, it is a finding
                kept = f"{seed}-{number}"
                wrong.append(f"case {kept} ({case.how}, strip {case.strip}): {traceback.format_exc()}")
                _keep(rig, kept)
                rig.reset()
                if len(wrong) >= WRONG:
                    break
    return {"ends": dict(ends), "wrong": wrong}


def _keep(rig: Rig, name: str) -> None:
    """Copy what a case was made of to where DRYDOCK_FUZZ_KEEP says."""
    keep = os.environ.get("DRYDOCK_FUZZ_KEEP")
    if keep:
        shutil.copy(rig.bare, os.path.join(keep, f"{name}.tar"))
        for file in rig.folder.iterdir():
            shutil.copy(file, os.path.join(keep, f"{name}-{file.name}"))


def _late(_number: int, _frame: object) -> t.NoReturn:
    raise AssertionError(f"takes more than {PATIENCE} seconds")


if __name__ == "__main__":
    print(json.dumps(main(*map(int, sys.argv[1:5]), pathlib.Path(sys.argv[5]))))
