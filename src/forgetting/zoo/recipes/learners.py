"""How a model of each kind is set up to learn: what is built, started, averaged and kept."""

from collections.abc import Callable

import torch
from torch import nn

from forgetting.models import gan as gans
from forgetting.models import style_gan as style_gans
from forgetting.models.classifier import Classifier, ClassifierConfig
from forgetting.models.gan import GANConfig
from forgetting.models.glow import Glow, GlowConfig
from forgetting.models.hierarchical_vae import HierarchicalVAE, HierarchicalVAEConfig
from forgetting.models.players import Players
from forgetting.models.style_gan import StyleGANConfig
from forgetting.models.vae import VAE, VAEConfig
from forgetting.zoo.learner import Averaged, Learner, Loss, follow
from forgetting.zoo.recipes import ModelConfig, Recipe, Source
from forgetting.zoo.training import TrainingConfig

GAN_DECAY = 0.999
"""Of the average of a GAN's generator: a half-life of about 700 steps."""

AVERAGE_DECAY = 0.998
"""Of the average of a flow's or a VAE's weights: a half-life of about 350 steps."""


def classifier(recipe: Recipe) -> Learner:
    """Return a classifier that learns and is kept whole."""
    assert isinstance(recipe.config, ClassifierConfig)
    return Learner(Classifier(recipe.config, recipe.training.seed), recipe.loss)


def vae(recipe: Recipe) -> Learner:
    """Return a VAE that learns, of which the decoder is kept."""
    assert isinstance(recipe.config, VAEConfig)
    return Learner(VAE(recipe.config, recipe.training.seed), recipe.loss, keep=_decoder)


def gan(recipe: Recipe) -> Learner:
    """Return a GAN whose players learn from each other; the generator's average is kept."""
    assert isinstance(recipe.config, GANConfig)
    return _players(recipe, gans.gan(recipe.config, recipe.training.seed))


def style_gan(recipe: Recipe) -> Learner:
    """Return a style-based GAN that learns as `gan`'s."""
    assert isinstance(recipe.config, StyleGANConfig)
    return _players(recipe, style_gans.style_gan(recipe.config, recipe.training.seed))


def hierarchical_vae(recipe: Recipe) -> Learner:
    """Return a hierarchical VAE that learns, of which the decoder's average is kept."""
    assert isinstance(recipe.config, HierarchicalVAEConfig)
    model = Averaged(HierarchicalVAE(recipe.config, recipe.training.seed))
    return Learner(model, recipe.loss, after=follow_average, keep=_average_decoder)


def glow(recipe: Recipe) -> Learner:
    """Return a Glow that learns and is kept whole."""
    assert isinstance(recipe.config, GlowConfig)
    return Learner(Glow(recipe.config, recipe.training.seed), recipe.loss, start_glow)


def averaged_glow(recipe: Recipe) -> Learner:
    """Return a Glow that learns, of which the moving average of the weights is kept."""
    assert isinstance(recipe.config, GlowConfig)
    model = Averaged(Glow(recipe.config, recipe.training.seed))
    return Learner(model, recipe.loss, start_averaged_glow, follow_average, _average)


def start_glow(model: nn.Module, images: torch.Tensor, generator: torch.Generator) -> None:
    """Set a Glow's actnorms from the first batch."""
    assert isinstance(model, Glow)
    model.initialise(images, generator)


def start_averaged_glow(
    model: nn.Module, images: torch.Tensor, generator: torch.Generator
) -> None:
    """Set a Glow's actnorms from the first batch, and start its average there."""
    assert isinstance(model, Averaged)
    start_glow(model.model, images, generator)
    model.average.load_state_dict(model.model.state_dict())


def follow_average(model: nn.Module) -> None:
    """Move the average of a model's weights towards the weights."""
    assert isinstance(model, Averaged)
    follow(model.average, model.model, AVERAGE_DECAY)


def follow_generator(model: nn.Module) -> None:
    """Move the average of a GAN's generator towards the generator."""
    assert isinstance(model, Players)
    follow(model.average, model.generator, GAN_DECAY)


LEARNERS: dict[str, Callable[[Recipe], Learner]] = {
    "classifier": classifier,
    "gan": gan,
    "glow": glow,
    "hierarchical-vae": hierarchical_vae,
    "style-gan": style_gan,
    "vae": vae,
}
"""How models learn, by their kind, where a recipe says nothing else."""


def usual_recipe(
    data: Source,
    kind: str,
    config: ModelConfig,
    training: TrainingConfig,
    loss: Loss | dict[str, Loss],
    summary: str,
) -> Recipe:
    """Return the recipe of a model that learns in the way of its kind (`LEARNERS`)."""
    return Recipe(kind, data, config, training, loss, LEARNERS[kind], summary)


def _players(recipe: Recipe, players: Players) -> Learner:
    return Learner(players, recipe.loss, after=follow_generator, keep=_average)


def _decoder(model: nn.Module) -> nn.Module:
    return model.get_submodule("decoder")


def _average(model: nn.Module) -> nn.Module:
    return model.get_submodule("average")


def _average_decoder(model: nn.Module) -> nn.Module:
    return model.get_submodule("average.decoder")
