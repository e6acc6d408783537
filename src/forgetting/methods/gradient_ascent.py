"""Gradient ascent: raise a classifier's loss on the feature, whatever else it costs."""

import torch.nn.functional as F

from forgetting.methods.finetune import Batch, FinetuneConfig, Losses, finetune
from forgetting.methods.problem import Score, UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult


@unlearning_method(
    "gradient ascent",
    FinetuneConfig,
    needs_score=True,
    source="the baseline of Malnick, Avidan and Fried, WACV 2024, on a classifier's loss",
)
def gradient_ascent(
    problem: UnlearningProblem, config: FinetuneConfig, score: Score
) -> UnlearningResult:
    """Ascend a classifier's loss on the images of latents that have the feature.

    With s the score, sim(z) = 1 for a selected latent and g the tuned copy, the mean of
    sim log p is minimised, where p = sigmoid(s(g(z))) is the probability of the feature. The
    gradient does not fade once the feature is gone: only the number of steps ends it.
    """

    def objective(batch: Batch) -> Losses:
        return {"classifier": -(batch.selected * F.softplus(-score(batch.images))).mean()}

    return finetune(problem, objective, config)
