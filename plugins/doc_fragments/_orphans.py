# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options that say which volumes nobody will miss."""

from __future__ import annotations


class ModuleDocFragment:
    """Documentation shared by the modules."""

    DOCUMENTATION = r"""
options:
  selector:
    description:
      - Which volumes are meant. All by default.
      - A volume is if its name matches one of O(selector.names) and it has all of O(selector.labels), as far as these
        are given, and if nothing in O(selector.exclude) matches its name.
    type: dict
    suboptions:
      names:
        description: Shell patterns of names, such as V(ci-*).
        type: list
        elements: str
      labels:
        description: Labels that the volumes themselves have, C(key) or C(key=value).
        type: list
        elements: str
      exclude:
        description: Shell patterns of the names of volumes to leave out.
        type: list
        elements: str
  grace:
    description:
      - How long a volume must have been seen without references to be an orphan, such as V(12h), V(7d) or V(3m)
        (months).
      - With V(0h) M(drydock.volumes.volume_prune_orphans) needn't have seen it before.
    type: str
    default: 7d
  protect:
    description:
      - Volumes that are protected, and never removed.
      - The label C(drydock.protect=true) of a volume protects it whatever a task says. Any other value than C(false),
        C(no), C(off) and C(0) does so too.
    type: dict
    suboptions:
      names:
        description: Shell patterns of names.
        type: list
        elements: str
      labels:
        description: Labels that the volumes have, C(key) or C(key=value).
        type: list
        elements: str
      projects:
        description: Shell patterns of the names of Compose projects and swarm stacks.
        type: list
        elements: str
  gone_projects:
    description:
      - Shell patterns of the names of Compose projects and swarm stacks that are no more.
      - The volumes of a Compose project or a swarm stack that has a container or a service on this host, in any state,
        are protected. Where it has none, it may be down only (C(docker compose down) removes all of its containers),
        which looks just like one that was given up. Its volumes are kept unless a pattern here matches the project.
    type: list
    elements: str
"""
