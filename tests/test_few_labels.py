"""Simulated labellers: who looks on, who errs, and whose errors include fewer ones."""

import pytest
import torch

from forgetting.errors import DataError
from forgetting.experiments.few_labels import CASES, Case, Labeller
from forgetting.methods.direction import MIN_POSITIVES


@pytest.fixture
def labeller():
    generator = torch.Generator().manual_seed(0)
    latents, luck = (
        torch.randn(2000, 3, generator=generator),
        torch.rand(2000, generator=generator),
    )
    return Labeller(latents, latents[:, 0] > 1.28, luck)  # a tenth


def count(labelled):
    return len(labelled.positive) + len(labelled.negative)


def test_a_labeller_sees_samples_in_order_and_labels_them_right(labeller):
    labelled = labeller.labelled(Case(500))
    assert count(labelled) == 500
    assert (labelled.positive[:, 0] > 1.28).all()
    assert (labelled.negative[:, 0] <= 1.28).all()


def test_a_labeller_goes_on_until_there_are_ten_of_each_kind(labeller):
    labelled = labeller.labelled(Case(20))
    assert len(labelled.positive) == MIN_POSITIVES
    assert count(labelled) > 20


def test_more_errors_include_fewer(labeller):
    wrong = []
    for share in (0.1, 0.3):
        labelled = labeller.labelled(Case(1000, share))
        false = [*labelled.positive[labelled.positive[:, 0] <= 1.28]]
        false += [*labelled.negative[labelled.negative[:, 0] > 1.28]]
        wrong.append({tuple(latent.tolist()) for latent in false})
        assert len(wrong[-1]) / 1000 == pytest.approx(share, abs=0.04)
    assert wrong[0] < wrong[1]


def test_a_feature_that_hardly_any_sample_shows_is_refused(labeller):
    rare = Labeller(labeller.latents, labeller.latents[:, 0] > 4, labeller.luck)
    with pytest.raises(DataError, match="fewer than 10 are of a kind"):
        rare.labelled(Case(500))


def test_every_case_has_a_name_of_its_own():
    assert len({case.key for case in CASES}) == len(CASES)
    assert Case(500, 0.1).key == "500_wrong_10"
