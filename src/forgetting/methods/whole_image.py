"""Unlearning the whole image: what unlearning a feature is said to be better than."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.methods import Callback, Forgotten
from forgetting.methods.direction import Direction
from forgetting.methods.tuning import Batch, TuningConfig, distance, tune


def unlearn_whole_image(
    generator: nn.Module,
    direction: Direction,
    config: TuningConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> Forgotten:
    """Give a latent that shows the feature the image of another latent, which shows none.

    Parameters
    ----------
    all : as `forgetting.methods.tuning.tune` takes them
    """

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        other = batch.before(others(batch))
        kept = batch.before(batch.latents)
        return {
            "unlearn": (batch.marked * distance(batch.images, other)).mean(),
            "recon": (~batch.marked * distance(batch.images, kept)).mean(),
        }

    config = config or TuningConfig()
    return tune(generator, direction, objective, config, trainable=trainable, callback=callback)


def others(batch: Batch) -> torch.Tensor:
    """Return a latent without the feature for each of the batch, drawn among it, (B, d)."""
    lack = torch.nonzero(~batch.marked.cpu()).flatten()
    if not len(lack):
        return batch.latents
    chosen = torch.randint(len(lack), (len(batch.latents),), generator=batch.random)
    return batch.latents[lack[chosen]]
