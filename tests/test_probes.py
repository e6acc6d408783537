"""Probes detect a feature that a model hides, and find nothing in a model that lacks it."""

import math
import warnings

import pytest
import torch
from bars import Bars, width
from torch import nn

from forgetting.border.adapters import AtTemperature
from forgetting.errors import DataError, DataWarning, ModelError, TrainingError
from forgetting.experiments.feature_task import FeatureTask
from forgetting.probes.inversion import inversion_attack
from forgetting.probes.latent_attack import latent_attack
from forgetting.probes.linear_probe import linear_probe
from forgetting.probes.relearning import relearn
from forgetting.probes.search import on_shell, search_latents


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


def test_relearning_spares_no_weight_that_is_frozen_in_one_of_the_models():
    mine, result = Bars(), Bars().requires_grad_(False)
    mine.bend.requires_grad_(False)
    z = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))
    target = torch.zeros(8, 1, 32, 32)
    bends = [
        relearn(model, target, z, (3,), lambda m: float(m.bend), lr=0.1)[3]
        for model in (mine, result)
    ]
    assert bends[0] == bends[1] != 0


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


class Layers(nn.Module):
    """A generator with a layer that may work in place."""

    latent_dim = 6

    def __init__(self, inplace=False):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first, self.last = nn.Linear(6, 40), nn.Linear(40, 64)
        self.middle = nn.ReLU(inplace)

    def forward(self, z):
        return torch.sigmoid(self.last(self.middle(self.first(z)))).view(-1, 1, 8, 8)


LATENTS = torch.randn(200, 6, generator=torch.Generator().manual_seed(0))


def probe(labels, latents=LATENTS, *, inplace=False):
    model = Layers(inplace)
    return linear_probe(model, model.middle, latents, labels)


def test_a_linear_probe_reads_what_a_layer_gets_and_not_what_it_makes_of_it():
    labels = LATENTS[:, 0] * LATENTS[:, 1] > 0
    assert probe(labels, inplace=True) == probe(labels)


def test_a_layer_that_gets_the_same_for_all_latents_is_no_layer_to_probe():
    class Constant(Layers):
        def forward(self, z):
            self.middle(torch.ones(len(z), 3))
            return torch.sigmoid(self.last(self.first(z))).view(-1, 1, 8, 8)

    model = Constant()
    with pytest.raises(ModelError, match="`middle` of Constant gets the same input for all 200"):
        linear_probe(model, model.middle, LATENTS, LATENTS[:, 0] > 0)


@pytest.mark.parametrize(
    "labels",
    [
        (LATENTS[:, 0] * LATENTS[:, 1]).relu(),
        torch.arange(200) % 10,
        (LATENTS[:, :2] > 0),
        (LATENTS[:, :1] > 0),
    ],
)
def test_labels_of_a_linear_probe_are_booleans_of_the_latents(labels):
    with pytest.raises(DataError, match=r"other values than 0 and 1|one label for each latent"):
        probe(labels)


def test_a_linear_probe_is_not_tested_on_what_it_was_fitted_to():
    latents = LATENTS[:40].repeat(5, 1)
    with pytest.raises(DataError, match="Of 200 latents 40 differ"):
        probe(latents[:, 0] > 0, latents)


def test_features_of_any_shape_have_the_same_weight_in_an_inversion():
    targets = Layers()(LATENTS[:4]).detach()

    def found(read):
        return inversion_attack(Layers(), targets, read, steps=9, restarts=1, weight=5).latents

    def pooled(images):
        return nn.functional.avg_pool2d(images, 2)

    expected = found(lambda images: pooled(images).flatten(1))
    for shaped in (pooled, lambda images: pooled(images).flatten(1)[:, :, None]):
        torch.testing.assert_close(found(shaped), expected)


def test_a_search_has_a_loss_and_a_criterion_for_each_latent():
    def sums(images, _):
        return -images.sum((1, 2, 3))

    for wrong in (
        lambda images, part: sums(images, part).mean(),
        lambda images, part: sums(images, part)[:, None],
        lambda images, part: sums(images, part)[:, None] + sums(images, part),
    ):
        for pair in ((wrong, sums), (sums, wrong)):
            with pytest.raises(ModelError, match="one for each image"):
                search_latents(Layers(), 3, *pair, steps=1, restarts=1, lr=0.1, seed=0)


def test_a_search_that_leaves_the_finite_numbers_is_an_error_and_no_latent():
    def loss(images, _):
        return -width(images) * math.inf

    with pytest.raises(TrainingError, match="leaves the finite numbers"):
        search_latents(Bars(), 3, loss, loss, steps=2, restarts=1, lr=0.1, seed=0)


@pytest.mark.parametrize("shape", [(3, 3, 32, 32), (3, 1, 1, 1), (3, 1, 1, 32)])
def test_images_are_not_repeated_until_they_fit_a_generators(shape):
    images = torch.rand(shape)
    for call in (
        lambda: inversion_attack(Bars(), images, lambda x: x.mean((2, 3)), steps=1),
        lambda: relearn(Bars(), images, torch.randn(3, 6), [1], width),
    ):
        with pytest.raises(DataError, match=r"where the generator's images are \(N, 1, 32, 32\)"):
            call()


@pytest.mark.parametrize("shape", [(5, 1, 6), (5, 1), (5, 3), (4, 6)])
def test_each_image_to_relearn_has_a_latent_of_the_generators(shape):
    with pytest.raises(DataError, match="give one latent of 6 values for each image"):
        relearn(Layers(), torch.rand(5, 1, 8, 8), torch.randn(shape), [0], width)


def test_relearning_that_breaks_the_weights_is_an_error():
    with pytest.raises(TrainingError, match=r"loss of relearning is nan"):
        relearn(Bars(), torch.rand(2, 1, 32, 32), torch.full((2, 6), math.nan), [2], width)
