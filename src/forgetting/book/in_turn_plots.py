"""Figures and tables of the template on several people, forgotten in turn."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from forgetting.book import plots
from forgetting.experiments.in_turn import AT_ONCE, stages
from forgetting.models.glow import Glow


def likeliest_by_turn(
    metrics: Mapping[str, float], names: Sequence[str], delta: float, stop_within: float
) -> Figure:
    """Draw where each person's likeliest image to forget lies after every turn.

    Parameters
    ----------
    metrics : Mapping[str, float]
        `above_K_STAGE`, of `in_turn_metrics`.
    names : Sequence[str]
        Of the people, in the order of their turns.
    delta, stop_within : float
        Of the stopping rule, whose band is grey.
    """
    figure, axis = plt.subplots(figsize=(8, 3.6))
    margin = abs(delta) * stop_within
    axis.axhspan(delta - margin, delta + margin, color=plots.GREY, alpha=0.2, lw=0)
    turns = ["before", *stages(len(names))[:-1]]
    for number, name in enumerate(names, 1):
        values = [metrics[f"above_{number}_{turn}"] for turn in turns]
        share = (number - 1) / max(1, len(names) - 1)
        colour = plt.get_cmap("viridis")(0.85 * share)
        axis.plot(range(len(turns)), values, "o-", color=colour, ms=4)
        axis.annotate(
            name,
            (len(turns) - 1, values[-1]),
            xytext=(8, 0),
            textcoords="offset points",
            va="center",
            color=colour,
        )
        axis.plot(number, values[number], "o", ms=9, mfc="none", color=colour)
    axis.set_xticks(range(len(turns)), ["base", *map(str, range(1, len(turns)))])
    axis.set(xlabel="turn; a ring is the person's own", ylabel="likeliest image, sigma above mean")
    axis.set_xlim(right=len(turns) + 0.4)
    return figure


def costs_table(metrics: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
    """Return a row for every flow: steps, shift of other faces, change of FID, quantile.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Of the run.
    names : Sequence[str]
        Of the people, in the order of their turns.
    """
    rows = {}
    for stage, label in zip(stages(len(names)), [*names, "all at once"], strict=True):
        low, high = (metrics[f"shift_random_sigma_{stage}_{end}"] for end in ("low", "high"))
        change, spread = (metrics[f"fid_change_{stage}{end}"] for end in ("", "_std"))
        rows[label] = {
            "steps": f"{metrics[f'steps_{stage}']:.0f}",
            "shift of others": (
                f"{metrics[f'shift_random_sigma_{stage}']:.2f} ({low:.2f} to {high:.2f})"
            ),
            "FID, change": f"{change:+.1f} ± {spread:.1f}",
            "strangers, quantile": f"{metrics[f'quantile_neutral_{stage}']:.2f}",
        }
    return pd.DataFrame(rows).T


def shown_flows(base: Glow, flows: Mapping[str, Glow]) -> dict[str, Glow]:
    """Return the flows whose samples are shown: the base, after the first and last turn, at once.

    Parameters
    ----------
    flows : Mapping[str, Glow]
        By their stage.
    """
    turns = [name for name in flows if name != AT_ONCE]
    return {
        "base": base,
        "after one": flows[turns[0]],
        "after all": flows[turns[-1]],
        "at once": flows[AT_ONCE],
    }
