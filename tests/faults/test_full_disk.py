# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F03, F11: file systems without room, without inodes, read-only, or gone in the middle. What was there stays as it
was, byte for byte, and nothing half-done stays beside it."""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import os
import pathlib
import signal
import subprocess

import pytest

from tests.faults.conftest import SLOW
from tests.support import disks, records
from tests.support.engine import Engine
from tests.support.modules import Answer, Modules
from tests.support.processes import children, wait_for

BACKUP, RESTORE = "docker_volume_backup", "docker_volume_restore"
HOST = "db1"
BLOCK = 4096
FULL = "No space left on device"
# what GNU tar says in its place where a part of a block could be written
SHORT = "Wrote only"

BREAKING = pytest.mark.parametrize(
    ("breaking", "said"),
    [(disks.make_read_only, "Read-only file system"), (disks.unplug, "Input/output error")],
    ids=["read-only", "gone"],
)


SMALL = (*disks.EXT4, "-N", "256")


@pytest.fixture
def disk(work: pathlib.Path) -> c.Iterator[pathlib.Path]:
    """A disk of 16 MiB with 256 inodes."""
    with disks.mounted(work, 16, options=SMALL) as made:
        yield made


@contextlib.contextmanager
def small_folder(work: pathlib.Path, repository: pathlib.Path, volume: str) -> c.Iterator[pathlib.Path]:
    """A repository in which one volume's folder is such a disk, and the others' aren't."""
    (repository / HOST / volume).mkdir(parents=True)
    image = disks.make(work / "folder.img", 16, options=SMALL)
    with disks.attached(image, repository / HOST / volume) as point:
        yield point


def noise(engine: Engine, megabytes: float) -> str:
    """A volume with a file that no compressor makes smaller."""
    volume = engine.volume()
    (engine.path(volume) / "noise").write_bytes(os.urandom(int(megabytes * (1 << 20))))
    return volume


def held(repository: pathlib.Path) -> dict[str, bytes]:
    """The contents of every file in a repository."""
    return {str(path.relative_to(repository)): path.read_bytes() for path in repository.rglob("*") if path.is_file()}


def failure(answer: Answer, volume: str) -> str:
    """The error of the only volume that failed."""
    assert answer["failed"], answer
    assert "Traceback" not in str(answer) + answer.stderr
    assert "failures" in answer, answer["msg"]
    assert [each["volume"] for each in answer["failures"]] == [volume]
    error = str(answer["failures"][0]["error"])
    assert error in answer["msg"]
    return error


def still_restores(engine: Engine, modules: Modules, volume: str, repository: pathlib.Path, backup: str) -> None:
    """Restore a backup of a volume that is as it was, and compare."""
    target = engine.volume()
    modules.restore(target, source_volume=volume, repository=str(repository), host=HOST, backup=backup)
    before, after = records.record(engine.path(volume)), records.record(engine.path(target))
    assert records.differences(before, after) == []
    engine.remove(target)


def test_f03_the_disk_fills_amid_the_archive(engine: Engine, modules: Modules, disk: pathlib.Path) -> None:
    small, large, repository = noise(engine, 1), noise(engine, 24), disk / "repository"
    options = {"repository": str(repository), "host": HOST}
    first = modules.backup(small, **options)["backups"][0]
    before = held(repository)

    answer = modules.run(BACKUP, volumes=[large, small], **options)

    error = failure(answer, large)
    assert f"{repository}/{HOST}/{large}/" in error
    assert FULL in error
    assert "earlier backups are untouched" in error
    # what the failed one took is free again: the next volume of the same run has room
    second = answer["backups"][0]
    assert [made["volume"]["name"] for made in answer["backups"]] == [small]
    after = held(repository)
    added = {pathlib.Path(name).name for name in after.keys() - before.keys()}
    assert added == {".lock", f"{second['id']}.json", f"{second['id']}.tar.zst"}
    assert {name: after[name] for name in before} == before
    for made in (first, second):
        still_restores(engine, modules, small, repository, made["id"])


