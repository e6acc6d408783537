"""The direction of a feature in the latent space of a generator, from labelled samples."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import nn

from forgetting.border.feature_score import Score, threshold_of
from forgetting.border.options import (
    MAX_COUNT,
    check_counts,
    check_kind,
    check_number,
    finite_number,
)
from forgetting.border.sampling import scored_samples
from forgetting.border.scores import tensor_of
from forgetting.errors import DataError, ParameterError, check_option
from forgetting.methods.labelled_latents import LabelledLatents

Form = Literal["raw", "unit"]
ProjectionThreshold = Literal["midpoint", "prevalence"]

MAX_TIED = 1.0
"""Samples with the score at which a share ends, at most, as a part of the share."""

ROUNDED = 1e-6
"""Length of a direction, as a part of that of latents, up to which rounding may have made it."""

MIN_POSITIVES = 10
"""Least number of samples with the feature, and without it, that give a direction."""


@dataclass(frozen=True)
class Direction:
    """The direction of a feature in latent space, with its projection threshold.

    Attributes
    ----------
    vector : torch.Tensor
        (latent_dim,), z_e of the paper, on the CPU. Latents may be on any device.
    projection_threshold : float
        t of the paper: a latent has the feature where its projection reaches it.

    Raises
    ------
    DataError
        The length of the vector is not finite or 0.
    ParameterError
        The threshold is no finite number.
    """

    vector: torch.Tensor
    projection_threshold: float

    def __post_init__(self) -> None:
        vector = tensor_of(self.vector, "A direction").float().clone()  # the caller's may change
        if vector.ndim != 1 or not 0 < vector.norm() < math.inf:
            raise DataError(
                "A direction must be one vector of finite numbers that are not all 0: look at "
                "the latents that it was found from."
            )
        threshold = finite_number(projection_threshold=self.projection_threshold)
        object.__setattr__(self, "vector", vector)
        object.__setattr__(self, "projection_threshold", threshold)

    def project(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the projections proj(z) = <z, z_e> / |z_e|, (B,), of latents (B, latent_dim)."""
        vector = self.vector.to(latents.device)
        projections: torch.Tensor = latents @ vector / vector.norm()
        return projections

    def selects(self, latents: torch.Tensor) -> torch.Tensor:
        """Return sim(z), bool (B,): which projections reach the projection threshold."""
        return self.project(latents) >= self.projection_threshold

    def erase(self, latents: torch.Tensor) -> torch.Tensor:
        """Return latents (B, latent_dim) from which the feature is erased.

        A selected latent becomes z' = z - (proj(z) - t) z_e; any other stays as it is. With a
        unit vector z' lies on the projection threshold; a longer one carries it beyond.
        """
        excess = (self.project(latents) - self.projection_threshold).clamp(min=0)
        return latents - excess[:, None] * self.vector.to(latents.device)


def collect_latents(
    generator: nn.Module,
    score: Score,
    n: int,
    *,
    share: float = 0.1,
    threshold: float | None = None,
    seed: int = 0,
    batch_size: int = 500,
) -> LabelledLatents:
    """Sample a generator and label the latents by the scores of their images.

    Parameters
    ----------
    generator : nn.Module
        Has `latent_dim` and `forward(z: (B, latent_dim)) -> images`. A copy in evaluation mode
        is sampled.
    score : callable
        Images (B, C, H, W) to scores (B,), higher where the feature shows more.
    n : int
        Number of samples. A direction in d dimensions needs some hundred times d of them.
    share : float
        Share of the samples, those with the highest scores, that count as positive where there
        is no `threshold`: for a continuous feature, such as thickness. The default is the
        paper's tenth.
    threshold : float, optional
        Score beyond which a sample is positive: for a feature that is there or not, such as
        eyeglasses.
    seed : int
        Seed of the latents.
    batch_size : int
        Samples that are decoded at a time.

    Returns
    -------
    LabelledLatents
        The positive and the negative latents, on the CPU.

    Raises
    ------
    DataError
        Fewer than ten samples would be positive, or negative. Or a share would end among samples
        of equal scores.
    ModelError
        The generator or the score does not pass the preflight.
    ParameterError
        An option is no whole number in its range, or the share or the threshold no number. Or the
        score has a threshold by `at`, of which a share makes no use.

    Examples
    --------
    >>> import forgetting as fg
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> labelled = fg.collect_latents(fg.load("digits-vae"), ink, 500)
    >>> labelled.positive.shape, labelled.negative.shape
    (torch.Size([50, 32]), torch.Size([450, 32]))
    """
    (n,) = check_counts(n=n)
    check_number(share=share)
    threshold = None if threshold is None else finite_number(threshold=threshold)
    rarer = min(share, 1 - share)
    if threshold is None and not n * rarer >= MIN_POSITIVES:
        remedy = (
            f"collect at least {math.ceil(MIN_POSITIVES / rarer)}"
            if rarer * MAX_COUNT > MIN_POSITIVES
            else "choose a share between 0 and 1"
        )
        raise DataError(
            f"Of {n} samples a share of {share:g} shows the feature; a direction needs "
            f"{MIN_POSITIVES} that do and as many that don't: {remedy}."
        )
    if threshold is None and (own := threshold_of(score)):
        raise ParameterError(
            f"The score has the threshold {own:g}, which a share does not use: give "
            f"`threshold={own:g}`, or the score without `at`."
        )
    latents, scores = scored_samples(
        generator, score, n, seed=seed, batch_size=batch_size, threshold=threshold
    )
    if threshold is None:
        positive = torch.zeros_like(scores, dtype=torch.bool)
        positive[scores.topk(round(n * share)).indices] = True
        _check_ties(scores, positive)
        return LabelledLatents(latents[positive], latents[~positive])
    positive = scores > threshold
    n_positive = int(positive.sum())
    n_rarer = min(n_positive, n - n_positive)
    if n_rarer < MIN_POSITIVES:
        n_needed = math.ceil(2 * MIN_POSITIVES * n / max(1, n_rarer))
        raise DataError(
            f"{n_positive} of {n} samples show the feature; a direction needs {MIN_POSITIVES} "
            f"that do and as many that don't. Collect about {n_needed:,}, or choose another "
            "feature."
        )
    return LabelledLatents(latents[positive], latents[~positive])


