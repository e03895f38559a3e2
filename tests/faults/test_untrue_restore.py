# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F16, F18: a tar that says that all went well, and it didn't. A restore finds it, and the volume is as it was."""

from __future__ import annotations

import os
import pathlib
import shutil

import pytest

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.modules import Modules

RESTORE = "docker_volume_restore"
NOBODY_KNOWS = "1600000000.123456789"

#: What a tar may do without a word when it has extracted, as a script in that directory, and what is said of it. No
#: modification time tells of any of it, unless it is the spoilt thing itself.
SPOILT = {
    "a byte": (
        (
            "touch -r data/file ../t; printf X | dd of=data/file bs=1 seek=4321 conv=notrunc status=none;"
            " touch -r ../t data/file; rm ../t"
        ),
        "./data/file: contents differ at byte 4321",
    ),
    "the last byte of a large file": (
        (
            "touch -r large ../t; printf X | dd of=large bs=1 seek=9999999 conv=notrunc status=none;"
            " touch -r ../t large; rm ../t"
        ),
        "./large: contents differ at byte 9999999",
    ),
    "a byte in a hole": (
        (
            "touch -r holes ../t; printf X | dd of=holes bs=1 seek=1000000 conv=notrunc status=none;"
            " touch -r ../t holes; rm ../t"
        ),
        "./holes: contents differ at byte 1000000",
    ),
    "the end of a file": (
        "touch -r data/file ../t; truncate -s 4999 data/file; touch -r ../t data/file; rm ../t",
        "./data/file: size is 4999, the archive says 5000",
    ),
    "an xattr": ("setfattr -x user.note data/file", "./data/file: xattr user.note is missing"),
    "an xattr's value": ("setfattr -n user.note -v other data/file", "./data/file: xattr user.note has another value"),
    "an xattr more": ("setfattr -n user.more -v x data/file", "./data/file: xattr user.more is new"),
    "a symlink's xattr": ("setfattr -h -x trusted.link symlink", "./symlink: xattr trusted.link is missing"),
    "a capability": ("setfattr -x security.capability capable", "./capable: xattr security.capability is missing"),
    "an ACL": (
        "setfattr -x system.posix_acl_access data/file; chmod 0640 data/file",
        "./data/file: xattr system.posix_acl_access is missing",
    ),
    "a default ACL": ("setfacl -k data", "./data: xattr system.posix_acl_default is missing"),
    "a mode": ("chmod 0600 plain", "./plain: mode is 0600, the archive says 0644"),
    "a directory's mode": ("chmod 0700 empty", "./empty: mode is 0700, the archive says 0751"),
    "an owner": ("chown 77 plain", "./plain: owner is 77, the archive says 4321"),
    "a symlink's owner": ("chown -h 77 symlink", "./symlink: owner is 77, the archive says 4322"),
    "a group": ("chgrp 78 plain", "./plain: group is 78, the archive says 4323"),
    "a time": (f"touch -d @{NOBODY_KNOWS} plain", "./plain: mtime in ns is 1600000000123456789, the archive says"),
    "a directory's time": (f"touch -d @{NOBODY_KNOWS} empty", "./empty: mtime in ns is 1600000000123456789, the"),
    "a hard link": (
        "cp -a linked ../t; rm linked; mv ../t linked",
        "the archive says a hard link to ./",
    ),
    "a hard link more": ("ln plain ../t; touch -d @1 ../t", "./plain: has 2 names, the archive says 1"),
    "a file": ("rm plain", "./plain: is missing"),
    "a symlink": ("rm symlink", "./symlink: is missing"),
    "a directory": ("rmdir empty", "./empty: is missing"),
    "a file more": ("touch data/more", "./data/more: is new, the archive doesn't have it"),
    "a file that becomes a fifo": ("rm plain; mkfifo plain", "./plain: is a fifo, the archive says a file"),
    "a symlink's target": ("ln -sfn elsewhere symlink", "./symlink: target is elsewhere, the archive says nowhere"),
    "a device": ("rm node; mknod node c 1 5", "./node: device is 1:5, the archive says 1:3"),
    "the root's mode": ("chmod 0755 .", ".: mode is 0755, the archive says 0750"),
    "the root's owner": ("chown 1 .", ".: owner is 1, the archive says 4324"),
    "the root's xattr": ("setfattr -x user.root .", ".: xattr user.root is missing"),
}


