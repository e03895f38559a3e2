# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how volumes are mounted which are not directories of the host."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  helper_image:
    description:
      - The image of the container that holds volumes mounted, for volumes that Docker mounts only while a container
        uses them. It must be on the host and have a program C(sleep).
      - By default an empty image is made on the host and runs the host's own C(sleep), so that nothing is pulled. Set
        this where binding the host's C(/usr) into a container doesn't work.
    type: str
"""
