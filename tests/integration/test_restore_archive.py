# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores from an archive without a manifest: those that tar in a container and the tools around it made, and ours."""

from __future__ import annotations

import collections.abc as c
import hashlib
import io
import os
import pathlib
import subprocess
import tarfile

import docker
import pytest

from tests.integration.test_encryption import keys
from tests.support import disks, records, trees
from tests.support.engine import Engine
from tests.support.modules import Answer, Modules

RESTORE = "docker_volume_restore"
FILTERS = {"gz": "gzip", "bz2": "bzip2", "xz": "xz", "zst": "zstd", "tar": "cat"}


@pytest.fixture
def source(engine: Engine) -> str:
    """A volume with what every tar keeps: files, folders, links, owners, modes, and a root of its own."""
    volume = engine.volume()
    path = engine.path(volume)
    (path / "links").mkdir()
    (path / "links" / "one").write_text("one inode, two names")
    os.link(path / "links" / "one", path / "links" / "two")
    os.symlink("/etc/passwd", path / "links" / "absolute")
    trees.make_modes(path / "modes")
    (path / "state").write_bytes(b"state\n" * 10_000)
    (path / "lost+found").mkdir()
    for at, entries, files in os.walk(path, topdown=False):
        for name in (*entries, *files):
            os.utime(os.path.join(at, name), (1_600_000_000, 1_600_000_000), follow_symlinks=False)
    os.chown(path, 999, 998)
    os.chmod(path, 0o2750)
    os.utime(path, (1_500_000_000, 1_500_000_000))
    return volume


def in_a_container(engine: Engine, volume: str, out: pathlib.Path, *command: str) -> None:
    """Have a container that has the volume at /v and ``out`` at /v2 run a command."""
    container = engine.run(volume, str(out), command=command)
    assert engine.api.wait(container)["StatusCode"] == 0, engine.api.logs(container)


def by_gnu_tar(path: pathlib.Path, archive: pathlib.Path, program: str, *options: str) -> pathlib.Path:
    """Have GNU tar make an archive of a directory, through a program that compresses."""
    command = f'set -o pipefail; out=$1; shift; tar "$@" | {program} > "$out"'
    whole = ["bash", "-c", command, "bash", str(archive), *(options or ("-C", str(path), "-c", "."))]
    subprocess.run(whole, check=True, capture_output=True)
    return archive


def same(engine: Engine, volume: str, other: str) -> list[str]:
    """What differs between two volumes."""
    return records.differences(records.record(engine.path(volume)), records.record(engine.path(other)))


def members(engine: Engine, volume: str) -> tuple[int, int]:
    """How many entries a volume has, and the sum of its files' sizes."""
    found = {path.lstat().st_ino: path.lstat() for path in engine.path(volume).rglob("*") if path.is_file()}
    sizes = sum(facts.st_size for path, facts in found.items())
    return 1 + sum(1 for _path in engine.path(volume).rglob("*")), sizes


@pytest.mark.parametrize("compression", FILTERS)
def test_every_compression_whatever_the_name(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, compression: str
) -> None:
    archive = by_gnu_tar(engine.path(source), work / "dump.tgz", FILTERS[compression])
    target = engine.name()
    answer = modules.restore(target, archive=str(archive))
    assert same(engine, source, target) == []
    assert (answer["backup"], answer["host"], answer["archive"]) == (None, None, str(archive))
    assert (answer["created"], answer["changed"], answer.get("warnings", [])) == (True, True, [])
    assert answer["entries"] == members(engine, target)[0]
    made = engine.inspect(target)
    assert (made["Driver"], made["Options"] or {}, made["Labels"] or {}) == ("local", {}, {})


@pytest.mark.parametrize(
    ("command", "strip", "suggested"),
    [
        (("tar", "czf", "/v2/a.tar.gz", "/v"), 1, 1),  # docker run -v pgdata:/v alpine tar czf /v2/a.tar.gz /v
        (("tar", "czf", "/v2/a.tar.gz", "-C", "/", "v"), 1, 1),
        (("tar", "czf", "/v2/a.tar.gz", "-C", "/", "./v"), 2, 2),
        (("tar", "czf", "/v2/a.tar.gz", "-C", "/v", "."), 0, None),
        (("tar", "cjf", "/v2/a.tar.gz", "-C", "/v", "."), 0, None),
    ],
    ids=["/v", "v", "./v", ".", "bzip2"],
)
def test_what_tar_in_a_container_made(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    source: str,
    command: tuple[str, ...],
    strip: int,
    suggested: int | None,
) -> None:
    in_a_container(engine, source, work, *command)
    options = {"archive": str(work / "a.tar.gz")}
    target = engine.volume()
    answer = modules.restore(target, strip_components=strip, **options)
    assert "warnings" not in answer
    # it holds the volume's own directory, so that comes back too
    assert same(engine, source, target) == []

    other = engine.name()
    answer = modules.restore(other, **options)
    said = str(answer.get("warnings", ""))
    assert (f"strip_components: {suggested} may be meant" in said) == (suggested is not None), said
    assert ("may be meant" in said) == (suggested is not None), said
    assert (engine.path(other) / "v" / "state").exists() == (suggested is not None)


