"""The front page's answers and tables, made of the records of the book's headline runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from forgetting.book.run import Run, records

Records = Mapping[str, Mapping[str, Any]]
"""Run records by the name of their page."""

Metrics = Mapping[str, float]
Headline = tuple[Metrics, Mapping[str, Any]]
"""The metrics and the parameters of a headline run."""


def read_records(run: Run, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the records of pages that are there, in the order of names.

    A record in the run's own folder of results takes the place of the published one.
    """
    return records(run.results, names)


def percent(metrics: Metrics, name: str) -> str:
    """Return a share in percent, for a sentence."""
    return f"{100 * metrics[name]:.1f} %"


def percent_with_interval(metrics: Metrics, name: str) -> str:
    """Return a share in percent with its interval in brackets, for a sentence."""
    low, high = (100 * metrics[f"{name}_{end}"] for end in ("low", "high"))
    return f"{percent(metrics, name)} ({low:.1f}–{high:.1f})"


def answers(runs: Records) -> str:
    """Return the book's three answers in Markdown, with figures of the records behind them."""
    digits, smiles, people = (
        runs[name]["metrics"]
        for name in ("unlearn_digits_table", "unlearn_gan_smiling", "tame_people_table")
    )
    thick, others = "digits_vae_thick", "quantile_drop_reference_4_images"
    return (
        f"- A VAE draws thick digits in "
        f"{percent_with_interval(digits, f'prevalence_after_{thick}')} of samples after "
        f"unlearning, against {percent(digits, f'prevalence_before_{thick}')} before and "
        f"{percent(digits, f'prevalence_retrained_{thick}')} in a VAE that never saw them.\n"
        f"- A GAN still draws smiles in {percent_with_interval(smiles, 'prevalence_after')} of "
        f"faces after unlearning, against {percent(smiles, 'prevalence_before')} before, by "
        "classifier B at its balanced threshold.\n"
        "- A flow tamed on four photographs of one person moves them from likelihood quantile "
        f"{people['quantile_before_forget_4_images']:.2f} to "
        f"{people['quantile_after_forget_4_images']:.2f}, the person's other photographs by "
        f"{people[others]:.3f} ({people[f'{others}_low']:.3f}–{people[f'{others}_high']:.3f}).\n\n"
        "The tables below count faces at a strict threshold, which one real face in 200 without "
        "the feature passes. At that threshold the GAN's smiles fall from "
        f"{percent(smiles, 'prevalence_strict_before')} to "
        f"{percent(smiles, 'prevalence_strict_after')}. "
        "A strict share serves to compare models; it is not how many faces smile."
    )


def unlearning_table(runs: Records) -> str:
    """Return a Markdown table with a row for every feature that was unlearned."""
    rows = []
    for metrics, parameters in _headlines(runs, "feature_unlearning"):
        strict = "prevalence_strict_before" in metrics
        counted = "prevalence_strict" if strict else "prevalence"
        shares = [
            _interval(metrics, f"{counted}_{model}")
            for model in ("before", "after", "filter", "retrained")
        ]
        rows.append(
            [
                f"{parameters['feature'].replace('_', ' ').lower()}, {parameters['model']}"
                + ", until gone" * (parameters.get("method") == "until_gone"),
                *shares,
                f"{metrics['fid_floor']:.1f}",
                _change(metrics, "fid_{}", ".1f"),
                f"{metrics['steps']:.0f}",
            ]
        )
    return _table(
        "feature | before, % | unlearned, % | filter, % | retrained, % | FID floor | FID | steps",
        rows,
    )


def taming_table(runs: Records) -> str:
    """Return a Markdown table with a row for every set of digits that a flow was tamed on."""
    rows = []
    headlines = _headlines(runs, "taming_images", "taming_class")
    for metrics, parameters in sorted(
        headlines, key=lambda headline: (-headline[1]["delta"], headline[0]["n_forget"])
    ):
        forgotten = f"{metrics['n_forget']:.0f} of class {parameters['digit']}"
        rows.append(
            [
                f"{forgotten}, δ = {parameters['delta']:+g}",
                _change(metrics, "quantile_{}_forget", ".2f"),
                _drops(metrics),
                f"{metrics['shift_random_sigma']:+.2f}",
                _change(metrics, "class_share_{}", ".1f", factor=100),
                f"{metrics['fid_floor']:.0f}, {_change(metrics, 'fid_{}', '.0f')}",
                f"{metrics['steps']:.0f}",
            ]
        )
    return _table(
        "tamed on | quantile | drop: reference, neutral | shift, σ | class, % | FID | steps", rows
    )


def faces_table(runs: Records) -> str:
    """Return a Markdown table with a row for every person whom the flow of faces was tamed on."""
    rows = []
    for metrics, parameters in _headlines(runs, "taming_person"):
        people = {"lfw": parameters["person"].replace("_", " ")}
        people["photograph"] = "an astronaut, never seen"
        n = round(metrics["n_forget"])
        images = f"{n} image{'s' * (n > 1)}"
        person = people.get(parameters["source"], "a face of its own")
        shifts = (f"{metrics[f'shift_{name}_sigma']:+.2f}" for name in ("reference", "neutral"))
        rows.append(
            [
                f"{images} of {person}, δ = {parameters['delta']:+g}",
                _change(metrics, "quantile_{}_forget", ".2f"),
                _drops(metrics),
                ", ".join(shifts),
                f"{metrics['shift_random_sigma']:+.2f}",
                _change(metrics, "near_share_{}", ".1f", factor=100),
                f"{metrics['fid_floor']:.0f}, {_change(metrics, 'fid_{}_t9', '.0f')}",
                f"{metrics['steps']:.0f}",
            ]
        )
    return _table(
        "tamed on | quantile | drop: reference, neutral | shift, σ: reference, neutral | held out "
        "| like the person, % | FID | steps",
        rows,
    )


def _headlines(runs: Records, *templates: str) -> list[Headline]:
    """Return the headline runs of templates, in the order of the records."""
    return [
        (record["metrics"], record["parameters"])
        for record in runs.values()
        if record["template"] in templates and record["role"] == "headline"
    ]


def _interval(metrics: Metrics, name: str) -> str:
    """Return a share in percent with its interval, or a dash where the record lacks it."""
    return percent_with_interval(metrics, name).replace(" %", "") if name in metrics else "–"


def _change(metrics: Metrics, name: str, form: str, factor: float = 1) -> str:
    """Return "before → after" of a metric whose name has a place for either word."""
    before, after = (factor * metrics[name.format(when)] for when in ("before", "after"))
    return f"{before:{form}} → {after:{form}}"


def _drops(metrics: Metrics) -> str:
    """Return by how much the quantiles of reference and neutral images dropped."""
    return ", ".join(f"{metrics[f'quantile_drop_{x}']:+.2f}" for x in ("reference", "neutral"))


def _table(head: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, "|".join(["---"] * (head.count("|") + 1)), *(" | ".join(row) for row in rows)]
    return "\n".join(f"| {line} |" for line in lines)
