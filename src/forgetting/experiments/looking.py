"""What unlearning in rounds is told of a tuned model: short of gone, there, or past it."""

from forgetting.methods.until_gone import Look
from forgetting.metrics.verdict import MARGIN, Verdict

SURELY_DOWN = MARGIN / 4
"""How far above the reference's share a share may lie for rounds to end, in shares.

It is less than the verdict allows: other samples than those that were looked at decide in the end,
and of several models the first that looks gone is the one that was lucky.
"""


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
    worst = max(verdict.evidence, key=lambda each: each.model.share - each.reference)
    figures = {
        "prevalence": worst.model.share,
        "floor": worst.reference,
        "auc": max(each.auc.value for each in verdict.evidence),
    }
    if fid is not None:
        figures["fid"] = fid
    is_harmed = verdict.is_damaged and fid is not None and fid > (fid_before or 0.0)
    if verdict.word == "over-erased" or is_harmed:
        return Look("past", figures)
    is_down = worst.model.share <= worst.reference + SURELY_DOWN
    return Look("there" if verdict.word == "gone" and is_down else "short", figures)
