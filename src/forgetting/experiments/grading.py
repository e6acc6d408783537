"""Samples of several models of the same latents, graded, and what a record holds of the grades.

A record names the original `before` and the unlearned model `after`; `record_key` holds that
convention. A grader's name stands between the measure and the model: `prevalence_outside_after`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from forgetting.border.contracts import Generator
from forgetting.border.inference import generate
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.graders import NAMES, Grader, metric_name
from forgetting.metrics.calibration import Auc
from forgetting.metrics.prevalence import Prevalence
from forgetting.metrics.verdict import Evidence, Verdict, decide
from forgetting.zoo.graders import CLASSIFIER_B, OUTSIDE

RECORD_KEYS = {"original": "before", "unlearned": "after"}
"""How records name the two models of every comparison; other models keep their names."""

RETRAINED = "retrained"
"""The model whose latents mean other images than those of the original."""

MIN_LACKING = 100
"""Samples that surely lack the feature, below which they give neither a floor nor an AUC."""


def record_key(name: str) -> str:
    """Return the ending by which a record names a model's metrics.

    Parameters
    ----------
    name : str
        Of the model, in words, such as `original` or `gradient ascent`.
    """
    return RECORD_KEYS.get(name, name.replace(" ", "_").replace("-", "_"))


@dataclass(frozen=True)
class GradedSamples:
    """A model's samples, and how much of the feature each of them has by every grader.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W), in [0, 1].
    scores : dict[str, Tensor]
        (N,) by the grader's name; not finite where a digit is blank.
    has_feature, lacks_feature : Tensor
        Bool (N,), by the first grader; a blank digit is neither.
    prevalence : Prevalence
        The share of samples that have the feature by the first grader.
    """

    images: torch.Tensor
    scores: dict[str, torch.Tensor]
    has_feature: torch.Tensor
    lacks_feature: torch.Tensor
    prevalence: Prevalence

    @property
    def values(self) -> torch.Tensor:
        """How much of the feature each sample has by the first grader, (N,)."""
        return next(iter(self.scores.values()))

    @property
    def ungraded(self) -> float:
        """The share of samples that have no finite value: they count as without the feature."""
        return float((~torch.isfinite(self.values)).float().mean())


def grade_samples(
    evaluator: FeatureEvaluator, models: Mapping[str, Generator], latents: torch.Tensor
) -> dict[str, GradedSamples]:
    """Decode the same latents with every model and grade the samples.

    Parameters
    ----------
    models : Mapping[str, Module]
        By name.
    latents : Tensor
        (N, latent_dim).
    """
    graded = {}
    for name, model in models.items():
        images = generate(model, latents)
        has_feature = evaluator.has_feature(images)
        graded[name] = GradedSamples(
            images,
            {grader.name: grader.value(images) for grader in _all_graders(evaluator)},
            has_feature,
            evaluator.lacks_feature(images),
            Prevalence.of(has_feature),
        )
    return graded


def describe_graders(task: FeatureTask) -> str:
    """Return a line for each grader with where the feature begins, and one for a missing one."""
    evaluator = task.evaluator
    lines = [
        f"{grader.title}: {evaluator.feature} begins at {grader.threshold:.3f} ({grader.unit})"
        for grader in evaluator.graders
    ]
    if evaluator.labeller is not None and task.outside is None:
        lines.append("No grader from outside: `forgetting data face-api` fetches it with npm.")
    return "\n".join(lines)


def _all_graders(evaluator: FeatureEvaluator) -> list[Grader]:
    """Return the graders, and classifier A where it grades, too."""
    return [*evaluator.graders, *([evaluator.labeller] if evaluator.labeller else [])]


def surely_lacking(
    evaluator: FeatureEvaluator, samples: GradedSamples, grader: Grader
) -> torch.Tensor | None:
    """Return which samples every other grader is sure lack the feature, bool (N,).

    Parameters
    ----------
    samples : GradedSamples
        Of the original.
    grader : Grader
        The one that is left out, because its own floor is measured on these samples.

    Returns
    -------
    None where there is no other grader, as of a measured feature, or where fewer than
    `MIN_LACKING` samples surely lack the feature.
    """
    others = [other for other in _all_graders(evaluator) if other is not grader]
    masks = [
        samples.scores[other.name] < other.surely_absent
        for other in others
        if other.surely_absent is not None
    ]
    if not masks:
        return None
    lacking = torch.stack(masks).all(0)
    return lacking if int(lacking.sum()) >= MIN_LACKING else None


def grading_metrics(
    evaluator: FeatureEvaluator, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return everything that a record holds of the grades.

    Parameters
    ----------
    graded : Mapping[str, GradedSamples]
        Samples by model, `original` among them.

    Returns
    -------
    prevalence_GRADER_KEY : with its interval, for every model; of the first grader and classifier
        A, whose name is `a`, and of any other grader
    prevalence_strict_KEY : by the first grader, at its strict threshold
    prevalence_GRADER_floor, prevalence_strict_floor : the share that a grader finds among samples
        of the original that every other grader is sure lack the feature
    still_shown_GRADER_KEY : of the samples whose original has the feature, the share that has it
    auc_GRADER_KEY : of the scores, a model's samples against those of the retrained model or,
        where there is none, the samples that give the floor
    """
    metrics: dict[str, float] = {}
    for grader in _all_graders(evaluator):
        metrics |= _grades(evaluator, grader, graded)
    first = evaluator.grader
    if first.strict_threshold is not None:
        strict = first.strict_threshold
        for name, samples in graded.items():
            share = Prevalence.of(samples.values > strict)
            metrics |= share.metrics(f"prevalence_strict_{record_key(name)}")
        lacking = surely_lacking(evaluator, graded["original"], first)
        if lacking is not None:
            floor = Prevalence.of(graded["original"].values[lacking] > strict)
            metrics |= floor.metrics("prevalence_strict_floor")
    return metrics


