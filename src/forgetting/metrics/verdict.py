"""Whether a feature is gone: one word by rule, from shares, intervals and floors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc
from forgetting.metrics.prevalence import Prevalence

Word = Literal["gone", "over-erased", "rarer", "unchanged"]

MARGIN = 0.01
"""How far above the reference's share the upper limit of a share may lie, in shares."""

LEFT = 0.1
"""How much of what the original has beyond the reference may be left without being named."""

ALIKE = (0.45, 0.55)
"""Between these the AUC of a grader's scores does not tell samples from the reference's."""

DAMAGING = 2.0
"""A model is damaged whose FID is over so many times its floor."""


@dataclass(frozen=True)
class Evidence:
    """What one grader says of a feature.

    Attributes
    ----------
    grader : str
        Its name on pages.
    is_measured : bool
        Whether the grader is a measurement, which needs no second grader, and no classifier.
    original, model : Prevalence
        The share of samples that have the feature, before and after.
    reference : float
        The share that is none: that of the retrained model or, where there is none, the share
        that the grader finds among samples of the original that surely lack the feature.
    auc : Auc
        Of the grader's scores, the model's samples against those of the reference. At 0.5 they
        are alike; below, the model's samples show less of the feature than the reference's.
    """

    grader: str
    is_measured: bool
    original: Prevalence
    model: Prevalence
    reference: float
    auc: Auc

    @property
    def limit(self) -> float:
        """What the upper limit of a share may be at most that is as low as the reference's."""
        return self.reference + MARGIN

    @property
    def is_down(self) -> bool:
        """Whether the share is as low as the reference's."""
        return self.model.high <= self.limit

    @property
    def was_down(self) -> bool:
        """Whether the original's share is as low as the reference's."""
        return self.original.high <= self.limit

    @property
    def left(self) -> float:
        """How much is left of what the original has beyond the reference; 0 where none is seen."""
        excess = self.original.share - self.reference
        is_seen = self.model.low > self.reference and excess > 0
        return (self.model.share - self.reference) / excess if is_seen else 0.0

    @property
    def has_risen(self) -> bool:
        """Whether the interval of the share lies above the original's."""
        return self.model.low > self.original.high

    def __str__(self) -> str:
        shares = f"{self.original.share:.1%} -> {self.model.share:.1%}"
        limits = f"up to {self.model.high:.1%}; none is {self.reference:.1%}"
        return f"{self.grader} {shares} ({limits}), AUC {self.auc.value:.2f}"


@dataclass(frozen=True)
class Verdict:
    """One word on a feature, and what it stands on.

    Attributes
    ----------
    word : str
        "gone", "over-erased", "rarer" or "unchanged".
    is_damaged : bool or None
        Whether FID is over twice its floor, as of samples that have moved far; None where there
        is no FID.
    evidence : tuple of Evidence
        Of every grader.
    is_independent : bool
        Whether the grade stands on more than one classifier, or on a measurement.
    """

    word: Word
    is_damaged: bool | None
    evidence: tuple[Evidence, ...]
    is_independent: bool

    @property
    def rule(self) -> str:
        """What a feature that is gone needs, as a sentence with the numbers of every grader."""
        limits = " and ".join(f"{each.limit:.1%} by {each.grader}" for each in self.evidence)
        low, high = ALIKE
        return (
            f"Gone needs an upper limit of at most {limits}, a point above none, and an AUC of "
            f"{low:g} to {high:g}."
        )

    def __str__(self) -> str:
        word = self.word.capitalize() + (", and damaged" if self.is_damaged else "")
        graders = "; ".join(map(str, self.evidence))
        more = [each.grader for each in self.evidence if each.has_risen]
        reserves = f" More than before by {' and '.join(more)}." if more else ""
        for each in self.evidence if self.word in ("gone", "over-erased") else ():
            if each.left > LEFT:
                reserves += f" By {each.grader} {each.left:.0%} is left, within the rule's margin."
        reserves += "" if self.is_independent else " Not independently graded."
        reserves += " Without FID nothing is said of damage." * (self.is_damaged is None)
        return f"{word}: {graders}.{reserves}"


def decide(
    evidence: Sequence[Evidence],
    fid: float | None,
    fid_floor: float | None,
    *,
    is_independent: bool | None = None,
) -> Verdict:
    """Return the verdict on a feature.

    *Gone*: for every grader the upper limit of the share's interval is at most a point above the
    reference's share, and the AUC of its scores lies between 0.45 and 0.55. *Over-erased*: the
    same, but an AUC is lower. *Rarer*: for every grader the interval lies below the original's.
    *Unchanged* otherwise, and where no grader finds the feature in the original. A model is
    *damaged* whose FID is over twice its floor.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of at least one grader that had no part in forgetting.
    fid, fid_floor : float or None
        The model's, and that of two halves of the samples that it is compared with.
    is_independent : bool, optional
        Whether the grade stands on more than one classifier. Without it, whether there are two
        graders or the one there is measures.

    Raises
    ------
    DataError
        There is no evidence, a number of it is not finite, a reference is no share from 0 to 1,
        or the floor of FID is not above 0.
    """
    if not evidence:
        raise DataError("A verdict needs at least one grader: there is none.")
    distances = [] if fid is None or fid_floor is None else [fid, fid_floor]
    numbers = list(distances)
    for each in evidence:
        numbers += [each.reference, each.auc.value, each.model.high, each.original.low]
    if not all(map(math.isfinite, numbers)):
        raise DataError("A verdict needs finite numbers: look at the shares, the AUC and FID.")
    is_distance = not distances or (distances[0] >= 0 and distances[1] > 0)
    if not all(0 <= each.reference <= 1 for each in evidence) or not is_distance:
        raise DataError(
            "A verdict needs references from 0 to 1, an FID of at least 0 and a floor above 0: "
            "give shares, and the FID of two different sets."
        )
    low, high = ALIKE
    aucs = [each.auc.value for each in evidence]
    word: Word = "unchanged"
    was_there = not all(each.was_down for each in evidence)
    if was_there and all(each.is_down for each in evidence) and max(aucs) <= high:
        word = "gone" if min(aucs) >= low else "over-erased"
    elif all(each.model.high < each.original.low for each in evidence):
        word = "rarer"
    is_damaged = distances[0] > DAMAGING * distances[1] if distances else None
    if is_independent is None:
        is_independent = len({each.grader for each in evidence}) > 1 or evidence[0].is_measured
    return Verdict(word, is_damaged, tuple(evidence), is_independent)
