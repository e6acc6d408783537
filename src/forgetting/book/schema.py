"""The form of run records, how older records reach it, and how records are read.

A record of an older schema holds the same values under earlier names. `upgrade` renames them;
`upgrade_folder` does so for all records of a folder.
"""

import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from typing import Any

from forgetting.errors import DataError
from forgetting.foundation.files import write_text

Record = dict[str, Any]

SCHEMA = 2
"""Number of the present schema."""

ROUNDED = 1e-6
"""By how much the end of an interval may miss its metric, as a part of it."""

PARAMETERS = {
    "by_hand": "manual_labels",
    "threshold": "projection_threshold",
    "judge_lr": "classifier_lr",
    "remember_batch_size": "retain_batch_size",
    "n_remember": "n_retain",
    "n_yardstick": "n_likelihood_reference",
}
"""Parameters of templates: names in schema 1, and the present ones."""

METRICS = (
    (r"^threshold$", "projection_threshold"),
    (r"^measured_threshold$", "threshold"),
    (r"^shift_remembered_", "shift_retained_"),
    (r"tried_judge_a_", "tried_classifier_a_"),
    (r"^presence_b_", "prevalence_strict_"),
    (r"_twice_to_remember", "_twice_to_retain"),
    (r"_and_remembering", "_and_retaining"),
    (r"_no_remembering", "_no_retaining"),
)
HISTORY = {"remember_bpd": "retain_bpd", "loss_judge": "loss_classifier"}
STRICT = ("flow_two_ways", "taming_attribute")
"""Templates that counted all faces at the strict threshold of classifier B in schema 1."""


def upgrade(record: Record) -> Record:
    """Return a record in the present schema: the same values under the present names.

    A prevalence among faces that classifier B graded at its strict threshold becomes
    `prevalence_strict_*`. Every other prevalence becomes `prevalence_*`, and that of classifier A
    `prevalence_a_*`.

    Parameters
    ----------
    record : dict
        Of schema 1 or 2.

    Returns
    -------
    dict
        The record itself where it has the present schema.

    Raises
    ------
    DataError
        Two of its parameters or metrics have the same present name.
    """
    if record.get("schema") == SCHEMA:
        return record
    return {
        "schema": SCHEMA,
        **{key: value for key, value in record.items() if key != "schema"},
        "name": _case(record["name"]),
        "parameters": _renamed(record, "parameters", lambda name: PARAMETERS.get(name, name)),
        "metrics": _renamed(record, "metrics", lambda name: _metric(name, record)),
        "weights": {weights_name(k): v for k, v in record["weights"].items()},
        "history": [{HISTORY.get(k, k): v for k, v in row.items()} for row in record["history"]],
    }


def _renamed(record: Record, part: str, present: Callable[[str], str]) -> dict[str, Any]:
    """Return a part of a record under present names."""
    pairs = [(present(name), value) for name, value in record[part].items()]
    return _each_once(pairs, f"{record['name']}, in the present schema, {part}")


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


def upgrade_folder(folder: Path) -> list[Path]:
    """Rewrite the records of an older schema in a folder and its subfolders, each atomically.

    A record whose own name changes moves to a file of that name, with its circumstances.

    Parameters
    ----------
    folder : Path
        Folder of records; other JSON files in it are left alone.

    Returns
    -------
    list of Path
        The files of the upgraded records.

    Raises
    ------
    DataError
        The folder does not exist, a record is of a newer schema, or there is a file of the name
        that a record would have.
    ForgettingError
        A file cannot be written.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder. Name the folder that holds your records.")
    upgraded = []
    for path in sorted(folder.rglob("*.json")):
        if path.name.endswith(".run.json"):
            continue
        record = _json(path)
        if not _is_record(record) or record.get("schema", 1) == SCHEMA:
            continue
        _refuse_newer(path, record)
        renamed = upgrade(record)
        new = path.with_name(path.name.replace(_leaf(record), _leaf(renamed)))
        if new != path and new.exists():
            raise DataError(
                f"{path} would be called {new.name} in the present schema, and there is a file of "
                "that name: move one of them to another folder."
            )
        write_text(new, json.dumps(renamed, indent=1) + "\n")
        if new != path:
            beside = path.with_suffix(".run.json")
            if beside.is_file():
                beside.replace(new.with_suffix(".run.json"))
            path.unlink()
        upgraded.append(new)
    return upgraded


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
        lie in its whole interval, or the record is of another schema.
    """
    record: Record | None = _json(path)
    if record is None:
        raise DataError(f"{path} is not a record: it is not valid JSON. Make the run again.")
    if not isinstance(record, dict) or not isinstance(record.get("metrics", {}), dict):
        raise DataError(f"{path} is not a record: its metrics have no names. Make the run again.")
    if _is_record(record) and record.get("schema", 1) != SCHEMA:
        _refuse_newer(path, record)
        raise DataError(
            f"{path} is a record of schema {record.get('schema', 1)}, and this version reads "
            f"schema {SCHEMA}: run `forgetting upgrade {path.parent}` first."
        )
    for name, value in record.get("metrics", {}).items():
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise DataError(
                f"{path}: the metric {name} is {value!r}, not a finite number. Make the run again."
            )
    _check_intervals(record.get("metrics", {}), path)
    return record


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


def weights_name(name: str) -> str:
    """Return the present name of an entry of the zoo, given its name in schema 1.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return name.replace("-judge-", "-classifier-")


def _json(path: Path) -> Any:
    """Return what a JSON file holds, or None where it is not valid JSON."""
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=lambda pairs: _each_once(pairs, str(path)))
    except ValueError:
        return None


def _each_once(pairs: list[tuple[str, Any]], place: str) -> dict[str, Any]:
    """Return a dict of pairs, of which no two have the same name."""
    values = dict(pairs)
    if len(values) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{place}: {twice!r} is there twice. Keep the right one.")
    return values


def _is_record(content: Any) -> bool:
    return isinstance(content, dict) and {"template", "parameters", "metrics"} <= set(content)


def _refuse_newer(path: Path, record: Record) -> None:
    """Raise an error if a record's schema is none that this version knows."""
    schema = record.get("schema", 1)
    if isinstance(schema, bool) or schema not in range(1, SCHEMA + 1):
        remedy = "install a newer version of forgetting"
        raise DataError(
            f"{path} is a record of schema {schema!r}, and this version reads schema {SCHEMA}: "
            f"{remedy if isinstance(schema, int) and schema > SCHEMA else 'make the run again'}."
        )


def _leaf(record: Record) -> str:
    """Return a record's name without the sweep that it belongs to."""
    return str(record["name"]).rpartition("/")[2]


def _case(name: str) -> str:
    return name.replace("_to_remember", "_to_retain").replace("remembering", "retaining")


def _metric(name: str, record: Record) -> str:
    for pattern, new in METRICS:
        if re.search(pattern, name):
            return re.sub(pattern, new, name)
    faces = str(record["parameters"].get("model", "")).startswith("faces") or "_faces_" in name
    is_strict = record["template"] in STRICT or faces
    if record["template"] == "base_faces" or name.startswith("presence_a_"):
        is_strict = False
    return name.replace("presence_", "prevalence_strict_" if is_strict else "prevalence_")
