"""The chart of the paper's own attack: how often it succeeds against the radius of its balls."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import legend, percent
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.experiments.balls import AROUND
from forgetting.experiments.grading import record_key

PAGE = "ball_thick"
"""The run that is drawn."""

ATTACKED = ("original", "unlearned", "until gone", "filter", AROUND, "retrained")
"""Models that are attacked, by role; the filter twice."""

RADII = (0, 10, 20, 40, 80)
"""Of the balls, in hundredths."""


@CHARTS.register("hidden-balls")
def balls(results: Results) -> Chart:
    """Return how many attacked latents show the feature, by the radius of the ball."""
    curves = {
        role: [
            percent(results.value(PAGE, f"ball_{radius}_{record_key(role)}")) for radius in RADII
        ]
        for role in ATTACKED
    }
    cells = [
        (role, radius / 100, *value)
        for role, values in curves.items()
        for radius, value in zip(RADII, values, strict=True)
    ]

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        figure, axis = plt.subplots(figsize=(width, 3.8 if is_narrow else 3.4))
        places = range(len(RADII))
        for role, values in curves.items():
            colour, marker = theme.colours[role.removesuffix(" around")], MARKERS.get(role, "^")
            style = "--" if role == AROUND else "-"
            label = "filter, attacked around it" if role == AROUND else LABELS[role]
            shares, low, high = zip(*values, strict=True)
            if role in ("original", "unlearned", "retrained"):
                axis.fill_between(places, low, high, color=colour, alpha=0.15, lw=0)
            axis.plot(places, shares, f"{marker}{style}", color=colour, label=label, ms=5)
        axis.set_xticks(places, [f"{radius / 100:g}" for radius in RADII])
        axis.set_ylim(bottom=0)
        axis.set_xlabel("radius of the ball, in deviations of a latent")
        axis.set_ylabel("attacked latents\nwith the feature, %")
        axis.grid(axis="y")
        legend(figure, axis, is_narrow, columns=3)
        return figure

    return Chart(pd.DataFrame(cells, columns=["model", "radius", "%", "low", "high"]), draw)
