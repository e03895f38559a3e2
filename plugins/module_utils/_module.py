# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Ansible side of every module: from an action's options to Ansible's argument spec, one way to report, one way to
fail."""

from __future__ import annotations

import contextlib
import traceback
import typing as t
from collections.abc import Callable, Iterator

from ansible.module_utils.basic import AnsibleModule, env_fallback

from ._engine.errors import DrydockError
from ._engine.options import ENVIRONMENT, Report, Spec
from ._engine.termination import Terminated, terminating


def arguments(spec: Spec) -> dict[str, t.Any]:
    """An action's options as AnsibleModule takes them."""
    return {
        "argument_spec": {
            name: {**option, "fallback": (env_fallback, [ENVIRONMENT[name]])} if name in ENVIRONMENT else dict(option)
            for name, option in spec.arguments.items()
        },
        "mutually_exclusive": list(spec.mutually_exclusive),
        "required_one_of": list(spec.required_one_of),
        "required_by": dict(spec.required_by),
    }


def act(module: AnsibleModule, run: Callable[..., Report]) -> None:
    """Have an action done with the module's options, and end the module with what it reports."""
    with failing(module):
        report = run(module.params, check=module.check_mode)
    for warning in report.warnings:
        module.warn(warning)
    values = {"changed": report.changed, **report.values}
    if report.failure is not None:
        module.fail_json(msg=report.failure, **values)
    module.exit_json(**values)


@contextlib.contextmanager
def failing(module: AnsibleModule) -> Iterator[None]:
    """Turn the engine's errors into the task's failure, with their text as the message.

    SIGTERM, SIGINT and SIGHUP become one of them, so that what the engine does at the end of every failure is done
    then too.
    """
    with terminating():
        try:
            yield
        except (DrydockError, Terminated) as error:
            module.fail_json(msg=str(error))
        except OSError as error:
            module.fail_json(msg=f"unforeseen: {error}", exception=traceback.format_exc())
