"""Ends the process by SIGKILL inside a write: at the replacement of a file that FAULT_AT names.

Python imports this module at its start where its folder is on PYTHONPATH. FAULT_AT is `before:N`
or `after:N`: before or after the N-th time that this process moves a finished file to its place.
The whole group of processes is killed, as by a machine that loses its power.
"""

import os
import signal

_place = os.environ.get("FAULT_AT", "")


def _install(when: str, number: int) -> None:
    """Replace `os.replace` and `os.rename` by functions that count, and kill."""
    count = 0

    def counting(function):  # type: ignore[no-untyped-def]
        def move(*arguments, **options):  # type: ignore[no-untyped-def]
            nonlocal count
            count += 1
            if count == number and when == "before":
                os.killpg(os.getpgrp(), signal.SIGKILL)
            function(*arguments, **options)
            if count == number and when == "after":
                os.killpg(os.getpgrp(), signal.SIGKILL)

        return move

    os.replace, os.rename = counting(os.replace), counting(os.rename)


if _place:
    _install(_place.partition(":")[0], int(_place.partition(":")[2]))
