"""Checks of the options of public functions: counts, rates and seeds."""

import itertools
import math
from collections.abc import Mapping, Set
from numbers import Integral, Real
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ValidationInfo

from forgetting.border.conditions import MAX_SEED
from forgetting.errors import DataError, ParameterError

ROUNDED = 1e-6
"""By how much the end of an interval may miss its number."""

C = TypeVar("C", bound=BaseModel)


def check_counts(*, least: int = 1, **counts: Any) -> list[int]:
    """Return each option as an int, unless it is no whole number of at least `least`.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in counts.items():
        if not _is_whole(value) or value < least:
            raise ParameterError(f"{name} = {value!r}: give a whole number of at least {least}.")
    return [int(value) for value in counts.values()]


def check_rate(**rates: Any) -> None:
    """Raise an error unless each option is a finite number above 0.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in rates.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or not 0 < float(value) < math.inf:
            raise ParameterError(f"{name} = {value!r}: give a finite number above 0.")


def check_number(**numbers: Any) -> None:
    """Raise an error unless each option is a number.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in numbers.items():
        if not isinstance(value, Real) or isinstance(value, bool):
            raise ParameterError(f"{name} = {value!r}: give a number.")


def finite_number(**numbers: Any) -> float:
    """Return an option, which may be a tensor of one value, as a float.

    Raises
    ------
    ParameterError
        It is no finite number.
    """
    ((name, value),) = numbers.items()
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if isinstance(value, torch.Tensor):
        is_number = value.ndim == 0 and value.dtype != torch.bool
    if not is_number or not math.isfinite(value):
        raise ParameterError(f"{name} = {value!r}: give a finite number.")
    return float(value)


def check_ordered(**collections: Any) -> None:
    """Raise an error if an option whose order counts is a set or a mapping.

    Raises
    ------
    ParameterError
        A set has no order, and of a mapping only the keys would count.
    """
    for name, value in collections.items():
        if isinstance(value, Set | Mapping):
            raise ParameterError(
                f"{name} is of type {type(value).__name__}, where the order counts: give a list "
                "or a tuple."
            )


def check_seed(seed: Any) -> int:
    """Return a seed as an int, unless it is no whole number from 0 to `MAX_SEED`.

    Raises
    ------
    ParameterError
        The seed is not.
    """
    if not _is_whole(seed) or not 0 <= seed <= MAX_SEED:
        raise ParameterError(f"seed = {seed!r}: give a whole number from 0 to 2**62.")
    return int(seed)


def check_interval(name: str, value: float, low: float, high: float) -> None:
    """Raise an error unless a number from 0 to 1 lies within its interval.

    Raises
    ------
    DataError
        It does not, or is not finite.
    """
    ends = (-ROUNDED, low - ROUNDED, value, high + ROUNDED, 1 + 2 * ROUNDED)
    if not all(a <= b for a, b in itertools.pairwise(ends)):
        raise DataError(
            f"{name} of {value:g} with the interval {low:g} to {high:g} is none: give numbers "
            "from 0 to 1, the share between both ends."
        )


def configuration(config: Any, kind: type[C]) -> C:
    """Return a configuration, or the default one of its kind where there is none.

    Raises
    ------
    ParameterError
        The configuration is of another kind.
    """
    if config is None:
        return kind()
    if not isinstance(config, kind):
        raise ParameterError(
            f"config is of class {type(config).__name__}: give a {kind.__name__}."
        )
    return config


def refuse_bool(model: type[BaseModel], value: Any, info: ValidationInfo) -> Any:
    """Return the value of a configuration's field, unless a number is given as a bool."""
    if isinstance(value, bool) and model.model_fields[str(info.field_name)].annotation is not bool:
        raise ValueError("give a number, not a bool")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
