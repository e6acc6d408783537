"""Relearning: how few steps on a few images bring a feature back?"""

import copy
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn

T = TypeVar("T")


def _all_of(model: nn.Module) -> nn.Module:
    return model


@torch.enable_grad()
def relearn(
    generator: nn.Module,
    images: torch.Tensor,
    latents: torch.Tensor,
    steps: Iterable[int],
    evaluate: Callable[[nn.Module], T],
    *,
    trainable: Callable[[nn.Module], nn.Module] = _all_of,
    lr: float = 1e-3,
) -> dict[int, T]:
    """Tune a copy of a generator on a few images with the feature, and evaluate it on the way.

    Adam minimises the L1 distance to all of the images at every step: a sum over pixels, a mean
    over images. A feature that is only hidden comes back in a few steps.

    Parameters
    ----------
    generator : nn.Module
        The model that forgot; it is not changed.
    images : Tensor, (K, C, H, W)
        Images with the feature.
    latents : Tensor, (K, latent_dim)
        The latents whose images are nearest to these, by `inversion_attack`.
    steps : iterable of int
        Numbers of steps after which the copy is evaluated; 0 is before the first step.
    evaluate : callable
        Maps the model to any result, such as the prevalence among fresh samples.
    trainable : callable
        Maps the copy to the part of it that is tuned.
    lr : float
        Learning rate of Adam.

    Returns
    -------
    dict
        The result of `evaluate` for each number of steps.
    """
    model = copy.deepcopy(generator).requires_grad_(False)
    optimizer = torch.optim.Adam(trainable(model).requires_grad_(True).parameters(), lr)
    device = next(model.parameters()).device
    targets, z = images.to(device), latents.to(device)
    results = {}
    checkpoints = sorted(set(steps))
    for step in range(checkpoints[-1] + 1):
        if step in checkpoints:
            results[step] = evaluate(model)
        loss = (model(z) - targets).abs().flatten(1).sum(1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return results
