"""A recipe whose training ends within seconds, and counts its steps. See `kills.py`."""

import os
from dataclasses import replace
from pathlib import Path

import torch
from tiny import SIZE, images

from forgetting.models.vae import VAEConfig
from forgetting.zoo.recipes import RECIPES, TrainingData, losses
from forgetting.zoo.recipes.digits import VAE

N_IMAGES = 200


def _load(recipe: object) -> TrainingData:
    given = (images(N_IMAGES, seed=0) * 255).byte()
    return TrainingData(
        given, torch.zeros(N_IMAGES), (given[:32], torch.zeros(32)), "images of smooth noise"
    )


def _loss(*arguments: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the VAE's loss, and leave a byte for every step that is taken."""
    if torch.is_grad_enabled():
        with Path(os.environ["FAULT_STEPS"]).open("ab") as file:
            file.write(b".")
    return losses.vae(*arguments)


RECIPES.register("tiny-vae")(
    replace(
        VAE,
        data=replace(VAE.data, load=_load),
        config=VAEConfig(image_size=SIZE, latent_dim=8, width=8, hidden=32),
        training=VAE.training.changed(
            steps=600, batch_size=32, log_every=10, checkpoint_every=20, warmup=0
        ),
        loss=_loss,
        summary="A VAE of smooth noise, to be interrupted.",
    )
)
