"""Figures and tables of the pages on taming; they draw what `forgetting.experiments` computes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.book.unlearning_tables import comparison_table
from forgetting.experiments.context import Experiment
from forgetting.experiments.generation import radius_key, temperature_key
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.likelihood import Comparison
from forgetting.models.glow import Glow

FLOW_COLOURS = {
    "before": plots.COLOURS["original"],
    "after": plots.COLOURS["tamed"],
    "control": plots.COLOURS["control"],
}
SERIES_COLOURS = (plots.RED, plots.BLUE, plots.GREEN, plots.GREY)
SHIFT_LABEL = "shift, sigma of the base (right: less likely)"
N_SHOWN = 14
"""Images in a row."""


class Density(Protocol):
    """A flow on the plane."""

    def log_prob(self, points: torch.Tensor) -> torch.Tensor:
        """Return the log-density (N,) of points (N, 2), in nats."""


def threshold_curve(history: Sequence[Mapping[str, float]], delta: float) -> Figure:
    """Draw the bits/dim of both sets during taming, with the threshold as a dotted line.

    Parameters
    ----------
    history : Sequence[Mapping[str, float]]
        Rows of `tame`, with `step`, `mu`, `sigma` and `forget_bpd`.
    delta : float
        The threshold, in sigma above mu.
    """
    axis = plots.curves(history, {"forget_bpd": "to forget", "mu": "to retain"}, "bits/dim")
    steps = [row["step"] for row in history]
    threshold = [row["mu"] + delta * row["sigma"] for row in history]
    axis.plot(steps, threshold, color="black", ls=":", lw=1)
    axis.annotate("threshold", (steps[-1], threshold[-1]), ha="right", va="bottom", fontsize=9)
    return plots.figure_of(axis)


def likelihood_panel(comparison: Comparison) -> Figure:
    """Draw likelihoods before and after taming, and how far each set moved.

    Left, a histogram of the held-out images with a tick for each image to forget; right, the
    shifts with their intervals.

    Parameters
    ----------
    comparison : Comparison
        Of sets among which are `forget` and `held_out`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
    for name, values in (("before", comparison.before), ("after", comparison.after)):
        colour = FLOW_COLOURS[name]
        left.hist(values["held_out"], bins=30, density=True, alpha=0.5, color=colour, label=name)
        forget = values["forget"]
        left.plot(forget, [0] * len(forget), "|", ms=26, mew=2, color=colour)
    left.set(xlabel="bits/dim; ticks are the images to forget", ylabel="density")
    left.legend()
    shift_intervals(comparison, {"forget"}, right)
    return figure


def shift_intervals(
    comparison: Comparison, to_forget: Iterable[str], axis: Axes | None = None
) -> Axes:
    """Draw how far each set moved in sigma of the base, with 95 % intervals.

    Parameters
    ----------
    to_forget : Iterable[str]
        The sets that are drawn in the colour of the tamed flow.
    """
    names = list(comparison.before)
    drawn: Axes = plots.intervals(
        [(name.replace("_", " "), *comparison.shift(name)) for name in names],
        SHIFT_LABEL,
        [FLOW_COLOURS["after" if name in to_forget else "before"] for name in names],
        axis,
    )
    return drawn


def sample_rows(flows: Mapping[str, Glow], temperature: float, run: Experiment) -> Figure:
    """Show samples of several flows, in each column from the same latent.

    Parameters
    ----------
    run : Experiment
        Its stream "show" gives the latents.
    """
    return plots.image_rows(
        {
            name: flow.sample(N_SHOWN, temperature, run.generator("show"))
            for name, flow in flows.items()
        }
    )


def person_rows(forget: torch.Tensor, person: PersonSplits) -> Figure | None:
    """Show images to forget (N, 3, H, W) above the person's reference images.

    Return None and draw nothing where the images may not be shown, being those of a data set.
    """
    if not person.showable:
        return None
    reference = person.sets["reference"]
    return plots.image_rows({"forgotten": forget[:N_SHOWN], "reference": reference[:N_SHOWN]})


