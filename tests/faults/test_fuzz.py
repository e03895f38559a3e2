# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""F10, F16: whatever an archive and its manifest are, a restore gives their tree or an error, and nothing else happens.

DRYDOCK_FUZZ_SEED runs the cases of that seed again, DRYDOCK_FUZZ_CASES so many of them. The archives of cases that
end badly are copied to the directory that DRYDOCK_FUZZ_KEEP names.
"""

from __future__ import annotations

import collections
import json
import os
import pathlib
import secrets
import subprocess
import sys

from tests.support.modules import CHECKOUT, COLLECTIONS

CASES = int(os.environ.get("DRYDOCK_FUZZ_CASES", "2000"))
WORKERS = 2


def test_f10_f16_mutated_archives_and_manifests(work: pathlib.Path) -> None:
    seed = int(os.environ.get("DRYDOCK_FUZZ_SEED") or secrets.randbelow(1 << 32))
    print(f"DRYDOCK_FUZZ_SEED={seed}")
    started = []
    for first in range(WORKERS):
        place = work / f"worker-{first}"
        place.mkdir()
        arguments = map(str, (seed, first, WORKERS, CASES, place))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (COLLECTIONS, CHECKOUT))),
            "DRYDOCK_STATE_DIRECTORY": str(place / "state"),
        }
        command = [sys.executable, "-m", "tests.support.fuzz", *arguments]
        started.append(
            subprocess.Popen(
                command, env=environment, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    ends: collections.Counter[str] = collections.Counter()
    wrong = []
    for process in started:
        out, said = process.communicate(timeout=900)
        assert process.returncode == 0, said
        answer = json.loads(out)
        ends.update(answer["ends"])
        wrong += answer["wrong"]
    print(dict(sorted(ends.items())))
    assert wrong == [], "\n\n".join(wrong)
    assert sum(ends.values()) == CASES
    # the mutations are neither all refused by the first look at them, nor all harmless
    for what in ("manifest", "backup", "archive"):
        assert ends[f"{what} refused"] > CASES / 20, ends
        assert ends[f"{what} identical"] > CASES / 200, ends
