# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A job's options are checked as Ansible checks a module's, and an error names the key's path."""

from __future__ import annotations

import json
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions import backup, clone, restore
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.options import Spec
from ansible_collections.drydock.volumes.plugins.module_utils._engine.validate import validated
from ansible_collections.drydock.volumes.plugins.module_utils._module import arguments
from tests.unit.module_arguments import patch_module_args

BACKUP: dict[str, t.Any] = {"volumes": ["a"], "repository": "/r"}
HOOK = {"container": "c", "command": "true"}


@pytest.mark.parametrize(
    ("spec", "given"),
    [
        (backup.SPEC, BACKUP),
        (backup.SPEC, {"volumes": "a,b", "repository": "~/r"}),
        (backup.SPEC, {**BACKUP, "volumes": 7}),
        (backup.SPEC, {**BACKUP, "volumes": ["a", 7]}),
        (backup.SPEC, {**BACKUP, "skip_unchanged": "yes", "parallel": "2", "stop_timeout": "1.5"}),
        (backup.SPEC, {**BACKUP, "skip_unchanged": 0, "parallel": 2.0, "stall_timeout": 3}),
        (backup.SPEC, {**BACKUP, "skip_unchanged": "Off", "lock_timeout": 0.5, "docker_url": "unix:///x"}),
        (backup.SPEC, {**BACKUP, "retention": {"keep_daily": "7", "keep_within": "2w"}}),
        (backup.SPEC, {**BACKUP, "retention": "keep_daily=7,keep_within=2w"}),
        (backup.SPEC, {**BACKUP, "retention": '{"keep_daily": 7}'}),
        (backup.SPEC, {"selector": {"labels": "a,b"}, "repository": "/r"}),
        (backup.SPEC, {**BACKUP, "exec_before": [HOOK, {"container": "c", "argv": ["a", 1]}]}),
        (backup.SPEC, {**BACKUP, "encryption": {"method": "age", "recipients_file": "/a,/b"}}),
        (restore.SPEC, {"volume": "a", "archive": "/a", "checksum": "x", "strip_components": "1"}),
        (restore.SPEC, {"volume": "a", "repository": "/r", "driver_options": {"a": 1}, "staging": "no"}),
        (clone.SPEC, {"source": "a", "target": "b", "driver_options": {}, "api_version": 1.41}),
    ],
)
def test_it_makes_of_options_what_ansible_makes_of_them(spec: Spec, given: dict[str, t.Any]) -> None:
    with patch_module_args(json.loads(json.dumps(given))):
        module = AnsibleModule(supports_check_mode=True, **arguments(spec))
    ours = validated(spec, given)
    theirs = {name: module.params[name] for name in spec.arguments}
    assert ours == theirs
    assert {name: type(value) for name, value in ours.items()} == {n: type(value) for n, value in theirs.items()}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**BACKUP, "retention": {"keep_daily": "x"}}, "retention.keep_daily: 'x' is not an integer"),
        ({**BACKUP, "retention": {"keep_dayly": 1}}, "retention.keep_dayly: there is no such option; did you mean"),
        ({**BACKUP, "retention": 7}, "retention: 7 is not an object"),
        ({**BACKUP, "retention": "daily"}, "retention: 'daily' is not an object: write it as JSON, or as key=value"),
        ({**BACKUP, "retention": "{"}, "retention: '{' is not an object"),
        ({"volumes": ["a"]}, "repository: this is required"),
        ({"repository": "/r"}, "one of these is required: volumes, selector"),
        ({**BACKUP, "volumes": None}, "one of these is required: volumes, selector"),
        ({**BACKUP, "selector": {"all": True}}, "volumes and selector exclude each other"),
        ({**BACKUP, "volumes": {"a": 1}}, "volumes: {'a': 1} is not a list"),
        ({**BACKUP, "volumes": True}, "volumes: True is not a list"),
        ({**BACKUP, "volumes": ["a", ["b"]]}, "volumes[1]: ['b'] is not a text"),
        ({**BACKUP, "compression": "xz"}, "compression: 'xz' is none of zstd, gzip, none"),
        ({**BACKUP, "skip_unchanged": "maybe"}, "skip_unchanged: 'maybe' is not yes or no"),
        ({**BACKUP, "skip_unchanged": []}, "skip_unchanged: [] is not yes or no"),
        ({**BACKUP, "parallel": 1.5}, "parallel: 1.5 is not an integer"),
        ({**BACKUP, "parallel": True}, "parallel: True is not an integer"),
        ({**BACKUP, "stop_timeout": "soon"}, "stop_timeout: 'soon' is not a number"),
        ({**BACKUP, "stop_timeout": False}, "stop_timeout: False is not a number"),
        ({**BACKUP, "host": ["a"]}, "host: ['a'] is not a text"),
        ({**BACKUP, "verify_directory": {}}, "verify_directory: {} is not a path"),
        ({**BACKUP, "exec_before": [{"command": "x"}]}, "exec_before[0].container: this is required"),
        ({**BACKUP, "exec_before": [{"container": "c"}]}, "exec_before[0]: one of these is required: command, argv"),
        (
            {**BACKUP, "exec_after": [HOOK, {**HOOK, "argv": ["x"]}]},
            "exec_after[1]: command and argv exclude each other",
        ),
        ({**BACKUP, "encryption": {"method": "rot13"}}, "encryption.method: 'rot13' is none of age, gpg"),
        ({**BACKUP, "docker_host": "unix:///a", "docker_url": "b"}, "docker_url: this is docker_host, which is given"),
        ({**BACKUP, "repositroy": "/x"}, "repositroy: there is no such option; did you mean repository?"),
        ({**BACKUP, "zzz": 1}, "zzz: there is no such option"),
    ],
)
def test_errors_name_the_path_of_the_key(given: dict[str, t.Any], said: str) -> None:
    with pytest.raises(UsageError) as raised:
        validated(backup.SPEC, given)
    assert said in str(raised.value)


def test_every_error_is_told() -> None:
    with pytest.raises(UsageError) as raised:
        validated(backup.SPEC, {"volumes": 1.5, "parallel": "x", "y": 1})
    assert len(str(raised.value).split("; ")) == 3


def test_what_one_option_needs_of_another() -> None:
    with pytest.raises(UsageError, match="checksum: this needs archive"):
        validated(restore.SPEC, {"volume": "a", "repository": "/r", "checksum": "0"})


def test_the_environment_comes_after_what_is_given_and_before_the_default() -> None:
    environment = {"DOCKER_HOST": "unix:///from/there", "DOCKER_TIMEOUT": "7", "DOCKER_TLS": ""}
    found = validated(backup.SPEC, {**BACKUP, "docker_host": "unix:///given"}, environment)
    assert (found["docker_host"], found["timeout"], found["tls"]) == ("unix:///given", 7, False)
    assert validated(backup.SPEC, BACKUP, environment)["docker_host"] == "unix:///from/there"
    with pytest.raises(UsageError, match="timeout: 'x' is not an integer"):
        validated(backup.SPEC, BACKUP, {"DOCKER_TIMEOUT": "x"})
