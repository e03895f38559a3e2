#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_clone
short_description: Clone a Docker volume into another one on the same host
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Copies what a volume holds into a new volume, into an empty one, or in place of what a volume holds. No archive is
    written in between, and the source is only read.
  - The files are copied into a staging directory in the target, compared with the source, synced, and exchanged for the
    old ones by renames when all of them are there. Where anything fails, the target is as it was before. Where the host
    fails in the middle of the renames, the next run finishes them. The target never holds a mix.
  - Everything is copied as it is, including numeric owners, ACLs, extended attributes, hard links, holes, and the
    owner, mode and times of the volume's own directory. Sockets are left out.
options:
  source:
    description: The name of the volume to read.
    type: str
    required: true
  target:
    description:
      - The name of the volume that is to hold the same.
      - If it doesn't exist, it is created with the driver, options and labels of the source, but for the labels
        C(com.docker.compose.*) and C(com.docker.volume.anonymous), by which Compose and Docker would take it for their
        own and remove it.
      - A source with a device (a bind, NFS or block device volume) has it for itself. Give O(driver_options) then.
    type: str
    required: true
  when_not_empty:
    description:
      - What to do with a target that holds files.
      - V(fail) refuses it. V(replace) has the clone take the place of all of them. Both trees must fit into the target
        for a while.
    type: str
    choices: [fail, replace]
    default: fail
  quiesce:
    description:
      - How running containers hold still.
      - Those that write to the source are left alone with V(none), paused with V(pause), or sent their stop signal with
        V(stop), and are back as soon as the source is read. The labels C(drydock.quiesce), C(drydock.exec-before) and
        C(drydock.exec-after) of containers and of the source count as in a backup.
      - Where running containers use the target, V(stop) stops them for the exchange of the files, and the other choices
        refuse the clone. A container that uses both volumes is stopped twice.
      - Containers are never killed, and are started again in the order of Compose's C(depends_on).
    type: str
    choices: [none, pause, stop]
    default: none
  stop_timeout:
    description:
      - How long a container may take to end after its stop signal, in seconds. After that the clone fails, with the
        target as it was.
    type: float
    default: 60
  health_timeout:
    description:
      - How long a container that was healthy before it was stopped may take to be healthy again, in seconds. After
        that the task fails, with the volume cloned.
    type: float
    default: 60
  on_change:
    description:
      - What to do if files change, shrink or vanish while they are read.
      - V(warn) names them in a warning. V(fail) leaves the target as it was.
    type: str
    choices: [warn, fail]
    default: warn
  verify:
    description:
      - With V(compare) the copy is compared with the source before it takes its place, with contents, owners, modes,
        times, ACLs and extended attributes, but for what has changed in the source meanwhile. This reads both once
        more.
      - With V(none) what C(tar) says, and the number of entries, must do.
    type: str
    choices: [none, compare]
    default: compare
  driver:
    description:
      - The driver of a target that is created, in place of the source's. A target that exists must have it.
      - With this or with O(driver_options) none of the source's options are used.
    type: str
  driver_options:
    description:
      - The driver's options for a target that is created, in place of the source's. V({}) makes a plain volume. A
        target that exists must have just these.
    type: dict
  labels:
    description: The labels of a target that is created, in place of the source's.
    type: dict
  stall_timeout:
    description:
      - After how many seconds in which no byte moves the clone fails, because a file system hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
extends_documentation_fragment:
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: >-
      Looks at everything, and changes nothing. A volume that must be mounted for that is mounted and unmounted again.
      Where a target that is to be replaced seems to hold just what the source holds, they are compared.
  diff_mode:
    support: full
    details: Shows the target before and after, not its files.
  idempotent:
    support: full
    details: >-
      With O(when_not_empty=replace), a target that holds just what the source holds is left as it is, and nothing is
      copied or stopped to find that out. Without, a target that holds files is refused.
requirements:
  - On the target, GNU C(tar).
notes:
  - Runs on the Docker host and needs root there, because the files belong to the containers' users.
seealso:
  - module: drydock.volumes.docker_volume_backup
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Clone a database's volume, to try a migration on the clone
  drydock.volumes.docker_volume_clone:
    source: pgdata
    target: pgdata_trial
    quiesce: stop

- name: Have the staging environment's volume hold what production's holds, with the containers of both stopped
  drydock.volumes.docker_volume_clone:
    source: shop_uploads
    target: staging_uploads
    when_not_empty: replace
    quiesce: stop

- name: Move a volume's data from NFS to a disk of the host
  drydock.volumes.docker_volume_clone:
    source: media
    target: media_ssd
    driver_options:
      type: none
      o: bind
      device: /mnt/ssd/media
"""

RETURN = r"""
source:
  description: The volume that was read.
  returned: success
  type: str
  sample: pgdata
volume:
  description: The volume that holds the same now.
  returned: success
  type: str
  sample: pgdata_trial
created:
  description: Whether that volume was created.
  returned: success
  type: bool
  sample: true
containers:
  description: The containers of both volumes that were stopped or paused, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [pg]
downtime_seconds:
  description: How long they were, in seconds; the time of the read and that of the exchange together.
  returned: success
  type: float
  sample: 1.2
bytes:
  description: The sum of the files' sizes, in bytes.
  returned: success
  type: int
  sample: 4567890
entries:
  description: The number of files, directories and all others.
  returned: success
  type: int
  sample: 789
seconds:
  description: How long it took, in seconds.
  returned: success
  type: float
  sample: 4.1
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import clone
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(clone.SPEC))
    act(module, clone.run)


if __name__ == "__main__":
    main()