def class_curves(
    history: Sequence[Mapping[str, float]], looks: Sequence[Mapping[str, float]], digit: int
) -> Figure:
    """Draw likelihoods during taming beside the share of samples that show the class.

    Parameters
    ----------
    history : Sequence[Mapping[str, float]]
        Rows of `tame`, with `step`, `mu` and `forget_bpd`.
    looks : Sequence[Mapping[str, float]]
        Rows with `step`, `class_share`, `class_share_low` and `class_share_high`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
    plots.curves(history, {"forget_bpd": "the class", "mu": "the others"}, "bits/dim", left)
    steps = [row["step"] for row in looks]
    share, low, high = (
        [100 * row[f"class_share{end}"] for row in looks] for end in ("", "_low", "_high")
    )
    right.plot(steps, share, "o-", color=FLOW_COLOURS["after"])
    right.fill_between(steps, low, high, color=FLOW_COLOURS["after"], alpha=0.15)
    right.set(xlabel="step", ylabel=f"samples of class {digit}, % (classifier B)", ylim=(0, None))
    return figure


def temperature_table(
    metrics: Mapping[str, float], flows: Iterable[str], temperatures: Sequence[float]
) -> pd.DataFrame:
    """Return FID, KID and the share near the person, a row for each temperature and flow.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `samples_by_temperature`.
    """
    rows = []
    names = list(flows)
    for temperature in temperatures:
        for name in names:
            end = f"{name}_{temperature_key(temperature)}"
            distances = [
                f"{metrics[f'{distance}_{end}']:.0f} ± {metrics[f'{distance}_{end}_std']:.0f}"
                for distance in ("fid", "kid")
            ]
            rows.append((temperature, name, *distances, f"{metrics[f'near_{end}']:.1%}"))
    table = pd.DataFrame(rows, columns=["T", "flow", "FID", "KID", "near"])
    return table.set_index(["T", "flow"])


def mixture_table(metrics: Mapping[str, float], flows: Iterable[str]) -> pd.DataFrame:
    """Return which data set the flows' samples look like, and their FID to each, a row for each.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `mixture_metrics`.
    """
    columns = {"like_lfw": ("like LFW", ".1%")}
    for key, name in (("celeba", "CelebA"), ("lfw", "LFW"), ("both", "both")):
        columns[f"fid_outside_{key}"] = (f"FID to {name}", ".1f")
    return comparison_table(metrics, list(flows), columns)


def fid_by_temperature(
    metrics: Mapping[str, float], flows: Iterable[str], temperatures: Sequence[float]
) -> Figure:
    """Draw each flow's FID against the temperature, with its deviation over draws.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `samples_by_temperature`.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3))
    for name in flows:
        ends = [f"{name}_{temperature_key(temperature)}" for temperature in temperatures]
        means, deviations = (
            [metrics[f"fid_{end}{suffix}"] for end in ends] for suffix in ("", "_std")
        )
        axis.errorbar(
            temperatures, means, deviations, marker="o", color=FLOW_COLOURS[name], label=name
        )
    axis.set(xlabel="temperature of the samples", ylabel="FID, mean over draws", yscale="log")
    axis.legend()
    return figure


def similarity_panel(
    metrics: Mapping[str, float],
    flows: Iterable[str],
    radii: Sequence[float],
    points: Mapping[str, tuple[torch.Tensor, torch.Tensor]],
) -> Figure:
    """Draw similarity around the forgotten images beside the shift of each image's likelihood.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `similarity_around`.
    points : Mapping[str, tuple[Tensor, Tensor]]
        Similarity and shift of each image, from `shift_by_similarity`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3.2))
    for name in flows:
        means = [metrics[f"similarity_{name}_{radius_key(radius)}"] for radius in radii]
        left.plot(radii, means, "o-", color=FLOW_COLOURS[name], label=name)
    left.set(xlabel="distance r from the forgotten latent", ylabel="similarity to the image")
    left.legend()
    for (name, (similarity, shift)), colour in zip(points.items(), SERIES_COLOURS, strict=False):
        right.plot(similarity, shift, ".", ms=4, color=colour, label=name.replace("_", " "))
    right.axhline(0, color="black", lw=0.8)
    right.set(xlabel="similarity to the person", ylabel="shift, sigma of the base")
    right.legend(fontsize=8)
    return figure


def layer_curves(changes: Mapping[str, Sequence[float]], steps_per_block: int) -> Figure:
    """Draw the relative change of each step's layers; lines divide the blocks.

    Parameters
    ----------
    changes : Mapping[str, Sequence[float]]
        For each layer a value for each step, from `layer_changes`.
    """
    figure, axis = plt.subplots(figsize=(8, 3))
    colours = (plots.BLUE, plots.RED, plots.GREEN, plots.GREY)
    n_steps = 0
    for (name, values), colour in zip(changes.items(), colours, strict=True):
        axis.plot(values, color=colour, label=name)
        n_steps = len(values)
    for first in range(steps_per_block, n_steps, steps_per_block):
        axis.axvline(first - 0.5, color="black", lw=0.6)
    axis.set(xlabel="step of flow", ylabel="relative change", yscale="log")
    axis.legend(ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def plane_densities(
    flows: Mapping[str, tuple[Density, Density]], points: torch.Tensor, side: int = 160
) -> Figure:
    """Draw the densities of flows on the plane, before and after, in a row for each library.

    Parameters
    ----------
    flows : Mapping[str, tuple[Density, Density]]
        Each flow before and after taming.
    points : Tensor
        (N, 2), some of those to forget, drawn as dots.
    side : int
        Points of the grid along each axis.
    """
    unit = torch.linspace(0, 1, side)
    x, y = 3.9 * unit - 1.6, 2.6 * unit - 1.05
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), -1).reshape(-1, 2)
    dots = points.T.numpy()
    figure, axes = plt.subplots(
        len(flows), 2, figsize=(9, 3.2 * len(flows)), sharex=True, sharey=True, squeeze=False
    )
    for row, (name, pair) in zip(axes, flows.items(), strict=True):
        for axis, flow, when in zip(row, pair, ("before", "after"), strict=True):
            with torch.no_grad():
                density = flow.log_prob(grid).exp().reshape(side, side).numpy()
            axis.pcolormesh(
                x.numpy(), y.numpy(), density, cmap="Blues", vmin=0, vmax=1, rasterized=True
            )
            axis.plot(*dots, ".", ms=2.5, color="black")
            axis.set(title=f"{name}, {when}")
    return figure
