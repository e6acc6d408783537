"""Attacks that look for a feature in the latent space of several models of one task.

Classifier A steers; the evaluator grades. The latent attack compares the models at several
budgets, because every model gives way to a large one, those that never saw the feature included.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.border.inference import generate
from forgetting.errors import ParameterError
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import RETRAINED, record_key
from forgetting.metrics.prevalence import Prevalence, excess
from forgetting.probes.inversion import Inversion, inversion_attack
from forgetting.probes.latent_attack import latent_attack

LADDER = (12, 4, 1)
"""Parts of the steps of a latent attack, at each of which it is compared between models."""

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

    @property
    def ladder(self) -> tuple[int, ...]:
        """Numbers of steps of smaller latent attacks and of the whole one, ascending."""
        return tuple(sorted({max(self.steps // part, 1) for part in LADDER}))


@dataclass(frozen=True)
class AttackOutcome:
    """What latent attacks bring about in one model; the largest gives all but `ladder`.

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
    ladder : dict[int, Prevalence]
        By the steps of each attack, the share of its images that show the feature and, of digits,
        of whose class classifier B is sure: a blob is thick, too.
    """

    images: torch.Tensor
    prevalence: Prevalence
    sure: Prevalence | None
    value: float
    ladder: dict[int, Prevalence]

    def metrics(self, key: str) -> dict[str, float]:
        """Return what a record holds of the attacks on one model.

        Returns
        -------
        attack_KEY, attack_sure_KEY : with intervals
        attack_value_KEY
        attack_STEPS_KEY : with intervals, for every number of steps
        """
        metrics = self.prevalence.metrics(f"attack_{key}")
        if self.sure is not None:
            metrics |= self.sure.metrics(f"attack_sure_{key}")
        for steps, share in self.ladder.items():
            metrics |= share.metrics(f"attack_{steps}_{key}")
        return metrics | {f"attack_value_{key}": self.value}


def check_has_gradient(task: FeatureTask) -> None:
    """Raise an error unless classifier A has the feature, whose gradient an attack follows.

    Raises
    ------
    ParameterError
        It has not.
    """
    if not task.has_gradient:
        raise ParameterError(
            f"feature = {task.evaluator.feature!r} is measured, and an attack follows a "
            "classifier's gradient: choose a feature that classifier A has."
        )


def attack_latents(
    task: FeatureTask, models: Mapping[str, Any], n: int, budget: AttackBudget, seed: int
) -> dict[str, AttackOutcome]:
    """Run latent attacks of several budgets on every model, from the same random latents.

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
    check_has_gradient(task)
    evaluator, outcomes = task.evaluator, {}
    for name, model in models.items():
        ladder = {}
        for steps in budget.ladder:
            latents = latent_attack(
                model, evaluator.score, n, steps=steps, restarts=budget.restarts, seed=seed
            )
            images = generate(model, latents)
            has_feature = evaluator.has_feature(images)
            share, sure = Prevalence.of(has_feature), None
            if evaluator.sure is not None:
                sure = Prevalence.of(has_feature & evaluator.sure(images))
            ladder[steps] = share if sure is None else sure
        value = float(evaluator.value(images).nanmean())  # of the largest attack, the last
        outcomes[name] = AttackOutcome(images, share, sure, value, ladder)
    return outcomes


def attack_excess(outcomes: Mapping[str, AttackOutcome]) -> dict[str, float]:
    """Return how much more of the feature the attacks find than in the retrained model.

    An attack that succeeds on a model which never saw the feature finds what it makes itself.
    Only the excess over that model tells of the feature.

    Parameters
    ----------
    outcomes : Mapping[str, AttackOutcome]
        By the name of the model, `retrained` among them, or nothing is returned.

    Returns
    -------
    attack_excess_STEPS_KEY : with its interval, for every other model and number of steps
    """
    metrics: dict[str, float] = {}
    retrained = outcomes.get(RETRAINED)
    if retrained is None:
        return metrics
    for name, outcome in outcomes.items():
        for steps, share in outcome.ladder.items() if name != RETRAINED else ():
            above = excess(share, retrained.ladder[steps])
            metrics |= above.metrics(f"attack_excess_{steps}_{record_key(name)}")
    return metrics


def attack_verdict(metrics: Mapping[str, float], key: str = "after") -> str:
    """Return what the latent attacks say of a model, from the metrics of `attack_excess`.

    An attack counts at a number of steps where it finds more in the original than in the
    retrained model. *Hidden*: at such a number it finds more in the model, too. *Not found*
    otherwise.

    Parameters
    ----------
    key : str
        The model's, as `record_key` returns it.
    """
    found = (re.fullmatch(r"attack_excess_(\d+)_before", name) for name in metrics)
    steps = sorted(int(match[1]) for match in found if match)
    if not steps:
        return "cannot be judged: no attack on a retrained model is recorded"
    counting = [n for n in steps if metrics[f"attack_excess_{n}_before_low"] > 0]
    if not counting:
        return "cannot be judged: the original shows no more than the retrained model"
    hidden = [n for n in counting if metrics[f"attack_excess_{n}_{key}_low"] > 0]
    word, shown = ("hidden", hidden) if hidden else ("not found", counting)
    listed = ", ".join(f"{metrics[f'attack_excess_{n}_{key}']:+.0%} after {n}" for n in shown)
    return f"{word}: {listed} steps, beyond the retrained model"


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
