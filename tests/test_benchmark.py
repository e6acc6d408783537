"""The benchmarks are fair: both sides do the work that is said, and it is counted right."""

import importlib.util

import pytest
import torch

from forgetting.foundation.files import ROOT
from forgetting.models.glow import Glow, GlowConfig


def load(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "benchmarks" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


bench, taming = load("glow"), load("taming")

CONFIG = GlowConfig(channels=3, image_size=16, n_steps=2, n_blocks=2, width=128)


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_both_glows_do_the_same_work():
    images = torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    ours, theirs = Glow(CONFIG), bench.normflows_glow(CONFIG)
    ours.initialise(images)
    steps = [bench.training_step(flow, images, "float32") for flow in (ours, theirs)]
    steps[1]()  # normflows sets its actnorms in the first pass
    first, second = (bench.operations(step) for step in steps)
    assert first == pytest.approx(second, rel=0.05)
    couplings = [
        sum(p.numel() for p in flow.parameters() if p.ndim == 4) for flow in (ours, theirs)
    ]
    assert couplings[0] == pytest.approx(couplings[1], rel=0.1)


def test_operations_of_a_convolution_are_counted_exactly():
    step, counted = bench.convolutions("float32", 2)
    forward = 2 * (2 * 16 * 16) * 256 * 256 * 9
    assert counted == 3 * 3 * forward  # three layers; a backward pass is two forward ones
    step()


def test_the_public_loop_asks_as_often_as_the_public_code(flow):
    asked = []
    log_prob = type(flow).log_prob

    class Counting(type(flow)):
        def log_prob(self, x):
            asked.append((len(x), torch.is_grad_enabled()))
            return log_prob(self, x)

    flow.__class__ = Counting
    points = flow.sample(60, 0)
    assert taming.public_loop(flow, points[:12], points[12:], 2) == 2
    one_step = [(12, False), (8, True), (12, False), (8, False), (8, True)]
    assert asked == [(48, False), *one_step, *one_step]
