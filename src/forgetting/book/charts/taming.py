"""Charts of tamed flows: people, attributes and samples."""

import math
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import Row, Value, forest, legend, percent, table
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme

PEOPLE = "tame_people_table"
"""The table of people."""

SIZES = {1: "1_image", 4: "4_images", 8: "8_images", 15: "15_images"}
"""Numbers of forgotten images, and how metrics name them."""

FLOWS = {"original": "before", "tamed": "after", "control": "control"}
"""How metrics name the flow in each role."""

ATTRIBUTES = {
    "rare_smiling": "smiles",
    "rare_male": "men",
    "rare_blond_hair": "blond hair",
    "rare_eyeglasses": "eyeglasses",
}
"""Pages on rare attributes, in words."""

NAMES: Mapping[str, str] = {
    **LABELS,
    "retrained": "never saw the person",
    "reference": "the paper",
}
"""What these charts call the roles."""


@CHARTS.register("taming-quantile")
def taming_quantile(results: Results) -> Chart:
    """Return where four photographs lie among the likelihoods of others, before and after."""
    history = results.record("tame_bush_4")["history"]
    delta = results.record("tame_bush_4")["parameters"]["delta"]
    mean, deviation = history[0]["mu"], history[0]["sigma"]
    ends = {"original": history[0]["forget_bpd"], "tamed": history[-1]["forget_bpd"]}
    threshold = history[-1]["mu"] + delta * history[-1]["sigma"]
    grid = np.linspace(mean - 3.2 * deviation, threshold + 0.7 * deviation, 300)
    density = norm.pdf(grid, mean, deviation)
    top = float(density.max())

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = plt.subplots(figsize=(width, 2.9))
        axis.plot(grid, density, color=theme.ink, lw=1.2)
        beyond = grid >= ends["original"]
        axis.fill_between(
            grid[beyond], density[beyond], color=theme.colours["original"], alpha=0.25, lw=0
        )
        for role, end in ends.items():
            colour = theme.colours[role]
            axis.plot([end, end], [0, 0.5 * top], color=colour, lw=2)
            axis.plot(end, 0.5 * top, MARKERS[role], color=colour, ms=7)
        axis.annotate(
            "",
            (ends["tamed"], 0.5 * top),
            (ends["original"], 0.5 * top),
            arrowprops={"arrowstyle": "->", "color": theme.ink, "shrinkA": 6, "shrinkB": 6},
        )
        axis.text(
            mean + deviation * (1.15 if width > NARROW else 0.95),
            0.78 * top,
            "quantile: the share\nthat is less likely",
            color=theme.colours["original"],
            fontsize=9 if width > NARROW else 8,
            va="center",
        )
        for role, end in ends.items():
            axis.text(
                *(end - 0.12 * deviation, 0.53 * top, role),
                color=theme.colours[role],
                ha="right",
                va="bottom",
                fontsize=9,
            )
        axis.axvline(threshold, ymax=0.86, color=theme.ink, lw=1, ls=":")
        axis.text(threshold, top * 0.92, "threshold", ha="center", va="bottom", fontsize=9)
        ticks = {mean: "$\\mu$", mean + deviation: "$\\mu+\\sigma$"}
        ticks[threshold] = f"$\\mu+{delta:g}\\sigma$"
        axis.set_xticks(list(ticks), list(ticks.values()))
        axis.set(xlabel="bits/dim (right: less likely)", yticks=[], ylim=(0, 1.06 * top))
        axis.spines["left"].set_visible(False)
        return figure

    cells = [(role, end, mean, deviation, threshold) for role, end in ends.items()]
    columns = ["model", "bits/dim of the four", "mean of others", "deviation", "threshold"]
    return Chart(pd.DataFrame(cells, columns=columns), draw)


def place(axis: Axes, x: float, value: Value, role: str, theme: Theme, marker: str = "") -> None:
    """Draw a value with its interval at a place of the axis."""
    first, low, high = value
    colour = theme.colours[role]
    if math.isfinite(low) and math.isfinite(high):
        axis.plot([x, x], [low, high], color=colour, lw=2, alpha=0.55, solid_capstyle="butt")
    marker = marker or MARKERS[role]
    axis.plot(x, first, marker, color=colour, ms=7, mew=2, label=NAMES[role], ls="none")


def named(figure: Figure, names: Mapping[str, str]) -> Figure:
    """Give roles of a forest chart other names in its legend."""
    for text in figure.legends[0].get_texts():
        text.set_text(names.get(text.get_text(), text.get_text()))
    return figure


