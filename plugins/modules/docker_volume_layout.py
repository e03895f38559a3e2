#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_layout
short_description: Lay out the Docker volumes of a host
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Takes the list of a host's volumes in one call, and makes the host so. It makes the directories of bind volumes with
    their owners and modes, creates volumes, compares those that exist option by option, and removes those that are to
    be absent.
  - Nothing that holds data is removed, recreated or shadowed without a word of its own, and nothing is written below a
    mount point while the disk that belongs there isn't mounted.
  - Options are checked before Docker sees them, because Docker takes most that are wrong, and fails when the first
    container starts.
  - One volume's failure doesn't stop the others. The task then fails, and says what was done.
options:
  volumes:
    description:
      - The volumes. Volumes of the host that aren't in this list are left alone.
      - A volume's name, and a device of a bind volume, may be there only once.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The volume's name.
        type: str
        required: true
      state:
        description:
          - V(present) makes the volume if it isn't there.
          - V(absent) removes it. A volume that a container refers to, running or not, is refused, and so is one whose
            data would be lost with it, see O(backup_to) and O(remove_with_data). A directory, NFS export, share or disk
            that a volume shows isn't touched, and RV(volumes[].kept) says where the data is.
        type: str
        choices: [present, absent]
        default: present
      driver:
        description: The volume's driver. A plugin must be there, and enabled.
        type: str
        default: local
      driver_options:
        description:
          - The driver's options. None makes a plain volume, or with O(volumes[].device_path) a bind volume.
          - A volume that exists must have just these. The order of mount options in C(o) doesn't matter.
        type: dict
      labels:
        description:
          - The volume's labels. A volume that exists must have these, and may have more. Docker can't change the
            labels of a volume.
        type: dict
      device_path:
        description:
          - The absolute path of the directory that a bind volume shows. It is made if it isn't there, with
            O(volumes[].owner), O(volumes[].group) and O(volumes[].mode). Directories above it that are missing belong
            to root and have the mode V(0755).
          - No part of the path may be a symbolic link.
          - It isn't made where the volume exists already, or where a mount point of C(/etc/fstab) or
            O(volumes[].require_mounted) has nothing mounted on it. Then a disk is missing.
          - Where O(volumes[].driver_options) has a C(device), it must be the same one. A C(device) without
            O(volumes[].device_path) must be there.
        type: path
      owner:
        description:
          - The owner of the volume's root, for plain volumes and bind volumes. A number, or the name of a user that
            the host knows; the user of a container mostly is known by its number only.
          - What is below the root is left as it is.
          - Where the daemon remaps users (C(userns-remap)), it is the number on the host.
        type: str
      group:
        description: The group of the volume's root, likewise.
        type: str
      mode:
        description:
          - The mode of the volume's root, as octal digits in quotes, such as V('0750'). A number is refused, since
            nobody can tell what was meant with it.
          - A directory that is made has V('0755') by default.
        type: raw
      require_mounted:
        description:
          - An absolute path that must be a mount point before O(volumes[].device_path), or the C(device) of a bind
            volume, is made or used. It must be that directory or above it.
        type: path
  on_drift:
    description:
      - What to do with a volume that exists and has another driver, other options or labels, or whose root has another
        owner, group or mode and isn't empty.
      - V(fail) leaves it, and fails the task. V(warn) leaves it, and warns.
      - With V(recreate) it is removed and created again. That is done without a further word only if no container
        refers to it, and it is empty or the new one shows the same device. Else see O(recreate_with_data). A volume
        that a container refers to is never recreated. Remove the container first.
      - With V(recreate), the owner, group and mode of a root that holds data are set as well, also while containers use
        it.
      - The owner, group and mode of an empty root are set with all of them.
    type: str
    choices: [fail, warn, recreate]
    default: fail
  recreate_with_data:
    description:
      - Whether O(on_drift=recreate) may recreate a volume that holds data. What would be lost with it is backed up to
        O(backup_to) first, and the archive is read back. The new volume is empty, or shows what is on its own device.
        The backup is restored with M(drydock.volumes.docker_volume_restore).
    type: bool
    default: false
  remove_with_data:
    description:
      - Whether a volume that is to be absent, and holds data that is lost with it, may be removed without a backup.
    type: bool
    default: false
  backup_to:
    description:
      - Volumes that are removed or recreated, and hold data that would be lost with them, are backed up first. The
        archive is read back before anything is removed. It isn't encrypted, and no other backup expires for it.
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
extends_documentation_fragment:
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: >-
      Looks at everything, and changes nothing. A volume that must be mounted for that is mounted and unmounted again.
  diff_mode:
    support: full
    details: >-
      Shows each volume that changes before and after, with its options, labels, owner and mode. Passwords aren't
      shown.
  idempotent:
    support: full
