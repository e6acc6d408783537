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
    means = runs.groupby("person")[column].mean()
    if len(means) < 2:
        raise ValueError(f"an interval over people needs two of them, not {len(means)}")
    half = t.ppf(0.975, len(means) - 1) * means.std() / math.sqrt(len(means))
    return float(means.mean()), float(means.mean() - half), float(means.mean() + half)


def spread(runs: pd.DataFrame, column: str) -> tuple[float, float]:
    """Return the standard deviation between people's means and, pooled, between their seeds.

    With one seed a person the second is not a number.
    """
    groups = runs.groupby("person")[column]
    return float(groups.mean().std()), float(math.sqrt(groups.var().mean()))
