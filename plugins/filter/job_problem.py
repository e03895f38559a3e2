# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(job_problem)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: job_problem
short_description: Say what is wrong with a job of drydock-volumes
version_added: 0.2.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Takes the options of a scheduled job, and returns what is wrong with them, as C(drydock-volumes) says it, or an
    empty text. The command needn't be there, so this works in check mode, too.
  - Files, keys and programs are the host's, so they aren't looked at.
positional: action
options:
  _input:
    description: The options of the job.
    type: dict
    required: true
  action:
    description: What the job does.
    type: str
    choices: [backup, drill]
    required: true
seealso:
  - module: drydock.volumes.drydock_agent
"""

EXAMPLES = r"""
- name: Check a job before it is written
  ansible.builtin.assert:
    that: problem == ''
    fail_msg: "{{ problem }}"
  vars:
    problem: "{{ job | drydock.volumes.job_problem('backup') }}"
    job:
      volumes: [pgdata]
      repository: /var/backups/volumes
"""

RETURN = r"""
_value:
  description: What is wrong, with the path of each option, or an empty text.
  type: str
  sample: "retention.keep_daily: 'x' is not an integer"
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.drydock.volumes.plugins.module_utils._engine.agent.checked import SPECS, checked
from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError


def job_problem(options: Any, action: str) -> str:
    """What is wrong with the options of a job."""
    if action not in SPECS:
        raise AnsibleFilterError(f"job_problem: {action!r} is none of {', '.join(SPECS)}")
    if not isinstance(options, Mapping):
        return "the options must be a dictionary"
    try:
        checked(action, options)
    except UsageError as error:
        return str(error)
    return ""


class FilterModule:
    """What Ansible looks for."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """The filter by its name."""
        return {"job_problem": job_problem}
