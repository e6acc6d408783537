"""The contracts: the study's models fulfil them, and so does anything with the same methods."""

import pytest
import torch
from bars import Bars
from torch import nn

from forgetting.border.adapters import AtTemperature, ConcatenatedLatents
from forgetting.border.contracts import Classifier, Flow, Generator
from forgetting.errors import ParameterError
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
