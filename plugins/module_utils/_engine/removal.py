# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Remove trees, with rm, which goes as deep as they are."""

from __future__ import annotations

import os
import subprocess

from . import tools
from .attributes import Attributes
from .roots import PREFIX


def remove(*paths: str) -> str:
    """Remove trees however deep they are, and return what rm says of the first thing that it can't remove."""
    done = subprocess.run(
        [tools.need("rm", "coreutils"), "--recursive", "--force", "--one-file-system", "--", *paths],
        env=tools.environment(),
        stderr=subprocess.PIPE,
        check=False,
    )
    return done.stderr.partition(b"\n")[0].decode("utf-8", "backslashreplace")


def remove_leftovers(tree: str) -> None:
    """Remove from a tree's root what a dead restore had left in the volume that it is a copy of. Raise OSError.

    In another volume it would be taken for that one's own.
    """
    left = [entry for entry in os.listdir(tree) if entry.startswith(PREFIX)]
    if left:
        before = Attributes.of(tree)
        for entry in left:
            remove(os.path.join(tree, entry))
        before.give(tree)
