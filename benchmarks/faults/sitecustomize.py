"""Ends the process by SIGKILL inside a write: at the replacement of a file that FAULT_AT names.

Python imports this module at its start where its folder is on PYTHONPATH. FAULT_AT is `before:N`
or `after:N`: before or after the N-th time that this process moves a finished file to its place.
The process, those that started it and all their groups are killed, as by a machine that loses its
power. Without it, the process leaves the number of its moves as the name of a file in the folder
FAULT_MOVES.
"""

import atexit
import contextlib
import os
import signal
from pathlib import Path

_when, _, _number = os.environ.get("FAULT_AT", "").partition(":")
_count = 0


def _kill() -> None:
    """Kill the groups of this process and of those that started it, its own last."""
    for group in os.environ["FAULT_GROUPS"].split():
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(group), signal.SIGKILL)


def _counting(function):  # type: ignore[no-untyped-def]
    """Return a function that moves a file, and kills at its time."""

    def move(*arguments, **options):  # type: ignore[no-untyped-def]
        global _count
        _count += 1
        if (_when, _number) == ("before", str(_count)):
            _kill()
        function(*arguments, **options)
        if (_when, _number) == ("after", str(_count)):
            _kill()

    return move


def _leave_count() -> None:
    """Say how often this process has moved a file."""
    (Path(os.environ["FAULT_MOVES"]) / str(_count)).touch()


if "FAULT_MOVES" in os.environ:
    _groups = os.environ.get("FAULT_GROUPS", "").split()
    if str(os.getpgrp()) not in _groups:
        os.environ["FAULT_GROUPS"] = " ".join([*_groups, str(os.getpgrp())])
    os.replace, os.rename = _counting(os.replace), _counting(os.rename)
    if not _when:
        atexit.register(_leave_count)
