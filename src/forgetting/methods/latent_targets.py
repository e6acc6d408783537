"""Per-sample targets: how far along a direction each sample loses a feature.

One step of equal length for all samples leaves the feature in some and takes too much from others.
Here each sample is moved until its score falls to that of a sample that surely lacks the feature.
"""

from dataclasses import dataclass

import torch
from torch import nn

from forgetting.border.contracts import BATCH
from forgetting.border.copies import device_of, frozen_copy
from forgetting.border.feature_score import Score
from forgetting.border.sampling import scored_samples
from forgetting.errors import DataError
from forgetting.foundation.progress import bar
from forgetting.methods.direction import (
    MIN_POSITIVES,
    Direction,
    Form,
    LabelledLatents,
    find_direction,
)

MIN_LACKING = 100
"""Samples that surely lack the feature, below which their scores are no distribution."""


@dataclass(frozen=True)
class LatentPool:
    """Latents of a generator, and the scores of their images.

    Attributes
    ----------
    latents : torch.Tensor
        (N, latent_dim).
    scores : torch.Tensor
        (N,).
    threshold : float
        A sample with a higher score has the feature.
    lacking : float
        A sample with a score of at most this surely lacks it.

    Raises
    ------
    DataError
        Fewer than ten samples have the feature, or fewer than a hundred surely lack it.
    """

    latents: torch.Tensor
    scores: torch.Tensor
    threshold: float
    lacking: float

    def __post_init__(self) -> None:
        n_have = int((self.scores > self.threshold).sum())
        n_lack = int((self.scores <= self.lacking).sum())
        if n_have < MIN_POSITIVES or n_lack < MIN_LACKING:
            raise DataError(
                f"Of {len(self.scores)} samples {n_have} have the feature and {n_lack} surely "
                f"lack it, where {MIN_POSITIVES} and {MIN_LACKING} are needed: collect more "
                "samples, or give another threshold."
            )

    @property
    def is_to_change(self) -> torch.Tensor:
        """Which samples do not surely lack the feature, bool (N,)."""
        return self.scores > self.lacking

    @property
    def lacking_scores(self) -> torch.Tensor:
        """Scores of the samples that surely lack the feature."""
        return self.scores[~self.is_to_change]

    def direction(self, form: Form = "unit") -> Direction:
        """Return the direction of the feature, as `find_direction` finds it."""
        has_feature = self.scores > self.threshold
        labelled = LabelledLatents(self.latents[has_feature], self.latents[~has_feature])
        return find_direction(labelled, form=form)


CHUNK = 1000
"""Samples that are drawn before their number is looked at again."""


def collect_pool(
    generator: nn.Module,
    score: Score,
    *,
    threshold: float,
    lacking: float,
    n: int,
    n_with_feature: int,
    seed: int,
) -> LatentPool:
    """Sample a generator until enough samples have the feature, and score the samples.

    Parameters
    ----------
    generator, score
        As the contracts describe them. A copy of the generator is sampled.
    threshold, lacking : float
        As `LatentPool` has them.
    n : int
        The most samples that are drawn.
    n_with_feature : int
        Samples with the feature at which drawing ends.
    seed : int
        Of the latents.

    Raises
    ------
    DataError
        Of all samples, fewer than ten have the feature or fewer than a hundred surely lack it.
    """
    latents, scores = torch.empty(0), torch.empty(0)
    n_drawn = n_have = 0
    with bar(n, "collecting", unit="sample") as line:
        while n_drawn < n and n_have < n_with_feature:
            n_more = min(CHUNK, n - n_drawn)
            more = scored_samples(
                generator,
                score,
                n_more,
                seed=seed + n_drawn,
                batch_size=BATCH,
                threshold=threshold,
            )
            latents = torch.cat([latents.view(-1, more[0].shape[1]), more[0]])
            scores = torch.cat([scores, more[1]])
            n_drawn += n_more
            n_have = int((scores > threshold).sum())
            line.set_postfix_str(f"{n_have} of {n_with_feature} with the feature", refresh=False)
            line.update(n_more)
    return LatentPool(latents, scores, threshold, lacking)


