"""How far a classifier can be trusted: its AUC with an interval, thresholds, calibration."""

import math
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import norm, rankdata

from forgetting.border.checks import are_probabilities
from forgetting.border.options import check_interval
from forgetting.border.scores import are_log_probabilities, are_percentages, tensor_of
from forgetting.errors import DataError, DataWarning

MIN_CALIBRATED = 50
"""Images below which the 15 bins of a calibration error hold next to nothing."""

MIN_PARTED = 50
"""Images of either kind below which an interval without a width claims too much."""


@dataclass(frozen=True)
class Auc:
    """Area under the ROC curve with its 95 % interval.

    Attributes
    ----------
    value, low, high : float
        The area and the ends of its interval, in [0, 1].

    Raises
    ------
    DataError
        The area lies outside its interval, or the interval outside [0, 1].
    """

    value: float
    low: float
    high: float

    def __post_init__(self) -> None:
        check_interval("An AUC", self.value, self.low, self.high)

    @classmethod
    def of(cls, scores: torch.Tensor, has_feature: torch.Tensor) -> "Auc":
        """Compute the AUC of scores.

        The interval is that of DeLong, DeLong and Clarke-Pearson (1988), computed from ranks (Sun
        and Xu, 2014). Its variance is that of the share of negatives below each positive, plus
        that of the share of positives above each negative. Where the scores part both kinds
        entirely, the interval has no width, and a `DataWarning` says so of under 50 of a kind.
        Another says so where all scores are equal.

        Parameters
        ----------
        scores : Tensor, (N,)
            Higher where the feature is more likely.
        has_feature : Tensor, bool, (N,)
            The truth.

        Raises
        ------
        DataError
            There are fewer than two positives or two negatives, or a score is not finite.
        """
        checked, truth = _checked(scores, has_feature, "An AUC")
        values, is_positive = checked.double().numpy(), truth.numpy()
        positive, negative = values[is_positive], values[~is_positive]
        m, n = len(positive), len(negative)
        if min(m, n) < 2:
            raise DataError(
                f"An AUC needs two images with the feature and two without, not {m} and {n}: "
                "take more images."
            )
        ranks = rankdata(np.concatenate([positive, negative]))
        above = (ranks[:m] - rankdata(positive)) / n
        below = 1 - (ranks[m:] - rankdata(negative)) / m
        value = float(above.mean())
        half = norm.ppf(0.975) * math.sqrt(above.var(ddof=1) / m + below.var(ddof=1) / n)
        if bool((checked == checked[0]).all()):
            warnings.warn(
                f"An AUC: all {m + n} scores are {values[0]:g}, so that they tell nothing, and "
                "the interval has no width: look at what scores.",
                DataWarning,
                stacklevel=2,
            )
        if value in (0, 1) and min(m, n) < MIN_PARTED:
            warnings.warn(
                f"An AUC: the scores part {m} images with the feature entirely from {n} without, "
                "so that the interval has no width, which so few do not prove: take more images.",
                DataWarning,
                stacklevel=2,
            )
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
        The truth, with at least 1 / `rate` negatives.
    rate : float
        The largest share of the negatives whose score lies above the threshold, in (0, 1).

    Raises
    ------
    DataError
        There are too few negatives to tell the rate, or a score is not finite.
    """
    scores, truth = _checked(scores, has_feature, "A threshold")
    negatives = scores[~truth].sort(descending=True).values
    if not 0 < rate < 1 or rate * len(negatives) < 1:
        raise DataError(
            f"{len(negatives)} images without the feature do not tell a false-positive rate of "
            f"{rate:g}: the rate lies between 0 and 1 and needs 1 / rate of them."
        )
    return float(negatives[math.floor(rate * len(negatives))])


def balanced_threshold(scores: torch.Tensor, has_feature: torch.Tensor) -> float:
    """Return the threshold at which a classifier is right most often.

    It lies halfway between two scores; of several that are right equally often, it is the one in
    the middle. Scores that are right no more often than one answer for all images, as those with
    the other sign, put it at an end, and a `DataWarning` says so.

    Parameters
    ----------
    scores : Tensor, (N,)
        Scores of images.
    has_feature : Tensor, bool, (N,)
        The truth.

    Raises
    ------
    DataError
        All images have the feature, or none has, or a score is not finite.
    """
    scores, is_positive = _checked(scores, has_feature, "A balanced threshold")
    if bool(is_positive.all()) or not bool(is_positive.any()):
        raise DataError(
            "A balanced threshold needs images with and without the feature: add the other kind."
        )
    values, order = scores.double().sort()
    positive = is_positive[order].long()
    # right at a cut below position i: the negatives before it and the positives from it on
    n_right = torch.cat([torch.zeros(1, dtype=torch.long), (1 - 2 * positive).cumsum(0)])
    is_cut = torch.ones(len(values) + 1, dtype=torch.bool)
    is_cut[1:-1] = values[1:] > values[:-1]
    n_positive = int(positive.sum())
    if int(n_right[is_cut].max()) + n_positive <= max(n_positive, len(values) - n_positive):
        warnings.warn(
            f"A balanced threshold: at none are the scores right more often than one answer for "
            f"all {len(values)} images, of which {n_positive} have the feature. Nearly all or "
            "none would count: give more images with the feature, or scores with the other sign.",
            DataWarning,
            stacklevel=2,
        )
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

    Raises
    ------
    DataError
        There are fewer than 50 images, or a score is not finite, or the scores are probabilities,
        percentages, logarithms of probabilities or answers of yes or no.
    """
    scores, truth = _checked(scores, has_feature, "A calibration error", MIN_CALIBRATED)
    if are_probabilities(scores):
        raise DataError(
            f"A calibration error: all of {len(scores)} scores lie between 0 and 1, as "
            "probabilities do. Give logits, such as `torch.logit(scores)`."
        )
    if are_percentages(scores):
        raise DataError(
            f"A calibration error: all of {len(scores)} scores lie between 0 and 100, as "
            "percentages do. Give logits, such as `torch.logit(scores / 100)`."
        )
    if are_log_probabilities(scores):
        raise DataError(
            f"A calibration error: none of {len(scores)} scores is above 0, and many are next to "
            "it, as logarithms of probabilities are. Give logits, such as "
            "`torch.logit(scores.exp())`."
        )
    if scores.unique().tolist() in ([0, 1], [-1, 1]):
        raise DataError(
            f"A calibration error: all of {len(scores)} scores are {scores.min():g} or 1, as "
            "answers of yes or no, which have no confidence. Give logits."
        )
    from torchmetrics.functional.classification import binary_calibration_error  # takes seconds

    return float(binary_calibration_error(torch.sigmoid(scores), truth.int(), n_bins=15))


def _checked(
    scores: torch.Tensor, has_feature: torch.Tensor, measure: str, least: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores and the truth, bool, (N,) each, if a measure may be taken of them."""
    scores = tensor_of(scores, f"{measure} takes no scores")
    has_feature = tensor_of(has_feature, f"{measure} takes no truth")
    if scores.ndim != 1 or scores.shape != has_feature.shape:
        raise DataError(
            f"{measure} takes a score and a truth for each image, not {tuple(scores.shape)} and "
            f"{tuple(has_feature.shape)}: give two tensors (N,)."
        )
    if len(scores) < least:
        raise DataError(
            f"{measure} needs at least {least} images, not {len(scores)}: take more images."
        )
    if not bool(torch.isfinite(scores).all()):
        n_lost = int((~torch.isfinite(scores)).sum())
        raise DataError(
            f"{measure}: {n_lost} of {len(scores)} scores are not finite. Look at these images."
        )
    if not bool(((has_feature == 0) | (has_feature == 1)).all()):
        raise DataError(f"{measure}: the truth holds other values than 0 and 1. Give booleans.")
    return scores, has_feature.bool()
