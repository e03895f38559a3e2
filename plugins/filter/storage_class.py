# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The filter C(storage_class)."""

from __future__ import annotations

DOCUMENTATION = r"""
name: storage_class
short_description: Turn storage classes into drivers and options of volumes
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Takes volumes that say with C(storage_class) what kind of storage they are on, and returns them as
    M(drydock.volumes.docker_volume_layout) takes them, with C(driver_options), or with C(device_path) and
    C(require_mounted).
  - What a volume has itself comes before what its class has. Beside what its kind takes, it may have C(name), C(state),
    C(labels), C(owner), C(group) and C(mode). Volumes without C(storage_class) are returned as they are.
  - V(plain) takes nothing more. Docker keeps its files below its data root.
  - V(ssd) takes C(path), the mount point of a disk, and C(subpath), by default the volume's name. The volume is that
    directory, and is refused while nothing is mounted on C(path).
  - V(nfs) takes C(server), C(export), C(subpath) (by default none, so that the volume is the export) and C(options), by
    default V(rw,nfsvers=4.2,hard,noatime).
  - V(tmpfs) takes C(size) and C(options), by default V(nosuid,nodev). C(mode), C(owner) and C(group) are mount options
    here, and the owner and the group must be numbers.
  - V(cifs) takes C(path), where a share is mounted on the host, and C(subpath), as V(ssd) does.
  - V(block) takes C(device), C(fstype) and C(options).
  - V(plugin) takes C(driver) and C(driver_options).
positional: classes
options:
  _input:
    description: A volume, or a list of volumes.
    type: raw
    required: true
  classes:
    description:
      - The site's own classes by name, each a dictionary with C(kind), which is one of the above, and with what that
        kind takes. A class may have the name of a kind, and stands for it then.
    type: dict
    default: {}
seealso:
  - module: drydock.volumes.docker_volume_layout
"""

EXAMPLES = r"""
- name: Lay volumes out by the classes of the site
  drydock.volumes.docker_volume_layout:
    volumes: "{{ volumes | drydock.volumes.storage_class(classes) }}"
  vars:
    classes:
      ssd:
        kind: ssd
        path: /mnt/ssd
      shared:
        kind: nfs
        server: nas.example.com
        export: /export
    volumes:
      - name: pgdata
        storage_class: ssd
        owner: "999"
        mode: "0700"
      - name: media
        storage_class: shared
        subpath: media
      - name: secrets
        storage_class: tmpfs
        size: 16m
        mode: "0700"
      - name: cache
        storage_class: plain
"""

RETURN = r"""
_value:
  description: The volume, or the list of volumes, for M(drydock.volumes.docker_volume_layout).
  type: raw
"""

import typing as t
from collections.abc import Mapping

from ansible.errors import AnsibleFilterError

from ansible_collections.drydock.volumes.plugins.module_utils._engine.errors import UsageError
from ansible_collections.drydock.volumes.plugins.module_utils._engine.storage import expand


def storage_class(value: t.Any, classes: Mapping[str, t.Any] | None = None) -> t.Any:
    """Expand a volume, or a list of volumes."""
    try:
        if isinstance(value, Mapping):
            return expand(value, classes)
        if isinstance(value, str) or not all(isinstance(volume, Mapping) for volume in value):
            raise UsageError("storage_class takes a volume or a list of volumes, each a dictionary with a name")
        return [expand(volume, classes) for volume in value]
    except UsageError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, t.Callable[..., t.Any]]:
        """By name."""
        return {"storage_class": storage_class}
