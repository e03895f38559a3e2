# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say where backups are kept."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  repository:
    description:
      - The absolute path of the directory that holds the backups, on the target; or C(REMOTE:path) for storage
        elsewhere, which the program C(rclone) speaks to. C(REMOTE) is the name of a remote in rclone's configuration.
      - A backup is the pair C(<repository>/<host>/<volume>/<id>.tar.zst) and C(<id>.json), its manifest. An archive
        without its manifest is not a backup.
    type: path
    required: true
  rclone_config:
    description:
      - The path of the file with rclone's configuration, on the target, where a repository is C(REMOTE:path). Nobody
        but its owner may have access to it.
      - By default that is what C(RCLONE_CONFIG) in the environment names, or where C(rclone config file) says it is.
        The remotes and their passwords and keys are there and nowhere else.
    type: path
  host:
    description:
      - The name of the folder in O(repository) that holds the host's backups.
      - The target's own host name by default.
    type: str
"""
