# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules' edges: what they take, and the shape of what they return, with a small daemon in place of Docker."""

from __future__ import annotations

import collections.abc as c
import contextlib
import json
import os
import pathlib
import signal
import typing as t

import pytest
from ansible.module_utils.basic import AnsibleModule

from ansible_collections.drydock.volumes.plugins.module_utils import _module
from ansible_collections.drydock.volumes.plugins.module_utils._engine import termination
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import VolumeError
from ansible_collections.drydock.volumes.plugins.modules import (
    docker_volume_backup,
    docker_volume_clone,
    docker_volume_layout,
    docker_volume_restore,
    docker_volume_usage_info,
    volume_prune_orphans,
)
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.helpers import needs_root
from tests.unit.module_arguments import patch_module_args

Run = c.Callable[..., dict[str, t.Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    # ansible-core 2.19 takes this process for a controller once a test has imported a filter
    with contextlib.suppress(ImportError, AttributeError):
        monkeypatch.setattr("ansible.module_utils._internal.is_controller", False)

    def run(main: c.Callable[[], None], **options: t.Any) -> dict[str, t.Any]:
        with patch_module_args(options), pytest.raises(SystemExit) as ended:
            main()
        answer: dict[str, t.Any] = json.loads(capsys.readouterr().out)
        assert ended.value.code == (1 if answer.get("failed") else 0)
        return answer

    return run


BACKUP = {"volumes": ["a"], "repository": "/nowhere/r", "docker_host": "unix:///nowhere/docker.sock"}
RESTORE = {"volume": "a", "repository": "/nowhere/r", "docker_host": "unix:///nowhere/docker.sock"}
ARCHIVE = {"volume": "a", "archive": "/nowhere/a.tar", "docker_host": "unix:///nowhere/docker.sock"}
CLONE = {"source": "a", "target": "b", "docker_host": "unix:///nowhere/docker.sock"}
LAYOUT = {"volumes": [{"name": "a1"}], "docker_host": "unix:///nowhere/docker.sock"}
NOWHERE = {"docker_host": "unix:///nowhere/docker.sock"}
MODULES = [
    pytest.param(docker_volume_backup, BACKUP, id="backup"),
    pytest.param(docker_volume_clone, CLONE, id="clone"),
    pytest.param(docker_volume_layout, LAYOUT, id="layout"),
    pytest.param(docker_volume_restore, RESTORE, id="restore"),
    pytest.param(docker_volume_restore, ARCHIVE, id="restore of an archive"),
    pytest.param(docker_volume_usage_info, NOWHERE, id="usage"),
    pytest.param(volume_prune_orphans, NOWHERE, id="prune"),
]


@pytest.mark.parametrize(
    ("module", "options", "text"),
    [
        (docker_volume_backup, {"repository": "/r"}, "one of the following is required: volumes, selector"),
        (
            docker_volume_backup,
            {**BACKUP, "selector": {"all": True}},
            "parameters are mutually exclusive: volumes|selector",
        ),
        (docker_volume_backup, {"repository": "/r", "selector": {}}, "it doesn't say which volumes to take"),
        (docker_volume_backup, {"volumes": ["a"]}, "missing required arguments: repository"),
        (
            docker_volume_backup,
            {**BACKUP, "compression": "xz"},
            "value of compression must be one of: zstd, gzip, none",
        ),
        (docker_volume_backup, {**BACKUP, "compression_level": "high"}, "compression_level"),
        (docker_volume_backup, {**BACKUP, "quiesce": "freeze"}, "value of quiesce must be one of: none, pause, stop"),
        (docker_volume_backup, {**BACKUP, "parallel": 0}, "parallel is 0; it must be 1 or more"),
        (docker_volume_backup, {**BACKUP, "exec_before": [{"container": "a"}]}, "one of the following is required"),
        (docker_volume_backup, {**BACKUP, "on_change": "ignore"}, "value of on_change must be one of: warn, fail"),
        (docker_volume_clone, {"source": "a"}, "missing required arguments: target"),
        (docker_volume_clone, {"target": "a"}, "missing required arguments: source"),
        (
            docker_volume_clone,
            {**CLONE, "when_not_empty": "merge"},
            "value of when_not_empty must be one of: fail, replace",
        ),
        (docker_volume_clone, {**CLONE, "quiesce": "freeze"}, "value of quiesce must be one of: none, pause, stop"),
        (docker_volume_clone, {**CLONE, "on_change": "ignore"}, "value of on_change must be one of: warn, fail"),
        (docker_volume_clone, {**CLONE, "verify": "restore"}, "value of verify must be one of: none, compare"),
        (docker_volume_layout, {}, "missing required arguments: volumes"),
        (docker_volume_layout, {"volumes": [{}]}, "missing required arguments: name found in volumes"),
        (docker_volume_layout, {**LAYOUT, "on_drift": "ignore"}, "on_drift must be one of: fail, warn, recreate"),
        (
            docker_volume_layout,
            {**LAYOUT, "recreate_with_data": True},
            "recreate_with_data needs backup_to",
        ),
        (
            docker_volume_layout,
            {"volumes": [{"name": "a1", "state": "gone"}]},
            "value of state must be one of: present, absent",
        ),
        (docker_volume_restore, {"repository": "/r"}, "missing required arguments: volume"),
        (docker_volume_restore, {"volume": "a"}, "one of the following is required: archive, repository"),
        (docker_volume_restore, {**RESTORE, "archive": "/a.tar"}, "mutually exclusive: archive|repository"),
        (docker_volume_restore, {**ARCHIVE, "host": "db1"}, "mutually exclusive: archive|host"),
        (docker_volume_restore, {**ARCHIVE, "source_volume": "b"}, "mutually exclusive: archive|source_volume"),
        (docker_volume_restore, {**ARCHIVE, "backup": "latest"}, "mutually exclusive: archive|backup"),
        (docker_volume_restore, {**ARCHIVE, "before": "2026-11-23"}, "mutually exclusive: archive|before"),
        (docker_volume_restore, {**ARCHIVE, "strip_components": "x"}, "strip_components"),
        (docker_volume_restore, {**ARCHIVE, "strip_components": -1}, "strip_components is -1; it must be 0 or more"),
        (docker_volume_restore, {**ARCHIVE, "checksum": "md5:1"}, "checksum 'md5:1' is not a SHA-256"),
        (
            docker_volume_restore,
            {**RESTORE, "checksum": "0" * 64},
            "missing parameter(s) required by 'checksum': archive",
        ),
        (docker_volume_restore, {**RESTORE, "strip_components": 1}, "strip_components is for an archive"),
        (
            docker_volume_restore,
            {**RESTORE, "when_not_empty": "merge"},
            "value of when_not_empty must be one of: fail, replace",
        ),
        (docker_volume_restore, {**RESTORE, "verify": "yes"}, "value of verify must be one of: none, compare"),
        (docker_volume_restore, {**RESTORE, "quiesce": "pause"}, "value of quiesce must be one of: none, stop"),
        (docker_volume_restore, {**RESTORE, "before": "yesterday"}, "before is 'yesterday', which is no time"),
        (
            docker_volume_restore,
            {**RESTORE, "safety_backup": {"repository": "/s"}},
            "safety_backup is for staging: false",
        ),
        (
            docker_volume_restore,
            {**RESTORE, "staging": False, "safety_backup": {}},
            "missing required arguments: repository found in safety_backup",
        ),
        (
            docker_volume_restore,
            {**RESTORE, "staging": False, "safety_backup": {"repository": "safety"}},
            "repository 'safety' is not an absolute path",
        ),
        (docker_volume_usage_info, {"grace": "1 week"}, "grace is '1 week'; give a duration"),
        (docker_volume_usage_info, {"repository": "relative"}, "repository 'relative' is not an absolute path"),
        (docker_volume_usage_info, {"selector": {"names": [""]}}, "names has an empty pattern"),
        (volume_prune_orphans, {"grace": "-1d"}, "grace is '-1d'; give a duration"),
        (volume_prune_orphans, {"max_remove": -1}, "max_remove is -1; it must be 0 or more"),
        (volume_prune_orphans, {"max_remove_percent": 101}, "max_remove_percent is 101; it must be from 0 to 100"),
        (volume_prune_orphans, {"gone_projects": [""]}, "shell globs and labels that aren't empty"),
        (volume_prune_orphans, {"anonymous": False}, "anonymous and named are both false"),
        (volume_prune_orphans, {"anonymous": False, "selector": {"exclude": ["x"]}}, "are both false"),
        (volume_prune_orphans, {"backup_to": {"host": "db1"}}, "missing required arguments: repository"),
        (volume_prune_orphans, {"backup_to": {"repository": "r"}}, "repository 'r' is not an absolute path"),
    ],
)
def test_wrong_arguments(run: Run, module: t.Any, options: dict[str, t.Any], text: str) -> None:
    answer = run(module.main, **options)
    assert answer["failed"]
    assert text in answer["msg"]


@pytest.mark.parametrize(("module", "options"), MODULES)
def test_an_error_of_the_engine_is_the_message_alone(run: Run, module: t.Any, options: dict[str, t.Any]) -> None:
    answer = run(module.main, **options)
    assert answer["msg"].startswith("no Docker daemon answers at unix:///nowhere/docker.sock")
    assert not answer.get("exception")
    assert "Traceback" not in answer["msg"]


@pytest.mark.parametrize(("module", "options"), MODULES)
def test_the_address_comes_from_the_environment_and_the_option_wins(
    run: Run, module: t.Any, options: dict[str, t.Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///from/the/environment")
    assert "unix:///nowhere/docker.sock" in run(module.main, **options)["msg"]
    without = {name: value for name, value in options.items() if name != "docker_host"}
    assert "unix:///from/the/environment" in run(module.main, **without)["msg"]


@pytest.mark.parametrize(("module", "options"), MODULES)
def test_a_remote_daemon_is_refused(run: Run, daemon: FakeDaemon, module: t.Any, options: dict[str, t.Any]) -> None:
    answer = run(module.main, **{**options, "docker_host": "tcp://127.0.0.1:1"})
    assert "no Docker daemon answers at tcp://127.0.0.1:1" in answer["msg"]


@pytest.fixture
def work(tmp_path: pathlib.Path, daemon: FakeDaemon) -> dict[str, t.Any]:
    """Two volumes, and the options that back them up."""
    for name in ("good", "better"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
        daemon.volume(name, tmp_path / name)
    return {
        "docker_host": daemon.url,
        "repository": str(tmp_path / "repository"),
        "host": "db1",
        "volumes": ["good", "better"],
    }


@needs_root
def test_success(run: Run, work: dict[str, t.Any]) -> None:
    answer = run(docker_volume_backup.main, **work)
    assert answer["changed"]
    assert answer["failures"] == []
    assert [made["volume"]["name"] for made in answer["backups"]] == ["good", "better"]
    for made in answer["backups"]:
        assert os.path.getsize(made["path"]) == made["archive"]["bytes"]
        stored = json.loads(pathlib.Path(made["path"].replace(".tar.zst", ".json")).read_text())
        assert made.keys() - stored.keys() == {"path", "seconds"}
        assert made["archive"] == stored["archive"]
    assert answer["diff"]["before"]["backups"] == {"good": [], "better": []}
    assert answer["diff"]["after"]["backups"] == {made["volume"]["name"]: [made["id"]] for made in answer["backups"]}


@needs_root
def test_one_volumes_failure_is_reported_beside_what_was_done(run: Run, work: dict[str, t.Any]) -> None:
    answer = run(docker_volume_backup.main, **{**work, "volumes": ["bettr", "good", "bettr", "../x"]})
    assert answer["failed"]
    assert [failure["volume"] for failure in answer["failures"]] == ["bettr", "../x"]
    assert answer["msg"] == "; ".join(failure["error"] for failure in answer["failures"])
    assert "did you mean better?" in answer["msg"]
    assert [made["volume"]["name"] for made in answer["backups"]] == ["good"]
    assert answer["changed"]


@needs_root
def test_check_mode_writes_nothing_and_tells_the_same(run: Run, work: dict[str, t.Any]) -> None:
    answer = run(docker_volume_backup.main, **work, _ansible_check_mode=True)
    assert answer["changed"]
    assert [(made["id"], made["path"]) for made in answer["backups"]] == [(None, None)] * 2
    assert not os.path.lexists(work["repository"])
    assert answer["diff"]["after"]["backups"] == {"good": ["(a new backup)"], "better": ["(a new backup)"]}


@needs_root
def test_warnings_are_passed_on(run: Run, work: dict[str, t.Any]) -> None:
    # ansible-core 2.19 collects the warnings of a whole process: look for this test's own
    assert f"repository {work['repository']} " in str(run(docker_volume_backup.main, **work)["warnings"])
    (made, _other) = run(docker_volume_backup.main, **work)["backups"]
    os.truncate(made["path"], 1)
    assert f"archive {made['path']} has 1 bytes" in str(run(docker_volume_backup.main, **work)["warnings"])


@needs_root
def test_wrong_values_fail_before_anything_is_made(run: Run, work: dict[str, t.Any]) -> None:
    for wrong in ({"compression_level": 99}, {"host": "../x"}, {"repository": "relative"}):
        answer = run(docker_volume_backup.main, **{**work, **wrong})
        assert answer["failed"]
    assert not os.path.lexists(work["repository"])


@pytest.fixture
def module() -> c.Iterator[AnsibleModule]:
    with patch_module_args({}):
        yield AnsibleModule({})


@pytest.mark.parametrize(
    ("error", "text"),
    [(VolumeError("just so"), "just so"), (OSError(5, "Input/output error"), "unforeseen: [Errno 5]")],
)
def test_errors_become_failures(
    module: AnsibleModule, capsys: pytest.CaptureFixture[str], error: Exception, text: str
) -> None:
    with pytest.raises(SystemExit), _module.failing(module):
        raise error
    answer = json.loads(capsys.readouterr().out)
    assert (answer["failed"], answer["msg"].startswith(text)) == (True, True)


@pytest.fixture
def handled() -> c.Iterator[None]:
    """The signals have the handlers of a process that inherited none, and get their own back."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in termination.SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_f21_a_signal_becomes_a_failure_and_what_ends_on_failure_ends(
    module: AnsibleModule, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    ended = []
    with pytest.raises(SystemExit), _module.failing(module):  # noqa: PT012
        try:
            os.kill(os.getpid(), number)
            signal.pause()
        finally:
            for another in termination.SIGNALS:  # disturbs nothing any more
                os.kill(os.getpid(), another)
            ended.append(True)
    assert f"ended by {number.name}" in json.loads(capsys.readouterr().out)["msg"]
    assert ended
    assert {signal.getsignal(number) for number in termination.SIGNALS} == {signal.SIG_DFL}


@pytest.mark.usefixtures("handled")
def test_a_signal_that_is_ignored_from_the_start_stays_so(module: AnsibleModule) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with _module.failing(module):
        os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
