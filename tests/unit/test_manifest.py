# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The manifest: what is stored can be read, and nothing else is taken for one."""

from __future__ import annotations

import collections.abc as c
import copy
import json
import typing as t

import hypothesis
import hypothesis.strategies as st
import pytest

from ansible_collections.drydock.volumes.plugins.module_utils._engine import manifest as manifests
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import IntegrityError
from tests.unit.samples import ID, a_manifest

Manifest = dict[str, t.Any]


def load(data: bytes) -> Manifest:
    return manifests.load(data, host="db1", volume="pgdata", backup_id=ID)


def test_round_trip() -> None:
    manifest = a_manifest()
    manifest["volume"]["labels"] = {'é\n"': "\udcff"}
    manifest["content"]["changed_while_read"] = [r"./a\nb"]
    data = manifests.dump(manifest)
    assert data.isascii()
    assert data.endswith(b"}\n")
    assert load(data) == manifest


def test_keys_that_a_later_version_adds_are_ignored() -> None:
    manifest = a_manifest()
    manifest["later"] = manifest["archive"]["later"] = {"x": [1]}
    assert load(manifests.dump(manifest)) == manifest


@pytest.mark.parametrize("name", ["options", "labels"])
def test_empty_options_and_labels_are_in_order(name: str) -> None:
    manifest = a_manifest()
    manifest["volume"][name] = {}
    assert load(manifests.dump(manifest)) == manifest


def test_a_fingerprint_that_is_not_known_is_null() -> None:
    manifest = a_manifest()
    manifest["content"]["fingerprint"] = None
    data = manifests.dump(manifest)
    assert b'"fingerprint": null' in data
    assert load(data) == manifest


def put(*path_and_value: t.Any) -> c.Callable[[Manifest], None]:
    *path, last, value = path_and_value

    def change(manifest: Manifest) -> None:
        for key in path:
            manifest = manifest[key]
        manifest[last] = value

    return change


def drop(*path: str) -> c.Callable[[Manifest], None]:
    def change(manifest: Manifest) -> None:
        for key in path[:-1]:
            manifest = manifest[key]
        del manifest[path[-1]]

    return change


BROKEN: dict[str, tuple[c.Callable[[Manifest], None], str]] = {
    "no format": (drop("format"), "no key 'format'"),
    "format 2": (put("format", 2), "it has format 2; this version reads format 1"),
    "format as text": (put("format", "1"), "it has format '1'"),
    "format null": (put("format", None), "it has format None"),
    "no id": (drop("id"), "'id' is missing"),
    "id is no identifier": (put("id", "../x"), "'id' is '../x'"),
    "another id": (put("id", "20261123T101502Z-2"), "manifest of another backup"),
    "another host": (put("host", "db2"), "manifest of another backup"),
    "another volume": (put("volume", "name", "pgdat"), "manifest of another backup"),
    "no volume": (drop("volume"), "'volume' is not an object"),
    "a list for a volume": (put("volume", []), "'volume' is not an object"),
    "no driver": (drop("volume", "driver"), "'volume.driver' is missing"),
    "options with a number": (put("volume", "options", {"size": 1}), "'volume.options' holds something else"),
    "labels with a list": (put("volume", "labels", {"a": []}), "'volume.labels' holds something else"),
    "labels null": (put("volume", "labels", None), "'volume.labels' is missing or of the wrong type"),
    "no archive": (drop("archive"), "'archive' is not an object"),
    "no checksum": (drop("archive", "sha256"), "'archive.sha256' is missing"),
    "checksum null": (put("archive", "sha256", None), "'archive.sha256' is missing or of the wrong type"),
    "checksum that is none": (put("archive", "sha256", "a\0b"), "'archive.sha256' is 'a"),
    "checksum in capitals": (put("archive", "sha256", "A" * 64), "'archive.sha256' is 'AAAA"),
    "bool for a size": (put("archive", "bytes", True), "'archive.bytes' is missing or of the wrong type"),
    "float for a size": (put("archive", "bytes", 1.0), "'archive.bytes' is missing or of the wrong type"),
    "text for a size": (put("archive", "bytes", "1"), "'archive.bytes' is missing or of the wrong type"),
    "negative size": (put("archive", "bytes", -1), "'archive.bytes' is negative"),
    "a size beyond all": (put("archive", "bytes", 1 << 63), "'archive.bytes' is larger than any file system"),
    "text for what is allocated": (
        put("content", "allocated_bytes", "1"),
        "'content.allocated_bytes' is missing or of",
    ),
    "null for what is allocated": (put("content", "allocated_bytes", None), "'content.allocated_bytes' is missing or"),
    "a text of what wasn't read": (
        put("content", "unreadable", "x"),
        "'content.unreadable' is missing or of the wrong",
    ),
    "engine is a text": (put("engine", "x"), "'engine' is not an object"),
    "engine is null": (put("engine", None), "'engine' is not an object"),
    "a number for userns": (put("engine", "userns", 1), "'engine.userns' is missing or of the wrong type"),
    "a list for consistency": (put("consistency", []), "'consistency' is not an object"),
    "negative entries": (put("content", "entries", -1), "'content.entries' is negative"),
    "no fingerprint": (drop("content", "fingerprint"), "'content.fingerprint' is missing or of the wrong type"),
    "number for a fingerprint": (put("content", "fingerprint", 0), "'content.fingerprint' is missing or of the wrong"),
    "bool for a fingerprint": (put("content", "fingerprint", False), "'content.fingerprint' is missing or of the"),
    "list for a fingerprint": (put("content", "fingerprint", []), "'content.fingerprint' is missing or of the wrong"),
    "entries null": (put("content", "entries", None), "'content.entries' is missing or of the wrong type"),
    "no content": (put("content", None), "'content' is not an object"),
    "archive elsewhere": (put("archive", "file", f"../{ID}.tar.zst"), "names an archive that isn't its own"),
    "absolute archive": (put("archive", "file", f"/{ID}.tar.zst"), "names an archive that isn't its own"),
    "archive of another": (put("archive", "file", f"{ID}-2.tar.zst"), "names an archive that isn't its own"),
    "archive of another codec": (put("archive", "file", f"{ID}.tar.gz"), "names an archive that isn't its own"),
    "unknown compression": (put("archive", "compression", "xz"), "compression unknown here: 'xz'"),
    "encrypted": (put("archive", "encryption", {"method": "age"}), "'archive.encryption' is not an object"),
}


