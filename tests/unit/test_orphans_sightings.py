# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is remembered of volumes that nothing refers to, and what a damaged memory costs (F55)."""

from __future__ import annotations

import datetime as dt
import json
import os
import pathlib
import stat

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import journal, sightings
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import StateError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.sightings import Memory, Sighting, observe
from tests.unit.helpers import file_size_limit

LIGHT = hypothesis.settings(max_examples=200, deadline=None, database=None)
NOW = dt.datetime(2026, 11, 26, 3, 0, tzinfo=dt.UTC)
THEN = NOW - dt.timedelta(days=8)
FUTURE = NOW + dt.timedelta(seconds=1)


@pytest.fixture
def state(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> pathlib.Path:
    monkeypatch.setattr(journal, "STATE", str(tmp_path / "drydock"))
    return tmp_path / "drydock" / "orphans.json"


def test_nothing_yet(state: pathlib.Path) -> None:
    assert sightings.load("D") == Memory()
    assert not state.parent.exists()


def test_what_is_saved_is_loaded_for_its_daemon_alone(state: pathlib.Path) -> None:
    mine, theirs = {"a": Sighting(THEN, "m"), "b": Sighting(NOW, "")}, {"a": Sighting(NOW, "other")}
    sightings.save("D", mine)
    sightings.save("E", theirs)
    assert sightings.load("D") == Memory(mine)
    assert sightings.load("E") == Memory(theirs)
    sightings.save("D", {})
    assert sightings.load("D") == Memory()
    assert sightings.load("E") == Memory(theirs)
    assert stat.S_IMODE(os.stat(state).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(state.parent).st_mode) == 0o700
    assert not list(state.parent.glob("*.partial"))


OBSERVED: dict[str, tuple[Memory, Sighting, dt.datetime | None]] = {
    "new": (Memory(), Sighting(NOW, "m"), NOW),
    "seen before": (Memory({"a": Sighting(THEN, "m")}), Sighting(THEN, "m"), THEN),
    "made anew": (Memory({"a": Sighting(THEN, "old")}), Sighting(NOW, "m"), NOW),
    "of a time to come": (Memory({"a": Sighting(FUTURE, "m")}), Sighting(NOW, "m"), None),
    "damaged": (Memory({"a": None}), Sighting(NOW, "m"), None),
    "all is damaged": (Memory(problem="x"), Sighting(NOW, "m"), None),
    "another one is damaged": (Memory({"b": None, "a": Sighting(THEN, "m")}), Sighting(THEN, "m"), THEN),
}


@pytest.mark.parametrize(("memory", "kept", "since"), OBSERVED.values(), ids=OBSERVED)
def test_f55_observed(memory: Memory, kept: Sighting, since: dt.datetime | None) -> None:
    assert observe(memory, ["a"], {"a": "m"}, NOW) == ({"a": kept}, {"a": since})


def test_what_is_used_or_gone_is_forgotten() -> None:
    memory = Memory({"a": Sighting(THEN, "m"), "used": Sighting(THEN, "m")})
    assert observe(memory, ["a"], {"a": "m", "used": "m"}, NOW)[0].keys() == {"a"}


DAMAGED = [
    b"",
    b"{",
    b"\xff\x00",
    b"[]",
    b"{}",
    b"[" * 100_000,
    b'{"format": 2, "daemons": {}}',
    b'{"format": 1}',
    b'{"format": 1, "daemons": []}',
    b'{"format": 1, "daemons": {"D": []}}',
]


@pytest.mark.parametrize("data", DAMAGED, ids=lambda data: repr(data[:30]))
def test_f55_a_damaged_file_is_no_knowledge(state: pathlib.Path, data: bytes) -> None:
    state.parent.mkdir()
    state.write_bytes(data)
    memory = sightings.load("D")
    assert memory.seen == {}
    assert memory.problem is not None
    assert f"{state} can't be read" in memory.problem
    kept, since = observe(memory, ["a"], {}, NOW)
    assert since == {"a": None}
    sightings.save("D", kept)
    assert sightings.load("D") == Memory({"a": Sighting(NOW, "")})


RECORDS_DAMAGED: list[object] = [
    None,
    1,
    [],
    {},
    {"since": "2026-11-26T03:00:00Z"},
    {"since": "x", "mark": ""},
    {"since": 1, "mark": ""},
    {"since": "2026-02-30T03:00:00Z", "mark": ""},
    {"since": "2026-11-18T03:00:00Z", "mark": None},
]


@pytest.mark.parametrize("record", RECORDS_DAMAGED, ids=str)
def test_f55_a_damaged_record_is_no_knowledge_of_that_volume(state: pathlib.Path, record: object) -> None:
    state.parent.mkdir()
    good = {"since": "2026-11-18T03:00:00Z", "mark": "m"}
    state.write_text(json.dumps({"format": 1, "daemons": {"D": {"a": record, "b": good}}}))
    assert sightings.load("D") == Memory({"a": None, "b": Sighting(THEN, "m")})


def test_a_directory_in_its_place(state: pathlib.Path) -> None:
    state.mkdir(parents=True)
    assert "Is a directory" in str(sightings.load("D").problem)
    with pytest.raises(StateError, match="nothing was removed"):
        sightings.save("D", {})


def test_a_full_disk_leaves_what_was_there(state: pathlib.Path) -> None:
    sightings.save("D", {"a": Sighting(THEN, "m")})
    many = {f"volume-{number}": Sighting(NOW, "m") for number in range(100)}
    with file_size_limit(1000), pytest.raises(StateError, match="can't be written"):
        sightings.save("D", many)
    assert sightings.load("D") == Memory({"a": Sighting(THEN, "m")})


TIMES = st.sampled_from([THEN, NOW, FUTURE])
RECORDS = st.none() | st.builds(Sighting, TIMES, st.sampled_from(["m", "n"]))


@LIGHT
@hypothesis.given(st.dictionaries(st.text(max_size=3), RECORDS), st.sets(st.text(max_size=3)), st.booleans())
def test_nobody_gets_older_than_was_seen(seen: dict[str, Sighting | None], now: set[str], broken: bool) -> None:
    memory = Memory({} if broken else seen, "broken" if broken else None)
    kept, since = observe(memory, now, dict.fromkeys(now, "m"), NOW)
    assert kept.keys() == since.keys() == now
    for name in now:
        record = memory.seen.get(name)
        assert kept[name].since <= NOW
        if kept[name].since < NOW:
            assert kept[name] == record
        assert since[name] in (None, kept[name].since)
    again, still = observe(Memory(kept), now, dict.fromkeys(now, "m"), NOW)
    assert again == kept
    assert all(still[name] == kept[name].since for name in now)
