"""Run records: their form, what they say, and how they are read."""

import hashlib
import json
import sys
from collections.abc import Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field, FiniteFloat, StrictInt, StrictStr, ValidationError

from forgetting.errors import DataError, quoted
from forgetting.foundation.files import read_bytes

Record = dict[str, Any]

SCHEMA = 2
"""Number of the present schema."""

ROUNDED = 1e-6
"""By how much the end of an interval may miss its metric, as a part of it."""


class _Record(BaseModel):
    """The form of what a record says."""

    template: StrictStr
    parameters: dict[str, Any]
    weights: dict[str, StrictStr] = {}
    history: list[dict[str, Any]] = []


class _Circumstances(BaseModel):
    """The form of circumstances; those of older runs lack some."""

    seconds: FiniteFloat = Field(0.0, ge=0)
    peak_mib: FiniteFloat = Field(0.0, ge=0)
    threads: StrictInt = 1
    data: dict[str, StrictStr] = {}
    versions: dict[str, StrictStr] = {}
    weights: dict[str, StrictStr] = {}
    record: StrictStr = ""
    fingerprint: StrictStr = ""


def digest(record: Record) -> str:
    """Return a hash of what a record says, whatever its name.

    A notebook and circumstances carry it, so that those of another run are noticed.

    Parameters
    ----------
    record : dict

    Returns
    -------
    str
        Hexadecimal sha256.
    """
    said = {key: record.get(key) for key in ("parameters", "metrics", "weights", "history")}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_record(path: Path) -> Record:
    """Return the record that a file holds.

    Parameters
    ----------
    path : Path
        `NAME.json`, or `NAME.run.json` with the circumstances of a run, which have no schema.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        The file is no JSON or no record, a metric is no finite number, comes twice, or does not
        lie in its whole interval, another value is of the wrong type, or the record is of another
        schema.
    """
    record: Record | None = json_of(path)
    if record is None:
        raise DataError(f"{path} is not a record: it is not valid JSON. Make the run again.")
    if not isinstance(record, dict) or not isinstance(record.get("metrics", {}), dict):
        raise DataError(f"{path} is not a record: its metrics have no names. Make the run again.")
    if is_record(record) and record.get("schema", 1) != SCHEMA:
        refuse_newer(path, record)
        raise DataError(
            f"{path} is a record of schema {record.get('schema', 1)}, and this version reads "
            f"schema {SCHEMA}: run `forgetting upgrade {path.parent}` first."
        )
    for name, value in record.get("metrics", {}).items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not -sys.float_info.max <= value <= sys.float_info.max:
            raise DataError(
                f"{path}: the metric {name} is {quoted(value)}, not a finite number. Make the run "
                "again."
            )
    _check_intervals(record.get("metrics", {}), path)
    try:
        (_Record if is_record(record) else _Circumstances).model_validate(record)
    except ValidationError as error:
        place = ".".join(map(str, error.errors()[0]["loc"]))
        reason = error.errors()[0]["msg"]
        raise DataError(f"{path} is damaged ({place}: {reason}). Make the run again.") from error
    return record


def read_records(folder: Path, names: Iterable[str]) -> dict[str, Record]:
    """Return the records that exist in a folder, by name, in the order of the names.

    Parameters
    ----------
    folder : Path
    names : iterable of str
        A name may hold a subfolder, as in `SWEEP/RUN`.

    Returns
    -------
    dict of str to dict

    Raises
    ------
    DataError
        A record is unreadable or not of the present schema.
    """
    paths = {name: folder / f"{name}.json" for name in names}
    return {name: read_record(path) for name, path in paths.items() if path.is_file()}


def is_record(content: Any) -> bool:
    """Return whether the content of a JSON file is a record, whatever its schema.

    Parameters
    ----------
    content : object

    Returns
    -------
    bool
    """
    return isinstance(content, dict) and {"template", "parameters", "metrics"} <= set(content)


def refuse_newer(path: Path, record: Record) -> None:
    """Refuse a record whose schema this version does not know.

    Parameters
    ----------
    path : Path
        Of the record, for the message.
    record : dict

    Raises
    ------
    DataError
        Its schema is newer, or none.
    """
    schema = record.get("schema", 1)
    if isinstance(schema, bool) or schema not in range(1, SCHEMA + 1):
        remedy = "install a newer version of forgetting"
        raise DataError(
            f"{path} is a record of schema {quoted(schema)}, and this version reads schema "
            f"{SCHEMA}: "
            f"{remedy if isinstance(schema, int) and schema > SCHEMA else 'make the run again'}."
        )


def json_of(path: Path) -> Any:
    """Return what a JSON file holds, or None where it is not valid JSON.

    Parameters
    ----------
    path : Path

    Returns
    -------
    object

    Raises
    ------
    DataError
        The file cannot be read, or a name comes twice in it.
    """
    try:
        text = read_bytes(path).decode("utf-8")
        return json.loads(text, object_pairs_hook=lambda pairs: each_once(pairs, str(path)))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}).") from error
    except (ValueError, RecursionError):
        return None


def each_once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    """Return a dict of pairs, of which no two have the same name.

    Parameters
    ----------
    pairs : list of pairs
    place : str
        Where they stand, for the message.

    Returns
    -------
    dict

    Raises
    ------
    DataError
        Two pairs have the same name.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: {twice!r} is there twice. Keep the right one.")
    return values


def _check_intervals(metrics: dict[str, float], path: Path) -> None:
    """Raise an error if a metric lies outside its interval, or has half of one."""
    for name, value in metrics.items():
        ends = [f"{name}_{end}" for end in ("low", "high")]
        if len(metrics.keys() & {*ends}) == 1:
            raise DataError(f"{path}: {name} has half an interval. Make the run again.")
        low, high = (metrics.get(end, value) for end in ends)
        rounded = ROUNDED * max(1.0, abs(value))
        if not low - rounded <= value <= high + rounded:
            raise DataError(
                f"{path}: the metric {name} is {value:g}, outside its interval from {low:g} to "
                f"{high:g}. Make the run again."
            )
