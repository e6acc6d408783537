"""A recipe at nearly no size, whose processes note what they have after every step.

It stands apart from the tests, since a checkpoint names all that the file of a loss imports.
"""

import functools
import hashlib
import os
import shutil
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from forgetting.models.glow import GlowConfig
from forgetting.zoo.learner import Learner
from forgetting.zoo.recipes import RECIPES, TrainingData, learners
from forgetting.zoo.training import TrainingConfig

IMAGES = torch.zeros(16, 1, 4, 4, dtype=torch.uint8), torch.zeros(16)

CONFIG = TrainingConfig(
    steps=6, batch_size=8, lr=1e-3, warmup=2, max_grad_norm=50, log_every=1, checkpoint_every=4
)


def one_layer(norm=None):
    """Return a learner of one layer, after which comes another."""
    model = nn.Sequential(nn.Conv2d(1, 1, 1), norm or nn.Identity())
    return Learner(model, lambda model, images, *rest: {"loss": model(images).square().mean()})


def data(recipe):
    random = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (40, 3, 16, 16), generator=random, dtype=torch.uint8)
    labels = torch.zeros(40)
    return TrainingData(images[:32], labels[:32], (images[32:], labels[32:]), "noise")


def noted(model, *given, inner):
    """Do what goes on around a step, and note the weights after it in the process's own file."""
    inner(model, *given)
    folder, rank = Path(os.environ["SHARES_FOLDER"]), os.environ.get("LOCAL_RANK", "alone")
    values = torch.cat([value.flatten() for value in model.state_dict().values()])
    with (folder / rank).open("a") as file:
        file.write(hashlib.sha256(values.numpy().tobytes()).hexdigest() + "\n")
    if (checkpoint := folder / "training" / "tiny-glow.safetensors").exists():
        shutil.copy(checkpoint, folder / "copy.safetensors")


def learner_of(recipe):
    learner = learners.averaged_glow(recipe)
    for name in ("start", "after"):
        setattr(learner, name, functools.partial(noted, inner=getattr(learner, name)))
    return learner


def tiny():
    large = RECIPES["faces-glow-128"]
    return replace(
        large,
        data=replace(large.data, load=data),
        config=GlowConfig(channels=3, image_size=16, n_steps=2, n_blocks=2, width=8),
        training=CONFIG,
        learner=learner_of,
    )
