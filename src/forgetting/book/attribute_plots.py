"""Figures and tables of the pages on attributes: curves of taming, shares, and FID."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.attribute_samples import temperatures
from forgetting.methods.target_distribution import Target

SHOWN = ("before", "control", "mixed", "after", "beyond")
"""The samples whose FID is shown, by the names in its metrics."""

Rows = Sequence[Mapping[str, float]]


def draw_taming(history: Rows, watched: Rows, control: Rows, attribute: str) -> Figure:
    """Draw the likelihoods during taming, and how often samples show the attribute.

    Parameters
    ----------
    history : Rows
        Of the tamed flow, with `forget_bpd` and `mu`.
    watched, control : Rows
        Looks at the samples of the tamed flow and of the control. A row has `step`, and `a` and
        `b`, the shares by each classifier; those of the tamed flow have `_low` and `_high` as
        well.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
    plots.curves(history, {"forget_bpd": attribute, "mu": "the others"}, "bits/dim", left)
    steps = [row["step"] for row in watched]
    for classifier, colour in (("b", plots.RED), ("a", plots.BLUE)):
        shares, low, high = (
            [100 * row[f"{classifier}{end}"] for row in watched] for end in ("", "_low", "_high")
        )
        label = f"classifier {classifier.upper()}"
        right.plot(steps, shares, "o-", color=colour, label=label)
        right.fill_between(steps, low, high, color=colour, alpha=0.15)
        idle = [100 * row[classifier] for row in control]
        right.plot([row["step"] for row in control], idle, "--", color=colour)
    right.set(xlabel="step", ylabel=f"samples with {attribute}, %", ylim=(0, None))
    right.legend()
    return figure


def draw_target(history: Rows, target: Target, n: int) -> Figure:
    """Draw the measured share of each combination against its target.

    Parameters
    ----------
    history : Rows
        Of `meet_target`; rows without a measurement are passed over.
    n : int
        Samples of each measurement.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3))
    colours = (plots.RED, plots.BLUE, plots.GREEN, plots.GREY)
    measured = [row for row in history if "share_0" in row]
    steps = [row["step"] for row in measured]
    for i, (name, colour) in enumerate(zip(target.combinations, colours, strict=False)):
        shares = [100 * row[f"share_{i}"] for row in measured]
        axis.plot(steps, shares, "o-", color=colour, label=name)
        axis.axhline(100 * float(target.shares[i]), color=colour, ls=":", lw=1)
    axis.set(xlabel="step", ylabel=f"% of {n:,} fresh samples, classifier A", ylim=(0, None))
    axis.legend()
    return figure


def start_table(target: Target, counted: Mapping[str, torch.Tensor]) -> pd.DataFrame:
    """Return the share of each combination in sets of images, beside its target.

    Parameters
    ----------
    counted : Mapping[str, Tensor]
        The number of each image's combination, (N,), by the name of the set.
    """
    columns = {
        name: [f"{float((cells == i).float().mean()):.1%}" for i in range(len(target.shares))]
        for name, cells in counted.items()
    }
    columns["target"] = [f"{share:.1%}" for share in target.shares.tolist()]
    return pd.DataFrame(columns, index=target.combinations)


def share_table(metrics: Mapping[str, float], target: Target) -> pd.DataFrame:
    """Return the share of each combination before and after, by both classifiers."""
    rows = {}
    for i, name in enumerate(target.combinations):
        rows[name] = {"target": f"{metrics[f'target_{i}']:.1%}"} | {
            f"{classifier.upper()}, {when}": f"{metrics[f'share_{classifier}_{when}_{i}']:.1%}"
            for classifier in "ab"
            for when in ("before", "after")
        }
    return pd.DataFrame(rows).T


def fid_table(metrics: Mapping[str, float], temperature: float) -> pd.DataFrame:
    """Return FID at both temperatures: means over the draws and their deviations.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Of `compare_face_samples`.
    temperature : float
        Of the page's samples.
    """
    shown = [name for name in SHOWN if f"fid_{name}" in metrics]
    rows = {}
    for end, value in temperatures(temperature).items():
        pairs = [(metrics[f"fid_{name}{end}"], metrics[f"fid_{name}{end}_std"]) for name in shown]
        heading = f"FID at T = {value:g}"
        if f"n_mixed{end}" in metrics:
            heading += f" (mixed: {metrics[f'n_mixed{end}']:.0f} samples)"
        rows[heading] = [f"{mean:.1f} ± {std:.1f}" for mean, std in pairs]
    return pd.DataFrame(rows, index=shown).T
