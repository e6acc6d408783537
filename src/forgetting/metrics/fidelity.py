"""Distances between sets of features: FID, KID, precision and recall, nearest neighbours."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

from forgetting.metrics import METRICS, SampleMetric

KID_SUBSETS = 20


@dataclass(frozen=True)
class Statistics:
    """Mean and covariance of a set of features.

    Attributes
    ----------
    mean : ndarray, float64, (F,)
        The mean.
    covariance : ndarray, float64, (F, F)
        The covariance.
    n : int
        The number of samples.
    """

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def of(cls, features: torch.Tensor, weights: torch.Tensor | None = None) -> "Statistics":
        """Compute the statistics of features.

        Parameters
        ----------
        features : Tensor, (N, F)
            Features of at least two samples.
        weights : Tensor, (N,), or None
            The weight of each sample; None weighs all alike.

        Raises
        ------
        ValueError
            There are fewer than two samples, or a value is not finite.
        """
        array = features.detach().cpu().double().numpy()
        if len(array) < 2:
            raise ValueError(f"a covariance needs at least 2 samples, not {len(array)}")
        if not np.isfinite(array).all():
            raise ValueError("the features hold values that are not finite")
        sample_weights = None if weights is None else weights.cpu().double().numpy()
        covariance = np.atleast_2d(np.cov(array, rowvar=False, aweights=sample_weights))
        return cls(np.average(array, axis=0, weights=sample_weights), covariance, len(array))


def fid(a: torch.Tensor | Statistics, b: torch.Tensor | Statistics) -> float:
    """Return the Frechet distance of two sets of features (Heusel et al., 2017).

    It is |m1 - m2|^2 + tr(S1 + S2) - 2 sum sqrt(eigenvalues of S1 S2). The eigenvalues are those
    of the symmetric S1^(1/2) S2 S1^(1/2), which are real even if a covariance is singular.

    Parameters
    ----------
    a, b : Tensor, (N, F), or Statistics
        Features of at least two samples, or their statistics.

    Raises
    ------
    ValueError
        There are fewer than two samples, a value is not finite, or the numbers of features differ.
    """
    first, second = (x if isinstance(x, Statistics) else Statistics.of(x) for x in (a, b))
    if first.mean.shape != second.mean.shape:
        raise ValueError(
            f"the sets have {len(first.mean)} and {len(second.mean)} features; they must agree"
        )
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
    beside its floor. It can be negative.

    Parameters
    ----------
    a, b : Tensor, (N, F) and (M, F)
        Features.
    seed : int
        Seed of the subsets.
    """
    metrics = kid_features_to_metric(
        a.double(),
        b.double(),
        kid_subsets=KID_SUBSETS,
        kid_subset_size=min(1000, len(a), len(b)),
        rng_seed=seed,
        verbose=False,
    )
    return float(metrics["kernel_inception_distance_mean"])


def precision_recall(generated: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    """Return improved precision and recall (Kynkaanniemi et al., 2019), with k = 3.

    Parameters
    ----------
    generated, real : Tensor, (N, F) and (M, F)
        Features.

    Returns
    -------
    precision, recall : float
        The share of generated samples among real ones, and of real samples among generated ones,
        both in [0, 1].
    """
    metrics = prc_features_to_metric(
        generated.float(), real.float(), prc_neighborhood=3, prc_batch_size=1000, verbose=False
    )
    return float(metrics["precision"]), float(metrics["recall"])


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
    """
    search = NearestNeighbors(n_neighbors=1).fit(reference.numpy())
    distances, index = search.kneighbors(features.numpy())
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
