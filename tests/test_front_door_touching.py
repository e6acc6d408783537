"""The front door leaves the user's own module as it was, in whatever mode it comes."""

import copy

import pytest
import torch
from bars import BendingBars
from torch import nn

import forgetting as fg

QUICK = {"n": 400, "n_collected": 600, "n_with_feature": 40, "rounds": 1, "steps": 2, "lr": 0.01}


class InTraining(nn.Module):
    """A generator that nobody has put into evaluation mode: use moves its statistics."""

    latent_dim = 6

    def __init__(self):
        super().__init__()
        self.bars = BendingBars()
        self.normal = nn.BatchNorm1d(6, affine=False)
        self.normal(torch.randn(64, 6, generator=torch.Generator().manual_seed(0)))

    def forward(self, z):
        return self.bars(self.normal(z))


class Density(nn.Module):
    """A flow of small grey images in training mode, with statistics of its own."""

    def __init__(self):
        super().__init__()
        self.normal = nn.BatchNorm2d(1, affine=False)
        self.centre = nn.Parameter(torch.full((1, 4, 4), 0.5))

    def log_prob(self, x):
        shifted = self.normal(x) + (x - self.centre)
        return -(shifted**2).flatten(1).sum(1)


@pytest.fixture
def untouched():
    """Return a function that notes a module, and afterwards checks that nothing has changed."""
    noted = []

    def note(module):
        noted.append((module, copy.deepcopy(module.state_dict())))
        return module

    yield note
    for module, state in noted:
        assert module.training
        for name, value in module.state_dict().items():
            assert torch.equal(value, state[name]), name
        assert all(parameter.grad is None for parameter in module.parameters())


@pytest.mark.parametrize("method", ["until_gone", "moon2024"])
def test_unlearning_moves_no_statistics_of_a_generator_in_training_mode(
    untouched, eyes, grader, method
):
    module = untouched(InTraining().train())
    settings = QUICK if method == "until_gone" else {"n": 400, "steps": 2}
    report = fg.unlearn(module, eyes["wide"], grader["wide"], method=method, **settings)
    assert report.metrics["prevalence_before"] > 0


def test_the_pictures_are_those_of_the_model_in_evaluation_mode(eyes, grader):
    module = InTraining().train()
    shown = fg.unlearn(module, eyes["wide"], grader["wide"], **QUICK).measured.shown
    quiet = fg.unlearn(module.eval(), eyes["wide"], grader["wide"], **QUICK).measured.shown
    assert torch.equal(shown[0], quiet[0])


def test_an_audit_moves_no_statistics(untouched, eyes):
    before, after = (untouched(InTraining().train()) for _ in range(2))
    report = fg.audit(before, after, eyes["wide"], eyes["wide"], n=300, steps=2)
    assert report.metrics


def test_taming_moves_no_statistics_of_a_flow_in_training_mode(untouched):
    module = untouched(Density().train())
    images = torch.rand(170, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    report = fg.tame(module, images[:3], images[3:], max_steps=2)
    assert report.model is not module


def test_prevalence_and_collecting_move_no_statistics(untouched, eyes):
    module = untouched(InTraining().train())
    fg.prevalence(module, eyes["wide"], n=200)
    fg.collect_latents(module, eyes["wide"], 400)
