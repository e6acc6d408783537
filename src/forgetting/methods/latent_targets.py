"""Per-sample targets: how far along which direction each sample loses a feature.

One step of equal length for all samples leaves the feature in some and takes too much from others.
Here each sample is moved until its score falls to that of a sample that surely lacks the feature.
One direction does not serve all: samples that it leaves with the feature get one of their own.
"""

from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.feature_score import Score
from forgetting.foundation.progress import bar
from forgetting.methods.direction import MIN_POSITIVES, LabelledLatents, find_direction
from forgetting.methods.latent_pool import MIN_LACKING, LatentPool

STRIDE = 0.5
"""Distance between two places of a walk, in standard deviations of a latent."""

NEAREST = 0.05
"""Quantile of the lacking samples' projections at which a walk ends."""

SLACK = 0.04
"""Twice the part by which the AUC of the scores may exceed 0.5 through the choice of levels."""

N_DIRECTIONS = 5
"""Directions at most, each of the samples that all before it leave with the feature."""


@dataclass(frozen=True)
class Targets:
    """Where samples of a generator lose a feature.

    Attributes
    ----------
    latents : torch.Tensor
        (S, latent_dim), of the samples that do not surely lack the feature.
    targets : torch.Tensor
        (S, latent_dim), where each of them was moved to.
    is_solved : torch.Tensor
        Bool (S,), which of the targets surely lack the feature.
    """

    latents: torch.Tensor
    targets: torch.Tensor
    is_solved: torch.Tensor


def find_levels(pool: LatentPool, *, most_lowest: bool = False) -> torch.Tensor:
    """Return the scores (S,) to which the samples that may have the feature shall fall.

    The levels are scores of lacking samples, of equal rank, so that all samples move about alike.

    If the scores of all lacking samples were levels, a sample that hardly has the feature would be
    moved far. So only the upper part q of them are. With p the share of samples to change, the AUC
    of all scores against those of lacking samples then becomes 0.5 + p (1 - q) / 2, and
    q = 1 - `SLACK` / p.

    Parameters
    ----------
    pool : LatentPool
        Samples of the generator.
    most_lowest : bool
        Whether the sample with most of the feature has the lowest level instead of the highest, at
        which another classifier may still see the feature.
    """
    scores, lacking = pool.scores[pool.is_to_change], pool.lacking_scores.sort().values
    part = 1 - SLACK * len(pool.scores) / max(1, len(scores))
    upper = lacking[-max(MIN_LACKING, round(len(lacking) * part)) :]
    ranks = (scores.argsort(descending=most_lowest).argsort() + 0.5) / len(scores)
    return upper[(ranks * len(upper)).long().clamp(max=len(upper) - 1)]


def find_targets(
    generator: nn.Module, score: Score, pool: LatentPool, levels: torch.Tensor
) -> Targets:
    """Move each sample that may have the feature against its direction, to its level.

    No walk goes beyond where lacking samples lie along the direction: images from farther out
    score low, and look like no image of the generator. Samples that keep the feature up to there
    have it in another way than most, and a further direction is found of them.

    Parameters
    ----------
    generator, score
        As the contracts describe them. A copy of the generator decodes.
    pool : LatentPool
        Samples of the generator.
    levels : Tensor
        (S,), the scores to fall to.
    """
    latents, scores = pool.latents[pool.is_to_change], pool.scores[pool.is_to_change]
    targets, is_solved = latents.clone(), torch.zeros(len(latents), dtype=torch.bool)
    model = frozen_copy(generator)
    for _ in range(N_DIRECTIONS):
        i = (~is_solved).nonzero()[:, 0]
        have = latents[i][scores[i] > pool.threshold]
        if len(have) < MIN_POSITIVES:
            break
        unit = find_direction(LabelledLatents(have, pool.lacking_latents), form="unit").vector
        distances, reached = _walk(model, score, pool, latents[i], scores[i], levels[i], unit)
        helps = reached <= pool.lacking
        targets[i[helps]] = (latents[i] - distances[:, None] * unit)[helps]
        is_solved[i[helps]] = True
    return Targets(latents, targets, is_solved)


def _walk(
    model: nn.Module,
    score: Score,
    pool: LatentPool,
    latents: torch.Tensor,
    scores: torch.Tensor,
    levels: torch.Tensor,
    unit: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Move latents (S, latent_dim) against a unit vector until their scores fall to levels.

    Returns
    -------
    distances, scores : Tensor
        (S,) each. Between two places the score is taken to be linear. Where a walk ends above its
        level, the place with its lowest score is taken.
    """
    device = device_of(model)
    nearest = (pool.lacking_latents @ unit).quantile(NEAREST)
    n_places = ((latents @ unit - nearest) / STRIDE).clamp(min=0).floor().long()
    distances, lowest, before = torch.zeros(len(latents)), scores.clone(), scores.clone()
    goes_on = scores > levels
    with bar(int(n_places[goes_on].sum()), "walking", unit="sample") as line:
        for place in range(1, int(n_places.max()) + 1):
            for i in (goes_on & (n_places >= place)).nonzero()[:, 0].split(BATCH):
                with torch.no_grad():
                    images = model((latents[i] - place * STRIDE * unit).to(device))
                    after = score(images).cpu()
                beyond = ((levels[i] - after) / (before[i] - after)).where(after <= levels[i], 0)
                is_lower = after < lowest[i]
                distances[i] = distances[i].where(~is_lower, STRIDE * (place - beyond))
                lowest[i] = torch.maximum(after, levels[i]).where(is_lower, lowest[i])
                before[i], goes_on[i] = after, after > levels[i]
                line.update(len(i))
            line.total = line.n + int((n_places - place)[goes_on].clamp(min=0).sum())
    return distances, lowest
