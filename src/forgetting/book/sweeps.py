"""The runs of a sweep as tables, grouped by case: the head of every page made of many runs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from forgetting.book import catalogue, plots
from forgetting.book.run import Run, begin
from forgetting.book.tables import Summary, summarise
from forgetting.errors import ForgettingError
from forgetting.experiments.context import Parameters

DRAWN = ("seed", "person")
"""Parameters over whose values a case is averaged."""


class SweepParameters(Parameters):
    """The parameters of every page of tables: which sweep of runs.yaml it reads."""

    sweep: str


@dataclass(frozen=True)
class SweepTable:
    """The runs of a sweep, a row each, and the same rows by case.

    Attributes
    ----------
    runs : pd.DataFrame
        With the columns of `catalogue.table` and, always, `case`.
    cases : dict[str, pd.DataFrame]
        The rows of each case under its readable name, in the order of runs.yaml.
    settings : dict[str, dict[str, Any]]
        Parameters that differ from the template's defaults, of "every run" and of each case.
    grid : tuple of str
        Parameters of which every case has several values.
    """

    runs: pd.DataFrame
    cases: dict[str, pd.DataFrame]
    settings: dict[str, dict[str, Any]]
    grid: tuple[str, ...] = ()

    def summarise(
        self,
        columns: Mapping[str, tuple[str, str]],
        of: Callable[[pd.DataFrame, str], Summary],
        metrics: dict[str, float],
    ) -> pd.DataFrame:
        """Return a table with a row for each case, and add its figures to `metrics`.

        Parameters
        ----------
        columns, of : Mapping[str, tuple[str, str]]
            As `tables.summarise` takes them.

        Raises
        ------
        ForgettingError
            Runs of a case differ in a parameter of the grid that is neither seed nor person.
        """
        for name, part in self.cases.items():
            for parameter in self.grid:
                if parameter not in DRAWN and part[parameter].nunique() > 1:
                    raise ForgettingError(
                        f"{name}: its runs differ in {parameter}, so that a mean over them is of "
                        "none: give each value a case of its own in runs.yaml."
                    )
        rows, figures = summarise(self.cases, dict(columns), of)
        metrics.update(figures)
        return rows


def readable(name: str) -> str:
    """Return a case's name with spaces for underscores."""
    return name.replace("_", " ")


def load_sweep(name: str, run: Run, **derived: Callable[[pd.DataFrame], pd.Series]) -> SweepTable:
    """Load a sweep's published runs, group them by case, and print seeds and settings.

    A sweep without cases is grouped by model and feature where its runs have both, and is one
    case otherwise.

    Parameters
    ----------
    name : str
        Of the sweep.
    run : Run
        Of the page; its record will list the weights of all rows.
    **derived : callable
        Columns to add, each computed from the columns that are there.

    Raises
    ------
    ForgettingError
        runs.yaml has no such sweep, or none of its runs is there.
    """
    entry = catalogue.sweep(name)
    runs = catalogue.table(name, run).assign(**derived)
    if "case" not in runs:
        both = {"model", "feature"} <= set(runs)
        runs["case"] = runs.model + ", " + runs.feature.str.lower() if both else name
    cases = {readable(case): part for case, part in runs.groupby("case", sort=False)}
    settings = {"every run": entry.parameters} if entry.parameters else {}
    changes = {readable(case): given for case, given in entry.cases.items()}
    settings |= {case: changes[case] for case in cases if case in changes}
    seeds = [str(part.seed.nunique()) for part in cases.values()]
    print(f"seeds: {seeds[0] if len(set(seeds)) == 1 else ', '.join(seeds)}")
    for case, given in settings.items():
        pairs = ", ".join(f"{parameter} {_text(value)}" for parameter, value in given.items())
        print(f"{case:28} {pairs or 'as by default'}")
    return SweepTable(runs, cases, settings, tuple(entry.grid))


def begin_table(
    template: str, given: Mapping[str, Any], **derived: Callable[[pd.DataFrame], pd.Series]
) -> tuple[Run, SweepTable]:
    """Begin the run of a page of tables, and load the sweep that its parameters name.

    Figures take the book's style.

    Parameters
    ----------
    template : str
        Its name.
    given : Mapping[str, Any]
        Variables of the notebook, as `run.begin` takes them.
    **derived : callable
        As `load_sweep` takes them.

    Raises
    ------
    ForgettingError
        As `load_sweep` raises it.
    ParameterError
        As `run.begin` raises it.
    """
    plots.use_style()
    run = begin(template, SweepParameters, {"smoke": {}, "default": {}}, given)
    return run, load_sweep(given["sweep"], run, **derived)


def _text(value: object) -> str:
    """Return a parameter's value as it is printed; a list is all values of one."""
    if isinstance(value, list):
        return " or ".join(map(_text, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
