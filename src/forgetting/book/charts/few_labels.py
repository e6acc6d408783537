"""The chart of unlearning with few labels, and with wrong ones."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import legend, percent
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.experiments.few_labels import CASES, NUMBERS, WITH_ERRORS, WRONG, Case
from forgetting.experiments.grading import record_key

PAGE = "few_labels_thick"
"""The run that is drawn."""

ROLES = ("unlearned", "filter")
"""Models that follow a labeller's direction."""


@CHARTS.register("few-labels")
def few_labels(results: Results) -> Chart:
    """Return what is left of the feature by the number of labels, and by the share of errors."""
    shares = {
        (role, case): percent(results.value(PAGE, f"prevalence_{record_key(role)}_{case.key}"))
        for role in ROLES
        for case in CASES
    }
    beside = {
        role: 100 * results.value(PAGE, f"prevalence_{record_key(role)}")[0]
        for role in ("original", "retrained")
    }
    cells = [(role, case.n, 100 * case.wrong, *value) for (role, case), value in shares.items()]
    panels = {
        "labels, none of them wrong": (list(map(Case, NUMBERS)), list(map(str, NUMBERS))),
        f"wrong labels among {WITH_ERRORS}, %": (
            [Case(WITH_ERRORS, wrong) for wrong in (0, *WRONG)],
            [f"{100 * wrong:g}" for wrong in (0, *WRONG)],
        ),
    }

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        (rows, columns), height = ((2, 1), 5.4) if is_narrow else ((1, 2), 3.3)
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, height), sharey=True, squeeze=False
        )
        for axis, (xlabel, (cases, ticks)) in zip(axes.flat, panels.items(), strict=True):
            places = range(len(cases))
            for role, share in beside.items():
                axis.axhline(share, color=theme.colours[role], lw=1.4, ls="--", label=LABELS[role])
            for role in ROLES:
                value, low, high = zip(*(shares[role, case] for case in cases), strict=True)
                colour = theme.colours[role]
                axis.fill_between(places, low, high, color=colour, alpha=0.2, lw=0)
                axis.plot(
                    places, value, f"{MARKERS[role]}-", color=colour, label=LABELS[role], ms=6
                )
            axis.set_xticks(places, ticks)
            axis.set_xlabel(xlabel)
            axis.grid(axis="y")
        axes[0, 0].set_ylim(bottom=0)
        figure.supylabel("samples with the feature, %", fontsize=10)
        legend(figure, axes[0, 0], is_narrow)
        return figure

    columns = ["model", "labels", "wrong, %", "share, %", "low", "high"]
    return Chart(pd.DataFrame(cells, columns=columns), draw)
