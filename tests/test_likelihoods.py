"""Metrics of likelihoods, from comparisons whose answers are planted."""

import math

import pytest
import torch
from scipy.stats import norm

from forgetting.errors import DataError
from forgetting.experiments.likelihoods import (
    likelihood_metrics,
    person_shift_metrics,
    quantile_lines,
    reference_minus_neutral,
    retrained_quantiles,
    shift_metrics,
    stop_line,
    threshold_line,
    threshold_metrics,
)
from forgetting.metrics.likelihood import Comparison, LikelihoodReference

BASE, TAMED = LikelihoodReference(2.0, 0.5), LikelihoodReference(3.0, 0.25)
BEFORE = {
    "forget": torch.tensor([2.0, 2.5]),
    "reference": torch.tensor([2.0, 2.0]),
    "random": torch.tensor([1.0, 2.0]),
    "neutral": torch.tensor([2.5, 2.5]),
    "held_out": torch.tensor([1.5, 2.0, 2.5]),
}
SHIFTS = {
    "forget": [1.9, 1.75],
    "reference": [1.5, 1.5],
    "random": [0.5, 0.5],
    "neutral": [0.75, 0.75],
    "held_out": [0.25, 0.25, 0.5],
}
AFTER = {name: BEFORE[name] + torch.tensor(shift) for name, shift in SHIFTS.items()}
COMPARISON = Comparison(BEFORE, AFTER, BASE, TAMED)


def test_each_flow_has_its_own_deviation_and_its_own_quantiles():
    metrics = likelihood_metrics(COMPARISON)
    assert (metrics["sigma_before"], metrics["sigma_after"]) == (0.5, 0.25)
    assert metrics["quantile_before_reference"] == pytest.approx(0.5)
    assert metrics["quantile_after_reference"] == pytest.approx(norm.sf(2))
    assert metrics["quantile_drop_neutral"] == pytest.approx(0)  # one sigma above either mean
    assert len(metrics) == 9 * len(BEFORE) + 2  # each quantile with the ends of its interval


def test_a_shift_is_in_sigma_of_the_base_with_its_interval():
    metrics = shift_metrics(COMPARISON, {"held_out": "shift_random_sigma"})
    moved = torch.tensor([0.5, 0.5, 1.0])
    half = 4.3027 * float(moved.std()) / math.sqrt(3)  # t of two degrees of freedom
    mean = 2 / 3
    assert metrics == {
        "shift_random_sigma": pytest.approx(mean),
        "shift_random_sigma_low": pytest.approx(mean - half, abs=1e-4),
        "shift_random_sigma_high": pytest.approx(mean + half, abs=1e-4),
    }


def test_the_pages_on_people_call_held_out_faces_random_and_random_ones_retained():
    metrics = person_shift_metrics(COMPARISON)
    assert metrics["shift_random_sigma"] == pytest.approx(2 / 3)
    assert metrics["shift_retained_sigma"] == pytest.approx(1.0)
    assert metrics["shift_forget_sigma"] == pytest.approx(3.65)
    stems = ("forget", "reference", "retained", "neutral", "random")
    assert set(metrics) == {
        f"shift_{stem}_sigma{end}" for stem in stems for end in ("", "_low", "_high")
    }


@pytest.mark.parametrize(
    ("delta", "stop_within", "within"),
    [(4.0, 0.15, 0.5), (4.0, 0.26, 1.0), (4.0, 0.01, 0.0), (-4.0, 0.15, 0.0)],
)
def test_forgotten_images_are_within_the_rule_on_either_side_of_their_threshold(
    delta, stop_within, within
):
    """They lie 3.6 and 5 sigma of the tamed flow above its mean."""
    metrics = threshold_metrics(COMPARISON, delta, stop_within)
    assert metrics["reached_low"] == pytest.approx(3.6, abs=1e-5)
    assert metrics["reached_high"] == pytest.approx(5.0, abs=1e-5)
    assert metrics["within_measured"] == within


def test_images_to_be_likelier_are_within_the_rule_below_the_mean():
    after = {"forget": torch.tensor([2.5])}
    likelier = Comparison(after, after, BASE, TAMED)
    assert threshold_metrics(likelier, -2.0, 0.15)["within_measured"] == 1


def test_without_a_rule_no_share_within_it_is_told():
    assert set(threshold_metrics(COMPARISON, 4.0, 0.0)) == {"reached_low", "reached_high"}
    line = threshold_line(threshold_metrics(COMPARISON, 4.0, 0.0))
    assert line == "forgotten images lie 3.6 to 5.0 sigma above the mean"


def test_a_retrained_flow_gives_quantiles_of_its_own():
    metrics = retrained_quantiles(COMPARISON)
    assert metrics["quantile_retrained_reference"] == pytest.approx(norm.sf(2))
    assert set(metrics) == {f"quantile_retrained_{name}" for name in BEFORE}


def test_forgetting_follows_the_person_where_the_reference_drops_further_than_the_neutral():
    metrics = {"quantile_drop_reference": 0.5, "quantile_drop_neutral": 0.125}
    assert reference_minus_neutral(metrics) == 0.375


def test_lines_hold_quantiles_and_drops_in_the_order_of_the_sets():
    metrics = likelihood_metrics(COMPARISON)
    assert quantile_lines(metrics, ["reference", "random"]).splitlines() == [
        "reference  quantile 0.50 -> 0.02, drop +0.48",
        "random     quantile 0.74 -> 0.99, drop -0.25",
    ]
    line = quantile_lines(metrics | retrained_quantiles(COMPARISON), ["reference"])
    assert line.endswith("drop +0.48; retrained 0.02")
    line = threshold_line(threshold_metrics(COMPARISON, 4.0, 0.15))
    assert line.endswith("3.6 to 5.0 sigma above the mean; within: 50%")


def test_a_line_on_the_end_of_taming_is_of_the_last_row_and_needs_no_rule():
    rows = [{"step": 0, "within": 0.0}, {"step": 40, "within": 0.75}]
    assert stop_line(rows) == "40 steps; 75% of the images within the rule"
    assert stop_line([{"step": 9}]) == "9 steps; 0% of the images within the rule"


@pytest.mark.parametrize(
    "after",
    [{"forget": torch.ones(1)}, {"random": torch.ones(2)}, {"forget": torch.ones(2, 1)}],
)
def test_a_comparison_is_of_the_same_images(after):
    with pytest.raises(DataError, match="give those of the same images"):
        Comparison({"forget": torch.tensor([1.0, 2.0])}, after, BASE, TAMED)
