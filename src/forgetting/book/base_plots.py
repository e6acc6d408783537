"""Figures and tables of the pages on base models: samples, training, and what the samples show."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler

from forgetting.book import plots
from forgetting.experiments.base_model import NearestImages
from forgetting.experiments.base_prevalence import Shares
from forgetting.experiments.base_task import BaseTask
from forgetting.metrics import table_columns
from forgetting.models import MODELS

SCALES = {1: 0.42, 3: 0.55}
"""Inches a sample, by the channels of the images."""

N_SHOWN = 96
"""Samples and real images shown."""

N_CLOSEST = 14
"""Samples shown beside their nearest training images."""

DIGIT_SHARE = 10.0
"""Percent of real digits that show a feature: the thresholds are set so."""


def draw_samples(samples: torch.Tensor) -> Figure:
    """Show the first samples of (n, C, H, W), as they come."""
    return plots.image_grid(samples[:N_SHOWN], scale=SCALES[samples.shape[1]])


def draw_interpolations(images: torch.Tensor, steps: int = 14) -> Figure:
    """Show a row of images for each great circle, (n * steps, C, H, W)."""
    return plots.image_grid(images, steps, SCALES[images.shape[1]])


def draw_real(task: BaseTask, show_real: bool) -> Figure | None:
    """Show held-out real images where that is wished and they are at hand."""
    if task.real is None or not show_real:
        print(
            f"Real {task.family} are shown with show_real=true and the data at hand, and in no "
            "published page."
        )
        return None
    print(f"Held-out {task.family}, shuffled:")
    return draw_samples(task.real.floats(task.real.held_out[:N_SHOWN], task.size))


def draw_training(entry: Mapping[str, Any]) -> plt.Axes:
    """Draw the losses of a model of the zoo against its training steps.

    Parameters
    ----------
    entry : Mapping[str, Any]
        The zoo's record, with `kind` and `history`; the first row is not drawn.
    """
    rows, unit = entry["history"][1:], MODELS[entry["kind"]].loss_unit
    if "loss" in entry["history"][-1]:
        return plots.curves(rows, {"loss": "training", "held_out_loss": "held out"}, unit)
    players = [name for name in entry["history"][-1] if name.endswith("_loss")]
    axis = plots.curves(rows, {name: name.removesuffix("_loss") for name in players}, unit)
    axis.set_yscale("log")
    return axis


def distance_table(metrics: Mapping[str, float]) -> pd.DataFrame:
    """Return every metric of `METRICS` of samples and of training images.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Of `measure_fidelity`; what was not measured has no column.
    """
    rows = {
        row: {
            heading: f"{metrics[f'{name}{end}']:{form}}"
            for name, (heading, form) in table_columns().items()
            if f"{name}{end}" in metrics
        }
        for row, end in (("samples", ""), ("training images", "_floor"))
    }
    return pd.DataFrame(rows).T


def draw_digits(metrics: Mapping[str, float], features: Mapping[str, str]) -> Figure:
    """Draw the share of each class, and of each feature with its interval.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Of `measure_prevalence`.
    features : Mapping[str, str]
        The stems of the features' metrics.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 2.8))
    classes = range(10)
    left.bar(classes, [100 * metrics[f"class_share_{d}"] for d in classes], color=plots.BLUE)
    left.set(xticks=classes, xlabel="class, by classifier B", ylabel="share of samples, %")
    rows = []
    for name, stem in features.items():
        share, low, high = (100 * metrics[f"{stem}{end}"] for end in ("", "_low", "_high"))
        rows.append((name.replace("_", " "), share, low, high))
    label = f"samples that show it, % (real digits: {DIGIT_SHARE:g})"
    plots.intervals(rows, label, [plots.BLUE] * len(rows), right)
    right.axvline(DIGIT_SHARE, color="black", lw=1, ls=":")
    right.set_xlim(0, None)
    return figure


def show_prevalence(task: BaseTask, metrics: Mapping[str, float], shares: Shares) -> Styler | None:
    """Draw what samples of digits show, or return the table of what faces show.

    Parameters
    ----------
    metrics, shares : Mapping[str, float]
        Of `measure_prevalence`.
    """
    if task.family == "digits":
        draw_digits(metrics, task.features)
        plt.show()
        return None
    return pd.DataFrame(shares).T.style.format("{:.1%}", na_rep="–")


def draw_memory(distances: NearestImages | None, family: str) -> Figure | None:
    """Draw how far samples and held-out images are from the nearest training image.

    Parameters
    ----------
    distances : NearestImages or None
        None where no real images are at hand; nothing is drawn then.
    family : "digits" or "faces"
    """
    if distances is None:
        return None
    figure, axis = plt.subplots(figsize=(6.4, 2.6))
    for name, values, colour in (
        ("samples", distances.samples, plots.BLUE),
        ("held out", distances.held_out, plots.GREY),
    ):
        axis.hist(values, bins=40, density=True, alpha=0.6, color=colour, label=name)
    axis.set(xlabel=f"distance to the nearest of the training {family}", ylabel="density")
    axis.legend()
    return figure


def draw_closest(
    task: BaseTask, samples: torch.Tensor, distances: NearestImages | None, show_real: bool
) -> Figure | None:
    """Show the samples nearest to a training image above those images, where that is wished."""
    if task.real is None or distances is None or not show_real:
        return None
    closest = distances.samples.argsort()[:N_CLOSEST]
    training = task.real.floats(task.real.train[distances.index[closest]], task.size)
    return plots.image_rows({"samples": samples[closest], "training": training})
