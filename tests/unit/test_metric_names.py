# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The alert rules and the dashboard ask for metrics that the agent writes, with labels that they have."""

from __future__ import annotations

import datetime as dt
import re

import pytest
import yaml

from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import exposition, views
from tests.unit.helpers import CHECKOUT

FILES = CHECKOUT / "roles" / "volume_monitoring" / "files"
# The node exporter and what it writes.
OTHERS = {"node_textfile_mtime_seconds", "node_exporter"}


@pytest.mark.parametrize("name", ["drydock.rules.yml", "drydock.dashboard.json"])
def test_every_metric_that_is_asked_for_is_written(name: str) -> None:
    asked = set(re.findall(r"\b(?:drydock|node)_[a-z_]+\b", (FILES / name).read_text()))
    assert asked - OTHERS - exposition.METRICS.keys() == set()
    assert len(asked) > 10


def test_the_names_of_units_are_whole_where_lines_are_folded() -> None:
    groups = yaml.safe_load((FILES / "drydock.rules.yml").read_text())["groups"]
    said = [text for group in groups for rule in group["rules"] for text in rule["annotations"].values()]
    assert [text for text in said if "- " in text] == []
    assert any("systemctl status drydock-metrics." in text for text in said)


def test_no_metric_has_a_label_that_is_prometheus_own() -> None:
    job = views.JobView("nightly", "backup", record={"runs": 3, "finished_at": "2026-11-23T10:15:00Z"})
    text = exposition.text(views.Overview(dt.datetime.now(dt.UTC), [job]))
    assert 'name="nightly"' in text
    assert not re.search(r"[{,](job|instance)=", text)
