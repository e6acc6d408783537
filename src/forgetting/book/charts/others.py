"""Charts of models that nobody here trained."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import legend
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme

LIBRARIES = ("zuko", "normflows")

SETS = {
    "forget": "to forget",
    "unseen_near_the_tip": "unseen, beside them",
    "held_out": "held out, elsewhere",
}
"""Sets of points, in words."""

WHEN = {"before": "original", "after": "tamed"}
"""Roles of the two flows."""


@CHARTS.register("other-flows")
def other_flows(results: Results) -> Chart:
    """Return the quantiles of points before and after two flows of other libraries are tamed."""
    rows = [
        (library, words, role, *results.value("tame_points", f"{library}_quantile_{when}_{name}"))
        for library in LIBRARIES
        for name, words in SETS.items()
        for when, role in WHEN.items()
    ]
    data = pd.DataFrame(rows, columns=["library", "points", "flow", "quantile", "low", "high"])

    def draw(theme: Theme, width: float) -> Figure:
        figure, axes = plt.subplots(
            *((2, 1) if width <= NARROW else (1, 2)),
            figsize=(width, 4.2 if width <= NARROW else 2.4),
            sharey=True,
            sharex=True,
        )
        for axis, library in zip(axes, LIBRARIES, strict=True):
            for y, words in enumerate(SETS.values()):
                part = data[(data.library == library) & (data.points == words)]
                for row in part.itertuples():
                    colour = theme.colours[row.flow]
                    axis.plot([row.low, row.high], [y, y], color=colour, lw=2, alpha=0.55)
                    axis.plot(
                        *(row.quantile, y, MARKERS[row.flow]),
                        color=colour,
                        label=LABELS[row.flow],
                        ls="none",
                    )
            axis.set_yticks(range(len(SETS)), list(SETS.values()))
            axis.set(title=library, xlim=(-0.03, 0.75), ylim=(len(SETS) - 0.5, -0.5))
            axis.tick_params(axis="y", length=0)
            axis.grid(axis="x")
        axes[-1].set_xlabel("likelihood quantile")
        legend(figure, axes[0], width <= NARROW)
        return figure

    return Chart(data, draw)