@pytest.mark.parametrize("what", ["blocks", "inodes"])
def test_f03_the_archive_fits_and_its_manifest_does_not(
    engine: Engine, modules: Modules, work: pathlib.Path, what: str
) -> None:
    volume, other, repository = noise(engine, 2), noise(engine, 0.1), work / "repository"
    options = {"repository": str(repository), "host": HOST, "compression": "none"}
    with small_folder(work, repository, volume) as folder:
        first = modules.backup(volume, **options)["backups"][0]
        if what == "blocks":
            disks.fill(folder, left=-(-first["archive"]["bytes"] // BLOCK))
        else:
            disks.fill_inodes(folder, left=1)
        before = held(folder)

        answer = modules.run(BACKUP, volumes=[volume, other], **options)

        error = failure(answer, volume)
        assert str(folder) in error
        assert FULL in error
        assert f"after {first['archive']['bytes']} bytes" in error  # the whole archive was there
        assert held(folder) == before
        assert [made["volume"]["name"] for made in answer["backups"]] == [other]
        still_restores(engine, modules, other, repository, "latest")
        still_restores(engine, modules, volume, repository, first["id"])

        # with as little room as one more block, or one more inode, for the manifest, the next run succeeds
        disks.unfill(folder)
        if what == "blocks":
            disks.fill(folder, left=-(-first["archive"]["bytes"] // BLOCK) + 1)
        else:
            disks.fill_inodes(folder, left=2)
        second = modules.backup(volume, **options)["backups"][0]
        disks.unfill(folder)
        still_restores(engine, modules, volume, repository, second["id"])


@pytest.mark.parametrize("left", range(4))
def test_f03_no_inode_is_left(engine: Engine, modules: Modules, disk: pathlib.Path, left: int) -> None:
    volume, new, repository = noise(engine, 1), noise(engine, 1), disk / "repository"
    options = {"repository": str(repository), "host": HOST}
    first = modules.backup(volume, **options)["backups"][0]
    before = held(repository)

    # with none left its archive is refused, or the new volume's folder; with one its lock; with two its archive; …
    disks.fill_inodes(disk, left=left)
    answer = modules.run(BACKUP, volumes=[new], **options)
    error = failure(answer, new)
    assert f"{repository}/{HOST}/{new}" in error
    assert FULL in error
    assert answer["backups"] == []
    assert {pathlib.Path(name).name for name in held(repository).keys() - before.keys()} <= {".lock"}

    disks.unfill(disk)
    disks.fill_inodes(disk, left=0)
    before = held(repository)
    error = failure(modules.run(BACKUP, volumes=[volume], **options), volume)
    assert f"{repository}/{HOST}/{volume}" in error
    assert FULL in error
    assert held(repository) == before
    still_restores(engine, modules, volume, repository, first["id"])


def test_f03_the_file_system_is_read_only(
    engine: Engine, modules: Modules, work: pathlib.Path, disk: pathlib.Path
) -> None:
    volume, repository = noise(engine, 1), disk / "repository"
    options = {"repository": str(repository), "host": HOST}
    first = modules.backup(volume, **options)["backups"][0]
    before = held(repository)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    for check in (True, False):
        message = modules.refused(BACKUP, volumes=[volume], check=check, **options)
        assert f"repository {repository} can't be written" in message
        assert "read-only file system" in message
    assert held(repository) == before
    still_restores(engine, modules, volume, repository, first["id"])


def test_f03_one_volumes_folder_is_read_only(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, other, repository = noise(engine, 1), noise(engine, 1), work / "repository"
    options = {"repository": str(repository), "host": HOST}
    with small_folder(work, repository, volume) as folder:
        first = modules.backup(volume, **options)["backups"][0]
        before = held(folder)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        answer = modules.run(BACKUP, volumes=[volume, other], **options)
        error = failure(answer, volume)
        assert str(folder) in error
        assert "Read-only file system" in error
        assert [made["volume"]["name"] for made in answer["backups"]] == [other]
        assert held(folder) == before
        still_restores(engine, modules, volume, repository, first["id"])
        still_restores(engine, modules, other, repository, "latest")


@BREAKING
def test_f03_the_file_system_breaks_amid_the_archive(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    breaking: c.Callable[[pathlib.Path], None],
    said: str,
) -> None:
    volume, other, repository = noise(engine, 5), noise(engine, 0.1), work / "repository"
    options = {"repository": str(repository), "host": HOST}
    with small_folder(work, repository, volume) as folder:
        first = modules.backup(volume, **options)["backups"][0]
        before = held(folder)
        subprocess.run(["sync", "--file-system", folder], check=True)
        process = modules.start(BACKUP, volumes=[volume, other], **options, **SLOW)
        wait_for(lambda: any(path.stat().st_size for path in folder.glob(".*.partial")), "the archive's first bytes")
        breaking(folder)
        answer = modules.finish(process)

    # what can't be written can't be removed either: it is what the repaired disk still has
    error = failure(answer, volume)
    assert str(folder) in error
    assert said in error
    assert "the partial file is removed" not in error
    assert [made["volume"]["name"] for made in answer["backups"]] == [other]
    still_restores(engine, modules, other, repository, "latest")
    disks.repair(work / "folder.img")
    with disks.attached(work / "folder.img", folder):
        assert before.items() <= held(folder).items()
        still_restores(engine, modules, volume, repository, first["id"])
        second = modules.backup(volume, **options)["backups"][0]
        names = {f"{made['id']}{end}" for made in (first, second) for end in (".json", ".tar.zst")}
        assert held(folder).keys() == {".lock", *names}
        assert {name: held(folder)[name] for name in before} == before


# What a restore finds too small. F11: the volume is byte for byte what it was.


@pytest.fixture
def source(engine: Engine) -> str:
    """A volume with a file of 24 MiB and 500 small ones."""
    volume = noise(engine, 24)
    for number in range(500):
        (engine.path(volume) / f"small-{number}").write_bytes(b"%d" % number)
    return volume


class Small:
    """A volume in a directory of a small disk, what it holds, and what of the disk is free."""

    def __init__(self, engine: Engine, disk: pathlib.Path) -> None:
        self.disk = disk
        self.path = disk / "data"
        self.path.mkdir(mode=0o750)
        self.volume = engine.bind(self.path)

    def settle(self) -> None:
        """Take what there is now for what must still be there after a failure."""
        os.chown(self.path, 4321, 4321)
        os.setxattr(self.path, "user.note", b"the root's own")
        os.utime(self.path, ns=(1_600_000_000_000_000_001,) * 2)
        self._before, self._free = records.record(self.path), self._now()

    def is_as_it_was(self) -> bool:
        """Whether not a byte, attribute, block or inode is different."""
        disks.unfill(self.disk)
        assert records.differences(self._before, records.record(self.path)) == []
        assert not any(self.path.glob(".drydock-*"))
        assert self._now() == self._free
        return True

    def _now(self) -> tuple[int, int]:
        subprocess.run(["sync", "--file-system", self.disk], check=True)
        facts = os.statvfs(self.disk)
        return facts.f_bavail, facts.f_favail


@contextlib.contextmanager
def small(
    engine: Engine, work: pathlib.Path, megabytes: int, options: c.Sequence[str] = disks.EXT4, *, holding: str = ""
) -> c.Iterator[Small]:
    """Such a volume; it has a few files if it is ``holding`` some."""
    with disks.mounted(work, megabytes, options=options) as disk:
        made = Small(engine, disk)
        for number in range(30 if holding else 0):
            (made.path / f"{holding}-{number}").write_text(f"{number}")
        made.settle()
        yield made


def forget_size(repository: str) -> None:
    """Have the manifests not say what the files take on disk, as those of an older version."""
    for path in pathlib.Path(repository).rglob("*.json"):
        stored = json.loads(path.read_text())
        del stored["content"]["allocated_bytes"]
        path.write_text(json.dumps(stored))


@pytest.mark.parametrize("check", [True, False], ids=["check", "real"])
@pytest.mark.parametrize(
    ("megabytes", "options"), [(16, disks.EXT4), (64, SMALL)], ids=["no room for the large file", "no inodes"]
)
def test_f11_a_bind_volume_is_too_small(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    source: str,
    megabytes: int,
    options: c.Sequence[str],
    check: bool,
) -> None:
    repository = str(work / "repository")
    (made,) = modules.backup(source, repository=repository)["backups"]
    with small(engine, work, megabytes, options) as target:
        facts = os.statvfs(target.disk)
        message = modules.refused(
            RESTORE, volume=target.volume, source_volume=source, repository=repository, check=check
        )
        assert f"volume {target.volume}" in message
        if options is SMALL:
            assert f"holds {made['content']['entries']} files and directories, and" in message
            assert f"has {facts.f_favail} inodes free" in message
        else:
            assert f"take {made['content']['allocated_bytes']} bytes on disk, and" in message
            assert f"has {facts.f_bavail * facts.f_frsize} bytes free" in message
        assert "nothing was changed" in message
        assert "staging: false" not in message  # there is nothing to remove
        assert target.is_as_it_was()


@pytest.mark.parametrize("replacing", [False, True], ids=["into an empty one", "in place of a tree"])
def test_f11_the_disk_fills_while_tar_extracts(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, replacing: bool
) -> None:
    repository = str(work / "repository")
    modules.backup(source, repository=repository)
    forget_size(repository)
    with small(engine, work, 16, holding="old" if replacing else "") as target:
        container = engine.run(target.volume) if replacing else None
        target.settle()
        started = engine.started_at(container) if container else None
        options = {"when_not_empty": "replace", "quiesce": "stop"} if replacing else {}
        for _time in range(2):
            message = modules.refused(
                RESTORE, volume=target.volume, source_volume=source, repository=repository, **options
            )
            assert f"volume {target.volume}" in message
            assert FULL in message or SHORT in message
            assert "what was extracted is removed, the volume is as it was" in message
            assert target.is_as_it_was()
        if container:
            assert (engine.state(container), engine.started_at(container)) == ("running", started)


@pytest.mark.parametrize("replacing", [False, True], ids=["into an empty one", "in place of a tree"])
@pytest.mark.parametrize("what", ["blocks", "inodes"])
def test_f11_somebody_fills_the_disk_while_tar_extracts(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, what: str, replacing: bool
) -> None:
    repository = str(work / "repository")
    for number in range(3000):
        (engine.path(source) / f"more-{number}").write_bytes(b"%d" % number)
    modules.backup(source, repository=repository)
    with small(engine, work, 64, (*disks.EXT4, "-N", "8192"), holding="old" if replacing else "") as target:
        container = engine.run(target.volume) if replacing else None
        target.settle()
        started = engine.started_at(container) if container else None
        options = {"when_not_empty": "replace", "quiesce": "stop"} if replacing else {}
        process = modules.start(RESTORE, volume=target.volume, source_volume=source, repository=repository, **options)
        wait_for(lambda: any(target.path.glob(".drydock-staging-*/new/*")), "the first file")
        with still(process.pid, "tar"):
            (disks.fill if what == "blocks" else disks.fill_inodes)(target.disk)
        answer = modules.finish(process)
        assert answer["failed"], answer
        assert FULL in answer["msg"] or SHORT in answer["msg"]
        assert "the volume is as it was" in answer["msg"]
        assert target.is_as_it_was()
        if container:
            assert (engine.state(container), engine.started_at(container)) == ("running", started)


# When it gets its stop signal it waits for the test: what it is told to do then comes before the first rename.
PATIENT = (
    "trap 'touch /v2/asked; while [ ! -e /v2/go ]; do sleep 0.05; done; exit 0' TERM; while :; do sleep 0.05; done"
)
LONG = "n" * 240


@pytest.mark.parametrize("left", [0, 1, 5, 8, 60])
def test_f11_the_disk_fills_before_the_renames(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, left: int
) -> None:
    """Directories can't grow, so that not all entries can be renamed into them: out of the root, or into it."""
    repository = str(work / "repository")
    for number in range(200):
        (engine.path(source) / f"{LONG}-{number}").write_text("new")
    modules.backup(source, repository=repository)
    new = records.record(engine.path(source))
    (work / "signs").mkdir()
    with small(engine, work, 64) as target:
        for number in range(60):
            (target.path / f"{LONG}-old-{number}").write_text("old")
        container = engine.run(target.volume, str(work / "signs"), command=["sh", "-c", PATIENT], init=False)
        target.settle()
        process = modules.start(
            RESTORE,
            volume=target.volume,
            source_volume=source,
            repository=repository,
            when_not_empty="replace",
            quiesce="stop",
        )
        wait_for((work / "signs" / "asked").exists, "the stop signal")
        disks.fill(target.disk, left=left)
        (work / "signs" / "go").touch()
        answer = modules.finish(process)
        assert engine.state(container) == "running"
        if left < 60:
            assert FULL in answer["msg"]
            assert "it is removed, the volume is as it was" in answer["msg"]
            assert target.is_as_it_was()
        else:
            assert not answer.get("failed"), answer
            disks.unfill(target.disk)
            assert records.differences(new, records.record(target.path)) == []
        assert not list((work / "state").rglob("*.json"))


@contextlib.contextmanager
def still(pid: int, program: str) -> c.Iterator[None]:
    """Have a child process of ``pid`` do nothing meanwhile."""
    (child,) = [number for number, name in children(pid).items() if name == program]
    os.kill(child, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(child, signal.SIGCONT)


def test_f11_a_device_is_too_small(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    repository, image = str(work / "repository"), disks.make(work / "device.img", 64)
    with disks.device(image) as device:
        volume = engine.volume(type="ext4", device=device)
        with disks.attached(device, work / "look") as point:
            subprocess.run(["cp", "-a", f"{engine.path(source)}/.", point], check=True)
        made = modules.backup(volume, repository=repository)["backups"][0]
        assert made["content"]["bytes"] > 24 << 20
        # a new file system of 16 MiB on the same device
        subprocess.run(["mkfs.ext4", "-q", "-F", *disks.EXT4, device, "4096"], check=True)
        with disks.attached(device, work / "look") as point:
            before = records.record(point)

        def refused(*said: str, there: bool) -> None:
            message = modules.refused(RESTORE, volume=volume, repository=repository)
            for text in (f"volume {volume}", *said):
                assert text in message
            assert (volume in engine.names()) == there
            with disks.attached(device, work / "look") as point:
                assert records.differences(before, records.record(point)) == []

        # into a volume that is there, and into one that the restore makes for itself
        told = f"take {made['content']['allocated_bytes']} bytes on disk"
        refused(told, "nothing was changed", there=True)
        forget_size(repository)
        refused("tar exited 2", "what was extracted is removed", there=True)
        engine.remove(volume)
        refused("tar exited 2", "what was extracted is removed", there=False)


@BREAKING
def test_f11_the_disk_breaks_amid_the_restore(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    source: str,
    breaking: c.Callable[[pathlib.Path], None],
    said: str,
) -> None:
    repository, image = str(work / "repository"), disks.make(work / "broken.img", 64)
    modules.backup(source, repository=repository)
    with disks.attached(image, work / "broken") as disk:
        target = engine.bind(disk)
        subprocess.run(["sync", "--file-system", disk], check=True)
        process = modules.start(RESTORE, volume=target, source_volume=source, repository=repository)
        wait_for(lambda: any(disk.glob(".drydock-staging-*/*")), "the first file")
        breaking(disk)
        answer = modules.finish(process)
    assert answer["failed"]
    assert f"volume {target}" in answer["msg"]
    assert said in answer["msg"]
    assert "unforeseen" not in answer["msg"]
    assert "Traceback" not in str(answer) + answer.stderr

    # what couldn't be removed is no file of the volume's, and in nobody's way
    disks.repair(image)
    with disks.attached(image, work / "broken") as disk:
        assert [name for name in os.listdir(disk) if not name.startswith(".drydock-staging-")] == ["lost+found"]
        modules.restore(target, source_volume=source, repository=repository)
        before, after = records.record(engine.path(source)), records.record(disk)
        assert [line for line in records.differences(before, after) if "lost+found" not in line] == []
        assert not any(disk.glob(".drydock-staging-*"))
        engine.remove(target)
