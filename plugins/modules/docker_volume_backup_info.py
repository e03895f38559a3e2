#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_backup_info
short_description: List the backups of Docker volumes
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Lists the complete backups in a repository, with their ages and sizes, and reports apart what isn't one.
  - Can read all archives back to prove that they are whole.
  - Needs no Docker, so it runs wherever the repository is.
options:
  volumes:
    description:
      - The names of the volumes whose backups to list.
      - All volumes by default.
    type: list
    elements: str
  host:
    description:
      - The name of the folder in O(repository) that holds the host's backups.
      - All hosts by default.
  verify:
    description:
      - With V(archive), each archive is read, checked against its checksum, decompressed to its end, and its entries
        are counted. That takes about as long as the backups took.
      - An encrypted archive is only checked against its checksum, unless there is a O(decryption).
    type: str
    choices: [none, archive]
    default: none
extends_documentation_fragment:
  - drydock.volumes._repository
  - drydock.volumes._decryption
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
requirements:
  - For O(verify), on the target, GNU C(tar), and C(zstd), or C(pigz) or C(gzip), and C(age) or C(gpg).
  - For a repository elsewhere, C(rclone) 1.60 or newer.
notes:
  - The repository belongs to root, so this needs root too.
seealso:
  - module: drydock.volumes.docker_volume_backup
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: List the backups of a database
  drydock.volumes.docker_volume_backup_info:
    repository: /var/backups/volumes
    volumes:
      - pgdata
  register: found

- name: Make sure that the newest one is not older than a day
  ansible.builtin.assert:
    that:
      - found.backups | length > 0
      - found.backups[0].age_seconds < 86400

- name: Read all archives of this host back
  drydock.volumes.docker_volume_backup_info:
    repository: /var/backups/volumes
    host: "{{ ansible_facts.hostname }}"
    verify: archive
"""

RETURN = r"""
backups:
  description:
    - The complete backups, the newest first, each with the essentials of its manifest.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The identifier, the UTC time at which the backup started.
      type: str
      returned: always
      sample: 20261123T101502Z
    path:
      description: The path of the archive.
      type: str
      returned: always
      sample: /var/backups/volumes/db1/pgdata/20261123T101502Z.tar.zst
    age_seconds:
      description: How long ago the backup started, in seconds.
      type: int
      returned: always
      sample: 3600
    host:
      description: The host's folder.
      type: str
      returned: always
      sample: db1
    volume:
      description: The volume, with what is needed to create it again.
      type: dict
      returned: always
      sample: {name: pgdata, driver: local, options: {}, labels: {}, scope: local}
    archive:
      description: The archive's file name, size in bytes, SHA-256 checksum, compression and encryption.
      type: dict
      returned: always
      sample: {file: 20261123T101502Z.tar.zst, bytes: 1234567, sha256: 9f86d081…, compression: zstd, encryption: null}
    content:
      description: What the archive holds, with C(bytes), C(allocated_bytes) and C(entries).
      type: dict
      returned: always
      sample: {bytes: 4567890, allocated_bytes: 4571136, entries: 789, fingerprint: 5d41…, changed_while_read: 0}
    consistency:
      description: What was done to containers for the time of the read.
      type: dict
      returned: always
      sample: {quiesce: stop, containers: [pg], downtime_seconds: 2.7}
    purpose:
      description: V(before_removal) for one that M(drydock.volumes.volume_prune_orphans) made of what it removed.
      type: str
      returned: for such backups
      sample: before_removal
    verified:
      description:
        - How the archive was verified now, V(archive) or V(checksum), or V(none) if it is damaged.
      type: str
      returned: with O(verify=archive)
      sample: archive
    error:
      description: What is wrong with the archive.
      type: str
      returned: with O(verify=archive)
      sample: null
databases:
  description:
    - The complete backups that M(drydock.volumes.docker_database_backup) has made, the newest first, as RV(backups)
      are, but with a C(database) in place of the volume. With O(volumes) there are none.
  returned: always
  type: list
  elements: dict
  sample:
    - id: 20261123T101502Z
      path: /var/backups/volumes/db1/database@pg/20261123T101502Z.tar.zst
      host: db1
      database: {engine: postgresql, version: "15.20", container: pg, image: "postgres:15", databases: [shop]}
incomplete:
  description: Files of backups that don't count as such, each with the reason.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /var/backups/volumes/db1/pgdata/20261122T101502Z.tar.zst
      reason: an archive without a manifest
foreign:
  description: Files that no backup has, each with the reason.
  returned: always
  type: list
  elements: dict
  sample:
    - path: /var/backups/volumes/README
      reason: not a folder of backups
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import backup_info
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(backup_info.SPEC))
    act(module, backup_info.run)


if __name__ == "__main__":
    main()
