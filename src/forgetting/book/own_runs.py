"""A person's own runs: their parameters and names, of which none stands for two runs."""

import fcntl
import hashlib
import itertools
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from forgetting.book.records import Record, is_record, read_record
from forgetting.book.templates import parameters
from forgetting.errors import ForgettingError, ParameterError
from forgetting.foundation.files import check_writable

LONGEST_NAME = 150
"""Bytes of a run's name that is made from its parameters; file systems allow 255."""


HELD = b"held\n"
"""What a lock says from when its run begins. At the end of the run the file is removed."""


KILLED = ".killed"
"""The folder for what runs left that were killed, in the folder of their results."""


class NameTakenError(ForgettingError):
    """A folder has a run of that name, finished or under way."""


def name_run(template: str, given: Mapping[str, str], name: str | None = None) -> str:
    """Return the name of a run, which files can have and no other parameters lead to.

    Parameters
    ----------
    given : mapping of str to str
        Parameters as texts.
    name : str, optional
        In place of the one made from template and parameters.

    Returns
    -------
    str
        The text, where files can have it as it is. Otherwise it is without characters that file
        systems refuse, at most `LONGEST_NAME` bytes long, and ends in a hash of the whole text.
    """
    text = name or "-".join([template, *(f"{key}={value}" for key, value in given.items())])
    whole = text if name else json.dumps([template, *given.items()])
    plain = re.sub(r"[^\w=.+-]", "_", text).encode()[:LONGEST_NAME].decode(errors="ignore")
    is_ambiguous = not name and any("=" in value for value in given.values())
    is_of_another = plain.endswith((".run", ".failed"))  # as files of a run without that end
    if plain == text and not (is_ambiguous or is_of_another):
        return plain
    return f"{plain}-{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def of_record(path: Path, template: str | None = None) -> tuple[str, dict[str, str]]:
    """Return the template of a record, and its parameters as texts.

    A parameter that the record's run had and the template's first cell has not is left out.

    Parameters
    ----------
    path : Path
        The record.
    template : str, optional
        What the template should be.

    Raises
    ------
    ForgettingError
        The file is no record, or no template has its name.
    ParameterError
        The record is of another template.
    """
    record = read_record(path)
    if not is_record(record):
        raise ForgettingError(f"{path} is no record of a run: give the NAME.json that a run left.")
    found: str = record["template"]
    if template not in (None, found):
        raise ParameterError(f"{path} is a record of {found}, not of {template}.")
    declared = parameters(found)
    values = record["parameters"].items()
    return found, {name: str(value) for name, value in values if name in declared}


def with_changes(
    template: str, recorded: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, str]:
    """Return the parameters of a record with changes; another preset brings its own sizes.

    A record holds the sizes that its preset has filled in, with which another preset would have
    no effect: they are left out where the preset changes.

    Parameters
    ----------
    template : str
        Of the record.
    recorded, given : mapping of str to str
        Parameters as texts, as `of_record` returns them; those given count.

    Raises
    ------
    ForgettingError
        No template has that name.
    """
    if given.get("preset", recorded.get("preset")) == recorded.get("preset"):
        return {**recorded, **given}
    declared = parameters(template).values()
    filled = {p.name for p in declared if repr(p.default) == "0" and p.name != "seed"}
    kept = {name: value for name, value in recorded.items() if name not in filled}
    return {**kept, **given}


def not_as_recorded(path: Path, given: Mapping[str, str], done: Record) -> list[str]:
    """Return what a terminal shows of the parameters in which a run differs from a record.

    A template may have changed since: its defaults, and which parameters its first cell has.

    Parameters
    ----------
    path : Path
        The record from which the run took its parameters.
    given : mapping of str to str
        The parameters that were to be changed, which are passed over.
    done : dict
        The record of the run.
    """
    recorded, own = read_record(path)["parameters"], done["parameters"]
    lines = [
        f"  {name}: {recorded.get(name, 'none')} -> {own.get(name, 'none')}"
        for name in sorted({*recorded, *own} - {*given})
        if recorded.get(name) != own.get(name)
    ]
    return [f"Not as in {path}, though not given:", *lines] if lines else []


@contextmanager
def claimed(folder: Path, name: str) -> Iterator[None]:
    """Keep a name for the run that the block executes: no other run takes it meanwhile.

    What a run of that name left that was killed is put aside, as `clear_killed` does.

    Parameters
    ----------
    folder : Path
        Of the record and the notebook; it is made if it is missing.

    Raises
    ------
    NameTakenError
        The folder has a file of a run of that name, or such a run is under way.
    ForgettingError
        The folder cannot be made or written to.
    """
    check_writable(folder)
    lock = folder / f".{name}.lock"
    handle = _lock(lock)
    try:
        _put_aside(handle, folder, name, ())
        if there := [path for path in _files(folder, name) if path.exists()]:
            raise NameTakenError(
                f"{there[0]} is there, and no run is overwritten: give another --name or "
                "--output, or remove the files of that run."
            )
        os.write(handle, HELD)
        yield
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)  # which unlocks the file, as the end of the process would


def clear_killed(folder: Path, name: str, others: Sequence[str]) -> None:
    """Put aside what a run left that was killed before all its files were in their places.

    Such a run leaves its lock, and has not come to its circumstances, the last of its files. Its
    files go to the folder `.killed`: one of them may have been made since, by other means.

    Parameters
    ----------
    others : sequence of str
        Names of further files that the run writes, and that were not there when it began.

    Raises
    ------
    NameTakenError
        The run is under way.
    """
    lock = folder / f".{name}.lock"
    if not lock.exists():
        return
    handle = _lock(lock)
    try:
        _put_aside(handle, folder, name, others)
    finally:
        lock.unlink(missing_ok=True)
        os.close(handle)


def _files(folder: Path, name: str) -> list[Path]:
    """Return the files of a run, of which the last is written last."""
    return [folder / f"{name}.{end}" for end in ("ipynb", "json", "run.json")]


def _put_aside(handle: int, folder: Path, name: str, others: Sequence[str]) -> None:
    """Put the files of a run aside if an earlier process held its lock and was killed."""
    *files, last = _files(folder, name)
    if os.fstat(handle).st_size and not last.exists():
        for path in (*files, *(folder / other for other in others)):
            if path.exists():
                (folder / KILLED).mkdir(exist_ok=True)
                path.replace(folder / KILLED / path.name)


@contextmanager
def numbered(folder: Path, stem: str) -> Iterator[str]:
    """Yield the first free name of STEM, STEM-2, STEM-3 and so on, claimed for the block.

    Raises
    ------
    ForgettingError
        The folder cannot be made or written to.
    """
    with ExitStack() as stack:
        for number in itertools.count(1):
            name = stem if number == 1 else f"{stem}-{number}"
            with suppress(NameTakenError):
                stack.enter_context(claimed(folder, name))
                break
        yield name


def _lock(path: Path) -> int:
    """Return a handle of a file that is locked until the handle is closed.

    Raises
    ------
    NameTakenError
        Another process holds the lock.
    """
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.path.samestat(os.fstat(handle), path.stat()):
                return handle
        except FileNotFoundError:
            pass  # its last holder has removed it since it was opened
        except BlockingIOError as error:
            os.close(handle)
            name = path.stem.removeprefix(".")
            raise NameTakenError(
                f"A run called {name!r} is under way in {path.parent}: wait for its end, or give "
                "another --name."
            ) from error
        os.close(handle)
