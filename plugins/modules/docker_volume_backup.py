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
  - Containers keep running unless O(quiesce) says otherwise. What they write meanwhile can make the backup
    inconsistent. Files that changed, shrank or vanished while they were read are named in a warning and in the
    manifest.
  - An archive can be restored without this collection, with C(zstd) and C(tar).
options:
  volumes:
    description:
      - The names of the volumes. Each must exist.
      - Either this or O(selector) is needed.
      - Plain volumes and bind volumes are read where they are on the host. All others (NFS, CIFS, tmpfs, block
        devices, plugins) are mounted by Docker for the time of the read, so that what is backed up is never an
        empty mount point.
    type: list
    elements: str
  selector:
    description:
      - Which of the host's volumes to back up.
      - A volume is selected if its name matches one of O(selector.names) and it has all of O(selector.labels), as far
        as these are given, or with O(selector.all), and if nothing in O(selector.exclude) matches its name.
      - A volume with the label C(drydock.backup=false), on itself or on a container that uses it, is never selected.
    type: dict
    suboptions:
      names:
        description: Shell patterns of names, such as V(shop_*).
        type: list
        elements: str
      labels:
        description:
          - Labels that the volumes have, C(key) or C(key=value).
          - The labels of the containers that use a volume count too if their keys begin with C(drydock.), so that
            V(drydock.backup=true) selects what a Compose file marks, on the volume or on the service.
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
    description: Fail if the O(selector) matches no volume, or O(volumes) is empty. By default that is a warning.
    type: bool
    default: false
  quiesce:
    description:
      - What to do, for the time of the read, with the running containers that have a volume mounted writable.
      - V(stop) sends them their stop signal, waits until they have ended, and starts them again. They are never
        killed. It is right for everything, databases among it, and the service is down meanwhile.
      - V(pause) freezes their processes. What they have not written yet is missing, as after a power cut.
      - V(none) lets them run.
      - The label C(drydock.quiesce) of a container, or else of a volume, overrides this.
      - Containers that depend on each other, by the labels that Compose gives them, stop and start in that order.
        Those that did not run are left alone. If the run is interrupted, the next run brings them back.
    type: str
    choices: [none, pause, stop]
    default: none
  stop_timeout:
    description:
      - How long a container may take to end after its stop signal, in seconds.
      - After that its volumes' backup fails. The container isn't killed, and is started again should it have ended
        late.
    type: float
    default: 60
  health_timeout:
    description:
      - How long a container that was healthy before it was stopped may take to be healthy again, in seconds. After
        that the task fails, with the backup made.
    type: float
    default: 60
  exec_before:
    description:
      - Commands to run in containers before anything is stopped and read, one after the other. If one fails, nothing is
        backed up.
      - They are run once for the task, so that all its volumes are read in one window. The label
        C(drydock.exec-before) of a container holds a line for its shell that is run for its own volumes only.
    type: list
    elements: dict
    suboptions: &hook
      container:
        description: The name of a running container.
        type: str
        required: true
      command:
        description: A command line for the container's C(/bin/sh). Either this or C(argv) is needed.
        type: str
      argv:
        description: A program of the container's, and its arguments.
        type: list
        elements: str
      user:
        description: The user in the container, by name or number. By default that of the container.
        type: str
  exec_after:
    description:
      - Commands to run in containers once they are back. They are always run, also after a failure. The label is
        C(drydock.exec-after).
    type: list
    elements: dict
    suboptions: *hook
  exec_timeout:
    description: How long each of these commands may take, in seconds. After that it is killed and counts as failed.
    type: float
    default: 600
  on_change:
    description:
      - What it means that files changed, shrank or vanished while they were read.
      - With V(warn) they are named in a warning, and all of them in the manifest. With V(fail) nothing is published.
    type: str
    choices: [warn, fail]
    default: warn
  on_read_error:
    description:
      - What it means that a file can't be read, because of a damaged disk or because an NFS server refuses root.
      - With V(fail) nothing is published. With V(warn) all else is backed up, and the manifest names these files.
        Where only a part of a file could be read, the rest of it is zeros in the archive.
    type: str
    choices: [warn, fail]
    default: fail
  skip_unchanged:
    description:
      - Make no new backup of a volume in which nothing has changed since its newest backup.
      - That is told from names, sizes, owners, modes, times and inodes. No file is opened, and no container stopped.
      - Volumes around whose reads commands are run (O(exec_before) or the label) are always backed up, because the
        commands may be what makes the data.
    type: bool
    default: false
  verify:
    description:
      - How to prove each archive before it is published. The containers run again by then.
      - With V(archive) it is read back from the disk, checked against its checksum, decompressed to its end, and its
        entries are counted.
      - With V(restore) it is also extracted, and the contents, owners, modes, times, ACLs and extended attributes are
        compared with the volume's, except for what has changed there since.
      - An archive that is encrypted for public keys is only checked against its checksum, unless there is a
        O(decryption).
    type: str
    choices: [none, archive, restore]
    default: none
  verify_directory:
    description:
      - The path of a directory on a file system that can hold a volume's files for V(verify=restore), with their owners
        and attributes.
    type: path
    default: /var/tmp
  parallel:
    description:
      - How many volumes to read at a time. The threads that compress are divided among them.
      - By default as many as there are processors, and 4 at most.
    type: int
  stall_timeout:
    description:
      - After how many seconds in which no byte moves a backup fails, because the file system hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
  repository:
    description:
      - The absolute path of the directory that gets the backups, on the target.
      - It is created, for its owner only, if it doesn't exist; its parent directory must exist.
      - Or C(REMOTE:path), where C(REMOTE) is a remote of rclone's configuration (S3, SFTP, WebDAV and many others). The
        archives are uploaded as they are made then, and need no space on the host; but containers that hold still do
        so until all is uploaded, and an upload whose connection breaks fails. A directory here and O(copies) have
        neither drawback.
      - A backup is the pair C(<repository>/<host>/<volume>/<id>.tar.zst) and C(<id>.json), its manifest. C(<id>) is
        the time in UTC at which the backup started. An archive without its manifest is not a backup.
