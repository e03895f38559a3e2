#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: volume_prune_orphans
short_description: Remove the Docker volumes that nobody will miss
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Finds the volumes to which nothing refers, and removes those that have been so for long enough, that nothing
    protects, and that the task selects. Each can be backed up first.
  - A container refers to a volume in any state, also stopped or only created, and also if it binds the path of the
    volume's files. So do swarm services, at 0 replicas too, bind volumes whose device is in the volume, and mounts of
    the host in the volume's directory.
  - The age of an orphan is the time since this module, or C(drydock-volumes orphans) or C(drydock-volumes metrics),
    first saw the volume without references, which they keep in C(/var/lib/drydock/orphans.json). So where these don't
    run, the first run removes nothing, unless O(grace=0h).
  - A volume that was written to since then is used by something that comes and goes. It is kept, and its time begins
    anew.
  - What isn't known keeps a volume. Each one is looked at again right before it is removed, and removed without force,
    which Docker refuses for a volume that a container has taken meanwhile.
  - C(docker volume prune) isn't used.
options:
  anonymous:
    description: Whether volumes may be removed whose name Docker made up.
    type: bool
    default: true
  named:
    description:
      - Whether volumes may be removed that somebody gave a name.
      - By default only where O(selector.names) or O(selector.labels) say which.
    type: bool
  backup_to:
    description:
      - Back each volume up before it is removed, and read the archive back. A volume whose backup fails, or whose files
        change meanwhile, is kept.
      - The backups are like all others, but C(purpose) in their manifests is C(before_removal).
        M(drydock.volumes.docker_volume_restore) brings such a volume back as it was. No backup expires for them, and
        they don't expire, as no C(retention) counts or removes them.
      - This must run on the Docker host itself.
    type: dict
    suboptions:
      repository:
        description: The absolute path of a repository on the target; or C(REMOTE:path), with a remote of rclone's.
        type: path
        required: true
      rclone_config:
        description: The path of the file with rclone's configuration, if it isn't where rclone looks by itself.
        type: path
      host:
        description:
          - The host's folder in that repository.
          - The target's own name by default.
        type: str
      encryption:
        description: How to encrypt the archives, as in M(drydock.volumes.docker_volume_backup).
        type: dict
        suboptions:
          method:
            description: The program that encrypts, C(age) or C(gpg).
            type: str
            choices: [age, gpg]
            required: true
          recipients:
            description: The public keys that can decrypt, for V(gpg) by fingerprint, key ID or e-mail address.
            type: list
            elements: str
          recipients_file:
            description: The paths of files with public keys.
            type: list
            elements: path
          passphrase_file:
            description: For V(gpg), the path of a file whose first line is the passphrase, instead of public keys.
            type: path
      parallel:
        description: How many volumes to read at a time. By default as many as there are processors, at most four.
        type: int
  max_remove:
    description:
      - Fail, before anything is backed up or removed, if more volumes than this would be removed.
      - No limit by default.
    type: int
  max_remove_percent:
    description:
      - Fail likewise if more than this share of all of the engine's volumes would be removed.
      - V(100) is no limit.
    type: float
    default: 50
  look_timeout:
    description:
      - How long to look at the files of those that are to be removed, all volumes together, in seconds. V(0) is no
        limit.
      - A volume that can't be looked at by then is kept.
    type: float
    default: 600
extends_documentation_fragment:
  - drydock.volumes._orphans
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Finds and returns the same, removes nothing, and doesn't record what it has seen.
  diff_mode:
    support: full
    details: Shows the volumes that are removed.
  idempotent:
    support: full
