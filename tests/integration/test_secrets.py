# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F71: a volume's driver options may hold a password; a manifest never does."""

from __future__ import annotations

import json
import pathlib

from tests.support.engine import Engine
from tests.support.modules import Modules

PASSWORD = "hunter2-of-the-file-server"


def test_f71_passwords_in_driver_options(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    (work / "device").mkdir()
    # a bind volume takes any mount options that the kernel ignores for a bind
    volume = engine.volume(type="none", device=str(work / "device"), o=f"bind,username=ops,password={PASSWORD},ro=no")
    answer = modules.backup(volume, repository=str(work / "repository"))
    manifest = next((work / "repository").rglob("*.json")).read_text()
    assert PASSWORD not in json.dumps(answer) + manifest
    assert "username=ops,password=(not recorded),ro=no" in manifest

    engine.remove(volume)
    message = modules.refused("docker_volume_restore", volume=volume, repository=str(work / "repository"))
    assert "doesn't record the passwords" in message
    assert engine.names() == []


def test_f71_the_daemons_own_words_repeat_no_password(engine: Engine, modules: Modules, work: pathlib.Path) -> None:
    options = f"addr=127.0.0.1,username=ops,password={PASSWORD}"
    volume = engine.volume(type="cifs", device="//127.0.0.1/share", o=options)
    answer = modules.run("docker_volume_backup", volumes=[volume], repository=str(work / "repository"))
    assert f"volume {volume} can't be mounted" in answer["msg"]
    assert PASSWORD not in json.dumps(answer)
