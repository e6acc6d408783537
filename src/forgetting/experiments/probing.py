"""Relearning and the linear probe on several models of one task, and what a record holds of them.

Relearning brings the feature back with a few images, and a linear probe looks for it in the last
layer. `attacks` looks for it in latent space.
"""

import math
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
    error : float
        The mean absolute difference of a pixel to these images before the first step, in [0, 1].
    prevalence : dict[int, Prevalence]
        The share of fresh samples that show the feature, by the number of steps.
    """

    n_images: int
    error: float
    prevalence: dict[int, Prevalence]

    def metrics(self, key: str) -> dict[str, float]:
        """Return what a record holds of the curve.

        Returns
        -------
        relearned_KEY_IMAGES_STEPS : with its interval, for every number of steps
        relearning_error_KEY_IMAGES
        """
        metrics = {f"relearning_error_{key}_{self.n_images}": self.error}
        for steps, share in self.prevalence.items():
            metrics |= share.metrics(f"relearned_{key}_{self.n_images}_{steps}")
        return metrics


def common_error(inverted: Sequence[InversionOutcome]) -> float:
    """Return the error of inversion at which all models can begin to relearn.

    It is the median over all images and models. Models that begin at one error have a loss of one
    size, so that a model does not change faster only because its images were farther away.

    Parameters
    ----------
    inverted : Sequence[InversionOutcome]
        One of each model; without any the median is nan.
    """
    if not inverted:
        return math.nan
    return float(torch.cat([outcome.inversion.errors for outcome in inverted]).median())


def relearn_feature(
    task: FeatureTask,
    models: Mapping[str, Any],
    targets: torch.Tensor,
    inverted: Mapping[str, InversionOutcome],
    latents: torch.Tensor,
    *,
    error: float,
    n_images: int,
    steps: Sequence[int],
) -> dict[str, RelearningCurve]:
    """Tune copies of models on a few images, and count the feature in fresh samples.

    Each model is tuned on those images whose error of inversion is nearest to a common one.

    Parameters
    ----------
    models : Mapping[str, Any]
        By name; one that was not inverted is left out.
    targets : Tensor
        (N, C, H, W), images with the feature, or others as a control.
    inverted : Mapping[str, InversionOutcome]
        From which latents each model comes nearest to the images.
    latents : Tensor
        (N, latent_dim), of the fresh samples.
    error : float
        At which the models begin, as nearly as the images allow; see `common_error`.
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
            errors = outcome.inversion.errors
            used = (errors - error).abs().argsort(stable=True)[:n_images]
            starts = outcome.inversion.latents[used]
            shares = relearn(
                models[name], targets[used], starts, steps, count, trainable=task.trainable
            )
            curves[name] = RelearningCurve(n_images, float(errors[used].mean()), shares)
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
