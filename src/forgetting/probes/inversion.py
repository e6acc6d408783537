"""The inversion attack: search the latents of given images."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from forgetting.adapters import BATCH, Generator
from forgetting.inference import generate
from forgetting.probes.search import search_latents


@dataclass(frozen=True)
class Inversion:
    """The images of a generator that are nearest to given images.

    Attributes
    ----------
    latents : Tensor, (N, latent_dim)
        The latents of the nearest images.
    images : Tensor, (N, C, H, W)
        The nearest images.
    errors : Tensor, (N,)
        Mean absolute difference of a pixel to the given image, in [0, 1].
    """

    latents: torch.Tensor
    images: torch.Tensor
    errors: torch.Tensor


def inversion_attack(
    generator: Generator,
    targets: torch.Tensor,
    features: Callable[[torch.Tensor], torch.Tensor],
    *,
    steps: int = 200,
    restarts: int = 2,
    lr: float = 0.05,
    weight: float = 0.1,
    seed: int = 0,
) -> Inversion:
    """Search the latents from which a generator makes given images.

    Adam minimises the mean L1 distance of the pixels plus `weight` times that of a classifier's
    features, among the likely latents of N(0, I). The restart with the nearest pixels counts.

    Parameters
    ----------
    generator : Generator
        The model under attack.
    targets : Tensor, (N, C, H, W)
        Images of the original that have the feature.
    features : callable
        Maps images (B, C, H, W) to features (B, F), differentiably.
    steps, restarts, lr
        As `search_latents` takes them.
    weight : float
        Weight of the features' distance.
    seed : int
        Seed of the random latents.

    Returns
    -------
    Inversion
        The best latents, their images, and the distance of these to the targets.
    """
    device = next(generator.parameters()).device
    with torch.no_grad():
        described = torch.cat([features(part.to(device)).cpu() for part in targets.split(BATCH)])

    def error(images: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        return (images - targets[part].to(device)).abs().flatten(1).mean(1)

    def loss(images: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        feature_error = (features(images) - described[part].to(device)).abs().mean(1)
        return error(images, part) + weight * feature_error

    latents, errors = search_latents(
        generator, len(targets), loss, error, steps=steps, restarts=restarts, lr=lr, seed=seed
    )
    return Inversion(latents, generate(generator, latents), errors)
