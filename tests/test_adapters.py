"""The contracts: the study's models fulfil them, and so does anything with the same methods."""

import math

import pytest
import torch
from bars import Bars
from planted import IMAGES, Binned
from torch import nn

import forgetting as fg
from forgetting.border.adapters import AtTemperature, ConcatenatedLatents
from forgetting.border.contracts import Classifier, Flow, Generator, log_prob_of, mean_bits_per_dim
from forgetting.border.preflight import check_flow
from forgetting.errors import ModelError, ParameterError
from forgetting.models import MODELS
from forgetting.models.classifier import ClassifierConfig
from forgetting.models.embedding import EmbeddingConfig

CONTRACTS = {
    "classifier": {Classifier},
    "embedding": set(),
    "gan": {Generator},
    "hierarchical-vae": {Generator},
    "style-gan": {Generator},
    "glow": {Flow, Generator},
    "vae": {Generator},
}
NEEDED = {
    ClassifierConfig: {"attributes": ("a",)},
    EmbeddingConfig: {"classifier": ClassifierConfig(attributes=("a",))},
}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_of_every_kind_fulfils_its_contracts(name):
    kind = MODELS[name]
    model = kind.model_class(kind.config_class(**NEEDED.get(kind.config_class, {})))
    fulfilled = {
        contract for contract in (Flow, Generator, Classifier) if isinstance(model, contract)
    }
    assert fulfilled == CONTRACTS[name]


def test_the_zoo_and_the_registry_name_the_same_kinds():
    assert set(MODELS) == set(CONTRACTS)
    with pytest.raises(ParameterError, match=r"no kind of model 'glw'. Did you mean glow\?"):
        MODELS["glw"]


def test_a_module_of_another_library_is_a_generator_and_no_classifier():
    assert isinstance(Bars(), Generator)
    assert not isinstance(Bars(), Flow | Classifier)
    assert not isinstance(nn.Linear(2, 2), Generator)


def test_a_flow_at_a_temperature_decodes_scaled_latents(glow):
    generator = AtTemperature(glow, 0.5)
    assert isinstance(generator, Generator)
    z = torch.randn(3, generator.latent_dim, generator=torch.Generator().manual_seed(0))
    assert torch.equal(generator(z), glow(0.5 * z))
    drawn = glow.sample(3, 0.5, torch.Generator().manual_seed(0))
    torch.testing.assert_close(glow.quantise(generator(z)), drawn)


def test_concatenated_latents_reach_the_generator_one_by_one():
    class Two(nn.Module):
        def forward(self, first, second):
            return torch.cat([second, first], 1)[:, :, None, None]

    generator = ConcatenatedLatents(Two(), (3, 2))
    assert generator.latent_dim == 5
    latents = torch.arange(10.0).view(2, 5)
    assert torch.equal(generator(latents)[:, :, 0, 0], latents[:, [3, 4, 0, 1, 2]])


def test_noise_is_given_as_noise_wherever_it_stands():
    flow, noise = Binned(), torch.rand(IMAGES.shape)
    check_flow(flow, IMAGES, is_tuned=True)
    torch.testing.assert_close(
        log_prob_of(flow, IMAGES, noise), log_prob_of(flow, IMAGES + noise / 32)
    )


@pytest.mark.parametrize("draws", [0, 3])
def test_an_adapter_around_a_flow_gives_its_own_likelihoods(draws):
    flow = Binned()
    own = mean_bits_per_dim(flow, IMAGES, draws, 1)
    adapted = mean_bits_per_dim(fg.as_flow(flow), IMAGES, draws, 1)
    assert torch.equal(own, adapted)
    other = fg.as_flow(flow, log_prob=lambda module, images: module.log_prob(images))
    torch.testing.assert_close(
        mean_bits_per_dim(other, IMAGES), mean_bits_per_dim(flow, IMAGES) - 5
    )


def test_noise_that_is_a_number_is_not_ours():
    class Noisy(Binned):
        def log_prob(self, images, noise=0.05):
            return super().log_prob(images)

    with pytest.raises(ModelError, match=r"has `noise=0.05`.*as_flow"):
        check_flow(Noisy(), IMAGES)


@pytest.mark.parametrize("n_bits", [256, 17, -1, 5.5, True, torch.ones(20)])
def test_bits_are_not_levels(n_bits):
    flow = Binned()
    flow.n_bits = n_bits
    for given in (flow, fg.as_flow(Binned())):
        getattr(given, "module", given).n_bits = n_bits
        with pytest.raises(ModelError, match=r"(?s)n_bits = .*, a whole number up to 16"):
            check_flow(given, IMAGES)


@pytest.mark.parametrize("sizes", [(6, 0), (7, -1), (3.0, 3.0)])
def test_each_of_several_latents_has_a_dimension(sizes):
    with pytest.raises(ParameterError, match=r"sizes = .*: give a whole number"):
        ConcatenatedLatents(Bars(), sizes)


@pytest.mark.parametrize("temperature", [0, -0.7, math.nan, math.inf, True, torch.ones(6)])
def test_a_temperature_is_a_finite_number_above_zero(temperature):
    with pytest.raises(ParameterError, match=r"temperature = .*: give a finite number above 0"):
        AtTemperature(Bars(), temperature)
    AtTemperature(Bars(), 0.7)
