#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: drydock_agent
short_description: Install the command drydock-volumes on a Docker host
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Installs, or removes, the command C(drydock-volumes). It does on the host what the modules do, for timers, and for
    people in an emergency.
  - The command is one file that Python runs. It holds the engine that the modules have too, of the version that this
    collection has, so nothing is downloaded.
  - Also installs its manual page, and a script by which bash completes its words.
options:
  path:
    description: The absolute path of the command.
    type: path
    default: /usr/local/bin/drydock-volumes
  state:
    description: Whether the command is to be there, as this collection has it, or not.
    type: str
    choices: [present, absent]
    default: present
  interpreter:
    description:
      - The path of the Python that runs the command, 3.9 or newer. It needs the Python package C(docker).
      - By default the one that runs this module.
    type: path
  bash_completion:
    description: The directory for the script by which bash completes words. With V("") there is none.
    type: path
    default: /usr/local/share/bash-completion/completions
  manual:
    description: The directory for the manual page. With V("") there is none.
    type: path
    default: /usr/local/share/man/man1
extends_documentation_fragment:
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the modes and checksums of the files before and after.
  idempotent:
    support: full
    details: The same collection and the same interpreter give the same bytes.
notes:
  - What is in a file's place is replaced or removed only if it is the agent's.
  - Jobs and what is remembered of them aren't touched.
seealso:
  - module: drydock.volumes.docker_volume_backup
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Install the agent
  drydock.volumes.drydock_agent:

- name: Install it for a Python of its own, without a manual page
  drydock.volumes.drydock_agent:
    path: /opt/drydock/drydock-volumes
    interpreter: /opt/drydock/venv/bin/python
    bash_completion: ""
    manual: ""

- name: Remove the agent
  drydock.volumes.drydock_agent:
    state: absent
"""

RETURN = r"""
path:
  description: The path of the command.
  returned: success
  type: str
  sample: /usr/local/bin/drydock-volumes
version:
  description: The version of the command that is there, or null if it was removed.
  returned: success
  type: str
  sample: 0.1.0
digest:
  description: The SHA-256 checksum of its file, or null if it was removed.
  returned: success
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import agent
from ..module_utils._engine.agent import app
from ..module_utils._module import act, arguments

# Ansible carries to the target what is imported here, and that is what gets installed.
INSTALLED = app


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(agent.SPEC))
    act(module, agent.run)


if __name__ == "__main__":
    main()
