"""What the unlearning templates share: directions, models, graded samples and the gap.

Every function works on a `FeatureTask` or on samples by the name of their model. A record names
the original `before` and the unlearned model `after`; `record_key` holds that convention.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from pydantic import Field
from torch import nn

from forgetting.adapters import Generator
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.feature_task import FeatureTask
from forgetting.inference import generate
from forgetting.methods.direction import Direction, LabelledLatents, collect_latents
from forgetting.methods.latent_filter import LatentFilter
from forgetting.metrics.locality import locality
from forgetting.metrics.prevalence import Prevalence, gap_to_retrained

RECORD_KEYS = {"original": "before", "unlearned": "after"}
"""How records name the two models of every comparison; other models keep their names."""


LOCAL_CHANGES = (
    "class_changed_present",
    "flipped_present",
    "l1_present",
    "outside_present",
    "l1_absent",
    "share_change",
)
"""What a table of several models tells of `locality`."""


PRESETS = {
    "smoke": {"n_collected": 400, "steps": 20, "n_samples": 300},
    "default": {"n_collected": 5000, "steps": 300, "n_samples": 5000},
}
"""Presets of the templates that unlearn a feature; a template may add to them."""


class FeatureParameters(Parameters):
    """The parameters of every template that takes a feature from a generator of the zoo."""

    feature: str
    model: str
    n_collected: int = Field(ge=100, le=1_000_000)
    n_samples: int = Field(ge=200, le=100_000)


def record_key(name: str) -> str:
    """Return the ending by which a record names a model's metrics.

    Parameters
    ----------
    name : str
        Of the model, in words, such as `original` or `gradient ascent`.
    """
    return RECORD_KEYS.get(name, name.replace(" ", "_").replace("-", "_"))


def collect_task_latents(run: Experiment, task: FeatureTask, n: int) -> LabelledLatents:
    """Sample the original of a task and label the samples by classifier A.

    The latents come from the run's stream `collect`. Where the feature has no threshold of its
    own, the tenth of the samples with the highest logits is positive.

    Parameters
    ----------
    n : int
        Samples to label.

    Raises
    ------
    DataError
        Too few samples show the feature, or lack it, for a direction.
    """
    return collect_latents(
        task.original,
        task.evaluator.score,
        n,
        threshold=task.evaluator.label_threshold,
        seed=run.seed("collect"),
    )


def walk_along(
    generator: Generator, direction: Direction, anchors: torch.Tensor, places: torch.Tensor
) -> torch.Tensor:
    """Decode latents that are moved along a direction to given projections.

    Parameters
    ----------
    anchors : Tensor
        (A, latent_dim), where the walks start; what is orthogonal to the direction stays.
    places : Tensor
        (P,), the projections <z, z_e> / |z_e| to move every anchor to.

    Returns
    -------
    Images (A, P, C, H, W).
    """
    unit = direction.vector / direction.vector.norm()
    offsets = (places[:, None] - direction.project(anchors)[:, None, None]) * unit
    walks = zip(anchors, offsets, strict=True)
    return torch.stack([generate(generator, anchor + offset) for anchor, offset in walks])


def compared_models(
    task: FeatureTask, direction: Direction, unlearned: nn.Module
) -> dict[str, nn.Module]:
    """Return an unlearned model beside what it is compared with, by name.

    These are `original`, `unlearned`, `filter` (the latent filter along the same direction) and,
    where the zoo has a generator that was trained without the feature, `retrained`.
    """
    models = {"original": task.original, "unlearned": unlearned}
    models["filter"] = LatentFilter(task.original, direction)
    if task.retrained is not None:
        models["retrained"] = task.retrained
    return models


@dataclass(frozen=True)
class GradedSamples:
    """A model's samples, and how much of the feature each of them has.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W), in [0, 1].
    values : Tensor
        (N,), in the evaluator's unit; not finite where a sample is blank.
    has_feature, lacks_feature : Tensor
        Bool (N,); a sample may be neither.
    prevalence : Prevalence
        The share of samples that have the feature, with its interval.
    """

    images: torch.Tensor
    values: torch.Tensor
    has_feature: torch.Tensor
    lacks_feature: torch.Tensor
    prevalence: Prevalence

    @property
    def ungraded(self) -> float:
        """The share of samples that have no finite value: they count as without the feature."""
        return float((~torch.isfinite(self.values)).float().mean())


def grade_samples(
    evaluator: FeatureEvaluator, models: Mapping[str, Any], latents: torch.Tensor
) -> dict[str, GradedSamples]:
    """Decode the same latents with every model and grade the samples.

    Parameters
    ----------
    models : Mapping[str, Any]
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
            evaluator.value(images),
            has_feature,
            evaluator.lacks_feature(images),
            Prevalence.of(has_feature),
        )
    return graded


