"""What steers and what grades anyone's generator, and whether these are different and of use."""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.stats import pearsonr, rankdata

from forgetting.border.checks import are_equal
from forgetting.border.feature_score import SURELY_LACKING, Score, threshold_of
from forgetting.errors import DataError, DataWarning
from forgetting.methods.direction import MIN_POSITIVES
from forgetting.metrics.calibration import Auc

ALIKE = 0.98
"""Rank correlation from which a grader's scores are those of what steers in other clothes.

Measured on 1,500 samples each of the zoo's VAEs and GANs. Classifiers A and B reach 0.88 at most
of digits (median 0.83), and 0.97 of faces' 40 attributes (median 0.83); with A and B, what
face-api's features tell reaches 0.84. A copy of A in bfloat16 or half precision has at least
0.9999, and one whose weights differ by 1 % at least 0.990 (median 0.998). Another scale or another
rising function of a score has 1.
"""

BLIND = 0.6
"""AUC that a grader must be able to reach on what steers; 0.5 is that of chance."""

WEAK = 0.75
"""AUC below which a grader may be one of another feature.

On 1,500 samples each of the zoo's VAEs and GANs classifier B reaches 0.79 at least on what A finds
(median 0.94). Of other features of B a twentieth (digits) to a quarter (faces) reach 0.7.
"""

MISSED = 0.5
"""Part by which the samples beyond the threshold of a share may be fewer than the share."""


@dataclass(frozen=True)
class Scorer:
    """Something that scores the feature of images, with its thresholds on one generator.

    Attributes
    ----------
    title, score : str and callable
        How reports name it; images (B, C, H, W) to scores (B,).
    threshold, lacking : float
        An image with a score above the first has the feature, and one with at most the second
        surely lacks it.
    """

    title: str
    score: Score
    threshold: float
    lacking: float

    @classmethod
    def of(cls, title: str, score: Score, own: torch.Tensor, share: float | None) -> "Scorer":
        """Set the thresholds of a score.

        Parameters
        ----------
        title : str
            How reports name it.
        score : callable
            One attribute of a classifier, or another function of images.
        own : Tensor
            (N,), the scores of samples of the original.
        share : float or None
            Of a feature of degree: the part of the samples, those with the highest scores, that
            has it.
        """
        if share is not None:
            threshold = _threshold_of_share(title, own, share)
            return cls(title, score, threshold, threshold)
        threshold = threshold_of(score)
        return cls(title, score, threshold, min(SURELY_LACKING, threshold))


def _threshold_of_share(title: str, scores: torch.Tensor, share: float) -> float:
    """Return the score beyond which a share of the samples lies.

    Parameters
    ----------
    title : str
        What scores, for the sentence of an error.
    scores : Tensor
        (N,), of the original's samples.
    share : float
        Between 0 and 1.

    Raises
    ------
    DataError
        So many samples have the score at which the share ends that far fewer lie beyond it.
    """
    threshold = float(scores.quantile(1 - share))
    beyond = float((scores > threshold).float().mean())
    if beyond < MISSED * share:
        tied = float((scores == threshold).float().mean())
        raise DataError(
            f"By {title} {tied:.1%} of the samples have the score {threshold:g}, at which a share "
            f"of {share:g} ends, so that {beyond:.1%} lie beyond it: give a score with more "
            "values, or leave out `share` for a feature that is there or not."
        )
    return threshold


def check_graders(scorers: Sequence[Scorer], scores: Sequence[torch.Tensor]) -> None:
    """Raise an error unless every grader is another than what steers, and finds what it finds.

    Parameters
    ----------
    scorers : sequence of Scorer
        First what steers, then every grader.
    scores : sequence of Tensor
        (N,) each, of the original's samples.

    Raises
    ------
    DataError
        A grader finds the feature in none or in all of the samples, ranks them as what steers
        does, or as another grader that finds it in the same samples. Or it does not tell the
        samples that have the feature by what steers.
    """
    found = [each > scorer.threshold for each, scorer in zip(scores, scorers, strict=True)]
    for place, grader in enumerate(scorers[1:], 1):
        check_found(grader.title, scores[place], grader.threshold)
        for other in range(place):
            if other == 0 or torch.equal(found[place], found[other]):
                title = scorers[other].title
                check_other(grader.title, scores[place], title, scores[other])
        check_sight(grader.title, scores[place], found[0])


