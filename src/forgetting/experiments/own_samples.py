"""Which samples of anyone's generator have a feature."""

from collections.abc import Iterator

import torch
from torch import nn

from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.feature_score import FeatureScore, Score
from forgetting.errors import DataError
from forgetting.foundation.progress import tracked


def images_with_feature(
    generator: nn.Module, score: Score, latents: torch.Tensor, n: int
) -> torch.Tensor:
    """Return the first n images of latents (N, latent_dim) that have a feature.

    Raises
    ------
    DataError
        There are fewer.
    """
    shown: list[torch.Tensor] = []
    for images, has_feature in _graded(generator, score, latents):
        shown += images[has_feature].cpu()
        if len(shown) >= n:
            return torch.stack(shown[:n])
    raise DataError(
        f"{len(shown)} of {len(latents)} samples of the generator before show the feature, "
        f"and {n} are needed to relearn it from: raise `n`, or look at the feature."
    )


def has_feature(generator: nn.Module, score: Score, latents: torch.Tensor) -> torch.Tensor:
    """Return which images of latents have the feature by a score, bool (N,)."""
    return torch.cat([has.cpu() for _, has in _graded(generator, score, latents)])


def _graded(
    generator: nn.Module, score: Score, latents: torch.Tensor
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of images of latents, and which of them have the feature by a score.

    A generator that draws random numbers, such as a class, draws the same ones at every call.
    """
    model = frozen_copy(generator)
    device = device_of(model)
    threshold = score.threshold if isinstance(score, FeatureScore) else 0.0
    for seed, part in enumerate(tracked(latents.split(BATCH), "grading")):
        with own_conditions(seed, gradients=False):
            images = model(part.to(device))
            has_feature = score(images) > threshold
        yield images, has_feature