def prevalence_above(
    graded: Mapping[str, GradedSamples], threshold: float
) -> dict[str, Prevalence]:
    """Return the share of each model's samples whose value exceeds a threshold, by name.

    Parameters
    ----------
    threshold : float
        In the evaluator's unit.
    """
    return {name: Prevalence.of(samples.values > threshold) for name, samples in graded.items()}


class HasMetrics(Protocol):
    """Anything that a record holds for each model, such as a `Prevalence`."""

    def metrics(self, name: str, /) -> dict[str, float]:
        """Return the entries of the record, their names made of `name`."""
        ...


def recorded(outcomes: Mapping[str, HasMetrics], prefix: str = "") -> dict[str, float]:
    """Return the metrics of outcomes by model, under the names that records give the models.

    Parameters
    ----------
    outcomes : Mapping[str, HasMetrics]
        By the name of the model.
    prefix : str
        Goes before the model's key, such as `prevalence_`.
    """
    metrics: dict[str, float] = {}
    for name, outcome in outcomes.items():
        metrics |= outcome.metrics(f"{prefix}{record_key(name)}")
    return metrics


def prevalence_metrics(
    evaluator: FeatureEvaluator, graded: Mapping[str, GradedSamples]
) -> dict[str, float]:
    """Return every model's prevalence with its interval, under the names of the record.

    The names begin with `prevalence_strict` where the evaluator's threshold is strict.
    """
    shares = {name: samples.prevalence for name, samples in graded.items()}
    return recorded(shares, f"{evaluator.prevalence_key}_")


def gaps_to_retrained(graded: Mapping[str, GradedSamples]) -> dict[str, float]:
    """Return what remains of the gap between the original and the retrained model, by name.

    The gap of the original is 1 and that of the retrained model 0. Nothing is returned where no
    model was retrained, or where it shows the feature as often as the original.
    """
    shares = {name: samples.prevalence.share for name, samples in graded.items()}
    first, last = shares["original"], shares.get("retrained")
    if last is None or first == last:
        return {}
    return {name: gap_to_retrained(first, share, last) for name, share in shares.items()}


def locality_metrics(
    evaluator: FeatureEvaluator,
    graded: Mapping[str, GradedSamples],
    entries: Sequence[str] = LOCAL_CHANGES,
    *,
    without: Collection[str] = ("original", "retrained"),
) -> dict[str, float]:
    """Return what else changed between the original's samples and every other model's.

    Parameters
    ----------
    entries : Sequence[str]
        Of `locality` that are wanted; one that the feature lacks is left out.
    without : Collection[str]
        Models that are passed over; a retrained model's latents mean other images.

    Returns
    -------
    ENTRY_KEY : for every entry and model.
    """
    metrics = {}
    before = graded["original"].images
    for name, samples in graded.items():
        if name in without:
            continue
        changes = locality(evaluator, before, samples.images)
        for entry in entries:
            if entry in changes:
                metrics[f"{entry}_{record_key(name)}"] = changes[entry]
    return metrics
