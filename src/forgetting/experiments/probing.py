"""Relearning and the linear probe on several models of one task, and what a record holds of them.

Relearning brings the feature back with a few images, and a linear probe looks for it in the last
layer. `attacks` looks for it in latent space.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.border.inference import generate
from forgetting.errors import warn_if_fewer
from forgetting.experiments.attacks import InversionOutcome
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import GradedSamples
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

MIN_OF_EITHER = 10
"""Samples with the feature, and without it, that a linear probe needs."""


@dataclass(frozen=True)
class RelearningCurve:
    """How soon a model shows the feature again while it is tuned on a few images.

    Attributes
    ----------
    n_images : int
        How many images the model is tuned on, at most.
    prevalence : dict[int, Prevalence]
        The share of fresh samples that show the feature, by the number of steps.
    """

    n_images: int
    prevalence: dict[int, Prevalence]

    def metrics(self, key: str) -> dict[str, float]:
        """Return `relearned_KEY_IMAGES_STEPS` with its interval, for every number of steps."""
        metrics: dict[str, float] = {}
        for steps, share in self.prevalence.items():
            metrics |= share.metrics(f"relearned_{key}_{self.n_images}_{steps}")
        return metrics


def relearn_feature(
    task: FeatureTask,
    models: Mapping[str, Any],
    targets: torch.Tensor,
    inverted: Mapping[str, InversionOutcome],
    latents: torch.Tensor,
    *,
    n_images: int,
    steps: Sequence[int],
) -> dict[str, RelearningCurve]:
    """Tune copies of models on a few images with the feature, and count it in fresh samples.

    Parameters
    ----------
    models : Mapping[str, Any]
        By name; one that was not inverted is left out.
    targets, inverted : Tensor
        The images, and from which latents each model comes nearest to them.
    latents : Tensor
        (N, latent_dim), of the fresh samples.
    n_images : int
        How many of the images are used; all, with a warning, if there are fewer.
    steps : Sequence[int]
        Numbers of steps after which samples are counted.
    """

    def count(model: Any) -> Prevalence:
        return Prevalence.of(task.evaluator.has_feature(generate(model, latents)))

    if inverted:
        warn_if_fewer(n_images, len(targets), "images to relearn")
    curves = {}
    for name, outcome in inverted.items():
        if name in models:
            starts = outcome.inversion.latents[:n_images]
            shares = relearn(
                models[name], targets[:n_images], starts, steps, count, trainable=task.trainable
            )
            curves[name] = RelearningCurve(n_images, shares)
    return curves


@dataclass(frozen=True)
class ProbeGain:
    """By how much a linear probe of the last layer beats one of the latent, in AUC."""

    auc: float

    def metrics(self, key: str) -> dict[str, float]:
        """Return `probe_KEY`."""
        return {f"probe_{key}": self.auc}


def probe_last_layers(
    task: FeatureTask,
    models: Mapping[str, Any],
    latents: torch.Tensor,
    original: GradedSamples,
) -> dict[str, ProbeGain]:
    """Run the linear probe on the last layer of every model.

    Parameters
    ----------
    latents : Tensor
        (N, latent_dim).
    original : GradedSamples
        The original's samples of these latents.

    Returns
    -------
    Gains by the name of the model; none where fewer than `MIN_OF_EITHER` samples show the feature
    or do not show it.
    """
    has_feature = original.has_feature
    n = int(has_feature.sum())
    if min(n, len(has_feature) - n) < MIN_OF_EITHER:
        return {}
    return {
        name: ProbeGain(linear_probe(model, task.last_layer(model), latents, has_feature))
        for name, model in models.items()
    }
