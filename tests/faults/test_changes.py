# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F07: files that change, shrink or vanish while they are read are named in a warning and in the manifest."""

from __future__ import annotations

import json
import os
import pathlib
import threading
import time

from tests.support.engine import Engine
from tests.support.modules import Modules
from tests.support.processes import wait_for


def test_f07_files_change_while_they_are_read(
    engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str
) -> None:
    tree = engine.path(slow_volume)
    ended = threading.Event()

    def change() -> None:
        while not ended.is_set():
            for number in range(4):
                with open(tree / f"noise-{number}", "ab") as file:
                    file.write(b"more")
            time.sleep(0.02)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        answer = modules.backup(
            slow_volume, repository=str(work / "repository"), compression="gzip", compression_level=9
        )
    finally:
        ended.set()
        writer.join()

    assert "changed, shrank or vanished while read" in str(answer["warnings"])
    stored = json.loads(next((work / "repository").rglob("*.json")).read_text())
    changed = stored["content"]["changed_while_read"]
    assert set(changed) <= {f"./noise-{number}" for number in range(4)}
    assert len(changed) == answer["backups"][0]["content"]["changed_while_read"] > 0
    # it isn't the fingerprint of what was read, so none is recorded
    assert stored["content"]["fingerprint"] is None

    # what was read is consistent in itself: it restores
    target = engine.volume()
    modules.restore(target, source_volume=slow_volume, repository=str(work / "repository"))


def test_f07_files_vanish_and_shrink(engine: Engine, modules: Modules, work: pathlib.Path, slow_volume: str) -> None:
    tree = engine.path(slow_volume)
    process = modules.start(
        "docker_volume_backup",
        volumes=[slow_volume],
        repository=str(work / "repository"),
        compression="gzip",
        compression_level=9,
    )
    wait_for(lambda: any(path.stat().st_size for path in (work / "repository").rglob("*.partial")), "data")
    for number in range(4):
        os.truncate(tree / f"noise-{number}", 0)
        os.unlink(tree / f"noise-{number}")
    answer = modules.finish(process)

    assert not answer.get("failed"), answer
    assert answer["backups"][0]["content"]["changed_while_read"]
    modules.restore(engine.volume(), source_volume=slow_volume, repository=str(work / "repository"))
