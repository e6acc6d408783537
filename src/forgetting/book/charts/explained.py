"""Charts that explain a measure, on made-up data or on the figures of one record."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import norm

from forgetting.book.charts import CHARTS, NARROW, Chart
from forgetting.book.numerals import Results
from forgetting.book.theme import Theme
from forgetting.methods.direction import LabelledLatents, find_direction
from forgetting.metrics.calibration import balanced_threshold, threshold_at
from forgetting.metrics.fidelity import fid

STRICT = 0.005
"""The share of images without a feature that the strict threshold lets pass."""

DELTA = 4.0
"""How many sigma above the mean taming puts its threshold."""


def _figure(width: float, height: float = 3.2) -> tuple[Figure, Axes]:
    """Return a figure with one axis, taller where it is narrow."""
    figure, axis = plt.subplots(figsize=(width, height + 0.5 * (width <= NARROW)))
    return figure, axis


def _line(axis: Axes, x: float, text: str, theme: Theme, top: float, right: bool = True) -> None:
    """Draw a dashed vertical line with its name beside it, at a share of the axis' height."""
    axis.axvline(x, color=theme.ink, lw=1, ls="--")
    axis.annotate(
        text,
        (x, top),
        (4 if right else -4, 0),
        xycoords=axis.get_xaxis_transform(),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top",
        fontsize=9,
    )


@CHARTS.register("explained-direction")
def direction(results: Results) -> Chart:
    """Return a direction in a plane of latents, its threshold, and where erasing leads."""
    generator = torch.Generator().manual_seed(3)
    latents = torch.randn(400, 2, generator=generator)
    score = latents[:, 0] + 0.4 * latents[:, 1] + 0.5 * torch.randn(400, generator=generator)
    has_feature = score >= score.quantile(0.9)
    found = find_direction(LabelledLatents(latents[has_feature], latents[~has_feature]))
    erased, selected = found.erase(latents), found.selects(latents)
    points = pd.DataFrame(
        {
            "kind": "latent",
            "x": latents[:, 0].numpy(),
            "y": latents[:, 1].numpy(),
            "has the feature": has_feature.numpy(),
            "selected": selected.numpy(),
            "x, erased": erased[:, 0].numpy(),
            "y, erased": erased[:, 1].numpy(),
        }
    )
    vector, threshold = found.vector.numpy(), found.projection_threshold
    unit = vector / np.linalg.norm(vector)
    ends = pd.DataFrame(
        {
            "kind": ["end of the direction", "foot of the threshold"],
            "x": [vector[0], threshold * unit[0]],
            "y": [vector[1], threshold * unit[1]],
        }
    )

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = _figure(width, 3.9)
        with_it = points["has the feature"]
        for rows, role, marker, size in (
            (points[~with_it], "lacking", "o", 9),
            (points[with_it], "original", "D", 20),
        ):
            colour = theme.colours[role]
            axis.scatter(rows.x, rows.y, s=size, color=colour, marker=marker, alpha=0.55, lw=0)
        across = (points.x * vector[1] - points.y * vector[0]).abs() / np.linalg.norm(vector)
        shown = points[points.selected & (points.x < 2.4) & (across > 0.5)].sample(
            7, random_state=1
        )
        for _, row in shown.iterrows():
            axis.annotate(
                "",
                (row["x, erased"], row["y, erased"]),
                (row.x, row.y),
                arrowprops={"arrowstyle": "->", "color": theme.colours["filter"], "lw": 1.3},
            )
        foot, aside = threshold * unit, np.array([-unit[1], unit[0]])
        line = np.stack([foot - 5 * aside, foot + 5 * aside])
        axis.plot(*line.T, color=theme.ink, lw=1, ls="--")
        x, y = foot + 2.75 * aside + 0.1 * unit
        axis.text(x, y, "threshold t", fontsize=9)
        arrow = {"arrowstyle": "-|>", "color": theme.colours["unlearned"], "lw": 2.4}
        axis.annotate("", tuple(vector), (0, 0), arrowprops=arrow)
        x, y = vector
        colour = theme.colours["unlearned"]
        axis.text(x + 0.1, y + 0.12, "direction", color=colour, weight="bold")
        axis.text(-3.1, 2.75, "dots lack it", color=theme.colours["lacking"], fontsize=9)
        axis.text(1.9, -2.9, "diamonds\nhave it", color=theme.colours["original"], fontsize=9)
        axis.set(xlim=(-3.2, 3.4), ylim=(-3.1, 3.1), aspect="equal")
        axis.set(xlabel="first value of the latent", ylabel="second value")
        return figure

    return Chart(pd.concat([points, ends], ignore_index=True), draw)


