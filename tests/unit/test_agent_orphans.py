# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Listings and metrics remember since when volumes are unused; a dry run and the module's check mode don't."""

from __future__ import annotations

import datetime as dt
import pathlib
import typing as t

import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import journal, sightings
from ansible_collections.drydock.volumes.plugins.module_utils._engine.actions import prune_orphans
from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent import jobs, metrics, orphaned
from ansible_collections.drydock.volumes.plugins.module_utils._engine.validate import validated
from tests.unit.fake_daemon import FakeDaemon

WEEKS = dt.timedelta(days=8)
NAME = "f" * 64


@pytest.fixture
def url(daemon: FakeDaemon, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(jobs, "CONFIGURATION", str(tmp_path))
    (tmp_path / "volume").mkdir()
    daemon.volume(NAME, tmp_path / "volume")
    daemon.answers["GET /info"] = (200, {"ID": "D", "Swarm": {}})
    return daemon.url


def _metrics(url: str, *, check: bool = False) -> list[str]:
    text: str = metrics.run(validated(metrics.SPEC, {"docker_host": url}), check=check).values["metrics"]
    return [line for line in text.splitlines() if line.startswith("drydock_orphan_volumes")]


def _listed(url: str, *, check: bool = False) -> dict[str, t.Any]:
    return orphaned.run(validated(orphaned.SPEC, {"docker_host": url}), check=check).values


def _age() -> None:
    """Have what was seen be some weeks old."""
    for name, one in sightings.load("D").seen.items():
        assert one is not None
        sightings.save("D", {name: sightings.Sighting(one.since - WEEKS, one.mark)})


@pytest.mark.parametrize("look", [_metrics, _listed])
def test_what_looks_again_and_again_finds_orphans(url: str, look: t.Callable[[str], object]) -> None:
    assert _metrics(url, check=True) == ["drydock_orphan_volumes 0"]
    look(url)
    (sighting,) = sightings.load("D").seen.values()
    look(url)
    assert list(sightings.load("D").seen.values()) == [sighting]
    _age()
    assert _metrics(url) == ["drydock_orphan_volumes 1"]
    # the volume was made a moment ago, so for the listing, which looks into it, its time begins anew
    assert "its files were changed since then" in _listed(url)["kept"][0]["reason"]
    (anew,) = sightings.load("D").seen.values()
    assert sighting is not None
    assert anew is not None
    assert anew.since >= sighting.since


def test_check_mode_writes_nothing(url: str) -> None:
    _metrics(url, check=True)
    _listed(url, check=True)
    prune_orphans.run(validated(prune_orphans.SPEC, {"docker_host": url}), check=True)
    assert not pathlib.Path(journal.STATE).exists()


@pytest.mark.parametrize("look", [_metrics, _listed])
def test_who_is_blind_forgets_nothing(url: str, daemon: FakeDaemon, look: t.Callable[[str], object]) -> None:
    look(url)
    before = pathlib.Path(sightings.path()).read_bytes()
    daemon.answers["GET /info"] = (200, {"ID": "D", "Swarm": {"LocalNodeState": "pending"}})
    look(url)
    assert pathlib.Path(sightings.path()).read_bytes() == before


def test_a_listing_does_not_need_to_remember(url: str) -> None:
    pathlib.Path(f"{sightings.path()}.partial").mkdir(parents=True)
    assert _metrics(url) == ["drydock_orphan_volumes 0"]
    assert _listed(url)["removed"] == []
