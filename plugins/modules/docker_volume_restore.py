#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_restore
short_description: Restore a Docker volume from a backup
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Restores a backup made by M(drydock.volumes.docker_volume_backup) into a new volume, or into an empty one that
    no running container uses.
  - The archive's checksum is verified before anything is created or written. The files are extracted into a staging
    directory in the volume and renamed into place when all of them are there. Where anything fails, the volume is
    as it was before.
  - Everything comes back as it was, including the owner, mode, times, ACL and extended attributes of the volume's
    own directory.
options:
  volume:
    description:
      - The name of the volume to restore into.
      - If it doesn't exist, it is created with the driver, options and labels that the backup recorded. A bind
        volume's device must exist and be empty then.
    type: str
    required: true
  source_volume:
    description:
      - The name of the volume that was backed up.
      - That of O(volume) by default.
    type: str
  backup:
    description: The identifier of the backup, or V(latest) for the newest complete one.
    type: str
    default: latest
extends_documentation_fragment:
  - drydock.volumes._repository
  - drydock.volumes._decryption
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: >-
      Looks at everything, verifies the archive's checksum too, and changes nothing. A volume that must be mounted for
      that is mounted and unmounted again.
  diff_mode:
    support: full
    details: Shows the volume before and after, not its files.
  idempotent:
    support: none
    details: A volume that holds files is refused, so the second run fails.
requirements:
  - On the target, GNU C(tar), and C(zstd), or C(pigz) or C(gzip), and C(age) or C(gpg), as the archive needs.
notes:
  - Runs on the Docker host and needs root there, because the files belong to the containers' users.
seealso:
  - module: drydock.volumes.docker_volume_backup
"""

EXAMPLES = r"""
- name: Restore the newest backup of a volume that was lost
  drydock.volumes.docker_volume_restore:
    volume: pgdata
    repository: /var/backups/volumes

- name: Restore a certain backup of another host into a volume with another name
  drydock.volumes.docker_volume_restore:
    volume: pgdata_inspect
    repository: /mnt/backups/volumes
    host: db1
    source_volume: pgdata
    backup: 20261123T101502Z

- name: Restore a backup that is encrypted with age
  drydock.volumes.docker_volume_restore:
    volume: pgdata
    repository: /mnt/backups/volumes
    decryption:
      identity_file: /root/restore.age
"""

RETURN = r"""
volume:
  description: The volume that was restored into.
  returned: success
  type: str
  sample: pgdata
backup:
  description: The identifier of the backup.
  returned: success
  type: str
  sample: 20261123T101502Z
host:
  description: The host whose backup it is.
  returned: success
  type: str
  sample: db1
created:
  description: Whether the volume was created.
  returned: success
  type: bool
  sample: true
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

from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.encryption import Decryption
from ..module_utils._engine.restore import LATEST, Result, restore
from ..module_utils._module import (
    DECRYPTION_ARGUMENTS,
    DOCKER_ARGUMENTS,
    MOUNT_ARGUMENTS,
    REPOSITORY_ARGUMENTS,
    connect,
    failing,
    host,
    repository,
)


def diff(volume: str, result: Result) -> dict[str, dict[str, Any]]:
    """The volume before and after."""
    content = result.manifest["content"]
    before = {"exists": not result.created, "entries": 0 if result.created else 1, "bytes": 0}
    after = {
        "exists": True,
        "entries": content["entries"],
        "bytes": content["bytes"],
        "backup": result.manifest["id"],
    }
    return {"before": {volume: before}, "after": {volume: after}}


def main() -> None:
    """Read the options, call the engine, report."""
    module = AnsibleModule(
        argument_spec={
            **DOCKER_ARGUMENTS,
            **REPOSITORY_ARGUMENTS,
            "volume": {"type": "str", "required": True},
            "source_volume": {"type": "str"},
            "backup": {"type": "str", "default": LATEST},
            **DECRYPTION_ARGUMENTS,
            **MOUNT_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    volume = module.params["volume"]
    with failing(module):
        result = restore(
            connect(module),
            repository(module),
            volume,
            host=host(module),
            source=module.params["source_volume"],
            backup=module.params["backup"],
            decryption=Decryption.parse(module.params["decryption"]),
            helper_image=module.params["helper_image"],
            check=module.check_mode,
        )
    for warning in result.warnings:
        module.warn(warning)
    module.exit_json(
        changed=True,
        volume=volume,
        backup=result.manifest["id"],
        host=result.manifest["host"],
        created=result.created,
        bytes=result.manifest["content"]["bytes"],
        entries=result.manifest["content"]["entries"],
        seconds=result.seconds,
        diff=diff(volume, result),
    )


if __name__ == "__main__":
    main()
