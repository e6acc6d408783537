"""The verdict follows its rule, and can be missed."""

import pytest
import torch

from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc
from forgetting.metrics.prevalence import Prevalence
from forgetting.metrics.verdict import Evidence, decide


def evidence(share=0.01, reference=0.01, auc=0.5, is_measured=False, grader="classifier B"):
    return Evidence(
        grader,
        is_measured,
        Prevalence(0.4, 0.396, 0.404, 5000),
        Prevalence(share, share - 0.004, share + 0.004, 5000),
        reference,
        Auc(auc, auc - 0.01, auc + 0.01),
    )


@pytest.mark.parametrize(
    ("graders", "word"),
    [
        ([{}], "gone"),
        ([{}, {"share": 0.03}], "rarer"),  # one grader still finds it
        ([{}, {"auc": 0.57}], "rarer"),  # its scores are higher than those of the reference
        ([{}, {"auc": 0.44}], "over-erased"),
        ([{"auc": 0.57}, {"auc": 0.44}], "rarer"),
        ([{}, {"share": 0.393, "reference": 0.01}], "unchanged"),  # within the intervals
        ([{"share": 0.5, "reference": 0.1}], "unchanged"),  # more of it than before
        ([{"share": 0.0161}], "rarer"),  # the upper limit, not the share, is what counts
    ],
)
def test_the_word_follows_the_rule(graders, word):
    assert decide([evidence(**each) for each in graders], 1.0, 1.0).word == word


def test_a_model_whose_fid_is_over_twice_its_floor_is_damaged():
    assert not decide([evidence()], 2.0, 1.0).is_damaged
    verdict = decide([evidence()], 2.1, 1.0)
    assert (verdict.word, verdict.is_damaged) == ("gone", True)
    assert str(verdict).startswith("Gone, and damaged: classifier B 40.0% -> 1.0% (up to 1.4%")


def test_the_rule_is_told_with_the_numbers_of_every_grader():
    two = [evidence(share=0.05, reference=0.03), evidence(reference=0.011, grader="face-api")]
    verdict = decide(two, 1.0, 1.0)
    assert verdict.word == "rarer"
    assert verdict.rule == (
        "Gone needs an upper limit of at most 4.0% by classifier B and 2.1% by face-api, a point "
        "above none, and an AUC of 0.45 to 0.55."
    )
    for each in two:
        assert each.is_down == (each.model.high <= each.limit)


def test_a_share_that_has_risen_is_told():
    risen = evidence(share=0.5, grader="face-api")
    verdict = decide([evidence(), risen], 1.0, 1.0)
    assert verdict.word == "unchanged"
    assert "More than before by face-api." in str(verdict)
    assert "More than before" not in str(decide([evidence(share=0.403)], 1.0, 1.0))


def test_one_grader_is_not_enough_to_be_sure():
    assert "Not independently graded" in str(decide([evidence()], 1.0, 1.0))
    two = decide([evidence(), evidence(grader="face-api")], 1.0, 1.0)
    assert "Not independently" not in str(two)
    same = decide([evidence(), evidence()], 1.0, 1.0)
    assert "Not independently graded" in str(same)
    measured = decide([evidence(grader="measured", is_measured=True)], 1.0, 1.0)
    assert "Not independently" not in str(measured)
    with pytest.raises(DataError, match="at least one grader"):
        decide([], 1.0, 1.0)


def counted(original, model):
    shares = (Prevalence.of(torch.arange(1000) < n) for n in (original, model))
    return Evidence("classifier B", False, *shares, 0.0, Auc(0.5, 0.45, 0.55))


def test_a_feature_that_no_grader_finds_in_the_original_is_not_gone():
    assert decide([counted(400, 0)], 1, 1).word == "gone"
    assert decide([counted(0, 0)], 1, 1).word == "unchanged"
    assert decide([counted(0, 0), counted(400, 0)], 1, 1).word == "gone"


def test_what_the_rule_s_margin_leaves_of_a_rare_feature_is_told():
    rare = decide([counted(10, 3)], 1, 1)  # up to 0.9 %, within a point of none
    assert rare.word == "gone"
    assert "By classifier B 30% is left, within the rule's margin." in str(rare)
    assert "is left" not in str(decide([counted(400, 3)], 1, 1))
    assert "is left" not in str(decide([counted(10, 0)], 1, 1))


@pytest.mark.parametrize(("reference", "fid", "floor"), [(3.0, 1, 1), (0, -1, 1), (0, 1, 0)])
def test_a_verdict_has_a_share_as_reference_and_a_floor(reference, fid, floor):
    with pytest.raises(DataError, match="references from 0 to 1, an FID"):
        decide([evidence(reference=reference)], fid, floor)
