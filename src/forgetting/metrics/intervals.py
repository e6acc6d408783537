"""Means with their intervals."""

import math

import torch
from scipy.stats import t

from forgetting.errors import DataError


def mean_with_interval(values: torch.Tensor) -> tuple[float, float, float]:
    """Return the mean of values (N,) and its 95 % t-interval, whose ends are nan for one value.

    Raises
    ------
    DataError
        The values are no floats (N,): the interval of several columns would be that of one.
    """
    if values.ndim != 1 or not values.is_floating_point():
        raise DataError(
            f"A mean with its interval takes floats (N,), not {values.dtype} "
            f"{tuple(values.shape)}: give one float for each sample."
        )
    mean, n = float(values.mean()), len(values)
    if n < 2:
        return mean, math.nan, math.nan
    half = float(t.ppf(0.975, n - 1) * values.std() / math.sqrt(n))
    return mean, mean - half, mean + half
