"""The figure of the template on membership inference."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.membership import FLOWS, MEMBERS

ATTACKS = ("likely", "unusual")
"""Attackers with one flow."""


def membership_panels(metrics: Mapping[str, float], flows: Sequence[str]) -> Figure:
    """Draw the AUC of every attacker with its interval, a panel for each set of members.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `membership_metrics`.
    flows : Sequence[str]
        Names of the flows in the metrics.
    """
    figure, axes = plt.subplots(1, len(MEMBERS), figsize=(9.5, 3), sharex=True, sharey=True)
    for axis, (name, words) in zip(axes, MEMBERS.items(), strict=True):
        keys = {
            f"{attack}, {flow}": f"{attack}_{name}_{flow}" for attack in ATTACKS for flow in flows
        }
        colours = [plots.COLOURS[FLOWS[flow]] for _ in ATTACKS for flow in flows]
        keys["changed, both flows"] = f"change_{name}"
        rows = []
        for label, key in keys.items():
            value, low, high = (metrics[f"membership_{key}{end}"] for end in ("", "_low", "_high"))
            rows.append((label, value, low, high))
        plots.intervals(rows, "AUC", [*colours, plots.GREY], axis)
        axis.axvline(0.5, color=plots.COLOURS["reference"], ls=":", lw=1)
        axis.set_xlim(-0.02, 1.02)
        axis.set_title(words, fontsize=10, loc="left")
    return figure