requirements:
  - On the target, GNU C(tar) and C(zstd) for backups.
notes:
  - Runs on the Docker host and needs root there, because directories are made and given to the containers' users.
  - The password of a CIFS volume would be in C(docker volume inspect), because Docker mounts by itself, without the
    helper C(mount.cifs) that reads a file of credentials; the kernel ignores C(credentials=). So both are refused here.
    Mount the share on the host, and show a directory of it with O(volumes[].device_path).
seealso:
  - module: drydock.volumes.docker_volume_backup
  - module: drydock.volumes.docker_volume_restore
  - plugin: drydock.volumes.storage_class
    plugin_type: filter
"""

EXAMPLES = r"""
- name: Lay out the volumes of a host
  drydock.volumes.docker_volume_layout:
    volumes:
      - name: cache

      - name: pgdata
        device_path: /mnt/ssd/pgdata
        require_mounted: /mnt/ssd
        owner: "999"
        group: "999"
        mode: "0700"
        labels:
          drydock.backup: "true"

      - name: media
        driver_options:
          type: nfs
          o: addr=nas.example.com,rw,nfsvers=4.2,hard,noatime
          device: ":/export/media"

      - name: secrets
        driver_options:
          type: tmpfs
          device: tmpfs
          o: size=16m,mode=0700,uid=1000

- name: Remove a volume, after a backup of what it holds
  drydock.volumes.docker_volume_layout:
    volumes:
      - name: old_uploads
        state: absent
    backup_to:
      repository: /var/backups/volumes

- name: Give volumes that nobody uses the options that they should have
  drydock.volumes.docker_volume_layout:
    volumes:
      - name: media
        driver_options:
          type: nfs
          o: addr=nas.example.com,ro,nfsvers=4.2,hard,noatime
          device: ":/export/media"
    on_drift: recreate

- name: Move a plain volume to a disk, and restore what it held there
  block:
    - name: Recreate the volume on the disk
      drydock.volumes.docker_volume_layout:
        volumes:
          - name: uploads
            device_path: /mnt/ssd/uploads
        on_drift: recreate
        recreate_with_data: true
        backup_to:
          repository: /var/backups/volumes
      register: moved

    - name: Restore what it held
      drydock.volumes.docker_volume_restore:
        volume: uploads
        repository: /var/backups/volumes
        backup: "{{ moved.volumes[0].backup.id }}"
      when: moved.volumes[0].backup is not none
"""

RETURN = r"""
volumes:
  description: The volumes, in the order in which they were given, as they are now or in check mode would be.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    name:
      description: The volume's name.
      type: str
    state:
      description: V(present) or V(absent), as it is now.
      type: str
    changed:
      description: Whether anything was changed.
      type: bool
    actions:
      description: >-
        What was done, in this order, of V(back up), V(remove), V(make directory), V(create) and V(set owner and mode).
      type: list
      elements: str
    drift:
      description: >-
        In what an existing volume differs from what was asked for, by option (C(driver), C(driver_options.o),
        C(labels.tier), C(owner)): what it C(is), and what was C(wanted). Passwords aren't shown.
      type: dict
    path:
      description: The directory of the host with the volume's files, of plain volumes and bind volumes, else null.
      type: str
    kept:
      description: Where the data of a removed or recreated volume is still, or null.
      type: str
    backup:
      description: The C(id) and C(path) of the backup that was made of it, both null in check mode, or null.
      type: dict
  sample:
    - name: pgdata
      state: present
      changed: true
      actions: [make directory, create]
      drift: {}
      path: /mnt/ssd/pgdata
      kept:
      backup:
failures:
  description: The volumes that aren't as they should be, and why. The task has failed if there are any.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    volume:
      description: The volume's name.
      type: str
    error:
      description: What went wrong, what is left, and what to do.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import layout
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, lay the volumes out, report."""
    act(AnsibleModule(**arguments(layout.SPEC), supports_check_mode=True), layout.run)


if __name__ == "__main__":
    main()
