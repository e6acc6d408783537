"""Whether published pages and runs agree with the present templates, parameters and weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import nbformat

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry
from forgetting.book.execution import reworded
from forgetting.book.fingerprint import outputs_digest
from forgetting.book.records import digest, read_record
from forgetting.foundation.files import read_bytes
from forgetting.zoo import store as zoo

SAME: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "data": lambda row: row.get("data"),
    "torch": lambda row: row.get("versions", {}).get("torch"),
    "devices": lambda row: str(row["device"]).partition(":")[0] if "device" in row else None,
}
"""What the circumstances of runs must have in common, for a mean over them to be of one thing."""


def is_current(entry: Entry, folder: Path, results: Path, checkout: Checkout = HERE) -> bool:
    """Return whether a page, or a run of a sweep, comes from the present code and weights.

    Parameters
    ----------
    entry : Entry
        A page or a run of a sweep.
    folder, results : Path
        Folders of executed pages and of records.

    Returns
    -------
    bool
        False also where the page, its record or the record's circumstances are missing, where they
        are of two executions, and where the page is damaged or its outputs were changed after its
        execution. Weights of a `FILE.py:FUNCTION` are not compared: executing
        the page anew, as `forgetting validate` does, loads them.
    """
    page, path = folder / f"{entry.name}.ipynb", results / f"{entry.name}.json"
    circumstances = path.with_name(f"{path.stem}.run.json")
    if not path.is_file() or not circumstances.is_file():
        return False
    record, noted = read_record(path), read_record(circumstances)
    if entry.is_run_of_a_sweep:
        stored = {**noted, "weights": record["weights"]}
    elif page.is_file() and noted.get("record") in (None, digest(record)):
        try:
            notebook = nbformat.reads(read_bytes(page).decode("utf-8"), as_version=4)
            stored = dict(notebook.metadata.get("forgetting", {}))
            outputs = outputs_digest(notebook)
        except Exception:  # whatever nbformat raises of a damaged page
            return False
        if stored.get("outputs") not in (None, outputs):
            return False
    else:
        return False
    used = stored.get("weights", {})
    if not isinstance(used, dict):
        return False
    used = {name: sha for name, sha in used.items() if ":" not in name}  # FILE.py:FUNCTION
    present = {name: zoo.record(name)["sha256"] for name in used if name in zoo.names()}
    is_same = bool(stored.get("fingerprint") == entry.fingerprint(checkout))
    return is_same and used == present and stored.get("record") == digest(record)


def differing(entry: Entry, noted: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return in what runs of one case of a sweep differ, such as "torch 2.15.0 and 2.9.0".

    Parameters
    ----------
    entry : Entry
        A sweep; without cases it is one.
    noted : mapping of str to mapping
        Circumstances of its runs, by name. What an older run does not hold is passed over.
    """
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for name, circumstances in noted.items():
        groups.setdefault(case_of(name) if entry.cases else "", []).append(circumstances)
    found: dict[str, None] = {}  # in their order
    for rows in groups.values():
        for name, read in SAME.items():
            values = {str(value) for row in rows if (value := read(row)) is not None}
            if len(values) > 1:
                found[f"{name} {' and '.join(sorted(values))}"] = None
    return list(found)


def case_of(name: str) -> str:
    """Return the case of a run by its name, SWEEP/CASE-VALUE-VALUE."""
    return name.split("/")[1].split("-")[0]


def is_worded(entry: Entry, folder: Path, checkout: Checkout = HERE) -> bool:
    """Return whether the text of a page is the present text of its template.

    Parameters
    ----------
    entry : Entry
        A page.
    folder : Path
        Folder of executed pages.

    Returns
    -------
    bool
    """
    page = nbformat.read(folder / f"{entry.name}.ipynb", as_version=4)
    return bool(page == reworded(page, entry.template, entry.title, checkout))
