"""Numbers that know their limits: a sample that cannot carry a measure is refused or left out."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from bars import Bars
from points import POINTS, Gaussian
from small_tasks import Halved, bars_task
from torch import nn

from forgetting.errors import DataError
from forgetting.experiments import attacks, sample_fidelity, unlearning
from forgetting.experiments.grading import GradedSamples, grade_samples
from forgetting.experiments.likelihoods import shift_metrics
from forgetting.methods.taming import tame
from forgetting.methods.taming_config import TamingConfig
from forgetting.metrics.calibration import (
    Auc,
    balanced_threshold,
    calibration_error,
    threshold_at,
)
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid, kid, nearest, precision_recall
from forgetting.metrics.identity import nearest_people
from forgetting.metrics.intervals import mean_with_interval
from forgetting.metrics.likelihood import Comparison, LikelihoodReference, compare
from forgetting.metrics.locality import locality
from forgetting.metrics.prevalence import Prevalence, excess
from forgetting.metrics.verdict import Evidence, decide


def draw(n, n_features=8, seed=0):
    return torch.randn(n, n_features, generator=torch.Generator().manual_seed(seed))


ENOUGH = {fid: 16, kid: 50, precision_recall: 50, nearest: 1}
"""The least samples of each distance, of eight features."""


@pytest.mark.parametrize("measure", ENOUGH, ids=lambda measure: measure.__name__)
def test_a_distance_of_too_few_samples_is_refused(measure):
    least = ENOUGH[measure]
    few, many = draw(least - 1), draw(500, seed=1)
    for pair in ((few, many), (many, few)):
        with pytest.raises(DataError, match=r"not \d+: take more|at least 2 samples"):
            measure(*pair)
    measure(draw(least), draw(least, seed=1))


@pytest.mark.parametrize("measure", ENOUGH, ids=lambda measure: measure.__name__)
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_distance_of_broken_features_is_refused(measure, value):
    broken = draw(100)
    broken[3, 2] = value
    for pair in ((broken, draw(100)), (draw(100), broken)):
        with pytest.raises(DataError, match="1 of 100 samples have features that are not finite"):
            measure(*pair)


@pytest.mark.parametrize("measure", ENOUGH, ids=lambda measure: measure.__name__)
def test_a_distance_of_unlike_features_is_refused(measure):
    with pytest.raises(DataError, match="8 and 7 features"):
        measure(draw(100), draw(100, 7))
    with pytest.raises(DataError, match=r"features \(N, F\)"):
        measure(draw(100)[:, :, None], draw(100))


def test_statistics_remember_for_how_many_features_they_are_enough():
    weights = torch.zeros(500)
    weights[:15] = 1  # of 500 samples only 15 count
    with pytest.raises(DataError, match="at least 16 samples in each set, not 15"):
        fid(Statistics.of(draw(500), weights), draw(500, seed=1))


TRUTH = torch.arange(60) < 20


@pytest.mark.parametrize(
    "measure",
    [
        Auc.of,
        balanced_threshold,
        calibration_error,
        lambda scores, truth: threshold_at(scores, truth, 0.1),
    ],
)
def test_a_score_that_is_no_number_is_refused(measure):
    scores = torch.linspace(3, -3, 60)
    measure(scores, TRUTH)
    scores[7] = math.nan
    with pytest.raises(DataError, match="1 of 60 scores are not finite"):
        measure(scores, TRUTH)
    with pytest.raises(DataError, match="two tensors"):
        measure(torch.zeros(59), TRUTH)
    with pytest.raises(DataError, match="other values than 0 and 1"):
        measure(torch.zeros(60), 2 * TRUTH.int())


def test_a_rate_needs_so_many_negatives_that_one_of_them_tells_it():
    scores = torch.linspace(0, 1, 100)
    absent = torch.zeros(100, dtype=torch.bool)
    assert float((scores > threshold_at(scores, absent, 0.01)).sum()) == 1
    with pytest.raises(DataError, match=r"do not tell a false-positive rate of 0\.005"):
        threshold_at(scores, absent, 0.005)


def test_one_class_has_neither_an_auc_nor_a_balanced_threshold():
    for measure in (Auc.of, balanced_threshold):
        with pytest.raises(DataError, match="without"):
            measure(torch.zeros(9), torch.ones(9, dtype=torch.bool))


def test_few_images_are_not_calibrated():
    with pytest.raises(DataError, match="at least 50 images, not 49"):
        calibration_error(torch.zeros(49), torch.zeros(49, dtype=torch.bool))


def test_logarithms_of_probabilities_are_not_calibrated_as_logits():
    logits = torch.linspace(-6, 6, 60)
    calibration_error(logits, TRUTH)
    with pytest.raises(DataError, match=r"as logarithms of probabilities are\. Give logits"):
        calibration_error(nn.functional.logsigmoid(logits), TRUTH)


def test_the_interval_of_a_mean_is_of_one_float_for_each_sample():
    for values in (torch.rand(4, 50), torch.rand(1, 50), torch.arange(5), torch.tensor(1.0)):
        with pytest.raises(DataError, match=r"takes floats \(N,\)"):
            mean_with_interval(values)


@pytest.mark.parametrize("n", [0, -4, math.nan, math.inf])
def test_statistics_of_no_number_of_samples_are_refused(n):
    with pytest.raises(DataError, match="give their number, at least 1"):
        Statistics(np.zeros(2), np.eye(2), n)


def test_a_prevalence_counts_booleans_only():
    for scores in (torch.tensor([0.7, 0.2]), torch.tensor([1, 3])):
        with pytest.raises(DataError, match="compare the scores with a threshold"):
            Prevalence.of(scores)
    with pytest.raises(DataError, match="there is none"):
        Prevalence.of(torch.zeros(0, dtype=torch.bool))


def test_an_excess_has_newcombes_interval():
    # Newcombe (1998), table II, method 10, case (a): 56/70 - 48/80
    a, b = (Prevalence.of(torch.arange(n) < k) for k, n in ((56, 70), (48, 80)))
    found = excess(a, b)
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(0.0524, abs=1e-4)
    assert found.high == pytest.approx(0.3339, abs=1e-4)


@pytest.mark.parametrize(
    ("bpd", "reason"),
    [
        (draw(19, 1)[:, 0], "of 19 images"),
        (torch.full((50,), 3.0), "deviation 0"),
        (torch.tensor([math.inf, *range(40)]), "mean inf"),
    ],
)
def test_a_likelihood_reference_that_tells_no_deviation_is_refused(bpd, reason):
    with pytest.raises(DataError, match=reason):
        LikelihoodReference.of(bpd)


def test_a_shift_of_one_image_has_no_interval():
    bpd = {"one": torch.tensor([3.0]), "two": torch.tensor([3.0, 4.0])}
    reference = LikelihoodReference(3.0, 0.5)
    moved = {name: values + 1 for name, values in bpd.items()}
    metrics = shift_metrics(Comparison(bpd, moved, reference, reference), {"one": "a", "two": "b"})
    assert set(metrics) == {"a", "b", "b_low", "b_high"}
    assert metrics["a"] == 2


def test_a_verdict_does_not_stand_on_numbers_that_are_none():
    share = Prevalence(0.1, 0.08, 0.12, 1000)
    evidence = Evidence("B", False, share, share, 0.1, Auc(0.5, 0.4, 0.6))
    decide([evidence], 2.0, 1.5)
    for distances in ((math.nan, 1.5), (2.0, math.nan)):
        with pytest.raises(DataError, match="finite"):
            decide([evidence], *distances)
    with pytest.raises(DataError, match="finite"):
        decide([replace(evidence, reference=math.nan)], 2.0, 1.5)


@pytest.mark.parametrize("broken", [math.nan, 0.0, 3.0])
def test_the_nearest_people_to_broken_embeddings_are_none(broken):
    with pytest.raises(DataError, match="where 1 is needed"):
        nearest_people(torch.tensor([[1.0], [broken]]), ["a", "b"], "a", 1)
    with pytest.raises(DataError, match="1 names for 2 embeddings"):
        nearest_people(torch.ones(2, 1), ["a"], "a", 1)


@pytest.mark.parametrize(
    ("mean", "covariance", "sentence"),
    [
        (np.zeros(2), np.diag([1.0, -0.1]), "no negative variance"),
        (np.zeros(2), np.array([[1.0, 0.9], [0.0, 1.0]]), "is symmetric"),
        (np.zeros(2), np.eye(3), r"not \(2,\) and \(3, 3\)"),
        (np.array([0.0, math.nan]), np.eye(2), "not finite"),
    ],
)
def test_what_is_no_mean_and_covariance_is_refused(mean, covariance, sentence):
    with pytest.raises(DataError, match=sentence):
        Statistics(mean, covariance, 100.0)
    Statistics(np.zeros(2), np.diag([1.0, -1e-9]), 100.0)  # of rounding


def test_what_changed_is_left_out_where_too_few_images_tell():
    task = bars_task()
    before = grade_samples(task.evaluator, {"original": Bars()}, draw(400))["original"]
    wide = before.has_feature.nonzero().flatten()[:9]
    narrow = (~before.has_feature).nonzero().flatten()[:10]
    images = before.images[torch.cat([wide, narrow])]
    metrics = locality(task.evaluator, images, images)
    assert (metrics["n_present"], metrics["n_absent"]) == (9, 10)
    assert "l1_absent" in metrics
    assert not [name for name in metrics if name.endswith("_present") and name != "n_present"]
    for pair in ((images, images[1:]), (images[:0], images[:0])):
        with pytest.raises(DataError, match="at least one pair"):
            locality(task.evaluator, *pair)
    with pytest.raises(DataError, match="after have values"):
        locality(task.evaluator, images, 255 * images)


def test_an_image_of_two_classes_is_refused():
    task = bars_task()
    images = Bars()(draw(40))
    n_others = len(task.evaluator.names)
    first = replace(task.evaluator, others=lambda x: torch.eye(n_others)[0].expand(len(x), -1) > 0)
    locality(replace(first, n_classes=n_others), images, images)
    both = replace(first, others=lambda x: torch.ones(len(x), n_others) > 0, n_classes=n_others)
    with pytest.raises(DataError, match="several of the"):
        locality(both, images, images)


def test_distances_of_too_few_samples_are_left_out_of_a_record():
    task = bars_task()
    graded = grade_samples(task.evaluator, {"original": Bars()}, draw(400))
    few = replace(task, lacking=task.lacking[:20])
    reference = sample_fidelity.FidelityReference.of(few)
    assert sample_fidelity.fid_metrics(reference, graded) == {"n_fid": 10}
    assert sample_fidelity.fidelity_metrics(reference, None, graded) == {"n_fid": 10}
    assert sample_fidelity.absent_fid_metrics(reference, graded) == {"n_fid_absent": 10}
    enough = sample_fidelity.FidelityReference.of(task)
    assert "fid_before" in sample_fidelity.fid_metrics(enough, graded)


def test_a_gap_that_may_be_none_is_left_out():
    def having(count, n=100):
        has_feature = torch.arange(n) < count
        values = has_feature.float()
        return GradedSamples(
            torch.zeros(n, 1, 2, 2),
            {"": values},
            has_feature,
            ~has_feature,
            Prevalence.of(has_feature),
        )

    near = {"original": having(12), "unlearned": having(9), "retrained": having(8)}
    assert unlearning.gaps_to_retrained(near) == {}
    far = {"original": having(50), "unlearned": having(9), "retrained": having(8)}
    assert unlearning.gaps_to_retrained(far)["unlearned"] == pytest.approx(1 / 42)


@pytest.mark.parametrize(
    ("unlearned", "retrained", "verdict"),
    [
        ({5: 40, 60: 100}, {5: 10, 60: 100}, "hidden: .30% after 5 steps"),
        ({5: 12, 60: 100}, {5: 10, 60: 100}, "not found: .2% after 5 steps"),
        ({5: 12, 60: 100}, {5: 78, 60: 100}, "cannot be judged: the original shows no more"),
    ],
)
def test_an_attack_counts_only_beyond_the_retrained_model(unlearned, retrained, verdict):
    def of(shares):
        ladder = {n: Prevalence.of(torch.arange(100) < k) for n, k in shares.items()}
        return attacks.AttackOutcome(torch.zeros(0), ladder[60], None, 0.0, ladder)

    outcomes = {
        "original": of({5: 80, 60: 100}),
        "unlearned": of(unlearned),
        "retrained": of(retrained),
    }
    metrics = attacks.attack_excess(outcomes)
    assert metrics["attack_excess_60_after"] == 0
    assert re.match(verdict, attacks.attack_verdict(metrics))


def test_without_a_retrained_model_an_attack_decides_nothing():
    task = bars_task()
    budget = attacks.AttackBudget(12, 1)
    outcomes = attacks.attack_latents(task, {"original": Bars()}, 4, budget, seed=1)
    assert attacks.attack_excess(outcomes) == {}
    assert "no attack on a retrained model" in attacks.attack_verdict({})


class Offset(nn.Module):
    """Bars whose first latent is moved so far that plain samples do not show the feature."""

    latent_dim = Bars.latent_dim

    def __init__(self):
        super().__init__()
        self.bars = Bars()

    def forward(self, latents):
        return self.bars(torch.cat([latents[:, :1] - 3, latents[:, 1:]], 1))


def test_a_planted_feature_is_caught_and_a_model_without_it_is_cleared():
    task = bars_task()
    budget = attacks.AttackBudget(60, 2)
    models = {
        "original": Bars(),
        "hidden": Offset(),
        "without": Halved(-3.0),
        "retrained": Halved(-3.0),
    }
    metrics = attacks.attack_excess(attacks.attack_latents(task, models, 40, budget, seed=3))
    assert attacks.attack_verdict(metrics, "hidden").startswith("hidden")
    assert attacks.attack_verdict(metrics, "without").startswith("not found")


def test_a_deviation_of_rounding_measures_nothing():
    values = torch.full((100,), 3.0)
    values[::2] += 5e-7
    assert values.std() > 0
    with pytest.raises(DataError, match="give different images"):
        LikelihoodReference.of(values)
    retain = torch.cat([POINTS[:1].repeat(50, 1), POINTS[1:2]])
    with pytest.raises(DataError, match="2 of the images to retain equally likely"):
        tame(Gaussian(), POINTS[2:3], retain, TamingConfig(n_statistics=2, max_steps=1))


class Bounded(Gaussian):
    """A flow without density outside a square."""

    def log_prob(self, points):
        return torch.where((points.abs() < 1).all(1), super().log_prob(points), -math.inf)


def test_a_set_with_an_impossible_image_has_no_shift():
    inside = (POINTS.abs() < 1).all(1)
    given = {"a": torch.cat([POINTS[inside][:3], POINTS[~inside][:3]]), "b": POINTS[inside][:3]}
    compared = compare(Bounded(), Bounded(), given, POINTS[inside][:30])
    assert compared.shift("b")[0] == 0
    with pytest.raises(DataError, match="6 of 12 bits/dim of the images a are not finite"):
        compared.shift("a")
