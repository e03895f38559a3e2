#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_usage_info
short_description: Tell which Docker volumes are used, by whom, and which are orphans
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Lists the volumes of an engine, each with everything that refers to it, and with the class that
    M(drydock.volumes.volume_prune_orphans) would put it into with the same options, and why.
  - On request it measures the volumes, and finds the newest backup of each.
  - It asks the daemon four or five questions, however many volumes there are.
  - How long a volume has been without references is known from earlier runs of
    M(drydock.volumes.volume_prune_orphans) on the same target. This module doesn't write that record.
options:
  sizes:
    description:
      - Whether to measure the volumes, side by side, on the Docker host itself and as root.
      - A volume that Docker has not mounted now (NFS, CIFS, tmpfs, a block device) has no size. It isn't mounted for
        this.
    type: bool
    default: false
  sizes_timeout:
    description:
      - How long to measure at most, all volumes together, in seconds. The volumes that aren't done by then have no
        size. V(0) is no limit.
    type: float
    default: 60
  repository:
    description: The absolute path of a repository on the target, to find the newest complete backup of each volume in.
    type: path
  host:
    description:
      - The name of the folder in O(repository) that holds the host's backups.
      - The target's own host name by default.
    type: str
extends_documentation_fragment:
  - drydock.volumes._orphans
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Changes nothing in either mode.
  diff_mode:
    support: N/A
    details: Changes nothing.
  idempotent:
    support: full
notes:
  - A daemon on another host (O(docker_host) with C(tcp://) or C(ssh://)) is fine without O(sizes). What bind mounts of
    symlinks, and mounts of the host itself, refer to isn't seen then.
seealso:
  - module: drydock.volumes.volume_prune_orphans
  - module: drydock.volumes.docker_volume_backup_info
"""

EXAMPLES = r"""
- name: Look at all volumes, with their sizes and their newest backups
  drydock.volumes.docker_volume_usage_info:
    sizes: true
    repository: /var/backups/volumes
  register: usage

- name: Show the orphans and how large they are
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.bytes }} bytes, {{ item.reason }}"
  loop: "{{ usage.volumes | selectattr('class', 'equalto', 'orphan') }}"
  loop_control:
    label: "{{ item.name }}"

- name: Fail if a volume that is used has no backup
  ansible.builtin.assert:
    that: item.backup is not none
    fail_msg: "{{ item.name }} has no backup, and is {{ item.reason }}"
  loop: "{{ usage.volumes | selectattr('class', 'equalto', 'used') }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
volumes:
  description: The volumes, sorted by name.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      returned: always
      sample: shop_pgdata
    driver:
      description: The driver.
      type: str
      returned: always
      sample: local
    options:
      description: The driver's options, without passwords.
      type: dict
      returned: always
      sample: {type: none, o: bind, device: /srv/pgdata}
    labels:
      description: The labels.
      type: dict
      returned: always
      sample: {com.docker.compose.project: shop}
    kind:
      description: Whether somebody gave the volume its name, V(named), or Docker did, V(anonymous).
      type: str
      returned: always
      sample: named
    class:
      description: One of V(used), V(protected), V(unknown), V(too_young), V(orphan).
      type: str
      returned: always
      sample: used
    reason:
      description: Why, in words.
      type: str
      returned: always
      sample: used by container shop-db-1 (running)
    references:
      description:
        - All that refers to the volume. Its C(kind) is V(container), V(service) (of a swarm), V(volume) (a bind volume
          with a device in this one), or V(mount) (a mount of the host in the volume's directory).
        - The C(path) is null for those that refer to the volume by its name.
      type: list
      elements: dict
      returned: always
      sample: [{kind: container, name: shop-db-1, state: running, path: null}]
    unreferenced_since:
      description: When the volume was first seen without references, in UTC. Null if that isn't known, or not so.
      type: str
      returned: always
      sample: "2026-11-16T03:00:00Z"
    age_seconds:
      description: How long ago that was, in seconds.
      type: int
      returned: always
      sample: 612000
    bytes:
      description: The sum of the files' sizes. Null if it wasn't measured.
      type: int
      returned: always
      sample: 4567890
    allocated_bytes:
      description: What the files take on disk, in bytes.
      type: int
      returned: always
      sample: 4571136
    files:
      description: The number of regular files.
      type: int
      returned: always
      sample: 789
    size_error:
      description: Why the volume could not be measured, with O(sizes=true).
      type: str
      returned: always
      sample: null
    backup:
      description:
        - The newest complete backup, with its C(id), the C(path) of the archive and C(age_seconds). Null if there is
          none.
      type: dict
      returned: with O(repository)
      sample:
        id: 20261123T101502Z
        path: /var/backups/volumes/db1/shop_pgdata/20261123T101502Z.tar.zst
        age_seconds: 3600
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import usage_info
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, look, report."""
    act(AnsibleModule(**arguments(usage_info.SPEC), supports_check_mode=True), usage_info.run)


if __name__ == "__main__":
    main()
