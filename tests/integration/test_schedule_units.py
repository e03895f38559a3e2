# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that scheduled_backups writes: systemd knows all that is in them, an old one too.

How they do on a host is in molecule/scheduled_backups.
"""

from __future__ import annotations

import collections.abc as c
import os
import pathlib
import re
import subprocess

import pytest

from tests.support.modules import CHECKOUT
from tests.support.processes import wait_for
from tests.support.units import unit

CRON = CHECKOUT / "roles" / "scheduled_backups" / "files" / "drydock-cron"


@pytest.mark.parametrize("io_class", ["best-effort", "idle"])
def test_systemd_knows_all_that_is_in_the_units(tmp_path: pathlib.Path, io_class: str) -> None:
    service = unit("job.service.j2", __scheduled_backups_io_class=io_class)
    (tmp_path / "drydock-backup-nightly.service").write_text(service)
    (tmp_path / "drydock-backup-nightly.timer").write_text(unit("job.timer.j2"))
    for template in ("drydock-recover.service.j2", "drydock-notify@.service.j2"):
        (tmp_path / template.removesuffix(".j2")).write_text(unit(template, __scheduled_backups_agent_path="/bin/true"))
    for name in ("alarm@.service", "docker.service"):
        (tmp_path / name).write_text("[Service]\nExecStart=/bin/true\n")
    ran = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *sorted(tmp_path.glob("drydock-*"))],
        env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:", "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    ours = [line for line in ran.stderr.splitlines() if "drydock-" in line]
    assert (ran.returncode, ours) == (0, [])


def test_hosts_start_at_times_of_their_own() -> None:
    timer, service = unit("job.timer.j2"), unit("job.service.j2")
    assert "RandomizedDelaySec=600\nFixedRandomDelay=true\n" in timer
    assert "sleep" not in service


def test_so_they_do_with_a_systemd_that_cannot_fix_the_delay() -> None:
    timer, service = unit("job.timer.j2", 246), unit("job.service.j2", 246)
    assert "Delay" not in timer
    assert "ExecStartPre=/bin/sleep 123\n" in service


def test_a_job_that_must_be_on_time_is() -> None:
    for version in (246, 252):
        assert "Delay" not in unit("job.timer.j2", version, random_delay=0)
        assert "sleep" not in unit("job.service.j2", version, random_delay=0)


def test_a_service_is_started_by_its_timer_alone() -> None:
    assert "[Install]" not in unit("job.service.j2")
    assert "[Install]\nWantedBy=timers.target\n" in unit("job.timer.j2")


def test_what_is_to_be_started_on_a_failure() -> None:
    assert "OnFailure=drydock-notify@%n.service alarm@%n.service\n" in unit("job.service.j2")
    assert "OnFailure=" not in unit("job.service.j2", notify=False)


def test_what_would_lose_data_is_not_among_the_hardening() -> None:
    harmful = "PrivateTmp|PrivateMounts|PrivateDevices|ProtectHome|ProtectClock|DeviceAllow|RestrictSUIDSGID|MountFlags"
    assert not re.search(rf"^(?:{harmful})=", unit("job.service.j2"), re.MULTILINE)


def test_rclone_can_save_the_tokens_that_it_renews() -> None:
    for service in (unit("job.service.j2"), unit("drydock-recover.service.j2")):
        assert "ProtectSystem=full\n" in service
        assert "ReadWritePaths=-/etc/drydock\n" in service


def test_cron_tells_nobody_of_what_fails_every_few_minutes() -> None:
    assert " /usr/local/sbin/drydock-cron drydock-backup-nightly 123 env " in unit("job.cron.j2")
    assert " /usr/local/sbin/drydock-cron --quiet drydock-backup-nightly 123 env " in unit("job.cron.j2", notify=False)


@pytest.fixture
def cron(tmp_path: pathlib.Path) -> c.Callable[..., subprocess.Popen[str]]:
    """Start drydock-cron. What it logs is in the file ``log``."""
    logger = tmp_path / "logger"
    logger.write_text(f'#!/bin/sh\n[ "$1$2$3" = -tname-f ] && cat "$4" >{tmp_path}/log\n')
    logger.chmod(0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin:/bin",
        "DRYDOCK_AGENT": "/bin/true",
        "DRYDOCK_CRON_RUNS": str(tmp_path),
    }
    return lambda *words: subprocess.Popen(
        ["sh", str(CRON), *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize(
    ("flags", "status", "mail"), [((), 3, "it failed\n"), (("--quiet",), 3, ""), ((), 4, ""), ((), 0, "")]
)
def test_what_fails_is_in_crons_mail(
    cron: c.Callable[..., subprocess.Popen[str]],
    tmp_path: pathlib.Path,
    flags: tuple[str, ...],
    status: int,
    mail: str,
) -> None:
    ran = cron(*flags, "name", "0", "sh", "-c", f"echo it failed; exit {status}")
    assert ran.communicate(timeout=60) == (mail, "")
    assert ran.returncode == status
    assert (tmp_path / "log").read_text() == "it failed\n"
    assert not list(tmp_path.glob("name*"))


def test_what_cron_has_started_is_ended(cron: c.Callable[..., subprocess.Popen[str]], tmp_path: pathlib.Path) -> None:
    loop = f"trap 'echo brought back; exit 5' TERM; touch {tmp_path}/begun; while :; do sleep 0.1; done"
    runs = cron("name", "0", "sh", "-c", loop)
    waits = cron("name", "600", "touch", str(tmp_path / "late"))
    other = cron("name-2", "600", "true")
    wait_for(lambda: (tmp_path / "begun").exists() and len(list(tmp_path.glob("name*.*"))) == 3, "all of them")
    (tmp_path / f"name.{os.getpid()}").touch()  # one that died, and whose number is somebody else's now
    stop = cron("--stop", "20", "name")
    assert stop.communicate(timeout=60) == ("name is ended\n" * 2, "")
    assert stop.returncode == 0
    assert runs.communicate(timeout=10) == waits.communicate(timeout=10) == ("", "")
    assert runs.returncode == 5
    assert not (tmp_path / "late").exists()
    assert other.poll() is None
    other.terminate()
    other.communicate(timeout=10)


def test_what_cron_has_started_and_does_not_end(
    cron: c.Callable[..., subprocess.Popen[str]], tmp_path: pathlib.Path
) -> None:
    runs = cron("name", "0", "sh", "-c", f"trap '' TERM; touch {tmp_path}/begun; sleep 4")
    wait_for((tmp_path / "begun").exists, "it")
    stop = cron("--stop", "1", "name")
    said, error = stop.communicate(timeout=60)
    assert (stop.returncode, said) == (1, "name is ended\n")
    assert f"name still runs, as process {runs.pid}: wait" in error
    runs.communicate(timeout=60)
