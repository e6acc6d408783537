"""Prevalence: the share of samples that have a feature, with its interval."""

import math
import warnings
from dataclasses import dataclass

import torch
from scipy.stats import binomtest
from torch import nn

from forgetting.border.conditions import stream_seed
from forgetting.border.feature_score import Score, threshold_of
from forgetting.border.options import check_interval, check_seed, finite_number
from forgetting.border.sampling import scored_samples
from forgetting.border.scores import are_log_probabilities, tensor_of
from forgetting.errors import DataError, DataWarning


@dataclass(frozen=True)
class Prevalence:
    """A share of n samples with its Wilson 95 % interval.

    Attributes
    ----------
    share, low, high : float
        The share and the ends of its interval, in [0, 1].
    n : int
        The number of samples.

    Raises
    ------
    DataError
        The share lies outside its interval, or the interval outside [0, 1].
    """

    share: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        check_interval("A share", self.share, self.low, self.high)

    @classmethod
    def of(cls, has_feature: torch.Tensor) -> "Prevalence":
        """Compute the prevalence among samples.

        Parameters
        ----------
        has_feature : Tensor, bool, (n,)
            Which samples have the feature.

        Raises
        ------
        DataError
            There are no samples, or the values are no booleans (N,).
        """
        has_feature = tensor_of(has_feature, "A prevalence takes no samples")
        if has_feature.dtype != torch.bool or has_feature.ndim != 1:
            raise DataError(
                "A prevalence takes a boolean for each sample, not "
                f"{str(has_feature.dtype).removeprefix('torch.')} {tuple(has_feature.shape)}: "
                "compare the scores with a threshold first."
            )
        n, count = len(has_feature), int(has_feature.sum())
        if not n:
            raise DataError("A prevalence needs at least one sample: there is none.")
        interval = binomtest(count, n).proportion_ci(0.95, method="wilson")
        return cls(count / n, float(interval.low), float(interval.high), n)

    def metrics(self, name: str) -> dict[str, float]:
        """Return {name, name_low, name_high} for a run record."""
        return {name: self.share, f"{name}_low": self.low, f"{name}_high": self.high}


@dataclass(frozen=True)
class Excess:
    """A difference of two shares with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The difference and the ends of its interval, in [-1, 1].
    """

    value: float
    low: float
    high: float

    def metrics(self, name: str) -> dict[str, float]:
        """Return {name, name_low, name_high} for a run record."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def prevalence(
    generator: nn.Module,
    score: Score,
    *,
    threshold: float | None = None,
    n: int = 5000,
    seed: int = 1,
    batch_size: int = 500,
) -> Prevalence:
    """Count how many fresh samples of a generator have a feature.

    A `DataWarning` says where all scores are equal, or of another scale than the threshold. So are
    percentages beside a probability, logarithms of probabilities beside 0, and scores that lie
    further from the threshold than from each other.

    Parameters
    ----------
    generator : nn.Module
        Has `latent_dim` and `forward(z: (B, latent_dim)) -> images`. A copy of it is used, in
        evaluation mode.
    score : callable
        Maps images (B, C, H, W) to scores (B,), higher where an image shows more of the feature.
    threshold : float, optional
        The score above which a sample has the feature. Without it the score's own counts, which
        `score.at(threshold)` sets, and 0 where it has none.
    n : int
        Number of samples.
    seed : int
        Of the latents, which differ from those that `collect_latents` or a method draws.
    batch_size : int
        Samples that are decoded at a time.

    Returns
    -------
    Prevalence
        The share with its interval.

    Raises
    ------
    ModelError
        The generator or the score does not pass the preflight.
    ParameterError
        `n`, `batch_size` or `seed` is no whole number in its range, or the threshold no number.

    Examples
    --------
    >>> import forgetting as fg
    >>> generator = fg.load("digits-vae")
    >>> ink = lambda images: images.sum((1, 2, 3))
    >>> dark = fg.prevalence(generator, ink, threshold=130, n=500)
    >>> 0.0 < dark.low < dark.share < dark.high < 1.0
    True
    """
    seed = check_seed(seed)
    limit = threshold_of(score) if threshold is None else finite_number(threshold=threshold)
    _, scores = scored_samples(
        generator,
        score,
        n,
        seed=stream_seed(seed, "prevalence"),
        batch_size=batch_size,
        threshold=limit,
    )
    _warn_of_scale(scores, limit)
    return Prevalence.of(scores > limit)


def _warn_of_scale(scores: torch.Tensor, threshold: float) -> None:
    """Warn if a threshold tells nothing of scores (N,), or the scores nothing of the samples."""
    least, most = float(scores.min()), float(scores.max())
    if len(scores) > 1 and least == most:
        warnings.warn(
            f"All {len(scores)} samples have the score {least:g}, which tells nothing of them: "
            "look at what scores.",
            DataWarning,
            stacklevel=3,
        )
    elif max(least - threshold, threshold - most) > most - least > 0:
        warnings.warn(
            f"The threshold {threshold:g} lies far from all {len(scores)} scores, which go from "
            f"{least:g} to {most:g}: is it of another scale?",
            DataWarning,
            stacklevel=3,
        )
    elif threshold == 0 and are_log_probabilities(scores):
        warnings.warn(
            f"None of {len(scores)} scores is above 0, and many are next to it, as logarithms of "
            "probabilities are, so that no sample has the feature: return logits, or give "
            "threshold=math.log(0.5).",
            DataWarning,
            stacklevel=3,
        )


def excess(a: Prevalence, b: Prevalence) -> Excess:
    """Return by how much one share lies above another, counted in other samples.

    The interval is that of Newcombe (1998, method 10), made of both Wilson intervals.

    Parameters
    ----------
    a, b : Prevalence
        The shares.
    """
    value = a.share - b.share
    below = math.hypot(a.share - a.low, b.high - b.share)
    above = math.hypot(a.high - a.share, b.share - b.low)
    return Excess(value, max(value - below, -1.0), min(value + above, 1.0))


def gap_to_retrained(original: float, unlearned: float, retrained: float) -> float:
    """Return the share of the gap between original and retrained model that remains.

    Parameters
    ----------
    original, unlearned, retrained : float
        The prevalence of the feature among samples of each model.

    Returns
    -------
    float
        (unlearned - retrained) / (original - retrained). 1 is the original's prevalence, 0 that
        of the retrained model; below 0 the feature is rarer than after training without it.

    Raises
    ------
    DataError
        There is no gap: the retrained model shows the feature as often as the original, or more
        often. Or one of them is no share from 0 to 1.
    """
    if not all(0 <= share <= 1 for share in (original, unlearned, retrained)):
        raise DataError(
            f"{original:g}, {unlearned:g} and {retrained:g} are not all shares from 0 to 1: give "
            "the prevalences of the three models."
        )
    if original <= retrained:
        raise DataError(
            f"The retrained model shows the feature in {retrained:.2%} of samples, as often as "
            f"the original ({original:.2%}) or more: no gap."
        )
    return (unlearned - retrained) / (original - retrained)
