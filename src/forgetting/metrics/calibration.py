"""How far a classifier can be trusted: AUC with its interval, thresholds, calibration."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm, rankdata
from torchmetrics.functional.classification import binary_calibration_error


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve and its 95 % interval."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: torch.Tensor, has_feature: torch.Tensor) -> "Auc":
        """Take the AUC of scores (N,) for a boolean tensor (N,).

        The interval is that of DeLong, DeLong and Clarke-Pearson (1988), computed by ranks (Sun
        and Xu, 2014): the variance of the share of negatives below each positive, and of
        positives above each negative.

        Raises
        ------
        ValueError
            There are fewer than two positives or two negatives.
        """
        scores, has_feature = scores.double().numpy(), has_feature.bool().numpy()
        positive, negative = scores[has_feature], scores[~has_feature]
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
    """Return the lowest score over which at most a share `rate` of the negatives lies.

    Parameters
    ----------
    scores : (N,)
    has_feature : bool, (N,)
    """
    negatives = scores[~has_feature.bool()].sort(descending=True).values
    return float(negatives[math.floor(rate * len(negatives))])


def calibration_error(scores: torch.Tensor, has_feature: torch.Tensor) -> float:
    """Return the expected calibration error of logits (N,) in 15 bins (Guo et al., 2017)."""
    return float(binary_calibration_error(torch.sigmoid(scores), has_feature.int(), n_bins=15))
