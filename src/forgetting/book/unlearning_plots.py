"""Figures and tables of the unlearning templates: everything is drawn from what was computed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.probing import RelearningCurve
from forgetting.experiments.setting_search import SettingScore, SettingSearch
from forgetting.experiments.unlearning import GradedSamples, record_key
from forgetting.metrics.prevalence import Prevalence

LOSS_TERMS = {
    "loss_unlearn": "L1 of latents that are erased",
    "loss_percep": "their 1 - MS-SSIM",
    "loss_recon": "L1 of all others",
}

Column = tuple[str, str]
"""The heading of a table's column and the format of its values."""

FIDELITY: dict[str, Column] = {
    "fid": ("fid", ".3g"),
    "kid": ("kid", ".3g"),
    "fid_real": ("fid_real", ".3g"),
    "precision": ("precision", ".3g"),
    "recall": ("recall", ".3g"),
}

LOCALITY: dict[str, Column] = {
    "class_changed_present": ("class changed", ".3f"),
    "flipped_present": ("others flipped", ".3f"),
    "l1_present": ("change, present", ".3f"),
    "outside_present": ("outside the rows", ".3f"),
    "l1_absent": ("change, absent", ".3f"),
    "share_change": ("largest share", ".3f"),
}

CHANGES = {
    "l1_present": "mean change of a pixel, feature present",
    "inside_present": "the same, inside the feature's rows",
    "outside_present": "the same, outside them",
    "l1_absent": "mean change of a pixel, feature absent",
    "class_changed_present": "images whose class changed, feature present",
    "class_changed_absent": "images whose class changed, feature absent",
    "flipped_present": "other attributes that flipped, feature present",
    "flipped_absent": "other attributes that flipped, feature absent",
    "drift_absent": "drift of classifier A's features, feature absent",
    "share_change": "largest change of another attribute's share",
}

MOVED = 0.02
"""The change of an attribute's share beyond which a table lists it."""

N_SHOWN = 12
"""Samples in a row of images."""


def role_colour(name: str) -> str:
    """Return the colour of a model by its name, in words.

    Raises
    ------
    KeyError
        No role of `plots.COLOURS` has that name.
    """
    return plots.COLOURS[name.removeprefix("latent ")]


def latent_walks(walks: torch.Tensor, places: torch.Tensor, threshold: float) -> Figure:
    """Draw walks along a direction, one below the other, with a line at the threshold.

    Parameters
    ----------
    walks : images (A, P, C, H, W)
    places : (P,), ascending, the projections of the walks' latents
    threshold : the projection threshold
    """
    figure = plots.image_rows({f"sample {i + 1}": walk for i, walk in enumerate(walks)})
    column = int(torch.searchsorted(places, threshold))
    for axis in figure.axes:
        axis.axvline(column * (walks.shape[-1] + 2) - 0.5, color=plots.COLOURS["unlearned"], lw=2)
    low, high = float(places[0]), float(places[-1])
    figure.axes[-1].set_xlabel(
        f"projection from {low:.1f} to {high:.1f}; the line is the threshold"
    )
    return figure


def loss_terms(history: Sequence[Mapping[str, float]]) -> Figure:
    """Draw the terms of feature unlearning's loss against the steps, on a logarithmic scale."""
    axis = plots.curves(history, LOSS_TERMS, "terms of the loss")
    axis.set_yscale("log")
    return axis.figure


