# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading side of a repository: only whole backups count, and it says what is wrong with the others."""

from __future__ import annotations

import collections.abc as c
import datetime as dt
import os
import pathlib
import stat

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import manifest as manifests
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import (
    DrydockError,
    IntegrityError,
    RepositoryError,
    UsageError,
)
from ansible_collections.drydock.volumes.plugins.module_utils._engine.repository import Directory
from ansible_collections.drydock.volumes.plugins.module_utils._engine.stored import Local
from tests.unit.helpers import mounted, needs_root, umask
from tests.unit.samples import ID, WHEN, a_manifest, put


@pytest.fixture
def repository(tmp_path: pathlib.Path) -> Directory:
    return Directory(str(tmp_path / "repository"))


def _folder(repository: Directory) -> pathlib.Path:
    return pathlib.Path(repository.folder("db1", "pgdata"))


def _mode(path: pathlib.Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_layout(repository: Directory) -> None:
    assert put(repository) == ID
    folder = pathlib.Path(repository.root) / "db1" / "pgdata"
    assert sorted(os.listdir(folder)) == [".lock", f"{ID}.json", f"{ID}.tar.zst"]
    assert (folder / f"{ID}.tar.zst").read_bytes() == b"archive"
    assert (folder / f"{ID}.json").read_bytes() == manifests.dump(a_manifest())


@pytest.mark.parametrize("mask", [0, 0o022, 0o077])
def test_f70_nobody_else_can_read_it_whatever_the_umask(repository: Directory, mask: int) -> None:
    with umask(mask):
        put(repository)
    folder = _folder(repository)
    assert [_mode(path) for path in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    assert {_mode(path) for path in folder.iterdir()} == {0o600}


def test_backups_come_newest_first(repository: Directory) -> None:
    later = WHEN + dt.timedelta(days=1)
    made = [put(repository) for _backup in range(11)]
    made.append(put(repository, when=later))
    made.append(put(repository, when=WHEN - dt.timedelta(days=400)))
    assert made[:3] == [ID, f"{ID}-2", f"{ID}-3"]
    complete, problems = repository.backups("db1", "pgdata")
    assert problems == []
    assert [manifest["id"] for manifest in complete] == [made[11], *reversed(made[:11]), made[12]]
    assert complete[1]["id"] == f"{ID}-11"


def test_f44_the_order_does_not_come_from_the_file_system(repository: Directory) -> None:
    first, second = put(repository), put(repository)
    os.utime(_folder(repository) / f"{first}.json", (4e9, 4e9))
    complete, _problems = repository.backups("db1", "pgdata")
    assert [manifest["id"] for manifest in complete] == [second, first]


def test_a_volume_without_backups_has_none(repository: Directory) -> None:
    assert repository.backups("db1", "pgdata") == ([], [])
    with pytest.raises(RepositoryError, match=f"has no backup {ID} of volume pgdata from host db1"):
        repository.backup("db1", "pgdata", ID)


def test_f53_a_name_that_begins_with_anothers(repository: Directory) -> None:
    put(repository)
    assert repository.backups("db1", "pg") == ([], [])
    assert repository.backups("db1", "pgdata2") == ([], [])


def _damage(name: str, data: bytes | None) -> c.Callable[[pathlib.Path], None]:
    def apply(folder: pathlib.Path) -> None:
        (folder / name).unlink()
        if data is not None:
            (folder / name).write_bytes(data)

    return apply


def _to_a_folder(name: str) -> c.Callable[[pathlib.Path], None]:
    def apply(folder: pathlib.Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return apply


INCOMPLETE = {
    "archive cut": (_damage(f"{ID}.tar.zst", b"archiv"), "has 6 bytes; its manifest says 7"),
    "archive empty": (_damage(f"{ID}.tar.zst", b""), "has 0 bytes; its manifest says 7"),
    "archive too long": (_damage(f"{ID}.tar.zst", b"archive!"), "has 8 bytes; its manifest says 7"),
    "archive missing": (_damage(f"{ID}.tar.zst", None), r"tar\.zst can't be used: No such file"),
    "manifest empty": (_damage(f"{ID}.json", b""), "can't be used: it is not a manifest"),
    "manifest garbage": (_damage(f"{ID}.json", b"\xff\x00"), "can't be used: it is not a manifest"),
    "manifest a folder": (_to_a_folder(f"{ID}.json"), "can't be read: Is a directory"),
}


@pytest.mark.parametrize(("damage", "text"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_f41_what_is_not_whole_is_reported_and_not_listed(
    repository: Directory, damage: c.Callable[[pathlib.Path], None], text: str
) -> None:
    put(repository)
    good = put(repository)
    damage(_folder(repository))
    complete, problems = repository.backups("db1", "pgdata")
    assert [manifest["id"] for manifest in complete] == [good]
    assert len(problems) == 1
    with pytest.raises(DrydockError, match=text) as caught:
        repository.backup("db1", "pgdata", ID)
    assert problems == [str(caught.value)]


def test_an_archive_without_a_manifest_does_not_exist(repository: Directory) -> None:
    put(repository)
    (_folder(repository) / f"{ID}.json").unlink()
    assert repository.backups("db1", "pgdata") == ([], [])


def test_a_manifest_copied_from_another_volume_is_refused(repository: Directory) -> None:
    put(repository)
    other = pathlib.Path(repository.root) / "db1" / "other"
    _folder(repository).rename(other)
    complete, problems = repository.backups("db1", "other")
    assert complete == []
    assert "it is the manifest of another backup: 'db1'/'pgdata'" in problems[0]


def test_f42_foreign_files_are_ignored(repository: Directory) -> None:
    put(repository)
    for name in ("notes.json", ".json", f"{ID}.json.bak", f".{ID}.json", f"{ID}-02.json", "latest.json"):
        (_folder(repository) / name).write_text("{}")
    complete, problems = repository.backups("db1", "pgdata")
    assert (len(complete), problems) == (1, [])


@pytest.mark.parametrize("backup_id", ["latest", "../other/x", "", "20261123T101502Z/.."])
def test_f72_an_identifier_is_no_path(repository: Directory, backup_id: str) -> None:
    with pytest.raises(UsageError, match="is not an identifier"):
        repository.backup("db1", "pgdata", backup_id)


@pytest.mark.parametrize("name", ["..", "a/b", "/etc", "", "a\0b"])
def test_f72_names_are_no_paths(repository: Directory, name: str) -> None:
    with pytest.raises(UsageError, match="volume name"):
        repository.begin("db1", name, ".tar", WHEN)
    with pytest.raises(UsageError, match="host name"):
        repository.backups(name, "pgdata")
    assert not os.path.lexists(repository.root)


def test_check_mode_cannot_write(repository: Directory) -> None:
    with pytest.raises(RepositoryError, match="opened for reading only"):
        Directory(repository.root, read_only=True).begin("db1", "pgdata", ".tar", WHEN)
    assert not os.path.lexists(repository.root)


@pytest.mark.parametrize("root", ["relative", "", "./here", "~/backups"])
def test_a_relative_path_is_refused(root: str) -> None:
    with pytest.raises(UsageError, match="not an absolute path"):
        Directory(root)


def test_check_tells_whether_it_exists(repository: Directory) -> None:
    assert repository.check() is False
    put(repository)
    assert repository.check() is True
    link = pathlib.Path(f"{repository.root}-link")
    link.symlink_to(repository.root)
    assert Directory(str(link)).check() is True
    assert len(Directory(str(link)).backups("db1", "pgdata")[0]) == 1


@pytest.mark.parametrize("kind", ["file", "dangling link", "link to a file"])
def test_f03_something_else_in_its_place(repository: Directory, kind: str) -> None:
    path = pathlib.Path(repository.root)
    if kind == "file":
        path.touch()
    else:
        path.symlink_to("/etc/passwd" if kind == "link to a file" else "nowhere")
    with pytest.raises(RepositoryError, match="is not a directory; nothing was changed"):
        repository.check()
    with pytest.raises(RepositoryError, match=r"can't be written: .*; nothing was changed"):
        repository.begin("db1", "pgdata", ".tar", WHEN)
    assert os.listdir(path.parent) == ["repository"]


def test_f03_a_parent_that_is_missing_is_not_made(tmp_path: pathlib.Path) -> None:
    repository = Directory(str(tmp_path / "mount" / "repository"))
    with pytest.raises(RepositoryError, match="its parent directory doesn't exist"):
        repository.check()
    with pytest.raises(RepositoryError, match="No such file or directory; nothing was changed"):
        repository.begin("db1", "pgdata", ".tar", WHEN)
    assert os.listdir(tmp_path) == []


@needs_root
def test_f03_a_read_only_file_system(tmp_path: pathlib.Path) -> None:
    with mounted("tmpfs", tmp_path / "mount", "-o", "ro"):
        there, below = Directory(str(tmp_path / "mount")), Directory(str(tmp_path / "mount" / "repository"))
        with pytest.raises(RepositoryError, match="read-only file system"):
            there.check()
        with pytest.raises(RepositoryError, match="can't be created"):
            below.check()
        for repository in (there, below):
            with pytest.raises(RepositoryError, match="Read-only file system; nothing was changed"):
                repository.begin("db1", "pgdata", ".tar", WHEN)


def test_a_manifest_that_points_elsewhere_is_refused(repository: Directory) -> None:
    put(repository)
    manifest = a_manifest()
    manifest["archive"]["file"] = "../../../../etc/passwd"
    (_folder(repository) / f"{ID}.json").write_bytes(manifests.dump(manifest))
    with pytest.raises(IntegrityError, match="names an archive that isn't its own"):
        repository.backup("db1", "pgdata", ID)


def test_an_archive_that_goes_meanwhile_is_an_error_of_the_repository(repository: Directory) -> None:
    put(repository)
    manifest = repository.backup("db1", "pgdata", ID)
    path = _folder(repository) / f"{ID}.tar.zst"
    path.unlink()
    expected = rf"archive {path} can't be read: No such file or directory; the retention of another run may"
    with pytest.raises(RepositoryError, match=expected), repository.stored(manifest):
        pass


@pytest.mark.parametrize("what", ["head", "digest", "reading"])
def test_an_archive_that_cannot_be_read_is_an_error_of_the_repository(what: str) -> None:
    # neither read nor sought: a pipe's other end
    read, write = os.pipe()
    stored = Local(write, "/r/archive")
    acts = {"head": stored.head, "digest": stored.digest, "reading": stored.reading().__enter__}
    try:
        with pytest.raises(RepositoryError, match=r"archive /r/archive can't be read: .*; see to its disk or mount"):
            acts[what]()
    finally:
        os.close(read)
        os.close(write)