@CHARTS.register("explained-quantile")
def quantile(results: Results) -> Chart:
    """Return where an image lies among others before and after taming, in sigma."""
    metrics = results.metrics("tame_1")
    curve = pd.DataFrame({"sigma above the mean": np.linspace(-3.2, 5.2, 211)})
    curve["density"] = norm.pdf(curve["sigma above the mean"])
    curve["quantile"] = norm.sf(curve["sigma above the mean"])
    images = pd.DataFrame(
        {
            "image": ["before", "after"],
            "quantile": [metrics[f"quantile_{when}_forget"] for when in ("before", "after")],
        }
    )
    images["sigma above the mean"] = norm.isf(images["quantile"])

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = _figure(width)
        x, y = curve["sigma above the mean"], curve["density"]
        axis.plot(x, y, color=theme.ink, lw=1.5)
        before, after = images["sigma above the mean"]
        colour = theme.colours["original"]
        axis.fill_between(x, y, where=x >= before, color=colour, alpha=0.3, lw=0)
        share = images["quantile"][0]
        axis.text(before + 0.2, 0.06, f"quantile\n{share:.2f}", color=colour, fontsize=9)
        for place, role, text in (
            (before, "original", "the image"),
            (after, "tamed", "tamed"),
        ):
            axis.plot(
                place, 0, "os"[role == "tamed"], color=theme.colours[role], ms=8, clip_on=False
            )
            axis.annotate(
                text,
                (place, 0),
                (-4, 8),
                textcoords="offset points",
                ha="right",
                color=theme.colours[role],
                fontsize=9,
            )
        _line(axis, DELTA, f"mean + {DELTA:g} sigma", theme, 0.98, right=False)
        axis.text(-1.35, 0.3, "all other\nimages", ha="right", fontsize=9)
        axis.set(xlabel="bits/dim, in sigma above the mean\n(right: less likely)", ylim=(0, None))
        axis.set(yticks=[], xlim=(-3.2, 5.2))
        axis.spines["left"].set_visible(False)
        return figure

    return Chart(pd.concat([curve, images], ignore_index=True), draw)


@CHARTS.register("explained-fid")
def fid_floor(results: Results) -> Chart:
    """Return FID against the number of images: of a model, and of images of the same kind."""
    n_features, distance, draws = 32, 1.0, 5
    generator = torch.Generator().manual_seed(0)
    rows = []
    for n in (100, 200, 500, 1000, 2000, 5000):
        for draw_number in range(draws):
            real, more, made = torch.randn(3, n, n_features, generator=generator).double()
            made[:, 0] += distance
            rows.append((n, draw_number, fid(real, more), fid(real, made)))
    data = pd.DataFrame(rows, columns=["images", "draw", "floor", "model"])

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = _figure(width)
        for name, role, marker, text, shift in (
            ("model", "unlearned", "s", "a model", 8),
            ("floor", "reference", "o", "floor", -15),
        ):
            mean = data.groupby("images")[name].mean()
            axis.plot(mean, f"{marker}-", color=theme.colours[role], ms=5)
            axis.annotate(
                text,
                (mean.index[3], mean.iloc[3]),
                (0, shift),
                textcoords="offset points",
                ha="center",
                color=theme.colours[role],
                fontsize=9,
            )
        axis.axhline(distance**2, color=theme.ink, lw=0.8, ls=":")
        axis.text(100, distance**2 - 0.1, "of infinitely many", fontsize=9, va="top")
        axis.set(xscale="log", xlabel="images in each set", ylabel="FID")
        ticks = [100, 500, 2000, 5000]
        axis.set_xticks(ticks, [f"{n:,}" for n in ticks])
        axis.minorticks_off()
        axis.set_ylim(-0.35, None)
        axis.grid(axis="y")
        return figure

    return Chart(data, draw)


@CHARTS.register("explained-thresholds")
def thresholds(results: Results) -> Chart:
    """Return how often a weakened feature counts at the balanced and at the strict threshold."""
    generator = torch.Generator().manual_seed(0)
    curves = {
        "images that lack it": norm(-1.8, 1.2),
        "images that have it": norm(1.8, 1.3),
        "weakened": norm(0.55, 0.9),
    }
    normal = torch.randn(len(curves), 20_000, generator=generator)
    scores = {
        name: curve.mean() + curve.std() * values
        for (name, curve), values in zip(curves.items(), normal, strict=True)
    }
    real = torch.cat([scores["images that lack it"], scores["images that have it"]])
    labels = torch.arange(len(real)) >= len(scores["images that lack it"])
    places = {
        "balanced": balanced_threshold(real, labels),
        "strict": threshold_at(real, labels, STRICT),
    }
    data = pd.DataFrame({"score": np.linspace(-6, 6, 121)})
    for name, curve in curves.items():
        data[name] = curve.pdf(data.score)
    shares = pd.DataFrame(
        [
            (name, at, 100 * float((scores[name] > at).float().mean()))
            for at in places.values()
            for name in scores
        ],
        columns=["counted", "threshold", "share, %"],
    )
    labelled = {
        "images that lack it": ("lacking", ":", (-5.6, 0.26), "lack it"),
        "images that have it": ("original", "-", (3.2, 0.24), "have it"),
        "weakened": ("unlearned", "-", (1.55, 0.36), "weakened"),
    }

    def draw(theme: Theme, width: float) -> Figure:
        figure, axis = _figure(width, 3.3)
        for name, (role, style, (x, y), text) in labelled.items():
            colour = theme.colours[role]
            axis.plot(data.score, data[name], style, color=colour, lw=1.8)
            axis.text(x, y, text, color=colour, fontsize=9)
        counted = shares[shares.counted == "weakened"]["share, %"].tolist()
        for (name, place), share in zip(places.items(), counted, strict=True):
            is_left = name == "balanced"
            text = f"{name}\n{share:.0f} % count"
            _line(axis, place, text, theme, 0.98, right=not is_left)
        axis.set(xlabel="score of the classifier", yticks=[], ylim=(0, 0.56), xlim=(-6, 6))
        axis.spines["left"].set_visible(False)
        return figure

    return Chart(pd.concat([data, shares], ignore_index=True), draw)
