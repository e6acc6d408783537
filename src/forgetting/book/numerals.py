"""Figures of records as text, rounded as their intervals allow."""

import math
import os
from pathlib import Path
from typing import Any

from forgetting.book.checkout import HERE
from forgetting.book.records import Record, digest, read_record
from forgetting.errors import DataError, did_you_mean

MINUS = "−"

MOST_DECIMALS = 4


def decimals_of(value: float, low: float, high: float) -> int:
    """Return how many decimals a value deserves: one significant digit of half its interval.

    Where that digit is 1, a second one stands behind it.

    Parameters
    ----------
    value, low, high : float
        Without an interval, ends that are NaN; then three significant digits, of a whole number
        none behind the point.
    """
    half = (high - low) / 2
    if not math.isfinite(half) or half <= 0:
        is_whole = value == round(value)
        return 0 if is_whole else _clamped(2 - math.floor(math.log10(abs(value))))
    decimals = -math.floor(math.log10(half))
    return _clamped(decimals + (half * 10**decimals < 2))


def _clamped(decimals: int) -> int:
    return max(0, min(MOST_DECIMALS, decimals))


def in_figures(
    value: float, low: float, high: float, unit: str = "", interval: bool = False
) -> str:
    """Return a value as text, with its interval in brackets where it is wanted.

    Without an interval only 0 is shown as 0, and only all of a share as 100 %.

    Parameters
    ----------
    value, low, high : float
        In the unit.
    unit : str
        What follows the number, such as " %".
    interval : bool
        Whether the interval stands behind it.
    """
    decimals = decimals_of(value, low, high)
    if unit == " %" and not math.isfinite(high - low):
        decimals = min(decimals, 1)
    if not high > low:  # with an interval its width says how much is known
        reserved = _reserved(unit)
        while value not in reserved and round(value, decimals) in reserved:
            decimals += 1
    first = _text(value, decimals)
    ends = [MINUS * (x < 0) + _text(abs(x), decimals) for x in (low, high)]
    return f"{first}{unit} ({ends[0]} to {ends[1]})" if interval else f"{first}{unit}"


def _reserved(unit: str) -> tuple[float, ...]:
    """Return the values that no other may be rounded to: none, and of a share all."""
    return (0.0, 100.0) if unit == " %" else (0.0,)


def _text(value: float, decimals: int) -> str:
    """Return a number with a true minus; one that rounds to zero has no sign."""
    text = f"{value:.{decimals}f}"
    return text.lstrip("-") if not text.strip("-0.") else text.replace("-", MINUS)


def in_minutes(seconds: float) -> str:
    """Return a duration as text, in whole minutes."""
    minutes = round(seconds / 60)
    return "under a minute" if not minutes else f"{minutes} minute{'s' * (minutes > 1)}"


def read_unchanged(path: Path) -> Record:
    """Return a record, unless it was changed after its run.

    Parameters
    ----------
    path : Path
        NAME.json; NAME.run.json beside it holds the record's hash, except of older runs.

    Raises
    ------
    DataError
        It says something else than when its run ended, or cannot be read.
    """
    record = read_record(path)
    circumstances = path.with_name(f"{path.stem}.run.json")
    noted = read_record(circumstances) if circumstances.is_file() else {}
    if noted.get("record", digest(record)) != digest(record):
        raise DataError(
            f"{path} says something else than when its run ended, by {circumstances.name}: bring "
            "the record back as it was, or make the run again."
        )
    return record


class Results:
    """The published records, read by name and kept.

    Attributes
    ----------
    used : set of str
        Names of the records that were looked up.
    """

    def __init__(self, folder: Path = HERE.results) -> None:
        """Take the folder of the records."""
        self.folder = folder
        self.used: set[str] = set()
        self._records: dict[str, dict[str, Any]] = {}

    def record(self, name: str) -> dict[str, Any]:
        """Return a record.

        Parameters
        ----------
        name : str
            Of a page, or SWEEP/RUN.

        Raises
        ------
        DataError
            There is none; the most similar name is given. Or it was changed after its run.
        """
        self.used.add(name)
        path = self.folder / f"{name}.json"
        if not os.path.isfile(path):
            folder = path.parent
            names = [p.stem for p in folder.glob("*.json") if not p.stem.endswith(".run")]
            raise DataError(f"There is no record {name}. {did_you_mean(path.stem, names)}")
        if name not in self._records:
            self._records[name] = read_unchanged(path)
        return self._records[name]

    def metrics(self, name: str) -> dict[str, float]:
        """Return the metrics of a record.

        Raises
        ------
        DataError
            There is no such record.
        """
        metrics: dict[str, float] = self.record(name).get("metrics", {})
        return metrics

    def value(self, name: str, metric: str) -> tuple[float, float, float]:
        """Return a metric of a record with the ends of its interval, NaN where it has none.

        Raises
        ------
        DataError
            There is no such record, or it lacks the metric; the most similar name is given.
        """
        metrics = self.metrics(name)
        if metric not in metrics:
            raise DataError(f"{name} has no {metric}. {did_you_mean(metric, list(metrics))}")
        low, high = (metrics.get(f"{metric}_{end}", math.nan) for end in ("low", "high"))
        return metrics[metric], low, high

    def seconds(self, name: str) -> float:
        """Return how long a published run took.

        Raises
        ------
        DataError
            There is no such record, or nothing says how long it took.
        """
        self.record(name)
        path = self.folder / f"{name}.run.json"
        if not path.is_file():
            raise DataError(f"Nothing says how long {name} took.")
        circumstances = read_record(path)
        if "seconds" not in circumstances:
            raise DataError(f"{path} does not say how long {name} took: make the run again.")
        seconds: float = circumstances["seconds"]
        return seconds
