"""How records of an older schema become present ones.

They hold the same values under earlier names. `upgrade` renames them; `upgrade_folder` does so for
all records of a folder.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from forgetting.book.records import SCHEMA, Record, each_once, is_record, json_of, refuse_newer
from forgetting.errors import DataError
from forgetting.foundation.files import write_text

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
        "weights": {k.replace("-judge-", "-classifier-"): v for k, v in record["weights"].items()},
        "history": [{HISTORY.get(k, k): v for k, v in row.items()} for row in record["history"]],
    }


def _renamed(record: Record, part: str, present: Callable[[str], str]) -> dict[str, Any]:
    """Return a part of a record under present names."""
    pairs = [(present(name), value) for name, value in record[part].items()]
    return each_once(pairs, f"{record['name']}, in the present schema, {part}")


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
        record = json_of(path)
        if not is_record(record) or record.get("schema", 1) == SCHEMA:
            continue
        refuse_newer(path, record)
        try:
            renamed = upgrade(record)
        except (AttributeError, LookupError, TypeError) as error:
            raise DataError(
                f"{path} is a damaged record ({type(error).__name__}: {error}). Make the run "
                "again."
            ) from error
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
