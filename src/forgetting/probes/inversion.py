"""The inversion attack: search the latents of given images."""

import warnings
from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.checks import check_images, check_latent_dim
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.inference import generate
from forgetting.border.options import finite_number
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import check_same_shape
from forgetting.border.scores import N_SCORED, check_score
from forgetting.errors import DataWarning, ParameterError
from forgetting.probes.search import Features, check_search, search_latents

FOUND = 1e-5
"""Mean difference of a pixel up to which two images are one but for rounding."""


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
    features: Features,
    *,
    steps: int = 200,
    restarts: int = 2,
    lr: float = 0.05,
    weight: float = 0.1,
    seed: int = 0,
) -> Inversion:
    """Search the latents from which a generator makes given images.

    Adam minimises the mean L1 distance of the pixels plus `weight` times that of a classifier's
    features, among the likely latents of N(0, I). The restart with the nearest pixels counts. A
    `DataWarning` says where the search starts at latents of the targets.

    Parameters
    ----------
    generator : nn.Module
        The model under attack, of which a copy in evaluation mode is used.
    targets : Tensor, (N, C, H, W)
        Images of the original that have the feature.
    features : callable
        Describes images, such as the features of classifier A.
    steps, restarts, lr
        As `search_latents` takes them.
    weight : float
        Weight of the features' distance.
    seed : int
        Seed of the random latents; another one than that of the targets.

    Returns
    -------
    Inversion
        The best latents, their images, and the distance of these to the targets.

    Raises
    ------
    DataError
        The targets are no images in [0, 1], or not of the shape of the generator's.
    ModelError
        The generator does not pass the preflight, or the features change their model, depend on
        other images or have no gradient.
    ParameterError
        An option is no whole number in its range.
    """
    targets = check_images(targets, "The targets")
    if finite_number(weight=weight) < 0:
        raise ParameterError(f"weight = {weight!r}: give a finite number of at least 0.")
    check_search(n=len(targets), steps=steps, restarts=restarts, lr=lr, seed=seed)
    check_generator(generator, is_followed=True)
    attacked = frozen_copy(generator)
    device = device_of(attacked)
    check_score(
        lambda images: features(images).flatten(1).sum(1),
        targets[:N_SCORED].to(device),
        is_followed=True,
        name="sum of the features",
    )
    check_same_shape(generator, targets, "The targets")
    with own_conditions(gradients=False):
        described = torch.cat([features(part.to(device)).cpu() for part in targets.split(BATCH)])

    random = torch.Generator().manual_seed(int(seed))
    starts = torch.randn(len(targets), check_latent_dim(generator), generator=random)
    with own_conditions(seed, gradients=False):
        apart = (generate(attacked, starts) - targets).abs().flatten(1).mean(1)
    if n_found := int((apart <= FOUND).sum()):
        warnings.warn(
            f"{n_found} of {len(targets)} targets are what the generator makes of the latents at "
            "which the search starts, so that it finds them at once: give another seed.",
            DataWarning,
            stacklevel=2,
        )

    def error(images: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        return (images - targets[part].to(device)).abs().flatten(1).mean(1)

    def loss(images: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
        feature_error = (features(images) - described[part].to(device)).abs()
        return error(images, part) + weight * feature_error.flatten(1).mean(1)

    latents, errors = search_latents(
        attacked, len(targets), loss, error, steps=steps, restarts=restarts, lr=lr, seed=seed
    )
    with own_conditions(seed, gradients=False):
        return Inversion(latents, generate(attacked, latents), errors)