def test_what_offen_and_loomchild_made(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    path = engine.path(source)
    # offen/docker-volume-backup: Go's archive/tar, absolute names, no entry for what is above
    with tarfile.open(work / "offen.tar.gz", "w:gz", format=tarfile.PAX_FORMAT) as made:
        made.add(path, "/backup/data")
        for member in made.getmembers():
            assert not member.name.startswith("..")
    absolute = work / "absolute.tar.gz"
    with tarfile.open(work / "offen.tar.gz") as made, tarfile.open(absolute, "w:gz") as again:
        for member in made:
            content = made.extractfile(member) if member.isreg() else None
            member.name = f"/{member.name}"
            member.linkname = f"/{member.linkname}" if member.islnk() else member.linkname
            again.addfile(member, content)
    # loomchild/volume-backup: tar -C /volume -cj ./
    by_gnu_tar(path, work / "loomchild.tar.bz2", "bzip2", "-C", str(path), "-c", "./")
    for name, strip in (("offen.tar.gz", 2), ("absolute.tar.gz", 2), ("loomchild.tar.bz2", 0)):
        target = engine.volume()
        answer = modules.restore(target, archive=str(work / name), strip_components=strip)
        assert "warnings" not in answer, name
        assert same(engine, source, target) == [], name
        assert answer["entries"] == members(engine, target)[0]


def test_without_an_entry_for_the_root_it_stays_as_it_was(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str
) -> None:
    path = engine.path(source)
    archive = by_gnu_tar(path, work / "a.tar", "cat", "-C", str(path), "-c", *sorted(os.listdir(path)))
    target = engine.volume()
    root = engine.path(target)
    os.chown(root, 70, 71)
    os.chmod(root, 0o1711)
    os.setxattr(root, "user.kept", b"yes")
    os.utime(root, ns=(1_400_000_000_000_000_003,) * 2)
    modules.restore(target, archive=str(archive))
    facts = os.stat(root)
    assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) == (70, 71, 0o1711)
    assert facts.st_mtime_ns == 1_400_000_000_000_000_003
    assert os.getxattr(root, "user.kept") == b"yes"
    assert len(same(engine, source, target)) > 0
    os.removexattr(root, "user.kept")
    os.chown(root, 999, 998)
    os.chmod(root, 0o2750)
    os.utime(root, (1_500_000_000, 1_500_000_000))
    assert same(engine, source, target) == []


def encrypted(engine: Engine, modules: Modules, work: pathlib.Path, way: str) -> tuple[str, Answer, dict[str, object]]:
    volume = engine.volume()
    trees.make_nasty(engine.path(volume))
    encryption, decryption = keys(work, way)
    made = modules.backup(volume, repository=str(work / "r"), encryption=encryption)["backups"][0]
    return volume, made, decryption


@pytest.mark.parametrize("way", ["age", "gpg", "passphrase"])
def test_our_own_archive_encrypted(engine: Engine, modules: Modules, work: pathlib.Path, way: str) -> None:
    volume, made, decryption = encrypted(engine, modules, work, way)
    target = engine.volume()
    message = modules.refused(RESTORE, volume=target, archive=made["path"])
    assert "is encrypted with" in message
    answer = modules.restore(target, archive=made["path"], checksum=made["archive"]["sha256"], decryption=decryption)
    assert same(engine, volume, target) == []
    assert (answer["entries"], answer["bytes"]) == (made["content"]["entries"], made["content"]["bytes"])


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_our_own_archive(engine: Engine, modules: Modules, work: pathlib.Path, compression: str) -> None:
    volume, target = engine.volume(), engine.volume()
    trees.make_nasty(engine.path(volume))
    made = modules.backup(volume, repository=str(work / "r"), compression=compression)["backups"][0]
    answer = modules.restore(target, archive=made["path"], checksum=f"sha256:{made['archive']['sha256'].upper()}")
    assert same(engine, volume, target) == []
    assert (answer["entries"], answer["bytes"]) == (made["content"]["entries"], made["content"]["bytes"])


