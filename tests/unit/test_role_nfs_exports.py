# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role nfs_exports: which words of exportfs(8) are about its own exports, and which exports it refuses. What it
exports is in molecule/nfs_volumes. The words are those of nfs-utils 2.6."""

from __future__ import annotations

import pathlib
import typing as t

import pytest

from tests.unit.fake_collection import FakeCollection
from tests.unit.helpers import CHECKOUT

OURS = "/etc/exports.d/drydock-volumes.exports"
NEITHER = (
    "exportfs: {file} [1]: Neither 'subtree_check' or 'no_subtree_check' specified for export \"{export}\".\n"
    "  Assuming default behaviour ('no_subtree_check').\n"
    "  NOTE: this default has changed since nfs-utils version 1.0.x\n"
)
DUPLICATES = "exportfs: duplicated export entries:\nexportfs: \t{0}\nexportfs: \t{0}"
SHOWN = "/srv/media  192.0.2.0/24(sync,wdelay,hide,no_subtree_check,sec=sys,rw,root_squash,no_all_squash)"
OTHERS = "/home  10.0.0.0/8(sync)"

#: What exportfs says, how it exits, what it lists afterwards, and what is to be in the error, if there is to be one.
CASES: list[tuple[str, int, str, str]] = [
    ("", 0, SHOWN, ""),
    (NEITHER.format(file="/etc/exports", export="10.0.0.0/8:/home"), 0, SHOWN, ""),
    ("exportfs: Failed to resolve foo.invalid\nexportfs: Failed to resolve foo.invalid", 0, SHOWN, ""),
    ('exportfs: /etc/exports:1: unknown keyword "bad"', 1, SHOWN, ""),
    ("exportfs: Failed to stat /srv/media2: No such file or directory", 1, f"/srv/media2 *()\n{SHOWN}", ""),
    ("exportfs: Failed to stat /other/srv/media/x: No such file or directory", 1, SHOWN, ""),
    ("exportfs: /proc does not support NFS export", 1, SHOWN, ""),
    ("exportfs: No host name given with /home (ro), suggest *(ro) to avoid warning", 0, SHOWN, ""),
    (DUPLICATES.format("10.0.0.0/8:/home"), 1, SHOWN, ""),
    (NEITHER.format(file=OURS, export="192.0.2.0/24:/srv/media"), 0, SHOWN, "Neither"),
    (f'exportfs: {OURS}:2: unknown keyword "no_such_option"', 1, OTHERS, "no_such_option"),
    (f"exportfs: {OURS}: 2: bad anonuid", 1, "", "bad anonuid"),
    ("exportfs: Failed to resolve nas2.example.com", 0, SHOWN, "nas2"),
    ("exportfs: Failed to stat /srv/media: No such file or directory", 1, SHOWN, "Failed to stat"),
    ("exportfs: /srv/media does not support NFS export", 1, SHOWN, "does not support"),
    (DUPLICATES.format("192.0.2.0/24:/srv/media"), 1, SHOWN, "192.0.2.0/24:/srv/media"),
    ("", 0, OTHERS, "shows no /srv/media"),
    ("", 1, SHOWN, "exited 1"),
    ("exportfs: can't lock /var/lib/nfs/.etab.lock for writing", 1, SHOWN, "can't lock"),
]
EXPORT = {"path": "/srv/media", "clients": ["192.0.2.0/24", "nas2.example.com"]}


# A disk's mount point that isn't one, and one that can't be.
DISK = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        path = self._task.args["mount_point"]
        wrong = "isn't a mount point, so that files" if path == "/srv" else "belongs to the system"
        return {"failed": True, "msg": f"{path} {wrong}; nothing was changed"}
"""
DEBIAN = {"os_family": "Debian", "pkg_mgr": "apt"}


@pytest.fixture
def collection(tmp_path: pathlib.Path) -> FakeCollection:
    return FakeCollection(tmp_path, {"docker_volume_disk": DISK})


def asserted(collection: FakeCollection, that: list[str], exports: list[t.Any], **task: t.Any) -> None:
    """See that something is so with the role's variables."""
    check = {"that": that, "fail_msg": "{{ item | default('') }}: {{ __nfs_exports_blame | default('') }}"}
    play = {
        "vars_files": [str(CHECKOUT / "roles/nfs_exports/vars/main.yml")],
        "vars": {"nfs_exports_list": exports},
        "tasks": [{"ansible.builtin.assert": check, **task}],
    }
    ran = collection.play({"a": {}}, [play])
    assert ran.returncode == 0, ran.stdout


def preflight(collection: FakeCollection, export: dict[str, t.Any], *arguments: str, **facts: str) -> tuple[int, str]:
    """Have the role look at an export before it does anything; return how that ended, and what was said."""
    known = {"ansible.builtin.set_fact": {**DEBIAN, **facts, "cacheable": True}}
    role = {"ansible.builtin.import_role": {"name": "drydock.volumes.nfs_exports", "tasks_from": "preflight.yml"}}
    play = {"vars": {"nfs_exports_list": [{**EXPORT, **export}]}, "tasks": [known, role]}
    ran = collection.play({"a": {}}, [play], *arguments)
    return ran.returncode, " ".join(ran.stdout.split())


def test_whose_words_they_are(collection: FakeCollection) -> None:
    loop = [
        {
            "told": {"stderr_lines": said.splitlines(), "stdout_lines": shown.splitlines(), "rc": status},
            "blame": blame,
        }
        for said, status, shown, blame in CASES
    ]
    blamed = "__nfs_exports_blame | join(' ')"
    that = [f"item.blame in ({blamed})", f"(item.blame | length > 0) == ({blamed} != '')"]
    asserted(collection, that, [EXPORT], loop=loop, vars={"__nfs_exports_told": "{{ item.told }}"})


def test_modes_and_disks(collection: FakeCollection) -> None:
    modes = [
        {**EXPORT, "path": f"/{number}", "mode": mode} for number, mode in enumerate(["0750", 488, "u=rwx", "750"])
    ]
    disks = [
        {**EXPORT, "path": path, "require_mounted": disk}
        for path, disk in {"/srv/a": "/srv", "/srv/b": "/srv/b", "/srv/c": "/srv/cc", "/srvd/x": "/srv/"}.items()
    ]
    that = ["__nfs_exports_odd_modes == ['/1: 488', '/2: u=rwx']", "__nfs_exports_misplaced == ['/srv/c', '/srvd/x']"]
    asserted(collection, that, [*modes, *disks])


def test_what_is_refused(collection: FakeCollection) -> None:
    status, said = preflight(collection, {"mode": 488})
    assert status != 0
    assert "The mode of /srv/media: 488: write octal digits in quotes" in said
    status, said = preflight(collection, {"require_mounted": "/srv/med"}, "--check")
    assert status != 0
    assert "The require_mounted of /srv/media isn't above that directory" in said
    status, said = preflight(collection, {}, os_family="Suse")
    assert status != 0
    assert "Suse is neither of the Debian nor of the RHEL family" in said


def test_a_disk_that_is_not_mounted_yet(collection: FakeCollection) -> None:
    status, said = preflight(collection, {"require_mounted": "/srv"}, "--check")
    assert status == 0, said
    assert "/srv can't be seen to be mounted yet" in said
    assert "what is on it would be exported if an earlier role mounts it" in said
    status, said = preflight(collection, {"require_mounted": "/srv"})
    assert status != 0
    assert "/srv isn't a mount point" in said
    # what no role can mend is refused in check mode, too
    status, said = preflight(collection, {"path": "/var/media", "require_mounted": "/var"}, "--check")
    assert status != 0