@CHARTS.register("person-retrained")
def person_retrained(results: Results) -> Chart:
    """Return quantiles of one person's photographs beside a flow that never saw the person."""
    roles = {"original": "before", "tamed": "after", "retrained": "retrained"}

    def row(label: str, name: str, size: str) -> Row:
        metrics = {role: f"of_retrained_{when}_{name}_{size}" for role, when in roles.items()}
        return Row(label, {role: results.value(PEOPLE, key) for role, key in metrics.items()})

    rows = [row("4 forgotten photographs", "forget", "4_images")]
    rows += [row(f"others of his, {n} forgotten", "reference", at) for n, at in SIZES.items()]
    return Chart(
        table(rows, "quantile"),
        lambda theme, width: named(
            forest(rows, theme, width, "likelihood quantile", False),
            {LABELS["retrained"]: NAMES["retrained"]},
        ),
    )


@CHARTS.register("rare-shares")
def rare_shares(results: Results) -> Chart:
    """Return how many samples show an attribute before and after it is made rare."""
    rows = [
        Row(
            label,
            {
                role: percent(results.value(page, f"prevalence_a_{name}"))
                for role, name in FLOWS.items()
            },
        )
        for page, label in ATTRIBUTES.items()
    ]
    return Chart(
        table(rows, "share, %"),
        lambda theme, width: forest(rows, theme, width, "share of samples, classifier A, %"),
    )


@CHARTS.register("rare-fid")
def rare_fid(results: Results) -> Chart:
    """Return the FID of flows that make an attribute rare, at a temperature of 0.9."""
    names = {role: f"{name}_t9" for role, name in FLOWS.items()} | {"reference": "mixed_t9"}
    rows = [
        Row(label, {role: results.value(page, f"fid_{name}") for role, name in names.items()})
        for page, label in ATTRIBUTES.items()
    ]
    words = {LABELS["reference"]: "original, same mixture"}
    return Chart(
        table(rows, "FID"),
        lambda theme, width: named(
            forest(rows, theme, width, "FID to held-out faces, T = 0.9", False), words
        ),
    )


@CHARTS.register("near-person")
def near_person(results: Results) -> Chart:
    """Return how many samples are like the forgotten person, at five temperatures."""
    page = "generation_bush_4"
    rows = [
        Row(
            f"T = {tenths / 10:g}",
            {
                role: percent(results.value(page, f"near_{name}_t{tenths}"))
                for role, name in FLOWS.items()
            },
        )
        for tenths in TENTHS
    ]

    def draw(theme: Theme, width: float) -> Figure:
        figure = forest(rows, theme, width, "share of samples near the person, %", False)
        axis = figure.axes[0]
        axis.axvline(CHANCE, color=theme.ink, lw=1.5, ls="--", zorder=1.5)
        axis.text(CHANCE + 0.02, -0.58, "chance", fontsize=9, va="top")
        axis.set_xlim(left=0)
        return figure

    chance = Row("other faces", {"chance": (CHANCE, CHANCE, CHANCE)})
    return Chart(table([*rows, chance], "share, %"), draw)


CHANCE = 1.0
"""The share of other people's faces that are near the person, in percent, by definition."""

TENTHS = (5, 7, 8, 9, 10)
"""Temperatures of samples, in tenths."""


def flow_curves(
    results: Results, metric: str, places: Sequence[int], xlabel: str, ylabel: str
) -> Chart:
    """Return a curve for each flow of the page on generation.

    Parameters
    ----------
    metric : str
        Its name, with `{flow}` and `{place}` where these stand.
    places : sequence of int
        Along the horizontal axis, in tenths.
    """
    page = "generation_bush_4"
    values = {
        role: [results.value(page, metric.format(flow=name, place=at))[0] for at in places]
        for role, name in FLOWS.items()
    }

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = plt.subplots(figsize=(width, 3.3))
        at = [place / 10 for place in places]
        sizes = {"original": 6, "tamed": 9, "control": 4.5}
        for role, curve in values.items():
            axis.plot(
                *(at, curve),
                marker=MARKERS[role],
                color=theme.colours[role],
                ms=sizes[role],
                lw=1.5,
                label=LABELS[role],
            )
        if metric.startswith("fid"):
            axis.set_yscale("log")
            ticks = [150, 200, 300, 500, 700]
            axis.set_yticks(ticks, [str(tick) for tick in ticks])
            axis.minorticks_off()
        axis.set(xlabel=xlabel, ylabel=ylabel)
        axis.grid(axis="y")
        legend(figure, axis, width <= NARROW)
        return figure

    cells = [
        (role, at / 10, value)
        for role, curve in values.items()
        for at, value in zip(places, curve, strict=True)
    ]
    return Chart(pd.DataFrame(cells, columns=["model", xlabel, ylabel]), draw)


@CHARTS.register("fid-temperature")
def fid_temperature(results: Results) -> Chart:
    """Return FID against the temperature of samples, of three flows."""
    return flow_curves(
        results, "fid_{flow}_t{place}", TENTHS, "temperature", "FID to held-out faces"
    )


@CHARTS.register("around-forgotten")
def around_forgotten(results: Results) -> Chart:
    """Return how alike to a forgotten photograph the images around its latent are."""
    radii = (0, 2, 4, 6, 8, 10)
    return flow_curves(
        results, "similarity_{flow}_r{place}", radii, "way to a random latent", "similarity"
    )
