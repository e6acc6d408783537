"""Figures and tables of the page on the classifiers of faces."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
import torch
from matplotlib.figure import Figure
from pandas.io.formats.style import Styler
from sklearn.calibration import calibration_curve

from forgetting.book import plots
from forgetting.experiments.face_classifiers import Classifiers, HeldOutScores, Verification
from forgetting.metrics.calibration import Auc
from forgetting.zoo import references

Aucs = Mapping[tuple[str, int, str], Auc]
Rows = Mapping[tuple[str, int, str], Mapping[str, float]]

COLOURS = {"a": plots.BLUE, "b": plots.RED}
MARKERS = {64: "o", 32: "|"}
GOOD = 0.9
"""The AUC above which classifier B is trusted with an attribute."""


def auc_table(aucs: Aucs) -> pd.DataFrame:
    """Return the AUCs of the study's attributes with their intervals, a column for each size."""
    columns: dict[str, dict[str, str]] = {}
    for (name, size, attribute), auc in aucs.items():
        if attribute in references.FACE_FEATURES:
            text = f"{auc.value:.3f} ({auc.low:.3f} to {auc.high:.3f})"
            columns.setdefault(f"{name.upper()}, {size} px", {})[attribute] = text
    return pd.DataFrame(columns)


def draw_aucs(aucs: Aucs) -> Figure | None:
    """Draw the AUC of every attribute, the best of classifier A at 64 px first."""
    order = [attribute for name, size, attribute in aucs if (name, size) == ("a", 64)]
    if not order:
        return None
    order.sort(key=lambda attribute: -aucs["a", 64, attribute].value)
    figure, axis = plt.subplots(figsize=(6.4, 8.6))
    for name, colour in COLOURS.items():
        for size, marker in MARKERS.items():
            values = [aucs[name, size, attribute].value for attribute in order]
            label = f"classifier {name.upper()}, {size} px"
            axis.scatter(values, range(len(order)), color=colour, marker=marker, s=28, label=label)
    axis.set_yticks(range(len(order)), [name.replace("_", " ") for name in order], fontsize=8)
    axis.set(xlabel="AUC on held-out people", ylim=(len(order) - 0.3, -0.7))
    axis.axvline(GOOD, color=plots.GREY, lw=0.8)
    axis.grid(axis="y", alpha=0.25)
    axis.legend(loc="upper left")
    return figure


def accuracy_table(rows: Rows) -> Styler:
    """Return accuracy, calibration error and recall of each classifier and attribute.

    Parameters
    ----------
    rows : Rows
        Of `measure_accuracy`.
    """
    headings = {
        "frequent": "frequent answer",
        "accuracy": "accuracy",
        "calibration_error": "calibration error",
        "recall": "found by B",
    }
    frame = pd.DataFrame(
        {
            (f"{name.upper()}, {size} px", attribute): row
            for (name, size, attribute), row in rows.items()
        }
    ).T.rename(columns=headings)
    return frame.style.format("{:.1%}", na_rep="")


def draw_calibration(classifiers: Classifiers, scores: HeldOutScores | None) -> Figure | None:
    """Draw the share of faces that show an attribute against the probability that they do."""
    if scores is None:
        return None
    figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), sharey=True)
    for axis, (size, faces) in zip(axes, scores.faces.items(), strict=True):
        for name, colour in COLOURS.items():
            attributes = classifiers[name].attributes
            columns = [attributes.index(attribute) for attribute in references.FACE_FEATURES]
            probability = torch.sigmoid(scores.logits[name, size][:, columns]).flatten()
            shown = faces.labels[:, columns].flatten()
            share, mean = calibration_curve(shown, probability, n_bins=10)
            axis.plot(mean, share, "o-", color=colour, label=f"classifier {name.upper()}")
        axis.plot([0, 1], [0, 1], color=plots.GREY, lw=0.8)
        axis.set(title=f"{size} px, six attributes", xlabel="probability given")
    axes[0].set_ylabel("share that shows it")
    axes[0].legend()
    return figure


def agreement_table(rows: Mapping[tuple[str, str], Mapping[str, float]]) -> Styler:
    """Return what both classifiers find in images without labels, by kind and attribute.

    Parameters
    ----------
    rows : Mapping[tuple[str, str], Mapping[str, float]]
        Of `measure_agreement`.
    """
    forms = {
        "classifier A": "{:.1%}",
        "classifier B": "{:.1%}",
        "agree": "{:.1%}",
        "correlation": "{:.2f}",
    }
    headings = {"share_a": "classifier A", "share_b": "classifier B", "agreement": "agree"}
    frame = pd.DataFrame(dict(rows)).T.rename(columns=headings)
    return frame.style.format(forms, na_rep="")


def draw_verification(rows: Mapping[int, Verification]) -> Figure | None:
    """Draw the similarities of pairs of one person and of strangers, at both sizes."""
    if not rows:
        return None
    figure, axes = plt.subplots(1, len(rows), figsize=(8.4, 2.8), squeeze=False)
    bins = torch.linspace(-0.6, 1, 60).tolist()
    for axis, (size, row) in zip(axes[0], rows.items(), strict=True):
        for mask, label, colour in (
            (row.same, "one person", plots.RED),
            (~row.same, "strangers", plots.GREY),
        ):
            values = row.similarity[mask]
            axis.hist(values, bins, density=True, alpha=0.6, color=colour, label=label)
        axis.axvline(row.threshold, color="black", lw=0.8)
        axis.set(title=f"{size} px, AUC {row.auc.value:.3f}", xlabel="similarity", yticks=[])
    axes[0][0].legend(loc="upper left")
    return figure
