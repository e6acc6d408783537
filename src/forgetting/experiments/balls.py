"""The paper's attack on several models of one task, in balls of several radii.

Classifier A steers; the evaluator grades. A latent filter is attacked twice: through its own edit,
as one who must pass the filter would, and around it, as one who holds the weights would.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from forgetting.border.inference import generate
from forgetting.experiments.attacks import check_has_gradient
from forgetting.experiments.feature_task import FeatureTask
from forgetting.experiments.grading import RETRAINED, record_key
from forgetting.methods.direction import Direction
from forgetting.metrics.prevalence import Prevalence, excess
from forgetting.probes.ball_attack import Form, ball_attack

PARTS = (8, 4, 2, 1)
"""Into how many parts the largest radius is divided for each ball."""

AROUND = "filter around"
"""The name of a filter whose weights are attacked behind its edit."""


@dataclass(frozen=True)
class BallBudget:
    """How far and how hard the attack tries.

    Attributes
    ----------
    radius : float
        Of the largest ball, in deviations of N(0, I).
    steps, restarts : int
        As `ball_attack` takes them.
    """

    radius: float
    steps: int
    restarts: int

    @property
    def radii(self) -> tuple[float, ...]:
        """The radii of all balls, ascending."""
        return tuple(self.radius / part for part in PARTS)


@dataclass(frozen=True)
class BallOutcome:
    """What the attack brings about in one model.

    Attributes
    ----------
    images : Tensor
        (N, C, H, W), of the largest ball.
    prevalence : dict[float, Prevalence]
        By the radius, 0 for the centres themselves, the share of images that show the feature and,
        of digits, of whose class classifier B is sure: a blob is thick, too.
    """

    images: torch.Tensor
    prevalence: dict[float, Prevalence]

    def metrics(self, key: str) -> dict[str, float]:
        """Return `ball_RADIUS_KEY` with its interval, the radius in hundredths."""
        metrics: dict[str, float] = {}
        for radius, share in self.prevalence.items():
            metrics |= share.metrics(f"ball_{hundredths(radius)}_{key}")
        return metrics


def hundredths(radius: float) -> int:
    """Return a radius as metrics name it."""
    return round(100 * radius)


def with_filter_around(
    models: Mapping[str, Any], direction: Direction, latents: torch.Tensor
) -> dict[str, tuple[Any, torch.Tensor]]:
    """Return each model with the latents around which it is attacked, and the filter twice.

    Parameters
    ----------
    models : Mapping[str, Any]
        By name, `original` among them.
    latents : Tensor
        (N, latent_dim).
    """
    attacked = {name: (model, latents) for name, model in models.items()}
    attacked[AROUND] = models["original"], direction.erase(latents)
    return attacked


def attack_in_balls(
    task: FeatureTask,
    attacked: Mapping[str, tuple[Any, torch.Tensor]],
    budget: BallBudget,
    seed: int,
    form: Form = "meant",
) -> dict[str, BallOutcome]:
    """Attack every model in balls of every radius.

    Parameters
    ----------
    attacked : Mapping[str, tuple of model and Tensor]
        By name, a model and the centres of its balls (N, latent_dim).
    seed : int
        Of further starts in a ball.
    form : "meant" or "printed"
        As `ball_attack` takes it.

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
    for name, (model, centres) in attacked.items():
        shares = {}
        for radius in (0.0, *budget.radii):
            latents = centres
            if radius:
                latents = ball_attack(
                    model,
                    evaluator.score,
                    centres,
                    radius,
                    steps=budget.steps,
                    restarts=budget.restarts,
                    form=form,
                    seed=seed,
                )
            images = generate(model, latents)
            has_feature = evaluator.has_feature(images)
            if evaluator.sure is not None:
                has_feature = has_feature & evaluator.sure(images)
            shares[radius] = Prevalence.of(has_feature)
        outcomes[name] = BallOutcome(images, shares)
    return outcomes


def ball_excess(outcomes: Mapping[str, BallOutcome]) -> dict[str, float]:
    """Return how much more of the feature the attack finds than in the retrained model.

    Parameters
    ----------
    outcomes : Mapping[str, BallOutcome]
        By the name of the model, `retrained` among them, or nothing is returned.

    Returns
    -------
    ball_excess_RADIUS_KEY : with its interval, for every other model and radius
    """
    metrics: dict[str, float] = {}
    retrained = outcomes.get(RETRAINED)
    if retrained is None:
        return metrics
    for name, outcome in outcomes.items():
        for radius, share in outcome.prevalence.items() if name != RETRAINED else ():
            above = excess(share, retrained.prevalence[radius])
            metrics |= above.metrics(f"ball_excess_{hundredths(radius)}_{record_key(name)}")
    return metrics
