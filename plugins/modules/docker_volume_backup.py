#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_backup
short_description: Back up Docker volumes
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Backs up one or several volumes of the host into a directory, each as an ordinary compressed tar archive with a
    manifest.
  - The archive holds all that the file system holds, in one pass over the files. Owners are numeric, times have
    nanoseconds; ACLs, extended attributes, hard links, sparse files, device nodes and names in any encoding are
    kept.
  - A backup appears in the repository only when all of it is there and safe on disk. The exit status of every
    program that took part is checked. What a failed run wrote is removed.
  - Containers keep running. What they write meanwhile can make the backup inconsistent. Files that changed, shrank
    or vanished while they were read are named in a warning and in the manifest.
  - An archive can be restored without this collection, with C(zstd) and C(tar).
options:
  volumes:
    description:
      - The names of the volumes. Each must exist.
      - Plain volumes and bind volumes are read where they are on the host. All others (NFS, CIFS, tmpfs, block
        devices, plugins) are mounted by Docker for the time of the read, so that what is backed up is never an
        empty mount point.
    type: list
    elements: str
    required: true
  repository:
    description:
      - The absolute path of the directory that gets the backups, on the target.
      - It is created, for its owner only, if it doesn't exist; its parent directory must exist.
      - A backup is the pair C(<repository>/<host>/<volume>/<id>.tar.zst) and C(<id>.json), its manifest. C(<id>) is
        the time in UTC at which the backup started. An archive without its manifest is not a backup.
  compression:
    description:
      - The format of the archives.
      - V(zstd) is the fastest by far and makes small archives. V(gzip) uses C(pigz) where that is installed.
        V(none) is for data that is compressed already.
    type: str
    choices: [zstd, gzip, none]
    default: zstd
  compression_level:
    description:
      - The level, from 1 (fast) to 19 (small) for V(zstd) and from 1 to 9 for V(gzip).
      - The default is that of the programs, 3 for V(zstd) and 6 for V(gzip).
    type: int
  encryption:
    description:
      - How to encrypt the archives. The keys are tried before anything else happens.
      - With O(encryption.recipients) the host holds public keys only, and can't read its own backups.
    type: dict
    suboptions:
      method:
        description: The program that encrypts, C(age) or C(gpg).
        type: str
        choices: [age, gpg]
        required: true
      recipients:
        description:
          - For V(age), the public keys that can decrypt, C(age1…) or SSH keys (C(ssh-ed25519 …), C(ssh-rsa …)).
          - For V(gpg), keys in root's keyring, by fingerprint, by 16-digit key ID or by e-mail address.
        type: list
        elements: str
      recipients_file:
        description:
          - The paths of files with public keys, for V(age) one a line, for V(gpg) an exported key in each.
          - With V(gpg), no keyring and no trust database is needed then.
        type: list
        elements: path
      passphrase_file:
        description:
          - For V(gpg), the path of a file whose first line is the passphrase, instead of public keys.
          - Nobody but its owner may have access to the file.
        type: path
  retention:
    description:
      - Which of a volume's backups to keep. A backup stays if any of the rules keeps it. Without rules everything
        stays.
      - Backups expire after a good new one of the same volume, and only then. The newest complete backup always
        stays.
      - The time of a backup is the one in its identifier. Files that aren't complete backups neither count nor go.
    type: dict
    suboptions:
      keep_last:
        description: The number of newest backups to keep.
        type: int
      keep_hourly:
        description: For how many hours that have a backup to keep the newest one.
        type: int
      keep_daily:
        description: For how many days that have a backup to keep the newest one.
        type: int
      keep_weekly:
        description: For how many weeks (ISO 8601) that have a backup to keep the newest one.
        type: int
      keep_monthly:
        description: For how many months that have a backup to keep the newest one.
        type: int
      keep_yearly:
        description: For how many years that have a backup to keep the newest one.
        type: int
      keep_within:
        description:
          - Keep all backups that are not older than this when the newest one was made, such as V(36h), V(7d),
            V(2w), V(3m) (months) or V(1y2m3d).
        type: str
  lock_timeout:
    description:
      - How long to wait for another run that writes to the same volume's folder in the repository, in seconds.
      - With V(0) the volume fails at once.
    type: float
    default: 0
