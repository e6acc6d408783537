"""Samples of two flows from the same latents: what is counted, and against what."""

import pytest
import torch
from torch import nn

from forgetting.evaluation.fidelity import Statistics
from forgetting.evaluation.generation import compare_samples


class Corner(nn.Module):
    """A judge whose features are four pixels."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def features(self, images):
        return images[:, 0, 2:4, 2:4].flatten(1) * self.weight


def test_a_flow_beside_itself_has_not_changed_and_both_references_are_told(glow):
    judge = Corner()
    random = torch.Generator().manual_seed(0)
    all_of_them, some = (Statistics.of(torch.rand(50, 4, generator=random)) for _ in range(2))
    ask = {"seeds": [0, 1], "feature_judge": judge, "reference": all_of_them}
    found = compare_samples(
        glow, glow, 40, 0.8, lacking=some, shown=lambda x: x[:, 0, 0, 0] > 2, name="seen", **ask
    )
    assert found["fid_change"] == pytest.approx(0, abs=1e-9)
    assert found["fid_lacking_change"] == pytest.approx(0, abs=1e-9)
    assert found["fid_before"] > 0
    assert found["fid_lacking_before"] != found["fid_before"]
    assert found["seen_before"] == found["seen_after"] == 0
    assert found["seen_after_high"] > 0
    ended = compare_samples(glow, glow, 40, 0.8, end="_t8", **ask)
    assert ended["fid_before_t8"] == found["fid_before"]
    assert not any("lacking" in name for name in ended)
