"""Mean and covariance of the features of samples."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch

from forgetting.errors import DataError, DataWarning

ROUNDING = 1e-4
"""By which part of the greatest variance a covariance may differ from one, by rounding."""

MAX_REPEATED = 0.1
"""Largest share of samples that may equal as many others as a measure allows for."""

MAX_SHARED = 0.01
"""Largest share of the smaller of two sets that may equal samples of the other."""

SAME = 1e-5
"""Distance of the features of one image in two batches at most, as a part of their spread."""


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set of features.

    Attributes
    ----------
    mean : ndarray, float64, (F,)
        The mean.
    covariance : ndarray, float64, (F, F)
        The covariance.
    n : float
        The number of samples; of weighted ones the effective number, (sum w)^2 / sum w^2.

    Raises
    ------
    DataError
        They are no mean and covariance: of other shapes, not finite, with a negative variance in
        some direction, or of no samples.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: float

    def __post_init__(self) -> None:
        shapes = np.shape(self.mean), np.shape(self.covariance)
        if len(shapes[0]) != 1 or shapes[1] != 2 * shapes[0]:
            raise DataError(
                f"Statistics take a mean (F,) and a covariance (F, F), not {shapes[0]} and "
                f"{shapes[1]}."
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise DataError("A mean or a covariance is not finite: look at the features.")
        if not 1 <= self.n < math.inf:
            raise DataError(f"Statistics of n = {self.n} samples: give their number, at least 1.")
        variances = np.linalg.eigvalsh(self.covariance)
        is_symmetric = np.allclose(
            self.covariance, self.covariance.T, atol=ROUNDING * variances[-1]
        )
        if not is_symmetric or variances[0] < -ROUNDING * variances[-1]:
            raise DataError(
                "A covariance is symmetric, with no negative variance in any direction; this one "
                "is not: make it by Statistics.of(features)."
            )

    @classmethod
    def of(cls, features: torch.Tensor, weights: torch.Tensor | None = None) -> "Statistics":
        """Compute the statistics of features.

        A `DataWarning` says where over a tenth of the samples equal another.

        Parameters
        ----------
        features : Tensor, (N, F)
            Features of at least two samples.
        weights : Tensor, (N,), or None
            The weight of each sample; None weighs all alike.

        Raises
        ------
        DataError
            There are fewer than two samples, or a value is not finite.
        """
        checked = checked_features(features, 2, "A covariance")
        warn_of_repeated(
            checked, "A covariance: {n_repeated}, which say no more than each of them once."
        )
        array = checked.double().numpy()
        if weights is None:
            n, sample_weights = float(len(array)), None
        else:
            sample_weights = weights.cpu().double().numpy()
            n = float(sample_weights.sum() ** 2 / (sample_weights**2).sum())
        covariance = np.atleast_2d(np.cov(array, rowvar=False, aweights=sample_weights))
        return cls(np.average(array, axis=0, weights=sample_weights), covariance, n)


def checked_features(features: torch.Tensor, least: int, measure: str) -> torch.Tensor:
    """Return features on the CPU if a measure may be taken of them.

    Parameters
    ----------
    features : Tensor, (N, F)
        Features of samples.
    least : int
        Fewest samples.
    measure : str
        Its name, for errors.

    Raises
    ------
    DataError
        There are too few samples, a value is not finite, or the shape is another.
    """
    features = features.detach().cpu()
    if features.ndim != 2 or not features.shape[1]:
        raise DataError(
            f"{measure} takes features (N, F), not {tuple(features.shape)}: flatten them."
        )
    if len(features) < least:
        raise DataError(
            f"{measure} needs at least {least} samples, not {len(features)}: take more samples."
        )
    n_lost = int((~torch.isfinite(features)).any(1).sum())
    if n_lost:
        raise DataError(
            f"{measure}: {n_lost} of {len(features)} samples have features that are not finite. "
            "Look at these samples."
        )
    return features


def warn_of_repeated(features: torch.Tensor, text: str) -> None:
    """Warn where over a tenth of samples equal another, as those of a set do that was repeated.

    Parameters
    ----------
    features : Tensor, (N, F)
        Features of the samples.
    text : str
        The sentence, with `{n_repeated}` for the number of samples.
    """
    _, number, counts = features.unique(dim=0, return_inverse=True, return_counts=True)
    n_repeated = int((counts[number] > 1).sum())
    if n_repeated > MAX_REPEATED * len(features):
        told = f"{n_repeated} of {len(features)} samples equal another"
        warnings.warn(
            f"{text.format(n_repeated=told)} Take each sample once.", DataWarning, stacklevel=3
        )


def warn_of_shared(first: torch.Tensor, second: torch.Tensor, measure: str) -> None:
    """Warn where two sets hold the same samples, so that a distance between them is too small.

    Parameters
    ----------
    first, second : Tensor, (N, F) and (M, F)
        Features of the samples, or scores (N, 1) and (M, 1).
    measure : str
        Its name, as a sentence begins with it.
    """
    n_shared = int(_is_among(*sorted((first, second), key=len)).sum())
    if n_shared > MAX_SHARED * min(len(first), len(second)):
        warnings.warn(
            f"{measure}: {n_shared} samples are in both sets, so that these seem nearer to each "
            "other than they are. Take each sample into one set.",
            DataWarning,
            stacklevel=3,
        )


def _is_among(few: torch.Tensor, many: torch.Tensor) -> torch.Tensor:
    """Return which rows of (N, F) equal one of (M, F), but for rounding, bool (N,).

    Rows that are equal are neighbours along any line, on which few others lie between.
    """
    few, many = few.detach().cpu().double(), many.detach().cpu().double()
    random = torch.Generator().manual_seed(0)
    line = torch.randn(few.shape[1], generator=random, dtype=torch.float64)
    places, order = (many @ line).sort()
    after = torch.searchsorted(places, few @ line)
    allowed = SAME * (many - many.mean(0)).norm(dim=1).mean()
    neighbours = ((after + step).clamp(0, len(many) - 1) for step in (-1, 0))
    return torch.stack(
        [(few - many[order[place]]).norm(dim=1) <= allowed for place in neighbours]
    ).any(0)
