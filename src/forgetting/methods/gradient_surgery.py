"""Gradient surgery: forget along directions that do not touch what is retained."""

import torch
import torch.nn.functional as F

from forgetting.methods.finetune import (
    Batch,
    FinetuneConfig,
    Gradients,
    Losses,
    finetune,
    l1_distance,
)
from forgetting.methods.problem import Score, UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult

SMALLEST_SQUARE = 1e-20
"""Least squared norm of a retain gradient to divide by: a zero gradient changes nothing."""


@unlearning_method(
    "gradient surgery", FinetuneConfig, needs_score=True, source="Bae et al., 2023 (2307.04550)"
)
def gradient_surgery(
    problem: UnlearningProblem, config: FinetuneConfig, score: Score
) -> UnlearningResult:
    """Lower the probability of the feature, orthogonally to the gradient of retaining.

    The forget loss is the mean of -sim log(1 - p), with p = sigmoid(score) the probability of the
    feature. The retain loss, the mean of (1 - sim) |g(z) - f(z)|_1, is not descended. A plain
    gradient step would leave it as it is to first order. Adam, which all methods here share,
    scales the step of each weight, and leaves it only roughly.
    """

    def objective(batch: Batch) -> Losses:
        distances = l1_distance(batch.images, batch.original(batch.latents))
        return {
            "classifier": (batch.selected * F.softplus(score(batch.images))).mean(),
            "recon": (~batch.selected * distances).mean(),
        }

    def combine(gradients: dict[str, Gradients]) -> Gradients:
        return orthogonal(gradients["classifier"], gradients["recon"])

    return finetune(problem, objective, config, combine=combine)


def orthogonal(forget: Gradients, retain: Gradients) -> Gradients:
    """Return the forget gradient without its component along the retain gradient.

    For gradients f and r over all parameters this is f - <f, r> / |r|^2 r.
    """
    zero = torch.zeros(())
    dot = sum(((f * r).sum() for f, r in zip(forget, retain, strict=True)), zero)
    square = sum((r.square().sum() for r in retain), zero).clamp(min=SMALLEST_SQUARE)
    return tuple(f - dot / square * r for f, r in zip(forget, retain, strict=True))
