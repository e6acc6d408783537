"""Charts of the chapters: each is drawn from records, once for each theme and width of screen.

A chart is a function of the records that returns a `Chart`. It registers itself with
`@CHARTS.register("name")`, and a chapter shows it by the directive `chart`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.numerals import Results
from forgetting.book.theme import Theme
from forgetting.foundation.registry import Registry

WIDE, NARROW = 7.2, 3.7
"""Widths in inches, of a column of text and of a telephone's screen."""


@dataclass(frozen=True)
class Chart:
    """A chart: its figures, and how they are drawn.

    Attributes
    ----------
    data : pd.DataFrame
        What is drawn, as the reader downloads it.
    draw : callable
        (theme, width in inches) -> the figure. The theme's style is in force.
    """

    data: pd.DataFrame
    draw: Callable[[Theme, float], Figure]


CHARTS: Registry[Callable[[Results], Chart]] = Registry("chart", "forgetting.book.charts")
"""The charts by name."""
