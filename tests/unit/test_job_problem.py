# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter job_problem says of a job's options what the command would say."""

from __future__ import annotations

import typing as t

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.drydock.volumes.plugins.filter.job_problem import FilterModule
from tests.unit.samples import UNMEANT

job_problem = FilterModule().filters()["job_problem"]
GOOD = {"volumes": ["pgdata"], "repository": "/var/backups/volumes"}


@pytest.mark.parametrize("action", ["backup", "drill"])
def test_good_options(action: str) -> None:
    assert job_problem(GOOD, action) == ""


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({**GOOD, "retention": {"keep_daily": "x"}}, "retention.keep_daily: 'x' is not an integer"),
        ({"volumes": ["pgdata"]}, "repository: this is required"),
        ({**GOOD, "repositry": "/r"}, "repositry: there is no such option; did you mean repository?"),
        ({**GOOD, "selector": {"all": True}}, "volumes and selector exclude each other"),
        ("volumes", "the options must be a dictionary"),
    ],
)
def test_what_is_wrong(options: t.Any, problem: str) -> None:
    assert problem in job_problem(options, "backup")


@pytest.mark.parametrize(("action", "options", "problem"), UNMEANT)
def test_what_cannot_be_meant(action: str, options: dict[str, t.Any], problem: str) -> None:
    assert problem in job_problem({**GOOD, **options}, action)


def test_nothing_is_looked_at() -> None:
    """The controller has neither the keys nor the programs nor the directories."""
    hidden = {
        "encryption": {"method": "gpg", "passphrase_file": "/nope/passphrase"},
        "decryption": {"identity_file": "/nope/identity"},
        "verify": "restore",
        "verify_directory": "/nope/scratch",
        "rclone_config": "/nope/rclone.conf",
        "copies": [{"repository": "nope:bucket"}],
        "exec_before": [{"container": "db", "command": "true"}],
    }
    assert job_problem({**GOOD, **hidden}, "backup") == ""
    drill = {"image": "nope", "env_file": "/nope/env", "check_command": "true", "repository": "nope:bucket"}
    assert job_problem({**GOOD, **drill}, "drill") == ""


def test_the_environment_of_the_controller_is_not_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_TIMEOUT", "soon")
    assert job_problem(GOOD, "backup") == ""


@pytest.mark.parametrize("action", ["recover", "restore", ""])
def test_what_cannot_be_scheduled(action: str) -> None:
    with pytest.raises(AnsibleFilterError, match="is none of backup, drill"):
        job_problem(GOOD, action)
