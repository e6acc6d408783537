"""Unlearning the whole image: what unlearning a feature is said to be better than."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.methods import Callback, UnlearningResult
from forgetting.methods.direction import Direction
from forgetting.methods.finetune import Batch, FinetuneConfig, distance, finetune


def unlearn_whole_image(
    generator: nn.Module,
    direction: Direction,
    config: FinetuneConfig | None = None,
    *,
    trainable: Callable[[nn.Module], nn.Module] = lambda model: model,
    callback: Callback | None = None,
) -> UnlearningResult:
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
            "unlearn": (batch.selected * l1).mean(),
            "recon": (~batch.selected * l1).mean(),
        }

    config = config or FinetuneConfig()
    return finetune(
        generator, direction, objective, config, trainable=trainable, callback=callback
    )


def exchanged(batch: Batch) -> torch.Tensor:
    """Return the latents, (B, d), with another, drawn of those without, for each marked one."""
    lack = torch.nonzero(~batch.selected.cpu()).flatten()
    if not len(lack):
        return batch.latents
    chosen = torch.randint(len(lack), (len(batch.latents),), generator=batch.random)
    return torch.where(batch.selected.cpu()[:, None], batch.latents[lack[chosen]], batch.latents)