extends_documentation_fragment:
  - drydock.volumes._repository
  - drydock.volumes._storing
  - drydock.volumes._decryption
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: >-
      Looks at the volumes, the containers, the tools and the repository, and writes and stops nothing. A volume that
      must be mounted for that is mounted and unmounted again.
  diff_mode:
    support: full
    details: >-
      Shows the volumes' backups before and after, those that expire among them, and the containers that are stopped or
      paused meanwhile.
  idempotent:
    support: partial
    details: Each run makes a new backup, unless O(skip_unchanged) is set and nothing has changed.
requirements:
  - On the target, GNU C(tar), and C(zstd), or C(pigz) or C(gzip).
  - For O(encryption), C(age) or C(gpg).
  - For a repository elsewhere, C(rclone) 1.60 or newer.
notes:
  - Runs on the Docker host and needs root there, because the files belong to the containers' users.
  - The failure of one volume doesn't stop the others. The task then fails, and its result says in RV(failures) what
    failed and in RV(backups) what was done.
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

- name: Stop the containers of a database for the time of the read, and prove that the backup restores
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
    repository: /var/backups/volumes
    quiesce: stop
    verify: restore

- name: Back up what Compose files mark with the label drydock.backup, if it has changed
  drydock.volumes.docker_volume_backup:
    selector:
      labels:
        - drydock.backup=true
    repository: /var/backups/volumes
    skip_unchanged: true

- name: Have a service write out what it has in memory before its volume is read
  drydock.volumes.docker_volume_backup:
    volumes:
      - cache
    repository: /var/backups/volumes
    exec_before:
      - container: cache
        argv: [redis-cli, -e, save]

- name: Back up every night, and keep a week of nights, a month of Sundays and a year of months
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
    repository: /var/backups/volumes
    retention:
      keep_daily: 7
      keep_weekly: 5
      keep_monthly: 12

- name: Back up into a directory, and copy that to storage elsewhere, which keeps a year of it
  drydock.volumes.docker_volume_backup:
    volumes:
      - pgdata
    repository: /var/backups/volumes
    quiesce: stop
    retention:
      keep_last: 3
    copies:
      - repository: offsite:backups/volumes
        retention:
          keep_daily: 14
          keep_monthly: 12
    rclone_config: /etc/drydock/rclone.conf

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
    - The backups that were made, each with the essentials of its manifest.
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
        - The fingerprint is V(none) if something changed while it was read.
        - C(changed_while_read) and C(unreadable) count the files that changed, shrank or vanished while they were read,
          and those that couldn't be read. The manifest names them.
      type: dict
      returned: always
      sample:
        bytes: 4567890
        allocated_bytes: 4571136
        entries: 789
        fingerprint: 5d41…
        changed_while_read: 0
        unreadable: 0
    consistency:
      description:
        - What can be said of all containers that could write to the volume, which ones held still for the time of the
          read, and for how many seconds.
        - C(ran_meanwhile) names those that were started by somebody else meanwhile; C(quiesce) is V(none) then.
      type: dict
      returned: always
      sample: {quiesce: stop, containers: [pg], downtime_seconds: 2.7}
    verification:
      description:
        - How the archive was verified, and how many seconds that took.
        - C(method) is V(checksum) where O(verify) was asked for and there was no key to decrypt the archive with.
        - C(upload), where O(repository) is on a remote, is the checksum by which the remote confirmed what was uploaded
          (V(sha1), V(md5)), or V(size) where it has none.
      type: dict
      returned: always
      sample: {method: archive, seconds: 1.4}
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
unchanged:
  description: The volumes of which O(skip_unchanged) made no backup, with their newest one.
  returned: always
  type: list
  elements: dict
  sample:
    - volume: uploads
      id: 20261122T101502Z
      seconds: 0.1
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
copies:
  description:
    - The backups that were copied to O(copies), or in check mode would be.
    - C(verified) is what was compared at the other end, the name of a checksum or V(size). C(id) is V(none) for a
      backup that check mode doesn't make.
  returned: always
  type: list
  elements: dict
  sample:
    - repository: offsite:backups/volumes
      volume: pgdata
      id: 20261123T101502Z
      bytes: 1234567
      verified: sha1
      seconds: 4.1
copies_expired:
  description: The older backups that were removed there, or in check mode would be, each with the reason.
  returned: always
  type: list
  elements: dict
  sample:
    - repository: offsite:backups/volumes
      volume: pgdata
      id: 20251001T101502Z
      bytes: 1234567
      reason: no rule keeps it
failures:
  description:
    - The volumes that could not be backed up, or of which a copy lacks something, with the reasons. C(repository) is
      that of the copy.
  returned: always
  type: list
  elements: dict
  sample:
    - volume: pgdat
      error: volume pgdat doesn't exist on this host; did you mean pgdata?
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import backup
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(backup.SPEC))
    act(module, backup.run)


if __name__ == "__main__":
    main()