@pytest.mark.parametrize(("change", "text"), BROKEN.values(), ids=BROKEN)
def test_a_broken_manifest_is_refused_with_the_reason(change: c.Callable[[Manifest], None], text: str) -> None:
    manifest = copy.deepcopy(a_manifest())
    change(manifest)
    with pytest.raises(IntegrityError, match=text):
        load(manifests.dump(manifest))


@pytest.mark.parametrize("key", ["engine", "consistency"])
def test_what_readers_can_do_without(key: str) -> None:
    manifest = a_manifest()
    del manifest[key]
    assert load(manifests.dump(manifest)) == manifest
    manifest[key] = {}
    assert load(manifests.dump(manifest)) == manifest


@pytest.mark.parametrize(
    "change",
    [
        put("archive", "compression", "x" * 70_000),
        put("id", "x" * 70_000),
        put("host", "x" * 70_000),
        put("format", "x" * 70_000),
    ],
)
def test_an_error_has_one_short_line(change: c.Callable[[Manifest], None]) -> None:
    manifest = a_manifest()
    change(manifest)
    with pytest.raises(IntegrityError) as raised:
        load(manifests.dump(manifest))
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("value", [True, 1.0])
def test_a_format_that_only_compares_equal_is_refused(value: object) -> None:
    manifest = a_manifest()
    manifest["format"] = value
    with pytest.raises(IntegrityError):
        load(manifests.dump(manifest))


GARBAGE = {
    "nothing": b"",
    "cut": manifests.dump(a_manifest())[:-10],
    "twice": manifests.dump(a_manifest()) * 2,
    "zeros": bytes(4096),
    "not UTF-8": b'{"format": "\xff"}',
    "a list": b"[]",
    "null": b"null",
    "deep": b"[" * 100_000,
    "deep in a key": b'{"format":' + b"[" * 900 + b"]" * 900 + b"}",
    "a huge number": b'{"format":' + b"9" * 5000 + b"}",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        load(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
LIGHT = hypothesis.settings(max_examples=150, deadline=None, database=None)


@LIGHT
@hypothesis.given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_anything_else_is_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        load(data)


PATHS = [("format",), ("id",), ("host",), ("volume",), ("archive",), ("content",)] + [
    (section, key) for section in ("volume", "archive", "content") for key in a_manifest()[section]
]


@LIGHT
@hypothesis.given(st.sampled_from(PATHS), JSON)
def test_a_manifest_with_anything_in_one_place_is_read_or_refused(path: tuple[str, ...], value: object) -> None:
    manifest = a_manifest()
    put(*path, value)(manifest)
    try:
        found = load(json.dumps(manifest).encode())
    except IntegrityError:
        return
    assert found["id"] == ID
    assert found["archive"]["file"] == f"{ID}.tar.zst"


DUMP = {"file": "shop.dump", "database": "shop", "bytes": 1, "sha256": "0" * 64}
DATABASE = {
    "engine": "postgresql",
    "version": "15.20",
    "container": "pg",
    "image": "postgres:15",
    "databases": ["shop"],
    "dumps": [DUMP, {**DUMP, "database": None}],
}


def of_databases(**changes: t.Any) -> Manifest:
    manifest = a_manifest()
    del manifest["volume"]
    return {**manifest, "kind": "database", "database": {**DATABASE, **changes}}


def test_a_manifest_of_databases() -> None:
    manifest = of_databases()
    data = manifests.dump(manifest)
    assert manifests.load(data, host="db1", volume="database@pg", backup_id=ID) == manifest
    assert manifests.subject(manifest) == "database@pg"
    assert manifests.subject(a_manifest()) == "pgdata"
    with pytest.raises(IntegrityError, match="another backup: 'db1'/'database@pg'"):
        load(data)


@pytest.mark.parametrize(
    "changes",
    [
        {"engine": None},
        {"container": 1},
        {"databases": "shop"},
        {"databases": [1]},
        {"dumps": {}},
        {"dumps": ["shop.dump"]},
        {"dumps": [{**DUMP, "bytes": -1}]},
        {"dumps": [{**DUMP, "database": 1}]},
        {"dumps": [{"file": "shop.dump"}]},
    ],
)
def test_a_manifest_of_databases_has_its_shape(changes: dict[str, t.Any]) -> None:
    data = manifests.dump(of_databases(**changes))
    with pytest.raises(IntegrityError, match="not a manifest"):
        manifests.load(data, host="db1", volume="database@pg", backup_id=ID)


def test_a_kind_that_a_later_version_adds_is_refused() -> None:
    with pytest.raises(IntegrityError, match="it has kind 'tape'; this version knows volume, database"):
        load(manifests.dump({**a_manifest(), "kind": "tape"}))
