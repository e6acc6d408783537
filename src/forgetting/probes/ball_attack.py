"""The attack of Moon et al.: projected gradient steps in a ball around a latent."""

from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import nn

from forgetting.border.checks import check_latent_dim
from forgetting.border.conditions import own_conditions
from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.options import check_counts, check_rate, check_seed
from forgetting.border.preflight import check_generator
from forgetting.border.sampling import first_samples
from forgetting.border.scores import check_score
from forgetting.errors import DataError, TrainingError, check_option
from forgetting.foundation.progress import bar

Form = Literal["meant", "printed"]
"""The step as the algorithm means it, or as it is printed."""

REACH = 2.5
"""How many radii all steps together could go, after Madry et al. (ICLR 2018)."""


def ball_attack(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    latents: torch.Tensor,
    radius: float,
    *,
    steps: int = 40,
    restarts: int = 1,
    form: Form = "meant",
    seed: int = 0,
) -> torch.Tensor:
    """Search, near given latents, those whose image scores high.

    Projected gradient descent in the ball of the maximum norm around each latent, of Moon et al.
    (AAAI 2024, Algorithm 1) after Madry et al. (ICLR 2018). With L = CE(1, h(g(z'))) as the loss,
    a step is z' <- z + clip(z' - eta sign(dL/dz') - z, -radius, radius). The sign of the gradient
    of L is that of the score's with a minus.

    As printed in the paper the step has a plus, which goes away from the feature, and the
    projection does not add z again: z' <- clip(z' + eta sign(dL/dz') - z, -radius, radius).

    Parameters
    ----------
    generator : nn.Module
        The model under attack, of which a copy in evaluation mode is used.
    score : callable
        Maps images (B, C, H, W) to scores (B,), differentiably: classifier A's logit.
    latents : Tensor, (N, latent_dim)
        The centres of the balls.
    radius : float
        Of the balls, in the units of the latents; N(0, I) has a deviation of 1 in each.
    steps : int
        Steps of the gradient; together they could go 2.5 radii.
    restarts : int
        The first start is the centre, each further one a random point of the ball. The highest
        score counts.
    form : "meant" or "printed"
        Which of the two steps.
    seed : int
        Of the random points.

    Returns
    -------
    Tensor, (N, latent_dim)
        The attacked latents, on the CPU.

    Raises
    ------
    DataError
        The latents are not (N, latent_dim), or not finite.
    ModelError
        The generator or the score does not pass the preflight.
    ParameterError
        An option is not in its range.
    TrainingError
        A latent or a score is not finite.
    """
    form = check_option("form", form, get_args(Form))
    check_counts(steps=steps, restarts=restarts)
    check_rate(radius=radius)
    seed = check_seed(seed)
    check_generator(generator, is_followed=True)
    dim = check_latent_dim(generator)
    shape = tuple(latents.shape) if isinstance(latents, torch.Tensor) else type(latents).__name__
    if shape != (len(latents), dim) or not len(latents) or not latents.isfinite().all():
        raise DataError(f"The latents are {shape}: give a tensor (N, {dim}), all finite.")
    latents = latents.detach().cpu().float()
    check_score(score, first_samples(generator), is_followed=True)
    with own_conditions(seed):
        model, random = frozen_copy(generator), torch.Generator().manual_seed(seed)
        device = device_of(model)
        best, highest = latents.clone(), torch.full((len(latents),), -torch.inf)
        parts = torch.arange(len(latents)).split(BATCH)
        line = bar(restarts * len(parts) * steps, "searching in balls", unit="step")
        for restart in range(restarts):
            offsets = torch.zeros_like(latents)
            if restart:
                offsets = radius * (2 * torch.rand(latents.shape, generator=random) - 1)
            for part in parts:
                centre = latents[part].to(device)
                z = centre + offsets[part].to(device)
                for _ in range(steps):
                    z = _step(model, score, z, centre, radius, REACH * radius / steps, form)
                    line.update()
                with torch.no_grad():
                    scores = score(model(z)).cpu()
                if not (z.isfinite().all() and scores.isfinite().all()):
                    raise TrainingError(
                        "The search around the latents leaves the finite numbers: look for a "
                        "square root or a logarithm of 0 in the score."
                    )
                better = scores > highest[part]
                highest[part[better]], best[part[better]] = scores[better], z.cpu()[better]
        line.close()
    return best


def _step(
    model: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    z: torch.Tensor,
    centre: torch.Tensor,
    radius: float,
    length: float,
    form: Form,
) -> torch.Tensor:
    """Return latents after one step of the attack."""
    z = z.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(score(model(z)).sum(), z)
    towards = length * gradient.sign()
    with torch.no_grad():
        if form == "meant":
            return centre + (z + towards - centre).clamp(-radius, radius)
        return (z - towards - centre).clamp(-radius, radius)
