"""What templates read of the book: its pages and the published runs of its sweeps."""

import pandas as pd

from forgetting.book.checkout import HERE, Checkout
from forgetting.book.entries import Entry, pages, sweep
from forgetting.book.published import case_of, differing, is_current
from forgetting.book.records import read_records
from forgetting.book.run import Run
from forgetting.errors import ForgettingError

__all__ = ["RESULTS", "Entry", "pages", "sweep", "table"]

RESULTS = HERE.results
"""Folder of the published records."""

NOTED = ("seconds", "seconds_forgetting", "bfloat16")
"""Circumstances of a run that `table` shows."""


def table(name: str, run: Run, checkout: Checkout = HERE) -> pd.DataFrame:
    """Return the published runs of a sweep as a table, and note their weights in a run.

    Parameters
    ----------
    name : str
        Name of the sweep.
    run : Run
        The run that reads the table; its record will list the weights of all rows.

    Returns
    -------
    pandas.DataFrame
        A row for each run. The columns are `case` (of a sweep with cases), parameters, metrics,
        `seconds`, `seconds_forgetting`, and `bfloat16` where it was recorded.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep, none of its runs has a record, or a record is damaged
        or has no circumstances beside it.
    """
    entry = sweep(name, checkout)
    listed = entry.runs()
    published = read_records(checkout.results, [single.name for single in listed])
    beside = read_records(checkout.results, [f"{label}.run" for label in published])
    if not published:
        raise ForgettingError(f"{name} has no records yet: `forgetting sweep {name}` makes them.")
    if lost := [label for label in published if f"{label}.run" not in beside]:
        raise ForgettingError(
            f"{len(lost)} records of {name} have no circumstances beside them, such as {lost[0]}: "
            f"`forgetting sweep {name}` executes these runs again."
        )
    whole = {"parameters", "metrics", "weights"}
    if damaged := [label for label, record in published.items() if not whole <= record.keys()]:
        raise ForgettingError(
            f"The record of {damaged[0]} is damaged: restore it from git, or make the run again."
        )
    rows = []
    for label, record in published.items():
        run.weights |= record["weights"]
        case = {"case": case_of(label)} if entry.cases else {}
        circumstances = beside[f"{label}.run"]
        noted = {key: circumstances.get(key) for key in NOTED}
        rows.append({**case, **record["parameters"], **record["metrics"], **noted})
    print(f"{len(rows)} of {len(listed)} runs")
    old = sum(
        single.name in published
        and not is_current(single, checkout.published, checkout.results, checkout)
        for single in listed
    )
    if old:
        print(f"{old} of them by an earlier form of {entry.template}, or of other weights")
    if differences := differing(entry, beside):
        print(f"They differ in {'; '.join(differences)}.")
    return pd.DataFrame(rows)
