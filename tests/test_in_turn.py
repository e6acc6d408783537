"""Several people, forgotten in turn: who is retained, and what the record says of each stage."""

import pytest
import torch

from forgetting.experiments.in_turn import InTurnParameters, in_turn_metrics, retained_by_all
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.likelihood import Comparison, LikelihoodReference


def splits(retain):
    none = torch.zeros(0, 3, 2, 2)
    return PersonSplits("", False, none, retain, {}, none, {})


def test_nobody_who_is_to_be_forgotten_is_retained():
    faces = torch.rand(6, 3, 2, 2)
    first, second = splits(faces[[0, 1, 2, 3]]), splits(faces[[1, 2, 3, 4, 5]])  # 0: the second's
    third = splits(faces[[0, 1, 3, 4, 5]])  # 2: the third's
    kept = retained_by_all(first.retain, [second, third])
    assert torch.equal(kept, faces[[1, 3]])


def test_faces_that_a_flow_draws_for_each_person_are_all_retained():
    faces = torch.rand(6, 3, 2, 2)
    assert torch.equal(retained_by_all(faces[:3], [splits(faces[3:])]), faces[:3])


def comparison(**after):
    """Return a comparison whose base and flow have mean 0 and deviation 1."""
    reference = LikelihoodReference(0.0, 1.0)
    before = {name: torch.zeros(2) for name in after}
    return Comparison(before, {n: torch.tensor(v) for n, v in after.items()}, reference, reference)


def test_somebody_who_is_likelier_after_the_last_turn_than_the_rule_allows_has_returned():
    others = {"held_out": [0.1, 0.3], "neutral": [0.0, 0.0]}
    stages = {
        "turn_1": comparison(forget_1=[4.0, 4.5], forget_2=[0.0, 1.0], **others),
        "turn_2": comparison(forget_1=[3.3, 9.0], forget_2=[3.5, 4.0], **others),
        "at_once": comparison(forget_1=[4.0, 4.0], forget_2=[3.5, 4.0], **others),
    }
    metrics = in_turn_metrics(stages, 2, delta=4, stop_within=0.15)
    assert metrics["above_1_before"] == 0
    assert metrics["above_1_turn_1"] == 4
    assert metrics["above_1_turn_2"] == pytest.approx(3.3)  # the likeliest, and not the mean
    assert (metrics["returned_1"], metrics["returned_2"]) == (1, 0)
    assert metrics["quantile_neutral_before"] == metrics["quantile_neutral_turn_1"] == 0.5
    assert metrics["quantile_forget_1_turn_1"] < 1e-4 < metrics["quantile_forget_1_before"]
    assert metrics["quantile_forget_2_turn_1_low"] <= metrics["quantile_forget_2_turn_1"]
    assert metrics["shift_random_sigma_turn_1"] == pytest.approx(0.2)


@pytest.mark.parametrize("people", ["Bush", "Bush,Bush", "Bush,", ""])
def test_fewer_than_two_people_are_refused(people):
    with pytest.raises(ValueError, match="two people or more"):
        InTurnParameters._are_several(people)
