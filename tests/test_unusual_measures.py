"""Measures of degenerate sets, swapped numbers and other units lead to a sentence or the truth."""

import math

import pytest
import torch

from forgetting.errors import DataError, DataWarning, ParameterError
from forgetting.experiments.unlearning import gaps_to_retrained
from forgetting.metrics.calibration import Auc, calibration_error
from forgetting.metrics.fidelity import fid, kid, precision_recall
from forgetting.metrics.identity import nearest_people, pairs, verification
from forgetting.metrics.locality import locality
from forgetting.metrics.prevalence import Prevalence, gap_to_retrained
from forgetting.metrics.verdict import Evidence, decide

RANDOM = torch.Generator().manual_seed(0)
A, B = torch.randn(2, 300, 8, generator=RANDOM)
BEFORE, AFTER = torch.rand(2, 60, 1, 8, 8, generator=RANDOM)


# distances


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
@pytest.mark.parametrize("offset", [0, 1e3, 1e5])
def test_precision_and_recall_do_not_depend_on_where_the_features_lie(scale, offset):
    a, b = ((x.double() + offset) * scale for x in (A, B))
    expected = pytest.approx(precision_recall(A, B), abs=0.002)
    assert precision_recall(a, b) == expected
    if offset < 1e5:
        assert precision_recall(a.float(), b.float()) == expected


def test_real_samples_that_are_there_many_times_are_noted(recwarn):
    assert precision_recall(A.repeat(9, 1), B)[1] < 0.2  # a collapsed generator has no recall
    precision_recall(A, torch.cat([B, B[:3].repeat(5, 1)]))
    assert not recwarn.list
    for n in (4, 9):
        with pytest.warns(DataWarning, match=r"equal 3 others.*Take each sample once"):
            precision_recall(A, B.repeat(n, 1))


def test_features_have_at_least_one_dimension():
    for measure in (fid, kid, precision_recall):
        with pytest.raises(DataError, match=r"takes features \(N, F\)"):
            measure(A[:, :0], B[:, :0])


# shares and verdicts


def test_a_probability_is_no_logit_in_a_calibration_error():
    scores, truth = A.flatten(), B.flatten() > 0
    calibration_error(scores, truth)
    with pytest.raises(DataError, match="as probabilities do"):
        calibration_error(scores.sigmoid(), truth)


