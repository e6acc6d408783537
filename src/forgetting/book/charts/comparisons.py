"""Charts of what parts of the loss do, of two methods on one flow, and of graders."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.charts.drawing import (
    Row,
    check_mean,
    forest,
    label_points,
    legend,
    percent,
    plain_ticks,
    seeds_of,
    share_scale,
    table,
)
from forgetting.book.charts.unlearning import SHARE
from forgetting.book.numerals import Results
from forgetting.book.theme import LABELS, MARKERS, Theme
from forgetting.experiments.grading import record_key

PARTS = {
    "as_here": "nothing changed",
    "no_pixels": "no L1 in unlearning",
    "no_perceptual": "no MS-SSIM",
    "mean_over_pixels": "L1 a mean, not a sum",
    "no_reconstruction": "no reconstruction",
    "alpha_third": "a third of α",
    "alpha_three": "three times α",
    "unit_vector": "unit vector",
    "unit_vector_faster": "unit vector, rate doubled",
    "prevalence_threshold": "threshold at the mean of all",
    "fifty_positive": "a tenth of the samples",
    "five_thousand_positive": "ten times the samples",
}
"""Cases of the ablations, in words."""

WAYS = {
    "original": ("before", "original"),
    "filter": ("filter", "latent filter"),
    "unlearned": ("after", "unlearned"),
    "tamed as far": ("tamed_as_far", ""),
    "tamed": ("tamed", "tamed, 200 steps"),
}
"""Models of the flow: what the record calls them, and their label, if it is no metric."""

GRADED = {
    "unlearn_gan_smiling": "GAN, smiles",
    "unlearn_smiling": "VAE, smiles",
    "unlearn_eyeglasses": "VAE, eyeglasses",
}
"""Pages on which graders disagree, in words."""

THRESHOLDS = {"strict_": "B, strict", "": "B, balanced", "outside_": "face-api"}
"""Graders and their thresholds, by what their metrics begin with."""


def parts(results: Results, metric: str, factor: float, xlabel: str) -> Chart:
    """Return what a metric, times a factor, becomes when one part of the loss is changed."""
    page, sweep = "unlearn_ablations_table", "unlearn_ablations"
    metrics = results.metrics(page)
    names = {role: f"{metric}_{record_key(role)}_as_here" for role in ("original", "retrained")}
    names["reference"] = f"{metric}_floor_as_here"
    beside = {role: factor * metrics[name] for role, name in names.items() if name in metrics}
    cells = []
    for case, label in PARTS.items():
        own = [factor * run[f"{metric}_after"] for run in seeds_of(results, sweep, case)]
        for role in ("unlearned", "filter"):
            mean = factor * metrics[f"{metric}_{record_key(role)}_{case}"]
            seeds = own if role == "unlearned" and own else [mean]
            check_mean(f"{page}: {metric} of {case}", mean, seeds)
            cells.append((label, role, mean, min(seeds), max(seeds)))
    data = pd.DataFrame(cells, columns=["row", "model", xlabel, "least seed", "greatest seed"])

    def draw(theme: Theme, width: float) -> Figure:
        is_narrow, labels = width <= NARROW, list(PARTS.values())
        height = (0.44 if is_narrow else 0.3) * len(labels) + 1.2
        figure, axis = plt.subplots(figsize=(width, height))
        for role, x in beside.items():
            style = ":" if role == "reference" else "-"
            axis.axvline(x, color=theme.colours[role], lw=1.4, ls=style, label=LABELS[role])
        for label, role, mean, low, high in cells:
            y, colour = labels.index(label), theme.colours[role]
            axis.plot([low, high], [y, y], color=colour, lw=2, alpha=0.55)
            mark = axis.plot(mean, y, MARKERS[role], color=colour, label=LABELS[role], ls="none")
            mark[0].set_fillstyle("none" if role == "filter" else "full")
        for y, label in enumerate(labels) if is_narrow else ():
            text = axis.text(0, y - 0.27, label, transform=axis.get_yaxis_transform(), zorder=3)
            text.set_bbox({"facecolor": theme.background, "edgecolor": "none", "pad": 0.5})
        axis.set_yticks(range(len(labels)), [] if is_narrow else labels)
        axis.tick_params(axis="y", length=0)
        axis.set_ylim(len(labels) - 0.5, -0.75)
        if metric == "fid":
            axis.set_xscale("log")
            plain_ticks(axis.xaxis, (2, 5, 10, 20, 50, 100, 200))
        else:
            share_scale(axis, data["greatest seed"].max())
        axis.set_xlabel(xlabel)
        axis.grid(axis="x")
        axis.spines["left"].set_visible(False)
        legend(figure, axis, is_narrow)
        return figure

    return Chart(data, draw)


@CHARTS.register("parts-shares")
def parts_shares(results: Results) -> Chart:
    """Return how much of the feature is left when one part of the loss is changed."""
    return parts(results, "prevalence", 100, SHARE)


@CHARTS.register("parts-fid")
def parts_fid(results: Results) -> Chart:
    """Return the FID when one part of the loss is changed."""
    return parts(results, "fid", 1, "FID to the original's samples without the feature")


@CHARTS.register("two-ways")
def two_ways(results: Results) -> Chart:
    """Return FID against the smiles that are left, of both methods on one flow."""
    metrics = results.metrics("flow_two_ways")
    early = f"tamed, {metrics['steps_tamed_as_far']:.0f} steps"
    rows = [
        (label or early, 100 * metrics[f"prevalence_{key}"], metrics[f"fid_{key}"])
        for key, label in WAYS.values()
    ]
    data = pd.DataFrame(rows, columns=["model", "smiles, %", "FID"])

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = plt.subplots(figsize=(width, 3.5))
        points = {name: row[1:] for name, row in zip(WAYS, rows, strict=True)}
        for path in (("original", "tamed as far", "tamed"), ("original", "unlearned")):
            x, y = zip(*(points[name] for name in path), strict=True)
            axis.plot(x, y, color=theme.faint, lw=1.5, ls="--" if "tamed" in path else "-")
        named: dict[str, tuple[float, float]] = {}
        colours: dict[str, str] = {}
        for (name, point), (label, *_) in zip(points.items(), rows, strict=True):
            role = name.removesuffix(" as far")
            named[label], colours[label] = point, theme.colours[role]
            axis.plot(
                *point, "D" if role == "tamed" else MARKERS[role], color=colours[label], ms=7
            )
        axis.axhline(metrics["fid_floor"], color=theme.ink, lw=0.8, ls=":")
        axis.text(0.6, metrics["fid_floor"], "floor", va="bottom", fontsize=9)
        axis.set(xlabel="samples that smile, by classifier B, %", ylabel="FID", yscale="log")
        axis.set(xlim=(0, 75), ylim=(6, 300))
        plain_ticks(axis.yaxis, (10, 20, 50, 100, 200))
        axis.grid(axis="both")
        label_points(axis, named, colours)
        return figure

    return Chart(data, draw)


@CHARTS.register("graders")
def graders(results: Results) -> Chart:
    """Return what three ways of counting say of the same samples."""
    rows = []
    for page, label in GRADED.items():
        for prefix, grader in THRESHOLDS.items():
            names = {"original": "before", "unlearned": "after", "reference": "floor"}
            values = {
                role: percent(results.value(page, f"prevalence_{prefix}{name}"))
                for role, name in names.items()
            }
            rows.append(Row(f"{label}: {grader}", values))
    return Chart(table(rows, "share, %"), lambda theme, width: forest(rows, theme, width, SHARE))
