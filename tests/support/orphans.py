# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Orphans among a test's own volumes: the engine may hold others' at the same time."""

from __future__ import annotations

import datetime as dt
import json
import pathlib
import re
import typing as t

from tests.support.engine import Engine
from tests.support.modules import Answer, Modules

PRUNE, USAGE = "volume_prune_orphans", "docker_volume_usage_info"
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"
# For faketime: another date alone, not other times of files. What sleeps, as backups do, fails under it.
_CLOCK = {"NO_FAKE_STAT": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


class Orphans:
    """Run the modules on the volumes of one test. What they answer is cut down to these."""

    def __init__(self, engine: Engine, modules: Modules, work: pathlib.Path) -> None:
        self.state = work / "state" / "orphans.json"
        self.repository = work / "repository"
        self._engine = engine
        self._modules = modules

    def ours(self, **more: t.Any) -> dict[str, t.Any]:
        """A selector of this test's volumes, and options so that how many others there are doesn't count."""
        prefix = self._engine.name().rpartition("-")[0]
        return {"selector": {"names": [f"{prefix}-*"]}, **more}

    def prune(self, *, days: int = 0, **options: t.Any) -> Answer:
        """Run the module, so many days from now, whatever comes of it; without any grace if it isn't said."""
        given = self.ours(grace="0h", max_remove_percent=100, **options) if "grace" not in options else None
        return self._run(PRUNE, days, given or self.ours(max_remove_percent=100, **options))

    def usage(self, *, days: int = 0, **options: t.Any) -> dict[str, dict[str, t.Any]]:
        """What the module says, by the names of the volumes."""
        answer = self._run(USAGE, days, self.ours(**options))
        assert not answer.get("failed"), answer["msg"]
        return {one["name"]: one for one in answer["volumes"]}

    def pruned(self, **options: t.Any) -> Answer:
        """Run it in check mode, which changes nothing, and then in earnest: it must have told the truth."""
        before, state = self._engine.names(), self.state.read_bytes() if self.state.exists() else None
        foretold = self.prune(check=True, diff=True, **options)
        assert self._engine.names() == before
        assert (self.state.read_bytes() if self.state.exists() else None) == state
        answer = self.prune(diff=True, **options)
        for key in ("changed", "orphans", "reclaimed_bytes", "diff", "kept", "removed"):
            assert _timeless(foretold.get(key)) == _timeless(answer.get(key)), key
        assert bool(foretold.get("failed")) == bool(answer.get("failed")), answer
        assert self._engine.names() == [name for name in before if name not in removed(answer)]
        return answer

    def _run(self, module: str, days: int, options: dict[str, t.Any]) -> Answer:
        later: dict[str, t.Any] = {}
        if days:
            later = {"wrapper": ("faketime", "-f", f"+{days}d"), "environment": _CLOCK}
        answer = self._modules.run(module, **later, **options)
        assert "Traceback" not in answer.stderr + str(answer.get("msg")), answer
        ours = set(self._engine.names()) | set(answer.get("orphans", []))
        prefix = self._engine.name().rpartition("-")[0] + "-"
        answer["kept"] = [
            one for one in answer.get("kept", []) if one["name"].startswith(prefix) or one["name"] in ours
        ]
        return answer


def backdate(state: pathlib.Path, days: int) -> None:
    """Have all that was seen so far have been seen so many days earlier. What was written since then counts as use."""
    whole = json.loads(state.read_text())
    for daemon in whole["daemons"].values():
        for record in daemon.values():
            since = dt.datetime.strptime(record["since"], _FORMAT) - dt.timedelta(days=days)  # noqa: DTZ007 in UTC
            record["since"] = since.strftime(_FORMAT)
    state.write_text(json.dumps(whole))


def kept(answer: Answer) -> dict[str, str]:
    """The classes of what was kept, by name."""
    return {one["name"]: one["class"] for one in answer["kept"]}


def reason(answer: Answer, name: str) -> str:
    """Why a volume was kept."""
    return next(str(one["reason"]) for one in answer["kept"] if one["name"] == name)


def removed(answer: Answer) -> list[str]:
    """The names of what was removed."""
    return [one["name"] for one in answer.get("removed", [])]


def _timeless(value: t.Any) -> t.Any:
    if isinstance(value, dict):
        return {key: _timeless(one) for key, one in value.items() if key not in ("backup", "age_seconds")}
    if isinstance(value, list):
        return [_timeless(one) for one in value]
    return _TIME.sub("(a time)", value) if isinstance(value, str) else value