@pytest.mark.parametrize(
    "numbers", [(50, 40, 60), (math.nan, 0, 1), (0.5, 0.6, 0.7), (0.5, math.nan, 1), (-0.1, -1, 0)]
)
def test_a_share_lies_in_its_interval(numbers):
    with pytest.raises(DataError, match="is none: give numbers from 0 to 1"):
        Prevalence(*numbers, 100)
    with pytest.raises(DataError, match="is none: give numbers from 0 to 1"):
        Auc(*numbers)


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 10**6])
def test_every_counted_share_lies_in_its_interval(n):
    for count in {0, 1, n // 3, n - 1, n}:
        Prevalence.of(torch.arange(n) < count)


@pytest.mark.parametrize(
    ("shares", "reason"),
    [
        ((0.1, 0.05, 0.3), "or more: no gap"),
        ((0.1, 0.05, 0.1), "or more: no gap"),
        ((math.nan, 0.1, 0.1), "not all shares"),
        ((50, 20, 1), "not all shares"),
    ],
)
def test_a_gap_leads_down_to_the_retrained_model(shares, reason):
    with pytest.raises(DataError, match=reason):
        gap_to_retrained(*shares)


def test_a_retrained_model_with_more_of_the_feature_leaves_no_gap():
    class Graded:
        def __init__(self, count):
            self.prevalence = Prevalence.of(torch.arange(1000) < count)

    graded = {"original": Graded(100), "after": Graded(50)}
    assert gaps_to_retrained(graded | {"retrained": Graded(10)})["original"] == 1
    assert gaps_to_retrained(graded | {"retrained": Graded(300)}) == {}


def evidence(original, model, reference=0.0):
    counted = (Prevalence.of(torch.arange(1000) < n) for n in (original, model))
    return Evidence("classifier B", False, *counted, reference, Auc(0.5, 0.45, 0.55))


def test_a_feature_that_no_grader_finds_in_the_original_is_not_gone():
    assert decide([evidence(400, 0)], 1, 1).word == "gone"
    assert decide([evidence(0, 0)], 1, 1).word == "unchanged"
    assert decide([evidence(0, 0), evidence(400, 0)], 1, 1).word == "gone"


@pytest.mark.parametrize(("reference", "fid", "floor"), [(3.0, 1, 1), (0, -1, 1), (0, 1, 0)])
def test_a_verdict_has_a_share_as_reference_and_a_floor(reference, fid, floor):
    with pytest.raises(DataError, match="references from 0 to 1, an FID"):
        decide([evidence(400, 0, reference)], fid, floor)


# identity


def test_pairs_are_of_as_many_names_as_embeddings_and_of_a_number_that_there_is():
    embeddings = torch.nn.functional.normalize(A[:40], dim=1)
    people = [str(i // 4) for i in range(40)]
    with pytest.raises(DataError, match="20 names for 40 embeddings"):
        pairs(embeddings, people[:20], 100)
    for number in (-1, 0, 2.5, True):
        with pytest.raises(ParameterError, match="give a whole number of at least 1"):
            pairs(embeddings, people, number)
        with pytest.raises(ParameterError, match="give a whole number of at least 1"):
            nearest_people(embeddings, people, "3", number)


@pytest.mark.parametrize("kind", [torch.int64, torch.uint8, torch.float32])
def test_verification_reads_zeros_and_ones_as_truth_and_not_as_indices(kind):
    same = torch.arange(500) < 100
    similarity = torch.cat([B[:100, 0] + 2, A.flatten()[:400]])
    assert verification(similarity, same.to(kind)) == verification(similarity, same)


# locality


class Evaluator:
    """An evaluator whose attributes and features are pixels."""

    names, n_classes, band = ("a", "b"), 0, None

    def __init__(self, **changes):
        vars(self).update(changes)

    def has_feature(self, images):
        return images.flatten(1).mean(1) > 0.5

    def lacks_feature(self, images):
        return ~self.has_feature(images)

    def others(self, images):
        return images.flatten(1)[:, :2] > 0.5

    def features(self, images):
        return images.flatten(1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"has_feature": lambda images: (images.mean((1, 2, 3)) > 0.5).long()}, "return booleans"),
        ({"lacks_feature": lambda images: (images.mean((1, 2, 3)) < 0.5).long()}, "booleans"),
        ({"lacks_feature": lambda images: images.mean((1, 2, 3)) < 2}, "exclude each other"),
        ({"others": lambda images: images.flatten(1)[:, :2]}, "return booleans"),
        ({"others": lambda images: images.flatten(1)[:, :3] > 0}, "return booleans"),
        ({"names": ("Young", "young")}, "different names"),
        ({"band": (0.51, 0.52)}, "covers 0 of 8 rows"),
        ({"band": (0, 1)}, "covers 8 of 8 rows"),
        ({"features": lambda images: torch.ones(len(images), 3)}, "give features that differ"),
    ],
)
def test_what_an_evaluator_answers_can_be_averaged(changes, reason):
    assert all(map(math.isfinite, locality(Evaluator(), BEFORE, AFTER).values()))
    with pytest.raises(DataError, match=reason):
        locality(Evaluator(**changes), BEFORE, AFTER)


def test_where_all_attributes_are_classes_none_is_said_to_have_flipped():
    metrics = locality(Evaluator(n_classes=2), BEFORE, AFTER)
    assert not any(name.startswith("flipped") for name in metrics)
    assert all(map(math.isfinite, metrics.values()))
