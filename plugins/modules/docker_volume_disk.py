#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_disk
short_description: Prepare a disk that Docker volumes are to lie on
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Makes a file system on an empty disk, has it mounted at boot by its UUID, and mounts it.
  - A disk that has anything on it (a file system, a partition table, a part of a RAID or of LVM, LUKS) is never
    formatted, and no option changes that. What carries the wanted label, or the UUID that C(/etc/fstab) has for the
    mount point, is ours, and is used as it is.
  - The directory below the mount is made immutable. While the disk isn't mounted, nothing is written there, so that
    no container fills the root file system in its place, and nothing is hidden by the disk later.
  - Without O(device) it only sees that a disk is mounted, and is what it should be.
options:
  device:
    description:
      - The disk or partition, as a path that stays the same, best one of C(/dev/disk/by-id).
      - Without it nothing is prepared. A mount point that isn't one, that shows the root file system, or that lies on a
        rotational disk is refused.
    type: path
  mount_point:
    description:
      - Where the disk is to be mounted. The directory is made. One that holds anything is refused, because the disk
        would hide it.
    type: path
    required: true
  filesystem:
    description: The file system.
    type: str
    choices: [ext4, xfs]
    default: xfs
  label:
    description:
      - The label of the file system, by which the disk is known as ours. At most 12 bytes with xfs, 16 with ext4.
      - Required with O(device).
    type: str
  mount_options:
    description:
      - The mount options in C(/etc/fstab).
      - With C(nofail) a host boots without the disk, and containers that need it fail to start. With
        C(x-systemd.before=docker.service) it is mounted before Docker starts containers.
    type: list
    elements: str
    default: [noatime, nofail, x-systemd.before=docker.service, x-systemd.device-timeout=30s]
  require_ssd:
    description:
      - Whether a disk that the kernel takes for a rotational one is refused. Many virtual disks are taken for that.
    type: bool
    default: true
extends_documentation_fragment:
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: Shows the line of C(/etc/fstab), and the steps.
  idempotent:
    support: full
requirements:
  - On the target, C(blkid), C(wipefs) and C(unshare) of util-linux, C(chattr) of e2fsprogs, and C(mkfs.xfs) of xfsprogs
    or C(mkfs.ext4) of e2fsprogs.
notes:
  - Runs on the Docker host, and needs root there.
seealso:
  - module: drydock.volumes.docker_volume_layout
"""

EXAMPLES = r"""
- name: Prepare a disk for the database, and another one for its log
  drydock.volumes.docker_volume_disk:
    device: "{{ item.device }}"
    mount_point: "{{ item.mount_point }}"
    label: "{{ item.label }}"
  loop:
    - {device: /dev/disk/by-id/nvme-DATA, mount_point: /mnt/data, label: data}
    - {device: /dev/disk/by-id/nvme-WAL, mount_point: /mnt/wal, label: wal}

- name: See that the disk that somebody else has mounted is there
  drydock.volumes.docker_volume_disk:
    mount_point: /mnt/ssd
"""

RETURN = r"""
steps:
  description: >-
    What was done, or in check mode would be, in this order, of V(make mount point), V(protect mount point),
    V(make file system), V(check file system), V(write fstab), V(mount) and V(remount).
  returned: success
  type: list
  elements: str
  sample: [make mount point, protect mount point, make file system, write fstab, mount]
mount_point:
  description: Where the disk is mounted.
  returned: success
  type: str
  sample: /mnt/ssd
filesystem:
  description: The file system's type.
  returned: success
  type: str
  sample: xfs
uuid:
  description: >-
    The file system's UUID. Empty without O(device), and in check mode where the file system would be made.
  returned: success
  type: str
  sample: 6325c741-5797-4e97-867f-c6e66f79b40e
rotational:
  description: Whether the kernel takes the disk for a rotational one, or null if it doesn't say.
  returned: success
  type: bool
  sample: false
size:
  description: The size of the device in bytes, 0 without O(device).
  returned: success
  type: int
  sample: 480103981056
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import disk
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, prepare the disk, report."""
    act(AnsibleModule(**arguments(disk.SPEC), supports_check_mode=True), disk.run)


if __name__ == "__main__":
    main()
