"""Distances between sets of features: FID, KID, precision and recall, nearest neighbours."""

import math
import warnings

import numpy as np
import torch
from scipy.stats import t
from sklearn.neighbors import NearestNeighbors

from forgetting.errors import DataError, DataWarning
from forgetting.metrics import METRICS, SampleMetric
from forgetting.metrics.feature_statistics import (
    Statistics,
    checked_features,
    warn_of_repeated,
    warn_of_shared,
)

KID_SUBSETS = 20

KID_SUBSET = 1000
"""Samples in a subset of KID; of fewer, all subsets are the same, and no mean takes out noise."""

SAMPLES_PER_FEATURE = 2
"""Samples for each feature below which a covariance is too poor for a Frechet distance."""

MIN_SAMPLES = 50
"""Samples below which neither a kernel distance nor precision and recall are taken."""


IS_PARTS = 10
"""Parts of the samples in each of which an Inception Score is taken."""

PER_CLASS = 10
"""Samples for each class in such a part: the score of a part is at most the number of samples."""

NEIGHBOUR = 3
"""The neighbour of a sample whose distance is the radius of its place, k of precision."""

FAR, LARGEST = 30.0, 1e12
"""Distance from 0, in units of their spread, and spread, beyond which features are moved."""


def carries_fid(n: float, n_features: int) -> bool:
    """Return whether n samples carry the covariance of so many features for `fid`."""
    return n >= SAMPLES_PER_FEATURE * n_features


def _pair(a: torch.Tensor, b: torch.Tensor, least: int, measure: str) -> list[torch.Tensor]:
    """Return two sets of features if a measure may be taken of both together."""
    both = [checked_features(features, least, measure) for features in (a, b)]
    _check_alike(a.shape[1], b.shape[1])
    return both


def _check_alike(first: int, second: int) -> None:
    """Raise an error if two sets differ in the number of their features."""
    if first != second:
        raise DataError(
            f"The sets have {first} and {second} features: take the features of both from one "
            "network."
        )


def fid(a: torch.Tensor | Statistics, b: torch.Tensor | Statistics) -> float:
    """Return the Frechet distance of two sets of features (Heusel et al., 2017).

    It is |m1 - m2|^2 + tr(S1 + S2) - 2 sum sqrt(eigenvalues of S1 S2). The eigenvalues are those
    of the symmetric S1^(1/2) S2 S1^(1/2), which are real even if a covariance is singular.

    Parameters
    ----------
    a, b : Tensor, (N, F), or Statistics
        Features, or their statistics, of at least twice as many samples as features: the distance
        of fewer lies far above its value for many. Features that are in both sets are noted.

    Raises
    ------
    DataError
        There are too few samples, a value is not finite, or the numbers of features differ.
    """
    first, second = (x if isinstance(x, Statistics) else Statistics.of(x) for x in (a, b))
    _check_alike(len(first.mean), len(second.mean))
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        warn_of_shared(a, b, "FID")
    for statistics in (first, second):
        if not carries_fid(statistics.n, len(first.mean)):
            raise DataError(
                f"FID on {len(first.mean)} features needs at least "
                f"{SAMPLES_PER_FEATURE * len(first.mean)} samples in each set, not "
                f"{statistics.n:.0f}: take more samples."
            )
    return frechet_distance(first, second)


def frechet_distance(first: Statistics, second: Statistics) -> float:
    """Return what `fid` returns, of however few samples: state their number beside it."""
    values, vectors = np.linalg.eigh(first.covariance)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = np.linalg.eigvalsh(root @ second.covariance @ root)
    traces = np.trace(first.covariance) + np.trace(second.covariance)
    distance = ((first.mean - second.mean) ** 2).sum() + traces
    return float(max(distance - 2 * np.sqrt(np.clip(product, 0, None)).sum(), 0.0))


def kid(a: torch.Tensor, b: torch.Tensor, seed: int = 0) -> float:
    """Return the kernel distance of two sets of features (Binkowski et al., 2018).

    It is the mean over 20 pairs of subsets of the unbiased squared maximum mean discrepancy with
    the kernel (x y / F + 1)^3, by torch-fidelity. A subset has 1,000 samples, or all of the
    smaller set. The distance scales with the sixth power of the features, so it is read only
    beside its floor. It can be negative: of fewer samples it may lie far below 0, and a
    `DataWarning` says so. Another says where over a tenth of the samples equal another.

    Parameters
    ----------
    a, b : Tensor, (N, F) and (M, F)
        Features of at least 50 samples each.
    seed : int
        Seed of the subsets.

    Raises
    ------
    DataError
        There are too few samples, a value is not finite, or the numbers of features differ.
    """
    first, second = _pair(a, b, MIN_SAMPLES, "KID")
    if (n := min(len(a), len(b))) < KID_SUBSET:
        warnings.warn(
            f"KID of {n} samples is mostly noise, and may be far below 0: take at least "
            f"{KID_SUBSET:,} in each set.",
            DataWarning,
            stacklevel=2,
        )
    warn_of_shared(first, second, "KID")
    for features in (first, second):
        warn_of_repeated(features, "KID: {n_repeated}, which moves it away from 0.")
    from torch_fidelity.metric_kid import kid_features_to_metric  # takes seconds

    metrics = kid_features_to_metric(
        first.double(),
        second.double(),
        kid_subsets=KID_SUBSETS,
        kid_subset_size=min(KID_SUBSET, n),
        rng_seed=seed,
        verbose=False,
    )
    return float(metrics["kernel_inception_distance_mean"])


