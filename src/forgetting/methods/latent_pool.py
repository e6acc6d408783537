"""Latents of a generator with the scores of their images: which have a feature and lack it."""

from dataclasses import dataclass, replace

import torch
from torch import nn

from forgetting.border.contracts import BATCH
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


MOST_TO_CHANGE = 0.75
"""Share of samples that are changed at most: the others show what lacks the feature."""


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
    def lacking_latents(self) -> torch.Tensor:
        """Latents of the samples that surely lack the feature."""
        return self.latents[~self.is_to_change]

    def widened(self, factor: float) -> "LatentPool":
        """Return the pool with a lower score up to which a sample surely lacks the feature.

        So many times as many samples do not surely lack it, but at most `MOST_TO_CHANGE` of all.

        Parameters
        ----------
        factor : float
            At least 1.
        """
        share = float(self.is_to_change.float().mean())
        if share >= MOST_TO_CHANGE:
            return self
        lacking = self.scores.quantile(1 - min(factor * share, MOST_TO_CHANGE))
        return replace(self, lacking=min(self.lacking, float(lacking)))

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
