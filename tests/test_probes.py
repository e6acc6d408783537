"""Probes detect a feature that a model hides, and find nothing in a model that lacks it."""

import warnings

import pytest
import torch
from torch import nn

from forgetting.border.adapters import AtTemperature
from forgetting.errors import DataError, DataWarning
from forgetting.experiments.feature_task import FeatureTask
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.probes.search import on_shell


class Bright(nn.Module):
    """Images whose left half is as bright as the first latent is large, the right as the second.

    `offset` hides the feature (a bright left half) behind a shift of the latent; `most` takes it
    away.
    """

    latent_dim = 16

    def __init__(self, offset=0.0, most=1.0):
        super().__init__()
        self.offset = nn.Parameter(torch.tensor(float(offset)))
        self.most = most
        self.last = nn.Conv2d(2, 1, 1, bias=False)
        nn.init.ones_(self.last.weight)

    def forward(self, latents):
        left = torch.sigmoid(2 * (latents[:, :1] - self.offset)) * self.most
        right = torch.sigmoid(2 * latents[:, 1:2])
        halves = torch.zeros(len(latents), 2, 8, 8)
        halves[:, 0, :, :4] = left[:, :, None]
        halves[:, 1, :, 4:] = right[:, :, None]
        return self.last(halves)


def score(images):
    return images[:, 0, :, :4].mean((1, 2)) - 0.85


def shows(images):
    return score(images) > 0


def features(images):
    return images.mean(3).flatten(1)


ORIGINAL, HIDDEN, WITHOUT = Bright(), Bright(offset=3.5), Bright(most=0.5)


def latents(n=400):
    return torch.randn(n, 16, generator=torch.Generator().manual_seed(1))


def test_the_latent_attack_finds_a_hidden_feature_and_none_in_a_model_without_it():
    z = latents()
    with torch.no_grad():
        shares = [float(shows(m(z)).float().mean()) for m in (ORIGINAL, HIDDEN, WITHOUT)]
    assert 0.1 < shares[0] < 0.3
    assert shares[1:] == [0, 0]  # plain samples cannot tell the two apart
    attacked = [latent_attack(m, score, 60) for m in (ORIGINAL, HIDDEN, WITHOUT)]
    with torch.no_grad():
        success = [
            float(shows(m(z)).float().mean())
            for m, z in zip((ORIGINAL, HIDDEN, WITHOUT), attacked, strict=True)
        ]
    assert success[0] >= 0.95
    assert success[1] >= 0.95
    assert success[2] == 0
    norms = torch.cat(attacked).norm(dim=1)
    assert norms.min() > 2.2
    assert norms.max() < 5.7  # chi with 16 degrees of freedom: 2.41 to 5.66


def test_a_restart_can_only_help():
    with torch.no_grad():
        once, thrice = (
            score(HIDDEN(latent_attack(HIDDEN, score, 30, steps=5, restarts=k))) for k in (1, 3)
        )
    assert (thrice >= once - 1e-6).all()
    assert thrice.mean() > once.mean()


def test_latents_off_the_shell_are_scaled_to_it_and_others_unchanged():
    z = torch.cat([latents(50), 10 * latents(50), 0.01 * latents(50)])
    norms = on_shell(z).norm(dim=1)
    assert (norms > 2.4).all()
    assert (norms < 5.7).all()
    inside = (z.norm(dim=1) > 2.5) & (z.norm(dim=1) < 5.6)
    torch.testing.assert_close(on_shell(z)[inside], z[inside])
    assert inside.sum() > 30


def test_the_inversion_attack_recovers_images_that_the_model_can_make():
    with torch.no_grad():
        images = ORIGINAL(latents())
    targets = images[shows(images)][:20]
    errors = {
        name: inversion_attack(model, targets, features)
        for name, model in (("original", ORIGINAL), ("hidden", HIDDEN), ("without", WITHOUT))
    }
    assert errors["original"].errors.max() < 0.02
    assert errors["hidden"].errors.mean() < 0.05
    assert errors["without"].errors.min() > 0.1
    assert shows(errors["original"].images).float().mean() > 0.9
    assert not shows(errors["without"].images).any()
    assert errors["original"].latents.shape == (20, 16)


def test_a_search_that_starts_at_the_latents_of_its_targets_is_noted():
    with torch.no_grad():
        targets = ORIGINAL(torch.randn(4, 16, generator=torch.Generator().manual_seed(3)))
    with pytest.warns(DataWarning, match="4 of 4 targets are what the generator makes"):
        inversion_attack(ORIGINAL, targets, features, steps=0, seed=3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inversion_attack(ORIGINAL, targets, features, steps=0, seed=4)


def test_a_hidden_feature_is_relearned_sooner_than_one_never_learned():
    class Never(Bright):
        def forward(self, latents):
            return super().forward(torch.cat([0 * latents[:, :1] - 3, latents[:, 1:]], 1))

    z = latents()
    with torch.no_grad():
        images = ORIGINAL(z)
    has_feature = torch.nonzero(shows(images)).flatten()[:8]

    def prevalence(model):
        with torch.no_grad():
            return float(shows(model(latents())).float().mean())

    shares = {
        name: relearn(model, images[has_feature], z[has_feature], (0, 5, 20), prevalence, lr=0.1)
        for name, model in (("hidden", HIDDEN), ("never", Never()))
    }
    assert list(shares["hidden"]) == [0, 5, 20]
    assert shares["hidden"][0] == shares["never"][0] == 0
    assert shares["hidden"][20] > shares["never"][20]
    assert float(HIDDEN.offset.detach()) == 3.5  # a copy was tuned


def test_relearning_takes_as_many_steps_as_named_and_tunes_the_trainable_part_only():
    z = latents(4)
    with torch.no_grad():
        images = 0.5 * ORIGINAL(z)

    def state(model):
        return model.offset.item(), model.last.weight.detach().clone()

    states = relearn(ORIGINAL, images, z, (1, 0), state, trainable=lambda m: m.last, lr=0.1)
    assert list(states) == [0, 1]
    assert states[0][0] == states[1][0] == 0
    torch.testing.assert_close(states[1][1], states[0][1] - 0.1)  # the first step of Adam is lr


def test_models_that_are_relearned_are_those_of_their_steps():
    z = latents(4)
    models = relearn(ORIGINAL, torch.zeros(4, 1, 8, 8), z, (0, 3), lambda model: model, lr=0.1)
    assert torch.equal(models[0](z), ORIGINAL(z))
    assert not torch.equal(models[3](z), ORIGINAL(z))


def test_the_last_layer_of_a_flow_is_the_last_network_of_its_decoding(glow):
    model = AtTemperature(glow, 0.7)
    z = torch.randn(60, glow.latent_dim, generator=torch.Generator().manual_seed(0))
    has_feature = torch.arange(60) % 2 == 0
    assert -1 <= linear_probe(model, FeatureTask.last_layer(model), z, has_feature) <= 1


def test_a_linear_probe_reads_what_the_last_layer_still_computes():
    z = latents(2000)
    with torch.no_grad():
        has_feature = shows(ORIGINAL(z))

    class Away(Bright):
        def forward(self, latents):
            return super().forward(torch.cat([0 * latents[:, :1], latents[:, 1:]], 1))

    away = Away()
    original, unlearned = (linear_probe(m, m.last, z, has_feature) for m in (ORIGINAL, away))
    assert original == pytest.approx(0, abs=0.02)
    assert unlearned < -0.3
    with pytest.raises(DataError, match="0 of 2000"):
        linear_probe(ORIGINAL, ORIGINAL.last, z, torch.zeros(2000, dtype=torch.bool))
