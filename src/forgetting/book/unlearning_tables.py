"""Tables of the unlearning templates: each is made of the metrics of one record, or of many."""

from collections.abc import Mapping, Sequence
from typing import get_args

import pandas as pd

from forgetting.book.tables import Parts, Table, key
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.grading import give_verdict, record_key
from forgetting.experiments.setting_search import SettingSearch
from forgetting.metrics import table_columns
from forgetting.metrics.verdict import Word

Column = tuple[str, str]
"""The heading of a table's column and the format of its values."""


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

AT_FLOOR = ", at the floor"
"""What a cell says of a share from which its grader's errors cannot be told."""

MOVED = 0.02
"""The change of an attribute's share beyond which a table lists it."""


def comparison_table(
    metrics: Mapping[str, float], names: Sequence[str], columns: Mapping[str, Column]
) -> pd.DataFrame:
    """Return a table of metrics with a row for each model.

    A cell shows the metric ENTRY_KEY of a model, with its interval where the metrics hold one. It
    is empty where the metric is missing, and a column that would be empty throughout is left out.
    A share no higher than its floor may be is marked: below the floor nothing can be told.

    Parameters
    ----------
    names : Sequence[str]
        Of the models, in words; `floor` is a row of its own.
    columns : Mapping[str, Column]
        By entry, the heading and the format of its values.
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
            floor = metrics.get(f"{entry}_floor_high")
            if floor is not None and name != "floor" and metrics.get(key, 1.0) <= floor:
                cells[heading] += AT_FLOOR
        rows[name] = cells
    table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
    return table[[heading for heading, _ in columns.values() if heading in table]]


def fidelity_table(metrics: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
    """Return every metric of `METRICS` and `fid_real` of models, beside their floors.

    Parameters
    ----------
    metrics, names
        As `fidelity_metrics` returns them, and as `comparison_table` takes them.
    """
    rows = dict(metrics)
    if "fid_real_own" in metrics:
        rows["fid_real_floor"] = metrics["fid_real_own"]
    outside = [f"fid_outside{end}" for end in ("", "_celeba", "_lfw", "_both")]
    columns = {name: (name, ".3g") for name in (*table_columns(), "fid_real", *outside)}
    return comparison_table(rows, ("floor", *names), columns).T


PREVALENCE: dict[str, Column] = {
    "prevalence": ("prevalence", ".1%"),
    "prevalence_outside": ("by face-api", ".1%"),
    "prevalence_strict": ("strict", ".1%"),
    "still_shown": ("still shown", ".1%"),
}
"""How often samples have the feature; beside the floor it is the share that is none."""


def grades_table(metrics: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
    """Return what `grading_metrics` say of the models, a row for each, beside the floors."""
    columns = dict(PREVALENCE)
    columns["still_shown_outside"] = ("still shown, face-api", ".1%")
    columns |= {"auc": ("AUC", ".2f"), "auc_outside": ("AUC, face-api", ".2f")}
    return comparison_table(metrics, ("floor", *names), columns)


def methods_table(metrics: Mapping[str, float], names: Sequence[str]) -> pd.DataFrame:
    """Return prevalence, gap, FID and what else changed, with a row for each model."""
    columns = PREVALENCE | {"gap": ("gap", "+.2f"), "fid": ("FID", ".0f")}
    columns["fid_absent"] = ("FID, absent", ".1f")
    columns |= {"fid_b": ("FID, B", ".1f"), "fid_outside": ("FID, face-api", ".1f")} | LOCALITY
    columns["shift_random_sigma"] = ("shift, sigma", "+.2f")
    return comparison_table(metrics, names, columns)


def probes_table(
    metrics: Mapping[str, float], evaluator: FeatureEvaluator, names: Sequence[str]
) -> pd.DataFrame:
    """Return what the probes found in every model, a row for each, beside its prevalence."""
    columns = {
        "prevalence": ("prevalence", ".1%"),
        "attack": ("latent attack", ".0%"),
        "attack_sure": ("and a sure digit", ".0%"),
        "attack_value": (f"its {evaluator.grader.unit}", ".2f"),
        "inverted": ("inversion attack", ".0%"),
        "inversion_error": ("its error, a pixel", ".3f"),
        "probe": ("linear probe, AUC over the latent's", "+.3f"),
    }
    return comparison_table(metrics, names, columns)


def attacks_table(
    metrics: Mapping[str, float], names: Sequence[str], steps: Sequence[int]
) -> pd.DataFrame:
    """Return what latent attacks of several budgets find, and how much beyond the retrained model.

    Parameters
    ----------
    metrics : Mapping[str, float]
        Those of every `AttackOutcome`, and of `attack_excess`.
    names : Sequence[str]
        Of the models, in words.
    steps : Sequence[int]
        Of the attacks.
    """
    columns = {f"attack_{n}": (f"shows it, {n} steps", ".0%") for n in steps}
    columns |= {f"attack_excess_{n}": (f"beyond retrained, {n}", "+.0%") for n in steps}
    return comparison_table(metrics, names, columns)


def balls_table(
    metrics: Mapping[str, float], names: Sequence[str], radii: Sequence[int]
) -> pd.DataFrame:
    """Return what the attack finds in balls of several radii, which are given in hundredths."""
    columns = {f"ball_{radius}": (f"radius {radius / 100:g}", ".0%") for radius in radii}
    return comparison_table(metrics, names, columns)


def changes_table(metrics: Mapping[str, float], others: Sequence[str]) -> pd.DataFrame:
    """Return what else changed in the samples of one model, in words.

    Parameters
    ----------
    metrics : Mapping[str, float]
        As `locality` returns them.
    others : Sequence[str]
        Names of other attributes; those are listed whose share moved by over `MOVED`.
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


