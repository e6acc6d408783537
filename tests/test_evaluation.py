"""Prevalence and likelihood: shares with intervals, quantiles, shifts."""

import math

import pytest
import torch
from scipy import stats
from torch import nn

from forgetting.border.contracts import (
    BATCH,
    bits_per_dim,
    bits_per_dim_with_noise,
    mean_bits_per_dim,
)
from forgetting.errors import DataError
from forgetting.metrics.calibration import Auc
from forgetting.metrics.likelihood import LikelihoodReference, compare
from forgetting.metrics.prevalence import Prevalence, gap_to_retrained
from forgetting.zoo import references as reference


class Normal(nn.Module):
    """A flow on points: N(mean, 1) in each dimension."""

    def __init__(self, mean=0.0):
        super().__init__()
        self.mean = nn.Parameter(torch.tensor(float(mean)))

    def log_prob(self, x):
        return -0.5 * ((x - self.mean) ** 2 + math.log(2 * math.pi)).flatten(1).sum(1)


def test_a_prevalence_has_the_wilson_interval():
    has_feature = torch.arange(1000) < 100
    prevalence = Prevalence.of(has_feature)
    z, p, n = 1.959964, 0.1, 1000
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert prevalence.share == pytest.approx(0.1)
    assert prevalence.low == pytest.approx(centre - half, rel=1e-5)
    assert prevalence.high == pytest.approx(centre + half, rel=1e-5)
    assert set(prevalence.metrics("x")) == {"x", "x_low", "x_high"}
    assert Prevalence.of(torch.zeros(50, dtype=torch.bool)).high > 0
    with pytest.raises(DataError, match="at least one sample"):
        Prevalence.of(torch.zeros(0, dtype=torch.bool))


def test_the_gap_is_one_for_the_original_and_zero_for_the_retrained_model():
    assert gap_to_retrained(0.1, 0.1, 0.01) == pytest.approx(1)
    assert gap_to_retrained(0.1, 0.01, 0.01) == pytest.approx(0)
    assert gap_to_retrained(0.5, 0.2, 0.1) == pytest.approx(0.25)
    with pytest.raises(DataError, match="as often"):
        gap_to_retrained(0.1, 0.0, 0.1)


def test_bits_per_dim_of_a_known_density(glow):
    x = torch.zeros(2, 5)
    expected = 0.5 * math.log2(2 * math.pi)
    torch.testing.assert_close(bits_per_dim(Normal(), x), torch.full((2,), expected))
    images = torch.rand(2, 3, 8, 8)
    expected = -glow.log_prob(images) / (192 * math.log(2)) + 5
    torch.testing.assert_close(bits_per_dim(glow, images), expected)


def test_draws_of_noise_are_averaged_and_repeatable(glow):
    x = torch.rand(6, 3, 8, 8)
    assert torch.equal(
        mean_bits_per_dim(glow, x, 3, seed=1), mean_bits_per_dim(glow, x, 3, seed=1)
    )
    assert not torch.equal(
        mean_bits_per_dim(glow, x, 3, seed=1), mean_bits_per_dim(glow, x, 3, seed=2)
    )
    each = torch.stack([mean_bits_per_dim(glow, x, 1, seed=seed) for seed in (1, 2, 3)])
    assert torch.allclose(mean_bits_per_dim(glow, x, 3, seed=1), each.mean(0))
    assert not torch.equal(each[0], each[1])


def test_given_noise_is_used_image_by_image_in_every_batch(glow):
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.rand(2, BATCH + 3, 3, 8, 8, generator=generator)
    bpd = bits_per_dim_with_noise(glow, x, noise)
    assert bpd.shape == (BATCH + 3,)
    torch.testing.assert_close(bpd[-2:], bits_per_dim(glow, x[-2:], noise[-2:]).detach())
    assert not torch.allclose(bpd[-2:], mean_bits_per_dim(glow, x[-2:]))


