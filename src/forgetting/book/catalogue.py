"""The book as runs.yaml lists it: pages and sweeps, and what was published of each."""

import itertools
import json
from pathlib import Path
from typing import Any, Literal

import nbformat
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from forgetting.book import templates
from forgetting.book.fingerprint import computing_tree, fingerprint
from forgetting.book.run import Run, records
from forgetting.errors import ForgettingError, did_you_mean, validated
from forgetting.files import ROOT
from forgetting.zoo import store as zoo

PUBLISHED = ROOT / "book" / "runs"
RESULTS = ROOT / "results"


class Entry(BaseModel):
    """One entry of runs.yaml: a page that a template makes, or a sweep of runs without pages."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z0-9_]+$")
    title: str = Field(min_length=1)
    template: str
    role: Literal["headline", "ablation", "baseline"] = "headline"
    needs: Literal["none", "mnist", "faces"] = "none"
    slow: bool = Field(False, description="takes long: `make book` shows its published page")
    last: bool = Field(False, description="is executed after all others: it reads their records")
    reads: str = Field("", description="a sweep: the page is made of its published records")
    outdated: str = Field(
        "",
        description="why the published page or runs are of an earlier form of the template; the "
        "page says it until it is executed anew",
    )
    parameters: dict[str, Any] = {}
    cases: dict[str, dict[str, Any]] = Field(
        {}, description="of a sweep: parameters by name; a list is all values of one"
    )
    grid: dict[str, list[Any]] = Field({}, description="of a sweep: all values of a parameter")

    @property
    def is_sweep(self) -> bool:
        """Whether this entry is a sweep."""
        return bool(self.cases or self.grid)

    def runs(self) -> list["Entry"]:
        """Return the runs of a sweep: every case with every combination of the grid's values."""
        found = []
        for case, given in (self.cases or {"": {}}).items():
            lists = {name: value for name, value in given.items() if isinstance(value, list)}
            every = {**self.grid, **lists}
            for values in itertools.product(*every.values()):
                label = "-".join(map(str, (case, *values) if case else values))
                parameters = {
                    **self.parameters,
                    **given,
                    **dict(zip(every, values, strict=True)),
                }
                update = {"name": f"{self.name}/{label}", "parameters": parameters}
                found.append(self.model_copy(update=update | {"cases": {}, "grid": {}}))
        return found

    def fingerprint(self, results: Path) -> str:
        """Return a hash of what the page's or run's figures are made from, but for the weights.

        Its template's computing tree, its role and parameters; for a page that reads others'
        records, those too. Prose and figure cells are no part of it: other words need no other
        run.

        Parameters
        ----------
        results : folder of the records of pages
        """
        cells = templates.read(self.template).cells
        names = [entry.name for entry in pages() if not entry.last] if self.last else []
        runs = [run.name for run in sweep(self.reads).runs()] if self.reads else []
        return self.fingerprint_of(cells, records(results, names), records(RESULTS, runs))

    def fingerprint_of(
        self, cells: list[nbformat.NotebookNode], pages: dict[str, dict], runs: dict[str, dict]
    ) -> str:
        """Return the fingerprint that the entry has with a template's cells and with records.

        Parameters
        ----------
        cells : of the template
        pages, runs : records by name, where the page reads those of all pages or of a sweep
        """
        circumstances = {"role": self.role, "parameters": self.parameters}
        return fingerprint(computing_tree(cells), {**circumstances, "pages": pages, "runs": runs})


def entries() -> list[Entry]:
    """Return the entries of runs.yaml, in order.

    Raises
    ------
    ForgettingError
        An entry is malformed, or names a parameter that its template lacks.
    """
    listed = yaml.safe_load((ROOT / "runs.yaml").read_text(encoding="utf-8"))
    found = [validated(Entry, values) for values in listed]
    for entry in found:
        known = templates.parameters(entry.template)
        given = {*entry.parameters, *entry.grid}.union(*entry.cases.values())
        for name in sorted(given):
            if name not in known:
                raise ForgettingError(
                    f"runs.yaml, {entry.name}: {entry.template} has no parameter {name!r}."
                )
    return found


def pages() -> list[Entry]:
    """Return the entries that are pages, in order."""
    return [entry for entry in entries() if not entry.is_sweep]


def sweep(name: str) -> Entry:
    """Return the sweep of that name.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep.
    """
    known = {entry.name: entry for entry in entries() if entry.is_sweep}
    if name not in known:
        raise ForgettingError(
            f"runs.yaml has no sweep {name!r}. {did_you_mean(name, list(known))}"
        )
    return known[name]


def table(name: str, run: Run) -> pd.DataFrame:
    """Return a sweep's published runs as a table, a row each.

    The columns: `case` (of a sweep of cases), the run's parameters, its metrics, `seconds`,
    `seconds_forgetting`, and `bfloat16` where it was noted. The weights that those runs stand on
    are noted in `run`.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep, or none of its runs is there.
    """
    entry = sweep(name)
    listed = entry.runs()
    found = records(RESULTS, [one.name for one in listed])
    beside = records(RESULTS, [f"{one}.run" for one in found])
    if not found:
        raise ForgettingError(f"No run of {name} is there: `forgetting sweep {name}` makes them.")
    rows = []
    for label, record in found.items():
        run.weights |= record["weights"]
        case = {"case": label.split("/")[1].split("-")[0]} if entry.cases else {}
        made = beside[f"{label}.run"]
        made = {key: made.get(key) for key in ("seconds", "seconds_forgetting", "bfloat16")}
        rows.append({**case, **record["parameters"], **record["metrics"], **made})
    print(f"{len(rows)} of {len(listed)} runs")
    old = sum(one.name in found and not is_current(one, PUBLISHED, RESULTS) for one in listed)
    if old:
        print(f"{old} of them by an earlier form of {entry.template}, or of other weights")
    return pd.DataFrame(rows)


def is_current(entry: Entry, folder: Path, results: Path) -> bool:
    """Return whether a page, or a run of a sweep, stands on today's code and weights."""
    page, record = folder / f"{entry.name}.ipynb", results / f"{entry.name}.json"
    if not record.is_file():
        return False
    if "/" in entry.name:
        beside = record.with_name(f"{record.stem}.run.json")
        if not beside.is_file():
            return False
        made = json.loads(beside.read_text(encoding="utf-8"))
        made["weights"] = json.loads(record.read_text(encoding="utf-8"))["weights"]
    elif page.is_file():
        made = nbformat.read(page, as_version=4).metadata.get("forgetting", {})
    else:
        return False
    used = made.get("weights", {})
    known = {name: zoo.record(name)["sha256"] for name in used if name in zoo.names()}
    return made.get("fingerprint") == entry.fingerprint(results) and used == known


def is_worded(entry: Entry, folder: Path) -> bool:
    """Return whether a page says what its template says today."""
    page = nbformat.read(folder / f"{entry.name}.ipynb", as_version=4)
    return page == templates.reworded(page, entry.template, entry.title)
