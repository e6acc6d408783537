"""Gradient ascent: raise a classifier's loss on the feature, and ask nothing else."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, FinetuneConfig, finetune


def gradient_ascent(
    generator: nn.Module,
    direction: Direction,
    score: Callable[[torch.Tensor], torch.Tensor],
    config: FinetuneConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> UnlearningResult:
    """Ascend a classifier's loss, -log p(feature), on the images of latents that show the feature.

    Its gradient does not fade when the feature is gone: what stops it is the number of steps.

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
        return {"classifier": -(batch.selected * F.softplus(-score(batch.images))).mean()}

    config = config or FinetuneConfig()
    return finetune(
        generator, direction, objective, config, trainable=trainable, callback=callback
    )
