# Copyright: (c) 2026, drydock.volumes contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command drydock-volumes: the same engine as the modules', without Ansible."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import DrydockError, UsageError
from ..options import Report
from ..runs import Run
from ..termination import Terminated, terminating
from ..validate import validated
from . import arguments, checked, jobs
from .command import ATTENTION, BUSY, DONE, FAILED, USAGE, Command
from .commands import COMMANDS
from .terminal import Terminal

# What ends a command, and is told.
_ENDS = (DrydockError, Terminated, OSError)


def main(words: Sequence[str] | None = None) -> int:
    """Do what the words ask for, and return the exit code."""
    words = sys.argv[1:] if words is None else words
    terminal = Terminal(as_json="--json" in words)
    try:
        with terminating():
            return _run(words, terminal)
    except BrokenPipeError:
        # whoever read our output has gone: there is nobody to tell
        with contextlib.suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def _run(words: Sequence[str], terminal: Terminal) -> int:
    run: Run | None = None
    try:
        command, own, given = arguments.parse(COMMANDS, words)
        job, params = _settled(command, own[arguments.JOB], given, strictly=own[arguments.CHECK_CONFIG])
        if own[arguments.CHECK_CONFIG]:
            terminal.result(command.name, Report(False, {}), DONE, ["the options are good"])
            return DONE
        check = bool(own[arguments.DRY_RUN])
        with contextlib.ExitStack() as stack:
            if job is not None and job.action == command.name and not check:
                stack.enter_context(jobs.running(job))
                # what else was asked for says nothing of the job
                if not given and jobs.is_of_this_host(job):
                    run = Run(job.name, command.name)
                    # while the lock is held, so that nobody takes it for a run that died
                    stack.push(_noting(run))
            watch = stack.enter_context(terminal.watching()) if command.watched and not check else None
            report = command.run(params, check=check, **({"watch": watch} if command.watched else {}))
            code = _code(report)
            if run is not None:
                run.ended(code, report)
    except BrokenPipeError:
        raise
    except _ENDS as error:
        return terminal.failed(*_failure(error))
    terminal.result(command.name, report, code, command.show(report, check), diff=own[arguments.DIFF])
    return code


def _noting(run: Run) -> Callable[[object, BaseException | None, object], None]:
    """The end of a context that notes how a run failed that ends in it."""

    def note(_kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, _ENDS) and not isinstance(error, BrokenPipeError):
            message, code = _failure(error)
            run.ended(code, None, message)

    return note


def _failure(error: BaseException) -> tuple[str, int]:
    """What to say of an error, and the exit code."""
    if isinstance(error, Terminated):
        return str(error), 128 + error.number
    if isinstance(error, UsageError):
        return str(error), USAGE
    if isinstance(error, jobs.BusyError):
        return str(error), BUSY
    return str(error) if isinstance(error, DrydockError) else f"unforeseen: {error}", FAILED


def _settled(
    command: Command, name: str | None, given: Mapping[str, Any], *, strictly: bool
) -> tuple[jobs.Job | None, dict[str, Any]]:
    """The job, if one is named, and the options as the subcommand has them. Raise UsageError, ``strictly`` for all that
    a run would do so for before it looks at anything."""
    if name is None:
        params = validated(command.spec, given, os.environ)
        if strictly:
            checked.require(command.name, params)
        return None, params
    job = jobs.read(name)
    options = jobs.taken(job, command, given)
    try:
        params = validated(command.spec, options, os.environ)
    except UsageError as error:
        raise UsageError("; ".join(f"{job.where}: {part}" for part in str(error).split("; "))) from error
    try:
        if strictly:
            checked.require(command.name, params)
    except UsageError as error:
        raise UsageError(f"{job.where}: {error}") from error
    return job, params


def _code(report: Report) -> int:
    """How it ended."""
    if report.failure is None:
        return DONE
    return ATTENTION if report.changed or report.partly else FAILED
