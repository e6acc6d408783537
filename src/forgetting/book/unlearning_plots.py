"""Figures of the unlearning templates: each draws what a template has computed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.balls import AROUND, BallOutcome
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.grading import GradedSamples, surely_lacking
from forgetting.experiments.own_audit import TITLES, AuditReport
from forgetting.experiments.probing import InversionOutcome, RelearningCurve
from forgetting.experiments.setting_search import SettingScore, SettingSearch
from forgetting.metrics.prevalence import Prevalence

LOSS_TERMS = {
    "loss_unlearn": "L1 of what is to change",
    "loss_percep": "its 1 - MS-SSIM",
    "loss_recon": "L1 of all others",
}

AUDITED = {
    "before": plots.COLOURS["original"],
    "after": plots.COLOURS["unlearned"],
    "retrained": plots.COLOURS["retrained"],
}
"""Colours of the models of an audit."""

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
    walks : Tensor
        Images (A, P, C, H, W).
    places : Tensor
        (P,), ascending, the projections of the walks' latents.
    threshold : float
        The projection threshold.
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
    """Draw the terms of feature unlearning's loss against the steps, on a logarithmic scale.

    A term that is 0 at every step is left out: rounds have no MS-SSIM.
    """
    terms = {
        name: label for name, label in LOSS_TERMS.items() if any(r.get(name) for r in history)
    }
    axis = plots.curves(history, terms, "terms of the loss")
    axis.set_yscale("log")
    return plots.figure_of(axis)


def score_distributions(
    evaluator: FeatureEvaluator, graded: Mapping[str, GradedSamples]
) -> Figure:
    """Draw how the samples' scores are spread, a panel for each grader, with its threshold.

    Parameters
    ----------
    graded : Mapping[str, GradedSamples]
        Samples by role, `original` among them. Those of its samples that every other grader is
        sure lack the feature are drawn as `lacking`.
    """
    n = len(evaluator.graders)
    figure, axes = plt.subplots(1, n, figsize=(5 * n, 3.2), squeeze=False)
    for axis, grader in zip(axes[0], evaluator.graders, strict=True):
        scores = {name: samples.scores[grader.name] for name, samples in graded.items()}
        lacking = surely_lacking(evaluator, graded["original"], grader)
        if lacking is not None:
            scores["lacking"] = scores["original"][lacking]
        finite = {name: values[torch.isfinite(values)] for name, values in scores.items()}
        bins = torch.linspace(*torch.cat(list(finite.values())).aminmax(), 61).tolist()
        for name, values in finite.items():
            colour, style = role_colour(name), ":" if name == "lacking" else "-"
            axis.hist(
                values, bins, density=True, histtype="step", color=colour, ls=style, label=name
            )
        axis.axvline(grader.threshold, color=plots.COLOURS["reference"], lw=1, ls=":")
        axis.set(xlabel=grader.unit, ylabel="density")
    axes[0, 0].legend()
    return figure


def shares_by_grader(evaluator: FeatureEvaluator, graded: Mapping[str, GradedSamples]) -> Figure:
    """Draw the share of every model's samples that have the feature, by every grader.

    Parameters
    ----------
    graded : Mapping[str, GradedSamples]
        Samples by role.
    """
    shares = {
        grader.title: {
            name: Prevalence.of(samples.scores[grader.name] > grader.threshold)
            for name, samples in graded.items()
        }
        for grader in evaluator.graders
    }
    rows = {
        f"{role}, {title}": share
        for title, by_role in shares.items()
        for role, share in by_role.items()
    }
    return plots.figure_of(_draw_shares(rows, evaluator.feature))


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
    graded : Mapping[str, GradedSamples]
        Samples by model, `original` among them.
    """
    figures = []
    before = graded["original"]
    for selected in (before.has_feature, before.lacks_feature):
        index = torch.nonzero(selected).flatten()[:N_SHOWN]
        if len(index):
            rows = {name: samples.images[index] for name, samples in graded.items()}
            figures.append(plots.image_rows(rows))
    return figures


