"""The figure of the template on few and on wrong labels."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.few_labels import CASES, NUMBERS, WITH_ERRORS, WRONG, Case

MODELS = {"after": ("unlearned", "unlearned"), "filter": ("latent filter", "filter")}
"""Models of each case: their label and the role that colours them."""


def shares_by_labels(metrics: Mapping[str, float]) -> Figure:
    """Draw what is left against the number of labels, and against the share of wrong ones.

    Parameters
    ----------
    metrics : Mapping[str, float]
        `prevalence_MODEL_CASE` with the ends of their intervals, of `CASES`.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.2), sharey=True)
    errors = (Case(WITH_ERRORS), *(case for case in CASES if case.wrong))
    panels = (
        (left, [case for case in CASES if not case.wrong], list(map(str, NUMBERS))),
        (right, errors, [f"{100 * wrong:g}" for wrong in (0, *WRONG)]),
    )
    for axis, cases, ticks in panels:
        places = range(len(cases))
        for model, (label, role) in MODELS.items():
            names = [f"prevalence_{model}_{case.key}" for case in cases]
            shares, low, high = (
                [100 * metrics[f"{name}{end}"] for name in names] for end in ("", "_low", "_high")
            )
            colour = plots.COLOURS[role]
            axis.fill_between(places, low, high, color=colour, alpha=0.2)
            axis.plot(places, shares, "o-", color=colour, label=label)
        for role, name in (("original", "before"), ("retrained", "retrained")):
            if f"prevalence_{name}" in metrics:
                share, colour = 100 * metrics[f"prevalence_{name}"], plots.COLOURS[role]
                axis.axhline(share, color=colour, ls="--", lw=1, label=role)
        axis.set_xticks(places, ticks)
        axis.grid(axis="y", alpha=0.3)
    left.set(xlabel="labels, none of them wrong", ylabel="samples with the feature, %")
    right.set(xlabel=f"wrong labels among {WITH_ERRORS}, %")
    left.set_ylim(bottom=0)
    left.legend()
    return figure
