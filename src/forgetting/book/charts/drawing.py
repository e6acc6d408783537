"""What charts are made of: rows of values with intervals, in the colours and markers of roles."""

import functools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.path import Path
from matplotlib.transforms import Bbox

from forgetting.book.charts import NARROW
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.errors import DataError

Value = tuple[float, float, float]
"""A value and the ends of its interval, NaN where it has none."""

SHARES = (0.0, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)
"""Ticks of shares in percent, on a scale on which small ones stay apart."""


SIDES = (
    *((8, 0, "left", "center"), (-8, 0, "right", "center")),
    *((0, 8, "center", "bottom"), (0, -8, "center", "top")),
    *((6, 7, "left", "bottom"), (6, -7, "left", "top")),
    *((-6, 7, "right", "bottom"), (-6, -7, "right", "top")),
    *((8, 17, "left", "bottom"), (8, -17, "left", "top")),
    *((-8, 17, "right", "bottom"), (-8, -17, "right", "top")),
    *((0, 26, "center", "bottom"), (0, -26, "center", "top")),
    *((24, 26, "left", "bottom"), (24, -26, "left", "top")),
    *((-24, 26, "right", "bottom"), (-24, -26, "right", "top")),
    *((0, 42, "center", "bottom"), (0, -42, "center", "top")),
    *((24, 42, "left", "bottom"), (24, -42, "left", "top")),
)
"""Where a label may stand beside its point: offset in points, and what is aligned."""

FAR = 15
"""From how many points on a label has a line to what it names."""

Colours = Mapping[str, str]


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


def label_points(axis: Axes, points: Mapping[str, tuple[float, float]], colours: Colours) -> None:
    """Write each point's name beside it, on the side where it covers least.

    A name that stands farther off has a line to its point. Limits and scales of the axis are set
    before, and what else is written on it.

    Parameters
    ----------
    points : mapping of str to (float, float)
        By name, in data coordinates.
    colours : mapping of str to str
        By name.
    """
    figure = axis.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    area, around = axis.get_window_extent(), 5 * figure.dpi / 72
    at = {name: axis.transData.transform(point) for name, point in points.items()}
    taken = {f"point {name}": Bbox([xy - around, xy + around]) for name, xy in at.items()}
    taken |= {f"text {i}": text.get_window_extent() for i, text in enumerate(axis.texts)}
    style: dict[str, Any] = {"textcoords": "offset points", "size": 9, "in_layout": False}
    texts = {
        name: axis.annotate(name, point, (0, 0), color=colours[name], **style)
        for name, point in points.items()
    }

    def cost(name: str, side: tuple[float, float, str, str]) -> float:
        """Return how much a label covers on a side: outside the axis counts as ten things."""
        x, y, ha, va = side
        texts[name].set(position=(x, y), ha=ha, va=va)
        box = taken[name] = texts[name].get_window_extent().padded(2)
        is_inside = all(area.contains(*corner) for corner in box.corners())
        others = [other for key, other in taken.items() if key != name]
        line = Path([at[name], box.get_points().mean(0)])  # it begins in the box of its point
        crossed = sum(line.intersects_bbox(other, filled=True) for other in others) - 1
        return 2 * sum(map(box.overlaps, others)) + crossed + 20 * (not is_inside)

    for _ in range(3):  # labels that came later may have left a better side
        for name in points:
            cost(name, min(SIDES, key=functools.partial(cost, name)))
    for name, text in texts.items():
        if math.hypot(*text.get_position()) >= FAR:
            leader = {"arrowstyle": "-", "color": colours[name], "lw": 0.7, "shrinkB": 4}
            axis.annotate("", points[name], text.get_position(), arrowprops=leader, **style)


def _mark(axis: Axes, role: str, value: Value, y: float, theme: Theme) -> None:
    """Draw one value with its interval."""
    colour = theme.colours[role]
    first, low, high = value
    if math.isfinite(low) and math.isfinite(high):
        axis.plot([low, high], [y, y], color=colour, lw=2, alpha=0.55, solid_capstyle="butt")
    axis.plot(first, y, MARKERS[role], color=colour, ms=6, label=LABELS[role], ls="none")
