"""Gradient ascent: make a judge no longer see the feature, and nothing else."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.methods import Callback, Forgotten
from forgetting.methods.direction import Direction
from forgetting.methods.tuning import Batch, TuningConfig, tune


def gradient_ascent(
    generator: nn.Module,
    direction: Direction,
    score: Callable[[torch.Tensor], torch.Tensor],
    config: TuningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> Forgotten:
    """Raise a judge's loss on the images of latents that show the feature.

    Parameters
    ----------
    score : images (B, C, H, W) -> logits (B,), differentiable
    others : as `forgetting.methods.tuning.tune` takes them
    """

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        return {"judge": (batch.marked * F.softplus(score(batch.images))).mean()}

    config = config or TuningConfig()
    return tune(generator, direction, objective, config, trainable=trainable, callback=callback)