def carries_inception(n: int, n_classes: int) -> bool:
    """Return whether n samples carry an Inception Score of so many classes."""
    return n >= IS_PARTS * PER_CLASS * n_classes


def inception_score(classes: torch.Tensor, *, seed: int = 0) -> tuple[float, float, float]:
    """Return the Inception Score of samples (Salimans et al., 2016), with its 95 % interval.

    It is the mean over ten parts of the samples of exp(E KL(p(y | x) || p(y))), at least 1 and at
    most the number of classes. The network is the one whose classes are given. The score of a
    part lies a little below that of many samples, of which the interval says nothing.

    Parameters
    ----------
    classes : Tensor, (N, K)
        Class probabilities of the samples.

    Returns
    -------
    score, low, high : float
        The interval is that of t over the parts.

    Raises
    ------
    DataError
        There are too few samples for the classes, or a row is no distribution.
    """
    if not carries_inception(*classes.shape):
        raise DataError(
            f"The Inception Score of {classes.shape[1]} classes needs "
            f"{IS_PARTS * PER_CLASS * classes.shape[1]} samples, and there are {len(classes)}: "
            "take more."
        )
    if not bool((classes >= 0).all()) or bool(((classes.sum(1) - 1).abs() > 1e-3).any()):
        raise DataError(
            "The Inception Score needs class probabilities: a row does not add up to 1."
        )
    from torch_fidelity.metric_isc import isc_features_to_metric  # takes seconds

    found = isc_features_to_metric(
        classes.double().log().clamp(min=-700), splits=IS_PARTS, shuffle=True, rng_seed=seed
    )
    score = float(found["inception_score_mean"])
    error = float(found["inception_score_std"]) / math.sqrt(IS_PARTS - 1)
    half = float(t.ppf(0.975, IS_PARTS - 1)) * error
    return score, score - half, score + half


def precision_recall(generated: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    """Return improved precision and recall (Kynkaanniemi et al., 2019), with k = 3.

    A `DataWarning` says where over a tenth of the samples of a set equal another.

    Parameters
    ----------
    generated, real : Tensor, (N, F) and (M, F)
        Features of at least 50 samples each.

    Returns
    -------
    precision, recall : float
        The share of generated samples among real ones, and of real samples among generated ones,
        both in [0, 1].

    Raises
    ------
    DataError
        There are too few samples, a value is not finite, or the numbers of features differ.
    """
    first, second = _pair(generated, real, MIN_SAMPLES, "Precision and recall")
    warn_of_shared(first, second, "Precision and recall")
    for features in (first, second):
        warn_of_repeated(
            features, "Precision and recall: {n_repeated}, so that fewer others are near them."
        )
    first, second = _placed(first, second)
    from torch_fidelity.metric_prc import prc_features_to_metric  # takes seconds

    metrics = prc_features_to_metric(
        first.float(),
        second.float(),
        prc_neighborhood=NEIGHBOUR,
        prc_batch_size=1000,
        verbose=False,
    )
    return float(metrics["precision"]), float(metrics["recall"])


def _placed(a: torch.Tensor, b: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features as they are, or moved and scaled where float32 does not hold distances.

    Squared distances lose their digits far from 0, and leave the numbers where features are huge
    or tiny.
    """
    centre = b.double().mean(0)
    spread = (b.double() - centre).norm(dim=1).mean()
    if centre.norm() <= FAR * spread and 1 / LARGEST < spread < LARGEST:
        return a, b
    return (a.double() - centre) / spread, (b.double() - centre) / spread


def nearest(features: torch.Tensor, reference: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the distance and the index of the nearest reference for each sample.

    Parameters
    ----------
    features, reference : Tensor, (N, F) and (M, F)
        Features of the samples and of the reference.

    Returns
    -------
    distances : Tensor, float32, (N,)
        Euclidean distances.
    indices : Tensor, int64, (N,)
        Rows of `reference`.

    Raises
    ------
    DataError
        A set is empty, a value is not finite, or the numbers of features differ.
    """
    sought, known = _pair(features, reference, 1, "The nearest reference")
    search = NearestNeighbors(n_neighbors=1).fit(known.numpy())
    distances, index = search.kneighbors(sought.numpy())
    return torch.from_numpy(distances[:, 0]).float(), torch.from_numpy(index[:, 0])


METRICS.register("fid")(
    SampleMetric(
        columns={"fid": ("FID", ".1f")},
        measure=lambda samples, target: (fid(samples, target),),
        description="Frechet distance: 0 where mean and covariance of the features are equal.",
    )
)
METRICS.register("kid")(
    SampleMetric(
        columns={"kid": ("KID", ".3g")},
        measure=lambda samples, target: (kid(samples, target),),
        description="Kernel distance: unbiased, so that it is about 0 where the images are alike.",
    )
)
METRICS.register("precision_recall")(
    SampleMetric(
        columns={"precision": ("precision", ".2f"), "recall": ("recall", ".2f")},
        measure=precision_recall,
        description="Shares of samples among the images, and of images among the samples.",
    )
)
