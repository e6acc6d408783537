"""Means over people and seeds, with intervals: what tables of many runs are made of."""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd
from scipy.stats import t

Summary = tuple[float, float, float]
"""A mean, and the low and the high end of what is told beside it."""


def over_people(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high over people, each averaged over its seeds first.

    Seeds of one person are no independent draws of people: the 95 % t-interval is over people.

    Parameters
    ----------
    runs : one row a run, with a column `person`
    """
    return _interval(runs.groupby("person")[column].mean())


def over_seeds(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high of a column, each run an independent draw: a 95 % t-interval."""
    return _interval(runs[column])


def over_runs(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high of a share that each run counted with an interval of its own.

    The interval is the wider of two: the t-interval over runs (`over_seeds`), which knows nothing
    of how few images each counted, and the mean of the runs' own, which know nothing of the seed;
    it ends at 0 and 1.

    Parameters
    ----------
    runs : with the columns COLUMN_low and COLUMN_high
    """
    mean, low, high = over_seeds(runs, column)
    own = [float(runs[f"{column}{end}"].mean()) for end in ("_low", "_high")]
    low, high = np.nanmin([low, own[0]]), np.nanmax([high, own[1]])
    return mean, float(np.clip(low, 0, 1)), float(np.clip(high, 0, 1))


def extremes(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, least and greatest value of a column."""
    return tuple(float(f(runs[column])) for f in (pd.Series.mean, min, max))


def _interval(values: pd.Series) -> Summary:
    """Return mean, low and high; of one value there is no interval: the ends are no numbers."""
    mean, half = float(values.mean()), math.nan
    if len(values) > 1:
        half = t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
    return mean, float(mean - half), float(mean + half)


def standard_deviations(runs: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the standard deviation between people's means and, pooled, between their seeds.

    With one seed a person the second is not a number.
    """
    groups = runs.groupby("person")[column]
    return float(groups.mean().std()), float(math.sqrt(groups.var().mean()))


def summarise(
    parts: dict[str, pd.DataFrame],
    columns: dict[str, tuple[str, str]],
    of: Callable[[pd.DataFrame, str], Summary],
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return a table with a row for each part, and the figures in it for the record.

    A cell says "mean (low to high)", or the mean alone where there is nothing beside it, or "–"
    where a run of that part lacks the column.

    Parameters
    ----------
    parts : runs by the name of their row
    columns : by column of the runs, its heading and the format of its values
    of : what is told of a part's column: `over_people`, `over_seeds`, `over_runs` or `extremes`

    Returns
    -------
    The table, and `COLUMN_PART`, `COLUMN_PART_low`, `COLUMN_PART_high` by name.
    """
    rows: dict[str, dict[str, str]] = {}
    figures: dict[str, float] = {}
    for name, part in parts.items():
        cells = {heading: "–" for heading, _ in columns.values()}
        for column, (heading, form) in columns.items():
            if column not in part or part[column].isna().any():
                continue
            found = of(part, column)
            mean, low, high = (form.format(value) for value in found)
            known = not math.isnan(found[1])
            cells[heading] = f"{mean} ({low} to {high})" if known and low != high else mean
            for end, value in zip(("", "_low", "_high"), found, strict=True):
                if not math.isnan(value):
                    figures[f"{column}_{key(name)}{end}"] = value
        rows[name] = cells
    return pd.DataFrame(rows).T, figures


def key(name: str) -> str:
    """Return a row's name as it stands in names of figures."""
    return name.lower().replace(", ", "_").replace("-", "_").replace(" ", "_")
