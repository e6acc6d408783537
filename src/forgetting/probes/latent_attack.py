"""The latent attack: search latents whose image shows a feature."""

import math
from collections.abc import Callable

import torch
from scipy.stats import chi
from torch import nn

from forgetting.adapters import BATCH
from forgetting.conditions import own_conditions
from forgetting.contracts import check_latent_dim, check_score
from forgetting.copies import device_of, frozen_copy
from forgetting.options import check_counts, check_seed
from forgetting.preflight import check_generator
from forgetting.sampling import first_samples

SHELL = 0.01, 0.99
"""Quantiles of the norm of N(0, I) between which the norm of an attacked latent must lie."""


def latent_attack(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    steps: int = 100,
    restarts: int = 1,
    lr: float = 0.05,
    seed: int = 0,
) -> torch.Tensor:
    """Search latents whose image scores high, among the likely latents of N(0, I).

    Adam ascends the score from random latents. After every step the norm of each latent is moved
    back between the 1st and the 99th percentile of the norm of N(0, I). The restart with the
    highest score counts.

    Parameters
    ----------
    generator : nn.Module
        The model under attack, of which a copy in evaluation mode is used.
    score : callable
        Maps images (B, C, H, W) to scores (B,), differentiably. Use classifier A's logit, for
        classifier B grades the result.
    n : int
        The number of latents.
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
    Tensor, (n, latent_dim)
        The best latents, on the CPU.

    Raises
    ------
    ModelError
        The generator or the score does not pass the preflight.
    ParameterError
        An option is no whole number in its range.
    """
    check_counts(n=n, restarts=restarts)
    check_counts(steps=steps, least=0)
    check_seed(seed)
    check_generator(generator, is_followed=True)
    check_score(score, first_samples(generator), is_followed=True)
    with own_conditions(seed):
        random = torch.Generator().manual_seed(seed)
        return _attack(frozen_copy(generator), score, n, steps, restarts, lr, random)


def _attack(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    steps: int,
    restarts: int,
    lr: float,
    random: torch.Generator,
) -> torch.Tensor:
    """Return the best latents under a generator and a score that pass the preflight."""
    dim, device = check_latent_dim(generator), device_of(generator)
    best, latents = torch.full((n,), -math.inf), torch.zeros(n, dim)
    for _ in range(restarts):
        starts = torch.randn(n, dim, generator=random)
        for part in torch.arange(n).split(BATCH):
            z = starts[part].clone().requires_grad_()
            optimizer = torch.optim.Adam([z], lr)
            for _ in range(steps):
                loss = -score(generator(z.to(device))).sum()
                (z.grad,) = torch.autograd.grad(loss, z)
                optimizer.step()
                with torch.no_grad():
                    z.copy_(on_shell(z))
            with torch.no_grad():
                scores = score(generator(z.to(device))).cpu()
            better = scores > best[part]
            best[part[better]], latents[part[better]] = scores[better], z.detach()[better]
    return latents


def on_shell(latents: torch.Tensor) -> torch.Tensor:
    """Scale latents (B, d) until their norm lies between the `SHELL` quantiles of N(0, I)."""
    low, high = (float(quantile) for quantile in chi.ppf(SHELL, latents.shape[1]))
    norm = latents.norm(dim=1, keepdim=True)
    return latents * norm.clamp(low, high) / norm
