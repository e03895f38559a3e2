# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Metrics for the textfile collector of Prometheus' node exporter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from .. import options, publication
from ..errors import StateError, reason
from ..options import Report, Spec
from . import exposition, orphaned, overview
from .views import MAX_AGE

SPEC = Spec(arguments={**options.DOCKER, "output": {"type": "path"}})


def run(params: Mapping[str, Any], *, check: bool = False) -> Report:
    """Write them to a file, or return them. Raise DrydockError if the jobs can't be read or the file not written."""
    found = overview.gather(partial(options.connect, params), None, MAX_AGE)
    text = exposition.text(found, None if found.docker else orphaned.counted(params, remember=not check))
    output = params["output"]
    if output is not None and not check:
        _write(os.path.abspath(output), text)
    return Report(changed=output is not None, values={"metrics": text, "output": output})


def show_metrics(report: Report, _check: bool) -> list[str]:
    """The metrics, if they weren't written to a file."""
    return report.values["metrics"].splitlines() if report.values["output"] is None else []


def _write(path: str, text: str) -> None:
    """Put a file in its place, at one instant; the exporter isn't root."""
    folder, name = os.path.split(path)
    partial_path = os.path.join(folder, f".{name}.partial")
    try:
        descriptor = os.open(partial_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fchmod(descriptor, 0o644)
            os.fsync(descriptor)
        os.rename(partial_path, path)
        publication.sync(folder)
    except OSError as error:
        raise StateError(f"the metrics can't be written to {path}: {reason(error)}") from error
