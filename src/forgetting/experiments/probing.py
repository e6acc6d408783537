"""The four probes on several models of one task, at one budget, and what a record holds of them.

Two attacks look for the feature in latent space, relearning brings it back with a few images, and
a linear probe looks for it in the last layer. Classifier A steers; the evaluator grades.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.errors import ParameterError
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import GradedSamples
from forgetting.inference import generate
from forgetting.metrics.prevalence import Prevalence
from forgetting.probes.inversion import Inversion, inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn

MIN_OF_EITHER = 10
"""Samples with the feature, and without it, that a linear probe needs."""

INVERSION_FACTOR = 4
"""How many times as many steps of Adam the inversion takes as the latent attack."""


@dataclass(frozen=True)
class AttackBudget:
    """How hard both attacks try.

    Attributes
    ----------
    steps : int
        Of Adam, for each restart of the latent attack.
    restarts : int
        Of both attacks; the best of them counts.
    """

    steps: int
    restarts: int


@dataclass(frozen=True)
class AttackOutcome:
    """What a latent attack brings about in one model.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W), one for each attacked latent.
    prevalence : Prevalence
        The share of the images that show the feature.
    sure : Prevalence or None
        The share that show it and of whose class classifier B is sure; None without classes.
    value : float
        The mean value of the images, in the evaluator's unit, without blank ones.
    """

    images: torch.Tensor
    prevalence: Prevalence
    sure: Prevalence | None
    value: float

    def metrics(self, key: str) -> dict[str, float]:
        """Return `attack_KEY` and, with intervals, `attack_sure_KEY` and `attack_value_KEY`."""
        metrics = self.prevalence.metrics(f"attack_{key}")
        if self.sure is not None:
            metrics |= self.sure.metrics(f"attack_sure_{key}")
        return metrics | {f"attack_value_{key}": self.value}


def attack_latents(
    task: FeatureTask, models: Mapping[str, Any], n: int, budget: AttackBudget, seed: int
) -> dict[str, AttackOutcome]:
    """Run the latent attack on every model, from the same random latents.

    Parameters
    ----------
    models : Mapping[str, Any]
        By name.
    n : int
        Latents to attack.
    seed : int
        Of the latents that the attack starts from.

    Returns
    -------
    Outcomes by the name of the model.

    Raises
    ------
    ParameterError
        Classifier A does not have the feature.
    """
    evaluator = task.evaluator
    if not task.has_gradient:
        raise ParameterError(
            f"feature = {evaluator.feature!r} is measured, and an attack follows a classifier's "
            "gradient: choose a feature that classifier A has."
        )
    outcomes = {}
    for name, model in models.items():
        latents = latent_attack(
            model, evaluator.score, n, steps=budget.steps, restarts=budget.restarts, seed=seed
        )
        images = generate(model, latents)
        has_feature = evaluator.has_feature(images)
        sure = None
        if evaluator.sure is not None:
            sure = Prevalence.of(has_feature & evaluator.sure(images))
        value = float(evaluator.value(images).nanmean())
        outcomes[name] = AttackOutcome(images, Prevalence.of(has_feature), sure, value)
    return outcomes


@dataclass(frozen=True)
class InversionOutcome:
    """How near a model comes to given images, and whether the feature is in what it makes.

    Attributes
    ----------
    inversion : Inversion
        The latents that were found, their images and their errors.
    prevalence : Prevalence
        The share of these images that show the feature.
    """

    inversion: Inversion
    prevalence: Prevalence

    @property
    def error(self) -> float:
        """The mean absolute difference of a pixel to the given images, in [0, 1]."""
        return float(self.inversion.errors.mean())

    def metrics(self, key: str) -> dict[str, float]:
        """Return `inverted_KEY` with its interval, and `inversion_error_KEY`."""
        return self.prevalence.metrics(f"inverted_{key}") | {f"inversion_error_{key}": self.error}


def invert_images(
    task: FeatureTask,
    models: Mapping[str, Any],
    targets: torch.Tensor,
    budget: AttackBudget,
    seed: int,
) -> dict[str, InversionOutcome]:
    """Run the inversion attack on every model, with `INVERSION_FACTOR` times the budget's steps.

    Parameters
    ----------
    targets : Tensor
        (N, C, H, W), samples of the original with the feature; of none nothing is returned.
    seed : int
        Of the latents that the attack starts from.
    """
    outcomes = {}
    for name, model in models.items() if len(targets) else ():
        inversion = inversion_attack(
            model,
            targets,
            task.classifier_features,
            steps=INVERSION_FACTOR * budget.steps,
            restarts=budget.restarts,
            seed=seed,
        )
        prevalence = Prevalence.of(task.evaluator.has_feature(inversion.images))
        outcomes[name] = InversionOutcome(inversion, prevalence)
    return outcomes


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
        How many of the images are used.
    steps : Sequence[int]
        Numbers of steps after which samples are counted.
    """

    def count(model: Any) -> Prevalence:
        return Prevalence.of(task.evaluator.has_feature(generate(model, latents)))

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
