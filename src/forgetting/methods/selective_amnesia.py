"""Selective Amnesia: a surrogate, replay, and weights that are held as far as images need them."""

import torch
from pydantic import Field
from torch import nn

from forgetting.border.copies import free_weights
from forgetting.methods.finetune import FinetuneConfig, finetune
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult
from forgetting.methods.whole_image import surrogate_losses

FISHER_BATCH = 8
"""Latents in each batch that estimates the Fisher matrix."""


class AmnesiaConfig(FinetuneConfig):
    """Settings of Selective Amnesia: those of the shared loop and of the elastic weights.

    The paper weighs its elastic term for other models, so that the defaults are the study's.
    """

    elastic: float = Field(
        1.0,
        ge=0,
        description="weight of the elastic term, in units of the losses for a Fisher matrix of "
        "mean 1; the study's choice, to be searched",
    )
    fisher_batches: int = Field(
        50,
        ge=1,
        description="batches of 8 latents that estimate the Fisher matrix; study's choice",
    )


@unlearning_method(
    "selective amnesia",
    AmnesiaConfig,
    knob="elastic",
    source="Heng and Soh, NeurIPS 2023 (2305.10120)",
)
def selective_amnesia(problem: UnlearningProblem, config: AmnesiaConfig) -> UnlearningResult:
    """Give latents with the feature a surrogate image and hold the weights that images depend on.

    To the losses of `surrogate_losses` comes the elastic term of the weights theta,

        elastic sum_i F_i / 2 (theta_i - theta_0,i)^2

    with theta_0 the original's weights and F the diagonal of the Fisher matrix, divided by its
    mean over all weights.
    """
    fisher = _fisher_diagonal(problem, config)
    start = [p.detach() for p in free_weights(problem.tunable_copy())]

    def elastic_term(tuned: nn.Module) -> torch.Tensor:
        weights = zip(fisher, free_weights(tuned), start, strict=True)
        terms = ((f * (now - before).square()).sum() for f, now, before in weights)
        return config.elastic / 2 * sum(terms, torch.zeros(()))

    return finetune(problem, surrogate_losses, config, penalty=elastic_term)


def _fisher_diagonal(problem: UnlearningProblem, config: AmnesiaConfig) -> list[torch.Tensor]:
    """Return the diagonal of the Fisher matrix, one tensor per tuned parameter, of mean 1.

    The image is taken for the mean of a Gaussian of unit variance. The score of a draw
    image + noise is then the derivative of <noise, image> with respect to the weights.
    """
    model = problem.tunable_copy()
    parameters = free_weights(model)
    random = torch.Generator().manual_seed(config.seed)
    squares = [torch.zeros_like(parameter) for parameter in parameters]
    for _ in range(config.fisher_batches):
        latents = torch.randn(FISHER_BATCH, problem.latent_dim, generator=random)
        images = model(latents.to(parameters[0].device))
        noise = torch.randn(images.shape, generator=random).to(images.device)
        scores = torch.autograd.grad((images * noise).sum(), parameters, materialize_grads=True)
        for square, score in zip(squares, scores, strict=True):
            square += score.detach().square()
    mean = sum(square.sum() for square in squares) / sum(square.numel() for square in squares)
    return [square / mean for square in squares]
