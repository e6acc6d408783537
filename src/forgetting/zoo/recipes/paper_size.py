"""The Glow of faces at the size of *Taming Normalizing Flows*, for a GPU.

Its sizes, batch, rate and steps are the paper's. The average of the weights is kept, and the
gradient's norm is bounded, as in the study's own Glow of 64 px.
"""

import functools
from dataclasses import replace

from torch import nn
from torch.utils.checkpoint import checkpoint

from forgetting.models.glow import GlowConfig
from forgetting.models.glow_layers import Step
from forgetting.zoo.learner import Averaged, Learner
from forgetting.zoo.recipes import RECIPES, Recipe, learners
from forgetting.zoo.recipes.faces import GLOW_64


def recomputed_glow(recipe: Recipe) -> Learner:
    """Return a Glow that learns as `averaged_glow`'s, and computes its activations twice.

    What a step of flow takes in is small beside what its coupling network computes, so that there
    is no need to find it again by inversion, which rounds.
    """
    learner = learners.averaged_glow(recipe)
    assert isinstance(learner.model, Averaged)
    recompute_activations(learner.model.model)
    return learner


def recompute_activations(glow: nn.Module) -> None:
    """Let the steps of a Glow keep only what they take in; backward computes the rest anew.

    Results and gradients are the same, and so are the weights' names. The steps' forward passes
    are computed twice, and memory holds the activations of one step of flow at a time.
    """
    for step in glow.modules():
        if isinstance(step, Step):
            step.forward = functools.partial(  # type: ignore[method-assign]
                checkpoint, step.forward, use_reentrant=False
            )


GLOW_128 = replace(
    GLOW_64,
    config=GlowConfig(channels=3, image_size=128, n_steps=32, n_blocks=4, width=512),
    training=GLOW_64.training.changed(
        steps=610_000, lr=1e-4, decay=0.0, log_every=500, checkpoint_every=1000
    ),
    learner=recomputed_glow,
    summary="A Glow of faces at 128 px, 5 bits, additive coupling: the paper's size.",
    by_name_only=True,
)

RECIPES.register("faces-glow-128")(GLOW_128)
