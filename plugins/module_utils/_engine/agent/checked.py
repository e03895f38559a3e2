# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a job's options can be meant, as far as they tell it themselves: no file, program or daemon is looked at.

So it holds on another host, too: the controller checks a job with this before it is written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import codecs, copies, encryption, names, options, patience
from ..actions import backup, drill
from ..backup import Settings
from ..encryption import Decryption, Encryption
from ..errors import UsageError
from ..hooks import Hook
from ..options import Spec
from ..pipeline import Stage
from ..repositories import root_of
from ..retention import Policy
from ..selection import Selector
from ..validate import validated

#: What a job can do.
SPECS: Mapping[str, Spec] = {"backup": backup.SPEC, "drill": drill.SPEC}


def checked(action: str, given: Mapping[str, Any], environment: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A job's options as validate.validated returns them. Raise UsageError for what can't be meant."""
    if action not in SPECS:
        raise UsageError(f"action is {action!r}; it can be {' or '.join(SPECS)}")
    params = validated(SPECS[action], given, environment)
    require(action, params)
    return params


def require(action: str, params: Mapping[str, Any]) -> None:
    """Raise UsageError if a run with these options would do so before it looks at anything."""
    Selector.parse(params["selector"])
    root = root_of(params["repository"])
    if params["host"]:
        names.path_component("host", params["host"])
    for volume in params["volumes"] or []:
        names.path_component("volume", volume)
    encryption.require_decryption(params["decryption"])
    patience.require_seconds(stall_timeout=params["stall_timeout"])
    if action == "drill":
        drill.check_of({**params, "env_file": None})
    else:
        _backup(params, root)


def _backup(params: Mapping[str, Any], root: str) -> None:
    codecs.codec(params["compression"]).require_level(params["compression_level"])
    encryption.require_encryption(params["encryption"])
    further = params["copies"] or []
    copies.require_roots_apart(root, [root_of(each["repository"]) for each in further])
    for each in further:
        Policy.parse(each.get("retention") or {})
    ours = params["encryption"]
    theirs = params["decryption"] or (ours and ours["passphrase_file"])
    # the engine's own rules, with keys that nobody has tried, and a directory that is there
    Settings(
        encryption=Encryption(ours["method"], (), Stage("none", ())) if ours else None,
        decryption=Decryption(None, None) if theirs else None,
        retention=Policy.parse(params["retention"] or {}),
        before=[Hook.parse(hook) for hook in params["exec_before"] or []],
        after=[Hook.parse(hook) for hook in params["exec_after"] or []],
        limits=options.limits(params),
        verify=params["verify"],
        scratch="/",
        parallel=params["parallel"],
        lock_timeout=params["lock_timeout"],
        stall_timeout=params["stall_timeout"],
    )
