"""Whether published pages and runs agree with the present templates, parameters and weights."""

from pathlib import Path

import nbformat

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry
from forgetting.book.execution import reworded
from forgetting.book.fingerprint import outputs_digest
from forgetting.book.records import digest, read_record
from forgetting.zoo import store as zoo


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
        are of two executions, and where outputs of the page were changed after its execution.
    """
    page, path = folder / f"{entry.name}.ipynb", results / f"{entry.name}.json"
    circumstances = path.with_name(f"{path.stem}.run.json")
    if not path.is_file() or not circumstances.is_file():
        return False
    record, noted = read_record(path), read_record(circumstances)
    if entry.is_run_of_a_sweep:
        stored = {**noted, "weights": record["weights"]}
    elif page.is_file() and noted.get("record") in (None, digest(record)):
        notebook = nbformat.read(page, as_version=4)
        stored = notebook.metadata.get("forgetting", {})
        if stored.get("outputs") not in (None, outputs_digest(notebook)):
            return False
    else:
        return False
    used = stored.get("weights", {})
    present = {name: zoo.record(name)["sha256"] for name in used if name in zoo.names()}
    is_same = bool(stored.get("fingerprint") == entry.fingerprint(checkout))
    return is_same and used == present and stored.get("record") == digest(record)


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
