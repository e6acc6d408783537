"""Distances between sets of features: zero for equal sets, and those of other libraries."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

from forgetting.errors import DataError, DataWarning
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, inception_score, kid, nearest, precision_recall


def draw(n, dim, seed, shift=0.0, scale=1.0):
    generator = torch.Generator().manual_seed(seed)
    mix = torch.randn(dim, dim, generator=torch.Generator().manual_seed(dim))
    return shift + scale * torch.randn(n, dim, generator=generator) @ mix


def test_the_nearest_reference_of_each_sample_is_returned():
    reference = torch.tensor([[0.0, 0.0], [3.0, 4.0], [10.0, 0.0]])
    distances, indices = nearest(torch.tensor([[3.0, 4.0], [9.0, 0.0]]), reference)
    torch.testing.assert_close(distances, torch.tensor([0.0, 1.0]))
    assert indices.tolist() == [1, 2]


def test_identical_sets_have_distance_zero():
    x = draw(500, 16, 0)
    assert fid(x, x) == pytest.approx(0, abs=1e-6)


@given(st.floats(-5, 5), st.integers(2, 20))
@settings(deadline=None, max_examples=20)
def test_equal_covariances_give_the_squared_distance_of_means(shift, dim):
    x = draw(200, dim, 1)
    expected = dim * shift**2
    assert fid(x, x + shift) == pytest.approx(expected, rel=1e-4, abs=1e-3)


def test_fid_agrees_with_torch_fidelity():
    a, b = draw(800, 24, 0), draw(700, 24, 1, shift=0.3, scale=1.4)
    theirs = fid_statistics_to_metric(
        fid_features_to_statistics(a), fid_features_to_statistics(b), verbose=False
    )["frechet_inception_distance"]
    assert fid(a, b) == pytest.approx(theirs, rel=1e-4)


def test_fid_is_symmetric_and_takes_singular_covariances():
    a, b = draw(400, 30, 0), draw(400, 30, 1)
    b[:, 20:] = 0
    assert np.linalg.matrix_rank(Statistics.of(b).covariance) < 30
    assert fid(a, b) == pytest.approx(fid(b, a), rel=1e-6)
    assert fid(a, a) == pytest.approx(0, abs=1e-6)


def test_statistics_stand_for_their_features():
    a, b = draw(100, 8, 0), draw(100, 8, 1)
    assert fid(Statistics.of(a), b) == fid(a, b)


def test_a_weight_of_two_counts_a_sample_twice_in_the_mean():
    x = draw(50, 4, 0)
    weights = torch.ones(50)
    weights[:10] = 2
    twice = Statistics.of(torch.cat([x, x[:10]]))
    weighted = Statistics.of(x, weights)
    np.testing.assert_allclose(weighted.mean, twice.mean)
    np.testing.assert_allclose(weighted.covariance, twice.covariance, rtol=0.01)
    np.testing.assert_allclose(
        Statistics.of(x, torch.ones(50)).covariance, Statistics.of(x).covariance
    )


def test_weighted_samples_count_as_their_effective_number():
    weights = torch.ones(100)
    weights[:10] = 0
    assert Statistics.of(draw(100, 4, 0), weights).n == pytest.approx(90)
    weights[10] = 1000  # one sample is nearly all
    assert Statistics.of(draw(100, 4, 0), weights).n == pytest.approx(1.18, abs=0.01)


def test_kid_and_precision_tell_near_from_far():
    a, near, far = draw(600, 8, 0), draw(600, 8, 1), draw(600, 8, 2, shift=9.0)
    assert abs(kid(a, near)) < 0.1 * kid(a, far)
    assert min(precision_recall(near, a)) > 0.8
    assert max(precision_recall(far, a)) < 0.1
    precision, recall = precision_recall(0.05 * near, a)  # all alike, amid the real ones
    assert precision > 0.9
    assert recall < 0.1


def test_kid_of_few_samples_says_that_it_is_noise():
    with pytest.warns(DataWarning, match=r"KID of 300 samples is mostly noise.*at least 1,000"):
        kid(draw(300, 8, 0), draw(2000, 8, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", DataWarning)
        kid(draw(1000, 8, 0), draw(2000, 8, 1))


def test_a_sample_is_precise_within_the_distance_of_a_real_ones_third_neighbour():
    real = torch.arange(60.0)[:, None]
    inside, outside = torch.full((50, 1), 61.9), torch.full((50, 1), 62.1)
    assert precision_recall(inside, real)[0] == 1
    assert precision_recall(outside, real)[0] == 0


A, B = torch.randn(2, 300, 8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("scale", [1.0, 1e-25, 1e25])
@pytest.mark.parametrize("offset", [0, 1e3, 1e5])
def test_precision_and_recall_do_not_depend_on_where_the_features_lie(scale, offset):
    a, b = ((x.double() + offset) * scale for x in (A, B))
    expected = pytest.approx(precision_recall(A, B), abs=0.002)
    assert precision_recall(a, b) == expected
    if offset < 1e5:
        assert precision_recall(a.float(), b.float()) == expected


@pytest.mark.parametrize("n", [2, 3, 4, 9])
def test_samples_that_are_there_several_times_are_noted_by_precision_and_recall(n, recwarn):
    precision_recall(A, torch.cat([B, B[:3].repeat(5, 1)]))
    assert not recwarn.list
    for sets in ((A, B.repeat(n, 1)), (A.repeat(n, 1), B)):
        with pytest.warns(DataWarning, match=r"equal another.*Take each sample once"):
            precision_recall(*sets)


def test_samples_that_are_there_twice_are_noted_where_they_are_counted(recwarn):
    many, others = draw(1500, 8, 0), draw(1500, 8, 1)
    some = torch.cat([others, others[:70]])  # as sets of photographs have some
    fid(many, some), kid(many, some)
    assert not recwarn.list
    for measure in (fid, kid):
        for sets in ((many[:100].repeat(15, 1), others), (many, others[:750].repeat(2, 1))):
            with pytest.warns(DataWarning, match=r"1500 of 1500 samples equal another.*each"):
                measure(*sets)


def test_features_have_at_least_one_dimension():
    for measure in (fid, kid, precision_recall):
        with pytest.raises(DataError, match=r"takes features \(N, F\)"):
            measure(A[:, :0], B[:, :0])


@pytest.mark.parametrize("n_shared", [0, 20])
def test_samples_that_are_in_both_sets_are_noted(n_shared):
    a, others = draw(300, 8, 0), draw(300 - n_shared, 8, 1)
    b = torch.cat([others, a[:n_shared] * (1 + 1e-7)])[torch.randperm(300)]
    for measure, name in ((fid, "FID"), (kid, "KID"), (precision_recall, "Precision and recall")):
        with warnings.catch_warnings(record=True) as noted:
            warnings.simplefilter("always")
            measure(a, b)
        said = [str(w.message) for w in noted if "are in both sets" in str(w.message)]
        assert said == [w for w in said if w.startswith(f"{name}: 20 samples")]
        assert bool(said) is bool(n_shared)


def test_the_inception_score_is_that_of_sure_varied_and_of_equal_samples():
    sure = torch.eye(4).repeat(250, 1)
    assert inception_score(sure)[0] == pytest.approx(4, abs=0.1)
    assert inception_score(sure[:1].repeat(1000, 1)) == pytest.approx((1, 1, 1))
    assert inception_score(torch.full((1000, 4), 0.25)) == pytest.approx((1, 1, 1))
    p = torch.tensor([[0.9, 0.1], [0.3, 0.7]]).repeat(500, 1)
    mean = torch.tensor([0.6, 0.4])
    expected = (p * (p / mean).log()).sum(1).mean().exp()
    score, low, high = inception_score(p)
    assert low < score < high
    assert score == pytest.approx(float(expected), rel=0.01)


def test_an_inception_score_of_more_classes_than_samples_could_show_is_refused():
    with pytest.raises(DataError, match="of 1000 classes needs 100000 samples"):
        inception_score(torch.eye(1000))


@pytest.mark.parametrize(
    ("classes", "sentence"),
    [
        (torch.full((199, 2), 0.5), "of 2 classes needs 200 samples, and there are 199"),
        (torch.ones(600, 2), "a row does not add up to 1"),
        (torch.tensor([[2.0, -1.0]]).repeat(600, 1), "class probabilities"),
        (torch.full((600, 2), float("nan")), "class probabilities"),
    ],
)
def test_an_inception_score_of_no_distributions_is_refused(classes, sentence):
    with pytest.raises(DataError, match=sentence):
        inception_score(classes)
