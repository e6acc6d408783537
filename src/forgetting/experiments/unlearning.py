"""What the unlearning templates share: directions, models, the gap and what else changed.

Every function works on a `FeatureTask` or on samples by the name of their model.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

import torch
from pydantic import Field
from torch import nn

from forgetting.border.contracts import Generator
from forgetting.border.inference import generate
from forgetting.experiments.context import Experiment, Parameters
from forgetting.experiments.feature_evaluator import FeatureEvaluator
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import GradedSamples, record_key
from forgetting.methods.direction import Direction, LabelledLatents, collect_latents
from forgetting.methods.latent_filter import LatentFilter
from forgetting.metrics.locality import locality
from forgetting.metrics.prevalence import gap_to_retrained

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
    "smoke": {"n_collected": 400, "steps": 20, "rounds": 1, "n_samples": 300},
    "default": {"n_collected": 5000, "steps": 300, "rounds": 6, "n_samples": 5000},
}
"""Presets of the templates that unlearn a feature; a template may add to them."""


class FeatureParameters(Parameters):
    """The parameters of every template that takes a feature from a generator of the zoo."""

    feature: str
    model: str
    n_collected: int = Field(ge=100, le=1_000_000)
    n_samples: int = Field(ge=200, le=100_000)


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
        Mapping[str, HasMetrics] By the name of the model.
    prefix : str
        Goes before the model's key, such as `prevalence_`.
    """
    metrics: dict[str, float] = {}
    for name, outcome in outcomes.items():
        metrics |= outcome.metrics(f"{prefix}{record_key(name)}")
    return metrics


def gaps_to_retrained(graded: Mapping[str, GradedSamples]) -> dict[str, float]:
    """Return what remains of the gap between the original and the retrained model, by name.

    The gap of the original is 1 and that of the retrained model 0. Nothing is returned where no
    model was retrained, or where its interval does not lie below that of the original: a share of
    a gap that may be none says nothing.
    """
    shares = {name: samples.prevalence for name, samples in graded.items()}
    first, last = shares["original"], shares.get("retrained")
    if last is None or last.high >= first.low:
        return {}
    return {
        name: gap_to_retrained(first.share, prevalence.share, last.share)
        for name, prevalence in shares.items()
    }


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
        Sequence[str] Of `locality` that are wanted; one that the feature lacks is left out.
    without : Collection[str]
        Collection[str] Models that are passed over; a retrained model's latents mean other images.

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