def test_quantiles_follow_the_normal_distribution():
    reference_bpd = LikelihoodReference(mean=2.0, std=0.5)
    q = reference_bpd.quantile(torch.tensor([2.0, 2.5, 1.5]))
    assert q.tolist() == pytest.approx([0.5, 0.158655, 0.841345], abs=1e-5)


@pytest.mark.parametrize(
    ("mean", "std"), [(2.0, -0.5), (2.0, 0.0), (2.0, math.nan), (math.inf, 1.0)]
)
def test_quantiles_need_a_mean_and_a_deviation_above_zero(mean, std):
    with pytest.raises(DataError, match="a finite mean and a finite deviation"):
        LikelihoodReference(mean, std)


def test_a_change_of_all_images_appears_in_the_shift_and_in_no_quantile():
    """Each model has its own likelihood reference, which moves along."""

    class Worse(Normal):
        def log_prob(self, x):
            return super().log_prob(x) - 3.0

    x = torch.randn(500, 4, generator=torch.Generator().manual_seed(0))
    result = compare(Normal(), Worse(), {"random": x[:100]}, x)
    assert result.quantiles()["quantile_drop_random"] == pytest.approx(0, abs=1e-6)
    shift, _, _ = result.shift("random")
    assert shift == pytest.approx(3.0 / (4 * math.log(2)) / result.base.std, rel=1e-4)


def test_quantiles_use_the_reference_of_each_model_and_shifts_that_of_the_base():
    """The tamed model is twice as sharp and has another mean, so that no two figures agree."""

    class Sharp(Normal):
        def log_prob(self, x):
            return super().log_prob(2 * x) + x[0].numel() * math.log(2)

    generator = torch.Generator().manual_seed(0)
    x, forget = torch.randn(500, 4, generator=generator), torch.full((30, 4), 0.2)
    forget = forget + 0.1 * torch.randn(30, 4, generator=generator)
    base, tamed = Normal(), Sharp(mean=-1.0)
    result = compare(base, tamed, {"forget": forget}, x)
    before, after = mean_bits_per_dim(base, forget), mean_bits_per_dim(tamed, forget)
    metrics = result.quantiles()
    assert metrics["quantile_before_forget"] > metrics["quantile_after_forget"] + 0.05
    drop = metrics["quantile_before_forget"] - metrics["quantile_after_forget"]
    assert metrics["quantile_drop_forget"] == pytest.approx(drop)
    shifts = ((after - before) / mean_bits_per_dim(base, x).std()).double()
    shift, low, high = result.shift("forget")
    assert shift == pytest.approx(float(shifts.mean()))
    expected = stats.t.interval(0.95, 29, shifts.mean(), stats.sem(shifts))
    assert (low, high) == pytest.approx(expected, rel=1e-5)
    bpd = mean_bits_per_dim(tamed, x)
    torch.testing.assert_close(result.above("forget"), (after - bpd.mean()) / bpd.std())


def test_both_models_are_evaluated_with_the_same_noise():
    class Noisy(Normal):
        def log_prob(self, x, noise=None):
            return super().log_prob(x + torch.rand(x.shape, generator=noise))

    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0))
    tamed = Noisy()
    tamed.tag = "tamed"  # else the cache has the result of the base
    result = compare(Noisy(), tamed, {"random": x[:20]}, x, draws=2, seed=3)
    assert torch.equal(result.before["random"], result.after["random"])
    other = compare(Noisy(), Noisy(), {"random": x[:20]}, x, draws=2, seed=4)
    assert not torch.equal(result.before["random"], other.before["random"])


def test_a_floor_lies_on_the_line_through_the_measured_floors():
    entry = {
        "counts": {"32.all.floor": 5000},
        "floors": {"32.all": 6.0},
        "floors_of_few": {"32.all": 15.0},
    }
    assert reference.floor(entry, "32.all", 5000) == pytest.approx(6.0)
    assert reference.floor(entry, "32.all", reference.N_FEW) == pytest.approx(15.0)
    assert reference.floor(entry, "32.all", 1000) == pytest.approx(6 + 9 * (5 - 1) / (10 - 1))


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