def _grades(
    evaluator: FeatureEvaluator, grader: Grader, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return one grader's shares, floor, shares still shown, and AUCs."""
    metrics: dict[str, float] = {}
    scores = {name: samples.scores[grader.name] for name, samples in graded.items()}
    had_feature = scores["original"] > grader.threshold
    for name, values in scores.items():
        key, has_feature = record_key(name), values > grader.threshold
        metrics |= Prevalence.of(has_feature).metrics(grader.key("prevalence", key))
        if name not in ("original", RETRAINED) and had_feature.any():
            still = Prevalence.of(has_feature[had_feature])
            metrics |= still.metrics(grader.key("still_shown", key))
    lacking = surely_lacking(evaluator, graded["original"], grader)
    if lacking is not None:
        floor = Prevalence.of(had_feature[lacking])
        metrics |= floor.metrics(grader.key("prevalence", "floor"))
    reference = scores.get(RETRAINED)
    if reference is None and lacking is not None:
        reference = scores["original"][lacking]
    if reference is not None:
        for name, values in scores.items():
            if name != RETRAINED:
                auc = auc_against(values, reference)
                metrics |= auc.metrics(grader.key("auc", record_key(name)))
    return metrics


def auc_against(values: torch.Tensor, reference: torch.Tensor) -> Auc:
    """Return the AUC of a model's scores against a reference's; blank digits have the lowest."""
    both = torch.cat([values, reference]).double()
    finite = both[torch.isfinite(both)]
    both = torch.nan_to_num(both, nan=float(finite.min()) - 1)
    return Auc.of(both, torch.arange(len(both)) < len(values))


def read_evidence(metrics: Mapping[str, float], key: str = "after") -> list[Evidence]:
    """Return what every grader says of a model, from the metrics of a record.

    Nothing is returned where a grader has no reference, neither a retrained model nor a floor.

    Parameters
    ----------
    key : str
        The model's, as `record_key` returns it.
    """
    evidence = []
    is_measured = "prevalence_strict_before" not in metrics  # a measurement has no strict share
    titles = {"": "measured"} if is_measured else dict([NAMES[CLASSIFIER_B], NAMES[OUTSIDE]])
    for name, title in titles.items():
        shares = {
            model: metric_name("prevalence", name, model)
            for model in ("before", key, RETRAINED, "floor")
        }
        if shares["before"] not in metrics:
            continue  # this grader was not at hand
        reference = metrics.get(shares[RETRAINED], metrics.get(shares["floor"]))
        auc = metric_name("auc", name, key)
        if reference is None or auc not in metrics:
            return []
        before, after = (
            Prevalence(*_with_interval(metrics, shares[model]), n=0) for model in ("before", key)
        )
        counted = Auc(*_with_interval(metrics, auc))
        evidence.append(Evidence(title, is_measured, before, after, reference, counted))
    return evidence


def _with_interval(metrics: Mapping[str, float], name: str) -> tuple[float, float, float]:
    """Return a number of a record with the ends of its interval."""
    return metrics[name], metrics[f"{name}_low"], metrics[f"{name}_high"]


def give_verdict(metrics: Mapping[str, float], key: str = "after") -> Verdict | None:
    """Return the verdict on a model, from the metrics of a record; None without a reference.

    FID is that of the outside features where the metrics have it. Without FID, nothing is said of
    damage.
    """
    evidence = read_evidence(metrics, key)
    if not evidence:
        return None
    return decide(evidence, deciding_fid(metrics, key), deciding_fid(metrics, "floor"))


def deciding_fid(metrics: Mapping[str, float], key: str) -> float | None:
    """Return the FID that a verdict considers, of a model or of the floor; None without FID."""
    fid = "fid_outside" if "fid_outside_floor" in metrics else "fid"
    return metrics.get(f"{fid}_{key}")
