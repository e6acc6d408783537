"""Where a feature lies in a generator's latent space, and how that is found."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from forgetting.adapters import ConcatenatedLatents as ConcatenatedLatents  # for older callers
from forgetting.errors import DataError

MIN_POSITIVES = 10


@dataclass(frozen=True)
class LabelledLatents:
    """Latents of samples that show the feature, and of samples that don't.

    Attributes
    ----------
    positive, negative : (P, latent_dim), (N, latent_dim)
    """

    positive: torch.Tensor
    negative: torch.Tensor

    def agreement(self) -> float:
        """Return the cosine of the directions of two halves: 1 is a direction without noise.

        Each half has half of the samples: at a cosine of r, that between the direction of all
        samples and the true one is about sqrt(2 r / (1 + r)).
        """
        first = self.positive[::2].mean(0) - self.negative[::2].mean(0)
        second = self.positive[1::2].mean(0) - self.negative[1::2].mean(0)
        return float(torch.cosine_similarity(first, second, dim=0))


@dataclass(frozen=True)
class Direction:
    """Where a feature lies in latent space.

    Attributes
    ----------
    vector : (latent_dim,), z_e
    projection_threshold : t; a latent shows the feature where its projection reaches it
    """

    vector: torch.Tensor
    projection_threshold: float

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        """Return proj(z) = <z, z_e> / |z_e|, (B,)."""
        return latents @ self.vector / self.vector.norm()

    def selects(self, latents: torch.Tensor) -> torch.Tensor:
        """Return sim(z): which latents reach the threshold, boolean (B,)."""
        return self.project(latents) >= self.projection_threshold

    def erase(self, latents: torch.Tensor) -> torch.Tensor:
        """Return z' = z - (proj(z) - t) z_e where sim(z), z elsewhere, (B, latent_dim).

        With a unit vector z' lies on the threshold; with a longer one it overshoots it.
        """
        beyond = (self.project(latents) - self.projection_threshold).clamp(min=0)
        return latents - beyond[:, None] * self.vector


@torch.no_grad()
def collect_latents(
    generator: nn.Module,
    score: Callable[[torch.Tensor], torch.Tensor],
    n: int,
    *,
    share: float = 0.1,
    threshold: float | None = None,
    seed: int = 0,
    batch_size: int = 500,
) -> LabelledLatents:
    """Sample a generator and call those with high scores positive.

    Parameters
    ----------
    generator : `latent_dim` and `forward(z) -> images`; a copy of it is asked, in evaluation mode
    score : images (B, C, H, W) -> (B,), higher where the feature shows more
    n : samples; a direction in d dimensions wants some hundred times d of them
    share : of the samples that show the feature, where it has no edge of its own, as thickness
        (the paper: a tenth)
    batch_size : samples at a time
    seed : of the latents
    threshold : the score over which a sample shows it, where it is there or not, as glasses are

    Raises
    ------
    DataError
        Too few would show the feature, or lack it, to give a direction; a score is not finite, or
        there is not one for each image.
    """
    rarer = min(share, 1 - share)
    if threshold is None and n * rarer < MIN_POSITIVES:
        need = f"collect at least {math.ceil(MIN_POSITIVES / rarer)}" if rarer > 0 else "change it"
        raise DataError(
            f"Of {n} samples a share of {share:g} shows the feature; a direction needs "
            f"{MIN_POSITIVES} that do and as many that don't: {need}."
        )
    generator = copy.deepcopy(generator).eval()
    device = next(generator.parameters()).device
    latents = torch.randn(n, generator.latent_dim, generator=torch.Generator().manual_seed(seed))
    scores = torch.cat([score(generator(z.to(device))).cpu() for z in latents.split(batch_size)])
    if scores.shape != (n,):
        raise DataError(
            f"The scores of {n} samples have shape {tuple(scores.shape)}: give one for each."
        )
    if not torch.isfinite(scores).all():
        raise DataError("The classifier gives scores that are not finite for some of the samples.")
    if threshold is None:
        positive = torch.zeros(n, dtype=torch.bool)
        positive[scores.topk(round(n * share)).indices] = True
    else:
        positive = scores > threshold
        has_feature = int(positive.sum())
        if min(has_feature, n - has_feature) < MIN_POSITIVES:
            few = math.ceil(2 * MIN_POSITIVES * n / max(1, min(has_feature, n - has_feature)))
            raise DataError(
                f"{has_feature} of {n} samples show the feature; a direction needs {MIN_POSITIVES} that "
                f"do and as many that don't. Collect about {few:,}, or choose another feature."
            )
    return LabelledLatents(latents[positive], latents[~positive])


def find_direction(
    labelled: LabelledLatents,
    *,
    form: Literal["raw", "unit"] = "raw",
    projection_threshold: Literal["midpoint", "prevalence"] = "midpoint",
) -> Direction:
    """Return z_e = mean(z | positive) - mean(z | negative) and its threshold.

    Parameters
    ----------
    form : "raw" keeps the length of the difference, as the paper writes it; "unit" normalises it
    projection_threshold : "midpoint" of the two classes' mean projections; "prevalence" is the mean over
        all samples as collected, which lies near 0 and marks half of all latents
    """
    vector = labelled.positive.mean(0) - labelled.negative.mean(0)
    if form == "unit":
        vector = vector / vector.norm()
    direction = Direction(vector, 0.0)
    positive, negative = (
        direction.project(latents) for latents in (labelled.positive, labelled.negative)
    )
    if projection_threshold == "midpoint":
        return Direction(vector, float(positive.mean() + negative.mean()) / 2)
    return Direction(vector, float(torch.cat([positive, negative]).mean()))
