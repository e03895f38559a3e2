# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which volumes share files, what tar is allowed to say while it reads for a clone, and two listings in one pipe."""

from __future__ import annotations

import pathlib
import shutil

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import kinship, pipeline, reading
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import PipelineError, VolumeError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.pipeline import LISTING, Outcome, Stage
from ansible_collections.drydock.volumes.plugins.module_utils._engine.volumes import Volume


def plain(name: str) -> Volume:
    return Volume(name, "local", {}, {}, "local", f"/var/lib/docker/volumes/{name}/_data")


def volume(name: str, driver: str = "local", **options: str) -> Volume:
    return Volume(name, driver, options, {}, "local", f"/var/lib/docker/volumes/{name}/_data")


def bind(device: str, how: str = "bind") -> Volume:
    return volume("bound", type="none", o=how, device=device)


def nfs(device: str, address: str = "nas", kind: str = "nfs") -> Volume:
    return volume("far", type=kind, o=f"rw,addr={address},nfsvers=4.2", device=device)


APART = [
    (plain("a"), plain("b")),
    (plain("a"), Volume("b", "local", {}, {}, "local", "")),
    (bind("/srv/a"), bind("/srv/ab")),
    (bind("/srv/a"), plain("a")),
    (nfs(":/export/a"), nfs(":/export/b")),
    (nfs(":/export"), nfs(":/export", "other")),
    (nfs(":/export"), bind("/export")),
    (volume("a", type="tmpfs", device="tmpfs"), volume("b", type="tmpfs", device="tmpfs")),
    (volume("a", type="ext4", device="/dev/sdb1"), volume("b", type="ext4", device="/dev/sdb2")),
    (volume("a", "plugin", device="/x"), volume("b", "plugin", device="/x")),
]
TOGETHER = [
    (bind("/srv/a"), bind("/srv/a/")),
    (bind("/srv/a"), bind("/srv/./b/../a", "ro,rbind")),
    (bind("/srv"), bind("/srv/a/b")),
    (bind("/"), plain("a")),
    (bind("/var/lib/docker/volumes/a/_data/sub"), plain("a")),
    (nfs(":/export"), nfs(":/export/", kind="nfs4")),
    (nfs(":/export"), nfs("NAS:/export/sub", "NAS")),
    (volume("a", type="ext4", device="/dev/sdb1"), volume("b", type="xfs", device="/dev/sdb1")),
    (volume("a", type="cifs", device="//nas/share"), volume("b", type="cifs", device="//nas/share/sub")),
]


@pytest.mark.parametrize(("one", "other"), APART)
def test_volumes_that_are_apart(one: Volume, other: Volume) -> None:
    kinship.require_apart(one, other)
    kinship.require_apart(other, one)


@pytest.mark.parametrize(("one", "other"), TOGETHER)
def test_volumes_that_share_files(one: Volume, other: Volume) -> None:
    for source, target in ((one, other), (other, one)):
        with pytest.raises(VolumeError, match="can't be a clone of"):
            kinship.require_apart(source, target)


def test_each_listing_goes_where_its_stage_says(tmp_path: pathlib.Path) -> None:
    shell = shutil.which("sh") or ""
    first, second, rest = [], [], []  # type: ignore[var-annotated]
    stages = [
        Stage("sh", (shell, "-c", f"echo one >/dev/fd/{LISTING}; echo data"), lambda data: first.append(bytes(data))),
        Stage("sh", (shell, "-c", f"cat; echo two >/dev/fd/{LISTING}"), lambda data: second.append(bytes(data))),
        Stage("sh", (shell, "-c", f"cat > {tmp_path}/out; echo three >/dev/fd/{LISTING}")),
    ]
    outcomes = pipeline.run(stages, listing=lambda data: rest.append(bytes(data)))
    assert [outcome.status for outcome in outcomes] == [0, 0, 0]
    assert (b"".join(first), b"".join(second), b"".join(rest)) == (b"one\n", b"two\n", b"three\n")
    assert (tmp_path / "out").read_text() == "data\n"


def judged(tmp_path: pathlib.Path, *outcomes: Outcome, on_change: str = "warn") -> tuple[str, ...]:
    return reading.judge(outcomes, volume="a", tree=str(tmp_path), on_change=on_change, then="as it was").changed


GOOD = Outcome("tar", 0, ())
CHANGED = Outcome("tar", 1, ("tar: ./x: file changed as we read it",))


def test_what_may_be_said_while_it_is_read(tmp_path: pathlib.Path) -> None:
    assert judged(tmp_path, GOOD, GOOD) == ()
    assert judged(tmp_path, Outcome("tar", 0, ("tar: ./s: socket ignored",)), GOOD) == ()
    assert judged(tmp_path, CHANGED, GOOD) == ("./x",)
    with pytest.raises(PipelineError, match=r"volume a: 1 file\(s\) \(\./x\) changed.*; as it was"):
        judged(tmp_path, CHANGED, GOOD, on_change="fail")


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ((Outcome("tar", 2, ("tar: ./x: Cannot open: Permission denied",)), GOOD), "Cannot open"),
        ((Outcome("tar", 1, ()), GOOD), "tar exited 1"),
        ((CHANGED, Outcome("tar", 2, ("tar: ./y: Cannot write: No space left on device",))), "No space left"),
        ((Outcome("tar", -13, ()), Outcome("tar", 2, ("tar: ./y: Cannot write: No space left",))), "No space left"),
        ((GOOD, Outcome("tar", -9, ())), "tar was killed by SIGKILL"),
    ],
)
def test_what_is_a_failure(tmp_path: pathlib.Path, outcomes: tuple[Outcome, ...], said: str) -> None:
    with pytest.raises(PipelineError, match=f"volume a: .*{said}.*; as it was"):
        judged(tmp_path, *outcomes)
