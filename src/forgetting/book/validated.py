"""What validations found, in `results/validation.json`.

`forgetting validate --note` writes an entry for each page that it executes; the next validation of
a page replaces it. An entry holds what the page was when it was executed again, so that the book
can say which pages have been published anew since.
"""

import hashlib
import json
from pathlib import Path
from typing import Any

import nbformat
from nbformat.reader import NotJSONError

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry
from forgetting.book.records import json_of, read_record
from forgetting.errors import DataError
from forgetting.foundation.files import write_text

FILE = "validation.json"
"""Name of the file below `results/`."""

CHECKED = "nbval-check-output"
"""Tag of cells whose output nbval and validations compare."""


def digest_of(page: Entry, checkout: Checkout = HERE) -> str:
    """Return a hash of what a page reports and of its record; of a missing file there is none.

    The text and the comments of a page may change without another execution, and do not count.
    """
    digest = hashlib.sha256()
    path = checkout.published / f"{page.name}.ipynb"
    if path.is_file():
        digest.update(_reported(path))
    record = checkout.results / f"{page.name}.json"
    digest.update(record.read_bytes() if record.is_file() else b"")
    return digest.hexdigest()


def _reported(path: Path) -> bytes:
    """Return the outputs of a notebook that are compared; of a damaged file all of it."""
    try:
        cells = nbformat.read(path, as_version=4).cells
    except NotJSONError:
        return path.read_bytes()
    outputs = [cell.outputs for cell in cells if CHECKED in cell.metadata.get("tags", [])]
    return "".join(json.dumps(each, sort_keys=True) for each in outputs).encode()


def read_validations(checkout: Checkout = HERE) -> dict[str, dict[str, Any]]:
    """Return the entries of `results/validation.json` by page; none where there is no file.

    Raises
    ------
    DataError
        The file is damaged.
    """
    path = checkout.results / FILE
    if not path.is_file():
        return {}
    entries = json_of(path)
    if not isinstance(entries, dict) or not all(isinstance(e, dict) for e in entries.values()):
        raise DataError(f"{path} is damaged: restore it from git, or delete it.")
    return entries


def has_note(page: Entry, checkout: Checkout = HERE) -> bool:
    """Return whether there is an entry of a page as it is published now."""
    return read_validations(checkout).get(page.name, {}).get("page") == digest_of(page, checkout)


def note(page: Entry, folder: Path, lines: list[str], checkout: Checkout = HERE) -> None:
    """Note that a page was executed again, and what was found.

    Parameters
    ----------
    page : Entry
        A page.
    folder : Path
        Where the execution left its record.
    lines : list[str]
        How the page differs from the published one; none where it agrees.
    """
    entry: dict[str, Any] = {"agrees": not lines, "differences": lines, "page": ""}
    entry["page"] = digest_of(page, checkout)
    published = read_record(checkout.results / f"{page.name}.run.json")
    entry["published"] = _machine(published)
    record, circumstances = folder / f"{page.name}.json", folder / f"{page.name}.run.json"
    if record.is_file() and circumstances.is_file():
        again = read_record(circumstances)
        metrics = read_record(checkout.results / f"{page.name}.json")["metrics"]
        entry |= {"executed": _machine(again), "seconds": again["seconds"]}
        entry |= _compared(metrics, read_record(record)["metrics"])
    entries = read_validations(checkout) | {page.name: entry}
    write_text(checkout.results / FILE, json.dumps(dict(sorted(entries.items())), indent=1) + "\n")


def _machine(circumstances: dict[str, Any]) -> dict[str, str]:
    versions = circumstances["versions"]
    return {
        "cpu": str(circumstances["cpu"]),
        "device": str(circumstances["device"]),
        "python": str(circumstances["python"]),
        "torch": str(versions["torch"]),
        "revision": str(circumstances["revision"]),
    }


def _compared(published: dict[str, float], again: dict[str, float]) -> dict[str, Any]:
    """Return how many metrics are equal, and the one that differs most, relatively."""
    shared = {name: (value, again[name]) for name, value in published.items() if name in again}
    apart = {
        name: abs(new - old) / max(abs(old), abs(new))
        for name, (old, new) in shared.items()
        if old != new
    }
    compared: dict[str, Any] = {"metrics": len(shared), "equal": len(shared) - len(apart)}
    if apart:
        name = max(apart, key=lambda name: apart[name])
        compared["farthest"] = [name, *shared[name]]
    return compared