def make(path: pathlib.Path) -> None:
    """Something of every kind."""
    (path / "data").mkdir()
    (path / "data" / "file").write_bytes(b"12345" * 1000)
    os.setxattr(path / "data" / "file", "user.note", b"a note")
    acl = trees.acl(user=6, group=4, other=0, users={70003: 6}, mask=6)
    os.setxattr(path / "data" / "file", "system.posix_acl_access", acl)
    os.setxattr(path / "data", "system.posix_acl_default", acl)
    (path / "large").write_bytes(os.urandom(10_000_000))
    with (path / "holes").open("wb") as file:
        file.write(b"head")
        file.seek(3_000_000)
        file.write(b"tail")
    (path / "capable").write_bytes(b"x")
    os.setxattr(path / "capable", "security.capability", trees.capability(10))
    (path / "plain").write_bytes(b"plain")
    os.chown(path / "plain", 4321, 4323)
    (path / "empty").mkdir()
    (path / "empty").chmod(0o751)
    (path / "symlink").symlink_to("nowhere")
    os.lchown(path / "symlink", 4322, 4322)
    os.setxattr(path / "symlink", "trusted.link", b"1", follow_symlinks=False)
    (path / "first").write_bytes(b"two names")
    os.link(path / "first", path / "linked")
    os.mknod(path / "node", 0o020644, os.makedev(1, 3))
    os.setxattr(path, "user.root", b"root")
    os.chown(path, 4324, 4324)
    path.chmod(0o750)


def untrue_tar(work: pathlib.Path, spoil: str) -> dict[str, str]:
    """The environment in which tar does more than it should when it has extracted."""
    real = shutil.which("tar")
    wrapper = work / "bin" / "tar"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f"""#!/bin/bash
{real} "$@" || exit
for argument; do
    case $argument in
        --extract) extracting=yes ;;
        --directory=*) directory=${{argument#*=}} ;;
    esac
done
[ -n "$extracting" ] || exit 0
cd "$directory" && touch -r . "{work}/time" && {{ {spoil} ; }} && touch -r "{work}/time" .
"""
    )
    wrapper.chmod(0o755)
    return {"PATH": f"{wrapper.parent}:{os.environ['PATH']}"}


@pytest.mark.parametrize(("spoil", "said"), SPOILT.values(), ids=SPOILT)
def test_f16_what_tar_does_not_say_is_found(
    engine: Engine, modules: Modules, work: pathlib.Path, spoil: str, said: str
) -> None:
    volume = engine.volume()
    path = engine.path(volume)
    make(path)
    options = {"volume": volume, "repository": str(work / "r"), "when_not_empty": "replace"}
    modules.backup(volume, repository=str(work / "r"))
    backed_up = records.record(path)
    (path / "plain").write_text("what the volume holds now")
    before = records.record(path)
    environment = untrue_tar(work, spoil)

    message = modules.refused(RESTORE, environment=environment, **options)

    assert f"volume {volume}: what tar restored isn't what the archive holds: " in message
    assert said in message
    assert message.endswith("; what was extracted is removed, the volume is as it was")
    assert records.differences(before, records.record(path)) == []
    assert not list(path.glob(".drydock*"))
    # without the comparison nobody notices: that it bites is no accident
    answer = modules.run(RESTORE, environment=environment, verify="none", **options)
    assert not answer.get("failed"), answer
    assert answer["verified"] is None
    now = records.record(path)
    if "names" not in said:  # the other name went with the staging directory
        assert records.differences(backed_up, now) != []


@pytest.mark.parametrize("compression", ["zstd", "gzip", "none"])
def test_what_tar_restores_truly_is_no_difference(
    engine: Engine, modules: Modules, work: pathlib.Path, compression: str
) -> None:
    volume, target = engine.volume(), engine.volume()
    trees.make_nasty(engine.path(volume))
    make(engine.path(volume))
    backup = modules.backup(volume, repository=str(work / "r"), compression=compression)["backups"][0]
    answer = modules.restore(target, source_volume=volume, repository=str(work / "r"))
    content = backup["content"]
    assert answer["verified"]["entries"] == content["entries"] == answer["entries"]
    assert answer["verified"]["bytes"] == content["bytes"]
    assert records.differences(records.record(engine.path(volume)), records.record(engine.path(target))) == []


def test_without_staging_it_is_found_too(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    volume = engine.volume()
    make(engine.path(volume))
    modules.backup(volume, repository=str(work / "r"))
    spoil, said = SPOILT["a byte"]
    options = {"volume": volume, "repository": str(work / "r"), "when_not_empty": "replace", "staging": False}
    (engine.path(volume) / "plain").write_text("what the volume holds now")
    answer = modules.run(RESTORE, environment=untrue_tar(work, spoil), **options)
    assert answer["failed"], answer
    assert said in answer["msg"]
    assert modules.restore(**options)["verified"]
