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
  - Restores a backup made by M(drydock.volumes.docker_volume_backup) into a new volume, into an empty one, or in place
    of what a volume holds.
  - The archive's checksum is verified before anything is created or written. The files are extracted into a staging
    directory in the volume, synced, and exchanged for the old ones by renames when all of them are there. Where
    anything fails, the volume is as it was before. Where the host fails in the middle of the renames, the next run
    finishes them. The volume never holds a mix.
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
  when_not_empty:
    description:
      - What to do with a volume that holds files.
      - V(fail) refuses it. V(replace) has the backup take the place of all of them. Both trees must fit into the volume
        for a while.
    type: str
    choices: [fail, replace]
    default: fail
  quiesce:
    description:
      - What to do with running containers that use the volume.
      - With V(none) the restore is refused. V(stop) sends them their stop signal just before the files are
        exchanged, and starts them again right after, in the order of Compose's C(depends_on). They are never killed.
    type: str
    choices: [none, stop]
    default: none
  stop_timeout:
    description:
      - How long a container may take to end after its stop signal, in seconds. After that the restore fails, with the
        volume as it was.
    type: float
    default: 60
  health_timeout:
    description:
      - How long a container that was healthy before it was stopped may take to be healthy again, in seconds. After
        that the task fails, with the volume restored.
    type: float
    default: 60
  driver:
    description:
      - The driver of a volume that is created, in place of the recorded one. A volume that exists must have it.
      - With this or with O(driver_options) none of the recorded options are used.
    type: str
  driver_options:
    description:
      - The driver's options for a volume that is created, in place of the recorded ones. V({}) makes a plain volume. A
        volume that exists must have just these.
    type: dict
  labels:
    description: The labels of a volume that is created, in place of the recorded ones.
    type: dict
  stall_timeout:
    description:
      - After how many seconds in which no byte moves the restore fails, because a file system hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
  source_volume:
    description:
      - The name of the volume that was backed up.
      - That of O(volume) by default.
    type: str
  backup:
    description: The identifier of the backup, or V(latest) for the newest complete one.
    type: str
    default: latest
  before:
    description:
      - Restore the newest complete backup that began at this time or earlier, in UTC, as in V(2026-11-23T10:15:00Z) or
        V(2026-11-23).
    type: str
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
      that is mounted and unmounted again. Where a volume that is to be replaced seems to hold just what the backup
      holds, the archive is extracted under C(/var/tmp) to find out.
  diff_mode:
    support: full
    details: Shows the volume before and after, not its files.
  idempotent:
    support: full
    details: >-
      With O(when_not_empty=replace), a volume that holds just what the backup holds is left as it is. Without, a volume
      that holds files is refused.
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

- name: Put a database back to where it was before a bad migration, with its containers stopped for a moment
  drydock.volumes.docker_volume_restore:
    volume: pgdata
    repository: /var/backups/volumes
    before: "2026-11-23T09:00:00Z"
    when_not_empty: replace
    quiesce: stop

- name: Restore the backup of an NFS volume into a plain one
  drydock.volumes.docker_volume_restore:
    volume: media_inspect
    source_volume: media
    repository: /var/backups/volumes
    driver_options: {}

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
containers:
  description: The containers that were stopped, or in check mode would be.
  returned: success
  type: list
  elements: str
  sample: [pg]
downtime_seconds:
  description: How long they were stopped, in seconds.
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

from datetime import datetime, timezone
from typing import Any

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.encryption import Decryption
from ..module_utils._engine.errors import UsageError
from ..module_utils._engine.quiesce import Limits
from ..module_utils._engine.restore import LATEST, Result, Settings, restore
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
    after = {"exists": True, "backup": result.manifest["id"], "entries": content["entries"], "bytes": content["bytes"]}
    before = {"exists": not result.created, "entries in its root": result.entries_before}
    held = dict.fromkeys(result.held, "stopped meanwhile")
    return {
        "before": {volume: before if result.changed else after, "containers": {}},
        "after": {volume: after, "containers": held},
    }


def moment(text: str | None) -> datetime | None:
    """The time that an option names, in UTC. Raise UsageError if it is none."""
    if text is None:
        return None
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=timezone.utc)
        except ValueError:
            continue
    raise UsageError(f"before is {text!r}, which is no time; write it as 2026-11-23T10:15:00Z, in UTC")


def settings(module: AnsibleModule) -> Settings:
    """The engine's settings out of the module's options."""
    params = module.params
    return Settings(
        decryption=Decryption.parse(params["decryption"]),
        when_not_empty=params["when_not_empty"],
        quiesce=params["quiesce"],
        limits=Limits(params["stop_timeout"], params["health_timeout"]),
        driver=params["driver"],
        driver_options=_texts(params["driver_options"]),
        labels=_texts(params["labels"]),
        stall_timeout=params["stall_timeout"],
        helper_image=params["helper_image"],
        check=module.check_mode,
    )


def _texts(options: dict[str, Any] | None) -> dict[str, str] | None:
    """Options as Docker has them: YAML's numbers and truth values become text."""
    if options is None:
        return None
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}


def main() -> None:
    """Read the options, call the engine, report."""
    module = AnsibleModule(
        argument_spec={
            **DOCKER_ARGUMENTS,
            **REPOSITORY_ARGUMENTS,
            "volume": {"type": "str", "required": True},
            "source_volume": {"type": "str"},
            "backup": {"type": "str", "default": LATEST},
            "before": {"type": "str"},
            "when_not_empty": {"type": "str", "choices": ["fail", "replace"], "default": "fail"},
            "quiesce": {"type": "str", "choices": ["none", "stop"], "default": "none"},
            "stop_timeout": {"type": "float", "default": 60},
            "health_timeout": {"type": "float", "default": 60},
            "driver": {"type": "str"},
            "driver_options": {"type": "dict"},
            "labels": {"type": "dict"},
            "stall_timeout": {"type": "float", "default": 600},
            **DECRYPTION_ARGUMENTS,
            **MOUNT_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    volume = module.params["volume"]
    with failing(module):
        before, how = moment(module.params["before"]), settings(module)
        result = restore(
            connect(module),
            repository(module),
            volume,
            host=host(module),
            source=module.params["source_volume"],
            backup=module.params["backup"],
            before=before,
            settings=how,
        )
    for warning in result.warnings:
        module.warn(warning)
    report = {
        "changed": result.changed,
        "volume": volume,
        "backup": result.manifest["id"],
        "host": result.manifest["host"],
        "created": result.created,
        "containers": result.held,
        "downtime_seconds": result.downtime,
        "bytes": result.manifest["content"]["bytes"],
        "entries": result.manifest["content"]["entries"],
        "seconds": result.seconds,
        "diff": diff(volume, result),
    }
    if result.failures:
        module.fail_json(msg=f"volume {volume} is restored, but: {'; '.join(result.failures)}", **report)
    module.exit_json(**report)


if __name__ == "__main__":
    main()
