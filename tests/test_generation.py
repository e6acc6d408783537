"""Samples of two flows from the same latents: what is counted, and against what."""

import copy

import pytest
import torch
from torch import nn

from forgetting.evaluation.fidelity import Statistics, fid
from forgetting.evaluation.generation import compare_samples


class Corner(nn.Module):
    """A judge whose features are four pixels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def features(self, images):
        return images[:, 0, 2:4, 2:4].flatten(1) * self.weight


def statistics(seed):
    return Statistics.of(torch.rand(50, 4, generator=torch.Generator().manual_seed(seed)))


ASK = {"seeds": [0, 1], "feature_judge": Corner(), "reference": statistics(0)}


def test_the_flows_are_told_apart_and_each_is_counted_on_its_own_samples(glow):
    changed = copy.deepcopy(glow)
    with torch.no_grad():
        for parameter in changed.parameters():
            parameter.mul_(1.2)

    def bright(images):
        return images[:, 0, 0, 0] > 0.5

    found = compare_samples(glow, changed, 40, 0.8, shown=bright, name="bright", **ASK)
    for when, flow in (("before", glow), ("after", changed)):
        drawn = [flow.sample(40, 0.8, torch.Generator().manual_seed(seed)) for seed in (0, 1)]
        each = [fid(Corner().features(images).detach(), statistics(0)) for images in drawn]
        assert found[f"fid_{when}"] == pytest.approx(sum(each) / 2, rel=1e-4)
        assert found[f"bright_{when}"] == pytest.approx(
            float(bright(torch.cat(drawn)).float().mean())
        )
    assert found["fid_change"] == pytest.approx(found["fid_after"] - found["fid_before"])
    assert found["fid_after"] != found["fid_before"]


def test_both_references_are_told_and_a_flow_beside_itself_has_not_changed(glow):
    found = compare_samples(glow, glow, 40, 0.8, lacking=statistics(1), end="_t8", **ASK)
    assert found["fid_change_t8"] == pytest.approx(0, abs=1e-9)
    assert found["fid_lacking_change_t8"] == pytest.approx(0, abs=1e-9)
    assert found["fid_lacking_before_t8"] != found["fid_before_t8"]
    assert not any("lacking" in name for name in compare_samples(glow, glow, 40, 0.8, **ASK))