def _check_ties(scores: torch.Tensor, positive: torch.Tensor) -> None:
    """Raise an error if chance decides which samples (n,) of equal scores count as positive."""
    last = scores[positive].min()
    n_tied, n_positive = int((scores == last).sum()), int(positive.sum())
    if (scores[~positive] == last).any() and n_tied > MAX_TIED * n_positive:
        raise DataError(
            f"{n_tied} of {len(scores)} samples have the score {last:g}, at which the "
            f"{n_positive} with the highest scores end, so that chance would decide which of them "
            "count: give a score with more values, or a `threshold` for a feature that is there "
            "or not."
        )


def find_direction(
    labelled: LabelledLatents,
    *,
    form: Form = "raw",
    projection_threshold: ProjectionThreshold = "midpoint",
) -> Direction:
    """Return the direction of a feature, the difference between two means of latents.

    It is z_e = mean(z | positive) - mean(z | negative), with a projection threshold.

    Parameters
    ----------
    labelled : LabelledLatents
        Latents with and without the feature.
    form : {"raw", "unit"}
        "raw" keeps the length of the difference, as the paper writes it; "unit" scales it to 1.
    projection_threshold : {"midpoint", "prevalence"}
        "midpoint" lies halfway between the mean projections of positive and negative latents.
        "prevalence" is the mean projection of all of them as collected; it lies near 0 and
        selects half of all latents.

    Returns
    -------
    Direction
        The difference, in the form that is wanted, and the projection threshold.

    Raises
    ------
    DataError
        There are fewer than ten latents of a kind, or the means do not differ.
    ParameterError
        `form` or `projection_threshold` is none of its options. A threshold of your own goes into
        `Direction(vector, projection_threshold)`.

    Examples
    --------
    >>> import forgetting as fg
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> labelled = fg.collect_latents(fg.load("digits-vae"), ink, 500)
    >>> direction = fg.find_direction(labelled)
    >>> direction.vector.shape
    torch.Size([32])
    >>> direction.projection_threshold > 0
    True
    """
    form = check_option("form", form, get_args(Form))
    projection_threshold = check_option(
        "projection_threshold", projection_threshold, get_args(ProjectionThreshold)
    )
    check_kind(LabelledLatents, "what `collect_latents` returns", labelled=labelled)
    n_positive, n_negative = len(labelled.positive), len(labelled.negative)
    if min(n_positive, n_negative) < MIN_POSITIVES:
        raise DataError(
            f"{n_positive} positive and {n_negative} negative latents are given; a direction "
            f"needs {MIN_POSITIVES} of either kind, and better some hundred: label more samples."
        )
    vector = labelled.positive.mean(0) - labelled.negative.mean(0)
    if vector.norm() <= ROUNDED * labelled.positive.norm(dim=-1).mean():
        raise DataError(
            "The means of positive and negative latents are equal but for rounding: label other "
            "latents, of samples with the feature and without."
        )
    if form == "unit":
        vector = vector / vector.norm()
    direction = Direction(vector, 0.0)
    positive, negative = map(direction.project, (labelled.positive, labelled.negative))
    if projection_threshold == "midpoint":
        return Direction(vector, float(positive.mean() + negative.mean()) / 2)
    return Direction(vector, float(torch.cat([positive, negative]).mean()))