@pytest.mark.parametrize("rooted", [True, False], ids=["with root", "without root"])
def test_idempotence_and_check_mode(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, rooted: bool
) -> None:
    path = engine.path(source)
    names = ["."] if rooted else sorted(os.listdir(path))
    archive = by_gnu_tar(path, work / "a.tgz", "gzip", "-C", str(path), "-c", *names)
    target = engine.name()
    options = {"volume": target, "archive": str(archive), "diff": True}
    predicted = modules.run(RESTORE, check=True, **options)
    assert (predicted["changed"], predicted["created"], target in engine.names()) == (True, True, False)
    done = modules.run(RESTORE, **options)
    assert not done.get("failed"), done
    assert done["diff"] == predicted["diff"]
    assert (done["entries"], done["bytes"]) == (predicted["entries"], predicted["bytes"])
    assert "is not empty" in modules.refused(RESTORE, **options)
    before = records.record(engine.path(target)), os.stat(engine.path(target) / "state").st_ino
    for check in (True, False):
        again = modules.run(RESTORE, check=check, when_not_empty="replace", **options)
        assert not again.get("failed"), again
        assert not again["changed"]
        assert again["diff"]["before"] == again["diff"]["after"]
    assert (records.record(engine.path(target)), os.stat(engine.path(target) / "state").st_ino) == before
    (engine.path(target) / "state").write_text("of another time")
    for check in (True, False):
        assert modules.run(RESTORE, check=check, when_not_empty="replace", **options)["changed"]
    assert records.differences(before[0], records.record(engine.path(target))) == []


