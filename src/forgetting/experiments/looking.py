"""What unlearning in rounds is told of a tuned model: short of gone, there, or past it."""

from forgetting.methods.until_gone import Look
from forgetting.metrics.verdict import MARGIN, Verdict

SURELY_DOWN = MARGIN / 4
"""How far above the reference's share a share may lie for rounds to end, in shares.

It is less than the verdict allows: other samples than those that were looked at decide in the end,
and of several models the first that looks gone is the one that was lucky.
"""


def look_at(verdict: Verdict, fid: float | None = None) -> Look:
    """Return what a verdict means for the next round.

    Parameters
    ----------
    verdict : Verdict
        On the tuned model, on samples that the final grade does not use.
    fid : float, optional
        The model's, for the record of the look.
    """
    worst = max(verdict.evidence, key=lambda each: each.model.share - each.reference)
    figures = {
        "prevalence": worst.model.share,
        "floor": worst.reference,
        "auc": max(each.auc.value for each in verdict.evidence),
    }
    if fid is not None:
        figures["fid"] = fid
    if verdict.word == "over-erased" or verdict.is_damaged:
        return Look("past", figures)
    is_down = worst.model.share <= worst.reference + SURELY_DOWN
    return Look("there" if verdict.word == "gone" and is_down else "short", figures)
