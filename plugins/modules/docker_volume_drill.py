#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_drill
short_description: Prove that the newest backups of Docker volumes restore
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Restores the newest backup of each volume into a scratch volume, compares all of it with the archive, and removes
    the scratch volume again. Optionally starts an image on it, and runs a command in that until it succeeds.
  - The volume itself and its containers are not touched. It need not even be on this host.
  - What came of it is remembered on the host, for C(drydock-volumes status) and C(drydock-volumes metrics).
options:
  volumes:
    description:
      - The names of the volumes that were backed up.
      - Either this or O(selector) is needed.
    type: list
    elements: str
  selector:
    description:
      - Which of the host's volumes, as for M(drydock.volumes.docker_volume_backup).
    type: dict
    suboptions:
      names:
        description: Shell patterns of names, such as V(shop_*).
        type: list
        elements: str
      labels:
        description: Labels that the volumes have, C(key) or C(key=value).
        type: list
        elements: str
      all:
        description: Select all volumes.
        type: bool
        default: false
      exclude:
        description: Shell patterns of the names of volumes to leave out.
        type: list
        elements: str
  require_match:
    description: Fail if the O(selector) matches no volume. By default that is a warning.
    type: bool
    default: false
  image:
    description:
      - The image to start on the scratch volume. It must be on the host, as nothing is pulled.
      - Without O(check_command) and O(check_argv), the container must end by itself within O(check_timeout), and exit
        0.
    type: str
  mount:
    description: The path at which the container has the volume.
    type: path
    default: /data
  command:
    description: The container's command, in place of the image's.
    type: list
    elements: str
  env:
    description: Environment variables of the container. They are no place for secrets.
    type: dict
  env_file:
    description:
      - The path of a file with more of them, a line C(NAME=value) each, with lines that begin with C(#) left out.
      - Nobody but its owner may have access to the file.
    type: path
  network:
    description: The network of the container. By default it has none.
    type: str
    default: none
  check_command:
    description:
      - A command line for the container's C(/bin/sh), such as a query. It is run again and again until it exits 0, and
        the drill fails if it doesn't within O(check_timeout).
    type: str
  check_argv:
    description: The same, as a program of the container's and its arguments.
    type: list
    elements: str
  check_user:
    description: The user in the container that runs the check, by name or number. By default that of the container.
    type: str
  check_timeout:
    description: How long it may take from the start of the container until the check passes, in seconds.
    type: float
    default: 120
  stall_timeout:
    description:
      - After how many seconds in which no byte moves a restore fails, because a file system hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
extends_documentation_fragment:
  - drydock.volumes._repository
  - drydock.volumes._decryption
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Tells which backups would be restored, and restores none.
  diff_mode:
    support: N/A
    details: Changes nothing that lasts.
  idempotent:
    support: full
    details: Each run restores again, and reports no change.
requirements:
  - On the target, what M(drydock.volumes.docker_volume_restore) needs.
notes:
  - Runs on the Docker host and needs root there. The host's Docker directory needs room for one volume at a time.
  - A scratch volume that is left by an interrupted run is removed by the next run, or by C(drydock-volumes recover).
seealso:
  - module: drydock.volumes.docker_volume_backup
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Prove that the newest backup of a volume restores
  drydock.volumes.docker_volume_drill:
    volumes:
      - uploads
    repository: /var/backups/volumes

- name: Prove that a database starts on its newest backup and has its rows
  drydock.volumes.docker_volume_drill:
    volumes:
      - pgdata
    repository: /var/backups/volumes
    image: postgres:16
    mount: /var/lib/postgresql/data
    check_command: psql -U postgres -d shop -c 'SELECT 1 / sign(count(*)) FROM orders'
    check_timeout: 300
"""

RETURN = r"""
drills:
  description: The drills that succeeded. In check mode, those that would be tried.
  returned: always
  type: list
  elements: dict
  contains:
    volume:
      description: The volume that was backed up.
      type: str
      sample: pgdata
    host:
      description: The host's folder in the repository.
      type: str
      sample: db1
    repository:
      description: The repository.
      type: str
      sample: /var/backups/volumes
    backup:
      description: The identifier of the backup that was restored.
      type: str
      sample: 20261123T101502Z
    bytes:
      description: The sum of its files' sizes, in bytes.
      type: int
      sample: 4567890
    entries:
      description: The number of files, directories and all others.
      type: int
      sample: 789
    compared:
      description: Whether what was restored was compared with the archive.
      type: bool
      sample: true
    restore_seconds:
      description: How long the restore took, in seconds.
      type: float
      sample: 4.1
    check_seconds:
      description: How long it took from the start of the container until the check passed, in seconds, or null.
      type: float
      sample: 2.7
    success:
      description: Always true.
      type: bool
      sample: true
    error:
      description: Always null.
      type: str
      sample: null
    started_at:
      description: When the drill started, in UTC.
      type: str
      sample: "2026-11-23T10:15:02Z"
    finished_at:
      description: When it had ended, in UTC.
      type: str
      sample: "2026-11-23T10:15:12Z"
    seconds:
      description: How long all of it took, in seconds.
      type: float
      sample: 9.4
failures:
  description: The volumes whose newest backup didn't restore or didn't pass the check, with the reasons.
  returned: always
  type: list
  elements: dict
  sample:
    - volume: pgdata
      error: >-
        volume pgdata: the drill failed: its check didn't pass within 300 seconds; the volume itself was not touched
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import drill
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(drill.SPEC))
    act(module, drill.run)


if __name__ == "__main__":
    main()