def prevalence_and_values(
    evaluator: FeatureEvaluator, graded: Mapping[str, GradedSamples]
) -> Figure:
    """Draw every model's prevalence with its interval, and how the samples' values are spread.

    Parameters
    ----------
    graded : samples by role, such as `original` or `retrained`
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.5, 3))
    shares = {name: samples.prevalence for name, samples in graded.items()}
    _draw_shares(shares, evaluator.feature, left)
    for name, samples in graded.items():
        finite = samples.values[torch.isfinite(samples.values)]
        colour = role_colour(name)
        right.hist(finite, bins=60, density=True, histtype="step", color=colour, label=name)
    right.axvline(evaluator.threshold, color=plots.COLOURS["reference"], lw=1, ls=":")
    right.set(xlabel=evaluator.unit, ylabel="density")
    right.legend()
    return figure


def shares_at_thresholds(shares: Mapping[str, Mapping[str, Prevalence]], feature: str) -> Figure:
    """Draw the shares of every model's samples at several thresholds, one below the other.

    Parameters
    ----------
    shares : by the threshold's name, then by role
    """
    rows = {
        f"{role}, {threshold}": share
        for threshold, by_role in shares.items()
        for role, share in by_role.items()
    }
    return _draw_shares(rows, feature).figure


def _draw_shares(
    shares: Mapping[str, Prevalence], feature: str, axis: plt.Axes | None = None
) -> plt.Axes:
    """Draw shares in percent; a name begins with its role, up to a comma."""
    return plots.intervals(
        [(name, 100 * x.share, 100 * x.low, 100 * x.high) for name, x in shares.items()],
        f"samples with {feature.replace('_', ' ')}, %",
        [role_colour(name.split(",")[0]) for name in shares],
        axis,
    )


def paired_samples(graded: Mapping[str, GradedSamples]) -> list[Figure]:
    """Show what every model makes of the same latents, in columns.

    The first figure has the first `N_SHOWN` latents whose original sample has the feature, the
    second those whose original sample lacks it. A figure without a latent is left out.

    Parameters
    ----------
    graded : samples by model, `original` among them
    """
    figures = []
    before = graded["original"]
    for selected in (before.has_feature, before.lacks_feature):
        index = torch.nonzero(selected).flatten()[:N_SHOWN]
        if len(index):
            rows = {name: samples.images[index] for name, samples in graded.items()}
            figures.append(plots.image_rows(rows))
    return figures


def comparison_table(
    metrics: Mapping[str, float], names: Sequence[str], columns: Mapping[str, Column]
) -> pd.DataFrame:
    """Return a table of metrics with a row for each model.

    A cell shows the metric ENTRY_KEY of a model, with its interval where the metrics hold one. It
    is empty where the metric is missing, and a column that would be empty throughout is left out.

    Parameters
    ----------
    names : of the models, in words; `floor` is a row of its own
    columns : by entry, the heading and the format of its values
    """
    rows = {}
    for name in names:
        cells = {}
        for entry, (heading, form) in columns.items():
            key = f"{entry}_{record_key(name)}"
            if key in metrics:
                cells[heading] = f"{metrics[key]:{form}}"
            if f"{key}_low" in metrics:
                low, high = (f"{metrics[f'{key}_{end}']:{form}}" for end in ("low", "high"))
                cells[heading] += f" ({low} to {high})"
        rows[name] = cells
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    return table[[heading for heading, _ in columns.values() if heading in table]]


def fidelity_table(metrics: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
    """Return FID, KID, precision and recall of models, a column for each, beside their floors.

    Parameters
    ----------
    metrics : as `fidelity_metrics` returns them
    names : of the models, in words
    """
    rows = {**metrics, "fid_real_floor": metrics["fid_real_own"]}
    return comparison_table(rows, ("floor", *names), FIDELITY).T


def changes_table(metrics: Mapping[str, float], others: Sequence[str]) -> pd.DataFrame:
    """Return what else changed in the samples of one model, in words.

    Parameters
    ----------
    metrics : as `locality` returns them
    others : names of other attributes; those are listed whose share moved by over `MOVED`
    """
    changes = {words: f"{metrics[name]:.3f}" for name, words in CHANGES.items() if name in metrics}
    for name in others:
        change = metrics[f"share_change_{name.lower()}"]
        if abs(change) > MOVED:
            changes[f"share of {name}, after - before"] = f"{change:+.3f}"
    return pd.DataFrame({"change": changes})


def settings_table(searches: Mapping[str, SettingSearch]) -> pd.DataFrame:
    """Return every setting that was tried of every method, and which one was chosen."""
    rows = {}
    for name, search in searches.items():
        tries = zip(search.values, search.scores, strict=True)
        for number, (value, score) in enumerate(tries):
            rows[name, f"{search.knob} {value:.2g}"] = {
                "prevalence, %": f"{score.percent:.1f}",
                "classifier A, %": f"{score.percent_a:.1f}",
                "FID": f"{score.fid:.1f}",
                "": "chosen" if number == search.chosen else "",
            }
    return pd.DataFrame(rows).T


def settings_trade_off(
    searches: Mapping[str, SettingSearch], beside: Mapping[str, SettingScore], floor: float
) -> Figure:
    """Draw the FID of every setting against the share of samples that show the feature.

    Parameters
    ----------
    searches : by method; a line joins the settings of one
    beside : scores by role, of models without a setting
    floor : of FID
    """
    figure, axis = plt.subplots(figsize=(6.8, 3.8))
    for (name, search), marker in zip(searches.items(), "os^DvP" * len(searches), strict=False):
        shares = [score.percent for score in search.scores]
        fids = [score.fid for score in search.scores]
        axis.plot(shares, fids, f"{marker}-", ms=5, lw=1, label=name)
    for name, score in beside.items():
        axis.plot(score.percent, score.fid, "*", ms=11, color=role_colour(name), label=name)
    axis.axhline(floor, color=plots.COLOURS["reference"], lw=0.6, ls=":")
    axis.set(xlabel="samples that show the feature, %", ylabel="FID (dotted: floor)")
    axis.set_yscale("log")
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def relearning_curves(curves: Sequence[Mapping[str, RelearningCurve]], n_targets: int) -> Figure:
    """Draw how soon models show the feature again, a panel for each number of images.

    Parameters
    ----------
    curves : for each number of images, the curves by role
    n_targets : images that there are
    """
    figure, axes = plt.subplots(
        1, len(curves), figsize=(4.75 * len(curves), 3), sharey=True, squeeze=False
    )
    for axis, by_role in zip(axes[0], curves, strict=True):
        for name, curve in by_role.items():
            steps, shares = list(curve.prevalence), list(curve.prevalence.values())
            low, high = ([100 * getattr(x, end) for x in shares] for end in ("low", "high"))
            colour = role_colour(name)
            axis.plot(steps, [100 * x.share for x in shares], "o-", color=colour, label=name)
            axis.fill_between(steps, low, high, color=colour, alpha=0.15)
            axis.set_xscale("symlog")
            axis.set_xticks(steps, steps)
            axis.set_xlabel(f"steps on {min(curve.n_images, n_targets)} images")
    axes[0, 0].set_ylabel("samples with the feature, %")
    if curves[0]:
        axes[0, 0].legend()
    return figure
