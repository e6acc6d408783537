"""The chart of people whom one flow forgets in turn: who comes back."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import legend
from forgetting.book.numerals import Results
from forgetting.book.theme import Theme
from forgetting.experiments.in_turn import AT_ONCE

PAGE = "in_turn_people"
"""The run that is drawn."""


@CHARTS.register("in-turn")
def in_turn(results: Results) -> Chart:
    """Return where each person's likeliest image lies: before, after the own turn, at the end."""
    parameters = results.record(PAGE)["parameters"]
    names = [name.replace("_", " ") for name in parameters["people"].split(",")]
    stages = {
        "base": lambda number: "before",
        "after the own turn": lambda number: f"turn_{number}",
        "after the last turn": lambda number: f"turn_{len(names)}",
        "all at once": lambda number: AT_ONCE,
    }
    places = {
        label: [
            results.value(PAGE, f"above_{number}_{stage(number)}")[0]
            for number in range(1, len(names) + 1)
        ]
        for label, stage in stages.items()
    }
    delta, within = parameters["delta"], parameters["stop_within"]

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        figure, axis = plt.subplots(figsize=(width, 0.5 * len(names) + 1.2))
        band = delta * (1 - within), delta * (1 + within)
        axis.axvspan(*band, color=theme.colours["reference"], alpha=0.18, lw=0)
        colours = [
            theme.colours[role] for role in ("original", "tamed", "until gone", "retrained")
        ]
        for (label, values), marker, colour in zip(places.items(), "osD^", colours, strict=True):
            axis.plot(
                values, range(len(names)), marker, color=colour, label=label, ms=7, alpha=0.9
            )
        labels = [f"{number}. {name}" for number, name in enumerate(names, 1)]
        axis.set_yticks(range(len(names)), labels)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.tick_params(axis="y", length=0)
        line = "\n" if is_narrow else " "
        axis.set_xlabel(f"likeliest forgotten photograph,{line}sigma above the mean")
        axis.grid(axis="x")
        legend(figure, axis, is_narrow)
        return figure

    cells = [
        (label, name, value)
        for label, values in places.items()
        for name, value in zip(names, values, strict=True)
    ]
    return Chart(pd.DataFrame(cells, columns=["stage", "person", "sigma"]), draw)