@dataclass(frozen=True)
class Walks:
    """Scores of samples that are moved against a direction, step by step.

    Attributes
    ----------
    latents : torch.Tensor
        (S, latent_dim), where the walks start.
    unit : torch.Tensor
        (latent_dim,), the direction.
    scores : torch.Tensor
        (S, K), of the images at the distances 0, `STRIDE`, 2 `STRIDE` ...; infinite where a walk
        has ended before.
    levels : torch.Tensor
        (S,), the score that each sample shall fall to.
    lacking : float
        A sample with a score of at most this surely lacks the feature.
    """

    latents: torch.Tensor
    unit: torch.Tensor
    scores: torch.Tensor
    levels: torch.Tensor
    lacking: float

    @property
    def is_solved(self) -> torch.Tensor:
        """Which walks reach a place that surely lacks the feature, bool (S,)."""
        return self.scores.min(1).values <= self.lacking

    def targets(self, lowered: torch.Tensor) -> torch.Tensor:
        """Return the latents (S, latent_dim) at which the scores reach lowered levels.

        Between two places the score is taken to be linear. A level below the lowest score of a
        walk becomes that score.

        Parameters
        ----------
        lowered : Tensor
            (S,), at least 0: by how much the levels are lowered.
        """
        levels = torch.maximum(self.levels - lowered, self.scores.min(1).values)
        after = (self.scores <= levels[:, None]).int().argmax(1)
        before = (after - 1).clamp(min=0)
        high, low = (self.scores.gather(1, i[:, None])[:, 0] for i in (before, after))
        part = torch.where(high > low, (high - levels) / (high - low), torch.zeros_like(low))
        distances = STRIDE * torch.where(after > 0, before + part, torch.zeros_like(part))
        return self.latents - distances[:, None] * self.unit


STRIDE = 0.5
"""Distance between two places of a walk, in standard deviations of a latent."""

LOWEST = 0.05
"""Quantile of the lacking samples' scores, and of their projections, at which a walk ends."""

SLACK = 0.04
"""Twice the part by which the AUC of the scores may exceed 0.5 through the choice of levels."""


def walk_down(generator: nn.Module, score: Score, pool: LatentPool) -> Walks:
    """Move each sample that may have the feature against its direction, and score the images.

    The level of a sample is the score of a lacking sample of equal rank. If the scores of all
    lacking samples were levels, a sample that hardly has the feature would be moved far. So only
    the upper part q of them are. With p the share of samples to change, the AUC of all scores
    against those of lacking samples then becomes 0.5 + p (1 - q) / 2, and q = 1 - `SLACK` / p.

    No walk goes beyond where lacking samples lie along the direction: images from farther out
    score low, and look like no image of the generator.

    Parameters
    ----------
    generator, score
        As the contracts describe them. A copy of the generator decodes.
    pool : LatentPool
        Samples of the generator.
    """
    latents, scores = pool.latents[pool.is_to_change], pool.scores[pool.is_to_change]
    unit = pool.direction().vector
    ranks = (scores.argsort().argsort() + 0.5) / len(scores)
    lacking = pool.lacking_scores.sort().values
    upper = lacking[
        -max(MIN_LACKING, round(len(lacking) * (1 - SLACK * len(pool.scores) / len(scores)))) :
    ]
    levels = upper[(ranks * len(upper)).long().clamp(max=len(upper) - 1)]
    end = lacking.quantile(LOWEST)
    nearest = (pool.latents[~pool.is_to_change] @ unit).quantile(LOWEST)
    n_places = ((latents @ unit - nearest) / STRIDE).clamp(min=0).floor().long()
    model = frozen_copy(generator)
    device = device_of(model)
    along = torch.full((len(latents), int(n_places.max()) + 1), torch.inf)
    along[:, 0] = scores
    goes_on = scores > end
    with bar(int(n_places[goes_on].sum()), "walking", unit="sample") as line:
        for place in range(1, along.shape[1]):
            walking = (goes_on & (n_places >= place)).nonzero()[:, 0]
            for part in walking.split(BATCH):
                with torch.no_grad():
                    images = model((latents[part] - place * STRIDE * unit).to(device))
                    along[part, place] = score(images).cpu()
                line.update(len(part))
            goes_on[walking] = along[walking, place] > end
            line.total = line.n + int((n_places - place)[goes_on].clamp(min=0).sum())
    return Walks(latents, unit, along, levels, pool.lacking)
