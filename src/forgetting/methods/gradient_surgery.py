"""Gradient surgery (Bae et al., arXiv 2307.04550): forget only where it costs nothing."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, FinetuneConfig, distance, finetune


def gradient_surgery(
    generator: nn.Module,
    direction: Direction,
    score: Callable[[torch.Tensor], torch.Tensor],
    config: FinetuneConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> UnlearningResult:
    """Descend -log p(no feature) along what is orthogonal to the gradient of retaining.

    Retaining itself is not followed. A plain step along this gradient would leave it, to first
    order, as it is; Adam, which all methods here share, scales each weight's step and does so only
    roughly.

    Parameters
    ----------
    score : images (B, C, H, W) -> logits (B,), differentiable
    others : as `forgetting.methods.finetune.tune` takes them

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

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        kept = distance(batch.images, batch.original(batch.latents))
        return {
            "classifier": (batch.selected * F.softplus(score(batch.images))).mean(),
            "recon": (~batch.selected * kept).mean(),
        }

    config = config or FinetuneConfig()
    return finetune(
        generator,
        direction,
        objective,
        config,
        trainable=trainable,
        callback=callback,
        combine=lambda gradients: orthogonal(gradients["classifier"], gradients["recon"]),
    )


def orthogonal(
    forget: tuple[torch.Tensor, ...], retain: tuple[torch.Tensor, ...]
) -> tuple[torch.Tensor, ...]:
    """Return the forget gradient without its part along the retain gradient."""
    along = sum((f * r).sum() for f, r in zip(forget, retain, strict=True))
    length = sum(r.square().sum() for r in retain).clamp(min=1e-20)
    return tuple(f - along / length * r for f, r in zip(forget, retain, strict=True))
