"""Samples of two flows from the same latents: what is counted, and against what."""

import copy

import pytest
import torch
from torch import nn

from forgetting.errors import DataError
from forgetting.experiments.samples import compare_samples, fid_line, mixing_weights
from forgetting.metrics.feature_statistics import Statistics
from forgetting.metrics.fidelity import fid


class Corner(nn.Module):
    """A classifier whose features are four pixels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def features(self, images):
        return images[:, 0, 2:4, 2:4].flatten(1) * self.weight


def statistics(seed):
    return Statistics.of(torch.rand(50, 4, generator=torch.Generator().manual_seed(seed)))


SETTINGS = {"seeds": [0, 1], "feature_classifier": Corner(), "reference": statistics(0)}


def bright(images):
    return images[:, 0, 0, 0] > 0.5


def test_the_flows_are_told_apart_and_each_is_counted_on_its_own_samples(glow):
    changed = copy.deepcopy(glow)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.2)
    metrics = compare_samples(
        glow, changed, 40, 0.8, has_feature=bright, name="bright", **SETTINGS
    )
    for when, flow in (("before", glow), ("after", changed)):
        draws = [flow.sample(40, 0.8, torch.Generator().manual_seed(seed)) for seed in (0, 1)]
        fids = [fid(Corner().features(images).detach(), statistics(0)) for images in draws]
        assert metrics[f"fid_{when}"] == pytest.approx(sum(fids) / 2, rel=1e-4)
        spread = abs(fids[0] - fids[1]) / 2**0.5
        assert metrics[f"fid_{when}_std"] == pytest.approx(spread, rel=1e-3)
        assert metrics[f"bright_{when}"] == pytest.approx(
            float(bright(torch.cat(draws)).float().mean())
        )
    assert metrics["fid_change"] == pytest.approx(metrics["fid_after"] - metrics["fid_before"])
    assert metrics["fid_after"] != metrics["fid_before"]


def test_a_flow_beside_itself_has_not_changed_and_its_mixture_neither(glow):
    metrics = compare_samples(glow, glow, 40, 0.8, kinds=bright, end="_t8", **SETTINGS)
    assert metrics["fid_change_t8"] == pytest.approx(0, abs=1e-9)
    assert metrics["fid_beyond_t8"] == pytest.approx(0, abs=1e-9)
    assert metrics["n_mixed_t8"] == pytest.approx(40)  # all weights are one
    without_kinds = compare_samples(glow, glow, 40, 0.8, **SETTINGS)
    assert not any("mixed" in name for name in without_kinds)


def test_what_the_mixture_alone_explains_is_no_harm():
    """Of two kinds that lie apart, other shares are all that differs between two draws."""
    generator = torch.Generator().manual_seed(0)
    kinds = torch.arange(4000) % 2
    wanted = (torch.arange(4000) % 4 == 0).long()
    before, after = (
        torch.randn(4000, 3, generator=generator) + 4.0 * of[:, None] for of in (kinds, wanted)
    )
    weights = mixing_weights(kinds, wanted)
    assert float(weights[kinds == 1].sum() / weights.sum()) == pytest.approx(0.25)
    mixed = Statistics.of(before, weights)
    assert fid(before, after) > 1
    assert fid(mixed, after) < 0.05
    assert mixed.mean == pytest.approx(Statistics.of(after).mean, abs=0.1)


def test_a_kind_that_is_not_there_cannot_be_weighed_up():
    with pytest.raises(DataError, match="Take more samples"):
        mixing_weights(torch.tensor([0, 0, 1]), torch.tensor([1, 2]))
    weights = mixing_weights(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 2, 2]))
    assert torch.allclose(weights, torch.tensor([0.75, 0.75, 1.5], dtype=torch.float64))


def test_a_line_on_fid_has_the_change_and_its_deviation_at_its_temperature():
    metrics = {"fid_before": 1.0, "fid_after": 2.0, "fid_change": 1.0, "fid_change_std": 0.0}
    at_nine = dict(zip(metrics, (14.2, 11.6, -2.6, 1.4), strict=True))
    metrics |= {
        name.replace("_std", "") + "_t9" + ("_std" if name.endswith("_std") else ""): value
        for name, value in at_nine.items()
    }
    assert fid_line(metrics, 0.7) == "FID at T = 0.7: 1 -> 2, change +1 ± 0"
    assert fid_line(metrics, 0.9, "_t9") == "FID at T = 0.9: 14 -> 12, change -3 ± 1"
