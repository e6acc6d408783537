"""What taming did to likelihoods, under the names that records have for it."""

import math
from collections.abc import Iterable, Mapping, Sequence

from forgetting.metrics.likelihood import Comparison


def likelihood_metrics(comparison: Comparison) -> dict[str, float]:
    """Return the quantiles of all sets, before and after, and both flows' deviations.

    Returns
    -------
    quantile_before_SET, quantile_after_SET, quantile_drop_SET : see `Comparison.quantiles`
    sigma_before, sigma_after : deviation of bits/dim over the likelihood reference
    """
    return comparison.quantiles() | {
        "sigma_before": comparison.base.std,
        "sigma_after": comparison.tamed.std,
    }


def shift_metrics(comparison: Comparison, names: Mapping[str, str]) -> dict[str, float]:
    """Return how far sets moved in sigma of the base, with their intervals.

    Parameters
    ----------
    names : Mapping[str, str]
        The metric's name by the name of the set.

    Returns
    -------
    NAME, NAME_low, NAME_high for each set; positive is less likely (see `Comparison.shift`). A
        set of one image has no interval.
    """
    metrics: dict[str, float] = {}
    for set_name, name in names.items():
        shift, low, high = comparison.shift(set_name)
        metrics[name] = shift
        if math.isfinite(low):
            metrics |= {f"{name}_low": low, f"{name}_high": high}
    return metrics


def person_shift_metrics(comparison: Comparison) -> dict[str, float]:
    """Return `shift_SET_sigma` of all sets, with intervals, as the pages on people name them.

    There `random` is the set of held-out faces, and `retained` are random faces of what is
    retained.
    """
    called = {"held_out": "random", "random": "retained"}
    names = {name: f"shift_{called.get(name, name)}_sigma" for name in comparison.before}
    return shift_metrics(comparison, names)


def threshold_metrics(
    comparison: Comparison, delta: float, stop_within: float
) -> dict[str, float]:
    """Return how near to their threshold the images of the set `forget` lie.

    Parameters
    ----------
    delta : float
        The threshold, in sigma of the tamed flow above its mean.
    stop_within : float
        The distance that the stopping rule allows, as a share of |delta|; 0 for no rule.

    Returns
    -------
    reached_low, reached_high : the likeliest and the unlikeliest image, in sigma of the tamed
        flow above its mean
    within_measured : with a stopping rule, the share of images that it allows
    """
    reached = comparison.above("forget")
    metrics = {"reached_low": float(reached.min()), "reached_high": float(reached.max())}
    if stop_within:
        within = (reached - delta).abs() <= stop_within * abs(delta)
        metrics["within_measured"] = float(within.float().mean())
    return metrics


def retrained_quantiles(comparison: Comparison) -> dict[str, float]:
    """Return `quantile_retrained_SET`, the mean quantile of each set under a retrained flow.

    Parameters
    ----------
    comparison : Comparison
        Of the base with the flow that never saw the person.
    """
    return {
        f"quantile_retrained_{name}": float(comparison.tamed.quantile(values).mean())
        for name, values in comparison.after.items()
    }


def reference_minus_neutral(metrics: Mapping[str, float]) -> float:
    """Return how much further the quantile of the reference drops than that of the neutral set.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `likelihood_metrics`.
    """
    return metrics["quantile_drop_reference"] - metrics["quantile_drop_neutral"]


def quantile_lines(metrics: Mapping[str, float], sets: Iterable[str]) -> str:
    """Return a line of text for each set: its quantile before and after, and the drop.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `likelihood_metrics` and, where there are any, of `retrained_quantiles`.
    sets : Iterable[str]
        Names of sets.
    """
    lines = []
    for name in sets:
        before, after, drop = (
            metrics[f"quantile_{which}_{name}"] for which in ("before", "after", "drop")
        )
        line = f"{name:10} quantile {before:.2f} -> {after:.2f}, drop {drop:+.2f}"
        retrained = metrics.get(f"quantile_retrained_{name}")
        lines.append(line if retrained is None else f"{line}; retrained {retrained:.2f}")
    return "\n".join(lines)


def threshold_line(metrics: Mapping[str, float]) -> str:
    """Return a line of text on where the forgotten images lie.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of `threshold_metrics`.
    """
    low, high = metrics["reached_low"], metrics["reached_high"]
    line = f"forgotten images lie {low:.1f} to {high:.1f} sigma above the mean"
    within = metrics.get("within_measured")
    return line if within is None else f"{line}; within: {within:.0%}"


def stop_line(history: Sequence[Mapping[str, float]]) -> str:
    """Return a line of text on how taming ended: its steps, and the share within the rule.

    Parameters
    ----------
    history : Sequence[Mapping[str, float]]
        Rows of `tame`; without a stopping rule no image counts as within it.
    """
    last = history[-1]
    return f"{last['step']} steps; {last.get('within', 0):.0%} of the images within the rule"
