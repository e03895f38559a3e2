#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_volume_probe
short_description: See whether volumes would work before they are made
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Docker makes a volume on an NFS server that isn't there, and tells nobody before the first container fails to start.
    This has Docker truly mount what a volume would show, and writes, reads and removes a file there. Where it is
    read-only, the files are listed, and the beginning of one of them is read.
  - What is in the way is said in plain words. An unreachable server, one that runs no NFS, an export that isn't there,
    a host that the server refuses, an export that is read-only, root that the server takes for nobody (root_squash).
  - Several hosts can see that they have the same files, with O(volumes[].action). One of them leaves a file, all others
    look for it, and the first removes it.
  - One volume's failure doesn't stop the others.
options:
  volumes:
    description: The volumes to probe. They needn't exist, and aren't made.
    type: list
    elements: dict
    required: true
    suboptions:
      name:
        description: The volume's name, for messages.
        type: str
        required: true
      driver:
        description: The volume's driver.
        type: str
        default: local
      driver_options:
        description: The driver's options.
        type: dict
      read_only:
        description:
          - Whether the files are only listed, and one of them read. By default they are where C(o) in
            O(volumes[].driver_options) has C(ro).
          - One that this user may not read is passed over. Where there is none that can be read, listing must do.
        type: bool
      user:
        description:
          - The number of the user to write and read as, best the one that containers run as. Where the server takes
            root for nobody, the default fails unless nobody may write.
        type: int
        default: 0
      group:
        description: The number of the group, likewise.
        type: int
        default: 0
      action:
        description:
          - V(try) writes a file, reads it and removes it. V(leave) doesn't remove it. V(see) reads the one that a host
            has left with the same O(mark), and V(remove) removes it.
        type: str
        choices: [try, leave, see, remove]
        default: try
  mark:
    description:
      - Any text, the same on all hosts that are to see each other's files, and another one in each run. The file's name
        and what it holds follow from it.
      - Required for all but V(try) in O(volumes[].action).
    type: str
  on_failure:
    description:
      - What to do with a volume that doesn't work. V(warn) is for check mode where an earlier task would make the
        export.
    type: str
    choices: [fail, warn]
    default: fail
extends_documentation_fragment:
  - drydock.volumes._mounts
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Mounts what is asked for, and lists or reads files. Nothing is written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details: V(try) and V(see) leave nothing behind, and report no change. V(leave) and V(remove) report one.
notes:
  - Runs on the Docker host, and needs root there.
  - The file is hidden, and is named C(.drydock-probe-…). A program that wants an empty directory, as C(initdb) does,
    must not start meanwhile. One that stays, because the server was gone or the run was cut off, is removed by the
    first probe that writes there a day later.
  - O(timeout) is also how long a file system may give no answer. A server that goes silent in the middle is an error
    then.
seealso:
  - module: drydock.volumes.docker_volume_layout
"""

EXAMPLES = r"""
- name: See that the export can be mounted, and that user 1000 may write there
  drydock.volumes.docker_volume_probe:
    volumes:
      - name: media
        driver_options:
          type: nfs
          o: addr=nas.example.com,rw,nfsvers=4.2,hard,noatime
          device: ":/export/media"
        user: 1000
        group: 1000

- name: See that all hosts have the same files
  vars:
    media:
      name: media
      driver_options:
        type: nfs
        o: addr=nas.example.com,rw,nfsvers=4.2,hard,noatime
        device: ":/export/media"
    mark: "{{ ansible_play_batch | join }} {{ lookup('ansible.builtin.pipe', 'date -u +%F') }}"
  block:
    - name: Leave a file
      drydock.volumes.docker_volume_probe:
        volumes: ["{{ media | combine({'action': 'leave'}) }}"]
        mark: "{{ mark }}"
      run_once: true

    - name: See it
      drydock.volumes.docker_volume_probe:
        volumes: ["{{ media | combine({'action': 'see'}) }}"]
        mark: "{{ mark }}"
  always:
    - name: Remove it
      drydock.volumes.docker_volume_probe:
        volumes: ["{{ media | combine({'action': 'remove'}) }}"]
        mark: "{{ mark }}"
      run_once: true
"""

RETURN = r"""
probed:
  description: The names of the volumes that work.
  returned: always, unless the options are wrong
  type: list
  elements: str
  sample: [media]
failures:
  description: The volumes that don't, and why.
  returned: always, unless the options are wrong
  type: list
  elements: dict
  contains:
    volume:
      description: The volume's name.
      type: str
    error:
      description: What went wrong, and what to do.
      type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import probe
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, probe the volumes, report."""
    act(AnsibleModule(**arguments(probe.SPEC), supports_check_mode=True), probe.run)


if __name__ == "__main__":
    main()
