#!/usr/bin/python
# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: docker_database_backup
short_description: Back up the databases of a server that runs in a container
version_added: 0.1.0
author:
  - drydock.volumes contributors (@drydock)
description:
  - Dumps the databases of a PostgreSQL or MariaDB server with its own client in its container, while it
    runs, and keeps the dumps as one compressed tar archive with a manifest, in the same repository as the backups of
    volumes.
  - Each database is dumped as it was at one instant. Nothing is stopped or locked out.
  - A backup appears in the repository only when every dump is whole. The exit status of each program is checked, and
    besides each dump is read to its end on the way, by PostgreSQL's own reader in the container, or looked at for the
    line that MariaDB ends a dump with. What a failed run wrote is removed.
  - The dumps go from the container through the compressor into the repository. They are never in a file of their own,
    so they need no room elsewhere.
options:
  container:
    description: The name of the running container that the server is in. Not its identifier.
    type: str
    required: true
  engine:
    description:
      - Which server that is. V(auto) takes it from the name of the container's image, or from the variables that the
        official images set.
    type: str
    choices: [auto, postgresql, mariadb]
    default: auto
  databases:
    description:
      - The names of the databases to dump. Each must exist.
      - By default all of them, but for templates and for those that are the server's own.
    type: list
    elements: str
  globals:
    description:
      - Whether to dump what belongs to none of the databases too. For PostgreSQL these are roles with their passwords'
        hashes, and tablespaces; for MariaDB accounts and their rights.
      - This takes an administrator's rights in the server.
    type: bool
    default: true
  verify:
    description:
      - How to prove the archive before it is published, besides the check of each dump.
      - With V(archive) it is read back from the disk, checked against its checksum, decompressed to its end, and its
        entries are counted.
      - An archive that is encrypted for public keys is only checked against its checksum, unless there is a
        O(decryption).
    type: str
    choices: [none, archive]
    default: none
  stall_timeout:
    description:
      - After how many seconds in which no byte moves the backup fails, because the server waits for a lock or hangs.
      - With V(0) it waits for ever.
    type: float
    default: 600
  repository:
    description:
      - The absolute path of the directory that gets the backups, on the target.
      - It is created, for its owner only, if it doesn't exist; its parent directory must exist.
      - Or C(REMOTE:path), where C(REMOTE) is a remote of rclone's configuration (S3, SFTP, WebDAV and many others). The
        archive is uploaded as it is made then, and a backup whose connection breaks fails. A directory here and
        O(copies) don't have that drawback.
      - A backup is the pair C(<repository>/<host>/database@<container>/<id>.tar.zst) and C(<id>.json), its manifest.
        C(<id>) is the time in UTC at which the backup started. An archive without its manifest is not a backup.
extends_documentation_fragment:
  - drydock.volumes._login
  - drydock.volumes._repository
  - drydock.volumes._storing
  - drydock.volumes._decryption
  - drydock.volumes._docker
  - drydock.volumes._attributes
attributes:
  check_mode:
    support: full
    details: Asks the server for its databases, looks at the tools and the repository, and dumps and writes nothing.
  diff_mode:
    support: full
    details: Shows the identifiers of the backups before and after, those that expire among them.
  idempotent:
    support: none
    details: Each run makes a new backup.
requirements:
  - In the container, C(/bin/sh), C(mktemp) and the server's own clients, as the official images have them.
  - On the target, C(zstd), or C(pigz) or C(gzip); for O(verify=archive) GNU C(tar).
  - For O(encryption), C(age) or C(gpg).
  - For a repository elsewhere, C(rclone) 1.60 or newer.
notes:
  - Runs on the Docker host and needs root there.
  - Several databases are dumped one after the other, each as it was at an instant of its own.
  - MariaDB's tables with another engine than InnoDB have no transactions, so theirs isn't one instant; they are named
    in a warning.
seealso:
  - module: drydock.volumes.docker_database_restore
  - module: drydock.volumes.docker_volume_backup
"""

EXAMPLES = r"""
- name: Back up all databases of a PostgreSQL server, and its roles
  drydock.volumes.docker_database_backup:
    container: pg
    repository: /var/backups/volumes