notes:
  - Runs as root on the Docker host. A daemon on another host (O(docker_host) with C(tcp://) or C(ssh://)) is fine
    without O(backup_to). Then it isn't seen how large volumes are, whether they were written to meanwhile, what bind
    mounts of symlinks refer to, and what that host has mounted in a volume's directory.
  - The files behind bind, NFS and CIFS volumes, and those on a block device, are never removed. The result says so.
  - Volumes of other drivers than C(local), and those that several hosts share, are never removed.
  - A container that binds all of C(/var/lib/docker), or all of the host, doesn't keep every volume for that.
seealso:
  - module: drydock.volumes.docker_volume_usage_info
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Remove anonymous volumes that nothing has referred to for a week
  drydock.volumes.volume_prune_orphans:

- name: Remove all orphans that are a month old, each backed up first, and never more than 20
  drydock.volumes.volume_prune_orphans:
    named: true
    grace: 1m
    backup_to:
      repository: /var/backups/volumes
    protect:
      names: ["*_pgdata"]
    max_remove: 20

- name: Remove what a Compose project left that was given up
  drydock.volumes.volume_prune_orphans:
    selector:
      labels: [com.docker.compose.project=oldshop]
    gone_projects: [oldshop]
    backup_to:
      repository: /var/backups/volumes
"""

RETURN = r"""
orphans:
  description: The names of the orphans that are selected, in check mode too. What became of each is in the lists below.
  returned: success or failure
  type: list
  elements: str
  sample: [ci-cache]
removed:
  description:
    - The volumes that were removed, or in check mode would be.
    - Each has what RV(kept) has, and what is said here.
  returned: success or failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      returned: always
      sample: ci-cache
    bytes:
      description: The sum of the files' sizes. Null if that isn't known, or they stay.
      type: int
      returned: always
      sample: 4567890
    allocated_bytes:
      description: What the files took on disk, in bytes.
      type: int
      returned: always
      sample: 4571136
    files:
      description: The number of regular files.
      type: int
      returned: always
      sample: 789
    left:
      description: What the removal of the volume didn't remove. Null if nothing is left.
      type: str
      returned: always
      sample: the files in its device /srv/media stay
    backup:
      description:
        - The backup that O(backup_to) made, with its C(id) and the C(path) of its archive. Both are null in check
          mode.
      type: dict
      returned: always
      sample:
        id: 20261123T101502Z
        path: /var/backups/volumes/db1/ci-cache/20261123T101502Z.tar.zst
kept:
  description: All other volumes of the engine, sorted by name.
  returned: success or failure
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      returned: always
      sample: shop_pgdata
    class:
      description:
        - Why it is kept. V(used), V(protected), V(unknown), V(too_young), or V(not_selected) for an orphan that the
          options don't select.
        - V(gone) if somebody else removed it meanwhile, V(orphan) if its backup or its removal failed.
      type: str
      returned: always
      sample: used
    reason:
      description: The same in words.
      type: str
      returned: always
      sample: used by container shop-db-1 (exited)
    driver:
      description: The driver.
      type: str
      returned: always
      sample: local
    options:
      description: The driver's options, without passwords.
      type: dict
      returned: always
      sample: {}
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
    references:
      description: All that refers to the volume, as M(drydock.volumes.docker_volume_usage_info) returns it.
      type: list
      elements: dict
      returned: always
      sample: [{kind: container, name: shop-db-1, state: exited, path: null}]
    unreferenced_since:
      description: When the volume was first seen without references, in UTC. Null if that isn't known, or not so.
      type: str
      returned: always
      sample: null
    age_seconds:
      description: How long ago that was, in seconds.
      type: int
      returned: always
      sample: null
failures:
  description: The volumes that should have been removed and could not be backed up or removed, with the reasons.
  returned: success or failure
  type: list
  elements: dict
  sample: []
reclaimed_bytes:
  description: What was freed on disk, or in check mode would be, as far as it is known.
  returned: success or failure
  type: int
  sample: 4571136
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import prune_orphans
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, remove, report."""
    act(AnsibleModule(**arguments(prune_orphans.SPEC), supports_check_mode=True), prune_orphans.run)


if __name__ == "__main__":
    main()
