"""Means with their intervals."""

import math

import torch
from scipy.stats import t


def mean_with_interval(values: torch.Tensor) -> tuple[float, float, float]:
    """Return the mean of values (N,) and its 95 % t-interval, whose ends are nan for one value."""
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.975, n - 1) * values.std() / math.sqrt(n))
    return mean, mean - half, mean + half
