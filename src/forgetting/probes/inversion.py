"""The inversion attack: search the latents of given images."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.adapters import BATCH
from forgetting.conditions import own_conditions
from forgetting.contracts import check_images, check_latent_dim
from forgetting.copies import device_of, frozen_copy
from forgetting.inference import generate
from forgetting.options import check_counts, check_seed
from forgetting.preflight import check_generator
from forgetting.probes.latent_attack import on_shell


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
    generator: nn.Module,
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
    generator : nn.Module
        The model under attack, of which a copy in evaluation mode is used.
    targets : Tensor, (N, C, H, W)
        Images of the original that have the feature.
    features : callable
        Maps images (B, C, H, W) to features (B, F), differentiably.
    steps : int
        Steps of Adam in each restart.
    restarts : int
        Starts from new random latents, at least 1.
    lr : float
        Learning rate of Adam.
    weight : float
        Weight of the features' distance.
    seed : int
        Seed of the random latents.

    Returns
    -------
    Inversion
        The best latents, their images, and the distance of these to the targets.

    Raises
    ------
    DataError
        The targets are no images in [0, 1].
    ModelError
        The generator does not pass the preflight.
    ParameterError
        An option is no whole number in its range.
    """
    check_counts(restarts=restarts)
    check_counts(steps=steps, least=0)
    check_seed(seed)
    targets = check_images(targets, "The targets")
    check_generator(generator, is_followed=True)
    with own_conditions(seed):
        random = torch.Generator().manual_seed(seed)
        return _invert(
            frozen_copy(generator), targets, features, steps, restarts, lr, weight, random
        )


def _invert(
    generator: nn.Module,
    targets: torch.Tensor,
    features: Callable[[torch.Tensor], torch.Tensor],
    steps: int,
    restarts: int,
    lr: float,
    weight: float,
    random: torch.Generator,
) -> Inversion:
    """Invert images under a generator that passes the preflight."""
    dim, device = check_latent_dim(generator), device_of(generator)
    n = len(targets)
    best, latents = torch.full((n,), math.inf), torch.zeros(n, dim)
    for _ in range(restarts):
        starts = torch.randn(n, dim, generator=random)
        for part in torch.arange(n).split(BATCH):
            target = targets[part].to(device)
            with torch.no_grad():
                target_features = features(target)
            z = starts[part].clone().requires_grad_()
            optimizer = torch.optim.Adam([z], lr)
            for _ in range(steps):
                image = generator(z.to(device))
                feature_error = (features(image) - target_features).abs().mean(1)
                loss = _error(image, target) + weight * feature_error
                (z.grad,) = torch.autograd.grad(loss.sum(), z)
                optimizer.step()
                with torch.no_grad():
                    z.copy_(on_shell(z))
            with torch.no_grad():
                errors = _error(generator(z.to(device)), target).cpu()
            nearer = errors < best[part]
            best[part[nearer]], latents[part[nearer]] = errors[nearer], z.detach()[nearer]
    return Inversion(latents, generate(generator, latents), best)


def _error(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a - b).abs().flatten(1).mean(1)
