"""How far a classifier can be trusted: its AUC with an interval, thresholds, calibration."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm, rankdata
from torchmetrics.functional.classification import binary_calibration_error


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The area and the ends of its interval, in [0, 1].
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: torch.Tensor, has_feature: torch.Tensor) -> "Auc":
        """Compute the AUC of scores.

        The interval is that of DeLong, DeLong and Clarke-Pearson (1988), computed from ranks (Sun
        and Xu, 2014). Its variance is that of the share of negatives below each positive, plus
        that of the share of positives above each negative.

        Parameters
        ----------
        scores : Tensor, (N,)
            Higher where the feature is more likely.
        has_feature : Tensor, bool, (N,)
            The truth.

        Raises
        ------
        ValueError
            There are fewer than two positives or two negatives.
        """
        values, is_positive = scores.double().numpy(), has_feature.bool().numpy()
        positive, negative = values[is_positive], values[~is_positive]
        m, n = len(positive), len(negative)
        if min(m, n) < 2:
            raise ValueError(f"an AUC needs two of each, not {m} positives and {n} negatives")
        ranks = rankdata(np.concatenate([positive, negative]))
        above = (ranks[:m] - rankdata(positive)) / n
        below = 1 - (ranks[m:] - rankdata(negative)) / m
        value = float(above.mean())
        half = norm.ppf(0.975) * math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
        return cls(value, max(value - half, 0.0), min(value + half, 1.0))

    def metrics(self, name: str) -> dict[str, float]:
        """Return {name, name_low, name_high} for a run record."""
        return {name: self.value, f"{name}_low": self.low, f"{name}_high": self.high}


def threshold_at(scores: torch.Tensor, has_feature: torch.Tensor, rate: float) -> float:
    """Return the lowest threshold with at most a given false-positive rate.

    Parameters
    ----------
    scores : Tensor, (N,)
        Scores of images.
    has_feature : Tensor, bool, (N,)
        The truth, with at least one negative.
    rate : float
        The largest share of the negatives whose score lies above the threshold, in [0, 1).
    """
    negatives = scores[~has_feature.bool()].sort(descending=True).values
    return float(negatives[math.floor(rate * len(negatives))])


def balanced_threshold(scores: torch.Tensor, has_feature: torch.Tensor) -> float:
    """Return the threshold at which a classifier is right most often.

    It lies halfway between two scores; of several that are right equally often, it is the one in
    the middle.

    Parameters
    ----------
    scores : Tensor, (N,)
        Scores of images.
    has_feature : Tensor, bool, (N,)
        The truth.

    Raises
    ------
    ValueError
        All images have the feature, or none has.
    """
    is_positive = has_feature.bool()
    if bool(is_positive.all()) or not bool(is_positive.any()):
        raise ValueError("a balanced threshold needs images with and without the feature")
    values, order = scores.double().sort()
    positive = is_positive[order].long()
    # right at a cut below position i: the negatives before it and the positives from it on
    n_right = torch.cat([torch.zeros(1, dtype=torch.long), (1 - 2 * positive).cumsum(0)])
    is_cut = torch.ones(len(values) + 1, dtype=torch.bool)
    is_cut[1:-1] = values[1:] > values[:-1]
    best = torch.nonzero(is_cut & (n_right == n_right[is_cut].max())).flatten()
    cut = int(best[len(best) // 2])
    ends = values[[max(cut - 1, 0), min(cut, len(values) - 1)]]
    return float(ends.mean())


def calibration_error(scores: torch.Tensor, has_feature: torch.Tensor) -> float:
    """Return the expected calibration error of logits in 15 bins (Guo et al., 2017).

    Parameters
    ----------
    scores : Tensor, (N,)
        Logits.
    has_feature : Tensor, bool, (N,)
        The truth.
    """
    return float(binary_calibration_error(torch.sigmoid(scores), has_feature.int(), n_bins=15))
