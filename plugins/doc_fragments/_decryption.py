# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that name the key of an encrypted archive."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  decryption:
    description:
      - The key of an encrypted archive. It is tried before anything is created or written.
      - Nobody but their owner may have access to the files.
    type: dict
    suboptions:
      identity_file:
        description:
          - For C(age), the path of a file with identities, or with an SSH private key.
          - For C(gpg), the path of a file with an exported secret key.
        type: path
      passphrase_file:
        description:
          - The path of a file whose first line is the passphrase of an archive that C(gpg) encrypted with one, or
            that of the secret key in O(decryption.identity_file).
        type: path
"""
