"""What unlearning in rounds is told of a tuned model: short of gone, there, or past it."""

from collections.abc import Sequence

from forgetting.methods.results import Look
from forgetting.metrics.verdict import MARGIN, Evidence, Verdict

N_FIRST = 1000
"""Samples that are looked at first: a feature that is plainly there needs no further ones."""

SURELY_DOWN = MARGIN / 4
"""How far above the reference's share a share may lie for rounds to end, in shares.

It is less than the verdict allows: other samples than those that were looked at decide in the end,
and of several models the first that looks gone is the one that was lucky.
"""


def plainly_short(evidence: Sequence[Evidence]) -> Look | None:
    """Return a look at a model whose feature some grader plainly still finds; otherwise None.

    Parameters
    ----------
    evidence : sequence of Evidence
        Of every grader, on the first samples.
    """
    if all(each.model.low <= each.reference + MARGIN for each in evidence):
        return None
    return Look("short", _figures(evidence))


def look_at(verdict: Verdict, fid: float | None, fid_before: float | None) -> Look:
    """Return what a verdict means for the next round.

    A model is past the feature that is over-erased, or damaged and farther than the original from
    samples without the feature. What still shows the feature is far from them for that reason.

    Parameters
    ----------
    verdict : Verdict
        On the tuned model, on samples that the final grade does not use.
    fid, fid_before : float or None
        The model's and the original's, which the verdict has considered; None where there is none.
    """
    figures = _figures(verdict.evidence)
    if fid is not None:
        figures["fid"] = fid
    is_harmed = verdict.is_damaged and fid is not None and fid > (fid_before or 0.0)
    if verdict.word == "over-erased" or is_harmed:
        return Look("past", figures)
    is_down = figures["prevalence"] <= figures["floor"] + SURELY_DOWN
    return Look("there" if verdict.word == "gone" and is_down else "short", figures)


def _figures(evidence: Sequence[Evidence]) -> dict[str, float]:
    """Return the share and the reference of the grader that finds most, and the highest AUC."""
    worst = max(evidence, key=lambda each: each.model.share - each.reference)
    return {
        "prevalence": worst.model.share,
        "floor": worst.reference,
        "auc": max(each.auc.value for each in evidence),
    }