- name: Back up one database of a MariaDB server every night, and keep a week of nights and a year of months
  drydock.volumes.docker_database_backup:
    container: mariadb
    databases:
      - shop
    password_file: /etc/drydock/mariadb.password
    repository: /var/backups/volumes
    retention:
      keep_daily: 7
      keep_monthly: 12

- name: Back up into a directory, and copy that to storage elsewhere, which keeps a year of it
  drydock.volumes.docker_database_backup:
    container: pg
    repository: /var/backups/volumes
    retention:
      keep_last: 3
    copies:
      - repository: offsite:backups/volumes
        retention:
          keep_daily: 14
          keep_monthly: 12
    rclone_config: /etc/drydock/rclone.conf

- name: Encrypt the dumps for a key that is kept elsewhere
  drydock.volumes.docker_database_backup:
    container: pg
    repository: /mnt/backups/volumes
    encryption:
      method: age
      recipients:
        - age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj
"""

RETURN = r"""
backup:
  description: The essentials of the backup's manifest.
  returned: success
  type: dict
  contains:
    id:
      description: The identifier, the UTC time at which the backup started. None in check mode.
      type: str
      sample: 20261123T101502Z
    path:
      description: The path of the archive. None in check mode.
      type: str
      sample: /var/backups/volumes/db1/database@pg/20261123T101502Z.tar.zst
    host:
      description: The host's folder.
      type: str
      sample: db1
    database:
      description:
        - The server's C(engine), C(version), C(container) and C(image), the C(databases), and the C(dumps) with the
          C(file) in the archive, the C(database) (null for what belongs to none), the size in C(bytes) and the
          C(sha256) checksum of each.
      type: dict
      sample:
        engine: postgresql
        version: "15.20"
        container: pg
        image: postgres:15
        databases: [shop]
        dumps: [{file: shop.dump, database: shop, bytes: 1234567, sha256: 9f86d081…}]
    archive:
      description: The archive's file name, size in bytes, SHA-256 checksum, compression and encryption.
      type: dict
      sample: {file: 20261123T101502Z.tar.zst, bytes: 1234567, sha256: 9f86d081…, compression: zstd, encryption: null}
    content:
      description: The size of all dumps in C(bytes), and the number of C(entries) in the archive.
      type: dict
      sample: {bytes: 4567890, entries: 2}
    verification:
      description: How the archive was verified besides, by O(verify).
      type: dict
      sample: {method: none}
    started_at:
      description: When the backup started, in UTC.
      type: str
      sample: "2026-11-23T10:15:02Z"
    finished_at:
      description: When the last dump was done, in UTC.
      type: str
      sample: "2026-11-23T10:15:09Z"
    seconds:
      description: How long it took, in seconds.
      type: float
      sample: 7.2
expired:
  description: The backups that the retention policy let go, or in check mode would, oldest first.
  returned: success
  type: list
  elements: dict
  sample: [{id: 20261101T101502Z, bytes: 1234567, reason: no rule keeps it}]
copies:
  description:
    - The backups that were copied to O(copies), or in check mode would be.
    - C(verified) is what was compared at the other end, the name of a checksum or V(size). C(id) is V(none) for a
      backup that check mode doesn't make.
  returned: success
  type: list
  elements: dict
  sample:
    - repository: offsite:backups/volumes
      id: 20261123T101502Z
      bytes: 1234567
      verified: sha1
      seconds: 4.1
copies_expired:
  description: The older backups that were removed there, or in check mode would be, each with the reason.
  returned: success
  type: list
  elements: dict
  sample:
    - repository: offsite:backups/volumes
      id: 20251001T101502Z
      bytes: 1234567
      reason: no rule keeps it
failures:
  description:
    - What went wrong when the backup was there. C(repository) is that of a copy that lacks something.
  returned: success, and when a copy fails
  type: list
  elements: dict
  sample:
    - repository: offsite:backups/volumes
      error: "the databases in container pg: copy: offsite:backups/volumes lacks 1 backup(s) (20261123T101502Z): …"
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils._engine.actions import database_backup
from ..module_utils._module import act, arguments


def main() -> None:
    """Read the options, act, report."""
    module = AnsibleModule(supports_check_mode=True, **arguments(database_backup.SPEC))
    act(module, database_backup.run)


if __name__ == "__main__":
    main()