def settings_trade_off(
    searches: Mapping[str, SettingSearch], beside: Mapping[str, SettingScore], floor: float
) -> Figure:
    """Draw the FID of every setting against the share of samples that show the feature.

    Parameters
    ----------
    searches : Mapping[str, SettingSearch]
        By method; a line joins the settings of one.
    beside : Mapping[str, SettingScore]
        Scores by role, of models without a setting.
    floor : float
        Of FID.
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


def inverted_images(
    targets: torch.Tensor, inverted: Mapping[str, InversionOutcome], n: int = 14
) -> Figure | None:
    """Show the first n targets of an inversion, and below them what each model makes of them.

    Parameters
    ----------
    targets : Tensor
        (N, C, H, W); of none there is no figure.
    inverted : Mapping[str, InversionOutcome]
        By model.
    """
    if not len(targets):
        return None
    rows = {"targets": targets[:n]}
    rows |= {name: outcome.inversion.images[:n] for name, outcome in inverted.items()}
    return plots.image_rows(rows)


def relearning_curves(
    curves: Sequence[Mapping[str, RelearningCurve]],
    control: Sequence[Mapping[str, RelearningCurve]],
    n_targets: int,
) -> Figure:
    """Draw how soon models show the feature again, a panel for each number of images.

    Parameters
    ----------
    curves, control : Sequence[Mapping[str, RelearningCurve]]
        For each number of images, the curves by role: on images with the feature (solid, with
        intervals) and on images without it (dotted).
    n_targets : int
        Images that there are.
    """
    figure, axes = plt.subplots(
        1, len(curves), figsize=(4.75 * len(curves), 3), sharey=True, squeeze=False
    )
    for axis, by_role, without in zip(axes[0], curves, control, strict=True):
        for name, curve in by_role.items():
            steps, shares = list(curve.prevalence), list(curve.prevalence.values())
            low, high = ([100 * getattr(x, end) for x in shares] for end in ("low", "high"))
            colour = role_colour(name)
            axis.plot(steps, [100 * x.share for x in shares], "o-", color=colour, label=name)
            axis.fill_between(steps, low, high, color=colour, alpha=0.15)
            drift = [100 * x.share for x in without[name].prevalence.values()]
            axis.plot(steps, drift, ":", color=colour)
            axis.set_xscale("symlog")
            axis.set_xticks(steps, steps)
            axis.set_xlabel(f"steps on {min(curve.n_images, n_targets)} images")
    axes[0, 0].set_ylabel("samples with the feature, %")
    if curves[0]:
        axes[0, 0].plot([], [], ":", color="gray", label="on images without it")
        axes[0, 0].legend()
    return figure


def ball_curves(outcomes: Mapping[str, BallOutcome]) -> Figure:
    """Draw how often the attack succeeds against the radius of its balls, by the model's name."""
    figure, axis = plt.subplots(figsize=(6.5, 3.2))
    for name, outcome in outcomes.items():
        places = range(len(outcome.prevalence))
        shares = outcome.prevalence.values()
        low, high = ([100 * getattr(x, end) for x in shares] for end in ("low", "high"))
        colour, style = role_colour(name.removesuffix(" around")), "--" if name == AROUND else "-"
        axis.plot(
            places, [100 * x.share for x in shares], f"o{style}", color=colour, label=name, ms=4
        )
        axis.fill_between(places, low, high, color=colour, alpha=0.12, lw=0)
        axis.set_xticks(places, [f"{radius:g}" for radius in outcome.prevalence])
    axis.set_xlabel("radius of the ball")
    axis.set_ylabel("attacked latents\nthat show the feature, %")
    axis.set_ylim(bottom=0)
    axis.legend()
    return figure


def audited_shares(report: AuditReport) -> Figure:
    """Draw the shares that the probes of an audit found in each model, with their intervals."""
    rows, colours = [], []
    for name, title in TITLES.items():
        for key in report.models:
            share, low, high = (
                report.metrics[name.format(key) + end] for end in ("", "_low", "_high")
            )
            rows.append((f"{title}, {key}", share, low, high))
            colours.append(AUDITED[key])
    return plots.figure_of(plots.intervals(rows, "share of images that show the feature", colours))