def test_acls_that_are_a_text_in_the_archive(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """GNU tar with --acls, and without --xattrs."""
    volume, target = engine.volume(), engine.volume()
    path = engine.path(volume)
    trees.make_acls(path / "acls")
    archive = by_gnu_tar(path, work / "a.tgz", "gzip", "--acls", "--format=posix", "-C", str(path), "-c", ".")
    assert b"SCHILY.xattr" not in subprocess.run(["gzip", "-dc", archive], check=True, capture_output=True).stdout
    modules.restore(target, archive=str(archive))
    assert same(engine, volume, target) == []


def test_acls_that_are_numbers_in_the_archive_too(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """With both, of a host where another user has the name."""
    volume, target = engine.volume(), engine.volume()
    (engine.path(volume) / "file").write_text("contents")
    subprocess.run(["setfacl", "--modify=user:daemon:rw", engine.path(volume) / "file"], check=True)
    options = ("--acls", "--xattrs", "--xattrs-include=*", "--format=posix", "-C", str(engine.path(volume)), "-c", ".")
    data = by_gnu_tar(engine.path(volume), work / "a.tar", "cat", *options).read_bytes()
    assert data.count(b"user:daemon:") == 1
    (work / "theirs.tar").write_bytes(data.replace(b"user:daemon:", b"user:nobody:"))
    modules.restore(target, archive=str(work / "theirs.tar"))
    before, after = records.record(engine.path(volume)), records.record(engine.path(target))
    assert records.differences(before, after) == []


def test_driver_options_and_labels(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    archive = by_gnu_tar(engine.path(source), work / "a.tgz", "gzip")
    (work / "ssd").mkdir()
    device = {"type": "none", "o": "bind", "device": str(work / "ssd")}
    target = engine.name()
    modules.restore(target, archive=str(archive), driver_options=device, labels={"tier": "ssd"})
    made = engine.inspect(target)
    assert (made["Options"], made["Labels"]) == (device, {"tier": "ssd"})
    assert records.differences(records.record(engine.path(source)), records.record(work / "ssd")) == []


def truncated(data: bytes) -> bytes:
    return data[: len(data) * 2 // 3]


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 0x10]) + data[middle + 1 :]


def without_end(data: bytes) -> bytes:
    """Cut between two members, which tar takes for a whole archive."""
    data = data.rstrip(b"\0")
    return data.ljust(-(-len(data) // 512) * 512, b"\0")


WRONG: dict[str, tuple[str, c.Callable[[bytes], bytes], str]] = {
    "gzip, cut": ("gz", truncated, "is damaged: gzip exited 1"),
    "bzip2, cut": ("bz2", truncated, "is damaged: bzip2 exited 2"),
    "xz, cut": ("xz", truncated, "is damaged: xz exited 1"),
    "zstd, cut": ("zst", truncated, "is damaged: zstd exited 1"),
    "tar, cut": ("tar", truncated, "a.tar"),
    "tar, cut between two members": ("tar", without_end, "it has no end"),
    "gzip, a bit": ("gz", flipped, "is damaged: "),
    "zstd, a bit": ("zst", flipped, "is damaged: zstd exited 1"),
    "nothing": ("tar", lambda _data: b"", "it has 0 bytes"),
    "only the end": ("tar", lambda _data: bytes(10240), "it is empty: it holds no file and no directory"),
    "no archive": ("tar", lambda _data: b"just text\n" * 1000, "is no tar archive"),
    "a short text": ("tar", lambda _data: b"x", "is no tar archive"),
}


@pytest.mark.parametrize(("compression", "damage", "said"), WRONG.values(), ids=WRONG)
def test_f10_a_damaged_archive(
    engine: Engine,
    modules: Modules,
    work: pathlib.Path,
    source: str,
    compression: str,
    damage: c.Callable[[bytes], bytes],
    said: str,
) -> None:
    archive = by_gnu_tar(engine.path(source), work / "a.tar", FILTERS[compression])
    archive.write_bytes(damage(archive.read_bytes()))
    target, new = engine.volume(), engine.name()
    (engine.path(target) / "kept").write_text("kept")
    before = records.record(engine.path(target))
    for volume in (target, new):
        for check in (True, False):
            message = modules.refused(
                RESTORE, volume=volume, archive=str(archive), when_not_empty="replace", check=check
            )
            assert f"archive {archive}" in message
            assert said in message
            assert "nothing was changed" in message
    assert records.differences(before, records.record(engine.path(target))) == []
    assert new not in engine.names()


def test_f10_another_checksum(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    archive = by_gnu_tar(engine.path(source), work / "a.tar", "gzip")
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    options = {"volume": engine.name(), "archive": str(archive)}
    for wrong in ("0" * 64, f"sha256:{'f' * 64}"):
        message = modules.refused(RESTORE, checksum=wrong, **options)
        assert f"its SHA-256 is {digest}, and checksum is" in message
        assert "nothing was changed" in message
    for wrong in ("", "md5:abc", digest[:-1], "/path/of/SHA256SUMS"):
        assert "is not a SHA-256" in modules.refused(RESTORE, checksum=wrong, **options)
    assert engine.names() == [source]
    modules.restore(options["volume"], archive=str(archive), checksum=digest)


def test_options_that_do_not_go_together(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume, path = engine.name(), str(work / "a.tar")
    others = {"repository": "/r", "host": "h", "source_volume": "v", "backup": "latest", "before": "2026-01-01"}
    for name, value in others.items():
        message = modules.refused(RESTORE, volume=volume, archive=path, **{name: value})
        assert f"mutually exclusive: archive|{name}" in message
    assert "one of the following is required: archive, repository" in modules.refused(RESTORE, volume=volume)
    message = modules.refused(RESTORE, volume=volume, repository=str(work), strip_components=1)
    assert "strip_components is for an archive" in message
    assert "checksum" in modules.refused(RESTORE, volume=volume, repository=str(work), checksum="0" * 64)
    assert "must be 0 or more" in modules.refused(RESTORE, volume=volume, archive=path, strip_components=-1)
    assert "can't be read: No such file" in modules.refused(RESTORE, volume=volume, archive=path)
    os.mkfifo(path)
    assert "is not a regular file" in modules.refused(RESTORE, volume=volume, archive=path)
    assert "is not an absolute path" in modules.refused(RESTORE, volume=volume, archive="a.tar")


def test_strip_components_takes_more_than_there_is(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str
) -> None:
    archive = by_gnu_tar(engine.path(source), work / "a.tar", "cat")
    message = modules.refused(RESTORE, volume=engine.name(), archive=str(archive), strip_components=2)
    assert "strip_components: 2 leaves nothing of the name of its member ./state, which is no directory" in message
    # an empty volume's archive, and one with nothing at that depth
    with tarfile.open(work / "empty.tar", "w") as made:
        made.addfile(member("data", tarfile.DIRTYPE, 0o700))
    target = engine.name()
    modules.restore(target, archive=str(work / "empty.tar"), strip_components=1)
    assert os.stat(engine.path(target)).st_mode & 0o777 == 0o700
    message = modules.refused(RESTORE, volume=engine.name(), archive=str(work / "empty.tar"), strip_components=2)
    assert "it is empty: it holds no file and no directory, with strip_components: 2" in message


def member(
    name: str, kind: bytes = tarfile.REGTYPE, mode: int = 0o644, link: str = "", size: int = 0
) -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.mode, made.linkname, made.size, made.mtime = kind, mode, link, size, 1_500_000_000
    return made


def test_names_that_a_file_system_or_a_dead_restore_leaves(
    engine: Engine, modules: Modules, work: pathlib.Path
) -> None:
    archive = work / "a.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(member(".", tarfile.DIRTYPE, 0o750))
        made.addfile(member("./lost+found", tarfile.DIRTYPE, 0o700))
        made.addfile(member("./.drydock-staging-abc/old/half", size=3), io.BytesIO(b"old"))
        made.addfile(member("./state", size=5), io.BytesIO(b"state"))
    target = engine.volume()
    for _time in range(2):
        answer = modules.restore(target, archive=str(archive), when_not_empty="replace")
        assert sorted(os.listdir(engine.path(target))) == ["lost+found", "state"]
        assert "are what a dead restore has left there; they are left out" in str(answer["warnings"])
    assert not answer["changed"]
    assert (answer["entries"], answer["bytes"]) == (3, 5)
    assert os.stat(engine.path(target)).st_mtime == 1_500_000_000


def test_members_that_come_twice(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """As tar --append makes them: the last one counts."""
    archive = work / "a.tar"
    with tarfile.open(archive, "w") as made:
        for text in (b"first", b"the last"):
            made.addfile(member("state", size=len(text)), io.BytesIO(text))
    target = engine.volume()
    for changed in (True, False):
        for check in (True, False):
            options = {"archive": str(archive), "when_not_empty": "replace", "check": check}
            assert modules.restore(target, **options)["changed"] == changed
    assert (engine.path(target) / "state").read_bytes() == b"the last"


def test_room_is_looked_at_first(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    """Files are larger than their disk: one that is full of zeros, and one that is all hole and needs no room."""
    (work / "v").mkdir()
    with open(work / "v" / "big", "wb") as file:
        file.truncate(1 << 42)
    archive = by_gnu_tar(work / "v", work / "hole.tar", "zstd", "-C", str(work / "v"), "--sparse", "-c", ".")
    target = engine.volume()
    modules.restore(target, archive=str(archive))
    assert (engine.path(target) / "big").stat().st_size == 1 << 42

    (work / "v" / "big").write_bytes(bytes(24 << 20))
    archive = by_gnu_tar(work / "v", work / "zeros.tar", "zstd")
    assert archive.stat().st_size < 1 << 20
    with disks.mounted(work, 16, options=disks.EXT4) as disk:
        small = engine.bind(disk)
        message = modules.refused(RESTORE, volume=small, archive=str(archive))
        assert f"take {24 << 20} bytes on disk, and its file system has" in message
        engine.remove(small)


@pytest.mark.parametrize("container", [True, False])
def test_a_running_container(
    engine: Engine, modules: Modules, work: pathlib.Path, source: str, container: bool
) -> None:
    archive = by_gnu_tar(engine.path(source), work / "a.tgz", "gzip")
    target = engine.volume()
    running = engine.run(target) if container else ""
    options = {"volume": target, "archive": str(archive)}
    if container:
        assert "used by running containers" in modules.refused(RESTORE, **options)
    answer = modules.run(RESTORE, quiesce="stop", **options)
    assert not answer.get("failed"), answer
    assert len(answer["containers"]) == int(container)
    assert same(engine, source, target) == []
    assert not container or engine.state(running) == "running"


def test_a_failure_leaves_no_volume(engine: Engine, modules: Modules, work: pathlib.Path, source: str) -> None:
    """What only extraction finds: a directory and a file of the same name."""
    archive = work / "a.tar"
    with tarfile.open(archive, "w") as made:
        made.addfile(member("state", size=1), io.BytesIO(b"x"))
        made.addfile(member("state/below", size=1), io.BytesIO(b"x"))
    target = engine.name()
    message = modules.refused(RESTORE, volume=target, archive=str(archive))
    assert "the volume is as it was" in message
    with pytest.raises(docker.errors.NotFound):
        engine.inspect(target)
