"""Figures of the pages made of many runs: each point is a run, a seed or a person."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.book.tables import over_runs
from forgetting.methods.target_distribution import Target

Parts = Mapping[str, pd.DataFrame]

MODELS = {
    "before": ("original", plots.COLOURS["original"]),
    "after": ("unlearned", plots.COLOURS["unlearned"]),
    "until_gone": ("until gone", plots.COLOURS["until gone"]),
    "filter": ("filter", plots.COLOURS["filter"]),
    "retrained": ("retrained", plots.COLOURS["retrained"]),
}
"""Label and colour of the models of an unlearned feature, by their names in metrics."""

RELEARNING_STEPS = (0, 5, 10, 20, 50)
RELEARNING_IMAGES = (8, 32)
RELEARNING_MODELS = ("before", "after", "until_gone", "retrained")


def draw_seeds(parts: Parts, prefix: str) -> Figure:
    """Draw the shares of each model that `PREFIX_MODEL` counts; each point is a seed."""
    figure, axis = plt.subplots(figsize=(8, 0.55 * len(parts) + 1.1))
    for y, part in enumerate(parts.values()):
        for offset, (name, (label, colour)) in enumerate(MODELS.items()):
            values = 100 * part.get(f"{prefix}_{name}", pd.Series(dtype=float)).dropna()
            if values.empty:
                continue
            places = [y + 0.16 * (offset - 2)] * len(values)
            axis.plot(values, places, "o", ms=4, alpha=0.6, color=colour, label=label)
    handles = dict(zip(*axis.get_legend_handles_labels()[::-1], strict=True))
    axis.legend(handles.values(), handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=5)
    axis.set(yticks=range(len(parts)), yticklabels=list(parts), ylim=(len(parts) - 0.5, -0.5))
    axis.set_xlabel("samples that show the feature, %; each point is a seed")
    axis.grid(axis="x", alpha=0.3)
    return figure


def relearning_columns(part: pd.DataFrame, model: str, images: int) -> list[str]:
    """Return the columns of a relearning curve, or none where a run lacks one of them.

    Parameters
    ----------
    model : str
        As metrics name it; `control_MODEL` is the curve on images without the feature.
    """
    columns = [f"relearned_{model}_{images}_{step}" for step in RELEARNING_STEPS]
    complete = set(columns) <= set(part) and part[columns].notna().all(axis=None)
    return columns if complete else []


def relearning_means(part: pd.DataFrame, case: str) -> dict[str, float]:
    """Return the mean share at each point of the relearning curves, over the seeds of a case.

    Returns
    -------
    relearned_MODEL_IMAGES_STEP_CASE : with its interval, MODEL being one that is tuned on images
        with the feature, or control_MODEL
    relearning_error_MODEL_IMAGES_CASE
    """
    metrics = {}
    for model in (f"{kind}{name}" for kind in ("", "control_") for name in RELEARNING_MODELS):
        for images in RELEARNING_IMAGES:
            for column in relearning_columns(part, model, images):
                name = f"{column}_{case}"
                metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"] = over_runs(
                    part, column
                )
            errors = f"relearning_error_{model}_{images}"
            if errors in part and part[errors].notna().all():  # runs of earlier code have none
                metrics[f"{errors}_{case}"] = float(part[errors].mean())
    return metrics


def draw_relearning(parts: Parts) -> Figure:
    """Draw the share of samples with the feature after relearning, a column for each part.

    Lines are means over the seeds; shades reach from the least seed to the greatest. Dotted lines
    are means on images without the feature.
    """
    figure, axes = plt.subplots(
        len(RELEARNING_IMAGES),
        len(parts),
        figsize=(1.9 * len(parts) + 1, 4.8),
        sharex=True,
        sharey="col",
        squeeze=False,
    )
    for column, (name, part) in enumerate(parts.items()):
        for axis, images in zip(axes[:, column], RELEARNING_IMAGES, strict=True):
            for model in RELEARNING_MODELS:
                if columns := relearning_columns(part, model, images):
                    shares, (label, colour) = 100 * part[columns], MODELS[model]
                    ends = shares.min(), shares.max()
                    axis.plot(
                        RELEARNING_STEPS, shares.mean(), "o-", ms=3, color=colour, label=label
                    )
                    axis.fill_between(RELEARNING_STEPS, *ends, color=colour, alpha=0.15)
                    control = relearning_columns(part, f"control_{model}", images)
                    means = 100 * part[control].mean()
                    axis.plot(RELEARNING_STEPS[: len(means)], means, ":", color=colour)
            axis.set_xscale("symlog")
            axis.set_xticks(RELEARNING_STEPS, RELEARNING_STEPS)
        axes[0, column].set_ylim(0)  # of both rows
        axes[0, column].set_title(name, fontsize=9)
        axes[-1, column].set_xlabel("steps")
    for axis, images in zip(axes[:, 0], RELEARNING_IMAGES, strict=True):
        axis.set_ylabel(f"% with it, {images} images")
    axes[0, 0].legend()
    return figure


def draw_drops(runs: pd.DataFrame, sets: Sequence[str]) -> Figure:
    """Draw how far the quantiles of sets of images dropped; each point is a person.

    Parameters
    ----------
    runs : pd.DataFrame
        With person, n_forget, seed and `quantile_drop_SET`.
    sets : Sequence[str]
        Names of sets of images, four at most.
    """
    long = runs.melt(
        id_vars=["person", "n_forget", "seed"],
        value_vars=[f"quantile_drop_{name}" for name in sets],
        var_name="set",
        value_name="drop",
    )
    long["set"] = long["set"].str.removeprefix("quantile_drop_")
    of_person = long.groupby(["person", "n_forget", "set"], as_index=False)["drop"].mean()
    figure, axis = plt.subplots(figsize=(7.5, 3.2))
    sns.stripplot(
        of_person,
        x="n_forget",
        y="drop",
        hue="set",
        hue_order=list(sets),
        dodge=True,
        palette=[plots.RED, plots.GREEN, plots.BLUE, plots.GREY][: len(sets)],
        ax=axis,
    )
    axis.axhline(0, color="black", lw=0.8)
    axis.set(xlabel="images forgotten", ylabel="drop of the quantile")
    axis.legend(title=None, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    return figure


def draw_ablations(parts: Parts, columns: Mapping[str, str], symlog: str) -> Figure:
    """Draw a column of points for each figure, a row for each part; ticks are the means.

    Parameters
    ----------
    parts : Parts
        Runs by the name of their row.
    columns : Mapping[str, str]
        The label of each column of the runs.
    symlog : str
        The column whose axis is logarithmic away from zero.
    """
    figure, axes = plt.subplots(
        1, len(columns), figsize=(10, 0.32 * len(parts) + 1), sharey=True, squeeze=False
    )
    names = list(parts)[::-1]
    for axis, (column, label) in zip(axes[0], columns.items(), strict=True):
        for y, name in enumerate(names):
            values = parts[name][column].dropna()
            axis.plot(values, [y] * len(values), "o", ms=4, color=plots.BLUE)
            axis.plot([values.mean()], [y], "|", ms=16, mew=2, color=plots.RED)
        axis.axvline(0, color="black", lw=0.6)
        axis.set(xlabel=label, yticks=range(len(names)), yticklabels=names)
        axis.set_ylim(-0.6, len(names) - 0.4)
        if column == symlog:
            axis.set_xscale("symlog", linthresh=1)
            axis.set_xticks([0, 1, 100], ["0", "1", "100"])
            axis.margins(x=0.1)
    return figure


def draw_targets(parts: Parts, targets: Mapping[str, Target]) -> Figure:
    """Draw the shares of each combination before and after beside the target; points are seeds."""
    figure, axes = plt.subplots(1, len(parts), figsize=(9.5, 3.2), sharey=True, squeeze=False)
    classifiers = {"a": (plots.RED, -0.15), "b": (plots.GREEN, 0.15)}
    for axis, (name, part) in zip(axes[0], parts.items(), strict=True):
        target = targets[name]
        for i, share in enumerate(target.shares.tolist()):
            axis.plot([i - 0.4, i + 0.4], [100 * share] * 2, color="black", lw=1)
            for who, (colour, offset) in classifiers.items():
                for when, fill in (("before", "none"), ("after", colour)):
                    values = 100 * part[f"share_{who}_{when}_{i}"]
                    places = [i + offset] * len(part)
                    axis.plot(places, values, "o", mfc=fill, color=colour, ms=4)
        combinations = [text.replace("&", "\n") for text in target.combinations]
        axis.set_xticks(range(len(combinations)), combinations)
        axis.set(title=name)
    axes[0][0].set(ylabel="% of samples", ylim=(0, None))
    for who, (colour, _) in classifiers.items():
        axes[0][-1].plot([], [], "o", color=colour, label=f"classifier {who.upper()}")
    axes[0][-1].plot([], [], "o", mfc="none", color="grey", label="before")
    axes[0][-1].legend(fontsize=8)
    return figure
