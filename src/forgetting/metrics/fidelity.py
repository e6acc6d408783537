"""Distances between sets of features: FID in closed form, KID, precision and recall, nearest."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.neighbors import NearestNeighbors
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

KID_SUBSETS = 20


@dataclass(frozen=True)
class Statistics:
    """Mean (F,), covariance (F, F) and number of a set of features, in float64."""

    mean: np.ndarray
    covariance: np.ndarray
    n: int

    @classmethod
    def of(cls, features: torch.Tensor, weights: torch.Tensor | None = None) -> "Statistics":
        """Take the statistics of features (N, F).

        Parameters
        ----------
        weights : (N,), how much each counts; None: all the same

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
        by = None if weights is None else weights.cpu().double().numpy()
        covariance = np.atleast_2d(np.cov(array, rowvar=False, aweights=by))
        return cls(np.average(array, axis=0, weights=by), covariance, len(array))


def fid(a: torch.Tensor | Statistics, b: torch.Tensor | Statistics) -> float:
    """Return the Frechet distance of two sets of features (Heusel et al., 2017).

    |m1 - m2|^2 + tr(S1 + S2) - 2 sum sqrt(eigenvalues of S1 S2), where the eigenvalues are those
    of the symmetric S1^(1/2) S2 S1^(1/2): real, and well defined for singular covariances.

    Parameters
    ----------
    a, b : features (N, F), at least two of each, or their statistics

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
    """Return the kernel distance of features (N, F), (M, F), by torch-fidelity.

    The mean over 20 pairs of subsets, of 1,000 or as many as there are, of the unbiased squared
    maximum mean discrepancy with the kernel (x y / F + 1)^3 (Binkowski et al., 2018). Its scale is
    that of the features to the sixth power, so it is read beside its floor only. It can be
    negative.
    """
    metrics = kid_features_to_metric(
        a.double(),
        b.double(),
        kid_subsets=KID_SUBSETS,
        kid_subset_size=min(1000, len(a), len(b)),
        rng_seed=seed,
        verbose=False,
    )
    return metrics["kernel_inception_distance_mean"]


def precision_recall(generated: torch.Tensor, real: torch.Tensor) -> tuple[float, float]:
    """Return improved precision and recall (Kynkaanniemi et al., 2019), k = 3.

    Parameters
    ----------
    generated, real : features (N, F), (M, F)
    """
    metrics = prc_features_to_metric(
        generated.float(), real.float(), prc_neighborhood=3, prc_batch_size=1000, verbose=False
    )
    return float(metrics["precision"]), float(metrics["recall"])


def nearest(features: torch.Tensor, known: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how far each of `features` is from the nearest of `known`, and which that is.

    Parameters
    ----------
    features, known : (N, F), (M, F)

    Returns
    -------
    distances (N,), float32, and indices (N,)
    """
    search = NearestNeighbors(n_neighbors=1).fit(known.numpy())
    distances, index = search.kneighbors(features.numpy())
    return torch.from_numpy(distances[:, 0]).float(), torch.from_numpy(index[:, 0])
