"""The search of both attacks: Adam in latent space, from random starts, where N(0, I) lives."""

import math
from collections.abc import Callable

import torch
from scipy.stats import chi
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.options import check_counts, check_rate, check_seed
from forgetting.border.preflight import check_generator
from forgetting.errors import ModelError, TrainingError
from forgetting.foundation.progress import bar

SHELL = (0.01, 0.99)
"""Quantiles of the norm of N(0, I) between which the latents of an attack stay."""

Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Images (B, C, H, W) and the numbers (B,) of their latents to losses (B,), differentiably."""

Features = Callable[[torch.Tensor], torch.Tensor]
"""Images (B, C, H, W) to features (B, F), differentiably."""


def search_latents(
    generator: nn.Module,
    n: int,
    loss: Loss,
    criterion: Loss,
    *,
    steps: int,
    restarts: int,
    lr: float,
    seed: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Search n latents that lower a loss of their images.

    After every step of Adam the norm of each latent is moved back between the `SHELL` quantiles of
    the norm of N(0, I). Of the restarts that one counts whose criterion is lowest.

    Parameters
    ----------
    generator : nn.Module
        The model under attack, of which a copy in evaluation mode is used.
    n : int
        The number of latents.
    loss, criterion : callable
        What Adam minimises, and what decides between restarts.
    steps : int
        Steps of Adam in each restart.
    restarts : int
        Starts from new random latents, at least 1.
    lr : float
        Learning rate of Adam.
    seed : int
        Seed of the random latents.

    Returns
    -------
    latents : Tensor, (n, latent_dim)
        The best latents, on the CPU.
    criteria : Tensor, (n,)
        Their criterion.

    Raises
    ------
    ModelError
        The generator does not pass the preflight, or a loss or a criterion is not (B,).
    ParameterError
        An option is no whole number in its range, or the learning rate is not above 0.
    TrainingError
        A latent or a criterion is not finite.
    """
    check_search(n=n, steps=steps, restarts=restarts, lr=lr, seed=seed)
    check_generator(generator, is_followed=True)
    with own_conditions(seed):
        model, random = frozen_copy(generator), torch.Generator().manual_seed(int(seed))
        dim, device = check_latent_dim(generator), device_of(model)
        best, latents = torch.full((n,), math.inf), torch.zeros(n, dim)
        parts = torch.arange(n).split(BATCH)
        line = bar(restarts * len(parts) * steps, "searching latents", unit="step")
        for _ in range(restarts):
            starts = torch.randn(n, dim, generator=random)
            for part in parts:
                z = starts[part].clone().requires_grad_()
                optimizer = torch.optim.Adam([z], lr)
                for _ in range(steps):
                    losses = _one_for_each(loss(model(z.to(device)), part), part)
                    (z.grad,) = torch.autograd.grad(losses.sum(), z)
                    optimizer.step()
                    with torch.no_grad():
                        z.copy_(on_shell(z))
                    line.update()
                with torch.no_grad():
                    criteria = _one_for_each(criterion(model(z.to(device)), part), part).cpu()
                if not (z.isfinite().all() and criteria.isfinite().all()):
                    raise TrainingError(
                        "The search in latent space leaves the finite numbers: look for a square "
                        f"root or a logarithm of 0 in the score, or lower lr (now {lr:g})."
                    )
                better = criteria < best[part]
                best[part[better]], latents[part[better]] = criteria[better], z.detach()[better]
        line.close()
    return latents, best


def _one_for_each(losses: torch.Tensor, part: torch.Tensor) -> torch.Tensor:
    """Return losses, unless they are not one for each latent, such as a mean over images."""
    if losses.shape != part.shape:
        raise ModelError(
            f"The loss or the criterion has the shape {tuple(losses.shape)} for {len(part)} "
            f"images, not ({len(part)},): return one for each image."
        )
    return losses


def check_search(*, n: int, steps: int, restarts: int, lr: float, seed: int) -> None:
    """Raise an error unless the options of `search_latents` are in their ranges.

    Raises
    ------
    ParameterError
        An option is not.
    """
    check_counts(n=n, restarts=restarts)
    check_counts(steps=steps, least=0)
    check_rate(lr=lr)
    check_seed(seed)


def on_shell(latents: torch.Tensor) -> torch.Tensor:
    """Scale latents (B, d) until their norm lies between the `SHELL` quantiles of N(0, I)."""
    low, high = (float(quantile) for quantile in chi.ppf(SHELL, latents.shape[1]))
    norm = latents.norm(dim=1, keepdim=True)
    return latents * norm.clamp(low, high) / norm
