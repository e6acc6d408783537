"""Retain fine-tuning: keep what should stay, and hope that the rest fades."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.methods import Callback, Forgotten
from forgetting.methods.direction import Direction
from forgetting.methods.tuning import Batch, TuningConfig, distance, tune


def retain_fine_tuning(
    generator: nn.Module,
    direction: Direction,
    config: TuningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> Forgotten:
    """Tune on latents without the feature alone.

    Of a generator without its data, retain data are its own samples without the feature. Latents
    that show none keep their image; the others, which no retain data belong to, are left out, so
    that only what neighbouring latents learn can change them.

    Parameters
    ----------
    all : as `forgetting.methods.tuning.tune` takes them
    """

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        kept = distance(batch.images, batch.original(batch.latents))
        return {"recon": (~batch.marked * kept).mean()}

    config = config or TuningConfig()
    return tune(generator, direction, objective, config, trainable=trainable, callback=callback)
