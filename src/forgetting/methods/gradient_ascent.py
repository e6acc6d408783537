"""Gradient ascent: raise a judge's loss on the feature, and ask nothing else."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from forgetting.methods import Callback, Forgotten
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, TuningConfig, tune


def gradient_ascent(
    generator: nn.Module,
    direction: Direction,
    score: Callable[[torch.Tensor], torch.Tensor],
    config: TuningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> Forgotten:
    """Ascend a judge's loss, -log p(feature), on the images of latents that show the feature.

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
        return {"judge": -(batch.marked * F.softplus(-score(batch.images))).mean()}

    config = config or TuningConfig()
    return tune(generator, direction, objective, config, trainable=trainable, callback=callback)
