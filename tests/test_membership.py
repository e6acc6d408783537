"""Membership inference: what learned or forgotten images betray, and what they do not."""

import math
import warnings

import pytest
import torch

from forgetting.book.membership_plots import membership_panels
from forgetting.errors import DataError, DataWarning
from forgetting.experiments import membership
from forgetting.experiments.person_splits import PersonSplits
from forgetting.metrics.likelihood import LikelihoodReference
from forgetting.metrics.membership import Membership

OTHERS = torch.randn(400, generator=torch.Generator().manual_seed(0))


def drawn(mean, n=200, seed=1):
    return mean + torch.randn(n, generator=torch.Generator().manual_seed(seed))


def test_a_score_that_tells_members_catches_them_and_one_that_does_not_is_chance():
    told, not_told = Membership.of(drawn(9.0), OTHERS), Membership.of(drawn(0.0), OTHERS)
    assert (told.auc.value, told.caught.share) == (1, 1)
    assert not_told.auc.low < 0.5 < not_told.auc.high
    assert not_told.caught.share < 0.1


def test_members_are_caught_at_one_false_alarm_in_a_hundred():
    others, members = torch.arange(200.0), torch.tensor([0.0, 197.0, 198.0, 500.0])
    assert Membership.of(members, others).caught.share == 0.5  # above 197, which two others pass


def test_an_attack_may_catch_a_few_though_its_auc_is_chance():
    members = torch.cat([drawn(-0.4, 50), torch.full((10,), 9.0)])
    attack = Membership.of(members, OTHERS)
    assert attack.auc.low < 0.5 < attack.auc.high
    assert attack.caught.low > 0.05


@pytest.mark.parametrize(
    ("members", "others", "words"),
    [
        (torch.ones(0), OTHERS, "There are 0 members and 400 others"),
        (torch.ones(3), OTHERS[:99], "3 members and 99 others"),
        (torch.tensor([math.nan, 1.0]), OTHERS, "not finite"),
    ],
)
def test_what_tells_nothing_is_refused(members, others, words):
    with pytest.raises(DataError, match=words):
        Membership.of(members, others)


def test_scores_of_images_that_are_on_both_sides_are_noted():
    with pytest.warns(DataWarning, match="Membership: 100 samples are in both sets"):
        Membership.of(torch.cat([OTHERS[:100], drawn(0.0)]), OTHERS)
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        Membership.of(drawn(0.0), OTHERS)
        Membership.of(drawn(0.0).round(), OTHERS.round())  # equal by chance


def likelihoods(forget, shift=0.0):
    sets = {"forget": drawn(forget, seed=2), "reference": drawn(shift, seed=3)}
    sets |= {"random": drawn(shift, seed=4), "others": OTHERS + shift}
    return membership.FlowLikelihoods(sets, LikelihoodReference(shift, 1.0))


def test_a_forgotten_image_that_is_too_unlikely_is_as_conspicuous_as_a_likely_one():
    flows = {"before": likelihoods(-4.0), "after": likelihoods(4.0), "retrained": likelihoods(0.0)}
    metrics = membership.membership_metrics(flows)
    assert metrics["membership_likely_forget_before"] > 0.99
    assert metrics["membership_likely_forget_after"] < 0.01
    assert min(metrics[f"membership_unusual_forget_{f}"] for f in ("before", "after")) > 0.98
    assert 0.3 < metrics["membership_unusual_forget_retrained"] < 0.7
    assert metrics["membership_change_forget"] == 1
    assert metrics["caught_change_forget"] == 1
    membership_panels(metrics, list(flows))


def test_a_shift_that_all_images_share_tells_nothing():
    metrics = membership.membership_metrics(
        {"before": likelihoods(0.0), "after": likelihoods(0.5, shift=0.5)}
    )
    low, high = (metrics[f"membership_unusual_reference_after_{end}"] for end in ("low", "high"))
    assert low < 0.5 < high
    assert metrics["membership_change_random"] == pytest.approx(0.5, abs=0.01)


def splits(unseen):
    sets = {name: torch.rand(30, 3, 4, 4) for name in ("reference", "random", "held_out")}
    faces = torch.rand(5, 3, 4, 4)
    return PersonSplits("A", True, faces, faces, sets, faces, unseen)


def test_the_others_come_from_the_data_set_of_the_person():
    lfw = torch.full((700, 3, 4, 4), 51, dtype=torch.uint8)
    celeba = torch.zeros(700, 3, 4, 4, dtype=torch.uint8)
    person, forget = splits({"celeba": celeba, "lfw": lfw}), torch.rand(2, 3, 4, 4)
    sets = membership.membership_sets(person, forget, torch.Generator().manual_seed(0))
    assert list(sets) == ["forget", "reference", "random", "others"]
    assert len(sets["others"]) == membership.N_OTHERS
    assert torch.allclose(sets["others"], torch.tensor(0.2))
    assert sets["forget"] is forget


def test_where_a_flow_draws_the_person_the_others_are_samples_that_are_held_out():
    person = splits({"samples": torch.zeros(9, 3, 4, 4, dtype=torch.uint8)})
    sets = membership.membership_sets(person, torch.rand(2, 3, 4, 4), torch.Generator())
    assert sets["others"] is person.sets["held_out"]


def test_all_sets_get_the_noise_of_one_seed(glow):
    images = torch.rand(24, *glow.image_shape)
    of = membership.FlowLikelihoods.of
    one, same, other = (
        of(glow, {"forget": images}, images, draws=2, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(one.sets["forget"], same.sets["forget"])
    assert not torch.equal(one.sets["forget"], other.sets["forget"])
    assert one.reference.mean == pytest.approx(float(one.sets["forget"].mean()))
