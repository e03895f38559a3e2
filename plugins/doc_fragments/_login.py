# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say how to log in to a database server."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  user:
    description:
      - The user in the container that the server's clients run as, by name or number. By default that of the
        container.
      - Servers that tell who somebody is by the user of the system (peer) need their own here, such as V(postgres).
    type: str
  login_user:
    description:
      - The user in the database. By default C(POSTGRES_USER) of the container or V(postgres), and V(root) for MariaDB.
    type: str
  password_file:
    description:
      - The path of a file on the target whose only line is that user's password. Nobody but its owner may have access
        to it.
      - The password goes to the container through a pipe and is then in memory only, never among the arguments or the
        environment of a command that Docker shows, nor in a file that has a name.
      - Servers that trust who comes by their socket need none, as PostgreSQL's official image does.
    type: path
  login_unix_socket:
    description:
      - The path of the server's socket in the container, where it isn't the usual one. For PostgreSQL it is that of the
        directory.
    type: path
"""
