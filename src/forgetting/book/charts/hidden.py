"""Charts of what probes find in models that unlearned, and in retrained models."""

import math
from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import (
    Row,
    Value,
    check_mean,
    forest,
    legend,
    percent,
    seeds_of,
    table,
)
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.experiments.grading import record_key

SWEEPS = {"digits": "probe_features", "faces": "probe_faces"}
"""Sweeps of the probes, by what their generators make; the page of a sweep is its `_table`."""

COMPARED = ("original", "unlearned", "until gone", "filter", "retrained")
"""Models that are attacked, by role."""

PROBED = {
    "digits_vae_thick": "VAE of digits, thick strokes",
    "digits_gan_thick": "GAN of digits, thick strokes",
    "faces_vae_bangs": "VAE of faces, bangs",
    "faces_gan_bangs": "GAN of faces, bangs",
}
"""Cases of the probes, in words."""

RELEARNED = ("original", "unlearned", "until gone", "retrained")
"""Roles that relearn: the filter has no weights of its own."""

STEPS = (0, 5, 10, 20, 50)
"""Steps of relearning after which samples are counted."""


def sweep_of(case: str) -> str:
    """Return the sweep that a case of the probes belongs to."""
    return SWEEPS[case.partition("_")[0]]


def probed(results: Results, metrics_of: Mapping[str, str], xlabel: str) -> Chart:
    """Return the success of a probe on every model, from what a case's metrics begin with."""
    rows: list[Row] = []
    for case, label in PROBED.items():
        page = f"{sweep_of(case)}_table"
        names = {role: f"{metrics_of[case]}_{record_key(role)}_{case}" for role in COMPARED}
        values = {
            role: percent(results.value(page, name))
            for role, name in names.items()
            if name in results.metrics(page)
        }
        rows.append(Row(label, values))

    def draw(theme: Theme, width: float) -> Figure:
        figure = forest(rows, theme, width, xlabel, is_share=False)
        figure.axes[0].set_xlim(0, 103)
        return figure

    return Chart(table(rows, "share, %"), draw)


@CHARTS.register("hidden-attacked")
def attacked(results: Results) -> Chart:
    """Return how many attacked latents show the feature; of digits, as a sure digit."""
    names = {case: f"attack{'_sure' * case.startswith('digits')}" for case in PROBED}
    return probed(results, names, "attacked latents that show the feature, %")


@CHARTS.register("hidden-inverted")
def inverted(results: Results) -> Chart:
    """Return how many inversions of images with the feature show it."""
    names = dict.fromkeys(PROBED, "inverted")
    return probed(results, names, "inverted images that show the feature, %")


def relearning(results: Results, case: str, model: str, n_images: int) -> list[Value]:
    """Return the share, in percent, that shows the feature after each number of steps.

    Ends are the least and the greatest seed, or those of a single run's interval. A list without
    entries: the runs have no such curve.
    """
    values = []
    sweep = sweep_of(case)
    for steps in STEPS:
        name = f"relearned_{model}_{n_images}_{steps}"
        runs = [run for run in seeds_of(results, sweep, case) if name in run]
        if not runs:
            return []
        shares = [run[name] for run in runs]
        mean = float(np.mean(shares))
        of_table = results.metrics(f"{sweep}_table").get(f"{name}_{case}", mean)
        check_mean(f"{name} of {case}", of_table, shares)
        low, high = min(shares), max(shares)
        if len(runs) == 1:
            low, high = (runs[0].get(f"{name}_{end}", math.nan) for end in ("low", "high"))
        values.append(percent((mean, low, high)))
    return values


@CHARTS.register("hidden-relearned")
def relearned(results: Results) -> Chart:
    """Return how soon few images bring the feature back, and images without it as a control."""
    curves = {
        (case, role, kind, n): values
        for case in PROBED
        for role in RELEARNED
        for kind in ("", "control_")
        for n in (8, 32)
        if (values := relearning(results, case, f"{kind}{record_key(role)}", n))
    }
    cells = [
        (PROBED[case], role, "without" if kind else "with", n, steps, *value)
        for (case, role, kind, n), values in curves.items()
        for steps, value in zip(STEPS, values, strict=True)
    ]
    names = ["row", "model", "images' feature", "images", "steps", "share, %", "low", "high"]

    def panel(axis: Axes, case: str, theme: Theme) -> None:
        for (name, role, kind, n), values in curves.items():
            if name != case or n != 8:
                continue
            colour, places = theme.colours[role], range(len(STEPS))
            shares, low, high = zip(*values, strict=True)
            if kind:
                axis.plot(places, shares, ":", color=colour, lw=1.2)
                continue
            axis.fill_between(places, low, high, color=colour, alpha=0.2, lw=0)
            axis.plot(places, shares, f"{MARKERS[role]}-", color=colour, label=LABELS[role], ms=5)
        axis.set_title(PROBED[case], fontsize=9.5, loc="left")
        axis.set_xticks(range(len(STEPS)), [str(steps) for steps in STEPS])
        axis.grid(axis="y")

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow = width <= NARROW
        (rows, columns), height = ((4, 1), 8.2) if is_narrow else ((2, 2), 4.8)
        size = (width, height)
        figure, axes = plt.subplots(rows, columns, figsize=size, squeeze=False, sharey="row")
        for axis, case in zip(axes.flat, PROBED, strict=True):
            panel(axis, case, theme)
        for axis in axes[:, 0]:
            axis.set_ylim(bottom=0)
        figure.supxlabel("steps on eight images", fontsize=10)
        figure.supylabel("samples with the feature, %", fontsize=10)
        legend(figure, axes.flat[0], is_narrow)
        return figure

    return Chart(pd.DataFrame(cells, columns=names), draw)