extends_documentation_fragment:
  - drydock.volumes._repository
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: >-
      Looks at the volumes, the tools and the repository, and writes nothing. A volume that must be mounted for that is
      mounted and unmounted again.
  diff_mode:
    support: full
    details: Shows the volumes' backups before and after, those that expire among them.
  idempotent:
    support: none
    details: Each run makes a new backup.
requirements:
  - On the target, GNU C(tar), and C(zstd), or C(pigz) or C(gzip).
  - For O(encryption), C(age) or C(gpg).
notes:
  - Runs on the Docker host and needs root there, because the files belong to the containers' users.
  - The volumes are backed up one after the other. The failure of one doesn't stop the others. The task then fails,
    and its result says in RV(failures) what failed and in RV(backups) what was done.
seealso:
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Back up two volumes
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
      - uploads
    repository: /var/backups/volumes

- name: Back up a volume of photographs, which zstd couldn't make smaller
  drydock.volumes.docker_volume_backup:
    volumes:
      - photographs
    repository: /var/backups/volumes
    compression: none

- name: Back up to a place that others can read, for two keys that are kept elsewhere
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
    repository: /mnt/backups/volumes
    encryption:
      method: age
      recipients:
        - age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
        - ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOjFVCyQX2pLyQmtmVKjZ5dK4ndN2PrOkLTmiKPRmYzt

- name: Back up every night, and keep a week of nights, a month of Sundays and a year of months
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
    repository: /var/backups/volumes
    retention:
      keep_daily: 7
      keep_weekly: 5
      keep_monthly: 12

- name: Keep the backups of all hosts apart under the names that the inventory has
  drydock.volumes.docker_volume_backup:
    volumes:
      - uploads
    repository: /mnt/backups/volumes
    host: "{{ inventory_hostname }}"
    compression: gzip
    compression_level: 9
    lock_timeout: 600
"""

RETURN = r"""
backups:
  description:
    - The backups that were made, each with its manifest as it is in the repository.
    - In check mode those that would be made, without what is known only afterwards.
  returned: always
  type: list
  elements: dict
  contains:
    id:
      description: The identifier, the UTC time at which the backup started. V(none) in check mode.
      type: str
      returned: always
      sample: 20261123T101502Z
    path:
      description: The path of the archive. V(none) in check mode.
      type: str
      returned: always
      sample: /var/backups/volumes/db1/pgdata/20261123T101502Z.tar.zst
    seconds:
      description: How long the backup took, in seconds.
      type: float
      returned: always
      sample: 3.2
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
      description:
        - The archive's file name, size in bytes, SHA-256 checksum and compression.
        - C(encryption) has the method and the fingerprints of the public keys that it is encrypted for.
      type: dict
      returned: always
      sample: {file: 20261123T101502Z.tar.zst, bytes: 1234567, sha256: 9f86d081…, compression: zstd, encryption: null}
    content:
      description:
        - What was read. C(bytes) is the sum of the files' sizes, C(allocated_bytes) what they take on disk.
        - C(entries) counts files, directories and all others. C(fingerprint) tells whether a volume has changed
          since.
        - C(changed_while_read) names the files that changed, shrank or vanished while they were read.
      type: dict
      returned: always
      sample: {bytes: 4567890, allocated_bytes: 4571136, entries: 789, fingerprint: 5d41…, changed_while_read: []}
    consistency:
      description: What was done to containers for the time of the read.
      type: dict
      returned: always
      sample: {quiesce: none, containers: [], downtime_seconds: 0}
    started_at:
      description: When the backup started, in UTC.
      type: str
      returned: always
      sample: "2026-11-23T10:15:02Z"
    finished_at:
      description: When all had been read, in UTC.
      type: str
      returned: always
      sample: "2026-11-23T10:15:05Z"
    engine:
      description: The versions of Docker, this collection and tar, and whether the daemon remaps user namespaces.
      type: dict
      returned: always
      sample: {docker: 20.10.24, drydock: 0.1.0, tar: "1.34", userns: false}
