"""The latent attack: search latents whose image shows a feature."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.border.preflight import check_generator
from forgetting.border.sampling import first_samples
from forgetting.border.scores import check_score
from forgetting.probes.search import search_latents


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

    Adam ascends the score from random latents, as `search_latents` says. The restart with the
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
    steps, restarts, lr, seed
        As `search_latents` takes them.

    Returns
    -------
    Tensor, (n, latent_dim)
        The best latents, on the CPU.

    Raises
    ------
    ModelError, ParameterError
        As `search_latents` raises them; a ModelError also where the score fails its preflight.
    """
    check_generator(generator)
    check_score(score, first_samples(generator), is_followed=True)

    def loss(images: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return -score(images)

    latents, _ = search_latents(
        generator, n, loss, loss, steps=steps, restarts=restarts, lr=lr, seed=seed
    )
    return latents
