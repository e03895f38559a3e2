# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""README: every code block in it runs, in its order, and does what the text around it says.

Only names are replaced: volumes, hosts and paths of the reader's by those of the test.
"""

from __future__ import annotations

import os
import pathlib
import re
import subprocess

from tests.support import records, trees
from tests.support.engine import Engine
from tests.support.guide import Reader
from tests.support.modules import CHECKOUT

README = (CHECKOUT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def test_no_block_is_overlooked() -> None:
    kinds = [kind for kind, _text in BLOCKS]
    assert kinds == ["shell", "shell", "shell", "yaml", "shell", "yaml", "shell", "shell"]
    assert README.count("```") == 2 * len(BLOCKS)


def test_the_two_commands_are_targets() -> None:
    # `make test` is what runs this test, and test_install.py runs the demo
    assert [text for _kind, text in BLOCKS[:2]] == ["make demo\n", "make test\n"]
    for _kind, text in BLOCKS[:2]:
        subprocess.run([*text.split(), "--dry-run"], cwd=CHECKOUT, check=True, capture_output=True)


def test_from_the_build_to_the_restore(engine: Engine, work: pathlib.Path) -> None:
    database, uploads = engine.volume(), engine.volume()
    trees.make_nasty(engine.path(database))
    (engine.path(uploads) / "picture").write_bytes(os.urandom(100_000))
    before = {name: records.record(engine.path(name)) for name in (database, uploads)}
    run = Reader(work, {"pgdata": database, "uploads": uploads, "/var/backups/volumes": str(work / "backups")})
    build, backup, play, restore, documentation, by_hand = (text for _kind, text in BLOCKS[2:])

    installed = run.shell(build, cwd=CHECKOUT, replace={"--output-path build": f"--output-path {work}/build"})
    assert "drydock.volumes:0.1.0 was installed successfully" in installed

    run.playbook("backup.yml", backup)
    assert "changed=1" in run.shell(play)
    for name in (database, uploads):
        engine.remove(name)
    run.playbook("restore.yml", restore)
    assert "changed=1" in run.shell(play.replace("backup.yml", "restore.yml"))
    assert records.differences(before[database], records.record(engine.path(database))) == []

    said = run.shell(documentation)
    assert "Backs up one or several volumes" in said
    assert "Restores a backup made by" in said

    (archive,) = (work / "backups").glob(f"*/{uploads}/*.tar.zst")
    (work / "by-hand").mkdir()
    manifest = archive.with_name(archive.name.replace(".tar.zst", ".json")).read_text()
    checked = run.shell(
        by_hand, cwd=archive.parent, replace={"ID.tar.zst": archive.name, "DIRECTORY": str(work / "by-hand")}
    )
    assert f'"sha256": "{checked.split()[0]}"' in manifest
    assert records.differences(before[uploads], records.record(work / "by-hand")) == []
