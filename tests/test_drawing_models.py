"""Generators that draw random numbers themselves, such as noise or a class."""

import pytest
import torch
from torch import nn

import forgetting as fg
from forgetting.errors import DataWarning
from forgetting.experiments.own_samples import scores_of
from forgetting.methods.direction import Direction
from forgetting.methods.feature_unlearning import UnlearningConfig, unlearn_feature
from forgetting.methods.results import Look
from forgetting.methods.until_gone import until_gone
from forgetting.methods.until_gone_config import UntilGoneConfig
from forgetting.probes.linear_probe import linear_probe


class Noisy(nn.Module):
    """Every pixel is as bright as a latent plus noise of the same size."""

    latent_dim = 16

    def __init__(self, sign=1.0):
        super().__init__()
        self.gain = nn.Parameter(torch.tensor(1.0))
        self.sign = sign
        self.last = nn.Conv2d(1, 1, 1, bias=False)
        nn.init.ones_(self.last.weight)

    def forward(self, latents):
        noise = torch.randn_like(latents)
        values = self.gain * (latents + self.sign * noise)
        return torch.sigmoid(self.last(values.view(-1, 1, 4, 4)))


class OfAClass(nn.Module):
    """The left half is as bright as the first latent, the right as a class that is drawn."""

    latent_dim = 4

    def __init__(self):
        super().__init__()
        self.classes = nn.Embedding(10, 1)
        with torch.no_grad():
            self.classes.weight.copy_(torch.linspace(-3, 3, 10)[:, None])
        self.gain = nn.Parameter(torch.tensor(2.0))

    def forward(self, latents):
        drawn = self.classes(torch.randint(10, (len(latents),)))
        halves = torch.cat([self.gain * latents[:, :1], drawn], 1)
        return torch.sigmoid(halves)[:, None, None, :].expand(-1, 1, 4, -1).repeat_interleave(2, 3)


def first(images):
    return torch.logit(images.clamp(1e-6, 1 - 1e-6))[:, 0, 0, 0] - 2


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_latents_are_not_the_noise_of_a_generator(sign, seed):
    share = fg.prevalence(Noisy(sign), first, n=4000, seed=seed)
    assert share.low < 0.0786 < share.high  # of a normal number beyond the square root of two
    labelled = fg.collect_latents(Noisy(sign), first, 4000, threshold=0.0, seed=seed)
    assert float(labelled.positive[:, 0].mean()) == pytest.approx(1.32, abs=0.1)


def test_tuning_compares_images_of_one_draw():
    model = OfAClass()
    with torch.no_grad():
        model.classes.weight.mul_(0.5)  # a gradient reaches every class
    before = model.classes.weight.detach().clone()
    direction = Direction(torch.eye(4)[0], 1.0)
    tuned = unlearn_feature(model, direction, UnlearningConfig(steps=100, lr=0.02, perceptual=0))
    weights = tuned.model.classes.weight
    assert float(weights.std() / before.std()) == pytest.approx(1, abs=0.1)


def test_a_linear_probe_sees_what_the_labels_were_drawn_with():
    latents = torch.randn(400, 16, generator=torch.Generator().manual_seed(0))
    model = Noisy()
    labels = scores_of(model, first, latents) > -2
    assert linear_probe(model, model.last, latents, labels) > 0.05


def test_rounds_say_that_a_generator_draws():
    config = UntilGoneConfig(threshold=-2.0, lacking=-2.5, n_collected=400, rounds=1, steps=1)
    with pytest.warns(DataWarning, match="Noisy draws random numbers, such as noise or a class"):
        until_gone(Noisy(), first, lambda model: Look("there"), config)
