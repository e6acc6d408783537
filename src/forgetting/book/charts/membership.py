"""The chart of membership inference: what likelihoods betray of the images that were forgotten."""

from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, Chart
from forgetting.book.charts.drawing import Row, forest, table
from forgetting.book.numerals import Results
from forgetting.book.theme import Theme
from forgetting.experiments.membership import FLOWS

PAGE = "membership_bush_15"
"""The run that is drawn."""

SETS = {"forget": "forgotten", "reference": "same person", "random": "retained"}
"""Sets of members, in words."""

ATTACKS = {"likely": "likely ones", "unusual": "unusual ones"}
"""What an attacker with one flow takes for members, in words."""


@CHARTS.register("membership")
def membership(results: Results) -> Chart:
    """Return the AUC of each attacker on each set and flow, beside chance."""
    rows = []
    for name, words in SETS.items():
        for attack, taken in ATTACKS.items():
            values = {
                role: results.value(PAGE, f"membership_{attack}_{name}_{flow}")
                for flow, role in FLOWS.items()
            }
            rows.append(Row(f"{words}: {taken}", values))
        changed = results.value(PAGE, f"membership_change_{name}")
        rows.append(Row(f"{words}: what changed", {"tamed": changed}))

    def draw(theme: Theme, width: float) -> Figure:
        figure = forest(rows, theme, width, "AUC (0.5 is chance)", is_share=False)
        axis = figure.axes[0]
        axis.axvline(0.5, color=theme.ink, ls=":", lw=1)
        axis.set_xlim(-0.02, 1.02)
        return figure

    return Chart(table(rows, "AUC"), draw)
