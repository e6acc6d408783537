"""The handful of figures with which a run ends in a terminal; all others are in its record."""

import math

from forgetting.book.beside import figure
from forgetting.book.records import Record
from forgetting.experiments.grading import give_verdict

UNLEARNED = (
    *("prevalence_before", "prevalence_after", "prevalence_retrained", "still_shown_after"),
    *("auc_after", "fid_floor", "fid_before", "fid_after", "fid_retrained", "share_change"),
)
"""Metrics of a model that unlearned a feature, as the tables of the book have them."""

TAMED = (
    *("quantile_before_forget", "quantile_after_forget", "quantile_drop_reference"),
    *("shift_forget", "shift_held_out", "shift_random_sigma"),
    *("fid_floor", "fid_before", "fid_after", "steps"),
)
"""Metrics of a tamed flow."""

PROBED = (
    *("prevalence_before", "prevalence_after", "attack_before", "attack_after"),
    *("attack_retrained", "inverted_after", "probe_before", "probe_after"),
)
"""Metrics of probes."""

IN_BALLS = tuple(
    f"ball_{radius}_{model}"
    for radius in (0, 20, 80)
    for model in ("before", "after", "retrained")
)
"""Metrics of the paper's own attack, with the radii of its template."""

FEW_LABELS = (
    *("prevalence_before", "prevalence_retrained", "prevalence_after_5000"),
    *("prevalence_after_500", "prevalence_after_100", "prevalence_after_500_wrong_10"),
    *("prevalence_after_500_wrong_30", "fid_floor", "fid_after_500"),
)
"""Metrics of unlearning with few labels, and with wrong ones."""

LEADING = {
    "feature_unlearning": UNLEARNED,
    "unlearning_own": UNLEARNED,
    "probes": PROBED,
    "ball_attack": IN_BALLS,
    "few_labels": FEW_LABELS,
    "auditing_own": PROBED,
}
"""The metrics that lead by template; those of a tamed flow for every other that has some."""

N_OTHERS = 10
"""Metrics that are shown of a template that has none of these."""


def lines(record: Record) -> list[str]:
    """Return what a terminal shows of a run: the leading figures, and where all are.

    Parameters
    ----------
    record : dict
        Of the run.
    """
    metrics: dict[str, float] = record["metrics"]
    values = [name for name in metrics if not name.endswith(("_low", "_high", "_std"))]
    leading = [n for n in LEADING.get(record.get("template", ""), TAMED) if n in metrics]
    shown = leading or values[:N_OTHERS]
    width = max(map(len, shown), default=0)
    text = [f"  {name:{width}}  {_figure(name, metrics)}" for name in shown]
    if leading and record.get("template") in ("feature_unlearning", "unlearning_own"):
        if "fid_floor" not in metrics:
            text.append("  There are too few samples for FID: raise n_samples.")
        if verdict := give_verdict(metrics):
            text.append(f"  {verdict}")
    if record.get("parameters", {}).get("preset") == "smoke":
        text.append("preset smoke is a test: these figures measure nothing.")
    text.append(f"{len(values)} metrics are in the record; results/README.md says what each is.")
    return text


def _figure(name: str, metrics: dict[str, float]) -> str:
    """Return a metric with its interval, or with its standard deviation over draws."""
    low, high = (metrics.get(f"{name}_{end}", math.nan) for end in ("low", "high"))
    deviation = metrics.get(f"{name}_std")
    text = figure(name, (metrics[name], low, high))
    return text if deviation is None else f"{text} ± {deviation:.2g}"
