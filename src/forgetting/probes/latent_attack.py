"""The latent attack: search latents whose image shows a feature."""

import math
from collections.abc import Callable

import torch
from scipy.stats import chi

from forgetting.adapters import BATCH, Generator

SHELL = 0.01, 0.99
"""Quantiles of the norm of N(0, I) between which the norm of an attacked latent must lie."""


@torch.enable_grad()
def latent_attack(
    generator: Generator,
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
    generator : Generator
        The model under attack.
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
    """
    dim, device = generator.latent_dim, next(generator.parameters()).device
    random = torch.Generator().manual_seed(seed)
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
