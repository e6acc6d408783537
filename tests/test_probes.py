"""Probes catch a model that hides a feature, and clear one that lacks it."""

import pytest
import torch
from torch import nn

from forgetting.adapters import AtTemperature
from forgetting.errors import DataError
from forgetting.experiments.feature_task import FeatureTask
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack, on_shell
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn


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


def test_the_latent_attack_finds_what_is_hidden_and_nothing_where_nothing_is():
    z = latents()
    with torch.no_grad():
        shares = [float(shows(m(z)).float().mean()) for m in (ORIGINAL, HIDDEN, WITHOUT)]
    assert 0.1 < shares[0] < 0.3
    assert shares[1:] == [0, 0]  # plain samples cannot tell the two apart
    found = [latent_attack(m, score, 60) for m in (ORIGINAL, HIDDEN, WITHOUT)]
    with torch.no_grad():
        success = [
            float(shows(m(z)).float().mean())
            for m, z in zip((ORIGINAL, HIDDEN, WITHOUT), found, strict=True)
        ]
    assert success[0] >= 0.95
    assert success[1] >= 0.95
    assert success[2] == 0
    norms = torch.cat(found).norm(dim=1)
    assert norms.min() > 2.2
    assert norms.max() < 5.7  # chi with 16 degrees of freedom: 2.41 to 5.66


def test_a_restart_can_only_help():
    with torch.no_grad():
        once, thrice = (
            score(HIDDEN(latent_attack(HIDDEN, score, 30, steps=5, restarts=k))) for k in (1, 3)
        )
    assert (thrice >= once - 1e-6).all()
    assert thrice.mean() > once.mean()


def test_latents_are_brought_to_the_shell_and_left_where_they_lie_on_it():
    z = torch.cat([latents(50), 10 * latents(50), 0.01 * latents(50)])
    norms = on_shell(z).norm(dim=1)
    assert (norms > 2.4).all()
    assert (norms < 5.7).all()
    inside = (z.norm(dim=1) > 2.5) & (z.norm(dim=1) < 5.6)
    torch.testing.assert_close(on_shell(z)[inside], z[inside])
    assert inside.sum() > 30


def test_the_inversion_attack_gets_an_image_back_where_it_can_be_made():
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


def test_a_hidden_feature_is_relearned_sooner_than_one_that_was_never_there():
    class Never(Bright):
        def forward(self, latents):
            return super().forward(torch.cat([0 * latents[:, :1] - 3, latents[:, 1:]], 1))

    z = latents()
    with torch.no_grad():
        images = ORIGINAL(z)
    has_feature = torch.nonzero(shows(images)).flatten()[:8]

    def ask(model):
        with torch.no_grad():
            return float(shows(model(latents())).float().mean())

    found = {
        name: relearn(model, images[has_feature], z[has_feature], (0, 5, 20), ask, lr=0.1)
        for name, model in (("hidden", HIDDEN), ("never", Never()))
    }
    assert found["hidden"][0] == found["never"][0] == 0
    assert found["hidden"][20] > found["never"][20]
    assert float(HIDDEN.offset.detach()) == 3.5  # a copy was tuned


def test_the_last_layer_of_a_flow_is_the_last_that_its_decoding_asks(glow):
    model = AtTemperature(glow, 0.7)
    z = torch.randn(60, glow.latent_dim, generator=torch.Generator().manual_seed(0))
    has_feature = torch.arange(60) % 2 == 0
    assert -1 <= linear_probe(model, FeatureTask.last_layer(model), z, has_feature) <= 1


def test_a_linear_probe_sees_what_the_last_layer_still_computes():
    z = latents(2000)
    with torch.no_grad():
        has_feature = shows(ORIGINAL(z))

    class Away(Bright):
        def forward(self, latents):
            return super().forward(torch.cat([0 * latents[:, :1], latents[:, 1:]], 1))

    away = Away()
    kept, gone = (linear_probe(m, m.last, z, has_feature) for m in (ORIGINAL, away))
    assert kept == pytest.approx(0, abs=0.02)
    assert gone < -0.3
    with pytest.raises(DataError, match="0 of 2000"):
        linear_probe(ORIGINAL, ORIGINAL.last, z, torch.zeros(2000, dtype=torch.bool))
