"""Where data sets are, which of them `auto` takes, and a note of what a run has read.

`FORGETTING_DATA` names the folder of all data sets; without it they are in the user's cache. A
variable that is set is meant: what it names is used, or an error says why it cannot be.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from forgetting.errors import DataError, check_option
from forgetting.foundation.files import CACHE

VARIABLE = "FORGETTING_DATA"

FOLDERS = {"mnist": Path("MNIST") / "raw", "celeba": Path("celeba"), "lfw": Path("lfw")}
"""The folder of each data set, below the folder of all data sets."""

_NOTES: dict[str, str] = {}
"""What was read since `begin_notes`, by name."""


def find_folder(name: str) -> Path | None:
    """Return the folder of a data set, or None if it is not on this machine.

    Parameters
    ----------
    name : "mnist", "celeba" or "lfw"
        The data set.

    Raises
    ------
    ParameterError
        There is no such data set.
    DataError
        `FORGETTING_DATA` is set, and names no folder or one that holds no data set at all.
    """
    part = FOLDERS[check_option("name", name, list(FOLDERS))]
    given = os.environ.get(VARIABLE)
    top = Path(os.path.expanduser(given)) if given else CACHE / "data"
    fault = ""
    if not os.path.isdir(top):
        fault = "which is not a folder"
    elif not any(os.path.isdir(top / folder) for folder in FOLDERS.values()):
        fault = "which holds none of them"
    if given and fault:
        raise DataError(
            f"{VARIABLE} names {given}, {fault}. Set it to a folder that holds "
            f"{', '.join(map(str, FOLDERS.values()))} or one of them, or unset it."
        )
    return top / part if os.path.isdir(top / part) else None


def get_folder(name: str) -> Path:
    """Return the folder of a data set that is needed, as `find_folder` does.

    Raises
    ------
    DataError
        The data set is not on this machine, or not where `FORGETTING_DATA` says.
    """
    folder = find_folder(name)
    if folder is not None:
        return folder
    if given := os.environ.get(VARIABLE):
        raise DataError(
            f"{VARIABLE} names {given}, which holds no {FOLDERS[name]}. Put it there (`forgetting "
            f"data {name} --to {given}`), name another source, or unset {VARIABLE}."
        )
    raise DataError(
        f"{name} is not on this machine. Run `forgetting data {name}`, or point {VARIABLE} at a "
        f"folder that holds {FOLDERS[name]}, or name another source."
    )


def has_data(*names: str) -> bool:
    """Return whether `find_folder` finds all of these data sets, and note those it does not."""
    missing = [name for name in names if find_folder(name) is None]
    for name in missing:
        note(name, "not at hand")
    return not missing


def choose_source(source: str, real: str, names: Sequence[str], otherwise: str) -> str:
    """Return the source that `auto` stands for, print it, and note it for the run.

    Parameters
    ----------
    source : str
        "auto", or a source that is returned as it is.
    real : str
        What "auto" stands for where all the data sets `names` are on this machine.
    otherwise : str
        What it stands for where one of them is not and `FORGETTING_DATA` is not set.

    Raises
    ------
    DataError
        `FORGETTING_DATA` is set, and names no folder or one that lacks one of the data sets.
    """
    if source == "auto":
        if os.environ.get(VARIABLE):
            for name in names:
                get_folder(name)
        source = real if has_data(*names) else otherwise
        if _NOTES.get("source") != source:
            without = "" if source == real else "not "
            reason = f"{' and '.join(names)} {'are' if len(names) > 1 else 'is'} {without}at hand"
            print(f"source = auto: {source}, because {reason}", file=sys.stderr)
    note("source", source)
    return source


def note(name: str, text: str) -> None:
    """Note a data set that was read, or the source that was chosen, for the run's record."""
    _NOTES[name] = text


def noted() -> dict[str, str]:
    """Return what was noted since `begin_notes`: texts by the names of data sets."""
    return dict(sorted(_NOTES.items()))


def begin_notes() -> None:
    """Forget what was noted: a new run begins."""
    _NOTES.clear()
