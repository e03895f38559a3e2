#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_database_restore
short_description: Restore databases into a server that runs in a container
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Restores what M(drydock.volumes.docker_database_backup) has made, with the server's own client in its container.
  - Before anything in the server is touched, the archive is checked against its checksum, and each dump is checked to
    be whole.
  - Into PostgreSQL, each dump is restored into a new database in one transaction. When all of them are in, they take
    their names at one instant, and those that they replace are dropped. Whatever fails, also the host, leaves either
    all old databases or all new ones under their names.
  - Into MariaDB, dumps are restored into databases that don't exist or are empty. If something fails, these are absent
    or empty again. If the host fails, a database that holds only a part of its dump has a table
    C(__drydock_restoring), and the next restore begins anew; a backup refuses it.
options:
  container:
    description: The name of the running container that the server is in. Not its identifier.
    type: str
    required: true
  source_container:
    description: The name of the container whose databases were backed up. By default O(container).
    type: str
  repository:
    description:
      - The absolute path of the directory that holds the backups, on the target.
      - A backup is the pair C(<repository>/<host>/database@<container>/<id>.tar.zst) and C(<id>.json), its manifest.
  backup:
    description: The identifier of the backup, or V(latest) for the newest complete one.
    type: str
    default: latest
  before:
    description:
      - Take the newest backup that began no later than this time in UTC, such as V(2026-11-23T10:15:00Z) or
        V(2026-11-23).
    type: str
  databases:
    description: Which databases of the backup to restore. By default all.
    type: list
    elements: str
  target:
    description:
      - Another name for the database, if it is only one that is restored, so that it can be looked at beside the old
        one.
      - It has the owner that the old one had, but not the settings and rights of the database itself.
      - This is for PostgreSQL only. Dumps of MariaDB may name the database that they are of, and would change it.
    type: str
  globals:
    description:
      - Whether to restore what belongs to none of the databases first. This stays also if something fails after it.
      - In PostgreSQL, roles and tablespaces that don't exist are made, and roles that exist get the attributes and the
        passwords that they had, the administrator's among them.
      - In MariaDB, accounts that don't exist are made, and all get the rights that they had.
    type: bool
    default: false
  when_not_empty:
    description:
      - What to do with a database that exists and holds something.
      - V(fail) refuses it. V(replace) has the restored one take its place, which PostgreSQL alone can do at one
        instant. The server's disk must hold both for a while.
    type: str
    choices: [fail, replace]
    default: fail
  disconnect:
    description:
      - Whether to end the sessions that use a database that is replaced, in PostgreSQL. By default they are in the way.
    type: bool
    default: false
  lock_timeout:
    description: How long to wait for another run that restores into the same server, in seconds.
    type: float
    default: 0
  stall_timeout:
    description:
      - After how many seconds in which no byte moves the restore fails, because the server or a file system hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
extends_documentation_fragment:
  - drydock.volumes._login
  - drydock.volumes._repository
  - drydock.volumes._decryption
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Checks the archive and every dump in it, and sees what is in the way. Nothing in the server is changed.
  diff_mode:
    support: full
    details: Shows what each database was before, and which backup it is of after, not its rows.
  idempotent:
    support: none
    details: >-
      A database that holds something is refused, or with O(when_not_empty=replace) restored again.
requirements:
  - In the container, C(/bin/sh), C(mktemp) and the server's own clients, as the official images have them.
  - On the target, C(zstd), or C(pigz) or C(gzip); C(age) or C(gpg) for an encrypted archive.
notes:
  - Runs on the Docker host and needs root there.
seealso:
  - module: drydock.volumes.docker_database_backup
  - module: drydock.volumes.docker_volume_restore
"""

EXAMPLES = r"""
- name: Restore a database beside the one that is there, to look something up
  drydock.volumes.docker_database_restore:
    container: pg
    repository: /var/backups/volumes
    databases:
      - shop
    target: shop_yesterday
    before: 2026-11-23T00:00:00Z

- name: Replace a database by its newest backup, and disconnect who uses it
  drydock.volumes.docker_database_restore:
    container: pg
    repository: /var/backups/volumes
    databases:
      - shop
    when_not_empty: replace
    disconnect: true

- name: Restore all databases of a server, with the accounts, into a new one on another host
  drydock.volumes.docker_database_restore:
    container: mariadb
    repository: /mnt/backups/volumes
    host: db1
    globals: true
    password_file: /etc/drydock/mariadb.password
"""

RETURN = r"""
backup:
  description: The identifier of the backup.
  returned: success
  type: str
  sample: 20261123T101502Z
host:
  description: The host that the backup is of.
  returned: success
  type: str
  sample: db1
engine:
  description: The server, V(postgresql) or V(mariadb).
  returned: success
  type: str
  sample: postgresql
databases:
  description: What was restored, or in check mode would be.
  returned: success
  type: list
  elements: dict
  contains:
    database:
      description: The name in the backup.
      type: str
      sample: shop
    target:
      description: The name in the server.
      type: str
      sample: shop
    was:
      description:
        - What was under that name before. V(absent); V(empty); V(replaced), something that isn't there any more; or
          V(interrupted), a part of a restore that was interrupted.
      type: str
      sample: replaced
    bytes:
      description: The size of the dump, in bytes.
      type: int
      sample: 4567890
seconds:
  description: How long it took, in seconds.
  returned: success
  type: float
  sample: 12.5
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import database_restore
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(database_restore.SPEC))
    act(module, database_restore.run)


if __name__ == "__main__":
    main()