def large_changes(
    parts: Parts, prefix: str = "share_change_", least: float = 0.02
) -> tuple[dict[str, str], dict[str, float]]:
    """Return which attributes' shares changed by more than `least` in the mean over runs.

    Parameters
    ----------
    parts : Parts
        An attribute's column is PREFIX and its name.
    least : float
        Of the change, as a share of the samples.

    Returns
    -------
    A text for each part, in points, or "none"; and `PREFIXNAME_PART` by name.
    """
    texts: dict[str, str] = {}
    figures: dict[str, float] = {}
    for name, part in parts.items():
        columns = [column for column in part if column.startswith(prefix)]
        change = part[columns].mean().dropna()
        large = change[change.abs() > least]
        figures |= {f"{column}_{key(name)}": float(value) for column, value in large.items()}
        points = [
            f"{column.removeprefix(prefix).replace('_', ' ')} {100 * value:+.1f}"
            for column, value in large.items()
        ]
        texts[name] = ", ".join(points) or "none"
    return texts, figures


def verdict_table(parts: Parts) -> Table:
    """Return in how many runs a feature is gone, and how many models are damaged.

    The verdicts are read from the figures of the runs; a run that lacks some has none.

    Returns
    -------
    A row for each part, and `gone_PART` and `damaged_PART`, shares of the runs, by name.
    """
    rows, figures = {}, {}
    for name, part in parts.items():
        verdicts = [give_verdict(run.dropna().to_dict()) for _, run in part.iterrows()]
        words = [verdict.word for verdict in verdicts if verdict]
        damaged = sum(bool(verdict and verdict.is_damaged) for verdict in verdicts)
        rows[name] = {word: words.count(word) for word in get_args(Word)}
        rows[name] |= {"no verdict": verdicts.count(None)}
        rows[name] |= {"and damaged": damaged, "runs": len(part)}
        figures[f"gone_{key(name)}"] = words.count("gone") / len(part)
        figures[f"damaged_{key(name)}"] = damaged / len(part)
    return pd.DataFrame.from_dict(rows, orient="index"), figures
