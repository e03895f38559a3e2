# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""NFS volumes on a real kernel, played by ansible-playbook over ssh: F05, F06, F18, F20, and servers that go away.

The host is server and client. What is in an export is looked at where the server has it, past NFS.
"""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import pathlib
import time
import typing as t

import pytest

from tests.hosts.guest import CHECKOUT, Guest
from tests.support import records

REPOSITORY = "/srv/backups"
IMAGE = "busybox"
HOLDER = "drydock.volumes.holder"
#: Seconds in which the modules give up on a daemon that doesn't answer. To start a container takes it up to 5.
PATIENCE = 12
#: The same where they have no container to start.
HURRY = 6
#: Seconds in which they give up on a volume.
STALL = 6

MEMORY = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}

# What is made of tests/support/trees.py: NFS carries neither trusted.* and security.* attributes nor POSIX ACLs.
_CARRIED = ("sparse", "links", "symlinks", "specials", "modes", "times", "owners", "names", "sizes")
_FILL = """
import os, sys
sys.path.insert(0, "/root")
import trees
root = sys.argv[1]
for kind in sys.argv[2:]:
    getattr(trees, f"make_{kind}")(f"{root}/{kind}")
for special in ("specials/fifo", "symlinks/dangling"):
    for name in os.listxattr(f"{root}/{special}", follow_symlinks=False):
        os.removexattr(f"{root}/{special}", name, follow_symlinks=False)  # they have trusted.* ones
os.makedirs(f"{root}/attributes/folder")
with open(f"{root}/attributes/file", "w") as file:
    file.write("contents")
for path in (root, f"{root}/attributes/file", f"{root}/attributes/folder"):
    os.setxattr(path, "user.comment", os.fsencode(path))
    os.setxattr(path, "user.binary", bytes(range(256)))
