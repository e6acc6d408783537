"""Unlearning the whole image: a surrogate takes the place of an image that has the feature."""

import torch

from forgetting.methods.finetune import Batch, FinetuneConfig, Losses, finetune, l1_distance
from forgetting.methods.problem import UnlearningProblem
from forgetting.methods.registry import unlearning_method
from forgetting.methods.results import UnlearningResult


@unlearning_method(
    "whole image",
    FinetuneConfig,
    source="what Moon, Cho and Kim, AAAI 2024, set unlearning a feature against",
)
def unlearn_whole_image(problem: UnlearningProblem, config: FinetuneConfig) -> UnlearningResult:
    """Give latents with the feature the whole image of another latent, which lacks it.

    `surrogate_losses` has the loss.
    """
    return finetune(problem, surrogate_losses, config)


def surrogate_losses(batch: Batch) -> Losses:
    """Return the losses of a batch whose selected latents are to make a surrogate's image.

    With f the original, g the tuned copy and z~ a random latent of the batch that lacks the
    feature, the losses are the means of sim |g(z) - f(z~)|_1, `unlearn`, and of
    (1 - sim) |g(z) - f(z)|_1, `recon`.
    """
    distances = l1_distance(batch.images, batch.original(surrogate_latents(batch)))
    return {
        "unlearn": (batch.selected * distances).mean(),
        "recon": (~batch.selected * distances).mean(),
    }


def surrogate_latents(batch: Batch) -> torch.Tensor:
    """Return the batch's latents (B, d), each selected one replaced by one that is not selected.

    The replacements are drawn with replacement. A batch without latents to draw from stays as it
    is.
    """
    selected = batch.selected.cpu()
    candidates = torch.nonzero(~selected).flatten()
    if not len(candidates):
        return batch.latents
    drawn = torch.randint(len(candidates), (len(batch.latents),), generator=batch.random)
    return torch.where(selected[:, None], batch.latents[candidates[drawn]], batch.latents)
