"""Means over people and seeds, with intervals: what tables of many runs are made of."""

import math

import pandas as pd
from scipy.stats import t


def over_people(runs: pd.DataFrame, column: str) -> tuple[float, float, float]:
    """Return mean, low and high over people, each averaged over its seeds first.

    Seeds of one person are no independent draws of people: the 95 % t-interval is over people.

    Parameters
    ----------
    runs : one row a run, with a column `person`

    Raises
    ------
    ValueError
        There are fewer than two people.
    """
    return interval(runs.groupby("person")[column].mean())


def interval(values: pd.Series) -> tuple[float, float, float]:
    """Return mean, low and high of independent values: the 95 % t-interval of their mean.

    Raises
    ------
    ValueError
        There are fewer than two.
    """
    if len(values) < 2:
        raise ValueError(f"an interval needs two values or more, not {len(values)}")
    half = t.ppf(0.975, len(values) - 1) * values.std() / math.sqrt(len(values))
    return float(values.mean()), float(values.mean() - half), float(values.mean() + half)


def spread(runs: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the standard deviation between people's means and, pooled, between their seeds.

    With one seed a person the second is not a number.
    """
    groups = runs.groupby("person")[column]
    return float(groups.mean().std()), float(math.sqrt(groups.var().mean()))
