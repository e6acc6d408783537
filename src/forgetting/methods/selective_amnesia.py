"""Selective Amnesia (Heng and Soh, arXiv 2305.10120): a surrogate, replay and elastic weights."""

import copy
from collections.abc import Callable

import torch
from pydantic import Field
from torch import nn

from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, FinetuneConfig, distance, finetune
from forgetting.methods.whole_image import exchanged


class AmnesiaConfig(FinetuneConfig):
    """Settings of `selective_amnesia`."""

    elastic: float = Field(1.0, ge=0, description="weight of the elastic weights")
    fisher_batches: int = Field(50, ge=1, description="batches that estimate the Fisher matrix")


def selective_amnesia(
    generator: nn.Module,
    direction: Direction,
    config: AmnesiaConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> UnlearningResult:
    """Map latents with the feature to a surrogate, replay the others, hold what they depend on.

    The surrogate is an image of the original that lacks the feature. Each weight is held by
    F / 2 (theta - theta_0)^2, with F the diagonal of the Fisher matrix of a Gaussian around the
    image, relative to its mean over all weights.

    Parameters
    ----------
    all : as `forgetting.methods.finetune.tune` takes them

    Returns
    -------
    The tuned copy and its history.

    Raises
    ------
    DataError
        The direction and the generator have different dimensions.
    TrainingError
        The loss is not finite.
    """
    config = config or AmnesiaConfig()
    fisher = _fisher(generator, config, trainable)
    start = [value.detach().clone() for value in trainable(generator).parameters()]

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        l1 = distance(batch.images, batch.original(exchanged(batch)))
        return {
            "unlearn": (batch.selected * l1).mean(),
            "recon": (~batch.selected * l1).mean(),
        }

    def hold(tuned: nn.Module) -> torch.Tensor:
        terms = (
            (f * (now - then).square()).sum()
            for f, now, then in zip(fisher, tuned.parameters(), start, strict=True)
        )
        return config.elastic / 2 * sum(terms)

    return finetune(
        generator,
        direction,
        objective,
        config,
        trainable=trainable,
        callback=callback,
        penalty=hold,
    )


def _fisher(
    generator: nn.Module, config: AmnesiaConfig, trainable: Callable[[nn.Module], nn.Module]
) -> list[torch.Tensor]:
    """Return the diagonal of the Fisher matrix, its mean over all weights scaled to one.

    For a Gaussian of unit variance around the image, the score at a draw image + noise is the
    noise times the image's derivative.
    """
    model = copy.deepcopy(generator).requires_grad_(False).eval()
    parameters = list(trainable(model).requires_grad_(True).parameters())
    random = torch.Generator().manual_seed(config.seed)
    found = [torch.zeros_like(value) for value in parameters]
    for _ in range(config.fisher_batches):
        latents = torch.randn(8, generator.latent_dim, generator=random)
        images = model(latents.to(parameters[0].device))
        noise = torch.randn(images.shape, generator=random).to(images.device)
        gradients = torch.autograd.grad((images * noise).sum(), parameters, materialize_grads=True)
        for total, gradient in zip(found, gradients, strict=True):
            total += gradient.square()
    mean = sum(value.sum() for value in found) / sum(value.numel() for value in found)
    return [value / mean for value in found]
