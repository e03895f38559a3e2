# SPDX-FileCopyrightText: 2026 drydock.volumes contributors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The units that the role scheduled_backups writes, without Ansible."""

from __future__ import annotations

import re
import shlex
import typing as t

import jinja2

from tests.support.modules import CHECKOUT

TEMPLATES = CHECKOUT / "roles" / "scheduled_backups" / "templates"
UNIT = {
    "name": "drydock-backup-nightly",
    "description": "Backup of Docker volumes, job nightly",
    "command": ["/bin/true", "backup", "--job", "nightly"],
    "schedule": "Mon..Fri 02:30",
    "cron": "30 2 * * 1-5",
    "random_delay": 600,
    "persistent": True,
}
VARIABLES = {
    "__scheduled_backups_marker": "# Written by the role drydock.volumes.scheduled_backups",
    "__scheduled_backups_offset": 123,
    "__scheduled_backups_cron_runner": "/usr/local/sbin/drydock-cron",
    "__scheduled_backups_agent_path": "/usr/local/bin/drydock-volumes",
    "__scheduled_backups_environment": {"WORDS": 'a "quoted" 100% \\ word'},
    "__scheduled_backups_nice": 10,
    "__scheduled_backups_io_class": "best-effort",
    "__scheduled_backups_io_priority": 7,
    "__scheduled_backups_stop_timeout": 300,
    "__scheduled_backups_on_failure": ["alarm@%n.service"],
}


def unit(template: str, version: int = 252, **given: t.Any) -> str:
    """What a template of the role scheduled_backups becomes, for a systemd of this version."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), trim_blocks=True, keep_trailing_newline=True, autoescape=False
    )
    environment.filters["regex_search"] = lambda text, pattern: re.search(pattern, text)[0]  # type: ignore[index]
    environment.filters["quote"] = shlex.quote
    facts = {**UNIT, **{name: given.pop(name) for name in list(given) if name in {*UNIT, "notify"}}}
    version_of = {"stdout": f"systemd {version} ({version}.38-1)\n+PAM"}
    names = {**VARIABLES, **given, "__scheduled_backups_unit": facts, "__scheduled_backups_version": version_of}
    return environment.get_template(template).render(names)
