#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_restore
short_description: Restore a Docker volume from a backup or from an archive
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Restores a backup made by M(drydock.volumes.docker_volume_backup) into a new volume, into an empty one, or in place
    of what a volume holds.
  - With O(archive) it does so with a tar archive that has no manifest, such as C(docker run … tar czf),
    C(offen/docker-volume-backup) and C(loomchild/volume-backup) make.
  - The archive's checksum is verified before anything is created or written. The files are extracted into a staging
    directory in the volume, compared with the archive, synced, and exchanged for the old ones by renames when all of
    them are there. Where
    anything fails, the volume is as it was before. Where the host fails in the middle of the renames, the next run
    finishes them. The volume never holds a mix. (O(staging=false) gives this up.)
  - Everything comes back as it was, including the owner, mode, times, ACL and extended attributes of the volume's
    own directory.
options:
  volume:
    description:
      - The name of the volume to restore into.
      - If it doesn't exist, it is created with the driver, options and labels that the backup recorded. A bind
        volume's device must exist and be empty then. From O(archive) it is created as a plain volume.
    type: str
    required: true
  repository:
    description:
      - The absolute path of the directory that holds the backups, on the target; or C(REMOTE:path), where C(REMOTE) is
        a remote of rclone's configuration.
      - From a remote, the archive is downloaded once, into a file without a name below C(TMPDIR) or C(/var/tmp), if
        there is room for it. Else it is read from there twice, first for its checksum, or more often for some archives.
      - One of this and O(archive) is required.
    type: path
    required: false
  archive:
    description:
      - The absolute path of a tar archive on the target, in place of a backup in a O(repository). Then there is no
        manifest, and O(host), O(source_volume), O(backup) and O(before) can't be given.
      - It may be compressed with gzip, bzip2, xz or zstd, which is told by its contents, and encrypted with C(age) or
        C(gpg), which is told by them or by a name that ends in C(.age), C(.gpg), C(.pgp) or C(.asc). An archive out of
        a repository will do.
      - It is read to its end before anything is created or written. One that has no end, is empty, or has members that
        lead out is refused, by C(..) in a name, through a symlink or by a hard link to something else. Leading slashes
        are taken off all names.
      - Without encryption and compression nothing tells that bytes of it were changed; give O(checksum) then.
      - Such archives often don't hold the volume's own directory. Its owner, mode, times, ACL and extended attributes
        stay as they are then, or for a volume that is created, as Docker makes it. Where they do (as C(./), or as the
        one directory that O(strip_components) takes away), it comes back as it was.
    type: path
  checksum:
    description:
      - The SHA-256 of O(archive), as C(sha256sum) prints it, 64 hexadecimal digits, perhaps with C(sha256:) in front.
      - Without, the checksums in the compressed data are what tells damage.
    type: str
  strip_components:
    description:
      - How many leading components to take off the names in O(archive), as C(tar --strip-components) does. A leading
        C(./) counts as one, a leading slash doesn't.
      - V(1) for an archive in which all is below C(data/), V(2) for C(backup/data/). Where everything is below one
        directory and this is V(0), the task warns.
    type: int
    default: 0
  when_not_empty:
    description:
      - What to do with a volume that holds files.
      - V(fail) refuses it. V(replace) has the backup take the place of all of them. Both trees must fit into the volume
        for a while, unless O(staging) says otherwise.
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
  staging:
    description:
      - Whether the restored files are extracted beside what the volume holds, which is removed only when they have
        taken its place.
      - V(false) is for a volume that can't hold both. What it holds is removed first, with its containers stopped, and
        the archive is extracted in its place. Only O(when_not_empty=replace) does that; a volume that is empty has
        nothing to lose, and is restored into as with V(true).
      - B(What is lost is the guarantee.) From the first file that is removed on there is no way back. When the restore
        fails then (the disk fills or breaks, the task is ended, the host goes down), the volume has lost what it held,
        and holds a part of the backup or nothing. Nothing but another restore, or O(safety_backup), makes it whole.
      - So all that can be known is looked at before. The archive's checksum is verified, and all of it is decrypted,
        decompressed and listed. There must be room for it once the present files are gone. Where this fails, nothing
        was changed.
      - A volume that was left incomplete is marked, by C(.drydock-restore-incomplete) in its root and in the journal
        in C(/var/lib/drydock). No backup is made of it, every later task says so, and the containers stay stopped.
        The next restore with O(when_not_empty=replace) that succeeds, with or without staging, removes the mark and
        starts them. If you have put the contents right in another way, remove that file, and the next task starts them.
      - Docker itself starts containers with the restart policy C(always) when it or the host is started again, also
        on an incomplete volume. Give those that mustn't the policy C(unless-stopped).
      - What the volume holds isn't compared with the backup, so the task always changes it.
    type: bool
    default: true
  safety_backup:
    description:
      - With O(staging=false), back the volume up before anything is removed, when its containers are stopped. The
        archive is read back. If that fails, nothing is removed, and the containers run again.
      - It isn't encrypted, and no other backup expires for it. No safety backup is made of a volume that an earlier
        restore left incomplete.
    type: dict
    suboptions:
      repository:
        description:
          - The absolute path of a repository on the target, which mustn't be in the volume; or C(REMOTE:path).
          - Where the newest backup is restored it mustn't be the folder of that one, because the safety backup would be
            the newest one then. Give another repository, another O(safety_backup.host) or a O(backup).
        type: path
        required: true
      rclone_config:
        description: As O(rclone_config), for this repository.
        type: path
      host:
        description:
          - The host's folder in that repository.
          - The target's own name by default.
        type: str
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
  verify:
    description:
      - How to make sure that a backup was restored truly, before it takes the place of what the volume holds.
      - With V(compare) everything is read back and compared with the archive, while it is extracted. That is contents,
        types, modes, owners, groups, times, symlinks, hard links, device numbers, extended
        attributes, ACLs and capabilities, and whether there is anything missing or new. A difference fails the restore.
        A file with several hard links may take a second pass over the archive.
      - With V(none) it counts that C(tar) reported success for as many entries as the backup has.
      - An O(archive) isn't compared.
    type: str
    choices: [none, compare]
    default: compare
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
      that holds files is refused. With O(staging=false), what it holds isn't compared, and the task always changes it.
