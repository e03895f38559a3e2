# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A dead man's switch: an address that is asked for as long as all is well, so that silence is the alarm."""

from __future__ import annotations

import http.client
import os
import stat
import time
import urllib.error
import urllib.parse
import urllib.request

from .errors import DrydockError, UsageError, reason

#: Where the address is.
ADDRESS = "/etc/drydock/ping.url"

#: Seconds that one try has, and between tries.
_LIMIT, _PAUSES = 20, (2, 8)


def read(path: str = ADDRESS) -> str:
    """The address in a file that only its owner can read. Raise UsageError, without it, if it can't be had."""
    try:
        with open(path, encoding="utf-8") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            address = file.read().strip()
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else "it is no text"
        raise UsageError(f"the address to ping can't be read from {path}: {why}") from error
    if mode & 0o077:
        raise UsageError(
            f"{path} can be read by others (mode {mode:04o}), and who has the address can ping: chmod 600 {path}"
        )
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        parts = urllib.parse.urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or len(address.split()) != 1:
        raise UsageError(f"{path} must hold one http or https address, and nothing else")
    return address


def ping(address: str) -> None:
    """Ask for an address; try three times. Raise DrydockError, which names its host alone, if all fail, and UsageError
    if it can't be asked for."""
    host = urllib.parse.urlsplit(address).hostname
    problem = ""
    for pause in (*_PAUSES, None):
        try:
            with urllib.request.build_opener().open(address, timeout=_LIMIT) as answer:
                answer.read(1)
                return
        except urllib.error.HTTPError as error:
            problem = f"it answered {error.code}"
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            problem = reason(cause) if isinstance(cause, OSError) else type(cause).__name__
        except ValueError:
            # no second try makes it one; what it says would show the address
            raise UsageError(f"the address of the dead man's switch at {host} is none that can be asked for") from None
        if pause is not None:
            time.sleep(pause)
    raise DrydockError(f"the dead man's switch at {host} can't be pinged: {problem}; it will raise an alarm")
