# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The programs that do the work, found on this host."""

from __future__ import annotations

import os
import re
import shutil
import subprocess

from .errors import ToolError

# Ansible may run us with a bare PATH; Debian and the RHEL family keep everything we call in these.
_SEARCH = os.pathsep.join(["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"])


def environment() -> dict[str, str]:
    """The environment of every process we start: messages in English, nothing of the caller's that steers a tool.

    TAR_OPTIONS, GZIP, ZSTD_CLEVEL and their like would change archives behind our back, so only what is needed passes.
    """
    kept = {name: os.environ[name] for name in ("HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PATH": search_path(), "LC_ALL": "C", "TZ": "UTC"}


def search_path() -> str:
    """The caller's PATH, then the usual folders it may lack."""
    path = os.environ.get("PATH", "")
    return os.pathsep.join([path, _SEARCH]) if path else _SEARCH


def find(program: str) -> str | None:
    """The absolute path of ``program``, or None."""
    return shutil.which(program, path=search_path())


def need(program: str, package: str) -> str:
    """The absolute path of ``program``. Raise ToolError, naming the ``package`` that brings it, if it is missing."""
    path = find(program)
    if path is None:
        raise ToolError(
            f"the program {program!r} is not on this host; install the package {package!r} "
            f"(for example: ansible.builtin.package: name={package})"
        )
    return path


def gnu_tar() -> tuple[str, str]:
    """The path and the version of GNU tar. Raise ToolError for any other tar.

    Busybox's tar drops ACLs and xattrs and corrupts sparse files with exit status 0; bsdtar has other options.
    """
    path = find("gtar") or need("tar", "tar")
    answer = subprocess.run([path, "--version"], env=environment(), capture_output=True, text=True, check=False)
    match = re.match(r"tar \(GNU tar\) (\S+)", answer.stdout)
    if match is None:
        said = (answer.stdout or answer.stderr).strip().splitlines()[:1] or ["nothing"]
        raise ToolError(f"{path} is not GNU tar (it says {said[0]!r}); install the package 'tar'")
    return path, match.group(1)