requirements:
  - On the target, GNU C(tar), and C(zstd), or C(pigz) or C(gzip), or C(bzip2) or C(xz), and C(age) or C(gpg), as the
    archive needs.
  - For a repository elsewhere, C(rclone) 1.60 or newer.
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

- name: Restore a volume that fills its disk, in place of what it holds, which is backed up elsewhere first
  drydock.volumes.docker_volume_restore:
    volume: media
    repository: /mnt/backups/volumes
    when_not_empty: replace
    quiesce: stop
    staging: false
    safety_backup:
      repository: /mnt/safety/volumes

- name: Restore a large volume as fast as it can be, without comparing it with the archive
  drydock.volumes.docker_volume_restore:
    volume: media
    repository: /mnt/backups/volumes
    verify: none

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

- name: Restore what "docker run --rm -v pgdata:/data alpine tar czf - /data" once wrote
  drydock.volumes.docker_volume_restore:
    volume: pgdata
    archive: /mnt/old/pgdata.tar.gz
    strip_components: 1

- name: Restore what offen/docker-volume-backup wrote, and know that it is that very file
  drydock.volumes.docker_volume_restore:
    volume: uploads
    archive: /mnt/old/backup-2026-11-23T04-00-00.tar.gz
    checksum: sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
    strip_components: 2
"""

RETURN = r"""
volume:
  description: The volume that was restored into.
  returned: success
  type: str
  sample: pgdata
backup:
  description: The identifier of the backup, or null if it was O(archive).
  returned: success
  type: str
  sample: 20261123T101502Z
host:
  description: The host whose backup it is, or null if it was O(archive).
  returned: success
  type: str
  sample: db1
archive:
  description: The path of the archive that was given, or null.
  returned: success
  type: str
  sample: /mnt/old/pgdata.tar.gz
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
safety_backup:
  description:
    - The backup that O(safety_backup) made, with its C(id) and the C(path) of its archive. Both are null in check mode.
    - It is null where none was made.
  returned: success
  type: dict
  sample:
    id: 20261124T101502Z
    path: /mnt/safety/volumes/db1/media/20261124T101502Z.tar.zst
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
verified:
  description: What was compared with the archive, and is the same. None where nothing was compared.
  returned: success
  type: dict
  sample: {entries: 789, bytes: 4567890}
  contains:
    entries:
      description: The number of files, directories and all others.
      type: int
    bytes:
      description: The sum of the files' sizes, in bytes.
      type: int
seconds:
  description: How long it took, in seconds.
  returned: success
  type: float
  sample: 4.1
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import restore
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(restore.SPEC))
    act(module, restore.run)


if __name__ == "__main__":
    main()