os.chown(root, 70001, 70002)
os.chmod(root, 0o2751)
os.utime(root, ns=(trees.NANOSECONDS, trees.NANOSECONDS))
"""
_SET_UP = f"""
mkdir /srv/open /srv/squashed
echo '/srv/open 127.0.0.0/8(rw,no_subtree_check,no_root_squash)' >/etc/exports
echo '/srv/squashed 127.0.0.0/8(rw,no_subtree_check,root_squash)' >>/etc/exports
exportfs -ra
iptables -N SILENCE
for port in dport sport; do iptables -A SILENCE -p tcp --$port 2049 -j DROP; done
sysctl -q net.ipv4.tcp_syn_retries=2
install -d -m 0700 {REPOSITORY}
mkdir -p /root/image/bin
cp /bin/busybox /root/image/bin
tar -C /root/image -c . | docker import - {IMAGE}
"""


class Nfs:
    """The NFS server of the guest, and Docker volumes on it."""

    def __init__(self, guest: Guest) -> None:
        self.guest = guest
        guest.sh(_SET_UP)
        for script in (CHECKOUT / "tests/support/trees.py", records.SCRIPT):
            guest.sh(f"cat >/root/{script.name}", data=script.read_text())

    def volume(self, name: str, *, export: str = "open", device: str | None = None, options: str = "") -> str:
        """Make a volume on a new directory of an export, or on ``device``; return where the server has its files."""
        path = f"/srv/{export}/{name}"
        if device is None:
            self.guest.sh(f"mkdir {path}")
        self.create(name, type="nfs", o=f"addr=127.0.0.1,nfsvers=4.2{options}", device=f":{device or path}")
        return path

    def create(self, name: str, **options: str) -> str:
        """Make a volume with these driver options, and return where its mount point is."""
        arguments = " ".join(f"--opt {key}={value}" for key, value in options.items())
        self.guest.sh(f"docker volume create {arguments} {name}")
        return f"/var/lib/docker/volumes/{name}/_data"

    def run(self, name: str, volume: str) -> None:
        """Start a container that has the volume, and that ends when it is asked to."""
        self.guest.sh(
            f"docker run --detach --name {name} --init --network none --volume {volume}:/v:nocopy {IMAGE} "
            "/bin/busybox sleep 3600"
        )

    def state(self, container: str) -> str:
        """What a container does."""
        return self.guest.sh("docker inspect --format '{{.State.Status}}' " + container).strip()

    def record(self, path: str) -> list[str]:
        """Everything a tree on the guest is."""
        return self.guest.sh(f"python3 /root/tree_record.py {path}").splitlines()

    def files(self, path: str) -> list[str]:
        """What is in a directory of the guest."""
        return self.guest.sh(f"ls -A {path}").splitlines()

    def stored(self, volume: str) -> list[pathlib.PurePath]:
        """The files in the repository that belong to a volume, but for its lock."""
        found = self.guest.sh(f"find {REPOSITORY} -type f -path '*/{volume}/*' -not -name .lock | sort")
        return [pathlib.PurePath(line) for line in found.splitlines()]

    def settle(self) -> None:
        """Wait until no holder is left, of a run that was killed or of one that Docker let down."""
        self.guest.wait_for(f'test -z "$(docker ps --all --quiet --filter label={HOLDER})"', "the holders to go", 120)

    def nothing_held(self) -> None:
        """See that no holder is left, and that no NFS volume is mounted."""
        assert self.guest.sh(f"docker ps --all --quiet --filter label={HOLDER}; grep nfs4 /proc/mounts || true") == ""

    @contextlib.contextmanager
    def silent(self, when: str = "true") -> c.Iterator[None]:
        """The time in which nothing comes from the server any more, not even a refusal.

        It begins as soon as ``when``, a shell command, succeeds.
        """
        try:
            self.guest.wait_for(f"{{ {when}; }} && iptables -A INPUT -j SILENCE", when)
            yield
        finally:
            self.guest.sh("iptables -F INPUT")

    def play(self, module: str, **options: t.Any) -> dict[str, t.Any]:
        """Run a module; its result."""
        return self.guest.play(module, repository=REPOSITORY, **options)

    def backup(self, *volumes: str, **options: t.Any) -> dict[str, t.Any]:
        """Back volumes up; it must succeed."""
        answer = self.play("docker_volume_backup", volumes=list(volumes), **options)
        assert not answer["failed"], answer["msg"]
        return answer


@pytest.fixture(scope="module")
def server(guest: Guest) -> Nfs:
    return Nfs(guest)


@pytest.fixture
def nfs(server: Nfs) -> c.Iterator[Nfs]:
    """The server. At the end it is waited for: a client that has heard nothing asks again after a minute at most."""
    yield server
    server.settle()
    server.guest.sh("docker ps --all --quiet | xargs --no-run-if-empty docker rm --force")
    server.nothing_held()


def test_f05_backed_up_unused_and_restored_elsewhere(nfs: Nfs) -> None:
    path = nfs.volume("data")
    nfs.guest.sh(f"python3 - {path} {' '.join(_CARRIED)}", data=_FILL)
    before = nfs.record(path)
    assert nfs.files("/var/lib/docker/volumes/data/_data") == []  # what a naive backup reads

    made = nfs.backup("data", verify="restore")["backups"][0]
    assert made["content"]["entries"] == len(before) > 100
    nfs.nothing_held()

    far, plain = nfs.volume("far"), nfs.create("plain")
    answers = [nfs.play("docker_volume_restore", volume=volume, source_volume="data") for volume in ("far", "plain")]
    assert [answer["msg"] for answer in answers if answer["failed"]] == []
    assert records.differences(before, nfs.record(far)) == []
    assert records.differences(before, nfs.record(plain)) == []
    assert records.differences(before, nfs.record(path)) == []


def test_f05_a_wrong_export_and_a_server_that_refuses(nfs: Nfs) -> None:
    nfs.volume("wrong", device="/srv/open/no-such-export")
    nfs.volume("refused", device="/srv/open", options=",port=3049")
    nfs.create("good")
    answer = nfs.play("docker_volume_backup", volumes=["wrong", "refused", "good"])
    assert answer["failed"]
    errors = {failure["volume"]: failure["error"] for failure in answer["failures"]}
    assert list(errors) == ["wrong", "refused"]
    assert "volume wrong can't be mounted" in errors["wrong"]
    assert "no such file or directory" in errors["wrong"]
    assert "volume refused can't be mounted" in errors["refused"]
    assert "connection refused" in errors["refused"]
    assert [made["volume"]["name"] for made in answer["backups"]] == ["good"]
    assert [path.suffix for path in nfs.stored("good")] == [".json", ".zst"]
    for volume in errors:
        assert nfs.stored(volume) == []
        assert nfs.files(f"/var/lib/docker/volumes/{volume}/_data") == []


def test_f06_root_is_squashed(nfs: Nfs) -> None:
    volumes = ["squashed-file", "squashed-folder"]
    file, folder = (nfs.volume(volume, export="squashed") for volume in volumes)
    nfs.guest.sh(
        f"for path in {file} {folder}; do echo public >$path/public; done; "
        f"install -m 0600 -o 1000 {file}/public {file}/private; "
        f"install -d -m 0700 -o 1000 {folder}/private; echo hidden >{folder}/private/hidden"
    )

    answer = nfs.play("docker_volume_backup", volumes=volumes)
    assert answer["failed"]
    assert [failure["volume"] for failure in answer["failures"]] == volumes
    for failure in answer["failures"]:
        assert "private" in failure["error"]
        assert "Permission denied" in failure["error"]
        assert "public" not in failure["error"]
        assert nfs.stored(failure["volume"]) == []

    answer = nfs.backup(*volumes, on_read_error="warn")
    assert [made["content"]["unreadable"] for made in answer["backups"]] == [1, 1]
    for made in answer["backups"]:
        volume = made["volume"]["name"]
        manifest = json.loads(nfs.guest.sh(f"cat {REPOSITORY}/*/{volume}/*.json"))
        assert [name.rstrip("/") for name in manifest["content"]["unreadable"]] == ["./private"]
        assert any(f"volume {volume}" in warning and "private" in warning for warning in answer["warnings"])
        listed = set(nfs.guest.sh(f"zstd -dc {made['path']} | tar -t").splitlines())
        assert listed - {"./private/"} == {"./", "./public"}


def test_f20_the_server_dies_in_the_middle_of_the_read(nfs: Nfs) -> None:
    # Docker can start a container on a file system that hangs while the kernel remembers its root: for 30 seconds at
    # least, unless told otherwise. What happens where it doesn't is the next test's.
    path = nfs.volume("torn", options=",hard,noatime,actimeo=300")
    nfs.guest.sh(f"head -c 12000000 /dev/urandom | od -An -v -tx1 >{path}/digits")
    nfs.run("writer", "torn")
    options = {"volumes": ["torn"], "quiesce": "stop", "repository": REPOSITORY}
    slow = {"compression": "gzip", "compression_level": 9}  # 3 seconds for these 36 MB
    with (
        nfs.guest.playing("docker_volume_backup", stall_timeout=STALL, **slow, **options) as wait,
        nfs.silent(when="grep -qE '^rchar: [0-9]{7}' /proc/$(pgrep -o -x tar)/io"),
    ):
        began = time.monotonic()
        assert nfs.state("writer") == "exited"
        answer = wait(150)
        assert time.monotonic() - began < 90
        assert nfs.state("writer") == "running"
    assert answer["failed"]
    assert answer["backups"] == []
    assert f"no byte has moved for {STALL} seconds (tar is D" in answer["msg"]
    assert "volume torn" in answer["msg"]
    assert nfs.stored("torn") == []

    made = nfs.backup("torn", quiesce="stop", compression="none")["backups"][0]
    assert made["content"]["bytes"] > 36000000
    assert nfs.state("writer") == "running"


def test_f21_the_server_dies_before_the_read(nfs: Nfs) -> None:
    # The kernel remembers nothing for longer than a second. So neither we nor Docker get an answer about the root.
    nfs.volume("mute", options=",hard,noatime,actimeo=1")
    nfs.run("client", "mute")
    command = {"container": "client", "argv": ["/bin/busybox", "sleep", "6"]}
    options = {"volumes": ["mute"], "quiesce": "stop", "repository": REPOSITORY, "timeout": PATIENCE}
    with (
        nfs.guest.playing("docker_volume_backup", stall_timeout=STALL, exec_before=[command], **options) as wait,
        nfs.silent(when="pgrep -f '^/bin/busybox sleep 6'"),
    ):
        began = time.monotonic()
        answer = wait(120)
        assert time.monotonic() - began < 90
    assert answer["failed"]
    assert answer["backups"] == []
    (failure, undone) = [failure["error"] for failure in answer["failures"]]
    assert failure.startswith("container client was stopped and couldn't be started again: ")
    assert f"didn't answer within {PATIENCE} seconds" in failure
    hangs = f"the file system hangs: no entry was found for {STALL} seconds"
    assert undone == f"volume mute: {hangs}; nothing was added to the repository"
    assert nfs.stored("mute") == []

    # Docker was told to, and does it at last
    nfs.guest.wait_for("docker inspect client | grep -q '\"Running\": true'", "the container to run again", 120)


def test_f05_f18_the_server_is_gone_before(nfs: Nfs) -> None:
    plain = nfs.create("source")
    nfs.guest.sh(f"echo contents >{plain}/file")
    nfs.backup("source")
    path, point = nfs.volume("lost"), "/var/lib/docker/volumes/lost/_data"
    nfs.volume("dead", options=",hard,noatime,actimeo=1")
    nfs.run("mourner", "dead")
    nfs.create("alive")
    nfs.create("memory", type="tmpfs", device="tmpfs")
    nfs.create("empty")
    options = {"repository": REPOSITORY, "timeout": HURRY}
    with (
        nfs.silent(),
        nfs.guest.playing("docker_volume_backup", volumes=["dead", "alive"], **options) as backup,
        nfs.guest.playing("docker_volume_backup", selector={"all": True}, **options) as everything,
    ):
        # one that is mounted is in nobody's way; Docker 20.10 looks at it before it answers
        answer = backup()
        assert [made["volume"]["name"] for made in answer["backups"]] == ["alive"]
        (failure,) = answer["failures"]
        assert failure["volume"] == "dead"
        assert f"asked to inspect volume dead, and didn't answer within {HURRY} seconds" in failure["error"]
        answer = everything()
        assert answer["failed"]
        assert f"asked to list volumes, and didn't answer within {HURRY} seconds" in answer["msg"]
        # a restore needs its own volume only, the one that is there or a new one
        for volume in ("empty", "new"):
            answer = nfs.play("docker_volume_restore", volume=volume, source_volume="source", timeout=HURRY)
            assert not answer.get("failed"), answer
            assert answer["changed"]
    nfs.guest.sh("docker rm --force mourner")

    with nfs.silent():
        answer = nfs.play("docker_volume_restore", volume="lost", source_volume="source", timeout=HURRY)
        assert answer["failed"]
        assert not answer["changed"]
        assert "volume lost can't be mounted" in answer["msg"]
        assert f"asked to mount volumes, and didn't answer within {HURRY} seconds" in answer["msg"]
        assert nfs.files(point) == nfs.files(path) == []
        # Docker still tries to mount it. What is elsewhere must be none the worse for that.
        answer = nfs.backup("memory", timeout=PATIENCE)
        assert "isn't removed yet" in str(answer["warnings"])


def test_f18_the_server_dies_in_the_middle_of_a_probe(nfs: Nfs) -> None:
    path = "/srv/open/probed"
    nfs.guest.sh(f"mkdir {path}")
    # the kernel remembers the root while Docker starts the holder; what is written there then waits for the server
    options = {"type": "nfs", "o": "addr=127.0.0.1,nfsvers=4.2,rw,hard,actimeo=300", "device": f":{path}"}
    volumes = [{"name": "probed", "driver_options": options}, {"name": "memory", "driver_options": MEMORY}]
    with (
        nfs.guest.playing("docker_volume_probe", volumes=volumes, timeout=PATIENCE) as wait,
        nfs.silent(when="grep -q drydock-probe /proc/mounts"),
    ):
        began = time.monotonic()
        answer = wait(150)
        assert time.monotonic() - began < 90
    assert answer["failed"]
    assert answer["probed"] in ([], ["memory"])
    error = {failure["volume"]: failure["error"] for failure in answer["failures"]}["probed"]
    assert error.startswith("volume probed: ")
    assert f"for {PATIENCE} seconds" in error or f"within {PATIENCE} seconds" in error, error
    nfs.settle()

    # the server is back, and so is everything else; what was left in the export goes a day later
    nfs.guest.sh(f"cd {path} && touch .drydock-probe-{'0' * 24} && touch -d '2 days ago' $(ls -A)")
    answer = nfs.guest.play("docker_volume_probe", volumes=volumes)
    assert not answer["failed"], answer
    assert answer["probed"] == ["probed", "memory"]
    assert nfs.files(path) == []
    assert nfs.guest.sh("docker volume ls --quiet --filter label=drydock.volumes.probe") == ""
