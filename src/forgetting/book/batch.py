"""Many pages and runs: those that are not current are executed, several at once."""

from pathlib import Path
from typing import Any

import nbformat

from forgetting.book import execution, jobs, templates
from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweeps
from forgetting.book.jobs import Log
from forgetting.book.published import is_current, is_worded
from forgetting.book.records import digest, read_records
from forgetting.book.run import files
from forgetting.foundation.files import write_text, write_texts


def execute(
    wanted: list[Entry],
    folder: Path,
    results: Path,
    log: Log,
    jobs_at_once: int | None = None,
    checkout: Checkout = HERE,
    again: bool = False,
    profile: str | None = None,
) -> None:
    """Execute every page and run that is not current, several at once.

    Current pages stay; a page whose template changed only in its text receives the new text and
    keeps its outputs. A run of a sweep is copied where a current page or run has the same
    parameters. What was executed before an interruption stays as well.

    Each has one thread, or OMP_NUM_THREADS. Two pages with one thread each take less time than one
    after the other with two threads.

    Parameters
    ----------
    wanted : list of Entry
        Pages and runs of sweeps.
    folder, results : Path
        Folders of executed pages and of records.
    log : callable
        Receives a sentence for each page.
    jobs_at_once : int, optional
        Pages at once; by default as many as cores and memory allow.
    again : bool
        Execute current pages as well.
    profile : str, optional
        Of a cluster, as `forgetting.book.profiles.find_profile` takes it.

    Raises
    ------
    ForgettingError
        Some pages failed; all others that do not read their records are executed first.
    """
    stale = []
    for entry in wanted:
        if again:
            stale.append(entry)
        elif is_current(entry, folder, results, checkout):
            if entry.is_run_of_a_sweep or is_worded(entry, folder, checkout):
                log(f"{entry.name}: current")
            else:
                _reword(entry, folder, checkout)
                log(f"{entry.name}: current, with the new text of its template")
        elif source := _take(entry, folder, results, checkout):
            log(f"{entry.name}: copied from {source}")
        else:
            stale.append(entry)
    jobs.run(stale, folder, results, log, jobs_at_once, profile, checkout)


def _take(run: Entry, folder: Path, results: Path, checkout: Checkout) -> str:
    """Copy the record of a run from a current page or run with the same parameters.

    Returns the name of that page or run, or an empty text where there is none.
    """
    if not run.is_run_of_a_sweep:
        return ""
    runs = [single for entry in sweeps(checkout) for single in entry.runs()]
    for other in (*pages(checkout), *runs):
        same = _setting(other, checkout) == _setting(run, checkout)
        if same and is_current(other, folder, results, checkout):
            stored = read_records(results, [other.name, f"{other.name}.run"])
            fingerprint = run.fingerprint(checkout)
            record = {**stored[other.name], "name": run.name}
            circumstances = {
                **stored[f"{other.name}.run"],
                "fingerprint": fingerprint,
                "record": digest(record),
            }
            write_texts(files(results, run.name, record, circumstances))
            return other.name
    return ""


def _setting(entry: Entry, checkout: Checkout) -> tuple[str, str, dict[str, Any]]:
    """Return what an entry executes: template, role, and the values of all parameters."""
    declared = templates.parameters(entry.template, checkout)
    defaults = {name: parameter.default for name, parameter in declared.items()}
    return entry.template, entry.role, defaults | entry.parameters


def _reword(entry: Entry, folder: Path, checkout: Checkout) -> None:
    """Give a page the present text of its template."""
    path = folder / f"{entry.name}.ipynb"
    page = nbformat.read(path, as_version=4)
    page = execution.reworded(page, entry.template, entry.title, checkout)
    write_text(path, nbformat.writes(page) + "\n")
