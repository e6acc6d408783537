"""What charts are made of: rows of values with intervals, in the colours and markers of roles."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure

from forgetting.book.charts import NARROW
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.errors import DataError

Value = tuple[float, float, float]
"""A value and the ends of its interval, NaN where it has none."""

SHARES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Ticks of shares in percent, on a scale on which small ones stay apart."""


@dataclass(frozen=True)
class Row:
    """A row of a chart.

    Attributes
    ----------
    label : str
        What the row is about.
    values : mapping of str to tuple
        By role: a value with its interval.
    """

    label: str
    values: Mapping[str, Value]


def table(rows: Sequence[Row], value: str) -> pd.DataFrame:
    """Return the rows as a table: label, role, value, low, high."""
    cells = [(row.label, role, *figures) for row in rows for role, figures in row.values.items()]
    return pd.DataFrame(cells, columns=["row", "model", value, "low", "high"])


def seeds_of(results: Results, sweep: str, case: str) -> list[Mapping[str, float]]:
    """Return the metrics of a sweep's runs of one case, by seed."""
    paths = sorted((results.folder / sweep).glob(f"{case}-[0-9].json"))
    return [results.metrics(f"{sweep}/{path.stem}") for path in paths]


def check_mean(what: str, mean: float, seeds: Sequence[float]) -> None:
    """Check that a table's mean is that of the runs that stand beside it.

    Raises
    ------
    DataError
        It is another: the table and the runs come from different executions.
    """
    if not math.isclose(mean, float(np.mean(seeds)), rel_tol=1e-6, abs_tol=1e-9):
        raise DataError(
            f"{what} is {mean:g}, and its runs have {np.mean(seeds):g}: publish the table anew."
        )


def percent(value: Value) -> Value:
    """Return a share in percent."""
    first, low, high = value
    return 100 * first, 100 * low, 100 * high


def forest(
    rows: Sequence[Row], theme: Theme, width: float, xlabel: str, is_share: bool = True
) -> Figure:
    """Draw a forest chart: a line for each row, a marker with its interval for each role.

    Parameters
    ----------
    rows : sequence of Row
        Shares are in percent.
    width : float
        Inches.
    is_share : bool
        Whether the axis is that of shares, on which small ones stay apart.
    """
    is_narrow = width <= NARROW
    figure, axis = plt.subplots(figsize=(width, 0.62 * len(rows) + 1.1))
    for y, row in enumerate(rows):
        if is_narrow:
            axis.text(0, y - 0.34, row.label, transform=axis.get_yaxis_transform(), fontsize=9)
        offsets = np.linspace(-0.2, 0.24, len(row.values)) if len(row.values) > 1 else [0.0]
        for offset, (role, value) in zip(offsets, row.values.items(), strict=True):
            _mark(axis, role, value, y + offset, theme)
    axis.set_yticks(range(len(rows)), ["" if is_narrow else row.label for row in rows])
    axis.tick_params(axis="y", length=0)
    axis.set_ylim(len(rows) - 0.45, -0.6)
    if is_share:
        ends = [x for row in rows for value in row.values.values() for x in value]
        share_scale(axis, max(x for x in ends if math.isfinite(x)))
    axis.set_xlabel(xlabel)
    axis.grid(axis="x")
    axis.spines["left"].set_visible(False)
    legend(figure, axis, is_narrow)
    return figure


def share_scale(axis: Axes, largest: float) -> None:
    """Give an axis a square root's scale of shares in percent: small ones stay apart."""
    axis.set_xscale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
    top = next((tick for tick in SHARES if tick > largest), 100.0)
    axis.set_xlim(0, top * 1.02)
    ticks = [tick for tick in SHARES if tick <= top]
    axis.set_xticks(ticks, [f"{tick:g}" for tick in ticks])


def plain_ticks(axis: Axis, ticks: Sequence[float]) -> None:
    """Give a logarithmic axis plain numbers at its ticks."""
    axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
    axis.set_ticks([], minor=True)


def legend(figure: Figure, axis: Axes, is_narrow: bool, columns: int = 4) -> None:
    """Name the roles above an axis, each once, in two columns on a narrow screen."""
    handles, labels = axis.get_legend_handles_labels()
    named = dict(zip(labels, handles, strict=True))
    figure.legend(
        named.values(),
        named,
        loc="outside upper left",
        ncols=2 if is_narrow else columns,
        fontsize=9,
        handletextpad=0.2,
        columnspacing=1.0,
    )


def _mark(axis: Axes, role: str, value: Value, y: float, theme: Theme) -> None:
    """Draw one value with its interval."""
    colour = theme.colours[role]
    first, low, high = value
    if math.isfinite(low) and math.isfinite(high):
        axis.plot([low, high], [y, y], color=colour, lw=2, alpha=0.55, solid_capstyle="butt")
    axis.plot(first, y, MARKERS[role], color=colour, ms=6, label=LABELS[role], ls="none")