def check_found(title: str, scores: torch.Tensor, threshold: float) -> None:
    """Raise an error if a grader finds a feature in none or in all samples of the original.

    Parameters
    ----------
    title : str
        The grader's, for the sentence of the error.
    scores : Tensor
        (N,), of the original's samples.
    threshold : float
        A sample with a higher score has the feature.

    Raises
    ------
    DataError
        It finds it in none or in all: it would find the same after unlearning.
    """
    n_found = int((scores > threshold).sum())
    if 0 < n_found < len(scores):
        return
    raise DataError(
        f"By {title} {'each' if n_found else 'none'} of {len(scores)} samples of the original has "
        "the feature, so that it cannot tell whether the feature is gone. The scores go from "
        f"{scores.min():g} to {scores.max():g}, and the threshold is {threshold:g}: give another "
        "threshold with `at`, another grader, or more samples."
    )


def check_other(title: str, scores: torch.Tensor, other: str, others: torch.Tensor) -> None:
    """Raise an error if a grader ranks samples as something else does.

    Parameters
    ----------
    title : str
        The grader's, for the sentence of the error.
    scores : Tensor
        (N,), by the grader.
    other, others
        The same of the other.

    Raises
    ------
    DataError
        The lower end of the 95 % interval of the rank correlation is at least `ALIKE`, or the
        scores are equal.
    """
    lowest = 1.0
    if not are_equal(scores, others):
        if min(len(scores.unique()), len(others.unique())) < 2:
            return  # there is no order
        correlation = pearsonr(rankdata(scores.numpy()), rankdata(others.numpy()))
        lowest = correlation.confidence_interval(0.95).low
    if lowest >= ALIKE:
        raise DataError(
            f"The samples have the order by {title} that they have by {other}: the rank "
            f"correlation is at least {lowest:.4f}, and classifiers that learned apart stay below "
            f"{ALIKE:g}. A copy of what steers, or another scale of its scores, cannot grade, and "
            "a grader counts once: give another classifier."
        )


def check_sight(title: str, scores: torch.Tensor, has_feature: torch.Tensor) -> None:
    """Raise an error if a grader's scores do not tell the samples that have a feature.

    A `DataWarning` says where they hardly tell them.

    Parameters
    ----------
    title : str
        The grader's, for the sentence of the error.
    scores, has_feature : Tensor, (N,)
        By the grader, and by what steers: of fewer than ten samples of a kind nothing is said.

    Raises
    ------
    DataError
        The scores do not rise with the feature.
    """
    if min(int(has_feature.sum()), int((~has_feature).sum())) < MIN_POSITIVES:
        return
    if scores[has_feature].min() > scores[~has_feature].max():
        return  # of so clear a case an AUC would warn
    auc = Auc.of(scores, has_feature)
    if auc.high < BLIND:
        raise DataError(
            f"{title} does not see the feature of what steers: its AUC on the generator's samples "
            f"is {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}), where 0.5 is chance and 0 the "
            "opposite. Give the same feature of another classifier, with scores that rise with it."
        )
    if auc.high < WEAK:
        warnings.warn(
            f"{title} hardly sees the feature of what steers: its AUC on the generator's samples "
            f"is {auc.value:.2f} ({auc.low:.2f} to {auc.high:.2f}), as of a grader of another "
            "feature that goes with it. Look whether it grades the same feature.",
            DataWarning,
            stacklevel=4,
        )