expired:
  description: The older backups that were removed, or in check mode would be, each with the reason.
  returned: always
  type: list
  elements: dict
  sample:
    - volume: pgdata
      id: 20261001T101502Z
      bytes: 1234567
      reason: no rule keeps it
failures:
  description: The volumes that could not be backed up, with the reasons.
  returned: always
  type: list
  elements: dict
  sample:
    - volume: pgdat
      error: volume pgdat doesn't exist on this host; did you mean pgdata?
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.backup import Result, backup
from ..module_utils._engine.codecs import CODECS
from ..module_utils._engine.encryption import EXTENSIONS, Encryption
from ..module_utils._engine.retention import Policy
from ..module_utils._module import (
    DOCKER_ARGUMENTS,
    MOUNT_ARGUMENTS,
    REPOSITORY_ARGUMENTS,
    connect,
    failing,
    host,
    repository,
)

COUNTED = ("last", "hourly", "daily", "weekly", "monthly", "yearly")


def diff(result: Result) -> dict[str, dict[str, list[str]]]:
    """The identifiers of each volume's backups before and after."""
    before = {name: sorted(ids) for name, ids in result.earlier.items()}
    after = {name: list(ids) for name, ids in before.items()}
    for made in result.backups:
        after[made["volume"]["name"]].append(made["id"] or "(a new backup)")
    for gone in result.expired:
        after[gone["volume"]] = [each for each in after[gone["volume"]] if each != gone["id"]]
    return {"before": before, "after": after}


def main() -> None:
    """Read the options, call the engine, report."""
    module = AnsibleModule(
        argument_spec={
            **DOCKER_ARGUMENTS,
            **REPOSITORY_ARGUMENTS,
            "volumes": {"type": "list", "elements": "str", "required": True},
            "compression": {"type": "str", "choices": list(CODECS), "default": "zstd"},
            "compression_level": {"type": "int"},
            "encryption": {
                "type": "dict",
                "options": {
                    "method": {"type": "str", "choices": list(EXTENSIONS), "required": True},
                    "recipients": {"type": "list", "elements": "str"},
                    "recipients_file": {"type": "list", "elements": "path"},
                    "passphrase_file": {"type": "path"},
                },
            },
            "retention": {
                "type": "dict",
                "options": {
                    **{f"keep_{rule}": {"type": "int"} for rule in COUNTED},
                    "keep_within": {"type": "str"},
                },
            },
            "lock_timeout": {"type": "float", "default": 0},
            **MOUNT_ARGUMENTS,
        },
        supports_check_mode=True,
    )
    with failing(module):
        result = backup(
            connect(module),
            repository(module),
            module.params["volumes"],
            host=host(module),
            compression=module.params["compression"],
            compression_level=module.params["compression_level"],
            encryption=Encryption.parse(module.params["encryption"]),
            retention=Policy.parse(module.params["retention"] or {}),
            lock_timeout=module.params["lock_timeout"],
            helper_image=module.params["helper_image"],
        )
    for warning in result.warnings:
        module.warn(warning)
    report = {
        "changed": bool(result.backups),
        "backups": result.backups,
        "expired": result.expired,
        "failures": result.failures,
        "diff": diff(result),
    }
    if result.failures:
        module.fail_json(msg="; ".join(failure["error"] for failure in result.failures), **report)
    module.exit_json(**report)


if __name__ == "__main__":
    main()
