"""Means over people and seeds, with intervals: what tables of many runs are made of."""

import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from scipy.stats import t

from forgetting.errors import ForgettingError
from forgetting.methods.target_distribution import Target

Parts = dict[str, pd.DataFrame]
"""Runs by the name of their row in a table."""

Table = tuple[pd.DataFrame, dict[str, float]]
"""A table, and its figures for the record by name."""

Summary = tuple[float, float, float]
"""A mean, and the low and the high end of its interval or range."""


def percent(part: str, whole: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return a function from runs to one of their columns, in percent of another."""
    return lambda runs: 100 * runs[part] / runs[whole]


def percent_above(column: str, other: str) -> Callable[[pd.DataFrame], pd.Series]:
    """Return a function from runs to how far a column lies above another, in percent of that."""
    return lambda runs: 100 * (runs[column] / runs[other] - 1)


FID_CHANGES = {
    "fid_percent": percent("fid_change", "fid_before"),
    "fid_t9_percent": percent("fid_change_t9", "fid_before_t9"),
}
"""The change of FID at both temperatures in percent of the base's, as columns of a sweep."""


def over_people(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high over people, each averaged over its seeds first.

    Seeds of one person are no independent draws of people. The 95 % t-interval is therefore over
    people.

    Parameters
    ----------
    runs : pd.DataFrame
        One row a run, with a column `person`.
    """
    return _interval(runs.groupby("person")[column].mean())


def over_seeds(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high of a column, each run an independent draw: a 95 % t-interval."""
    return _interval(runs[column])


def over_runs(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, low and high of a share that each run counted with an interval of its own.

    The interval is the wider of two, within 0 and 1. The t-interval over runs (`over_seeds`)
    leaves out how few images each run counted. The mean of the runs' own intervals leaves out
    what the seed changes.

    Parameters
    ----------
    runs : pd.DataFrame
        With the columns COLUMN_low and COLUMN_high.
    """
    return _counted(runs, column, 0.0)


def over_differences(runs: pd.DataFrame, column: str) -> Summary:
    """Return what `over_runs` returns, of a difference of shares, which lies within -1 and 1."""
    return _counted(runs, column, -1.0)


def _counted(runs: pd.DataFrame, column: str, least: float) -> Summary:
    """Return mean, low and high within `least` and 1, of the wider of two intervals."""
    mean, low, high = over_seeds(runs, column)
    own = [float(runs[f"{column}{end}"].mean()) for end in ("_low", "_high")]
    low, high = np.nanmin([low, own[0]]), np.nanmax([high, own[1]])
    return mean, float(np.clip(low, least, 1)), float(np.clip(high, least, 1))


def extremes(runs: pd.DataFrame, column: str) -> Summary:
    """Return mean, least and greatest value of a column."""
    values = runs[column]
    return float(values.mean()), float(min(values)), float(max(values))


def _interval(values: pd.Series) -> Summary:
    """Return mean, low and high; the ends of a single value's interval are NaN.

    All are NaN where a run has no value: a mean over the others is not that of all runs, and its
    record is refused.
    """
    mean, half = float(values.mean(skipna=False)), math.nan
    if len(values) > 1:
        half = t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
    return mean, float(mean - half), float(mean + half)


def standard_deviations(runs: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the standard deviation between people's means and, pooled, between their seeds.

    With one seed a person the second is NaN.
    """
    groups = runs.groupby("person")[column]
    return float(groups.mean().std()), float(math.sqrt(groups.var().mean()))


def summarise(
    parts: Parts,
    columns: dict[str, tuple[str, str]],
    of: Callable[[pd.DataFrame, str], Summary],
) -> Table:
    """Return a table with a row for each part, and its figures for the record.

    A cell holds "mean (low to high)", or the mean alone where it has no interval. Where a run of
    the part lacks the column, the cell holds "–".

    Parameters
    ----------
    columns : dict[str, tuple[str, str]]
        By column of the runs, its heading and the format of its values.
    of : callable
        The summary of a part's column: `over_people`, `over_seeds`, `over_runs` or `extremes`.

    Returns
    -------
    The table, and `COLUMN_PART`, `COLUMN_PART_low`, `COLUMN_PART_high` by name.

    Raises
    ------
    ForgettingError
        The names of two parts differ in hyphens, commas or case alone.
    """
    if len({key(name) for name in parts}) < len(parts):
        raise ForgettingError(f"Figures of two of {', '.join(parts)} have one name: rename one.")
    rows: dict[str, dict[str, str]] = {}
    figures: dict[str, float] = {}
    for name, part in parts.items():
        cells = {heading: "–" for heading, _ in columns.values()}
        for column, (heading, form) in columns.items():
            if column not in part or part[column].isna().any():
                continue
            summary = of(part, column)
            mean, low, high = (form.format(value) for value in summary)
            interval = not math.isnan(summary[1]) and low != high
            cells[heading] = f"{mean} ({low} to {high})" if interval else mean
            for end, value in zip(("", "_low", "_high"), summary, strict=True):
                if not math.isnan(value):
                    figures[f"{column}_{key(name)}{end}"] = value
        rows[name] = cells
    return pd.DataFrame(rows).T, figures


def key(name: str) -> str:
    """Return a row's name in the form that names of figures contain."""
    return name.lower().replace(", ", "_").replace("-", "_").replace(" ", "_")


def quantile_table(parts: Parts, sets: Sequence[str]) -> Table:
    """Return the quantiles of sets of images before and after, and their drop, over people.

    Parameters
    ----------
    sets : Sequence[str]
        Names of sets of images; "forget" has a digit more.

    Returns
    -------
    A table with a row for each part and set, and its figures as `summarise` names them.
    """
    rows: dict[tuple[str, str], pd.Series] = {}
    figures: dict[str, float] = {}
    for group in sets:
        form = "{:.4f}" if group == "forget" else "{:.3f}"
        columns = {
            f"quantile_{when}_{group}": (when, form) for when in ("before", "after", "drop")
        }
        cells, values = summarise(parts, columns, over_people)
        figures |= values
        rows |= {(name, group): cells.loc[name] for name in cells.index}
    return pd.DataFrame(rows).T.loc[[(name, group) for name in parts for group in sets]], figures


def retrained_table(parts: Parts, sets: Sequence[str]) -> Table:
    """Return the mean quantiles of the runs whose person a retrained flow has never seen.

    Parameters
    ----------
    parts : Parts
        With a column `retrained`, empty where there is none.
    sets : Sequence[str]
        Names of sets of images.

    Returns
    -------
    A table with a row for each part and set, without parts that have no such run, and
    `of_retrained_WHEN_SET_PART` by name.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    figures: dict[str, float] = {}
    for name, part in parts.items():
        runs = part[part.retrained != ""]
        for group in sets if len(runs) else ():
            rows[name, group] = {}
            for when in ("before", "after", "retrained"):
                value = float(runs[f"quantile_{when}_{group}"].mean(skipna=False))
                figures[f"of_retrained_{when}_{group}_{key(name)}"] = value
                rows[name, group][when] = f"{value:.3f}"
    return pd.DataFrame(rows).T, figures


def target_table(parts: Parts, targets: dict[str, Target]) -> Table:
    """Return the shares of combinations beside their targets, over the seeds of each part.

    Parameters
    ----------
    targets : dict[str, Target]
        Of each part.

    Returns
    -------
    A table with a row for each combination, and its figures: `target_PART_I`,
    `share_CLASSIFIER_WHEN_PART_I` and `farthest_pooled_PART`. Shares of more than one seed have
    `_low` and `_high`. The last is the largest distance of a mean share from its target, by
    classifier A after taming.
    """
    rows: dict[tuple[str, str], dict[str, str]] = {}
    figures: dict[str, float] = {}
    for part_name, part in parts.items():
        target, distances = targets[part_name], []
        for i, share in enumerate(target.shares.tolist()):
            cells, means = {"target": f"{share:.1%}"}, {}
            for who, when in itertools.product("ab", ("before", "after")):
                mean, low, high = over_seeds(part, f"share_{who}_{when}_{i}")
                name = f"share_{who}_{when}_{part_name}_{i}"
                figures[name] = means[who, when] = mean
                cells[f"{who.upper()}, {when}"] = f"{mean:.1%}"
                if len(part) > 1:
                    figures |= {f"{name}_low": low, f"{name}_high": high}
                    interval = f" ({low:.1%} to {high:.1%})" if when == "after" else ""
                    cells[f"{who.upper()}, {when}"] += interval
            for when in ("before", "after"):
                difference = means["b", when] - means["a", when]
                cells[f"B - A, {when}"] = f"{100 * difference:+.1f}"
            figures[f"target_{part_name}_{i}"] = share
            distances.append(abs(means["a", "after"] - share))
            rows[part_name, target.combinations[i]] = cells
        figures[f"farthest_pooled_{part_name}"] = max(distances)
    return pd.DataFrame(rows).T, figures
