"""Checks of the options of public functions: counts, rates and seeds."""

import itertools
import math
from collections.abc import Iterator, Mapping, Set
from numbers import Integral, Real
from typing import Any, TypeVar

import torch
from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator

from forgetting.border.conditions import MAX_SEED
from forgetting.errors import DataError, ParameterError, quoted

ROUNDED = 1e-6
"""By how much the end of an interval may miss its number."""

MAX_COUNT = 2**31 - 1
"""Largest count: of more samples or steps no machine comes to the end."""

MAX_WHOLE = 2**63 - 1
"""Largest whole number of a configuration, as torch holds them."""

C = TypeVar("C", bound=BaseModel)


class Configuration(BaseModel):
    """A frozen configuration: known names, finite numbers, no bool in the place of a number."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_no_bool(cls, value: Any, info: ValidationInfo) -> Any:
        kind = cls.model_fields[str(info.field_name)].annotation
        is_own = isinstance(kind, type) and issubclass(kind, bool | BaseModel)
        if not is_own and any(isinstance(each, bool) for each in _within(value)):
            raise ValueError("give a number, not a bool")
        return value

    @field_validator("*")
    @classmethod
    def _is_held_by_a_machine(cls, value: Any) -> Any:
        if any(isinstance(each, int) and abs(each) > MAX_WHOLE for each in _within(value)):
            raise ValueError("give a whole number below 2**63")
        return value


def check_counts(*, least: int = 1, **counts: Any) -> list[int]:
    """Return each option as an int, unless it is no whole number of at least `least`.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in counts.items():
        if not _is_whole(value) or value < least:
            raise ParameterError(
                f"{name} = {quoted(value)}: give a whole number of at least {least}."
            )
        if value > MAX_COUNT:
            raise ParameterError(f"{name} = {quoted(value)}: give a whole number below 2**31.")
    return [int(value) for value in counts.values()]


def check_rate(**rates: Any) -> None:
    """Raise an error unless each option is a finite number above 0.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in rates.items():
        if not 0 < _as_float(value) < math.inf:
            raise ParameterError(f"{name} = {quoted(value)}: give a finite number above 0.")


def check_number(**numbers: Any) -> None:
    """Raise an error unless each option is a number that a float holds; infinity is one.

    Raises
    ------
    ParameterError
        An option is not.
    """
    for name, value in numbers.items():
        is_number = isinstance(value, Real) and not isinstance(value, bool)
        if not is_number or (math.isinf(_as_float(value)) and abs(value) != math.inf):
            raise ParameterError(f"{name} = {quoted(value)}: give a number.")


def finite_number(**numbers: Any) -> float:
    """Return an option, which may be a tensor of one value, as a float.

    Raises
    ------
    ParameterError
        It is no finite number.
    """
    ((name, value),) = numbers.items()
    is_one = isinstance(value, torch.Tensor) and value.ndim == 0 and not value.is_complex()
    number = _as_float(value.item() if is_one else value)
    if not math.isfinite(number):
        raise ParameterError(f"{name} = {quoted(value)}: give a finite number.")
    return number


def check_callable(**functions: Any) -> None:
    """Raise an error unless each option is a function, or None.

    Raises
    ------
    ParameterError
        An option is something else.
    """
    for name, value in functions.items():
        if value is not None and not callable(value):
            raise ParameterError(
                f"{name} is of type {type(value).__name__}: give a function, or leave it out."
            )


def check_kind(kind: Any, remedy: str, **objects: Any) -> None:
    """Raise an error unless each option is of a class.

    Parameters
    ----------
    kind : type, or union of types
        The class.
    remedy : str
        What makes such an object, as a sentence ends with it.
    **objects : object
        The options by name.

    Raises
    ------
    ParameterError
        An option is of another class.
    """
    for name, value in objects.items():
        if not isinstance(value, kind):
            raise ParameterError(f"{name} is of type {type(value).__name__}: give {remedy}.")


def as_items(value: Any) -> list[Any] | None:
    """Return what a collection holds; None where it is a text or holds nothing to go through."""
    try:
        return None if isinstance(value, str | bytes) else list(value)
    except TypeError:
        return None


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
        raise ParameterError(f"seed = {quoted(seed)}: give a whole number from 0 to 2**62.")
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


def _within(value: Any) -> Iterator[Any]:
    """Yield the values of a mapping, a list or a tuple, and of those in it, or the value."""
    if isinstance(value, Mapping | list | tuple):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _within(each)
    else:
        yield value


def _as_float(value: Any) -> float:
    """Return a number as a float, infinite if it is too large, and nan for all else."""
    if not isinstance(value, Real) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_whole(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
