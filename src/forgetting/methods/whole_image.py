"""Unlearning the whole image: what unlearning a feature is said to be better than."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.methods import Callback, Forgotten
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, TuningConfig, distance, tune


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

    def objective(batch: Batch) -> dict[str, torch.Tensor]:
        l1 = distance(batch.images, batch.original(exchanged(batch)))
        return {
            "unlearn": (batch.marked * l1).mean(),
            "recon": (~batch.marked * l1).mean(),
        }

    config = config or TuningConfig()
    return tune(generator, direction, objective, config, trainable=trainable, callback=callback)


def exchanged(batch: Batch) -> torch.Tensor:
    """Return the latents, (B, d), with another, drawn of those without, for each marked one."""
    lack = torch.nonzero(~batch.marked.cpu()).flatten()
    if not len(lack):
        return batch.latents
    chosen = torch.randint(len(lack), (len(batch.latents),), generator=batch.random)
    return torch.where(batch.marked.cpu()[:, None], batch.latents[lack[chosen]], batch.latents)
