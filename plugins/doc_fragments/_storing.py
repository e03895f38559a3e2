# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how backups are stored, and for how long."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  require_mounted:
    description:
      - Fail if O(repository) is on the root file system. Set this where it should be on a disk or a server of its own,
        so that a backup never fills the root file system because that isn't mounted.
    type: bool
    default: false
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
      - The default is 2 for V(zstd) and 6 for V(gzip).
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
      - Which of the backups to keep. A backup stays if any of the rules keeps it. Without rules everything
        stays.
      - Backups expire after a good new one of the same, and only then. The newest complete backup always
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
  copies:
    description:
      - Further repositories that get a copy of the backups, one after the other. By then containers that held still run
        again.
      - Each gets all complete backups in O(repository), of the same volumes or databases, that it lacks and that its
        own retention keeps, the newest first. So what couldn't be copied is copied by the next run.
      - A copy counts when its size, and its checksum where the storage has one, are those of what was sent; its
        manifest is the same, byte for byte. Before that it isn't listed as a backup.
      - A copy that fails is tried again, three times in all. Then the task fails, and says in RV(failures) what the
        repository lacks. The backup stands.
      - O(repository) must be a directory then.
    type: list
    elements: dict
    suboptions:
      repository:
        description: A directory, or C(REMOTE:path), as in O(repository).
        type: path
        required: true
      retention:
        description:
          - Which of the backups to keep there. Without rules everything stays.
          - They expire as in O(retention), after all that it lacked has been copied.
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
      - How long to wait for another run that writes to the same folder of the repository, in seconds.
      - With V(0) the backup fails at once.
    type: float
    default: 0
"""
